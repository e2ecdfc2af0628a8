// SPDX-License-Identifier: Apache-2.0

package release

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestParseMinor(t *testing.T) {
	for text, want := range map[string]Minor{
		"1.37":            37,
		"v1.37":           37,
		"v1.37.2":         37,
		"1.37.0-rc.1":     37,
		"v1.32.2+k3s1":    32,
		"v1.28.15-lts.2":  28,
		"1.21+":           21,
		"v1.27.16-eks-a1": 27,
		"1.9":             9,
		"1.0":             0,
	} {
		got, err := ParseMinor(text)
		if err != nil || got != want {
			t.Errorf("ParseMinor(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "1", "1.", "v", "37", "2.1", "v2.1.0", "1.x", "1.-1", "1.037", "1.1000", "1.37.", "1.37.x",
		"1.37.02", " 1.37", "1.37 ", "1.37\n", "V1.37", "vv1.37", "1.37.1.2", "1.37.2-", "1.37.2+\x1b[31m",
		"1.99999999999999999999", strings.Repeat("1", 1<<20),
	} {
		if got, err := ParseMinor(text); err == nil {
			t.Errorf("ParseMinor(%.40q) = %v, want an error", text, got)
		} else if len(err.Error()) > 400 || strings.ContainsRune(err.Error(), '\x1b') {
			t.Errorf("ParseMinor(%.40q): the error repeats raw input: %.80q", text, err)
		}
	}
}

func TestMinorsAreOrderedAndPrint(t *testing.T) {
	if Minor(9) >= Minor(10) || Minor(37)-Minor(34) != 3 {
		t.Error("minors do not order or count as numbers")
	}
	text, err := json.Marshal(map[string]Minor{"minor": 37})
	if err != nil || string(text) != `{"minor":"1.37"}` {
		t.Errorf("JSON is %s, %v", text, err)
	}
	var back map[string]Minor
	if err := json.Unmarshal(text, &back); err != nil || back["minor"] != 37 {
		t.Errorf("JSON comes back as %v, %v", back, err)
	}
}

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]Version{
		"1.37.2":                        {37, 2, ""},
		"v1.37.0-rc.1":                  {37, 0, "-rc.1"},
		"v1.32.2+k3s1":                  {32, 2, "+k3s1"},
		"v1.28.15-lts.2":                {28, 15, "-lts.2"},
		"v1.22.6-eks-7d68063":           {22, 6, "-eks-7d68063"},
		"v1.38.0-alpha.1.123+deadbeef0": {38, 0, "-alpha.1.123+deadbeef0"},
	} {
		got, err := ParseVersion(text)
		if err != nil || got != want {
			t.Errorf("ParseVersion(%q) = %+v, %v; want %+v", text, got, err, want)
		}
		if got.String() != strings.TrimPrefix(text, "v") {
			t.Errorf("ParseVersion(%q) prints as %q", text, got)
		}
	}
	for _, text := range []string{"1.37", "v1.37", "1.37.2rc1", "1.37.2 ", "1.37.2+é", "1.37.100000", ""} {
		if got, err := ParseVersion(text); err == nil {
			t.Errorf("ParseVersion(%q) = %+v, want an error", text, got)
		}
	}
}

func TestVersionsCompare(t *testing.T) {
	ascending := []string{
		"1.32.13", "1.33.0-alpha.3", "1.33.0-beta.0", "1.33.0-rc.2", "1.33.0-rc.10", "1.33.0", "1.33.2", "1.33.10", "1.34.0",
	}
	for i, a := range ascending {
		for j, b := range ascending {
			want := min(max(i-j, -1), 1)
			if got := version(t, a).Compare(version(t, b)); got != want {
				t.Errorf("%s compared with %s is %d, want %d", a, b, got, want)
			}
		}
	}
	if version(t, "1.32.2+k3s1").Compare(version(t, "1.32.2")) != 0 {
		t.Error("a vendor's suffix changes the order")
	}
}

func TestVendor(t *testing.T) {
	for text, want := range map[string]string{
		"v1.37.2":                "",
		"v1.37.0-rc.1":           "",
		"v1.38.0-alpha.1.5+beef": "",
		"1.28.15-1.1":            "",
		"v1.28.15-lts.2":         "klts",
		"v1.32.2+k3s1":           "k3s",
		"v1.16.3-k3s.2":          "k3s",
		"v1.31.4+rke2r1":         "rke2",
		"v1.30.1+k0s":            "k0s",
		"v1.27.3-eks-a5565ad":    "eks",
		"v1.27.3-gke.100":        "gke",
		"v1.21.2+vmware.1":       "vmware",
		"v1.20.4-rancher1-1":     "rancher",
		"v1.26.3-aliyun.1":       "aliyun",
		"v1.27.3+IKS":            "iks",
		"v1.25.4+77bec7a":        UnknownVendor,
	} {
		if got := version(t, text).Vendor(); got != want {
			t.Errorf("%s is by %q, want %q", text, got, want)
		}
	}
}

func FuzzParseVersion(f *testing.F) {
	for _, seed := range []string{
		"1.37", "v1.37.2", "1.37.0-rc.1", "v1.32.2+k3s1", "v1.28.15-lts.2", "1.21+", "v1.27.3-eks-a5565ad",
		"1.037.1", "1.37.2-", "1..2", "v", "1.37.2+\x1b[0m", "1.999.99999", "1.1000.0",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ParseVersion(text)
		minor, minorErr := ParseMinor(text)
		if err != nil {
			return
		}
		if minorErr != nil || minor != v.Minor {
			t.Errorf("%q: version %v but minor %v, %v", text, v, minor, minorErr)
		}
		if v.String() != strings.TrimPrefix(text, "v") {
			t.Errorf("%q prints as %q", text, v)
		}
		if v.Compare(v) != 0 || v.Patch < 0 || v.Minor < 0 || v.Minor > maxMinor {
			t.Errorf("%q is %+v", text, v)
		}
		for _, c := range v.String() {
			if c <= ' ' || c > '~' {
				t.Errorf("%q lets %q through", text, c)
			}
		}
		_ = v.Vendor()
		_ = LoopbackOf(v)
	})
}

func version(t *testing.T, text string) Version {
	t.Helper()
	v, err := ParseVersion(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

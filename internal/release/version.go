// SPDX-License-Identifier: Apache-2.0

package release

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Version is an exact Kubernetes version as a component reports it. It is
// comparable; two versions that differ only in their suffix are different.
type Version struct {
	Minor Minor
	Patch int
	// Suffix is everything after the patch number with its leading sign, such
	// as "-rc.1", "+k3s1" or "-lts.2", and empty for an upstream release.
	Suffix string
}

const (
	maxPatch      = 99999
	maxVersionLen = 128
)

// ParseVersion reads an exact version, with or without a leading v. A patch
// number is needed; what follows it must start with - or + and is kept.
func ParseVersion(text string) (Version, error) {
	if v, ok := parseVersion(text); ok {
		return v, nil
	}
	return Version{}, fmt.Errorf("parsing Kubernetes version %s: want a form like v1.37.2", quote(text))
}

func parseVersion(text string) (Version, bool) {
	if len(text) > maxVersionLen {
		return Version{}, false
	}
	head, suffix := text, ""
	if i := strings.IndexAny(text, "-+"); i >= 0 {
		head, suffix = text[:i], text[i:]
	}
	minor, patch, ok := cutLast(head, ".")
	if !ok || !validSuffix(suffix) {
		return Version{}, false
	}
	m, err := parseBareMinor(minor)
	if err != nil {
		return Version{}, false
	}
	p, err := parseNumber(patch, maxPatch)
	if err != nil {
		return Version{}, false
	}
	return Version{Minor: m, Patch: p, Suffix: suffix}, true
}

func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(separator):], true
}

// validSuffix admits the characters of semantic versions, and the ~ and _ of
// package versions. Versions come from the network and are printed, so nothing
// else may pass.
func validSuffix(suffix string) bool {
	if suffix == "" {
		return true
	}
	for _, c := range []byte(suffix) {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		case strings.IndexByte("-+._~", c) >= 0:
		default:
			return false
		}
	}
	return len(suffix) > 1
}

// String prints the version as "1.37.2" with its suffix, without a leading v.
func (v Version) String() string {
	return v.Minor.String() + "." + strconv.Itoa(v.Patch) + v.Suffix
}

// MarshalText prints the version as String does.
func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads what ParseVersion reads.
func (v *Version) UnmarshalText(text []byte) error {
	parsed, err := ParseVersion(string(text))
	if err != nil {
		return err
	}
	*v = parsed
	return nil
}

// Compare orders by minor, patch, and a pre-release before its release. Other
// suffixes are no order: v1.32.2+k3s1 and v1.32.2 compare as equal, because
// the upstream code in both is that of 1.32.2.
func (v Version) Compare(w Version) int {
	return cmp.Or(
		cmp.Compare(v.Minor, w.Minor),
		cmp.Compare(v.Patch, w.Patch),
		comparePreRelease(v, w),
	)
}

func comparePreRelease(v, w Version) int {
	switch {
	case v.PreRelease() && !w.PreRelease():
		return -1
	case !v.PreRelease() && w.PreRelease():
		return 1
	case v.PreRelease():
		return compareNumbered(v.Suffix, w.Suffix)
	}
	return 0
}

// compareNumbered orders -rc.2 before -rc.10: part by part, numbers as numbers.
func compareNumbered(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, errX := parseNumber(as[i], maxPatch)
		y, errY := parseNumber(bs[i], maxPatch)
		order := strings.Compare(as[i], bs[i])
		if errX == nil && errY == nil {
			order = cmp.Compare(x, y)
		}
		if order != 0 {
			return order
		}
	}
	return cmp.Compare(len(as), len(bs))
}

// PreRelease reports an upstream alpha, beta or release candidate, and builds
// made on the way to one.
func (v Version) PreRelease() bool {
	for _, stage := range []string{"-alpha.", "-beta.", "-rc."} {
		if strings.HasPrefix(v.Suffix, stage) {
			return true
		}
	}
	return false
}

// UnknownVendor is what Vendor answers for a suffix that nobody here knows.
const UnknownVendor = "unknown"

// vendorMarks are the suffixes that distributions put on the version they
// report (as seen in their nodes' kubeletVersion). The first match wins.
var vendorMarks = []struct{ prefix, vendor string }{
	{"-lts.", "klts"}, // klts-io/kubernetes-lts: v1.28.15-lts.2
	{"+k3s", "k3s"},
	{"-k3s", "k3s"}, // up to 1.16: v1.16.3-k3s.2
	{"+rke2", "rke2"},
	{"+k0s", "k0s"},
	{"-eks-", "eks"},
	{"-gke.", "gke"},
	{"+vmware.", "vmware"},
	{"-vmware.", "vmware"},
	{"-rancher", "rancher"},
	{"-aliyun.", "aliyun"},
	{"-tke.", "tke"},
	{"+IKS", "iks"},
}

// Vendor names the distribution that the suffix gives away: "klts", "k3s",
// "rke2", "k0s", "eks", "gke", "vmware", "rancher", "aliyun", "tke" or "iks";
// UnknownVendor for another suffix; and "" for upstream's own releases,
// pre-releases and package revisions (1.28.15-1.1). "" is no proof: kubeadm
// clusters and several managed services report plain upstream versions.
func (v Version) Vendor() string {
	for _, mark := range vendorMarks {
		if strings.HasPrefix(v.Suffix, mark.prefix) {
			return mark.vendor
		}
	}
	if v.Suffix == "" || v.PreRelease() || packageRevision(v.Suffix) {
		return ""
	}
	return UnknownVendor
}

func packageRevision(suffix string) bool {
	return suffix[0] == '-' && strings.Trim(suffix[1:], "0123456789.") == ""
}

// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"strings"
	"testing"
	"time"
)

const flagHead = "component,flag,known,hidden,deprecated,removed,notice,origin,citation\n"

func TestMergeAddsAndOverridesRows(t *testing.T) {
	s := load(t)
	before := len(s.Tables()[3].Rows)
	err := s.Merge("mine.csv", strings.NewReader(flagHead+
		"kubelet,our-patch,1.30-1.37,,,,,measured,https://example.com/patch\n"+
		"kubelet,max-pods,1.19-1.30,,,1.31 planned k8s.io/kubernetes@v1.37.0:cmd/kubelet/app/options/options.go,,planned,https://example.com/patch\n"))
	if err != nil {
		t.Fatal(err)
	}
	if flag, ok := s.Flag("kubelet", "our-patch"); !ok || !flag.Known.Has(37) || flag.Citation != "https://example.com/patch" {
		t.Errorf("the added flag is %+v", flag)
	}
	if flag, ok := s.Flag("kubelet", "max-pods"); !ok || flag.Known.Has(37) || flag.Removed.Minor != 31 {
		t.Errorf("the overridden flag is %+v", flag)
	}
	if after := len(s.Tables()[3].Rows); after != before+1 {
		t.Errorf("%d rows became %d", before, after)
	}
	if original, _ := load(t).Flag("kubelet", "max-pods"); !original.Known.Has(37) {
		t.Error("what one set merges, another one has")
	}
}

func TestMergedStretchesReplaceWhatTheyOverlap(t *testing.T) {
	s := load(t)
	head := strings.Join(gateDefinition.columns, ",") + "\n"
	err := s.Merge("mine.csv", strings.NewReader(head+
		"SELinuxMount,1.30,1.37,Beta,true,false,,,kubelet,,measured,https://example.com/patch\n"))
	if err != nil {
		t.Fatal(err)
	}
	if gate, ok := s.Gate("kubelet", "SELinuxMount", 33); !ok || !gate.Default || gate.Stage != "Beta" {
		t.Errorf("the gate is %+v", gate)
	}
}

func TestAWholeTableReplacesTheOneThereIs(t *testing.T) {
	s := load(t)
	err := s.Merge("flags.csv", strings.NewReader("# about flags\n# as-of: 2027-05-01\n"+flagHead+
		"kubelet,only,1.19-1.38,,,,,measured,k8s.io/kubernetes@v1.38.0:cmd/kubelet/app/options/options.go\n"))
	if err != nil {
		t.Fatal(err)
	}
	if flags := s.Tables()[3].Rows; len(flags) != 1 || flags[0][1] != "only" {
		t.Errorf("the flags are %q", flags)
	}
	if flag, ok := s.Flag("kubelet", "max-pods"); ok {
		t.Errorf("a flag of the table that was replaced is left: %+v", flag)
	}
	if s.Newest() != load(t).Newest() {
		t.Error("one newer table makes the others reach further")
	}
}

func TestMergeNamesFileLineAndColumn(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"a span":    {"\nkubelet,x,1.37-1.19,,,,,measured,https://example.com\n", "mine.csv:3: kubelet x: column known: "},
		"no origin": {"kubelet,x,1.19-1.37,,,,,rumour,https://example.com\n", "mine.csv:2: kubelet x: column origin: "},
		"no source": {"kubelet,x,1.19-1.37,,,,,measured,my head\n", "mine.csv:2: kubelet x: column citation: "},
		"twice": {"kubelet,x,1.19-1.37,,,,,measured,https://example.com\nkubelet,x,1.19-1.37,,,,,measured,https://example.com\n",
			"mine.csv:3: kubelet x: does not sort after"},
		"too few fields": {"kubelet,x\n", "line 2"},
	} {
		s := load(t)
		err := s.Merge("mine.csv", strings.NewReader(flagHead+c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if flag, ok := s.Flag("kubelet", "max-pods"); !ok || !flag.Known.Has(37) {
			t.Errorf("%s: the set has lost its flags", name)
		}
	}
	if err := load(t).Merge("mine.csv", strings.NewReader("a,b\n1,2\n")); err == nil || !strings.Contains(err.Error(), "mine.csv") {
		t.Errorf("a header of no table: %v", err)
	}
}

func TestStale(t *testing.T) {
	s := load(t)
	if stale, why := s.Stale(s.AsOf().Add(100 * 24 * time.Hour)); stale || why != "" {
		t.Errorf("stale after 100 days: %s", why)
	}
	if stale, why := s.Stale(s.AsOf().Add(200 * 24 * time.Hour)); !stale || !strings.Contains(why, "200 days") {
		t.Errorf("after 200 days: %v, %q", stale, why)
	}
}

func TestTheTablesFitTogether(t *testing.T) {
	for _, err := range load(t).Verify() {
		t.Error(err)
	}
}

func TestVerifyFindsATableThatLagsBehind(t *testing.T) {
	s := load(t)
	err := s.Merge("admission.csv", strings.NewReader("# as-of: 2026-11-22\n"+strings.Join(admissionDefinition.columns, ",")+"\n"+
		"A,1.19-1.36,,measured,k8s.io/kubernetes@v1.36.0:pkg/kubeapiserver/options/plugins.go\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Verify()) == 0 || s.Newest() != 36 {
		t.Errorf("nothing is wrong, and the newest is %s", s.Newest())
	}
}

// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
	"perennial.dev/perennial/internal/timeline"
)

// object is a document in a version that goes.
func object(version string, impact finding.Impact, apiVersion, kind, name, file string, line int) finding.Finding {
	o := fact.Object{APIVersion: fact.Text(apiVersion), Type: fact.Text(kind), Namespace: "shop", Name: fact.Text(name), File: file, Line: line}
	f := finding.Finding{Code: "APIRemoved", ID: fact.ObjectID(o), Class: finding.Fault, Impact: impact, Keeper: finding.KeeperPerson,
		End:    finding.End{Version: version, Basis: finding.Measured},
		Object: &finding.Object{APIVersion: o.APIVersion, Kind: o.Type, Namespace: o.Namespace, Name: o.Name},
		File:   file, Line: line, RemovedIn: version,
		Effect: "whoever applies it gets \"no matches for kind " + kind + "\"",
		Fix:    "write it as batch/v1 " + kind,
		Rule:   &finding.Rule{Origin: finding.Measured, Citation: "k8s.io/kubernetes@v1.25.0:api/openapi-spec/swagger.json"}}
	if impact == finding.Changes || impact == finding.Hint {
		f.Class = finding.Notice
	}
	return f
}

// upgraded is a node and documents before an upgrade, with names that mean ill.
func upgraded(t *testing.T) timeline.Timeline {
	t.Helper()
	cal, err := release.Load()
	if err != nil {
		t.Fatal(err)
	}
	gate := finding.Finding{Code: "GateRemoved", ID: "cp1/kubelet/gates/DynamicKubeletConfig", Class: finding.Fault, Impact: finding.Blocks, Keeper: finding.KeeperOwner,
		End: finding.End{Version: "1.26", Basis: finding.Measured}, Effect: "the kubelet does not start", Fix: "take it out of /var/lib/kubelet/config.yaml",
		Evidence: finding.Evidence{Path: "/var/lib/kubelet/config.yaml"}}
	fs := append(node()[:3], gate,
		object("1.25", finding.Breaks, "policy/v1beta1", "PodSecurityPolicy", "restricted", "charts/psp.yaml", 1),
		object("1.25", finding.Breaks, "batch/v1beta1", "CronJob", "evil\x1b[2J\u202e\ufffe", "charts/jobs of\u202e <us> &.yaml", 7),
		object("1.29", finding.Changes, "flowcontrol.apiserver.k8s.io/v1beta2", "FlowSchema", "mine", "-", 3),
		object("1.40", finding.Breaks, "flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema", "far", "/srv/x:y.yaml", 30))
	for n := range 7 {
		fs = append(fs, object("1.25", finding.Breaks, "batch/v1beta1", "CronJob", fmt.Sprintf("backup-%d", n), "charts/backup.yaml", 10*n+1))
	}
	now := object("1.22", finding.Breaks, "extensions/v1beta1", "Ingress", "old", "charts/ingress.yaml", 2)
	now.End = finding.Now()
	p := policy.Default()
	p.Accepted = []policy.Acceptance{{Code: "APIRemoved", ID: "*/backup-6", Reason: "goes with its\u202e namespace", Until: time.Date(2027, 1, 15, 0, 0, 0, 0, time.UTC)}}
	env := envelope()
	env.Scope.Documents, env.Scope.Counts.Documents = []string{"charts", "-"}, 12
	env.Upgrade = &timeline.Way{Way: rules.Way{From: 24, To: 29}, FromBy: "--from", Calendar: cal, Notes: []string{"a note"}}
	return timeline.Build(append(fs, now), notSeen(), p, seen, env)
}

func TestUpgradeGoldens(t *testing.T) {
	tl := upgraded(t)
	for name, c := range map[string]struct {
		format Format
		o      Options
	}{
		"upgrade.txt":       {FormatTable, Options{Width: 120}},
		"upgrade-60.txt":    {FormatTable, Options{Width: 60}},
		"upgrade-wide.txt":  {FormatWide, Options{}},
		"upgrade.json":      {FormatJSON, Options{}},
		"upgrade.sarif":     {FormatSARIF, Options{}},
		"upgrade.junit.xml": {FormatJUnit, Options{}},
	} {
		got := render(t, c.format, tl, c.o)
		golden(t, name, got)
		if strings.ContainsAny(string(got), "\x1b\u202e") {
			t.Errorf("%s lets an unsafe character through", name)
		}
		if c.format == FormatTable {
			fits(t, name, string(got), c.o)
		}
	}
}

// The schema is the official one of OASIS.
func TestSARIFIsValid(t *testing.T) {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	official, err := compiler.Compile("testdata/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	empty := timeline.Build(nil, nil, policy.Default(), seen, timeline.Envelope{})
	for name, ts := range map[string][]timeline.Timeline{"upgrade": {upgraded(t)}, "node": {fixture()}, "empty": {empty}, "two": {upgraded(t), fixture()}, "none": nil} {
		var b bytes.Buffer
		if err := SARIF(&b, ts); err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(&b)
		if err != nil {
			t.Fatal(err)
		}
		if err := official.Validate(value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSARIFResults(t *testing.T) {
	var log sarifLog
	if err := json.Unmarshal(render(t, FormatSARIF, upgraded(t), Options{}), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	levels := map[string]string{}
	for _, r := range run.Results {
		l := r.Locations[0]
		place := ""
		if l.Physical != nil {
			place = l.Physical.Artifact.URI
			if l.Physical.Region != nil {
				place += ":" + strconv.Itoa(l.Physical.Region.StartLine)
			}
		}
		levels[place] = r.Level
		if run.Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID {
			t.Errorf("%s has the rule %d", r.RuleID, r.RuleIndex)
		}
	}
	for place, want := range map[string]string{"charts/psp.yaml:1": "error", "-:3": "warning", "charts/ingress.yaml:2": "error", "file:///var/lib/kubelet/config.yaml": "error",
		"charts/jobs%20of%E2%80%AE%20%3Cus%3E%20&.yaml:7": "error"} {
		if levels[place] != want {
			t.Errorf("at %s: level %q, want %q (%v)", place, levels[place], want, levels)
		}
	}
	if _, far := levels["file:///srv/x:y.yaml:30"]; far {
		t.Error("what lies beyond the upgrade is a result")
	}
	if n := len(run.Invocations[0].Notifications); n != 3 {
		t.Errorf("%d notifications, want two that were not seen and one note", n)
	}
}

// xunit holds what Jenkins' junit-10.xsd and the Ant task's JUnit.xsd both ask
// for: elements, their order, and attributes that must be there.
var xunit = map[string]struct {
	required, optional, children []string
}{
	"testsuites": {nil, nil, []string{"testsuite"}},
	"testsuite": {[]string{"package", "id", "name", "timestamp", "hostname", "tests", "failures", "errors", "time"}, []string{"skipped"},
		[]string{"properties", "testcase", "system-out", "system-err"}},
	"testcase":   {[]string{"name", "classname", "time"}, nil, []string{"skipped", "error", "failure"}},
	"failure":    {[]string{"message", "type"}, nil, nil},
	"error":      {[]string{"message", "type"}, nil, nil},
	"skipped":    {nil, []string{"message"}, nil},
	"properties": {}, "system-out": {}, "system-err": {},
}

func TestJUnitIsValid(t *testing.T) {
	for name, tl := range map[string]timeline.Timeline{"upgrade": upgraded(t), "node": fixture(), "empty": timeline.Build(nil, nil, policy.Default(), seen, timeline.Envelope{})} {
		body := render(t, FormatJUnit, tl, Options{})
		dec := xml.NewDecoder(bytes.NewReader(body))
		dec.Strict = true
		var open []string
		at := []int{0} // the next child's place in the order
		for {
			token, err := dec.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			switch token := token.(type) {
			case xml.StartElement:
				checkElement(t, name, token, open, at)
				open, at = append(open, token.Name.Local), append(at, 0)
			case xml.EndElement:
				open, at = open[:len(open)-1], at[:len(at)-1]
			}
		}
		counted(t, name, body)
	}
}

func checkElement(t *testing.T, name string, e xml.StartElement, open []string, at []int) {
	t.Helper()
	rule, ok := xunit[e.Name.Local]
	if !ok {
		t.Fatalf("%s: an element %s", name, e.Name.Local)
	}
	attrs := map[string]bool{}
	for _, a := range e.Attr {
		attrs[a.Name.Local] = true
		if !slices.Contains(slices.Concat(rule.required, rule.optional), a.Name.Local) {
			t.Errorf("%s: %s has an attribute %s", name, e.Name.Local, a.Name.Local)
		}
	}
	for _, r := range rule.required {
		if !attrs[r] {
			t.Errorf("%s: %s has no attribute %s", name, e.Name.Local, r)
		}
	}
	if len(open) == 0 {
		if e.Name.Local != "testsuites" {
			t.Errorf("%s: the root is %s", name, e.Name.Local)
		}
		return
	}
	order, last := xunit[open[len(open)-1]].children, len(at)-1
	for n, child := range order {
		if child == e.Name.Local {
			if n < at[last] {
				t.Errorf("%s: %s in %s comes too late", name, child, open[len(open)-1])
			}
			at[last] = n
			return
		}
	}
	t.Errorf("%s: %s in %s", name, e.Name.Local, open[len(open)-1])
}

// counted compares a suite's numbers with its cases.
func counted(t *testing.T, name string, body []byte) {
	t.Helper()
	var all junitSuites
	if err := xml.Unmarshal(body, &all); err != nil {
		t.Fatal(err)
	}
	for _, s := range all.Suites {
		failures, errs, skipped := 0, 0, 0
		for _, c := range s.Cases {
			switch {
			case c.Failure != nil:
				failures++
			case c.Error != nil:
				errs++
			case c.Skipped != nil:
				skipped++
			}
		}
		if s.Tests != len(s.Cases) || s.Failures != failures || s.Errors != errs || s.Skipped != skipped {
			t.Errorf("%s: %s says %d tests, %d failures, %d errors, %d skipped", name, s.Name, s.Tests, s.Failures, s.Errors, s.Skipped)
		}
	}
}

// Thousands of findings of one kind are one paragraph in the table.
func TestManyPlaces(t *testing.T) {
	fs := make([]finding.Finding, 0, 3000)
	for n := range 3000 {
		fs = append(fs, object("1.25", finding.Breaks, "batch/v1beta1", "CronJob", fmt.Sprintf("backup-%d", n), "all.yaml", n+1))
	}
	tl := timeline.Build(fs, nil, policy.Default(), seen, timeline.Envelope{Upgrade: &timeline.Way{Way: rules.Way{To: 29}}})
	table := string(render(t, FormatTable, tl, Options{Width: 80}))
	if lines := strings.Count(table, "\n"); lines > 40 || !strings.Contains(table, "3000 times") || !strings.Contains(table, "and 2995 more places") {
		t.Errorf("%d lines:\n%.2000s", lines, table)
	}
	if wide := string(render(t, FormatWide, tl, Options{})); !strings.Contains(wide, "all.yaml:2999 ") {
		t.Error("the wide form leaves places out")
	}
}

func BenchmarkJSON(b *testing.B) {
	fs := make([]finding.Finding, 0, 5000)
	for n := range 5000 {
		fs = append(fs, object("1.25", finding.Breaks, "batch/v1beta1", "CronJob", fmt.Sprintf("backup-ü-%d", n), "all.yaml", n+1))
	}
	for b.Loop() {
		tl := timeline.Build(fs, nil, policy.Default(), seen, timeline.Envelope{Upgrade: &timeline.Way{Way: rules.Way{To: 29}}})
		if err := JSON(io.Discard, tl); err != nil {
			b.Fatal(err)
		}
	}
}

// The columns of a diff count: it is printed as it is, at any width.
func TestDiffsKeepTheirColumns(t *testing.T) {
	f := object("1.37", finding.Changes, "v1", "Pod", "p", "p.yaml", 1)
	f.Fix = "set it in the template:\n+ securityContext:\n+   seccompProfile:\n+     type: RuntimeDefault\n  containers: []"
	tl := timeline.Build([]finding.Finding{f}, nil, policy.Default(), time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC), timeline.Envelope{Upgrade: &timeline.Way{Way: rules.Way{From: 36, To: 37}}})
	for _, width := range []int{0, 40} {
		var b bytes.Buffer
		if err := Timeline(&b, FormatTable, tl, Options{Width: width}); err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(f.Fix, "\n")[1:] {
			if want := "\n" + strings.Repeat(" ", 2*impactRoom) + line + "\n"; !strings.Contains(b.String(), want) {
				t.Errorf("at a width of %d there is no %q in\n%s", width, want, b.String())
			}
		}
	}
}

// Volumes of different plugins are no group: what helps one does not help another.
func TestVolumesAreToldByPlugin(t *testing.T) {
	var all []finding.Finding
	for n, fix := range []string{"install the CSI driver a", "move the data", "install the CSI driver a"} {
		f := object("1.37", finding.Breaks, "v1", "PersistentVolume", fmt.Sprint("v", n), "", 0)
		f.Code, f.Fix = finding.VolumePluginRemoved, fix
		all = append(all, f)
	}
	tl := timeline.Build(all, nil, policy.Default(), time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC), timeline.Envelope{Upgrade: &timeline.Way{Way: rules.Way{From: 36, To: 37}}})
	var b bytes.Buffer
	if err := Timeline(&b, FormatTable, tl, Options{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"(VolumePluginRemoved), 2 times\n", "Fix:     install the CSI driver a\n", "Fix:     move the data\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("there is no %q in\n%s", want, b.String())
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
)

// known are the embedded tables.
func known(t testing.TB) *rules.Set {
	t.Helper()
	set, err := rules.Load()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// objects are documents of YAML as a cluster has them, or as a file does where
// it is named.
func objects(t testing.TB, file, text string) []fact.Fact {
	t.Helper()
	var all []fact.Fact
	line := 1
	for document := range strings.SplitSeq(text, "---\n") {
		content, err := yaml.YAMLToJSON([]byte(document))
		if err != nil {
			t.Fatal(err)
		}
		var head struct {
			APIVersion, Kind string
			Metadata         struct{ Namespace, Name string }
		}
		if err := yaml.Unmarshal([]byte(document), &head); err != nil {
			t.Fatal(err)
		}
		o := fact.Object{
			APIVersion: fact.Text(head.APIVersion), Type: fact.Text(head.Kind),
			Namespace: fact.Text(head.Metadata.Namespace), Name: fact.Text(head.Metadata.Name), Content: content,
		}
		if file != "" {
			o.File, o.Line = file, line
		}
		line += strings.Count(document, "\n") + 1
		all = append(all, o)
	}
	return all
}

// found shows a judge facts and returns what follows.
func found(t testing.TB, from, to release.Minor, facts ...fact.Fact) []finding.Finding {
	t.Helper()
	j := New(known(t), rules.Way{From: from, To: to})
	for _, f := range facts {
		j.See(f)
	}
	if unseen := j.Unseen(); len(unseen) > 0 {
		t.Errorf("not understood: %v", unseen)
	}
	return j.Findings()
}

// told is a finding in a line: ID, code, impact, end.
func told(f finding.Finding) string {
	end := f.End.Version
	if f.End.Now {
		end = "now"
	}
	return fmt.Sprintf("%s %s %s %s", f.ID, f.Code, f.Impact, end)
}

func lines(all []finding.Finding) string {
	var b strings.Builder
	for _, f := range all {
		b.WriteString(told(f) + "\n")
	}
	return b.String()
}

// expect compares findings with lines, and checks what each has to have.
func expect(t testing.TB, all []finding.Finding, want string) {
	t.Helper()
	if got := lines(all); strings.TrimSpace(got) != strings.TrimSpace(want) {
		t.Errorf("found:\n%swant:\n%s", got, want)
	}
	for _, f := range all {
		if _, ok := finding.Explain(f.Code); !ok {
			t.Errorf("%s is in no table", f.Code)
		}
		if f.Effect == "" || f.Fix == "" || f.Impact == "" || f.Class == "" || f.End.Basis == "" {
			t.Errorf("%s is not whole: %+v", told(f), f)
		}
		if (f.Class == finding.Fault) != (f.Impact == finding.Blocks || f.Impact == finding.Breaks) {
			t.Errorf("%s has the class %s", told(f), f.Class)
		}
	}
}

func TestChangesCanBeRead(t *testing.T) {
	for _, c := range []change{
		appArmorFields, criRuntimeConfig, criV1, cronJobTimeZone, cronJobZoneRefused, dockershimGone, kubeadmKubeletSkew, kubeletSkew,
		kubeProxyDistroless, logsHandlerOff, podSecurity, podSecurityPolicyGone, seccompAnnotationsIgnored,
	} {
		row := changes()[c]
		if row.IsZero() || !strings.Contains(row.Citation, "@v") || row.Origin != release.Measured && row.Origin != release.Planned {
			t.Errorf("%s: %+v", c, row)
		}
	}
	if n := len(changes()); n != 13 {
		t.Errorf("%d changes", n)
	}
	for _, bad := range []string{"h,m,o,c\na,1.x,measured,x\n", "h,m,o,c\na,1.2\n"} {
		if _, err := readChanges([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// Each table of another package says the same where it has the same.
func TestChangesAgreeWithTheTables(t *testing.T) {
	set := known(t)
	plugin, _ := set.AdmissionPlugin("PodSecurityPolicy")
	if got := changes()[podSecurityPolicyGone].Minor; got != plugin.Known.Last()+1 {
		t.Errorf("PodSecurityPolicies end with %s, the plugin with %s", got, plugin.Known.Last())
	}
	for gate, c := range map[string]change{"CronJobTimeZone": cronJobTimeZone, "PodSecurity": podSecurity, "AppArmorFields": appArmorFields} {
		m := changes()[c].Minor
		if !onByDefault(set, gate, m) || onByDefault(set, gate, m-1) {
			t.Errorf("%s is not on by default from %s on", gate, m)
		}
	}
}

func TestWhatIsNoneOfItsKindIsUnseen(t *testing.T) {
	j := New(known(t), rules.Way{From: 24, To: 25})
	for i := range unseenLimit + 3 {
		j.See(fact.Object{APIVersion: "v1", Type: "Pod", Namespace: "a", Name: fact.Text(fmt.Sprint(i)), Content: []byte(`{"spec":{"containers":7}}`)})
	}
	all := j.Unseen()
	if len(all) != unseenLimit+1 || all[0].What != "cluster/Pod/a/0" || !strings.HasPrefix(string(all[unseenLimit].Detail), "3 objects") {
		t.Errorf("%d: %v ... %v", len(all), all[0], all[len(all)-1])
	}
	if got := j.Findings(); len(got) > 0 {
		t.Errorf("found %s", lines(got))
	}
}

func TestFewNamesTheFirst(t *testing.T) {
	for _, order := range [][]string{{"d", "c", "b", "a", "e"}, {"a", "b", "c", "d", "e"}} {
		var f few
		for _, name := range order {
			f.add(name)
		}
		if got := f.String(); got != "a, b, c and 2 more" {
			t.Errorf("%v: %s", order, got)
		}
	}
}

// What was found does not depend on the order in which it was seen.
func TestOrderDoesNotMatter(t *testing.T) {
	facts := append(objects(t, "", wholeCluster), fact.EtcdMember{Endpoint: "a:2379", Name: "a", Version: "3.5.9", Hash: 1, Revision: 5},
		fact.EtcdMember{Endpoint: "b:2379", Name: "b", Version: "3.5.9", Hash: 2, Revision: 5})
	forward := New(known(t), rules.Way{From: 24, To: 37})
	backward := New(known(t), rules.Way{From: 24, To: 37})
	for i := range facts {
		forward.See(facts[i])
		backward.See(facts[len(facts)-1-i])
	}
	forward.Kubectl("/usr/bin/kubectl", "v1.25.3")
	forward.Kubectl("/usr/local/bin/kubectl", "v1.26.0")
	backward.Kubectl("/usr/local/bin/kubectl", "v1.26.0")
	backward.Kubectl("/usr/bin/kubectl", "v1.25.3")
	one, other := fmt.Sprintf("%+v", redacted(forward.Findings())), fmt.Sprintf("%+v", redacted(backward.Findings()))
	if one != other || len(forward.Findings()) < 12 {
		t.Errorf("forward:\n%s\nbackward:\n%s", one, other)
	}
}

// redacted replaces pointers by what they point to.
func redacted(all []finding.Finding) []string {
	var texts []string
	for _, f := range all {
		texts = append(texts, fmt.Sprint(told(f), f.Effect, f.Fix, f.Evidence.Notes, *orEmpty(f.Object), *orNone(f.Rule)))
	}
	return texts
}

func orEmpty(o *finding.Object) *finding.Object {
	if o == nil {
		return &finding.Object{}
	}
	return o
}

func orNone(r *finding.Rule) *finding.Rule {
	if r == nil {
		return &finding.Rule{}
	}
	return r
}

// What is seen is not kept: a judge that has seen many pods is no larger than
// one that has seen few.
func TestMemoryIsThatOfNamespaces(t *testing.T) {
	pods := generate()
	contents := make([]json.RawMessage, len(pods))
	for i, p := range pods {
		contents[i], _ = json.Marshal(p)
	}
	j := New(known(t), rules.Way{From: 24, To: 37})
	see := func(from, to int) uint64 {
		for i := from; i < to; i++ {
			j.See(fact.Object{APIVersion: "v1", Type: "Pod", Namespace: "ns", Name: fact.Text(fmt.Sprintf("pod-%06d", i)), Content: contents[i%10]})
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	few := see(0, 100)
	if many := see(100, 5100); many > few+256<<10 {
		t.Errorf("5000 pods more took %d KiB", (many-few)>>10)
	}
	if got := j.security.spaces["ns"].workloads; got != 5100 {
		t.Errorf("%d pods were judged", got)
	}
}

// SPDX-License-Identifier: Apache-2.0

package publish_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/publish"
)

// ruleFile is the part of Prometheus' rules that alerts have.
type ruleFile struct {
	Groups []struct {
		Rules []struct {
			Alert       string            `json:"alert"`
			Expr        string            `json:"expr"`
			For         string            `json:"for"`
			Labels      map[string]string `json:"labels"`
			Annotations map[string]string `json:"annotations"`
		} `json:"rules"`
	} `json:"groups"`
}

// ruleTests is the part of promtool's tests that says what is expected.
type ruleTests struct {
	Tests []struct {
		Alerts []struct {
			At    string `json:"eval_time"`
			Alert string `json:"alertname"`
			Exp   []struct {
				Labels map[string]string `json:"exp_labels"`
			} `json:"exp_alerts"`
		} `json:"alert_rule_test"`
	} `json:"tests"`
}

func load(t *testing.T, name string, into any) {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(rulesDir, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(body, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func rules(t *testing.T) (f ruleFile) {
	t.Helper()
	load(t, "perennial.rules.yaml", &f)
	if len(f.Groups) == 0 || len(f.Groups[0].Rules) == 0 {
		t.Fatal("there are no rules")
	}
	return f
}

func TestEveryAlertSaysWhatToDo(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(repository, "docs/runbooks/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[string]bool{}
	for _, r := range rules(t).Groups[0].Rules {
		if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) || r.For == "" {
			t.Errorf("%s: severity %q, for %q", r.Alert, r.Labels["severity"], r.For)
		}
		for _, a := range []string{"summary", "description"} {
			if r.Annotations[a] == "" || strings.Contains(r.Annotations[a], "\n") {
				t.Errorf("%s: the %s is %q", r.Alert, a, r.Annotations[a])
			}
		}
		page := "docs/runbooks/" + r.Alert + ".md"
		if r.Annotations["runbook_url"] != page {
			t.Errorf("%s: the runbook is %q, want %q", r.Alert, r.Annotations["runbook_url"], page)
		}
		wanted[filepath.Join(repository, page)] = true
		body, err := os.ReadFile(filepath.Join(repository, page))
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.HasPrefix(string(body), "# "+r.Alert+"\n") {
			t.Errorf("%s is not headed by the alert", page)
		}
		for _, part := range []string{"## Meaning", "## How urgent", "## Look", "## Mend it", "## By hand"} {
			if !strings.Contains(string(body), "\n"+part+"\n") {
				t.Errorf("%s has no part %q", page, part)
			}
		}
	}
	for _, p := range pages {
		// The other pages are about codes; those that make them look after them.
		if strings.HasPrefix(filepath.Base(p), "Perennial") && !wanted[p] {
			t.Errorf("%s is about no alert", p)
		}
	}
}

// TestEveryAlertIsTested asks for a minute at which each rule fires, and one at
// which no alert of its name does.
func TestEveryAlertIsTested(t *testing.T) {
	var tests ruleTests
	load(t, "perennial.rules_test.yaml", &tests)
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range tests.Tests {
		for _, a := range test.Alerts {
			silent[a.Alert] = silent[a.Alert] || len(a.Exp) == 0
			for _, e := range a.Exp {
				fires[a.Alert+" "+e.Labels["kind"]] = true
			}
		}
	}
	for _, r := range rules(t).Groups[0].Rules {
		if !fires[r.Alert+" "+r.Labels["kind"]] {
			t.Errorf("%s %s fires in no test", r.Alert, r.Labels["kind"])
		}
		if !silent[r.Alert] {
			t.Errorf("%s: no test in which it does not fire", r.Alert)
		}
	}
}

// TestRulesAskForWhatIsThere compares the rules with the metrics, labels and codes
// of the program.
func TestRulesAskForWhatIsThere(t *testing.T) {
	labels := map[string][]string{}
	for _, d := range publish.Described {
		labels[d.Name] = append(slices.Clone(d.Labels), "job", "instance")
	}
	selector := regexp.MustCompile(`(perennial_\w+)(?:\{([^}]*)\})?`)
	matcher := regexp.MustCompile(`(\w+)(?:=|!=|=~|!~)(?:"([^"]*)"|%q)`)
	for _, r := range rules(t).Groups[0].Rules {
		for _, text := range append([]string{r.Expr}, r.Annotations["summary"], r.Annotations["description"]) {
			for _, s := range selector.FindAllStringSubmatch(text, -1) {
				known, ok := labels[s[1]]
				if !ok {
					t.Errorf("%s: there is no metric %s", r.Alert, s[1])
				}
				for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
					if !slices.Contains(known, m[1]) {
						t.Errorf("%s: %s has no label %s", r.Alert, s[1], m[1])
					}
					if m[1] == "code" && m[2] != "" && s[1] != "perennial_person_needed" { // that has codes of the agent, too
						codesExist(t, r.Alert, m[2])
					}
				}
			}
		}
	}
}

func codesExist(t *testing.T, alert, pattern string) {
	t.Helper()
	for code := range strings.SplitSeq(pattern, "|") {
		if _, ok := finding.Explain(finding.Code(code)); !ok {
			t.Errorf("%s: there is no code %q", alert, code)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package publish_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"perennial.dev/perennial/internal/publish"
)

// dashboard is what the test needs of Grafana's form of a dashboard.
type dashboard struct {
	UID        string
	Templating struct {
		List []struct {
			Name  string
			Query any // of a data source, or of what such a one is asked
		}
	}
	Panels []struct {
		ID                       int
		Type, Title, Description string
		Datasource               struct{ UID string }
		GridPos                  struct{ X, Y, W, H int }
		Targets                  []struct{ RefID, Expr string }
		Transformations          []struct {
			Options struct {
				RenameByName  map[string]string
				ExcludeByName map[string]bool
			}
		}
		Options struct {
			SortBy []struct{ DisplayName string }
		}
		FieldConfig struct {
			Overrides []struct{ Matcher struct{ ID, Options string } }
		}
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	body, err := os.ReadFile(repository + "/deploy/grafana/perennial.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Panels) < 15 {
		t.Fatalf("%d panels", len(d.Panels))
	}
	return d
}

// variables are what Prometheus is asked for the values of variables.
func (d dashboard) variables() (all []string) {
	for _, v := range d.Templating.List {
		if q, is := v.Query.(map[string]any); is {
			all = append(all, q["query"].(string))
		}
	}
	return all
}

var (
	ourMetric = regexp.MustCompile(`\bperennial_[a-z_]+`)
	selected  = regexp.MustCompile(`(perennial_[a-z_]+)\{([^}]*)\}`)
	labelName = regexp.MustCompile(`([a-z_]+) ?(?:=~|!~|!=|=)`)
	grouped   = regexp.MustCompile(`\b(?:by|on) \(([^)]*)\)`)
)

// TestDashboardAsksForWhatThereIs compares the metrics and the labels of every
// expression with those that are published.
func TestDashboardAsksForWhatThereIs(t *testing.T) {
	d := readDashboard(t)
	labels, asked := map[string][]string{}, map[string]bool{}
	for _, m := range publish.Described {
		labels[m.Name] = append([]string{"instance"}, m.Labels...)
	}
	exprs := []string{}
	exprs = append(exprs, d.variables()...)
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			exprs = append(exprs, target.Expr)
		}
	}
	for _, expr := range exprs {
		has := []string{}
		for _, name := range ourMetric.FindAllString(expr, -1) {
			if labels[name] == nil {
				t.Errorf("%s: there is no metric %s", expr, name)
			}
			asked[name] = true
			has = append(has, labels[name]...)
		}
		for _, s := range selected.FindAllStringSubmatch(expr, -1) {
			for _, l := range labelName.FindAllStringSubmatch(s[2], -1) {
				if !slices.Contains(labels[s[1]], l[1]) {
					t.Errorf("%s: %s has no label %s", expr, s[1], l[1])
				}
			}
		}
		for _, g := range grouped.FindAllStringSubmatch(expr, -1) {
			for l := range strings.SplitSeq(g[1], ",") {
				if !slices.Contains(has, strings.TrimSpace(l)) {
					t.Errorf("%s: nothing in it has the label %s", expr, l)
				}
			}
		}
	}
	for _, name := range []string{"perennial_end_timestamp_seconds", "perennial_verdict", "perennial_unseen", "perennial_person_needed", "perennial_line_stopped",
		"perennial_last_look_timestamp_seconds", "perennial_changes_total", "perennial_next_change_timestamp_seconds", "perennial_data_as_of_timestamp_seconds"} {
		if !asked[name] {
			t.Errorf("no panel shows %s", name)
		}
	}
}

func TestDashboardIsWhole(t *testing.T) {
	d := readDashboard(t)
	ids, at := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if p.ID == 0 || ids[p.ID] || p.Title == "" || p.Description == "" || len(p.Targets) == 0 || p.Datasource.UID != "${datasource}" {
			t.Errorf("panel %d %q is not whole", p.ID, p.Title)
		}
		ids[p.ID] = true
		if p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %q is wider than the page", p.Title)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, taken := at[[2]int{x, y}]; taken {
					t.Fatalf("panels %q and %q overlap", p.Title, other)
				}
				at[[2]int{x, y}] = p.Title
			}
		}
	}
}

// TestPromtoolReadsTheDashboard lets Prometheus' own parser read every expression, as
// a rule, with Grafana's variables filled in.
func TestPromtoolReadsTheDashboard(t *testing.T) {
	fill := strings.NewReplacer("$__rate_interval", "5m", "$__range", "7d", "$instance", ".*")
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	for _, p := range readDashboard(t).Panels {
		for n, target := range p.Targets {
			if expr := fill.Replace(target.Expr); strings.Contains(expr, "$") {
				t.Errorf("%s has a variable that is not known", target.Expr)
			}
			rules = append(rules, rule{fmt.Sprintf("dashboard:panel_%d_%d", p.ID, n), fill.Replace(target.Expr)})
		}
	}
	file := map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}}
	body, err := yaml.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	name := t.TempDir() + "/rules.yaml"
	if err := os.WriteFile(name, body, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := check(t, "", "check", "rules", name); !strings.Contains(out, fmt.Sprintf("SUCCESS: %d rules found", len(rules))) {
		t.Errorf("%s", out)
	}
}

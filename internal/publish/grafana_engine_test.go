// SPDX-License-Identifier: Apache-2.0

package publish_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"sigs.k8s.io/yaml"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/publish"
	"perennial.dev/perennial/internal/timeline"
)

// fixtureTimeline is the one that every format has a golden of.
func fixtureTimeline(t *testing.T) timeline.Timeline {
	t.Helper()
	body, err := os.ReadFile("../report/testdata/timeline.json")
	if err != nil {
		t.Fatal(err)
	}
	line, err := timeline.Read(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// scraped are series as Prometheus has them, with a value for each scrape; "_" where
// there was none.
type scraped map[string][]string

// take is one scrape of an instance.
func (s scraped) take(t *testing.T, instance string, n int, text string) {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for name, family := range families {
		if !strings.HasPrefix(name, "perennial_") {
			continue // the Go runtime's
		}
		for _, m := range family.Metric {
			labels := model.Metric{model.MetricNameLabel: model.LabelValue(name), "instance": model.LabelValue(instance), "job": "perennial"}
			for _, l := range m.Label {
				labels[model.LabelName(l.GetName())] = model.LabelValue(l.GetValue())
			}
			series := labels.String()
			for len(s[series]) < n {
				s[series] = append(s[series], "_")
			}
			value := m.GetGauge().GetValue() + m.GetCounter().GetValue()
			s[series] = append(s[series], strconv.FormatFloat(value, 'f', -1, 64))
		}
	}
}

// scrapes is for how many minutes the agents are scraped, and troubles from which
// minute on everything is wrong.
const scrapes, troubles = 30, 26

// twoAgents are scraped every minute. They find what the fixture has, change
// something, and come to a stop.
func twoAgents(t *testing.T, found timeline.Timeline) scraped {
	t.Helper()
	s := scraped{}
	for _, instance := range []string{"127.0.0.1:9464", "cp2"} {
		m := publish.NewMetrics("1.2.3", "go1.26.8", time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
		m.Every(5 * time.Minute)
		m.Acts(true)
		m.Planned(map[fact.ID]time.Time{"cp1/apiserver": now.AddDate(0, 0, 1)})
		server, err := publish.NewServer(m, well{})
		if err != nil {
			t.Fatal(err)
		}
		for n := range scrapes {
			if n%5 == 0 {
				found.ObservedAt = now.Add(time.Duration(n) * time.Minute)
				m.Looked(found, []string{"processes", "ports"})
				m.Took(time.Duration(n+1) * time.Second)
			}
			m.SettingsValid(n < troubles)
			m.Stopped(n >= troubles)
			if n == troubles {
				m.Changed("renew", "done") // the first one of its kind
				m.PersonNeeded(map[fact.ID][]string{"cp1/admin.conf": {"SANMissing"}, "cp1/agent": {"LineStopped"}})
			}
			answer := httptest.NewRecorder()
			server.ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
			s.take(t, instance, n, answer.Body.String())
		}
	}
	return s
}

// expected is an expression and what Prometheus' engine is to make of it at the last
// scrape.
type expected struct{ expr, value string }

// engine lets Prometheus' own engine, that of promtool, evaluate expressions over
// series, and returns what it says of those that give something else.
func engine(t *testing.T, s scraped, all []expected) string {
	t.Helper()
	type object = map[string]any
	var series, tests []object
	for _, name := range slices.Sorted(maps.Keys(s)) {
		series = append(series, object{"series": name, "values": strings.Join(s[name], " ")})
	}
	for _, e := range all {
		tests = append(tests, object{"expr": e.expr, "eval_time": fmt.Sprintf("%dm", scrapes-1), "exp_samples": []object{{"labels": "{}", "value": e.value}}})
	}
	body, err := yaml.Marshal(object{"rule_files": []string{}, "evaluation_interval": "1m",
		"tests": []object{{"interval": "1m", "input_series": series, "promql_expr_test": tests}}})
	if err != nil {
		t.Fatal(err)
	}
	// Of numbers the file has only the text: 1e9 would be another one.
	body = regexp.MustCompile(`(?m)value: "([0-9.-]+)"$`).ReplaceAll(body, []byte("value: $1"))
	name := t.TempDir() + "/panels.yaml"
	if err := os.WriteFile(name, body, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(promtool(t), "test", "rules", name).CombinedOutput()
	switch {
	case err == nil && strings.Contains(string(out), "SUCCESS"):
		return ""
	case err == nil || !strings.Contains(string(out), "FAILED"):
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

var orNothing = regexp.MustCompile(` or vector\(0\)$`)

// asked is an expression as Grafana would send it for the instances that were chosen.
func asked(expr, instances string) string {
	return strings.NewReplacer("$__rate_interval", "5m", "$instance", instances).Replace(expr)
}

// filled expects an expression to give something. The nought that it gives where there
// is nothing is left out: that would hide that it asks for what nobody publishes.
func filled(expr, instances string) expected {
	return expected{"count(" + asked(orNothing.ReplaceAllString(expr, ""), instances) + ") > bool 0", "1"}
}

// TestPanelsShowWhatAgentsTell lets Prometheus' own engine evaluate the query of every
// panel over what two agents were scraped of: none may be empty, and numbers are those
// of the timeline.
func TestPanelsShowWhatAgentsTell(t *testing.T) {
	found := fixtureTimeline(t)
	s := twoAgents(t, found)
	by := map[string]int{}
	for _, i := range found.Items {
		by[i.State()]++
	}
	first := time.Time{}
	for _, i := range found.Items {
		if end := i.End.Date; i.State() != "accepted" && i.State() != "notice" && !end.IsZero() && (first.IsZero() || end.Before(first)) {
			first = end
		}
	}
	const agents, minutes = 2, 60
	exactly := map[string]int{ // of all agents, at the last scrape
		"Until the next end": int(first.Unix()) - (scrapes-1)*minutes,
		"Overdue":            agents * by["overdue"],
		"Due":                agents * by["due"],
		"Not seen":           agents * len(found.Unseen),
		"A person is needed": agents * 2,
		"Lines stopped":      agents,
		"Last look":          (scrapes-1)*minutes - int(now.Add((scrapes-5)*time.Minute).Unix()),
		"Settings not valid": agents,
		"Left out":           0,
		"Versions":           1,
		"Data as of":         int(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).UnixMilli()),
	}
	var all []expected
	panels := readDashboard(t).Panels
	for _, p := range panels {
		for _, target := range p.Targets {
			for _, instances := range []string{".*", `127\\.0\\.0\\.1:9464`, `127\\.0\\.0\\.1:9464|cp2`} {
				all = append(all, filled(target.Expr, instances))
			}
			if value, is := exactly[p.Title]; is && p.Type == "stat" {
				all = append(all, expected{"sum(" + asked(target.Expr, ".*") + ")", strconv.Itoa(value)})
				delete(exactly, p.Title)
			}
			if p.Title == "Changes" {
				all = append(all, expected{`sum(` + asked(target.Expr, ".*") + `)`, strconv.Itoa(agents)})
			}
		}
	}
	if len(all) < 3*len(panels) || len(exactly) > 0 {
		t.Errorf("%d expressions of %d panels; there is no panel %v", len(all), len(panels), exactly)
	}
	for _, query := range readDashboard(t).variables() {
		metric, label, is := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(query, "label_values("), ")"), ", ")
		if !is {
			t.Errorf("nobody understands %s", query)
		}
		all = append(all, expected{fmt.Sprintf("count(count by (%s) (%s))", label, metric), strconv.Itoa(agents)})
	}
	if wrong := engine(t, s, all); wrong != "" {
		t.Error(wrong)
	}

	// What only a look tells is in its export, too.
	var text bytes.Buffer
	if err := publish.WriteLooks(&text, []timeline.Timeline{found}, publish.Program{Version: "1.2.3", GoVersion: "go1.26.8", AsOf: now}); err != nil {
		t.Fatal(err)
	}
	exported := scraped{}
	for n := range scrapes {
		exported.take(t, "cp1", n, text.String())
	}
	var some []expected
	for _, p := range panels {
		for _, target := range p.Targets {
			names := ourMetric.FindAllString(target.Expr, -1)
			if !slices.ContainsFunc(names, func(n string) bool { return !strings.Contains(text.String(), "# TYPE "+n+" ") }) {
				some = append(some, filled(target.Expr, ".*"))
			}
		}
	}
	if len(some) < 8 {
		t.Errorf("an export fills %d panels only", len(some))
	}
	if wrong := engine(t, exported, some); wrong != "" {
		t.Error(wrong)
	}
}

// A panel that asks for what there is not has to be found.
func TestAnEmptyPanelIsFound(t *testing.T) {
	var all []expected
	for _, expr := range []string{
		`count(perennial_overdue{instance=~"$instance"}) or vector(0)`,                                                    // no such metric
		`count(perennial_verdict{instance=~"$instance", verdict="late"}) or vector(0)`,                                    // no such verdict
		`sum by (verb) (increase(perennial_changes{instance=~"$instance"}[$__rate_interval]))`,                            // another name
		`perennial_acts{instance=~"$instance", node="cp1"}`,                                                               // no such label
		`perennial_verdict{instance=~"$instance"} * on (id, code) perennial_end_timestamp_seconds{instance=~"$instance"}`, // many to many
	} {
		all = append(all, filled(expr, ".*"))
	}
	wrong := engine(t, twoAgents(t, fixtureTimeline(t)), all)
	for _, e := range all {
		if !strings.Contains(wrong, strconv.Quote(e.expr)) {
			t.Errorf("%s passes", e.expr)
		}
	}
}

// TestTablesNameTheirColumns compares what tables rename, hide and sort by with the
// labels of what they ask for.
func TestTablesNameTheirColumns(t *testing.T) {
	labels := map[string][]string{}
	for _, m := range publish.Described {
		labels[m.Name] = m.Labels
	}
	tables := 0
	for _, p := range readDashboard(t).Panels {
		if p.Type != "table" {
			continue
		}
		tables++
		columns := []string{"Time", "Value", "__name__", "instance", "job"}
		for _, name := range ourMetric.FindAllString(p.Targets[0].Expr, -1) {
			columns = append(columns, labels[name]...)
		}
		var shown []string
		for _, f := range p.Transformations {
			for name, as := range f.Options.RenameByName {
				if !slices.Contains(columns, name) {
					t.Errorf("%s: it renames %s, and has %q", p.Title, name, columns)
				}
				shown = append(shown, as)
			}
			for name := range f.Options.ExcludeByName {
				if !slices.Contains(columns, name) {
					t.Errorf("%s: it hides %s, and has %q", p.Title, name, columns)
				}
			}
		}
		for _, by := range p.Options.SortBy {
			if !slices.Contains(shown, by.DisplayName) {
				t.Errorf("%s: it sorts by %s, and shows %q", p.Title, by.DisplayName, shown)
			}
		}
		for _, o := range p.FieldConfig.Overrides {
			if o.Matcher.ID == "byName" && !slices.Contains(shown, o.Matcher.Options) {
				t.Errorf("%s: it formats %s, and shows %q", p.Title, o.Matcher.Options, shown)
			}
		}
	}
	if tables < 5 {
		t.Errorf("%d tables", tables)
	}
}

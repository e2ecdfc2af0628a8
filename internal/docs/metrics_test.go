// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"perennial.dev/perennial/internal/agent"
	"perennial.dev/perennial/internal/publish"
)

func metrics(*testing.T) string {
	var rows [][]string
	for _, d := range publish.Described {
		labels := make([]string, len(d.Labels))
		for n, l := range d.Labels {
			labels[n] = "`" + l + "`"
		}
		kind := "gauge"
		if d.Counter {
			kind = "counter"
		}
		rows = append(rows, []string{"`" + d.Name + "`", kind, strings.Join(labels, ", "), d.Help})
	}
	return table([]string{"metric", "kind", "labels", "meaning"}, rows)
}

// alerts lists the rules, those of one name in one row.
func alerts(t *testing.T) string {
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert  string            `json:"alert"`
				For    string            `json:"for"`
				Labels map[string]string `json:"labels"`
			} `json:"rules"`
		} `json:"groups"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "deploy/prometheus/perennial.rules.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			link := fmt.Sprintf("[%s](runbooks/%s.md)", r.Alert, r.Alert)
			n := slices.IndexFunc(rows, func(row []string) bool { return row[0] == link })
			if n < 0 {
				rows = append(rows, []string{link, r.Labels["severity"], ""})
				n = len(rows) - 1
			}
			after := r.For
			if kind := r.Labels["kind"]; kind != "" {
				after = kind + " " + after
			}
			rows[n][2] += strings.Repeat(", ", min(len(rows[n][2]), 1)) + after
		}
	}
	return table([]string{"alert", "severity", "when it has held for"}, rows)
}

// TestAgentCodesHaveAnAlert compares the agent's own codes with the alerts: what has
// one of its own is left out of PerennialPersonNeeded, whose page names the rest.
func TestAgentCodesHaveAnAlert(t *testing.T) {
	rules, page := read(t, "deploy/prometheus/perennial.rules.yaml"), read(t, "docs/runbooks/PerennialPersonNeeded.md")
	own := regexp.MustCompile(`perennial_person_needed\{code!~"([^"]*)"\}`).FindStringSubmatch(rules)
	if own == nil {
		t.Fatal("PerennialPersonNeeded leaves nothing to other alerts")
	}
	elsewhere := strings.Split(own[1], "|")
	for _, c := range agent.Codes {
		n := slices.Index(elsewhere, string(c.Code))
		switch {
		case n >= 0:
			elsewhere = slices.Delete(elsewhere, n, n+1)
			if !strings.Contains(rules, "alert: Perennial"+string(c.Code)) {
				t.Errorf("%s has no alert", c.Code)
			}
		case !strings.Contains(page, "`"+string(c.Code)+"`"):
			t.Errorf("docs/runbooks/PerennialPersonNeeded.md does not name %s", c.Code)
		}
	}
	if len(elsewhere) > 0 {
		t.Errorf("the agent has no codes %q", elsewhere)
	}
}

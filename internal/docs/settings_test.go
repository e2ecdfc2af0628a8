// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"perennial.dev/perennial/internal/policy"
)

const settingsPage = "docs/settings.md"

// TestSettingsThatPagesShow reads every configuration in the pages as the
// program does. The first in docs/settings.md is the default, but for its
// examples.
func TestSettingsThatPagesShow(t *testing.T) {
	found := map[string]int{}
	for _, page := range pages(t) {
		for _, block := range fenced.FindAllString(read(t, page), -1) {
			body, isYAML := strings.CutPrefix(block, "```yaml\n")
			if !isYAML || !strings.Contains(body, "kind: "+policy.Kind+"\n") {
				continue
			}
			found[page]++
			p, err := policy.Parse([]byte(strings.TrimSuffix(body, "```")))
			if err != nil {
				t.Errorf("%s: %v", page, err)
				continue
			}
			d := policy.Default()
			if p.Renewed != d.Renewed || p.SelfRenewed != d.SelfRenewed || p.TrustAnchor != d.TrustAnchor || p.Support != d.Support {
				t.Errorf("%s: the numbers shown are not the default: %+v, want %+v", page, p, d)
			}
			if page == settingsPage && found[page] == 1 && !reflect.DeepEqual(p.Agent, d.Agent) {
				t.Errorf("%s: the agent's settings shown first are not the default: %+v, want %+v", page, p.Agent, d.Agent)
			}
		}
	}
	if found[settingsPage] == 0 {
		t.Error("no page shows a configuration")
	}
}

// agentSettings is a table of the agent's fields, from the schema.
func agentSettings(t *testing.T) string {
	var doc yaml.Node // JSON is YAML, and its nodes keep the order
	if err := yaml.Unmarshal([]byte(read(t, "docs/schema/config.v1alpha1.json")), &doc); err != nil {
		t.Fatal(err)
	}
	s := schema{root: doc.Content[0]}
	s.rows(s.resolve(field(field(s.root, "properties"), "agent")), "")
	return table([]string{"below `agent`", "default", "what it says"}, s.out)
}

type schema struct {
	root *yaml.Node
	out  [][]string
}

func (s *schema) rows(object *yaml.Node, at string) {
	properties := field(object, "properties")
	for i := 0; i+1 < len(properties.Content); i += 2 {
		name, node := at+properties.Content[i].Value, properties.Content[i+1]
		means := field(node, "description")
		below := s.resolve(node)
		if means == nil {
			means = field(below, "description")
		}
		value := field(node, "default")
		if value == nil {
			value = field(below, "default")
		}
		row := []string{"`" + name + "`", "", means.Value}
		if value != nil {
			row[1] = "`" + value.Value + "`"
		}
		s.out = append(s.out, row)
		if items := field(below, "items"); items != nil {
			if items = s.resolve(items); field(items, "properties") != nil {
				s.rows(items, name+"[].")
			}
		}
		if field(below, "properties") != nil {
			s.rows(below, name+".")
		}
	}
}

func (s *schema) resolve(n *yaml.Node) *yaml.Node {
	if ref := field(n, "$ref"); ref != nil {
		return field(field(s.root, "$defs"), strings.TrimPrefix(ref.Value, "#/$defs/"))
	}
	return n
}

func field(n *yaml.Node, name string) *yaml.Node {
	for i := 0; n != nil && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"perennial.dev/perennial/docs/rights"
	"perennial.dev/perennial/internal/pki"
)

// The agents' roles hold no wildcard, name what they can by name, and are bound to
// the agents' group alone.
func TestAgentRoles(t *testing.T) {
	roles, err := Roles(rights.Agent)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range roles {
		names = append(names, r.String())
		var o struct {
			Rules []struct {
				APIGroups, Resources, ResourceNames, Verbs, NonResourceURLs []string
			}
			Subjects []struct{ Kind, Name string }
			RoleRef  struct{ Name string }
		}
		if err := json.Unmarshal(r.body, &o); err != nil {
			t.Fatal(err)
		}
		for _, rule := range o.Rules {
			all := slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs, rule.NonResourceURLs)
			if slices.ContainsFunc(all, func(word string) bool { return strings.Contains(word, "*") }) || slices.Contains(rule.Resources, "secrets") {
				t.Errorf("%s: %+v", r, rule)
			}
			for _, verb := range rule.Verbs { // the server does not know the name yet, or there is none
				if verb != "create" && verb != "list" && len(rule.NonResourceURLs) == 0 && len(rule.ResourceNames) == 0 {
					t.Errorf("%s: %s on all of %v", r, verb, rule.Resources)
				}
			}
		}
		bound := strings.HasSuffix(r.Kind, "Binding")
		if bound && (len(o.Subjects) != 1 || o.Subjects[0].Kind != "Group" || o.Subjects[0].Name != pki.AgentGroup || o.RoleRef.Name != r.Name) || !bound && len(o.Rules) == 0 {
			t.Errorf("%s: %+v", r, o)
		}
	}
	want := []string{
		"ClusterRole perennial:agent", "ClusterRoleBinding perennial:agent", "Role default/perennial:agent", "RoleBinding default/perennial:agent",
		"Role kube-system/perennial:agent", "RoleBinding kube-system/perennial:agent",
	}
	if !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
}

func TestRolesOnly(t *testing.T) {
	for _, document := range []string{
		"apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n", "kind: ClusterRole\n", "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\n", "{", "- 1\n",
	} {
		if roles, err := Roles([]byte(document)); err == nil {
			t.Errorf("%q: %v", document, roles)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package layout_test

import (
	"slices"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
)

// The agent's kubeconfig is looked for where the agent of this node would have it,
// and is a credential of the node once it is there. Nothing is to be restarted
// for it.
func TestAgentIdentity(t *testing.T) {
	conf := fact.File{Path: layout.AgentConfig, Kubeconfig: &fact.Kubeconfig{}}
	other := running
	other.KubernetesDir = "/srv/kubernetes"
	own := running
	own.Identity = layout.AgentConfig
	named := running
	named.Identity = "/srv/own.conf"
	for name, c := range map[string]struct {
		scope      fact.Scope
		facts      []fact.Fact
		wants, has string
	}{
		"not installed":         {running, nil, layout.AgentConfig, ""},
		"installed":             {running, []fact.Fact{conf}, layout.AgentConfig, layout.AgentConfig},
		"on a mounted disk":     {mounted, []fact.Fact{conf}, layout.AgentConfig, layout.AgentConfig},
		"of another cluster":    {other, []fact.Fact{conf}, "", ""},
		"named":                 {named, []fact.Fact{fact.File{Path: "/srv/own.conf", Kubeconfig: &fact.Kubeconfig{}}}, "/srv/own.conf", "/srv/own.conf"},
		"named and not there":   {named, []fact.Fact{fact.File{Path: "/srv/own.conf", Missing: true}}, "/srv/own.conf", "/srv/own.conf"},
		"not made yet":          {own, []fact.Fact{fact.File{Path: layout.AgentConfig, Missing: true}}, layout.AgentConfig, ""},
		"only an endpoint seen": {fact.Scope{Endpoints: []string{"192.0.2.10:6443"}}, nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := layout.Discover(c.scope, c.facts)
			wanted := slices.ContainsFunc(l.Wants, func(w layout.Want) bool {
				return w.Verb == layout.LookFile && w.Path == c.wants && w.Required == (c.wants != layout.AgentConfig)
			})
			if wanted != (c.wants != "") {
				t.Errorf("wants %v", l.Wants)
			}
			got, found := l.ByID("node/perennial-agent.conf")
			if found != (c.has != "") || got.Path != c.has || len(got.Consumers) != 0 {
				t.Errorf("%+v", got)
			}
			if found && (got.Role != layout.Kubeconfig || !slices.Equal(got.Trust, []string{l.CertDir + "/ca.crt"})) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// An administrator's kubeconfig in the agent's place is what it is.
func TestNamedAdministrator(t *testing.T) {
	scope := running
	scope.Identity = "/etc/kubernetes/admin.conf"
	l := layout.Discover(scope, []fact.Fact{fact.File{Path: scope.Identity, Kubeconfig: &fact.Kubeconfig{}}})
	if got := ids(l); !slices.Equal(got, []string{"node/admin.conf"}) {
		t.Errorf("%v", got)
	}
	if conf, ok := l.Administrator(); !ok || conf != scope.Identity {
		t.Errorf("%s %v", conf, ok)
	}
}

// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/docs/rights"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/pki"
	"perennial.dev/perennial/internal/testlab"
)

// TestAgentRights does with an agent's certificate everything that a handover, a
// restart and a look ask of an API server, and then asks for what else there is.
func TestAgentRights(t *testing.T) {
	testlab.Each(t, func(p *testlab.Plane) {
		roles, err := Roles(rights.Agent)
		if err != nil {
			p.Fatal(err)
		}
		admin, agent := labClient(p, p.Read("admin.conf")), labClient(p, agentConfig(p))
		if _, err := agent.GuardState(p.Context()); !errors.Is(err, ErrForbidden) {
			p.Errorf("before its role is there: %v", err)
		}
		if err := agent.Grant(p.Context(), roles); !errors.Is(err, ErrForbidden) {
			p.Errorf("it has granted itself rights: %v", err)
		}
		for range 2 {
			if err := admin.Grant(p.Context(), roles); err != nil {
				p.Fatal(err)
			}
		}
		p.Part("allowed", func(p *testlab.Plane) { everythingAllowed(p, agent) })
		p.Part("refused", func(p *testlab.Plane) { everythingElseRefused(p, agent) })
		for range 2 {
			if err := admin.Revoke(p.Context(), roles); err != nil {
				p.Error(err)
			}
		}
		if out, ok := p.Kubectl("get", "clusterroles,clusterrolebindings,roles,rolebindings", "-A", "-o", "name"); !ok || strings.Contains(out, "perennial") {
			p.Errorf("left behind:\n%s", out)
		}
	})
}

func labClient(p *testlab.Plane, conf []byte) *Client {
	p.Helper()
	c, err := Open(p.Endpoint, Kubeconfig{Path: "/lab.conf", Data: conf}, "test")
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(c.Close)
	return c
}

// agentConfig is a kubeconfig as `agent install` makes it.
func agentConfig(p *testlab.Plane) []byte {
	p.Helper()
	key, err := pki.ReadPrivateKey(p.Read("pki/ca.key"))
	if err != nil {
		p.Fatal(err)
	}
	ca := pki.Read(p.Read("pki/ca.crt")).Certs
	own, err := pki.NewPrivateKey(fact.Key{Algorithm: "ECDSA", Bits: 256, Format: "SEC1"}, rand.Reader)
	if err != nil {
		p.Fatal(err)
	}
	spec := pki.AgentSpec("perennial-agent.conf", "cp1")
	issued, err := pki.Issue(pki.Request{Wanted: pki.Wanted{Spec: &spec, Key: own}, CA: pki.Authority{Cert: ca[0], Key: key}, Now: time.Now(), Life: time.Hour, Rand: rand.Reader})
	if err != nil {
		p.Fatal(err)
	}
	conf, err := pki.NewKubeconfig("kubernetes", "https://"+p.Endpoint, spec.CommonName, ca, []fact.Cert{issued.Cert}, own)
	if err != nil {
		p.Fatal(err)
	}
	return conf
}

// everythingAllowed calls what internal/bridge, internal/source and
// internal/execute call with the node's identity.
func everythingAllowed(p *testlab.Plane, agent *Client) {
	ctx := p.Context()
	check := func(what string, err error) {
		p.Helper()
		if err != nil {
			p.Errorf("%s: %v", what, err)
		}
	}
	_, err := agent.Endpoints(ctx)
	check("the service kubernetes", err)
	_, err = agent.Sessions(ctx)
	check("sessions", err)
	_, err = agent.KubeProxyReplacement(ctx)
	check("what stands in for kube-proxy", err)
	if err := agent.PoliciesServed(ctx); err == nil {
		check("making the guard", agent.GuardOn(ctx))
		check("proving the guard", agent.GuardProven(ctx))
		check("making the guard again", agent.GuardOn(ctx))
		state, err := agent.GuardState(ctx)
		if err != nil || !state.Whole {
			p.Errorf("the guard: %+v, %v", state, err)
		}
		check("removing the guard", agent.GuardOff(ctx))
	} else if !errors.Is(err, ErrNoPolicies) {
		check("policies", err)
	}
	for _, name := range []string{"kube-controller-manager", "kube-scheduler"} {
		lease := heldLease(p.T, agent, name)
		check("releasing "+name, agent.ReleaseLease(ctx, name, lease.Holder, time.Now()))
		heldLease(p.T, agent, name)
	}
	// Custom resources of others are not served here, and may be asked for.
	for _, group := range []string{"crd.projectcalico.org", "projectcalico.org"} {
		if !mayDo(p, agent, attributes{Verb: "list", Group: group, Resource: "felixconfigurations"}) {
			p.Errorf("felixconfigurations of %s", group)
		}
	}
}

// attributes are those of a SelfSubjectAccessReview.
type attributes struct {
	Verb        string `json:"verb"`
	Group       string `json:"group,omitempty"`
	Resource    string `json:"resource,omitempty"`
	Subresource string `json:"subresource,omitempty"`
	Namespace   string `json:"namespace,omitempty"`
	Name        string `json:"name,omitempty"`
	Path        string `json:"path,omitempty"` // in place of a resource
}

func mayDo(p *testlab.Plane, c *Client, a attributes) bool {
	p.Helper()
	spec := map[string]any{"resourceAttributes": a}
	if a.Path != "" {
		spec = map[string]any{"nonResourceAttributes": a}
	}
	body, err := json.Marshal(map[string]any{"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec})
	if err != nil {
		p.Fatal(err)
	}
	var answer struct {
		Status struct{ Allowed bool }
	}
	err = c.do(p.Context(), request{
		about: "for its rights", verb: http.MethodPost, path: []string{"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"},
		body: body, header: map[string]string{"Content-Type": "application/json"},
	}, &answer)
	if err != nil {
		p.Fatal(err)
	}
	return answer.Status.Allowed
}

// everythingElseRefused asks for what an agent that was taken over would be used
// for, and for the neighbours of each of its rights.
func everythingElseRefused(p *testlab.Plane, agent *Client) {
	const admission, slices, leases, rbac = "admissionregistration.k8s.io", "discovery.k8s.io", "coordination.k8s.io", "rbac.authorization.k8s.io"
	for _, a := range []attributes{
		{Verb: "*", Group: "*", Resource: "*"},
		{Verb: "get", Resource: "secrets", Namespace: "kube-system"}, {Verb: "list", Resource: "secrets"}, {Verb: "watch", Resource: "secrets"},
		{Verb: "create", Resource: "pods", Namespace: "kube-system"}, {Verb: "create", Resource: "pods", Subresource: "exec", Namespace: "default"},
		{Verb: "get", Resource: "pods", Subresource: "exec", Namespace: "default"}, {Verb: "get", Resource: "pods", Subresource: "log", Namespace: "default"},
		{Verb: "list", Resource: "pods"}, {Verb: "delete", Resource: "pods", Namespace: "default"}, {Verb: "create", Resource: "pods", Subresource: "eviction", Namespace: "default"},
		{Verb: "get", Resource: "nodes", Subresource: "proxy"}, {Verb: "create", Resource: "nodes", Subresource: "proxy"}, {Verb: "list", Resource: "nodes"}, {Verb: "patch", Resource: "nodes", Name: "cp1"},
		{Verb: "create", Resource: "serviceaccounts", Subresource: "token", Namespace: "kube-system"},
		{Verb: "impersonate", Resource: "users"}, {Verb: "impersonate", Resource: "groups", Name: "system:masters"},
		{Verb: "create", Group: "certificates.k8s.io", Resource: "certificatesigningrequests"}, {Verb: "update", Group: "certificates.k8s.io", Resource: "certificatesigningrequests", Subresource: "approval"},
		{Verb: "escalate", Group: rbac, Resource: "clusterroles"}, {Verb: "bind", Group: rbac, Resource: "clusterroles"}, {Verb: "create", Group: rbac, Resource: "clusterrolebindings"},
		{Verb: "update", Group: rbac, Resource: "clusterroles", Name: "perennial:agent"}, {Verb: "create", Group: rbac, Resource: "rolebindings", Namespace: "default"},

		{Verb: "list", Resource: "configmaps"}, {Verb: "list", Resource: "configmaps", Name: "kubeadm-config"}, {Verb: "get", Resource: "configmaps", Namespace: "kube-system", Name: "cilium-config"},
		{Verb: "update", Resource: "configmaps", Namespace: "kube-system", Name: "cilium-config"},
		{Verb: "delete", Group: "apps", Resource: "daemonsets", Namespace: "kube-system"}, {Verb: "create", Group: "apps", Resource: "daemonsets", Namespace: "default"}, {Verb: "list", Group: "apps", Resource: "deployments"},
		{Verb: "update", Group: "crd.projectcalico.org", Resource: "felixconfigurations", Name: "default"},
		{Verb: "get", Group: leases, Resource: "leases", Namespace: "kube-system", Name: "other"}, {Verb: "update", Group: leases, Resource: "leases", Namespace: "kube-system", Name: "other"},
		{Verb: "create", Group: leases, Resource: "leases", Namespace: "kube-system"}, {Verb: "delete", Group: leases, Resource: "leases", Namespace: "kube-system", Name: "kube-scheduler"},
		{Verb: "get", Group: leases, Resource: "leases", Namespace: "default", Name: "kube-scheduler"},
		{Verb: "patch", Resource: "endpoints", Namespace: "default", Name: "other"}, {Verb: "patch", Resource: "endpoints", Namespace: "kube-system", Name: "kubernetes"},
		{Verb: "delete", Resource: "endpoints", Namespace: "default", Name: "kubernetes"}, {Verb: "update", Resource: "endpoints", Namespace: "default", Name: "kubernetes"},
		{Verb: "patch", Group: slices, Resource: "endpointslices", Namespace: "default", Name: "other"}, {Verb: "list", Group: slices, Resource: "endpointslices", Namespace: "kube-system"},
		{Verb: "delete", Group: slices, Resource: "endpointslices", Namespace: "default", Name: "kubernetes"},
		{Verb: "get", Resource: "services", Namespace: "default", Name: "other"}, {Verb: "patch", Resource: "services", Namespace: "default", Name: "kubernetes"},
		{Verb: "delete", Group: admission, Resource: "validatingadmissionpolicies", Name: "other"}, {Verb: "update", Group: admission, Resource: "validatingadmissionpolicies", Name: "other"},
		{Verb: "list", Group: admission, Resource: "validatingadmissionpolicies"}, {Verb: "deletecollection", Group: admission, Resource: "validatingadmissionpolicybindings"},
		{Verb: "create", Group: admission, Resource: "validatingwebhookconfigurations"}, {Verb: "create", Group: admission, Resource: "mutatingadmissionpolicies"},

		{Verb: "get", Path: "/logs/"}, {Verb: "get", Path: "/debug/pprof/profile"}, {Verb: "get", Path: "/metrics/slis"}, {Verb: "post", Path: "/metrics"},
	} {
		if mayDo(p, agent, a) {
			p.Errorf("it may: %+v", a)
		}
	}
}

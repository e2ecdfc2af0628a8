// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func testGuard(p *plane) {
	t := p.T
	admin := p.client("admin.conf")
	if !p.is("1.30") {
		noPolicies(t, admin)
		return
	}
	p.absent(admin)
	// Nothing is made, so that nothing is denied, and it is no denial by rights either.
	if err := admin.GuardProven(t.Context()); !errors.Is(err, ErrGuardInactive) {
		t.Errorf("without a guard: %v", err)
	}
	if err := p.client("scheduler.conf").GuardProven(t.Context()); !errors.Is(err, ErrForbidden) || errors.Is(err, ErrGuardInactive) {
		t.Errorf("without the right to try: %v", err)
	}
	if err := p.client("scheduler.conf").GuardOn(t.Context()); !errors.Is(err, ErrForbidden) {
		t.Errorf("without the right to make it: %v", err)
	}
	for range 2 {
		if err := admin.GuardOn(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	if err := admin.GuardProven(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("proven after %v", time.Since(began))
	p.present(admin, true)
	p.emptyingIsDenied()
	p.restIsAllowed()
	if before, after := p.stopped(); before != after {
		t.Errorf("guarded, and the server has stopped and started: the service was %s and is %s", before, after)
	}
	p.fixed(admin)
	p.half(admin)
	for range 2 {
		if err := admin.GuardOff(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	p.absent(admin)
	for end := time.Now().Add(guardTime); denied(admin.try(t.Context(), keptObjects[0], keptObjects[0].emptied)) && time.Now().Before(end); {
		time.Sleep(guardPause) // the server acts on it for a moment longer
	}
	if before, after := p.stopped(); before == after {
		t.Errorf("a server that stops does not empty the service any more: %s", after)
	}
	p.emptiableAgain(admin)
}

func noPolicies(t *testing.T, admin *Client) {
	if err := admin.GuardOn(t.Context()); !errors.Is(err, ErrNoPolicies) {
		t.Errorf("before 1.30: %v", err)
	}
	state, err := admin.GuardState(t.Context())
	if err != nil || state.Presence != Absent {
		t.Errorf("before 1.30: %+v, %v", state, err)
	}
	if err := admin.GuardOff(t.Context()); err != nil {
		t.Errorf("before 1.30: %v", err)
	}
}

func (p *plane) absent(c *Client) {
	p.Helper()
	state, err := c.GuardState(p.Context())
	if err != nil || state.Presence != Absent || state.Whole || !state.Since.IsZero() {
		p.Errorf("%+v, %v: want it absent", state, err)
	}
}

func (p *plane) present(c *Client, whole bool) {
	p.Helper()
	state, err := c.GuardState(p.Context())
	if err != nil || state.Presence != Present || state.Whole != whole || time.Since(state.Since).Abs() > time.Hour {
		p.Errorf("%+v, %v: want it present, whole %v", state, err, whole)
	}
}

// emptying is each way to take the last address away, by another client.
var emptying = [][]string{
	{"patch", "endpoints", "kubernetes", "--type=merge", "-p", `{"subsets":[]}`},
	{"patch", "endpoints", "kubernetes", "--type=merge", "-p", `{"subsets":null}`},
	{"patch", "endpoints", "kubernetes", "--type=merge", "-p", `{"subsets":[{"notReadyAddresses":[{"ip":"192.0.2.10"}],"ports":[{"name":"https","port":6443}]}]}`},
	{"patch", "endpointslices", "kubernetes", "--type=merge", "-p", `{"endpoints":[]}`},
	{"patch", "endpointslices", "kubernetes", "--type=merge", "-p", `{"endpoints":null}`},
	{"patch", "endpointslices", "kubernetes", "--type=merge", "-p", `{"endpoints":[{"addresses":["192.0.2.10"],"conditions":{"ready":false}}]}`},
	{"delete", "endpoints", "kubernetes"},
	{"delete", "endpointslices", "kubernetes"},
	{"delete", "--raw", "/api/v1/namespaces/default/endpoints"},
	{"delete", "--raw", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"},
}

func (p *plane) emptyingIsDenied() {
	p.Helper()
	for _, args := range emptying {
		out, ok := p.Kubectl(append([]string{"-n", "default"}, args...)...)
		if ok || !strings.Contains(out, "ValidatingAdmissionPolicy '"+GuardName+"'") || !strings.Contains(out, guardRemoval) {
			p.Errorf("kubectl %s: %v, %s", strings.Join(args, " "), ok, out)
		}
	}
	if service, err := p.client("admin.conf").Endpoints(p.Context()); err != nil || len(service.Servers) != 1 {
		p.Errorf("after all of that: %+v, %v", service, err)
	}
}

// restIsAllowed makes sure of what the guard must not touch.
func (p *plane) restIsAllowed() {
	p.Helper()
	for _, slice := range []string{"default/other", "kube-system/kubernetes"} {
		namespace, name, _ := strings.Cut(slice, "/")
		p.Apply(`{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "` + name + `", "namespace": "` + namespace + `"},
			"addressType": "IPv4", "endpoints": [{"addresses": ["192.0.2.77"]}]}`)
	}
	for _, args := range [][]string{
		{"annotate", "endpoints", "kubernetes", "still=allowed"},
		{"annotate", "endpointslices", "kubernetes", "still=allowed"},
		// Dry runs, since the server puts its own view back at any moment.
		{"patch", "endpoints", "kubernetes", "--dry-run=server", "--type=merge", "-p", `{"subsets":[{"addresses":[{"ip":"192.0.2.10"},{"ip":"192.0.2.11"}],"ports":[{"name":"https","port":6443}]}]}`},
		{"patch", "endpoints", "kubernetes", "--dry-run=server", "--type=merge", "-p", `{"subsets":[{"addresses":[{"ip":"192.0.2.11"}],"ports":[{"name":"https","port":6443}]}]}`},
		{"patch", "endpointslices", "other", "--type=merge", "-p", `{"endpoints":[]}`},
		{"delete", "endpointslices", "other"},
		{"-n", "kube-system", "patch", "endpointslices", "kubernetes", "--type=merge", "-p", `{"endpoints":[]}`},
		{"-n", "kube-system", "delete", "endpointslices", "kubernetes"},
	} {
		if out, ok := p.Kubectl(args...); !ok {
			p.Errorf("kubectl %s: %s", strings.Join(args, " "), out)
		}
	}
}

// stopped stops the server as the kubelet does and starts it again. It returns
// the versions of what the service leads to: an object that was emptied and
// filled again has another one.
func (p *plane) stopped() (before, after string) {
	p.Helper()
	versions := func() string {
		out, errs, err := p.Try("exec", "--", "kubectl", "get", "endpoints/kubernetes", "endpointslices/kubernetes", "-o", `jsonpath={range .items[*]}{.kind} {.metadata.resourceVersion} {end}`)
		if err != nil || out == "" {
			p.Fatalf("%v: %s%s", err, out, errs)
		}
		return out
	}
	before = versions()
	p.Do("stop", "kube-apiserver")
	p.Do("start", "kube-apiserver")
	admin := p.client("admin.conf") // on a connection of its own
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		if service, err := admin.Endpoints(p.Context()); err == nil && len(service.Servers) > 0 {
			return before, versions()
		} else if time.Now().After(deadline) {
			p.Fatalf("after its start: %+v, %v", service, err)
		}
	}
}

// fixed makes sure that a guard which another weakened is put right.
func (p *plane) fixed(c *Client) {
	p.Helper()
	out, ok := p.Kubectl("patch", "validatingadmissionpolicybinding", GuardName, "--type=merge", "-p", `{"spec":{"validationActions":["Warn"]}}`)
	if !ok {
		p.Fatal(out)
	}
	if err := c.GuardOn(p.Context()); err != nil {
		p.Fatal(err)
	}
	if out, _ := p.Kubectl("get", "validatingadmissionpolicybinding", GuardName, "-o", "jsonpath={.spec.validationActions}"); out != `["Deny"]` {
		p.Errorf("it still says %s", out)
	}
	if err := c.GuardProven(p.Context()); err != nil {
		p.Error(err)
	}
	// The controller manager checks its expressions against the types.
	out, ok = p.Kubectl("wait", "validatingadmissionpolicy", GuardName, "--for=jsonpath={.status.observedGeneration}", "--timeout=30s")
	if !ok {
		p.Fatal(out)
	}
	if out, _ = p.Kubectl("get", "validatingadmissionpolicy", GuardName, "-o", "jsonpath={.status.typeChecking.expressionWarnings}"); out != "" {
		p.Errorf("its expressions do not fit the types: %s", out)
	}
}

func (p *plane) half(c *Client) {
	p.Helper()
	if out, ok := p.Kubectl("delete", "validatingadmissionpolicybinding", GuardName); !ok {
		p.Fatal(out)
	}
	p.present(c, false)
}

// emptiableAgain ends with a service without addresses, and a guard that says
// that it would be of no use.
func (p *plane) emptiableAgain(c *Client) {
	p.Helper()
	// The server puts its own address back every 10 s, so that this is tried
	// until it is seen empty.
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if out, ok := p.Kubectl("patch", "endpointslices", "kubernetes", "--type=merge", "-p", `{"endpoints":[]}`); !ok {
			if !strings.Contains(out, GuardName) {
				p.Fatal(out)
			}
			continue // the server has not seen yet that the guard is gone
		}
		if err = c.GuardOn(p.Context()); errors.Is(err, ErrNoEndpoints) {
			break
		}
		if err := c.GuardOff(p.Context()); err != nil {
			p.Fatal(err)
		}
	}
	if !errors.Is(err, ErrNoEndpoints) {
		p.Fatalf("an empty service: %v", err)
	}
	p.absent(c)
}

func testEndpoints(p *plane) {
	t := p.T
	c := p.client("admin.conf")
	port := netip.MustParseAddrPort(p.Endpoint).Port()
	service, err := c.Endpoints(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("192.0.2.10"), port)}
	if len(service.Servers) != 1 || service.Servers[0] != want[0] || service.Port != 443 || len(service.ClusterIPs) != 1 || service.ClusterIPs[0].String() != "10.96.0.1" {
		t.Errorf("%+v, want the server %v", service, want)
	}
	version, err := c.Version(t.Context())
	if err != nil || string(version.Git) != "v"+p.Version || version.Endpoint != p.Endpoint {
		t.Errorf("%+v, %v", version, err)
	}
}

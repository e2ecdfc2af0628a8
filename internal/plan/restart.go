// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
)

// RestartStep is the restart of one running component, with what will be felt.
// It is refused where nothing would start the component again.
func RestartStep(seen Seen, c layout.Component, why string) (Step, error) {
	if err := supervised(c); err != nil {
		return Step{}, err
	}
	step := Step{
		Verb: Restart, ID: fact.NodeID(seen.Layout.Node, c.Name), Title: "restart " + c.Name, Why: why, Felt: restartFelt[c.Name],
		Stop:   ending(c, grace(c.Name)),
		Expect: []Expect{restarted(c)},
		Once:   "a restart cannot be taken back",
	}
	if c.Manifest == "" {
		step.Stop.Unit = c.Process.Unit
	}
	if seen.Layout.Endpoint(c.Name) != "" {
		step.Expect = append(step.Expect, Expect{Predicate: Answers, Component: c.Name})
	}
	if slices.Contains(telling, c.Name) { // one answers some seconds before it is well
		step.Expect = append(step.Expect, Expect{Predicate: Ready, Component: c.Name})
	}
	if c.Elects() {
		holder, _ := seen.Holder(c.Name)
		step.Expect = append(step.Expect, Expect{Predicate: LeaseHeld, Component: c.Name, Holder: holder})
		if admin, ok := seen.Layout.Administrator(); ok {
			step.Stop.Lease = &Lease{Name: c.Name, Endpoint: seen.Layout.Endpoint(layout.APIServer), Admin: admin}
		}
	}
	return step, nil
}

// ending is the end of a component, which may take so long once it serves nobody any more.
func ending(c layout.Component, grace time.Duration) *Stop {
	delay := shutdownDelay(c)
	s := Stop{Component: c.Name, Grace: Span{grace + delay}, Delay: Span{delay}}.Of(*c.Process)
	return &s
}

// restarted is that another process of a component runs than now.
func restarted(c layout.Component) Expect {
	return Expect{Predicate: Restarted, Component: c.Name, PID: c.Process.PID, After: c.Process.Start, SinceBoot: Span{c.Process.SinceBoot}}
}

// shutdownDelay is for how long an API server serves on when it was told to end,
// while /readyz says no (k8s.io/apiserver pkg/server/genericapiserver.go).
func shutdownDelay(c layout.Component) time.Duration {
	delay, err := time.ParseDuration(c.Flags.Get("shutdown-delay-duration"))
	if err != nil || c.Name != layout.APIServer {
		return 0
	}
	return max(delay, 0)
}

// telling are the components that tell anonymous clients whether they are well.
var telling = []string{layout.APIServer, layout.ControllerManager, layout.Scheduler}

// Holder is who holds a component's lease, where that is a process of this node:
// its identity begins with the host's name (cmd/kube-controller-manager/app
// controllermanager.go, Run).
func (s Seen) Holder(component string) (holder fact.Text, ok bool) {
	host := ""
	for _, f := range s.Facts {
		switch f := f.(type) {
		case fact.Node:
			host = string(f.Hostname)
		case fact.Lease:
			if f.Name == component {
				holder = f.Holder
			}
		}
	}
	for _, name := range []string{host, s.Layout.Node} {
		if name != "" && strings.HasPrefix(string(holder), name+"_") {
			return holder, true
		}
	}
	return "", false
}

func (e Expect) leaseHeld(after Seen) (Answer, string) {
	for _, f := range after.Facts {
		l, ok := f.(fact.Lease)
		switch {
		case !ok || l.Name != e.Component:
		case l.Holder == "":
			return No, fmt.Sprintf("nobody holds the lease of %s", e.Component)
		case l.Holder == e.Holder:
			return No, fmt.Sprintf("the lease of %s is still that of the process from before", e.Component)
		default:
			return Yes, fmt.Sprintf("%s holds its lease", l.Holder)
		}
	}
	return Unknown, fmt.Sprintf("who holds the lease of %s could not be looked at", e.Component)
}

// supervised says whether the end of a component's process is followed by a new
// start: of a static pod by the kubelet, of a systemd service where its unit
// says so. A process that ends on SIGTERM has ended cleanly, so Restart=on-failure
// is not enough (systemd.service(5)).
func supervised(c layout.Component) error {
	unit, restart := c.Process.Unit, c.Process.UnitRestart
	switch {
	case c.Manifest != "" || restart == "always" || restart == "on-success":
		return nil
	case unit == "":
		return fmt.Errorf("nothing was found that would start %s again, no static pod and no systemd unit; restart it by hand", c.Name)
	case restart == "":
		return fmt.Errorf("the file of %s was not found, so whether systemd would start %s again is not known; restart it by hand: systemctl restart %s", fact.Text(unit), c.Name, fact.Text(unit))
	}
	return fmt.Errorf("systemd would not start %s again: %s has Restart=%s; restart it by hand: systemctl restart %s", c.Name, fact.Text(unit), fact.Text(restart), fact.Text(unit))
}

// grace is how long a component may take to end by itself. The API server with
// open watches would take a minute and serves nobody meanwhile: its port is
// closed at once (k8s.io/apiserver pkg/server/genericapiserver.go).
func grace(component string) time.Duration {
	if component == layout.APIServer {
		return 3 * time.Second
	}
	return 10 * time.Second
}

// restartFelt says what a restart of a component is felt as.
var restartFelt = map[string]string{
	layout.ControllerManager: "controllers pause for some seconds; the API is not touched",
	layout.Scheduler:         "new pods wait for about 2 seconds; the API is not touched",
	layout.APIServer:         "the API is away for some seconds on this node: new connections are refused for 2 to 4 seconds and slow for some more",
	layout.Etcd:              "with one member the API answers no writes for 2 to 5 seconds",
	layout.Kubelet:           "nothing: pods keep running",
}

// felt says what the renewal of a credential is felt as, where it is at all.
func felt(c layout.Credential) string {
	switch c.ID.Name() {
	case "apiserver-kubelet-client":
		return "within five minutes the API server closes its connections to the kubelets: running exec, attach, logs -f and port-forward sessions end"
	case "admin.conf", "super-admin.conf":
		return "nothing now: copies on other machines work until their own end and then have to be copied again; renewing revokes nothing"
	}
	return ""
}

func isIP(host string) bool {
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}

// SPDX-License-Identifier: Apache-2.0

package layout_test

import (
	"slices"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
)

func apiServer(path, pod string, args ...string) fact.Manifest {
	return fact.Manifest{Path: path, Name: fact.Text(pod), Containers: []fact.Container{{Name: fact.Text(pod), Args: append([]string{"kube-apiserver"}, args...)}}}
}

// Two API servers with the same files are told apart by the pod's name and the
// port, whichever of them runs.
func TestStandby(t *testing.T) {
	files, main := "--tls-cert-file=/etc/kubernetes/pki/apiserver.crt", []string{"--secure-port=6443"}
	standby := []string{"--secure-port=6444", "--endpoint-reconciler-type=none"}
	mainPod := apiServer("/etc/kubernetes/manifests/kube-apiserver.yaml", "kube-apiserver", append(main, files)...)
	standbyPod := apiServer("/etc/kubernetes/manifests/kube-apiserver-standby.yaml", "kube-apiserver-standby", append(standby, files)...)
	mainRuns := process(1, append([]string{"kube-apiserver"}, append(main, files)...)...)
	standbyRuns := process(2, append([]string{"kube-apiserver"}, append(standby, files)...)...)
	edited := process(3, append([]string{"kube-apiserver", "--v=4"}, append(main, files)...)...)
	for _, c := range []struct {
		name          string
		facts         []fact.Fact
		main, standby int // PIDs; -1: no such component
	}{
		{"both", []fact.Fact{mainPod, standbyPod, mainRuns, standbyRuns}, 1, 2},
		{"both, seen the other way round", []fact.Fact{standbyPod, mainPod, standbyRuns, mainRuns}, 1, 2},
		{"the main one is away", []fact.Fact{mainPod, standbyPod, standbyRuns}, 0, 2},
		{"the standby has not started", []fact.Fact{mainPod, standbyPod, mainRuns}, 1, 0},
		{"the standby is ending", []fact.Fact{mainPod, mainRuns, standbyRuns}, 1, 2},
		{"the standby is ending, and the main one is away", []fact.Fact{mainPod, standbyRuns}, 0, 2},
		{"the main one was edited", []fact.Fact{mainPod, standbyPod, edited, standbyRuns}, 3, 2},
		{"no standby", []fact.Fact{mainPod, mainRuns}, 1, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := layout.Discover(running, c.facts)
			for name, want := range map[string]int{layout.APIServer: c.main, layout.APIServerStandby: c.standby} {
				got := -1
				if comp, ok := l.Component(name); ok {
					if got = 0; comp.Process != nil {
						got = comp.Process.PID
					}
				}
				if got != want {
					t.Errorf("%s: %d, want %d", name, got, want)
				}
			}
			ready := func(w layout.Want) bool { return w.Verb == layout.LookReady }
			if asked := slices.ContainsFunc(l.Wants, ready); asked != (c.standby >= 0) {
				t.Errorf("readiness is asked for: %v", asked)
			}
		})
	}
}

func TestReached(t *testing.T) {
	node := fact.Node{Root: "/", Addresses: []string{"10.0.0.1", "10.0.0.9", "fd00::1", "127.0.0.1"}}
	conf := func(server string) fact.File {
		return fact.File{Path: "/etc/kubernetes/admin.conf", Kubeconfig: &fact.Kubeconfig{Clusters: []fact.KubeconfigCluster{{Current: true, Server: fact.Text(server)}}}}
	}
	for _, c := range []struct {
		name string
		args []string
		conf string
		want []string
	}{
		{"advertised", []string{"--advertise-address=10.0.0.1"}, "", []string{"10.0.0.1:6443"}},
		{"and another port", []string{"--advertise-address=10.0.0.1", "--secure-port=8443"}, "", []string{"10.0.0.1:8443"}},
		{"and a virtual address of this machine", []string{"--advertise-address=10.0.0.1"}, "https://10.0.0.9:6443", []string{"10.0.0.1:6443", "10.0.0.9:6443"}},
		{"a balancer elsewhere", []string{"--advertise-address=10.0.0.1"}, "https://10.0.0.77:6443", []string{"10.0.0.1:6443"}},
		{"IPv6", []string{"--advertise-address=fd00::1", "--bind-address=::"}, "https://[fd00::1]:6443", []string{"[fd00::1]:6443"}},
		{"where it reaches itself", []string{"--bind-address=10.0.0.1", "--advertise-address=10.0.0.1"}, "https://10.0.0.1:6443", nil},
	} {
		l := layout.Discover(running, []fact.Fact{node, process(1, append([]string{"kube-apiserver"}, c.args...)...), fact.Listing{Dir: "/etc/kubernetes"},
			fact.Listing{Dir: "/etc/kubernetes", Files: []string{"/etc/kubernetes/admin.conf"}}, conf(c.conf)})
		if !slices.Equal(l.Reached, c.want) {
			t.Errorf("%s: %v, want %v", c.name, l.Reached, c.want)
		}
	}
}

// Who answers is looked at also when the standby has gone: what steered to it, or
// the change that it was for, may still have to be brought to its end.
func TestReachedIsAsked(t *testing.T) {
	node := fact.Node{Root: "/", Addresses: []string{"10.0.0.1", "127.0.0.1"}}
	want := layout.Want{Verb: layout.LookHandshake, Endpoint: "10.0.0.1:6443", SNI: layout.LoopbackSNI, Local: true}
	for name, c := range map[string]struct {
		left []fact.Fact
		want bool
	}{
		"nothing":            {nil, false},
		"steering":           {[]fact.Fact{fact.Steering{Way: "sk_lookup", Port: 6443}}, true},
		"an unfinished plan": {[]fact.Fact{fact.Unfinished{Plan: "p"}}, true},
	} {
		l := layout.Discover(running, append(c.left, node, process(1, "kube-apiserver", "--advertise-address=10.0.0.1")))
		if asked := slices.Contains(l.Wants, want); asked != c.want {
			t.Errorf("%s is left: %v in %v", name, asked, l.Wants)
		}
	}
}

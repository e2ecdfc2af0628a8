// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
)

const mainPod = `apiVersion: v1
kind: Pod
metadata: {name: kube-apiserver, namespace: kube-system}
spec:
  hostNetwork: true
  containers:
  - name: kube-apiserver
    image: registry.k8s.io/kube-apiserver:v1.36.3
    command: [kube-apiserver, --secure-port=6443, --tls-cert-file=/pki/apiserver.crt]
    volumeMounts: [{name: pki, mountPath: /pki}]
  volumes:
  - {name: pki, hostPath: {path: /etc/kubernetes/pki, type: DirectoryOrCreate}}
`

// firm is ground on which everything is as a handover wants it.
func firm(t *testing.T) plan.Ground {
	t.Helper()
	standby, err := layout.Standby([]byte(mainPod), layout.StandbyOptions{Port: 6444})
	if err != nil {
		t.Fatal(err)
	}
	return plan.Ground{
		API: layout.Component{
			Name: layout.APIServer, Manifest: "/etc/kubernetes/manifests/kube-apiserver.yaml", Process: &fact.Process{PID: 700},
			Flags:  layout.ParseFlags([]string{"--secure-port=6443", "--tls-cert-file=/pki/apiserver.crt"}),
			Mounts: []fact.Mount{{HostPath: "/etc/kubernetes/pki", Path: "/pki", Type: "DirectoryOrCreate"}},
		},
		Standby: standby, Kubelet: plan.Yes, Image: plan.Yes, Firewall: plan.Yes,
		Memory:    plan.MemoryGround{Available: 2 << 30, Resident: 700 << 20},
		CPU:       plan.CPUGround{Cores: 2, Idle: 0.7, Over: 2 * time.Second},
		Paths:     map[string]plan.PathKind{"/etc/kubernetes/pki": plan.PathDirectory, "/etc/kubernetes/pki/apiserver.crt": plan.PathFile},
		Endpoints: []string{"10.0.0.1:6443"},
		Wait:      layout.Wait{Again: 10 * time.Second, AgainMost: 15 * time.Second, Sure: true},
		Connections: []plan.Peer{
			{Loopback: true, Here: true, PID: 700, Command: "kube-apiserver"}, {Here: true, PID: 7, Command: "kubelet"}, {},
		},
	}
}

func TestFirmGround(t *testing.T) {
	g := firm(t)
	if want := []string{"/etc/kubernetes/pki", "/etc/kubernetes/pki/apiserver.crt"}; !slices.Equal(g.WantedPaths(), want) {
		t.Errorf("wanted %q", g.WantedPaths())
	}
	d := g.Decide()
	for _, p := range d.Checks {
		if p.Level != plan.LevelFine || p.Next != "" || p.Says == "" || strings.HasSuffix(p.Says, ".") {
			t.Errorf("%+v", p)
		}
	}
	if d.Way != plan.ByLookup || d.Guard != plan.GuardPolicy || !d.Hold || d.Reasons != nil {
		t.Errorf("%+v", d)
	}
	if d.Outage.Least.Duration != 4*time.Second || d.Outage.Most.Duration != 14*time.Second || d.Outage.Basis == "" {
		t.Errorf("%+v", d.Outage)
	}
}

// preflights are what is wrong with the ground, and what is then said.
var preflights = []struct {
	name  string
	spoil func(*plan.Ground)
	code  plan.PreflightCode
	level plan.Level
	says  string // a part of it
}{
	{"a systemd service", func(g *plan.Ground) { g.API.Manifest = "" }, plan.StandbyManifest, plan.LevelStop, "no static pod"},
	{"a script", func(g *plan.Ground) { g.StandbyProblem = "a shell's \x1b script" }, plan.StandbyManifest, plan.LevelStop, `a shell's \x1b script`},
	{"a sidecar", func(g *plan.Ground) { g.Standby.LeftOut = []string{"kms"} }, plan.StandbyManifest, plan.LevelWarn, "without the containers kms"},
	{"an unknown release", func(g *plan.Ground) { g.Standby.Minor = 0 }, plan.StandbyManifest, plan.LevelWarn, "release of the API server is not known"},
	{"not running", func(g *plan.Ground) { g.API.Process = nil }, plan.ManifestTakenUp, plan.LevelStop, "does not run"},
	{"edited", func(g *plan.Ground) { g.API.Edited = true }, plan.ManifestTakenUp, plan.LevelStop, "edited and not taken up"},
	{"three servers", func(g *plan.Ground) { g.Others = []string{"10.0.0.2:6443", "10.0.0.3:6443"} }, plan.OtherAPIServers, plan.LevelStop, "2 other API servers (10.0.0.2:6443, 10.0.0.3:6443)"},
	{"the loopback only", func(g *plan.Ground) { g.API.Flags = layout.ParseFlags([]string{"--bind-address=::1"}) }, plan.BindAddress, plan.LevelStop, "listens on ::1 only"},
	{"one address", func(g *plan.Ground) { g.API.Flags = layout.ParseFlags([]string{"--bind-address=10.0.0.1"}) }, plan.BindAddress, plan.LevelWarn, "listens on 10.0.0.1 only"},
	{"no kubelet", func(g *plan.Ground) { g.Kubelet = plan.No }, plan.KubeletRuns, plan.LevelStop, "does not run"},
	{"a hidden kubelet", func(g *plan.Ground) { g.Kubelet = plan.Unknown }, plan.KubeletRuns, plan.LevelWarn, "could not be seen"},
	{"little memory", func(g *plan.Ground) { g.Memory.Available = 909 << 20 }, plan.StandbyMemory, plan.LevelStop, "909 MiB of memory are available, and a second API server may take 910 MiB"},
	{"unknown memory", func(g *plan.Ground) { g.Memory = plan.MemoryGround{Problem: "denied"} }, plan.StandbyMemory, plan.LevelStop, "could not be measured: denied"},
	{"unknown size", func(g *plan.Ground) { g.Memory.Resident = 0 }, plan.StandbyMemory, plan.LevelStop, "is not known"},
	{"saturated", func(g *plan.Ground) { g.CPU.Idle = 0.16 }, plan.NodeLoad, plan.LevelStop, "0.3 of 2 cores were idle over 2s"},
	{"busy", func(g *plan.Ground) { g.CPU.Idle = 0.49 }, plan.NodeLoad, plan.LevelWarn, "may be answered 429"},
	{"unknown load", func(g *plan.Ground) { g.CPU = plan.CPUGround{Problem: "denied"} }, plan.NodeLoad, plan.LevelWarn, "denied"},
	{"no image", func(g *plan.Ground) { g.Image = plan.No }, plan.StandbyImage, plan.LevelStop, "v1.36.3"},
	{"an unknown image", func(g *plan.Ground) { g.Image = plan.Unknown }, plan.StandbyImage, plan.LevelWarn, "could not be seen"},
	{"a taken port", func(g *plan.Ground) { g.Listening = []int{6444} }, plan.StandbyPortFree, plan.LevelStop, "port 6444"},
	{"all ports taken", func(g *plan.Ground) { g.Listening = plan.StandbyPorts }, plan.StandbyPortFree, plan.LevelStop, "each of the ports 6444 16443"},
	{"no port", func(g *plan.Ground) { g.Standby.Port = 0 }, plan.StandbyPortFree, plan.LevelStop, "each of the ports 6444 16443"},
	{"a volume of another kind", func(g *plan.Ground) { g.Paths["/etc/kubernetes/pki"] = plan.PathFile }, plan.StandbyVolumes, plan.LevelStop, "is a file and should be a directory"},
	{"a socket is gone", func(g *plan.Ground) {
		g.Standby.Mounts = []fact.Mount{{HostPath: "/run/kms.sock", Type: "Socket"}}
		g.Paths["/run/kms.sock"] = plan.PathMissing
	}, plan.StandbyVolumes, plan.LevelStop, "/run/kms.sock is not there"},
	{"a path without a type is gone", func(g *plan.Ground) {
		g.Standby.Mounts = []fact.Mount{{HostPath: "/srv/kms"}}
		g.Paths["/srv/kms"] = plan.PathMissing
	}, plan.StandbyVolumes, plan.LevelWarn, "would be made empty"},
	{"an unseen volume", func(g *plan.Ground) { delete(g.Paths, "/etc/kubernetes/pki") }, plan.StandbyVolumes, plan.LevelWarn, "could not be looked at"},
	{"a file is gone", func(g *plan.Ground) { g.Paths["/etc/kubernetes/pki/apiserver.crt"] = plan.PathMissing }, plan.ConfigurationFiles, plan.LevelStop, "no file /pki/apiserver.crt (--tls-cert-file)"},
	{"a file in the image", func(g *plan.Ground) { g.API.Mounts = nil }, plan.ConfigurationFiles, plan.LevelWarn, "not looked at: /pki/apiserver.crt"},
	{"a host port", func(g *plan.Ground) { g.Standby.HostPorts = []int{9000} }, plan.HostPorts, plan.LevelWarn, "the ports 9000, too"},
	{"an audit log", func(g *plan.Ground) {
		g.Standby.Audit = layout.StandbyAudit{Main: "/a/audit.log", Path: "/a/audit-standby.log", OnHost: "/h/audit-standby.log"}
	}, plan.AuditLog, plan.LevelWarn, "/h/audit-standby.log"},
	{"an audit log in the container", func(g *plan.Ground) { g.Standby.Audit = layout.StandbyAudit{Main: "/a.log", Path: "/a.log"} }, plan.AuditLog, plan.LevelWarn, "lost"},
	{"before 1.30", func(g *plan.Ground) { g.Standby.Minor = 29 }, plan.EndpointsGuard, plan.LevelWarn, "from 1.30"},
	{"no policies", func(g *plan.Ground) { g.PolicyProblem = "disabled" }, plan.EndpointsGuard, plan.LevelWarn, "entry in etcd, behind the API server's back: disabled"},
	{"no guard", func(g *plan.Ground) { g.PolicyProblem, g.LeaseProblem = "disabled", "no etcd here" }, plan.EndpointsGuard, plan.LevelStop, "disabled; no etcd here"},
	{"empty endpoints", func(g *plan.Ground) { g.Endpoints = nil }, plan.ServiceEndpoints, plan.LevelWarn, "has no endpoints"},
	{"a silent server", func(g *plan.Ground) { g.Endpoints = []string{"a", "b"} }, plan.ServiceEndpoints, plan.LevelWarn, "1 other API server of them did not answer"},
	{"unseen endpoints", func(g *plan.Ground) { g.EndpointProblem = "denied" }, plan.ServiceEndpoints, plan.LevelWarn, "denied"},
	{"an old kernel", func(g *plan.Ground) { g.LookupProblem = "the kernel cannot" }, plan.SteeringByLookup, plan.LevelStop, "the kernel cannot"},
	{"no nftables", func(g *plan.Ground) { g.NATProblem = "not permitted" }, plan.SteeringByNAT, plan.LevelStop, "not permitted"},
	{"a strict firewall", func(g *plan.Ground) { g.Firewall, g.FirewallWhy = plan.No, "timed out" }, plan.NodeFirewall, plan.LevelStop, "does not let port 6444 pass: timed out"},
	{"an unknown firewall", func(g *plan.Ground) { g.Firewall = "" }, plan.NodeFirewall, plan.LevelStop, "is not known"},
	{"Cilium", func(g *plan.Ground) { g.Replacement = "Cilium" }, plan.ProxyReplacement, plan.LevelWarn, "Cilium stands in"},
	{"no hold", func(g *plan.Ground) { g.HoldProblem = "not permitted" }, plan.ConnectionHold, plan.LevelWarn, "may be answered 503"},
	{"unseen connections", func(g *plan.Ground) { g.PeersProblem = "denied" }, plan.OpenConnections, plan.LevelWarn, "denied"},
	{"unseen loopback", func(g *plan.Ground) { g.PeersProblem = "denied" }, plan.LoopbackClients, plan.LevelWarn, "denied"},
	{"a client on the loopback", func(g *plan.Ground) {
		g.Connections = append(g.Connections, plan.Peer{Loopback: true, Here: true, PID: 9, Command: "kube-scheduler"}, plan.Peer{Loopback: true, Here: true})
	}, plan.LoopbackClients, plan.LevelWarn, "2 connections to 127.0.0.1 (kube-scheduler 1)"},
	{"an exec", func(g *plan.Ground) { g.Sessions = plan.Sessions{Exec: 1, Log: 2} }, plan.OpenSessions, plan.LevelWarn, "3 open sessions: 1 exec, 0 attach, 0 port-forward, 2 logs -f"},
	{"unseen sessions", func(g *plan.Ground) { g.SessionsProblem = "denied" }, plan.OpenSessions, plan.LevelWarn, "denied"},
	{"back-off", func(g *plan.Ground) {
		g.Wait = layout.Wait{Now: 40 * time.Second, NowMost: time.Minute, Again: 80 * time.Second, AgainMost: 80 * time.Second, Sure: true}
	}, plan.KubeletRestartBackOff, plan.LevelWarn, "away for 40s to 1m0s, since it ended not long ago; one more end within ten minutes would be followed by 1m20s"},
	{"unsure back-off", func(g *plan.Ground) { g.Wait = layout.Wait{Now: 40 * time.Second, NowMost: time.Minute} }, plan.KubeletRestartBackOff, plan.LevelWarn, "at the most"},
	{"unknown back-off", func(g *plan.Ground) { g.WaitProblem = "denied" }, plan.KubeletRestartBackOff, plan.LevelWarn, "up to 5 minutes"},
}

func TestPreflights(t *testing.T) {
	met := map[plan.PreflightCode]map[plan.Level]bool{}
	for _, c := range preflights {
		g := firm(t)
		g.Paths = maps.Clone(g.Paths)
		c.spoil(&g)
		d := g.Decide()
		found := slices.IndexFunc(d.Checks, func(p plan.Preflight) bool { return p.Code == c.code })
		p := d.Checks[found]
		if p.Level != c.level || !strings.Contains(p.Says, c.says) || strings.ContainsAny(p.Says, "\x1b\n") {
			t.Errorf("%s: %+v, want %s with %q", c.name, p, c.level, c.says)
		}
		if met[c.code] == nil {
			met[c.code] = map[plan.Level]bool{}
		}
		met[c.code][c.level] = true
		// One thing is wrong: sk_lookup goes on unless it is stopped by it.
		want := plan.ByLookup
		switch {
		case c.level != plan.LevelStop || p.Way == plan.ByNAT:
		case p.Way == plan.ByLookup:
			want = plan.ByNAT
		default:
			want = plan.InPlace
		}
		if d.Way != want || (want == plan.ByLookup) != (len(d.Reasons) == 0) {
			t.Errorf("%s: %s for %+v, want %s", c.name, d.Way, d.Reasons, want)
		}
	}
	for _, info := range plan.Preflights {
		if (info.Warns != "") != met[info.Code][plan.LevelWarn] || (info.Stops != "") != met[info.Code][plan.LevelStop] {
			t.Errorf("%s: documented to warn %v and to stop %v, met %v", info.Code, info.Warns != "", info.Stops != "", met[info.Code])
		}
	}
}

func TestDecisions(t *testing.T) {
	g := firm(t)
	g.LookupProblem, g.Firewall = "the kernel cannot", plan.No
	d := g.Decide()
	if d.Way != plan.InPlace || d.Guard != "" || d.Hold || len(d.Reasons) != 2 || d.Reasons[0].Code != plan.SteeringByLookup || d.Reasons[1].Code != plan.NodeFirewall {
		t.Errorf("no steering at all: %+v", d)
	}
	g = firm(t)
	g.LookupProblem, g.PolicyProblem, g.HoldProblem = "the kernel cannot", "disabled", "not permitted"
	if d := g.Decide(); d.Way != plan.ByNAT || d.Guard != plan.GuardLease || d.Hold {
		t.Errorf("by nftables: %+v", d)
	}
	g = firm(t)
	if !g.Decide().Hold {
		t.Error("somebody unknown is connected, and is not held")
	}
	g.Connections = slices.DeleteFunc(g.Connections, func(p plan.Peer) bool { return p.Command == "" })
	if g.Decide().Hold {
		t.Error("the kubelet alone is held, which needs it least")
	}
	g = firm(t)
	g.Memory.Available, g.LookupProblem = 0, "the kernel cannot"
	if d := g.Decide(); d.Way != plan.InPlace || len(d.Reasons) != 1 || d.Reasons[0].Code != plan.StandbyMemory {
		t.Errorf("what stops both ways is the reason: %+v", d)
	}
}

// A way to steer that is wanted is taken, or none.
func TestDecisionsWanted(t *testing.T) {
	for _, c := range []struct {
		wanted      plan.Way
		lookup, nat bool // can be done
		want        plan.Way
		reason      plan.PreflightCode
	}{
		{plan.ByNAT, true, true, plan.ByNAT, ""},
		{plan.ByNAT, true, false, plan.InPlace, plan.NodeFirewall},
		{plan.ByNAT, false, true, plan.ByNAT, ""},
		{plan.ByLookup, true, true, plan.ByLookup, ""},
		{plan.ByLookup, false, true, plan.InPlace, plan.SteeringByLookup},
	} {
		g := firm(t)
		g.Steer = c.wanted
		if !c.lookup {
			g.LookupProblem = "the kernel cannot"
		}
		if !c.nat {
			g.Firewall = plan.No
		}
		d := g.Decide()
		if d.Way != c.want || (c.reason == "") != (len(d.Reasons) == 0) || c.reason != "" && d.Reasons[0].Code != c.reason {
			t.Errorf("%+v: %s for %+v", c, d.Way, d.Reasons)
		}
	}
}

// What an API server would not come back from is no reason to restart it in
// place instead.
func TestWhatEndsAnyRestart(t *testing.T) {
	for _, c := range preflights {
		g := firm(t)
		g.Paths = maps.Clone(g.Paths)
		c.spoil(&g)
		want := slices.Contains([]string{"edited", "no kubelet", "a volume of another kind", "a socket is gone", "a file is gone"}, c.name)
		if d := g.Decide(); want != (len(d.Ends) == 1 && d.Ends[0].Code == c.code) || !want && len(d.Ends) > 0 {
			t.Errorf("%s: %+v", c.name, d.Ends)
		}
	}
}

func TestOutageInPlace(t *testing.T) {
	for name, c := range map[string]struct {
		spoil       func(*plan.Ground)
		least, most time.Duration
		basis       string
	}{
		"back-off":           {func(g *plan.Ground) { g.Wait = layout.Wait{Now: 40 * time.Second, NowMost: time.Minute} }, 44 * time.Second, 74 * time.Second, "and the kubelet's restart back-off"},
		"an unknown history": {func(g *plan.Ground) { g.WaitProblem = "denied" }, 4 * time.Second, 14 * time.Second, "may add up to 5 minutes"},
		"other servers":      {func(g *plan.Ground) { g.Others = []string{"b"} }, 0, 14 * time.Second, "served by the other API servers"},
	} {
		g := firm(t)
		c.spoil(&g)
		o := g.Decide().Outage
		if o.Least.Duration != c.least || o.Most.Duration != c.most || !strings.Contains(o.Basis, c.basis) {
			t.Errorf("%s: %+v", name, o)
		}
	}
}

// What a load balancer learns of a restart, and when.
func TestDrain(t *testing.T) {
	for flag, want := range map[string]string{
		"": "with --shutdown-delay-duration this one would first serve on", "--shutdown-delay-duration=30s": "serves on for 30s first",
		"--shutdown-delay-duration=soon": "this one would first serve on",
	} {
		g := firm(t)
		g.Others = []string{"b"}
		g.API.Flags = layout.ParseFlags([]string{"--secure-port=6443", flag})
		if felt := g.Decide().Felt(); !strings.Contains(felt, want) {
			t.Errorf("%q: %s", flag, felt)
		}
	}
}

func TestStandbyPort(t *testing.T) {
	for _, c := range []struct {
		main      int
		listening []int
		want      int
	}{{6443, nil, 6444}, {6444, nil, 16443}, {6443, []int{22, 6444, 16443}, 16444}, {6443, plan.StandbyPorts, 0}} {
		if got, ok := plan.StandbyPort(c.main, c.listening); got != c.want || ok != (c.want != 0) {
			t.Errorf("beside %d with %d: %d, %v", c.main, c.listening, got, ok)
		}
	}
}

func TestEveryPreflightIsExplained(t *testing.T) {
	for _, info := range plan.Preflights {
		got, ok := plan.ExplainPreflight(info.Code)
		if !ok || got.Title == "" || got.Looks == "" || got.Cure == "" || got.Warns+got.Stops == "" {
			t.Errorf("%s: %+v", info.Code, got)
		}
	}
	if _, ok := plan.ExplainPreflight("Nothing"); ok {
		t.Error("what is no preflight is explained")
	}
}

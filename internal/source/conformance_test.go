// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/source"
)

// subject is a source under the suite: what is wanted of it on a machine, and
// what a want looks like whose path is not there.
type subject struct {
	wants   func(m *machine) []layout.Want
	missing *layout.Want
	live    bool // looks at the running machine; permission bits are not its matter
}

var subjects = map[string]subject{
	"node": {wants: func(*machine) []layout.Want { return []layout.Want{{Verb: layout.LookNode}} }, live: true},
	"manifests": {wants: func(m *machine) []layout.Want {
		_, key := m.pair("in a manifest")
		m.put("etc/kubernetes/manifests/broken.yaml", "a: [\n"+key)
		m.put("etc/kubernetes/manifests/odd.yaml", "apiVersion: v1\nkind: Pod\nspec: \""+strings.ReplaceAll(key, "\n", " ")+"\"\n")
		return []layout.Want{{Verb: layout.LookManifests, Path: "/etc/kubernetes/manifests"}}
	}, missing: &layout.Want{Verb: layout.LookManifests, Path: "/no/manifests"}},
	"kubelet": {wants: func(m *machine) []layout.Want {
		_, key := m.pair("in a kubelet's configuration")
		m.put("etc/kubelet.yaml", "kind: KubeletConfiguration\nport: \""+strings.ReplaceAll(key, "\n", " ")+"\"\n")
		return []layout.Want{{Verb: layout.LookKubelet, Path: "/var/lib/kubelet/config.yaml"}, {Verb: layout.LookKubelet, Path: "/etc/kubelet.yaml"}}
	}, missing: &layout.Want{Verb: layout.LookKubelet, Path: "/no/config.yaml"}},
	"platform": {wants: func(m *machine) []layout.Want {
		m.put("proc/sys/kernel/osrelease", "6.1.0-13-amd64\n")
		m.put("sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n")
		return []layout.Want{{Verb: layout.LookPlatform}}
	}},
	"configs": {wants: func(m *machine) []layout.Want {
		_, key := m.pair("in a configuration")
		m.put("etc/kubernetes/encryption.yaml", "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: |\n  "+strings.ReplaceAll(key, "\n", "\n  ")+"\n")
		m.put("etc/kubernetes/broken.yaml", "a: [\n"+key)
		m.put("etc/kubernetes/kubelet.conf.d/10-gates.conf", "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nfeatureGates: {A: true}\n")
		var wants []layout.Want
		for _, p := range []string{"/etc/kubernetes/encryption.yaml", "/etc/kubernetes/broken.yaml", "/etc/kubernetes/kubelet.conf.d"} {
			wants = append(wants, layout.Want{Verb: layout.LookConfig, Path: p, Component: "kube-apiserver", Flag: "f"})
		}
		return wants
	}, missing: &layout.Want{Verb: layout.LookConfig, Path: "/no/audit.yaml"}},
	"files": {wants: func(m *machine) []layout.Want {
		var wants []layout.Want
		for _, name := range []string{"pki/ca.crt", "pki/ca.key", "pki/apiserver.crt", "pki/apiserver.key", "scheduler.conf"} {
			wants = append(wants, layout.Want{Verb: layout.LookFile, Path: "/etc/kubernetes/" + name})
		}
		return wants
	}, missing: &layout.Want{Verb: layout.LookFile, Path: "/no/ca.crt"}},
	"listing": {wants: func(*machine) []layout.Want {
		return []layout.Want{{Verb: layout.LookListing, Path: "/etc/kubernetes"}, {Verb: layout.LookListing, Path: "/etc"}}
	}, missing: &layout.Want{Verb: layout.LookListing, Path: "/no/pki"}},
	"copies": {wants: func(m *machine) []layout.Want {
		for _, home := range []string{"root", "home/ann", "home/bob"} {
			m.put(home+"/.kube/config", m.kubeconfig("ann"))
		}
		m.put("home/eve/.kube/config", "no kubeconfig")
		return []layout.Want{{Verb: layout.LookCopies, Path: "/root/.kube/config"}, {Verb: layout.LookCopies, Path: "/home/*/.kube/config"}}
	}, missing: &layout.Want{Verb: layout.LookCopies, Path: "/no/.kube/config"}},
	"renewers": {wants: func(m *machine) []layout.Want {
		_, key := m.pair("in a script")
		m.put("etc/systemd/system/k8s-certs-renew.timer", "[Timer]\nOnCalendar=monthly\n")
		m.put("etc/systemd/system/k8s-certs-renew.service", "[Service]\nExecStart=/usr/local/bin/k8s-certs-renew.sh\n")
		m.put("etc/cron.d/certs", "# kubeadm certs renew was here\n0 3 * * 1 root /opt/renew.sh\n")
		m.put("opt/renew.sh", "#!/bin/sh\n"+key+"\nkubeadm certs renew all\n")
		m.put("etc/kubernetes.old-20250101/admin.conf", key)
		return []layout.Want{{Verb: layout.LookRenewers, Path: "/etc/systemd/system"}, {Verb: layout.LookRenewers, Path: "/etc/cron.d"}, {Verb: layout.LookRenewers, Path: "/etc"}}
	}, missing: &layout.Want{Verb: layout.LookRenewers, Path: "/no/cron.d"}},
	"bridge": {wants: func(m *machine) []layout.Want { return []layout.Want{administered(m, false)} }, live: true},
	"changes": {wants: func(m *machine) []layout.Want {
		unfinishedPlan(m)
		return []layout.Want{{Verb: layout.LookJournal, Path: "/var/lib/perennial/journal"}}
	}},
	"archives": {wants: func(m *machine) []layout.Want {
		_, key := m.pair("in the memory of a process")
		m.put("var/lib/kubelet/checkpoints/checkpoint-web_default-app-2026-11-22T08:00:00Z.tar", key)
		m.put("var/lib/kubelet/checkpoints/notes", "x")
		return []layout.Want{{Verb: layout.LookArchives, Path: "/var/lib/kubelet/checkpoints"}}
	}},
	"processes": {wants: func(m *machine) []layout.Want {
		runKubelet(m)
		return []layout.Want{{Verb: layout.LookProcesses}}
	}, live: true},
	"programs": {wants: func(m *machine) []layout.Want {
		return []layout.Want{{Verb: layout.LookProgram, PID: runKubelet(m)}}
	}, live: true},
	"wire": {wants: func(m *machine) []layout.Want {
		endpoint := m.serveTLS()
		return []layout.Want{
			{Verb: layout.LookHandshake, Endpoint: endpoint, Local: true},
			{Verb: layout.LookHandshake, Endpoint: endpoint, SNI: layout.LoopbackSNI, Local: true},
			{Verb: layout.LookVersion, Endpoint: endpoint, Local: true},
			{Verb: layout.LookFleet, Endpoint: endpoint, SNI: layout.LoopbackSNI},
		}
	}, live: true},
}

func TestEverySourceConforms(t *testing.T) {
	for _, e := range source.All() {
		s, ok := subjects[e.Name()]
		if !ok {
			t.Errorf("%s: not in the suite", e.Name())
			continue
		}
		t.Run(e.Name(), func(t *testing.T) {
			m := newMachine(t)
			scope := m.scope(s.wants(m)...)
			if e.Name() == "processes" {
				scope.FS = openRoot(t)
			}
			looksTheSameTwice(t, e, scope, m.secrets)
			stopsWhenCancelled(t, e, scope)
			if s.missing != nil {
				tellsWhatIsMissing(t, e, m, *s.missing)
			}
		})
	}
}

func openRoot(t *testing.T) *host.FS {
	t.Helper()
	fs, err := host.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fs.Close() })
	return fs
}

func look(ctx context.Context, e source.Source, scope source.Scope) (facts []fact.Fact, unseen []fact.Unseen) {
	e.Look(ctx, scope, func(f fact.Fact) { facts = append(facts, f) }, func(u fact.Unseen) { unseen = append(unseen, u) })
	return facts, unseen
}

// looksTheSameTwice wants something to be seen, in the same order whatever the
// order of the wants, and no part of a private key in it.
func looksTheSameTwice(t *testing.T, e source.Source, scope source.Scope, secrets []string) {
	t.Helper()
	facts, unseen := look(t.Context(), e, scope)
	if len(facts) < len(scope.Wants) {
		t.Errorf("%d wants led to %d facts, %v", len(scope.Wants), len(facts), unseen)
	}
	slices.Reverse(scope.Wants)
	again, unseenAgain := look(t.Context(), e, scope)
	first, second := print(t, facts, unseen), print(t, again, unseenAgain)
	if first != second {
		t.Errorf("a second look differs:\n%s\n%s", first, second)
	}
	for _, secret := range secrets {
		if strings.Contains(first, secret) {
			t.Errorf("the private part of a key is in what was seen: %s", secret)
		}
	}
	for _, u := range unseen {
		if u.Source != e.Name() {
			t.Errorf("%s calls itself %s", e.Name(), u.Source)
		}
	}
}

// print writes what was seen, without the instants at which it was, and
// without processes that other tests start and end meanwhile.
func print(t *testing.T, facts []fact.Fact, unseen []fact.Unseen) string {
	t.Helper()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range facts {
		if p, ok := f.(fact.Process); ok && p.Exe != own {
			continue
		}
		switch x := f.(type) {
		case fact.Node:
			x.Now = time.Time{}
			f = x
		case fact.Served:
			x.At = time.Time{}
			f = x
		case fact.Process:
			x.Start = time.Time{}
			f = x
		case fact.Checkpoints: // others write to the same disk
			x.Free = 0
			f = x
		}
		line, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(string(f.Kind()) + " " + string(line) + "\n")
	}
	for _, u := range unseen {
		line, _ := json.Marshal(u)
		b.WriteString("Unseen " + string(line) + "\n")
	}
	return b.String()
}

func stopsWhenCancelled(t *testing.T, e source.Source, scope source.Scope) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	facts, unseen := look(ctx, e, scope)
	if len(facts) != 0 || len(unseen) != len(scope.Wants) {
		t.Errorf("cancelled: %v, %v", facts, unseen)
	}
	for _, u := range unseen {
		if u.Why != fact.Canceled || u.What == "" || u.Detail == "" {
			t.Errorf("%+v", u)
		}
	}
}

func tellsWhatIsMissing(t *testing.T, e source.Source, m *machine, want layout.Want) {
	t.Helper()
	if facts, unseen := look(t.Context(), e, m.scope(want)); len(facts)+len(unseen) != 0 {
		t.Errorf("missing: %v, %v", facts, unseen)
	}
	want.Required = true
	facts, unseen := look(t.Context(), e, m.scope(want))
	if len(facts) != 1 || len(unseen) != 0 {
		t.Fatalf("missing but required: %v, %v", facts, unseen)
	}
	if f, ok := facts[0].(fact.File); !ok || !f.Missing || f.Path != want.Path {
		t.Errorf("%+v", facts[0])
	}
}

// Unreadable means Unseen, with what to do about it. Permission bits do not
// apply to root, so root runs this as somebody else.
func TestNoSourceHidesWhatItMayNotRead(t *testing.T) {
	const variable = "PERENNIAL_TEST_ROOT"
	root := os.Getenv(variable)
	if root == "" {
		m := newMachine(t)
		root = m.root
		shut := []string{"etc/kubernetes/manifests", "var/lib/kubelet", "etc/kubernetes/pki/ca.crt", "etc/kubernetes/pki/secret"}
		m.put("etc/kubernetes/pki/secret/x.crt", "")
		for _, p := range shut {
			if err := os.Chmod(m.path(p), 0); err != nil {
				t.Fatal(err)
			}
		}
		t.Cleanup(func() {
			for _, p := range shut {
				_ = os.Chmod(m.path(p), 0o700)
			}
		})
		if os.Geteuid() == 0 {
			asNobody(t, root, variable)
			return
		}
	}
	m := &machine{t: t, root: root}
	for name, want := range map[string]layout.Want{
		"manifests": {Verb: layout.LookManifests, Path: "/etc/kubernetes/manifests"},
		"kubelet":   {Verb: layout.LookKubelet, Path: "/var/lib/kubelet/config.yaml"},
		"files":     {Verb: layout.LookFile, Path: "/etc/kubernetes/pki/ca.crt", Sweep: true},
		"listing":   {Verb: layout.LookListing, Path: "/etc/kubernetes/pki"},
	} {
		_, unseen := look(t.Context(), named(t, name), m.scope(want))
		if len(unseen) != 1 || unseen[0].Why != fact.Denied || unseen[0].Hint != "run as root" || !strings.HasPrefix(string(unseen[0].What), want.Path) {
			t.Errorf("%s: %+v", name, unseen)
		}
	}
}

func asNobody(t *testing.T, root, variable string) {
	t.Helper()
	for p := root; p != filepath.Clean(os.TempDir()) && p != "/"; p = filepath.Dir(p) {
		if err := os.Chmod(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = []string{variable + "=" + root}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("as nobody: %v\n%s", err, out)
	}
}

func named(t *testing.T, name string) source.Entry {
	t.Helper()
	for _, e := range source.All() {
		if e.Name() == name {
			return e
		}
	}
	t.Fatalf("no source %s", name)
	return source.Entry{}
}

// Every verb has exactly one source, and every source a line for the docs.
func TestTheTableServesEveryVerb(t *testing.T) {
	served := map[layout.Verb]string{}
	for _, e := range source.All() {
		if e.About == "" || strings.HasSuffix(e.About, ".") {
			t.Errorf("%s: %q", e.Name(), e.About)
		}
		for _, v := range e.Verbs {
			if served[v] != "" {
				t.Errorf("%s is served by %s and %s", v, served[v], e.Name())
			}
			served[v] = e.Name()
		}
	}
	for _, v := range []layout.Verb{layout.LookNode, layout.LookManifests, layout.LookProcesses, layout.LookKubelet, layout.LookFile,
		layout.LookListing, layout.LookCopies, layout.LookRenewers, layout.LookView, layout.LookHandshake, layout.LookVersion, layout.LookFleet} {
		if served[v] == "" {
			t.Errorf("nothing serves %s", v)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package unit_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/unit"
)

var update = flag.Bool("update", false, "write the golden files")

// kubeadm is a node as kubeadm makes it.
var kubeadm = unit.Options{
	Form: unit.Daemon, Program: "/usr/local/bin/perennial", Keeps: []string{"/etc/kubernetes", "/var/lib/kubelet/pki"},
	Etc: "/etc/perennial", State: "/var/lib/perennial", Run: "/run/perennial", Copies: []string{"/root/.kube"}, Every: 5 * time.Minute,
}

// kubespray has an etcd beside it, with a user of its own, copies in homes, and an
// old kernel; and its paths have characters that mean something to systemd.
var kubespray = unit.Options{
	Form: unit.Timer, Program: "/opt/100% ours/perennial", Kubernetes: "/opt/$k8s 1", Keeps: []string{"/etc/kubernetes", "/etc/ssl/etcd/ssl", "/etc/kubernetes/ssl", "/var/lib/kubelet/pki"},
	Etc: "/etc/perennial", State: "/srv/perennial", Run: "/run/perennial", Copies: []string{"/root/.kube", "/home/anna/.kube", "/opt/ci"},
	Tells: []string{"/var/lib/node_exporter", "/home/anna/calendar"}, Every: 10 * time.Minute, Others: true, Translate: true,
}

func TestGolden(t *testing.T) {
	for name, o := range map[string]unit.Options{"kubeadm": kubeadm, "kubespray": kubespray} {
		for _, f := range files(t, o) {
			golden := filepath.Join("testdata", name, f.Name)
			if *update {
				if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(golden, f.Text, 0o644); err != nil {
					t.Fatal(err)
				}
				continue
			}
			want, err := os.ReadFile(golden)
			if err != nil || !bytes.Equal(want, f.Text) {
				t.Errorf("%s: %v; it is\n%s", golden, err, f.Text)
			}
		}
	}
}

func files(t *testing.T, o unit.Options) []unit.File {
	t.Helper()
	all, err := unit.Files(o)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestRefused(t *testing.T) {
	for name, change := range map[string]func(*unit.Options){
		"a relative path":     func(o *unit.Options) { o.Program = "perennial" },
		"a line feed":         func(o *unit.Options) { o.Copies = []string{"/home/x\nExecStart=/bin/sh"} },
		"the whole disk":      func(o *unit.Options) { o.Keeps = []string{"/"} },
		"a way out":           func(o *unit.Options) { o.Tells = []string{"/var/lib/../../etc"} },
		"no directory":        func(o *unit.Options) { o.Kubernetes = "kubernetes" },
		"no form":             func(o *unit.Options) { o.Form = "" },
		"a look every second": func(o *unit.Options) { o.Form, o.Every = unit.Timer, time.Second },
	} {
		o := kubeadm
		change(&o)
		if all, err := unit.Files(o); err == nil {
			t.Errorf("%s: it wrote %d units", name, len(all))
		}
	}
}

// TestOrigin tells what this program wrote from what somebody has changed since.
func TestOrigin(t *testing.T) {
	for _, f := range files(t, kubeadm) {
		edited := bytes.Replace(f.Text, []byte("UMask=0077"), []byte("UMask=0022"), 1)
		for _, c := range []struct {
			text []byte
			want unit.Origin
		}{
			{f.Text, unit.Ours}, {edited, unit.Edited}, {append(bytes.Clone(f.Text), '\n'), unit.Edited}, {f.Text[:len(f.Text)/2], unit.Edited},
			{[]byte("[Service]\nExecStart=/bin/true\n"), unit.Foreign}, {nil, unit.Foreign},
		} {
			if got := unit.OriginOf(c.text); got != c.want {
				t.Errorf("%s: %v, want %v, of\n%s", f.Name, got, c.want, c.text)
			}
		}
	}
}

// TestNothingBeyondTheTable compares what every unit grants with what the rows of the
// table need that are its part's: capabilities, system calls, namespaces and paths.
func TestNothingBeyondTheTable(t *testing.T) {
	for name, o := range map[string]unit.Options{"kubeadm": kubeadm, "kubespray": kubespray} {
		for _, f := range files(t, o) {
			if filepath.Ext(f.Name) != ".service" {
				continue
			}
			var needed unit.Need
			for _, n := range unit.Needs {
				if n.Feature == "" || n.Without == "" || n.Paths == "" {
					t.Errorf("an empty cell: %+v", n)
				}
				if !unit.Granted(f.Name, n, o) {
					continue
				}
				needed.Capabilities = append(needed.Capabilities, n.Capabilities...)
				needed.Calls = append(needed.Calls, n.Calls...)
				needed.Namespaces = append(needed.Namespaces, n.Namespaces...)
			}
			for what, c := range map[string]struct{ granted, needed []string }{
				"capabilities": {values(f, "CapabilityBoundingSet"), needed.Capabilities},
				"system calls": {more(values(f, "SystemCallFilter"), "@system-service"), needed.Calls},
				"namespaces":   {slices.DeleteFunc(values(f, "RestrictNamespaces"), func(v string) bool { return v == "yes" }), needed.Namespaces},
				"paths":        {paths(f), writable(name, f.Name)},
			} {
				slices.Sort(c.needed)
				if want := slices.Compact(c.needed); !slices.Equal(c.granted, want) {
					t.Errorf("%s of %s grants the %s %q, the table needs %q", f.Name, name, what, c.granted, want)
				}
			}
			for _, want := range []string{"NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=tmpfs", "PrivateDevices=yes", "SystemCallArchitectures=native"} {
				if !strings.Contains(string(f.Text), "\n"+want+"\n") {
					t.Errorf("%s of %s has no %s", f.Name, name, want)
				}
			}
		}
	}
	for _, c := range []string{"CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"} {
		if slices.Contains(kubeadm.Capabilities(), c) {
			t.Errorf("a node of kubeadm is granted %s", c)
		}
	}
}

// writable is what the two nodes' units let be written, by hand from the table.
func writable(node, name string) []string {
	own := map[string][]string{
		"kubeadm":   {"/etc/kubernetes", "/etc/perennial", "/root/.kube", "/var/lib/kubelet/pki"},
		"kubespray": {"/etc/kubernetes", "/etc/perennial", "/etc/ssl/etcd/ssl", "/home/anna/.kube", "/opt/ci", "/root/.kube", "/srv/perennial", "/var/lib/kubelet/pki"},
	}[node]
	made := map[string][]string{"kubeadm": {"perennial", "perennial"}, "kubespray": {"perennial"}}[node] // below /var/lib and /run, by systemd
	all := slices.Concat(own, made)
	if name == unit.EndName {
		return all
	}
	if node == "kubespray" {
		all = append(all, "/var/lib/node_exporter", "/home/anna/calendar")
	}
	return append(all, unit.BPF, "perennial") // and below /var/cache
}

// more are the words of a filter that are let through beyond a group.
func more(words []string, group string) []string {
	if len(words) == 0 || words[0] != group {
		return append([]string{"everything"}, words...)
	}
	allowed := words[1:]
	if until := slices.IndexFunc(allowed, func(w string) bool { return strings.HasPrefix(w, "~") }); until >= 0 {
		allowed = allowed[:until]
	}
	return allowed
}

// paths are all that a unit lets be written, sorted.
func paths(f unit.File) []string {
	var all []string
	for _, name := range []string{"ReadWritePaths", "BindPaths", "StateDirectory", "RuntimeDirectory", "CacheDirectory"} {
		for _, v := range values(f, name) {
			all = append(all, strings.TrimPrefix(v, "-"))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// values are the words that a directive of a unit sets.
func values(f unit.File, name string) []string {
	var all []string
	for line := range strings.Lines(string(f.Text)) {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			all = append(all, strings.Fields(value)...)
		}
	}
	return all
}

// TestVerify lets systemd itself read the units.
func TestVerify(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("needs systemd-analyze")
	}
	for name, o := range map[string]unit.Options{"kubeadm": kubeadm, "kubespray": kubespray} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if o.Program = filepath.Join(dir, filepath.Base(filepath.Dir(o.Program)), "perennial"); os.MkdirAll(filepath.Dir(o.Program), 0o755) != nil {
				t.Fatal(dir)
			}
			if err := os.WriteFile(o.Program, []byte("#!/bin/sh\n"), 0o755); err != nil { // it asks whether the command is there
				t.Fatal(err)
			}
			args := []string{"verify", "--man=no", "--recursive-errors=one"}
			for _, f := range files(t, o) {
				file := filepath.Join(dir, f.Name)
				if err := os.WriteFile(file, f.Text, 0o644); err != nil {
					t.Fatal(err)
				}
				args = append(args, file)
			}
			if out, err := exec.Command(analyze, args...).CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
				t.Errorf("systemd-analyze verify: %v\n%s", err, out)
			}
			exposure(t, analyze, args[3:])
		})
	}
}

var exposed = regexp.MustCompile(`Overall exposure level for (\S+): ([0-9.]+)`)

// most is how exposed a unit may be, in tenths of systemd's figure from 0 to 10. What
// a node needs beyond kubeadm's costs half a point.
var most = map[string]string{unit.AgentName: "34", unit.LookName: "39", unit.EndName: "18"}

// exposure holds the units to these figures.
func exposure(t *testing.T, analyze string, files []string) {
	t.Helper()
	for _, file := range files {
		if filepath.Ext(file) != ".service" {
			continue
		}
		out, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", "--threshold="+most[filepath.Base(file)], file).CombinedOutput()
		m := exposed.FindSubmatch(out)
		if err != nil || m == nil {
			t.Errorf("%s: %v\n%s", filepath.Base(file), err, out)
			continue
		}
		t.Logf("%s: %s", m[1], m[2])
	}
}

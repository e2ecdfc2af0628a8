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
	Form: unit.Timer, Program: "/opt/100% ours/perennial", Keeps: []string{"/etc/kubernetes", "/etc/ssl/etcd/ssl", "/etc/kubernetes/ssl", "/var/lib/kubelet/pki"},
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

// TestNothingBeyondTheTable compares the capabilities of every unit with the
// table of needs.
func TestNothingBeyondTheTable(t *testing.T) {
	for _, o := range []unit.Options{kubeadm, kubespray} {
		var needed []string
		for _, n := range unit.Needs {
			if n.Feature == "" || n.Without == "" || n.Paths == "" {
				t.Errorf("an empty cell: %+v", n)
			}
			if n.Granted(o) {
				needed = append(needed, n.Capabilities...)
			}
		}
		slices.Sort(needed)
		needed = slices.Compact(needed)
		for _, f := range files(t, o) {
			got := values(f, "CapabilityBoundingSet")
			switch f.Name {
			case unit.AgentName, unit.LookName:
				if !slices.Equal(got, needed) {
					t.Errorf("%s grants %v, the table needs %v", f.Name, got, needed)
				}
			case unit.EndName:
				for _, c := range got {
					if !slices.Contains(needed, c) || slices.Contains([]string{"CAP_SYS_PTRACE", "CAP_KILL", "CAP_BPF", "CAP_NET_ADMIN", "CAP_SYS_ADMIN"}, c) {
						t.Errorf("%s grants %s", f.Name, c)
					}
				}
			}
		}
	}
	if slices.Contains(kubeadm.Capabilities(), "CAP_SYS_ADMIN") || slices.Contains(kubeadm.Capabilities(), "CAP_DAC_OVERRIDE") {
		t.Errorf("a node of kubeadm is granted %v", kubeadm.Capabilities())
	}
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

// exposure holds the units to a figure of systemd's own, from 0 to 10.
func exposure(t *testing.T, analyze string, files []string) {
	t.Helper()
	for _, file := range files {
		if filepath.Ext(file) != ".service" {
			continue
		}
		out, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", "--threshold=40", file).CombinedOutput()
		m := exposed.FindSubmatch(out)
		if err != nil || m == nil {
			t.Errorf("%s: %v\n%s", filepath.Base(file), err, out)
			continue
		}
		t.Logf("%s: %s", m[1], m[2])
	}
}

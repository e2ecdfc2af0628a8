// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDemo tells the whole story. It ends well only where every promise held, so
// what is looked at here is what it leaves, and that it was the better way where
// the machine allows that.
func TestDemo(t *testing.T) {
	for _, version := range testVersions(t) {
		t.Run(version, func(t *testing.T) {
			u := newUser(t, "demo")
			out, err := u.demo(version, buildPerennial(t))
			if err != nil {
				t.Fatal(err)
			}
			st := u.status()
			if st.Address == "" {
				t.Log("no network of the lab's own: the API server was restarted in place")
				u.wantIn(out, "No handover here: ", "restarted in place", " 500 !", "restarted ")
			} else {
				u.wantIn(out, "is handed over", " 500 !", "handed over ")
				if m := regexp.MustCompile(`(?m)^0 of (\d+) requests failed`).FindStringSubmatch(out); m == nil || len(m[1]) < 3 {
					t.Errorf("no hundred requests without a failure (%q) in\n%s", m, out)
				}
			}
			if len(st.Components) != 4 || st.pid("kube-apiserver") == 0 {
				t.Errorf("what runs is %+v", st.Components)
			}
			manifests, err := os.ReadDir(filepath.Join(st.Kubernetes, "manifests"))
			if err != nil || len(manifests) != 4 {
				t.Errorf("the manifests are %v, %v", manifests, err)
			}
			if pinned := u.run("exec", "--", "find", "/sys/fs/bpf", "-mindepth", "2"); st.Address != "" && pinned != "" {
				t.Errorf("pins are left:\n%s", pinned)
			}
			u.run("down")
			u.assertGone(st.Dir)
		})
	}
}

func buildPerennial(t *testing.T) string {
	t.Helper()
	perennial := filepath.Join(t.TempDir(), "perennial")
	build := exec.Command("go", "build", "-o", perennial, "./cmd/perennial")
	build.Dir = "../../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return perennial
}

func (u user) demo(version, perennial string) (string, error) {
	return u.try("demo", "--name", u.name, "--perennial", perennial, "--version", version, "--recorded", "../../../examples/recorded-node.jsonl")
}

func (u user) wantIn(out string, texts ...string) {
	u.Helper()
	for _, text := range texts {
		if !strings.Contains(out, text) {
			u.Errorf("%q is not in\n%s", text, out)
		}
	}
}

// A demo whose perennial does not keep a promise fails.
func TestDemoFails(t *testing.T) {
	version := testVersions(t)[0]
	for _, c := range []struct{ name, script, want string }{
		{"names no instant", "echo '{}'", "is not in it"},
		{"interrupts while it says that it hands over", `
for a; do
	shift
	case $a in --handover) set -- "$@" --in-place; continue ;; --yes) set -- "$@" --accept-outage ;; --dry-run) exec echo '{"decision":{"way":"sk_lookup"}}' ;; esac
	set -- "$@" "$a"
done
exec ` + buildPerennial(t) + ` "$@"`, "requests failed; of the"},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := newUser(t, "liar")
			liar := filepath.Join(t.TempDir(), "perennial")
			if err := os.WriteFile(liar, []byte("#!/bin/sh\n"+c.script+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			_, err := u.demo(version, liar)
			if u.status().Address == "" && strings.Contains(c.script, "--handover") {
				t.Skip("without a network of its own a lab has no handover to lie about")
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q, got %v", c.want, err)
			}
		})
	}
}

// TestNetwork is the life of a lab with a network of its own.
func TestNetwork(t *testing.T) {
	version := testVersions(t)[0]
	u := newUser(t, "net")
	if _, err := u.try("up", "--version", version, "--network"); err != nil {
		if strings.Contains(err.Error(), errNoNetwork.Error()) {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	st := u.status()
	if st.Endpoint != st.Address+":6443" {
		t.Errorf("the endpoint is %s, the address %s", st.Endpoint, st.Address)
	}
	u.run("exec", "--", "etcdctl", "endpoint", "health")
	if out := u.run("exec", "--", "kubectl", "get", "endpoints", "kubernetes", "-o", "jsonpath={.subsets[*].addresses[*].ip}"); out != st.Address {
		t.Errorf("the service kubernetes leads to %q, not to %s", out, st.Address)
	}
	if out := u.run("exec", "--", "sh", "-c", "pwd; cat /proc/net/dev"); !strings.Contains(out, "eth0") || !strings.HasPrefix(out, workingDirectory(t)) {
		t.Errorf("inside is\n%s", out)
	}
	if _, err := u.try("up", "--network=false"); err == nil || !strings.Contains(err.Error(), "--network") {
		t.Errorf("up without the network: %v", err)
	}
	if err := networkOf(st.Settings).Detach(); err != nil { // as after a reboot
		t.Fatal(err)
	}
	u.endSupervisor(st)
	u.run("up")
	if out := u.run("exec", "--", "kubectl", "get", "--raw", "/readyz"); out != "ok" {
		t.Errorf("/readyz is %q", out)
	}
	u.run("down")
	u.assertGone(st.Dir)
}

func workingDirectory(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

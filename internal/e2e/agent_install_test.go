// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// machine is a control plane of the lab in the places of a real node, on a machine
// without systemd that only this test sees: its directories are kept from one
// command to the next.
type machine struct {
	*plane
	dir string
}

const machineScript = `set -e
mount --bind "$0/bin" /usr/local/bin
for at in /etc /run /var/lib; do mount --bind "$0$at" $at; done
mount --bind "$1" /etc/kubernetes
shift
exec "$@"
`

func newMachine(p *plane) *machine {
	p.Helper()
	m := &machine{p, p.TempDir()}
	for _, dir := range []string{"/bin", "/etc/kubernetes", "/run", "/var/lib"} {
		if err := os.MkdirAll(m.dir+dir, 0o755); err != nil {
			p.Fatal(err)
		}
	}
	program, err := os.ReadFile(os.Getenv("PERENNIAL_BIN"))
	if err == nil {
		err = os.WriteFile(m.dir+"/bin/perennial", program, 0o755)
	}
	if err != nil {
		p.Fatal(err)
	}
	return m
}

// does runs the program there and wants it to succeed.
func (m *machine) does(args ...string) string {
	m.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(m.Context(), "unshare", append([]string{"--mount", "sh", "-c", machineScript, m.dir, m.KubernetesDir, "perennial"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		m.Fatalf("perennial %s: %v\n%s%s", strings.Join(args, " "), err, &out, &errs)
	}
	return out.String()
}

// roles are the agents' objects in the cluster.
func (m *machine) roles() string {
	m.Helper()
	out, ok := m.Kubectl("get", "clusterroles,clusterrolebindings,roles,rolebindings", "-A", "-o", "name")
	if !ok {
		m.Fatal(out)
	}
	lines := slices.DeleteFunc(strings.Fields(out), func(line string) bool { return !strings.Contains(line, "perennial:agent") })
	return strings.Join(lines, "\n")
}

// An agent is installed on a real control plane: its identity works, with its rights
// and no others. It is taken away, and nothing is left.
func TestAgentInstall(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	for _, version := range versions(t) {
		t.Run(version, func(t *testing.T) {
			m := newMachine(up(t, version))
			shown := m.does("agent", "install", "--no-systemd", "--dry-run")
			for _, want := range []string{"make    /etc/perennial/agent.conf", "apply   ClusterRole perennial:agent", "perennial agent finish"} {
				if !strings.Contains(shown, want) {
					t.Errorf("the list has no %q:\n%s", want, shown)
				}
			}
			if m.roles() != "" {
				t.Fatal("a dry run has made roles")
			}
			for range 2 {
				m.does("agent", "install", "--no-systemd", "--yes")
			}
			if got := strings.Count(m.roles(), "perennial:agent"); got != 6 {
				t.Errorf("%d objects:\n%s", got, m.roles())
			}
			m.identityWorks()
			if got := m.does("check", "--exit-zero", "-o", "json"); !strings.Contains(got, "cp1/perennial-agent.conf") {
				t.Errorf("a check does not show the agent's identity:\n%s", got)
			}
			m.does("agent", "uninstall", "--purge", "--yes")
			if left := m.roles(); left != "" {
				t.Errorf("left in the cluster:\n%s", left)
			}
			for _, name := range []string{"/etc/perennial", "/var/lib/perennial", "/run/perennial"} {
				if _, err := os.Lstat(m.dir + name); !os.IsNotExist(err) {
					t.Errorf("%s is left: %v", name, err)
				}
			}
			m.does("agent", "uninstall", "--purge", "--yes")
		})
	}
}

// identityWorks asks with the agent's kubeconfig, by another client.
func (m *machine) identityWorks() {
	m.Helper()
	conf := filepath.Join(m.dir, "etc/perennial/agent.conf")
	lease := []string{"-n", "kube-system", "get", "lease", "kube-scheduler", "-o", "name"}
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Second) { // a scheduler that has just started does not lead yet
		if _, ok := m.Kubectl(lease...); ok {
			break
		} else if time.Now().After(deadline) {
			m.Fatal("no scheduler leads")
		}
	}
	if out, ok := m.Kubectl(append([]string{"--kubeconfig", conf}, lease...)...); !ok || !strings.Contains(out, "kube-scheduler") {
		m.Errorf("the agent may not see who leads: %s", fact.Text(out))
	}
	if out, ok := m.Kubectl("--kubeconfig", conf, "get", "secrets", "-A"); ok || !strings.Contains(out, `User "perennial:agent:cp1" cannot list`) {
		m.Errorf("the agent lists secrets: %s", fact.Text(out))
	}
}

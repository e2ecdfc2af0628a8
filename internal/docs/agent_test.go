// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/agent"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/install"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/publish"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/testnode"
	"perennial.dev/perennial/internal/unit"
)

// needs is the table of what each feature needs, which the units are made from.
func needs(*testing.T) string {
	var rows [][]string
	for _, n := range unit.Needs {
		capabilities := strings.Join(n.Capabilities, ", ")
		if capabilities == "" {
			capabilities = "none"
		}
		if n.When != "" {
			capabilities += "; " + n.When
		}
		rows = append(rows, []string{n.Feature, capabilities, n.Paths, n.Without})
	}
	return table([]string{"feature", "capabilities", "writes", "without it"}, rows)
}

// kubeadmUnits are the units of a node of kubeadm, as the tests of package unit
// hold them.
const kubeadmUnits = root + "/internal/unit/testdata/kubeadm"

func sandbox(t *testing.T) string {
	text, err := os.ReadFile(filepath.Join(kubeadmUnits, unit.AgentName))
	if err != nil {
		t.Fatal(err)
	}
	return "```text\n" + strings.TrimSpace(string(text)) + "\n```"
}

// agentInstall is what the installation shows on a made node whose API server is
// down. Only root can have a program that is root's own.
func agentInstall(t *testing.T) string {
	if os.Geteuid() != 0 {
		return shownNow(t, "agent-install")
	}
	n := testnode.New(t, testnode.Options{})
	n.Write(install.Program, 0o755, nil)
	if err := errors.Join(os.Chmod(n.Root, 0o755), os.MkdirAll(n.Path(unit.Dir), 0o755)); err != nil {
		t.Fatal(err)
	}
	todo, err := install.Plan(t.Context(), install.Options{
		Root: n.Root, KubernetesDir: layout.DefaultKubernetesDir, Program: install.Program, Form: unit.Daemon, Systemd: true, Running: true,
		Now: func() time.Time { return testnode.Start.Add(time.Hour) }, Rand: rand.Reader,
	})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("```console\n$ sudo perennial agent install\n")
	if err := todo.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String() + "\nDo this? [y/N]\n```"
}

// agentStatus is what the agent tells of a made node, from its first look.
func agentStatus(t *testing.T) string {
	now := testnode.Start.Add(time.Hour)
	n := testnode.New(t, testnode.Options{})
	cal, err := release.Load()
	if err != nil {
		t.Fatal(err)
	}
	m := &agent.Machine{
		Scope: fact.Scope{Root: n.Root, KubernetesDir: layout.DefaultKubernetesDir}, State: filepath.Join(t.TempDir(), "state"), Lock: filepath.Join(t.TempDir(), "lock"),
		Config: n.Path(install.Settings), Version: "test", Tool: "perennial", Calendar: cal, Now: func() time.Time { return now },
	}
	a := &agent.Agent{Node: m, Publish: publish.NewMetrics("test", "go", cal.AsOf()), Log: slog.New(slog.DiscardHandler), Version: "test", Now: m.Now}
	status, err := a.Once(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := status.Write(&b, now); err != nil {
		t.Fatal(err)
	}
	return "```console\n$ sudo perennial agent status\n" + b.String() + "```"
}

// shownNow is a generated part as its page has it.
func shownNow(t *testing.T, name string) string {
	t.Helper()
	for _, page := range pages(t) {
		for _, m := range part.FindAllStringSubmatch(read(t, page), -1) {
			if m[1] == name {
				return m[2]
			}
		}
	}
	t.Fatalf("no page shows %q", name)
	return ""
}

var exposure = regexp.MustCompile(`Overall exposure level for (\S+): ([0-9.]+)`)

// TestExposure compares the figures in the threat model with systemd's own.
func TestExposure(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("needs systemd-analyze")
	}
	page := read(t, "docs/threat-model.md")
	for _, name := range []string{unit.AgentName, unit.EndName} {
		out, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", filepath.Join(kubeadmUnits, name)).CombinedOutput()
		m := exposure.FindSubmatch(out)
		if err != nil || m == nil {
			t.Errorf("%s: %v\n%s", name, err, out)
			continue
		}
		if want := "`" + name + "` " + string(m[2]); !strings.Contains(page, want) {
			t.Errorf("the threat model does not say %q", want)
		}
	}
}

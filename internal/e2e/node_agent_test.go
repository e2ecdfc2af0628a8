// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"perennial.dev/perennial/internal/agent"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/timeline"
)

// shortLife is how long every certificate of the node lives, the kubelet's, too.
const shortLife = 6 * time.Minute

// agentSettings let the agent look often enough for such lives.
const agentSettings = `apiVersion: perennial.dev/v1alpha1
kind: Config
agent:
  act: true
  every: 10s
  spread: 0s
  perDay: 0
`

// Lives of six minutes are lived to their end, one in CI and as many as
// PERENNIAL_NODE_LIVES says: the agent renews everything, the API answers every
// request, and nothing ends. Then the power fails in the middle of a change.
func TestNodeAgent(t *testing.T) {
	for _, version := range nodeVersions(t)[:1] {
		t.Run(version, func(t *testing.T) {
			n := newNode(t, version, "--cert-life", shortLife.String())
			born := time.Now()
			a := n.agent()
			lives := wantedLives(t)
			n.settings(agentSettings)
			p := n.probed(func() {
				time.Sleep(time.Until(born.Add(time.Duration(lives)*shortLife + shortLife/6)))
			})
			n.figure("%d lives of %s with the agent; %d processors, load average %s", lives, shortLife, 2, loadAverage(t))
			for name, answers := range map[string]*answers{"a new connection each": &p.fresh, "one kept connection": &p.kept, "writes": &p.writes} {
				sum := answers.tally()
				n.figure("  %-22s %s", name+":", sum)
				if sum.failed > 0 {
					t.Errorf("%s: %s", name, sum)
				}
			}
			n.assertAllRenewed(born, lives)

			a.until("a change begins", func(p journal.Plan) bool { return p.Result == "" && len(p.Open()) > 0 })
			cut := n.unfinished()
			n.lab("reboot", "--name", n.Name, "--", installed, "agent", "finish")
			failed := time.Now()
			a.wait()
			n.answersAgain()
			n.figure("  the power failed in the plan %s; the API answered again after %.0f s", cut, time.Since(failed).Seconds())
			a.start()
			a.until("the plan that was cut off is done", func(p journal.Plan) bool { return p.ID == cut && p.Result == journal.Done })
			n.until("nothing is overdue", nothingOverdue)
			a.end()
			if fault := a.said("level=ERROR"); fault != "" {
				t.Errorf("the agent told of a fault: %s", fault)
			}
		})
	}
}

func wantedLives(t *testing.T) int {
	t.Helper()
	lives, err := strconv.Atoi(cmp.Or(os.Getenv("PERENNIAL_NODE_LIVES"), "1"))
	if err != nil || lives < 1 {
		t.Fatalf("PERENNIAL_NODE_LIVES: %v", err)
	}
	return lives
}

func nothingOverdue(tl timeline.Timeline) bool {
	return !slices.ContainsFunc(tl.Items, func(i timeline.Item) bool {
		return (i.Code == finding.CertificateExpires || i.Code == finding.ServedCertificateStale) && i.Verdict == "overdue"
	})
}

// probed asks the API server 20 times a second in each way while something is
// done, with a credential that outlives it.
func (n *realNode) probed(do func()) *probes {
	n.t.Helper()
	c := clientFor(n.t, n.Kubeconfig).lasting(n.t, n.inside("/etc/kubernetes/pki"), time.Now())
	p := startProbes(n.t, c, "probe-"+strconv.FormatInt(time.Now().UnixNano(), 36), time.Second/20)
	defer p.end()
	do()
	return p
}

// assertAllRenewed says that each credential was renewed in every life, in a plan
// that was proven, and that nothing has ended.
func (n *realNode) assertAllRenewed(born time.Time, lives int) {
	n.t.Helper()
	tl := n.check()
	if !nothingOverdue(tl) {
		n.t.Errorf("something has ended: %s", tl.Headline)
	}
	times := map[fact.ID]int{}
	for _, past := range n.journal().Plans() {
		var p plan.Plan
		if err := json.Unmarshal(past.Content, &p); err != nil {
			n.t.Fatal(err)
		}
		if past.Result == "" || p.By != plan.ByAgent { // being done, or by the test
			continue
		}
		if past.Result != journal.Done {
			n.t.Errorf("the plan %s ended %q", past.ID, past.Result)
		}
		for _, s := range p.Steps {
			if s.Verb == plan.Renew {
				times[s.ID]++
			}
		}
	}
	for _, name := range kubeadmNames {
		if got := times[fact.NodeID(n.Name, name)]; got < lives {
			n.t.Errorf("%s was renewed %d times in %d lives since %s", name, got, lives, born.Format(time.TimeOnly))
		}
	}
}

// journal is the node's.
func (n *realNode) journal() *journal.Journal {
	n.t.Helper()
	return openJournal(n.t, n.inside("/var/lib/perennial"))
}

// openJournal reads a copy of the journal below a directory of state: its path may
// lead through the root of another process, which the product does not follow.
func openJournal(t *testing.T, state string) *journal.Journal {
	t.Helper()
	files, err := host.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	copied := t.TempDir()
	data, err := os.ReadFile(filepath.Join(state, "journal", journal.Name))
	if err == nil {
		err = os.WriteFile(filepath.Join(copied, journal.Name), data, 0o600)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	j, err := journal.Open(copied, host.NewDisk(files, nil))
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func (n *realNode) unfinished() string {
	n.t.Helper()
	for _, p := range n.journal().Unfinished() {
		return p.ID
	}
	n.t.Fatal("no plan is unfinished")
	return ""
}

// answersAgain waits for the API server.
func (n *realNode) answersAgain() {
	n.t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(time.Second) {
		_, _, err := n.try("exec", "--name", n.Name, "--", "kubectl", "get", "--raw", "/readyz")
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("the API does not answer five minutes after the power failed: %v", err)
		}
	}
}

// installed is where the program is in the node.
const installed = "/run/perennial-test/perennial"

// keeper is an agent that runs inside a node.
type keeper struct {
	*realNode
	cmd *exec.Cmd
	log bytes.Buffer
}

// agent installs an agent and starts it, as a node without systemd does.
func (n *realNode) agent() *keeper {
	n.t.Helper()
	n.run("install", "-D", "-m", "0755", os.Getenv("PERENNIAL_BIN"), installed) // where nobody else may replace it
	n.run(installed, "agent", "install", "--no-systemd", "--yes", "--program", installed)
	a := &keeper{realNode: n}
	a.start()
	n.t.Cleanup(a.end)
	return a
}

func (a *keeper) start() {
	a.t.Helper()
	a.cmd = exec.Command(os.Getenv("PERENNIAL_LAB"), "node", "exec", "--name", a.Name, "--", installed, "agent", "run")
	a.cmd.Stderr = &a.log
	if err := a.cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
}

// wait waits for the agent to have ended with its node.
func (a *keeper) wait() {
	_ = a.cmd.Wait()
	a.cmd = nil
}

func (a *keeper) end() {
	if a.cmd == nil {
		return
	}
	_ = a.cmd.Process.Signal(syscall.SIGTERM)
	a.wait()
	if a.t.Failed() {
		a.t.Logf("the agent said:\n%s", &a.log)
	}
}

// said is the first line of the log with a text. The agent must have ended.
func (a *keeper) said(text string) string {
	for line := range strings.Lines(a.log.String()) {
		if strings.Contains(line, text) {
			return line
		}
	}
	return ""
}

// until waits until a plan in the journal is as wanted.
func (a *keeper) until(what string, holds func(journal.Plan) bool) {
	a.t.Helper()
	for deadline := time.Now().Add(2 * shortLife); !slices.ContainsFunc(a.journal().Plans(), holds); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			status, _ := os.ReadFile(a.inside(filepath.Join("/var/lib/perennial/state", agent.StatusFile)))
			a.t.Fatalf("%s: not within %s\n%s", what, 2*shortLife, status)
		}
	}
}

// settings writes the agent's.
func (n *realNode) settings(content string) {
	n.t.Helper()
	n.run("sh", "-c", fmt.Sprintf("cat > /etc/perennial/config.yaml <<'END'\n%sEND", content))
}

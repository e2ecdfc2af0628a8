// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"perennial.dev/perennial/internal/agent"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/timeline"
)

// yearsSettings let the agent restart the API server in place, which is all that
// can be done where no kubelet runs a standby.
const yearsSettings = `apiVersion: perennial.dev/v1alpha1
kind: Config
agent:
  act: true
  every: 10s
  spread: 0s
  perDay: 0
  listen: ""
  windows:
  - {start: "00:00", length: 24h}
  restart: {apiServer: window, others: always}
`

// step is by how much the clock is moved at once: less than the time for which
// anything is due before it ends.
const step = 20 * 24 * time.Hour

// Two years go by in steps with the agent beside the control plane: nothing ends,
// not the certificate that the API server holds in memory either, and no request
// fails but while the API server is restarted, which the plan says before.
func TestAgentForYears(t *testing.T) {
	for _, version := range versions(t) {
		t.Run(version, func(t *testing.T) {
			if v, err := release.ParseVersion(version); err != nil || v.Minor >= 33 {
				t.Skip("its certificate in memory lives three years, not one")
			}
			k := newKeptForYears(t, version)
			start := k.now()
			k.start()
			k.probe()
			var earliest []time.Time // ends of the certificates in memory, as they were seen
			for at := start; at.Before(start.AddDate(2, 0, 0)); at = at.Add(step) {
				k.move(at)
				tl := k.settled()
				for _, i := range tl.Items {
					switch {
					case i.Verdict == policy.Overdue:
						t.Errorf("%s: %s %s ended %s", at.Format(time.DateOnly), i.ID, i.Code, i.End.Date.Format(time.DateOnly))
					case i.Code == finding.LoopbackExpires && !slices.ContainsFunc(earliest, i.End.Date.Equal):
						earliest = append(earliest, i.End.Date)
					}
				}
				if t.Failed() {
					t.FailNow()
				}
			}
			k.stop()
			k.compare(earliest)
		})
	}
}

// keptForYears is a control plane with an agent beside it, whose clock is the
// control plane's.
type keptForYears struct {
	*clocked
	config string
	cmd    *exec.Cmd
	log    bytes.Buffer

	mu     sync.Mutex
	failed []time.Time // by the lab's clock
	sent   int
	end    chan struct{}
	ended  sync.WaitGroup
}

func newKeptForYears(t *testing.T, version string) *keptForYears {
	t.Helper()
	k := &keptForYears{clocked: newClocked(t, version), end: make(chan struct{})}
	k.clock = filepath.Join(k.Dir, "clock")
	k.config = filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(k.config, []byte(yearsSettings), 0o600); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *keptForYears) places() []string {
	return []string{"--config", k.config, "--kubernetes-dir", k.KubernetesDir, "--state", k.state, "--lock", k.lock, "--identity", filepath.Join(k.KubernetesDir, "admin.conf")}
}

func (k *keptForYears) start() {
	k.Helper()
	k.cmd = exec.Command(k.program, append([]string{"agent", "run", "--settle", "1s"}, k.places()...)...)
	k.cmd.Env = append(os.Environ(), "PERENNIAL_LAB_CLOCK="+k.clock)
	k.cmd.Stderr = &k.log
	if err := k.cmd.Start(); err != nil {
		k.Fatal(err)
	}
	k.Cleanup(k.stop)
}

func (k *keptForYears) stop() {
	if k.cmd == nil {
		return
	}
	close(k.end)
	k.ended.Wait()
	_ = k.cmd.Process.Signal(syscall.SIGTERM)
	_ = k.cmd.Wait()
	k.cmd = nil
	if k.Failed() {
		k.Logf("the agent said:\n%s", &k.log)
	}
}

// now is the lab's time.
func (k *keptForYears) now() time.Time {
	data, err := os.ReadFile(k.clock)
	if err != nil || len(data) != 8 {
		k.Fatalf("reading the lab's clock: %d bytes, %v", len(data), err)
	}
	return time.Now().Add(time.Duration(binary.NativeEndian.Uint64(data)))
}

func (k *keptForYears) move(to time.Time) {
	k.Helper()
	k.Do("clock", to.UTC().Format(time.RFC3339))
}

// settled waits until the agent has looked at the lab's time and has nothing to do
// now, and returns what then is to be seen.
func (k *keptForYears) settled() timeline.Timeline {
	k.Helper()
	moved := k.now()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		var s agent.Status
		data, err := os.ReadFile(filepath.Join(k.state, "state", agent.StatusFile))
		if err == nil {
			err = json.Unmarshal(data, &s)
		}
		if err == nil { // it listens to signals
			_ = k.cmd.Process.Signal(syscall.SIGHUP)
		}
		switch {
		case s.Stopped != nil || slices.ContainsFunc(s.Person, unexpected):
			k.Fatalf("the agent needs a person: %+v %+v", s.Stopped, s.Person)
		case err == nil && s.Looked.After(moved) && s.Doing == "" && len(s.Person) == 0 && !slices.ContainsFunc(s.Next, func(n agent.Next) bool { return !n.At.IsZero() && !n.At.After(s.Looked) }):
			return k.look()
		case time.Now().After(deadline):
			k.Fatalf("%s: the agent has not come to rest: %v %+v", moved.Format(time.DateOnly), err, s)
		}
	}
}

// unexpected is what a person is needed for, but for a clock that was set.
func unexpected(p agent.Person) bool { return p.Code != agent.ClockSuspect }

// look is what the program sees by the lab's clock.
func (k *keptForYears) look() timeline.Timeline {
	k.Helper()
	cmd := exec.Command(k.program, "check", "--kubernetes-dir", k.KubernetesDir, "-o", "json", "--timeout", "5s")
	cmd.Env = append(os.Environ(), "PERENNIAL_LAB_CLOCK="+k.clock)
	out, _ := cmd.Output() // the exit code is the verdict
	tl, err := timeline.Read(bytes.NewReader(out))
	if err != nil {
		k.Fatal(err)
	}
	return tl
}

// probe asks the API server 20 times a second until the end.
func (k *keptForYears) probe() {
	k.Helper()
	c := clientFor(k.T, filepath.Join(k.KubernetesDir, "admin.conf")).lasting(k.T, filepath.Join(k.KubernetesDir, "pki"), k.now())
	c.tls.Time = k.now
	client, _ := c.connect(false)
	k.ended.Go(func() {
		for ticks := time.NewTicker(time.Second / 20); ; {
			select {
			case <-k.end:
				ticks.Stop()
				return
			case <-ticks.C:
			}
			at := k.now()
			err := c.do(client, http.MethodGet, probePath, "", nil)
			k.mu.Lock()
			k.sent++
			if err != nil {
				k.failed = append(k.failed, at)
			}
			k.mu.Unlock()
		}
	})
}

// compare holds what failed against the outages that plans had said before, and
// the restarts against the ends that they had to come before.
func (k *keptForYears) compare(ends []time.Time) {
	k.Helper()
	type span struct{ from, to time.Time }
	var announced []span
	for _, past := range openJournal(k.T, k.state).Plans() {
		var p plan.Plan
		if err := json.Unmarshal(past.Content, &p); err != nil {
			k.Fatal(err)
		}
		if past.Result != journal.Done || p.By != plan.ByAgent {
			k.Errorf("the plan %s by %q ended %q", past.ID, p.By, past.Result)
		}
		for _, s := range p.Steps {
			if s.Stop != nil && s.Stop.Component == layout.APIServer {
				if s.Felt == "" {
					k.Errorf("the plan %s does not say what is felt", past.ID)
				}
				announced = append(announced, span{past.Begun, past.Ended})
			}
		}
	}
	unexplained := 0
	for _, at := range k.failed {
		if !slices.ContainsFunc(announced, func(s span) bool { return !at.Before(s.from.Add(-time.Second)) && !at.After(s.to.Add(time.Second)) }) {
			unexplained++
		}
	}
	if unexplained > 0 {
		k.Errorf("%d of %d requests failed outside of an announced restart", unexplained, k.sent)
	}
	if len(announced) < len(ends)-1 || len(ends) < 2 {
		k.Errorf("%d restarts, and certificates in memory that end %v", len(announced), ends)
	}
	for i, s := range announced {
		if i < len(ends) && !s.to.Before(ends[i]) {
			k.Errorf("the restart on %s came after the end on %s", s.to.Format(time.DateOnly), ends[i].Format(time.DateOnly))
		}
	}
	fmt.Printf("figure: %s: two years in steps of %.0f days, %d restarts of the API server; %d of %d requests failed, all while it was announced\n",
		k.Version, step.Hours()/24, len(announced), len(k.failed), k.sent)
	if strings.Contains(k.log.String(), "level=ERROR") {
		k.Errorf("the agent told of a fault:\n%s", &k.log)
	}
}

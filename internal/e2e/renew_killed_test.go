// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path"
	"strings"
	"syscall"
	"testing"
	"time"

	"perennial.dev/perennial/internal/execute"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/source"
	"perennial.dev/perennial/internal/timeline"
)

// victim is a run that ends itself with SIGKILL at one moment. It is wired as
// the product is, and started as a process of its own.
type victim struct {
	Dir, State string
	Names      []string
	NewKey     bool
	Moment     string
	// For steps that make files, elsewhere too: the directory in which files
	// are counted, if it is not Dir; where requests and copies are; and the
	// plan to take back.
	Place    string
	Create   bool
	Requests string
	Copies   []string
	Undo     string

	renamed, stopped bool
}

const victimVariable = "PERENNIAL_E2E_VICTIM"

// TestMain lets the test's own program play a victim.
func TestMain(m *testing.M) {
	if text := os.Getenv(victimVariable); text != "" {
		var v victim
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			panic(err)
		}
		v.run()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// moments are where a run is ended: each is a kind of thing that a step does.
var moments = []string{
	"before the intent", "after the intent", "after the rename", "during the proof",
	"before the process is ended", "after the process has ended", "during the proof of the restart",
}

func (v *victim) at(moment string) {
	if v.Moment == moment {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func (v *victim) around(op host.Op, do func() error) error {
	placing := op.Do == host.Rename || op.Do == host.Link
	inPlace := strings.HasPrefix(op.Path+"/", cmp.Or(v.Place, v.Dir)+"/")
	if op.Do == host.Create && inPlace {
		v.at("after the intent")
	}
	if placing && inPlace && v.renamed {
		v.at("between the two renames")
	}
	if op.Do == host.SyncDir && inPlace && v.renamed {
		v.at("after the rename")
	}
	err := do()
	if placing && inPlace {
		v.renamed = true
	}
	if op.Do == host.Link && strings.HasSuffix(op.To, ".new") {
		v.at("before the intent")
	}
	return err
}

// Look implements execute.Eyes.
func (v *victim) Look(ctx context.Context) (plan.Seen, error) {
	if v.stopped {
		v.at("during the proof of the restart")
	}
	if v.renamed {
		v.at("during the proof")
	}
	rec, _ := source.Survey(ctx, fact.Scope{Root: "/", KubernetesDir: v.Dir, RequestDir: v.Requests, Copies: v.Copies}, source.Options{})
	return plan.See(rec), ctx.Err()
}

// killer are the hands of a victim.
type killer struct {
	execute.Machine
	*victim
}

func (k killer) Stop(ctx context.Context, s plan.Stop) error {
	k.at("before the process is ended")
	err := k.Machine.Stop(ctx, s)
	k.at("after the process has ended")
	k.stopped = true
	return err
}

func (v *victim) run() {
	files, err := host.Open("/")
	check(err)
	disk := host.NewDisk(files, v.around)
	j, err := journal.Open(path.Join(v.State, "journal"), disk)
	check(err)
	ctx := context.Background()
	seen, err := v.Look(ctx)
	check(err)
	now := time.Now()
	id := now.Format("victim-150405.000000")
	p, err := plan.ForRenewal(seen, plan.RenewOptions{ID: id, Now: now, Names: v.Names, Policy: policy.Default(), NewKey: v.NewKey, Create: v.Create})
	if v.Undo != "" {
		p, err = v.undoing(ctx, j, disk, seen, id, now)
	}
	check(err)
	r := &execute.Runner{
		Hands: killer{execute.Machine{Disk: disk}, v}, Eyes: v, Journal: j, State: v.State, Rand: rand.Reader, Now: time.Now,
		Sleep: func(ctx context.Context, d time.Duration) error { time.Sleep(d); return ctx.Err() }, Patience: execute.DefaultPatience,
	}
	_, err = r.Run(ctx, p)
	check(err)
}

func (v *victim) undoing(ctx context.Context, j *journal.Journal, disk *host.Disk, seen plan.Seen, id string, now time.Time) (plan.Plan, error) {
	var of plan.Plan
	for _, p := range j.Plans() {
		if p.ID != v.Undo {
			continue
		}
		check(json.Unmarshal(p.Content, &of))
		replaced, err := execute.Replaced(ctx, execute.Machine{Disk: disk}, p)
		check(err)
		return plan.ForUndo(of, replaced, seen, id, now)
	}
	return of, errors.New("the journal has no plan " + v.Undo)
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// A run that is killed at any moment is finished by the next one, and the API
// answers all the time.
func TestKilled(t *testing.T) {
	for _, version := range versions(t) {
		t.Run(version, func(t *testing.T) {
			w := shop(t, version)
			pr := w.plane.probe()
			for _, moment := range moments {
				names := []string{"apiserver-etcd-client", "etcd-server"}
				if strings.Contains(moment, "process") || strings.Contains(moment, "restart") {
					names = []string{"scheduler.conf"}
				}
				w.killed(&victim{Dir: w.KubernetesDir, State: w.state, Names: names, Moment: moment})
			}
			w.killed(&victim{Dir: w.KubernetesDir, State: w.state, Names: []string{"apiserver"}, NewKey: true, Moment: "between the two renames"})
			w.clean()
			w.Inside("kubectl", "get", "--raw", "/readyz")
			pr.end(t)
		})
	}
}

// killed lets a victim run, and the product finish.
func (w *workshop) killed(v *victim) {
	w.Helper()
	time.Sleep(2 * time.Second) // processes and files must differ by more than the second in which nothing is said
	text, err := json.Marshal(v)
	if err != nil {
		w.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), victimVariable+"="+string(text))
	out, err := cmd.CombinedOutput()
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		w.Fatalf("%s: it was not killed: %v\n%s", v.Moment, err, out)
	}
	said := w.change(timeline.ExitOK, "renew", "--due")
	if !strings.Contains(said, "which was cut off") || !strings.Contains(said, " done and proven.") {
		w.Errorf("%s: the next run did not finish it:\n%s", v.Moment, said)
	}
	if history := w.change(timeline.ExitOK, "renew", "--due"); strings.Contains(history, "cut off") {
		w.Errorf("%s: it is still open:\n%s", v.Moment, history)
	}
}

// SPDX-License-Identifier: Apache-2.0

//go:build linux

package execute_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"perennial.dev/perennial/internal/execute"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/source"
	"perennial.dev/perennial/internal/testnode"
)

// state is where the tests' programs keep journal and backups, on the node.
const state = "/var/lib/perennial"

// TestMain makes the nodes an hour old by the clock that looks at them. Disks
// are made in memory where that is possible: what must be synced is recorded,
// not measured.
func TestMain(m *testing.M) {
	debug.SetGCPercent(200)
	testnode.Start = time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	if dir, err := os.MkdirTemp("/dev/shm", "execute-test-"); err == nil {
		os.Setenv("TMPDIR", dir)
		code := m.Run()
		os.RemoveAll(dir)
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// tree is a node's file system with a program at work on it, and two processes
// that a kubelet would keep running.
type tree struct {
	t       testing.TB
	root    string
	disk    *host.Disk
	journal *journal.Journal
	runner  *execute.Runner
	started map[string]time.Time // by component
	looks   map[string]plan.Seen // by what there was to see; nil: each look is a new one
	scope   fact.Scope           // of the looks
}

// boot starts the program on a tree, as after a start of the machine.
func boot(t testing.TB, root string, around host.Around) *tree {
	t.Helper()
	files, err := host.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { files.Close() })
	tr := &tree{t: t, root: root, disk: host.NewDisk(files, around), started: map[string]time.Time{},
		scope: fact.Scope{Root: root, KubernetesDir: layout.DefaultKubernetesDir}}
	for _, name := range []string{layout.ControllerManager, layout.Scheduler} {
		tr.started[name] = testnode.Start.Add(59 * time.Minute)
	}
	if tr.journal, err = journal.Open(state+"/journal", tr.disk); err != nil {
		t.Fatalf("opening the journal: %v", err)
	}
	tr.runner = &execute.Runner{
		Hands: hands{execute.Machine{Disk: tr.disk}, tr}, Eyes: tr, Journal: tr.journal, State: state, Rand: rand.Reader, Now: time.Now,
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
	return tr
}

// aged makes a node with files that were last changed an hour ago.
func aged(t testing.TB, o testnode.Options) *testnode.Node {
	t.Helper()
	n := testnode.New(t, o)
	age(t, n.Root)
	return n
}

func age(t testing.TB, root string) {
	t.Helper()
	then := time.Now().Add(-time.Hour)
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		return os.Chtimes(name, then, then)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Look implements execute.Eyes: real files, judged as they are on a machine
// whose controller manager and scheduler run.
func (tr *tree) Look(ctx context.Context) (plan.Seen, error) {
	if tr.looks == nil {
		return tr.look(ctx)
	}
	key := tr.scene()
	if seen, ok := tr.looks[key]; ok {
		return seen, ctx.Err()
	}
	seen, err := tr.look(ctx)
	tr.looks[key] = seen
	return seen, err
}

// scene is all that a look depends on.
func (tr *tree) scene() string {
	files := content(tr.t, tr.root)
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%q %q\n", name, files[name])
		info, err := os.Stat(tr.root + name)
		if err != nil {
			tr.t.Fatal(err)
		}
		for _, component := range slices.Sorted(maps.Keys(tr.started)) {
			start := tr.started[component]
			fmt.Fprintln(h, start, start.After(info.ModTime()))
		}
	}
	return string(h.Sum(nil))
}

func (tr *tree) look(ctx context.Context) (plan.Seen, error) {
	rec, _ := source.Survey(ctx, tr.scope, source.Options{})
	rec.Scope.Root = "/"
	for i, f := range rec.Facts {
		if node, ok := f.(fact.Node); ok {
			node.Now = tr.runner.Now()
			rec.Facts[i] = node
		}
	}
	for _, f := range rec.Facts {
		m, ok := f.(fact.Manifest)
		if !ok || tr.started[string(m.Name)].IsZero() {
			continue
		}
		name := string(m.Name)
		rec.Facts = append(rec.Facts, fact.Process{PID: pids[name], Start: tr.started[name], Args: m.Containers[0].Args},
			fact.Served{Endpoint: ports[name], At: tr.runner.Now()})
	}
	return plan.See(rec), ctx.Err()
}

var serverAuth = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}

var (
	pids  = map[string]int{layout.ControllerManager: 1001, layout.Scheduler: 1002}
	ports = map[string]string{layout.ControllerManager: "127.0.0.1:10257", layout.Scheduler: "127.0.0.1:10259"}
)

// hands end the processes of a tree, which start again at once; everything
// else is the machine's.
type hands struct {
	execute.Machine
	tree *tree
}

func (h hands) Stop(_ context.Context, s plan.Stop) error {
	if was := h.tree.started[s.Component]; s.PID != pids[s.Component] || !s.Start.Equal(was) {
		return fmt.Errorf("stopping %s: %w", s.Component, execute.ErrGone)
	}
	// Later than what was replaced in the same instant.
	h.tree.started[s.Component] = time.Now().UTC().Add(time.Second)
	return nil
}

func (tr *tree) see() plan.Seen {
	tr.t.Helper()
	seen, err := tr.Look(context.Background())
	if err != nil {
		tr.t.Fatal(err)
	}
	return seen
}

// renewal plans the renewal of everything, or of what is named.
func (tr *tree) renewal(newKey bool, names ...string) plan.Plan {
	tr.t.Helper()
	return tr.plan(plan.RenewOptions{ID: "p1", Names: names, All: len(names) == 0, NewKey: newKey})
}

func (tr *tree) plan(o plan.RenewOptions) plan.Plan {
	tr.t.Helper()
	o.Now, o.Policy = tr.runner.Now(), policy.Default()
	p, err := plan.ForRenewal(tr.see(), o)
	if err != nil {
		tr.t.Fatal(err)
	}
	return p
}

// undoing plans to take back the plan p1.
func (tr *tree) undoing() (plan.Plan, error) {
	tr.t.Helper()
	var of plan.Plan
	for _, p := range tr.journal.Plans() {
		if p.ID != "p1" {
			continue
		}
		if err := json.Unmarshal(p.Content, &of); err != nil {
			tr.t.Fatal(err)
		}
		replaced, err := execute.Replaced(context.Background(), tr.runner.Hands, p)
		if err != nil {
			tr.t.Fatal(err)
		}
		return plan.ForUndo(of, replaced, tr.see(), "p2", tr.runner.Now())
	}
	return of, errors.New("the journal has no plan p1")
}

// finish resumes what the journal has open, as the next start of the program
// does.
func (tr *tree) finish() error {
	for _, cut := range tr.journal.Unfinished() {
		out, err := tr.runner.Resume(context.Background(), cut)
		if err != nil {
			return err
		}
		if out.Result != journal.Done {
			return fmt.Errorf("the plan %s ended %q", out.Plan, out.Result)
		}
	}
	return nil
}

// unsound are the codes of what keeps a component from starting with a
// credential.
var unsound = []finding.Code{finding.KeyMismatch, finding.FileMissing, finding.FileMalformed, finding.ChainBroken, finding.CertificateNotYetValid, finding.KeyReadable}

// faults are what would keep components from starting, by credential.
func faults(seen plan.Seen) []string {
	var all []string
	for _, f := range seen.Findings {
		if slices.Contains(unsound, f.Code) {
			all = append(all, fmt.Sprintf("%s %s: %s", f.ID, f.Code, f.Reason))
		}
	}
	return all
}

// SPDX-License-Identifier: Apache-2.0

//go:build linux

package execute_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"perennial.dev/perennial/internal/crashdisk"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/testnode"
)

// crashes cuts the power at every primitive of a plan, lets the machine start
// on everything that the disk may then hold, and goes on from there.
type crashes struct {
	t      *testing.T
	old    map[string]string // what the files hold before the plan, by path below /etc
	looks  map[string]plan.Seen
	counts map[string]int
	// apart are the states in which a component could not start before the
	// plan was gone on with.
	apart int
	// mayPart says that there may be such states.
	mayPart bool
	// depth is how often more the power is cut, while going on. Once for each
	// content of credentials and journal: half-written files make no
	// difference for what is gone on with.
	depth int
	cut   map[string]bool
	// rebooted: what runs has started anew since the plan was made.
	rebooted bool
	broken   []string // what is missing before the plan, by credential and code
	made     []string // files that the plan makes
	undo     bool     // the plan takes them away again
	scope    fact.Scope
}

// TestPowerFailures cuts the power at every point of renewals, and of taking
// them back.
func TestPowerFailures(t *testing.T) {
	for name, c := range map[string]struct {
		node   testnode.Options
		newKey bool
		names  []string
		undo   bool
		depth  int
	}{
		"same key":           {},
		"new key":            {newKey: true},
		"undo":               {undo: true},
		"undo of new key":    {undo: true, newKey: true},
		"twice, same key":    {names: []string{"scheduler.conf"}, depth: 1},
		"twice, new key":     {names: []string{"apiserver"}, newKey: true, depth: 1},
		"twice, undo of new": {names: []string{"apiserver"}, newKey: true, undo: true, depth: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.node.Key = "ed25519"
			n := aged(t, c.node)
			if c.undo {
				tr := boot(t, n.Root, nil)
				if _, err := tr.runner.Run(context.Background(), tr.renewal(c.newKey, c.names...)); err != nil {
					t.Fatal(err)
				}
				age(t, n.Root)
			}
			run := crashes{t: t, depth: c.depth, undo: c.undo}
			run.all(n.Root, c.newKey, func(tr *tree) plan.Plan { return tr.renewalOrUndo(c.undo, c.newKey, c.names) })
		})
	}
}

// all does a plan and cuts it off everywhere.
func (c *crashes) all(root string, mayPart bool, planned func(*tree) plan.Plan) {
	c.t.Helper()
	c.mayPart, c.cut, c.looks, c.counts, c.old = mayPart, map[string]bool{}, map[string]plan.Seen{}, map[string]int{}, content(c.t, root)
	states := c.of(root, func(tr *tree) {
		p := planned(tr)
		if said := strings.Contains(fmt.Sprint(p.Steps), "do not belong together"); said != mayPart && c.made == nil {
			c.t.Errorf("that a component may not start is said: %v", said)
		}
		out, err := tr.runner.Run(context.Background(), p)
		if err != nil || out.Result != journal.Done || len(out.Steps) != len(p.Steps) {
			c.t.Fatalf("%+v, %v", out, err)
		}
	})
	c.t.Logf("%d states of the disk: %v; in %d of them a component could not start before", states, c.counts, c.apart)
	if c.apart > 0 != mayPart {
		c.t.Errorf("a component could not start in %d states", c.apart)
	}
}

func (tr *tree) renewalOrUndo(undo, newKey bool, names []string) plan.Plan {
	if !undo {
		return tr.renewal(newKey, names...)
	}
	p, err := tr.undoing()
	if err != nil {
		tr.t.Fatal(err)
	}
	return p
}

// of does something to a tree and returns how many states were gone on from.
func (c *crashes) of(root string, do func(*tree)) (states int) {
	c.t.Helper()
	recording, err := crashdisk.Record(root)
	if err != nil {
		c.t.Fatal(err)
	}
	do(c.boot(root, recording.Around))
	c.rebooted = true
	for s := range recording.Distinct() {
		states += 1 + c.start(s)
		if c.t.Failed() {
			c.t.FailNow()
		}
	}
	return states
}

func (c *crashes) boot(root string, around host.Around) *tree {
	tr := boot(c.t, root, around)
	tr.looks = c.looks
	tr.scope.RequestDir = c.scope.RequestDir
	if c.rebooted {
		for name := range tr.started { // the same each time, so that looks are
			tr.started[name] = tr.started[name].Add(10 * time.Second)
		}
	}
	return tr
}

// start starts the machine on a state, and the program on the machine.
func (c *crashes) start(s crashdisk.State) (more int) {
	c.t.Helper()
	dir, err := os.MkdirTemp("", "state-")
	if err != nil {
		c.t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := s.Materialise(dir); err != nil {
		c.t.Fatal(err)
	}
	age(c.t, dir)
	if cold := c.unknown(faults(c.boot(dir, nil).see())); len(cold) > 0 {
		c.mended(s)
		c.apart++
		if !c.mayPart || len(cold) > 1 || !strings.Contains(cold[0], string(finding.KeyMismatch)) {
			c.t.Errorf("%v: cannot start: %q", s, cold)
		}
	}
	goOn := func(tr *tree) {
		if err := tr.finish(); err != nil {
			c.t.Errorf("%v: going on: %v", s, err)
		}
		c.ended(s, tr)
	}
	if content := c.contentOf(s, dir); c.depth > 0 && !c.cut[content] {
		c.cut[content] = true
		c.depth--
		defer func() { c.depth++ }()
		return c.of(dir, goOn)
	}
	goOn(c.boot(dir, unsynced))
	return 0
}

// mended starts the machine on a state after what is to be done before the kubelet
// starts: then every component can, and the plan can be gone on with.
func (c *crashes) mended(s crashdisk.State) {
	c.t.Helper()
	dir := c.t.TempDir()
	if err := s.Materialise(dir); err != nil {
		c.t.Fatal(err)
	}
	age(c.t, dir)
	tr := c.boot(dir, unsynced)
	for _, cut := range tr.journal.Unfinished() {
		if _, err := tr.runner.Mend(context.Background(), cut); err != nil {
			c.t.Errorf("%v: mending: %v", s, err)
		}
	}
	if cold := c.unknown(faults(tr.see())); len(cold) > 0 {
		c.t.Errorf("%v: cannot start after it was mended: %q", s, cold)
	}
	if err := tr.finish(); err != nil {
		c.t.Errorf("%v: going on after it was mended: %v", s, err)
	}
}

// unknown leaves out of faults what the plan was made for.
func (c *crashes) unknown(all []string) []string {
	return slices.DeleteFunc(all, func(fault string) bool {
		return slices.ContainsFunc(c.broken, func(known string) bool { return strings.HasPrefix(fault, known+":") })
	})
}

func (c *crashes) contentOf(s crashdisk.State, dir string) string {
	record, _ := s.ReadFile(state + "/journal/" + journal.Name) // none is a content, too
	return fmt.Sprintf("%q %q", record, content(c.t, dir))
}

// unsynced leaves out what takes time and changes nothing that is seen.
func unsynced(op host.Op, do func() error) error {
	if op.Do == host.SyncFile || op.Do == host.SyncDir {
		return nil
	}
	return do()
}

// ended says how a tree came out: every file as before the plan, or the plan
// done and proven; and nothing left behind.
func (c *crashes) ended(s crashdisk.State, tr *tree) {
	c.t.Helper()
	seen := tr.see()
	plans := tr.journal.Plans()
	now := content(c.t, tr.root)
	broken := faults(seen)
	if maps.Equal(now, c.old) != c.undo {
		broken = c.unknown(broken)
	}
	if len(broken) > 0 {
		c.t.Errorf("%v: ended with %q", s, broken)
	}
	last := journal.Plan{}
	if len(plans) > 0 {
		last = plans[len(plans)-1]
	}
	if c.old == nil {
		return
	}
	if maps.Equal(now, c.old) {
		c.counts["as before"]++
		if last.Result == "" && last.ID != "" {
			c.t.Errorf("%v: the journal has an open plan: %+v", s, last)
		}
		return
	}
	if last.Result != journal.Done {
		c.t.Errorf("%v: the plan %q ended %q, with files changed", s, last.ID, last.Result)
	}
	if last.ID == "p1" {
		if _, err := tr.undoing(); err != nil {
			c.t.Errorf("%v: it cannot be undone: %v", s, err)
		}
	}
	c.counts["done and proven"]++
	for name := range now {
		if _, known := c.old[name]; !known && !slices.Contains(c.made, name) {
			c.t.Errorf("%v: %s was left behind", s, name)
		}
	}
}

// content is what the files of Kubernetes and of its users and their modes are,
// by path.
func content(t testing.TB, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, dir := range []string{"etc", "root", "home", "var/lib/kubelet"} {
		contentBelow(t, root, dir, all)
	}
	return all
}

func contentBelow(t testing.TB, root, dir string, all map[string]string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(root, dir), func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(name)
		stat := info.Sys().(*syscall.Stat_t)
		all[strings.TrimPrefix(name, root)] = fmt.Sprintf("%v %d:%d %s", info.Mode(), stat.Uid, stat.Gid, data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

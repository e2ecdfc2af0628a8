// SPDX-License-Identifier: Apache-2.0

//go:build linux

package execute_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"perennial.dev/perennial/internal/execute"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/testnode"
)

const apiserverCrt = "/etc/kubernetes/pki/apiserver.crt"

// failing makes the primitives that match fail.
func failing(matches func(host.Op) bool, err error) host.Around {
	return func(op host.Op, do func() error) error {
		if matches(op) {
			return err
		}
		return do()
	}
}

// Whichever primitive fails, alone or with all that follow, the files can be
// started from, and the next run ends the work.
func TestEveryPrimitiveMayFail(t *testing.T) {
	for name, c := range map[string]struct{ newKey, alone bool }{
		"same key": {}, "new key": {newKey: true}, "same key, once": {alone: true}, "new key, once": {newKey: true, alone: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := 0
			for ; failsAt(t, n, c.newKey, c.alone); n++ {
			}
			t.Logf("each of %d primitives has failed", n)
		})
	}
}

// failsAt lets the nth primitive of a plan fail. It returns false where there
// are less.
func failsAt(t *testing.T, nth int, newKey, alone bool) bool {
	t.Helper()
	n := aged(t, testnode.Options{Key: "ed25519"})
	old := content(t, n.Root)
	count := 0
	tr := boot(t, n.Root, failing(func(host.Op) bool {
		count++
		return count == nth+1 || count > nth+1 && !alone
	}, syscall.EIO))
	out, err := tr.runner.Run(context.Background(), tr.renewal(newKey, "apiserver", "scheduler.conf"))
	if count <= nth {
		if err != nil || out.Result != journal.Done {
			t.Errorf("%+v, %v", out, err)
		}
		return false
	}
	if err == nil && !alone {
		t.Errorf("primitive %d: %+v", nth, out)
	}
	again := boot(t, n.Root, nil)
	if broken := faults(again.see()); len(broken) > 0 && (alone || !newKey) {
		t.Fatalf("primitive %d: %q", nth, broken)
	}
	if err := again.finish(); err != nil {
		t.Errorf("primitive %d: the next run: %v", nth, err)
	}
	if broken := faults(again.see()); len(broken) > 0 {
		t.Fatalf("primitive %d: after the next run: %q", nth, broken)
	}
	if open := again.journal.Unfinished(); len(open) > 0 {
		t.Fatalf("primitive %d: still open: %+v", nth, open)
	}
	var last journal.Plan
	for _, p := range again.journal.Plans() {
		last = p
	}
	changed := strings.Count(fmt.Sprint(out.Steps), string(journal.Done)) > 0 || last.Result == journal.Done
	if now := content(t, n.Root); !changed && !maps.Equal(now, old) {
		t.Fatalf("primitive %d: files changed, and the plan ended %q: %+v", nth, last.Result, out)
	}
	return true
}

// A plan whose files have changed is refused as a whole.
func TestChangedBetweenPlanAndRun(t *testing.T) {
	n := aged(t, testnode.Options{})
	tr := boot(t, n.Root, nil)
	p := tr.renewal(false)
	n.Issue("etcd-ca", "etcd/server", testnode.Leaf{Name: "cp1"})
	before := content(t, n.Root)
	out, err := tr.runner.Run(context.Background(), p)
	if !errors.Is(err, execute.ErrChanged) || !strings.Contains(err.Error(), "plan again") || len(out.Steps) > 0 {
		t.Errorf("%+v, %v", out, err)
	}
	if !maps.Equal(content(t, n.Root), before) || len(tr.journal.Plans()) > 0 {
		t.Error("something was done")
	}
}

// intrusion does something just before the nth primitive that matches.
func intrusion(n int, matches func(host.Op) bool, do func()) host.Around {
	return func(op host.Op, carry func() error) error {
		if matches(op) {
			if n--; n == 0 {
				do()
			}
		}
		return carry()
	}
}

// What another program puts in place between two steps, or between the intent
// and the rename, stays.
func TestChangedInTheMiddle(t *testing.T) {
	for name, c := range map[string]struct {
		at   func(host.Op) bool
		nth  int
		want journal.Result
	}{
		"before the step":      {func(op host.Op) bool { return op.Do == host.Write && strings.HasSuffix(op.Path, "journal.jsonl") }, 2, journal.Failed},
		"while it is prepared": {func(op host.Op) bool { return op.Do == host.Link && strings.Contains(op.To, "/p1/2/0.old") }, 1, journal.Failed},
		"just before the rename": {func(op host.Op) bool {
			return op.Do == host.SyncFile && strings.Contains(op.Path, "/pki/.perennial-apiserver")
		}, 1, journal.Failed},
		"once it has the content": {func(op host.Op) bool { return op.Do == host.SyncDir && strings.HasSuffix(op.Path, "/pki") }, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			n := aged(t, testnode.Options{})
			theirs := ""
			tr := boot(t, n.Root, intrusion(c.nth, c.at, func() {
				key := n.Read("/etc/kubernetes/pki/apiserver.key")
				n.Write("/etc/kubernetes/pki/apiserver.key", 0o600, key)
				dns, ips := n.ServingNames()
				n.Issue("ca", "apiserver", testnode.Leaf{Name: "kube-apiserver", DNS: dns, IPs: ips, Usage: serverAuth})
				theirs = string(n.Read(apiserverCrt))
			}))
			out, err := tr.runner.Run(context.Background(), tr.renewal(false, "admin.conf", "apiserver", "scheduler.conf"))
			if string(n.Read(apiserverCrt)) != theirs || theirs == "" {
				t.Fatalf("what another program has written is gone: %+v, %v", out, err)
			}
			if out.Result != c.want && c.want != "" {
				t.Errorf("%+v, %v", out, err)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), apiserverCrt)) {
				t.Errorf("the error does not say what was changed: %v", err)
			}
			again := boot(t, n.Root, nil)
			if err := again.finish(); err != nil {
				t.Log(err)
			}
			if broken := faults(again.see()); len(broken) > 0 || string(n.Read(apiserverCrt)) != theirs || len(again.journal.Unfinished()) > 0 {
				t.Errorf("after the next run: %q", broken)
			}
		})
	}
}

// What another program has changed while a plan lay cut off is left alone: the
// plan is closed where it can be used, and stays open where it cannot.
func TestChangedWhileCutOff(t *testing.T) {
	cut := func(t *testing.T) (*testnode.Node, *tree) {
		n := aged(t, testnode.Options{})
		tr := boot(t, n.Root, func(op host.Op, do func() error) error {
			if strings.Contains(op.Path, "/pki/.perennial") {
				panic("cut off")
			}
			return do()
		})
		func() {
			defer func() { _ = recover() }()
			_, _ = tr.runner.Run(context.Background(), tr.renewal(false, "apiserver"))
		}()
		again := boot(t, n.Root, nil)
		if open := again.journal.Unfinished(); len(open) != 1 || len(open[0].Open()) != 1 {
			t.Fatalf("%+v", open)
		}
		return n, again
	}
	t.Run("by a renewal", func(t *testing.T) {
		n, tr := cut(t)
		dns, ips := n.ServingNames()
		n.Issue("ca", "apiserver", testnode.Leaf{Name: "kube-apiserver", DNS: dns, IPs: ips, Usage: serverAuth})
		before := content(t, n.Root)
		if err := tr.finish(); err == nil || !strings.Contains(err.Error(), apiserverCrt+" meanwhile; nothing was done to it; run this again") {
			t.Error(err)
		}
		if open := tr.journal.Unfinished(); len(open) > 0 || !maps.Equal(content(t, n.Root), before) {
			t.Errorf("open: %+v", open)
		}
	})
	t.Run("by damage", func(t *testing.T) {
		n, tr := cut(t)
		n.Write(apiserverCrt, 0o644, []byte("damaged"))
		before := content(t, n.Root)
		err := tr.finish()
		if err == nil || !strings.Contains(err.Error(), "It cannot be used as it is") {
			t.Fatal(err)
		}
		if open := tr.journal.Unfinished(); len(open) != 1 || !maps.Equal(content(t, n.Root), before) {
			t.Errorf("open: %+v", open)
		}
		n.Write(apiserverCrt, 0o644, n.Read(open1(t, tr).Staged))
		if err := tr.finish(); err != nil || len(faults(tr.see())) > 0 {
			t.Errorf("with what the error names put in place: %v, %q", err, faults(tr.see()))
		}
	})
}

func open1(t *testing.T, tr *tree) journal.File {
	t.Helper()
	for _, p := range tr.journal.Unfinished() {
		for _, s := range p.Open() {
			return s.Last().Intent.Files[0]
		}
	}
	t.Fatal("nothing is open")
	return journal.File{}
}

// A clock that something is dated later than is not issued by. One that is
// ahead cannot be found out; what was issued by it is found when it is right
// again, and can be taken back.
func TestClock(t *testing.T) {
	at := func(tr *tree, years int) *tree {
		tr.runner.Now = func() time.Time { return time.Now().AddDate(years, 0, 0) }
		return tr
	}
	t.Run("two years back", func(t *testing.T) {
		n := aged(t, testnode.Options{})
		tr := at(boot(t, n.Root, nil), -2)
		before := content(t, n.Root)
		p := tr.renewal(false)
		out, err := tr.runner.Run(context.Background(), p)
		if !errors.Is(err, execute.ErrClock) || !strings.Contains(err.Error(), "is dated") || len(out.Steps) > 0 || !maps.Equal(content(t, n.Root), before) {
			t.Errorf("%+v, %v", out, err)
		}
		if _, err := os.Stat(n.Path(state)); err == nil {
			t.Error("a journal was begun")
		}
	})
	t.Run("behind the journal", func(t *testing.T) {
		n := aged(t, testnode.Options{})
		tr := boot(t, n.Root, nil)
		tr.runner.Newest = time.Now().Add(time.Hour)
		if _, err := tr.runner.Run(context.Background(), tr.renewal(false)); !errors.Is(err, execute.ErrClock) {
			t.Error(err)
		}
		tr.runner.AnyClock = true
		if out, err := tr.runner.Run(context.Background(), tr.renewal(false)); err != nil {
			t.Errorf("%+v, %v", out, err)
		}
	})
	t.Run("two years ahead", func(t *testing.T) {
		n := aged(t, testnode.Options{})
		old := content(t, n.Root)
		tr := at(boot(t, n.Root, nil), 2)
		if out, err := tr.runner.Run(context.Background(), tr.renewal(false)); err != nil {
			t.Fatalf("%+v, %v", out, err)
		}
		right := boot(t, n.Root, nil)
		if _, suspect := plan.SuspectClock(right.see()); !suspect {
			t.Fatal("that the clock was ahead is not found")
		}
		undo, err := right.undoing()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := right.runner.Run(context.Background(), undo); !errors.Is(err, execute.ErrClock) {
			t.Fatal(err)
		}
		right.runner.AnyClock = true
		if out, err := right.runner.Run(context.Background(), undo); err != nil || !maps.Equal(content(t, n.Root), old) {
			t.Errorf("%+v, %v", out, err)
		}
		if _, suspect := plan.SuspectClock(right.see()); suspect {
			t.Error("it is still suspect")
		}
	})
	t.Run("goes back in the middle of a pair", func(t *testing.T) {
		n := aged(t, testnode.Options{})
		renames := 0
		tr := boot(t, n.Root, func(op host.Op, do func() error) error {
			if op.Do == host.Rename && strings.Contains(op.To, "/pki/") {
				if renames++; renames == 2 {
					panic("cut off")
				}
			}
			return do()
		})
		func() {
			defer func() { _ = recover() }()
			_, _ = tr.runner.Run(context.Background(), tr.renewal(true, "apiserver"))
		}()
		again := at(boot(t, n.Root, nil), -2)
		if broken := faults(again.see()); !strings.Contains(strings.Join(broken, " "), string(finding.KeyMismatch)) {
			t.Fatalf("%q", broken)
		}
		if err := again.finish(); !errors.Is(err, execute.ErrClock) {
			t.Error(err)
		}
		right := boot(t, n.Root, nil)
		if broken := faults(right.see()); len(broken) > 0 {
			t.Errorf("key and certificate were left apart: %q", broken)
		}
		if err := right.finish(); err != nil || len(right.journal.Unfinished()) > 0 {
			t.Error(err)
		}
	})
}

// What has ended is not put back, neither by a step that has no effect nor by
// undo.
func TestEndedIsNotPutBack(t *testing.T) {
	n := testnode.New(t, testnode.Options{Life: 30 * time.Minute})
	age(t, n.Root)
	tr := boot(t, n.Root, nil)
	p := tr.renewal(false, "apiserver")
	p.Steps[0].Expect[0].NotAfter = time.Now().AddDate(50, 0, 0) // nothing lives so long
	out, err := tr.runner.Run(context.Background(), p)
	if out.Result != journal.Failed || err == nil || !strings.Contains(err.Error(), "is not put back") {
		t.Errorf("%+v, %v", out, err)
	}
	if broken := faults(tr.see()); len(broken) > 0 {
		t.Errorf("%q", broken)
	}
	n = testnode.New(t, testnode.Options{Life: 90 * time.Minute})
	age(t, n.Root)
	tr = boot(t, n.Root, nil)
	if out, err := tr.runner.Run(context.Background(), tr.renewal(false)); err != nil {
		t.Fatalf("%+v, %v", out, err)
	}
	if _, err := tr.undoing(); err != nil {
		t.Fatal(err)
	}
	tr.runner.Now = func() time.Time { return time.Now().Add(time.Hour) }
	if _, err := tr.undoing(); err == nil || !strings.Contains(err.Error(), "an ended certificate is not put back") {
		t.Error(err)
	}
}

// Undo gives back bytes, modes and owners, and refuses where a file was changed
// since.
func TestUndo(t *testing.T) {
	n := aged(t, testnode.Options{})
	if err := os.Chmod(n.Path(apiserverCrt), 0o640); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(n.Path(apiserverCrt), 1234, 4321); err != nil {
			t.Fatal(err)
		}
	}
	old := content(t, n.Root)
	tr := boot(t, n.Root, nil)
	if out, err := tr.runner.Run(context.Background(), tr.renewal(true)); err != nil {
		t.Fatalf("%+v, %v", out, err)
	}
	renewed := content(t, n.Root)
	if same := maps.Equal(renewed, old); same {
		t.Fatal("nothing was renewed")
	}
	if err := os.Chmod(n.Path(apiserverCrt), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(n.Path(apiserverCrt), os.Geteuid(), os.Getegid()); err != nil {
		t.Fatal(err)
	}
	was := n.Read("/etc/kubernetes/admin.conf")
	n.Write("/etc/kubernetes/admin.conf", 0o600, append(was, '\n'))
	if _, err := tr.undoing(); err == nil || !strings.Contains(err.Error(), "/etc/kubernetes/admin.conf was changed since") {
		t.Fatal(err)
	}
	n.Write("/etc/kubernetes/admin.conf", 0o600, was)
	undo, err := tr.undoing()
	if err != nil {
		t.Fatal(err)
	}
	out, err := tr.runner.Run(context.Background(), undo)
	if err != nil || out.Result != journal.Done {
		t.Fatalf("%+v, %v", out, err)
	}
	if now := content(t, n.Root); !maps.Equal(now, old) {
		for name := range old {
			if now[name] != old[name] {
				t.Errorf("%s is not as it was", name)
			}
		}
	}
	if broken := faults(tr.see()); len(broken) > 0 {
		t.Errorf("%q", broken)
	}
}

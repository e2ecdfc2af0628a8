// SPDX-License-Identifier: Apache-2.0

//go:build linux

package execute_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/checkpoint"
	"perennial.dev/perennial/internal/execute"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/testnode"
)

const archives = "/var/lib/kubelet/checkpoints"

// pruning is a node with archives that are 100, 50 and 2 hours old, and a plan that
// keeps the newest.
func pruning(t *testing.T) (*tree, plan.Plan, []string) {
	t.Helper()
	n := aged(t, testnode.Options{})
	var paths []string
	for _, hours := range []int{100, 50, 2} {
		at := time.Now().Add(-time.Duration(hours) * time.Hour).UTC()
		path := filepath.Join(n.Root, archives, "checkpoint-web-0_shop-app-"+at.Format(time.RFC3339)+".tar")
		n.Write(archives+"/"+filepath.Base(path), 0o600, []byte("memory"))
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	tr := boot(t, n.Root, nil)
	seen, err := tr.look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.ForPruning(seen, archives, checkpoint.Keep{Count: 1}, "p1", time.Now())
	if err != nil || len(p.Steps) != 2 {
		t.Fatalf("%v %+v", err, p)
	}
	return tr, p, paths
}

func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestArchivesAreRemovedAndProven(t *testing.T) {
	tr, p, paths := pruning(t)
	out, err := tr.runner.Run(t.Context(), p)
	if err != nil || out.Result != journal.Done || len(out.Steps) != 2 || !strings.Contains(out.Steps[0].Proof, "is gone") {
		t.Fatalf("%v %+v", err, out)
	}
	if there(paths[0]) || there(paths[1]) || !there(paths[2]) {
		t.Error("other archives are gone than those of the plan")
	}
	seen, err := tr.look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if undo, err := plan.ForUndo(p, nil, seen, "p2", time.Now()); err == nil && len(undo.Steps) > 0 {
		t.Errorf("an undo is planned: %+v", undo.Steps)
	}
}

// What was exchanged or written to since the plan was made stays, and the plan stops
// there.
func TestAnArchiveThatChangedStays(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"written to": func(path string) error { return os.WriteFile(path, []byte("longer memory"), 0o600) },
		"touched":    func(path string) error { return os.Chtimes(path, time.Now(), time.Now()) },
		"exchanged": func(path string) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			other := path + ".new"
			err = errors.Join(os.WriteFile(other, []byte("memorY"), 0o600), os.Chtimes(other, info.ModTime(), info.ModTime()))
			return errors.Join(err, os.Rename(other, path))
		},
		"a directory": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			tr, p, paths := pruning(t)
			if err := change(paths[0]); err != nil {
				t.Fatal(err)
			}
			out, err := tr.runner.Run(t.Context(), p)
			if err == nil || out.Result == journal.Done || name != "a directory" && !errors.Is(err, execute.ErrChanged) {
				t.Errorf("%v %+v", err, out)
			}
			for _, path := range paths {
				if !there(path) {
					t.Errorf("%s is gone", path)
				}
			}
		})
	}
}

// A run that was cut off between removing and writing that down is finished, and one
// that somebody else has done is as good.
func TestRemovingIsFinishedAfterItWasCutOff(t *testing.T) {
	tr, p, paths := pruning(t)
	if err := os.Remove(paths[0]); err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.journal.Append(time.Now(), journal.Begin{Plan: p.ID, Content: body}); err != nil {
		t.Fatal(err)
	}
	if err := tr.journal.Append(time.Now(), journal.Intent{Plan: p.ID, Step: 1}); err != nil {
		t.Fatal(err)
	}
	again := boot(t, tr.root, nil)
	cut := again.journal.Unfinished()
	if len(cut) != 1 {
		t.Fatalf("%+v", cut)
	}
	out, err := again.runner.Resume(t.Context(), cut[0])
	if err != nil || out.Result != journal.Done || there(paths[1]) || !there(paths[2]) {
		t.Errorf("%v %+v", err, out)
	}
}

// Nothing is proven where the directory cannot be listed any more.
func TestNoProofWithoutTheDirectory(t *testing.T) {
	e := plan.Expect{Predicate: plan.ArchiveGone, Path: archives + "/x.tar"}
	all := fact.Checkpoints{Dir: archives, Archives: []fact.Archive{{Path: archives + "/x.tar"}}}
	for want, facts := range map[plan.Answer][]fact.Fact{plan.Unknown: nil, plan.No: {all}, plan.Yes: {fact.Checkpoints{Dir: archives}}} {
		if got, why := e.Holds(plan.Seen{Facts: facts}); got != want || why == "" {
			t.Errorf("%s, want %s: %s", got, want, why)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/plan"
)

func TestReady(t *testing.T) {
	files, err := host.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	dir := t.TempDir()
	b := &Bench{Desk: &Desk{Disk: host.NewDisk(files, nil)}, Options: Options{State: filepath.Join(dir, "state", "to", "be", "made")}}
	p := plan.Plan{Steps: []plan.Step{{Verb: plan.Renew, Files: []plan.File{
		{Path: filepath.Join(dir, "apiserver.crt"), UID: os.Geteuid(), Written: true}, {Path: "/no/such/ca.key"},
	}}}}
	if err := b.Ready(p); err != nil {
		t.Errorf("a plan that can be done: %v", err)
	}
	p.Steps[0].Files[0].Path = filepath.Join(dir, "gone", "apiserver.crt")
	if err := b.Ready(p); err == nil || !strings.Contains(err.Error(), "nothing was done") || !strings.Contains(err.Error(), "gone") {
		t.Errorf("a directory that is not there: %v", err)
	}
	p.Steps[0].Files[0].Path = "/proc/self/apiserver.crt"
	if err := b.Ready(p); err == nil {
		t.Error("a file system without room is no error")
	}
}

// A plan for a cluster whose journal is a node's, too, is none that a node can finish.
func TestFinishesNoPlanOfACluster(t *testing.T) {
	dir := t.TempDir()
	desk, err := OpenDesk(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer desk.Close()
	p := plan.ForCluster("p1", time.Unix(1800000000, 0), plan.Cluster{Server: "10.0.0.1:6443", UID: "c"})
	step, _ := plan.PatchStep(plan.Object{APIVersion: "v1", Kind: "Namespace", Name: "shop", UID: "u", Fields: []plan.Field{{Path: []string{"a"}, After: plan.Text("b")}}}, "label", "why")
	p.Add(step)
	text, err := json.Marshal(p)
	if err == nil {
		err = desk.Journal.Append(p.Made, journal.Begin{Plan: p.ID, Content: text})
	}
	if err != nil {
		t.Fatal(err)
	}
	b := &Bench{Desk: desk, Options: Options{State: dir, Now: time.Now}}
	if _, err := b.Finish(t.Context(), desk.Journal.Unfinished()[0], nil); err == nil || !strings.Contains(err.Error(), "the cluster of 10.0.0.1:6443") || !strings.Contains(err.Error(), "--state "+dir) {
		t.Errorf("it says %v", err)
	}
	if cut := desk.Journal.Unfinished(); len(cut) != 1 || len(cut[0].Steps) != 0 {
		t.Errorf("it has begun: %+v", cut)
	}
}

func TestShort(t *testing.T) {
	needs := host.Space{Bytes: 1 << 20, Inodes: 6}
	for want, left := range map[string]host.Space{
		"":                   {Bytes: 1 << 20, Inodes: 6},
		"1023 KiB are free":  {Bytes: 1<<20 - 1, Inodes: 6},
		"5 more files fit":   {Bytes: 1 << 20, Inodes: 5},
		"512 KiB are free, ": {Bytes: 1 << 19, AnyInodes: true},
	} {
		err := short("/x", left, needs)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", left, err, want)
		}
	}
	if err := short("/x", host.Space{Bytes: 1 << 20, AnyInodes: true}, needs); err != nil {
		t.Errorf("inodes as needed: %v", err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package checkpoint_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/checkpoint"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
)

const place = "/var/lib/kubelet/checkpoints/"

var now = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

// archive is one of a pod's, so many hours old.
func archive(pod string, hours int, size int64) fact.Archive {
	at := now.Add(-time.Duration(hours) * time.Hour)
	return fact.Archive{Path: fmt.Sprintf("%scheckpoint-%s_shop-app-%s.tar", place, pod, at.Format(time.RFC3339)), Meta: fact.Meta{Mode: 0o600, Size: size, ModTime: at}}
}

func TestFindings(t *testing.T) {
	const g = 1 << 30
	open := archive("web-0", 1, g)
	open.Meta.Mode = 0o644
	grouped := archive("web-0", 1, g)
	grouped.Meta.Mode = 0o640
	for name, c := range map[string]struct {
		seen fact.Checkpoints
		want []string
	}{
		"none":                              {fact.Checkpoints{Reach: 0o011, Volume: 100 * g}, nil},
		"closed":                            {fact.Checkpoints{Archives: []fact.Archive{archive("web-0", 1, g)}, Reach: 0o011, Volume: 100 * g, Free: 50 * g}, nil},
		"open in a closed directory":        {fact.Checkpoints{Archives: []fact.Archive{open}, Reach: 0, Volume: 100 * g, Free: 50 * g}, nil},
		"open":                              {fact.Checkpoints{Archives: []fact.Archive{open}, Reach: 0o011, Volume: 100 * g, Free: 50 * g}, []string{"CheckpointReadable weakness"}},
		"open to a group that cannot enter": {fact.Checkpoints{Archives: []fact.Archive{grouped}, Reach: 0o001, Volume: 100 * g, Free: 50 * g}, nil},
		"open to a group":                   {fact.Checkpoints{Archives: []fact.Archive{grouped}, Reach: 0o010, Volume: 100 * g, Free: 50 * g}, []string{"CheckpointReadable weakness"}},
		"a tenth":                           {fact.Checkpoints{Archives: []fact.Archive{archive("web-0", 1, 10*g)}, Volume: 100 * g, Free: 50 * g}, []string{"CheckpointsFillDisk weakness"}},
		"less than a tenth":                 {fact.Checkpoints{Archives: []fact.Archive{archive("web-0", 1, 9*g)}, Volume: 100 * g, Free: 50 * g}, nil},
		"full, and not without them":        {fact.Checkpoints{Archives: []fact.Archive{archive("web-0", 1, 3*g)}, Volume: 100 * g, Free: 8 * g}, []string{"CheckpointsFillDisk fault"}},
		"full in any case, and they are hardly more": {fact.Checkpoints{Archives: []fact.Archive{archive("web-0", 1, g)}, Volume: 100 * g, Free: 2 * g}, nil},
		"a disk that does not tell its size":         {fact.Checkpoints{Archives: []fact.Archive{archive("web-0", 1, 90*g)}}, nil},
	} {
		c.seen.Dir = strings.TrimSuffix(place, "/")
		var got []string
		for _, f := range checkpoint.Judge(layout.Layout{Node: "cp1"}, []fact.Fact{c.seen}) {
			got = append(got, fmt.Sprintf("%s %s", f.Code, f.Class))
			if f.ID != "cp1/checkpoints" || f.Effect == "" || f.Reason == "" || f.Fix == "" || !f.End.Now {
				t.Errorf("%s: %+v", name, f)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	elsewhere := fact.Checkpoints{Dir: "/data/k 1/checkpoints", Archives: []fact.Archive{archive("web-0", 1, 10*g)}, Volume: 100 * g, Free: 50 * g}
	if f := checkpoint.Judge(layout.Layout{}, []fact.Fact{elsewhere}); len(f) != 1 || f[0].Fix != `perennial checkpoint prune --max-share 5% --dir "/data/k 1/checkpoints"` {
		t.Errorf("a kubelet with another root: %+v", f)
	}
	many := fact.Checkpoints{Dir: place, Reach: 0o011}
	for i := range 9 {
		many.Archives = append(many.Archives, archive(fmt.Sprint("web-", i), i, 1))
		many.Archives[i].Meta.Mode = 0o604
	}
	f := checkpoint.Judge(layout.Layout{Node: "cp1"}, []fact.Fact{many})
	if len(f) != 1 || f[0].Code != finding.CheckpointReadable || len(f[0].Evidence.Notes) != 6 || f[0].Evidence.Notes[5] != "and 4 more" || f[0].Evidence.Mode != "0604" {
		t.Errorf("%+v", f)
	}
}

func TestParseName(t *testing.T) {
	n, ok := checkpoint.ParseName("/x/checkpoint-web-0.a_my-shop-side-car-2026-11-22T08:00:00+01:00.tar")
	if !ok || n.Pod != "web-0.a" || n.Subject != "checkpoint-web-0.a_my-shop-side-car" || !n.At.Equal(now.Add(-time.Hour)) {
		t.Errorf("%+v %v", n, ok)
	}
	for _, other := range []string{"notes.txt", "checkpoint.tar", "checkpoint-web_shop-app-2026-11-22T08:00:00Z.tar.gz", "checkpoint-web_shop-app-2026-13-22T08:00:00Z.tar",
		"checkpoint-web_shop-app-.tar", "checkpoint-../x_shop-app-2026-11-22T08:00:00Z.tar", "xcheckpoint-web_shop-app-2026-11-22T08:00:00Z.tar"} {
		if n, ok := checkpoint.ParseName(other); ok {
			t.Errorf("%s: %+v", other, n)
		}
	}
}

func TestPrune(t *testing.T) {
	const g = 1 << 30
	all := fact.Checkpoints{Dir: place, Archives: []fact.Archive{
		archive("web-0", 1, 4*g), archive("web-0", 30, 4*g), archive("web-0", 80, 4*g), archive("db-0", 50, 8*g), archive("new-0", 0, g),
		{Path: place + "evidence.tar", Meta: fact.Meta{Size: 16 * g, ModTime: now.AddDate(-1, 0, 0)}},
	}}
	for name, c := range map[string]struct {
		keep checkpoint.Keep
		want []string // pod and hours, the oldest first
	}{
		"nothing asked for":       {checkpoint.Keep{}, nil},
		"by age":                  {checkpoint.Keep{Age: 48 * time.Hour}, []string{"web-0 80", "db-0 50"}},
		"by number":               {checkpoint.Keep{Count: 1}, []string{"web-0 80", "web-0 30"}},
		"by size":                 {checkpoint.Keep{Bytes: 25 * g}, []string{"web-0 80", "db-0 50"}},
		"by size, exactly":        {checkpoint.Keep{Bytes: 37 * g}, nil},
		"by size that is too low": {checkpoint.Keep{Bytes: 1}, []string{"web-0 80", "db-0 50", "web-0 30", "web-0 1"}},
		"by number and size":      {checkpoint.Keep{Count: 2, Bytes: 29 * g}, []string{"web-0 80", "db-0 50"}},
	} {
		going, notes := checkpoint.Prune(all, c.keep, now)
		var got []string
		for _, one := range going {
			n, _ := checkpoint.ParseName(one.Path)
			got = append(got, fmt.Sprintf("%s %.0f", n.Pod, now.Sub(one.Meta.ModTime).Hours()))
			if one.Why == "" {
				t.Errorf("%s: no reason for %s", name, one.Path)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		text := strings.Join(notes, "\n")
		if !strings.Contains(text, "1 other file ") || !strings.Contains(text, "checkpoint-new-0") || strings.Contains(text, "more than the") != (c.keep.Bytes == 1) {
			t.Errorf("%s: %q", name, notes)
		}
	}
	if len(all.Archives) != 6 || !strings.Contains(all.Archives[0].Path, "web-0") {
		t.Error("the list was changed")
	}
}

func TestVerify(t *testing.T) {
	d, err := read(t, packed(t, without(whole(t), "checkpoint/files.img")...), checkpoint.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	d.Mounts = nil
	can := checkpoint.Node{
		Arch: "amd64", Kernel: "6.1.0-20-amd64", Cgroup: 1, CRIU: checkpoint.Program{Name: "criu", Path: "/usr/sbin/criu", Version: "3.17.1"},
		Manager: checkpoint.Containerd, ManagerVersion: "v2.2.3", Runtime: checkpoint.Program{Name: "runc", Path: "/usr/sbin/runc", Version: "1.1.5"},
		Flags: []string{"fpu", "avx", "avx512f", "pku"}, Image: checkpoint.Present,
	}
	if checks := checkpoint.Verify(d, can); checkpoint.Worst(checks) != checkpoint.Yes {
		t.Fatalf("%+v", checks)
	}
	for name, c := range map[string]struct {
		change func(*checkpoint.Node, *checkpoint.Description)
		check  string
		answer checkpoint.Answer
	}{
		"another machine": {func(n *checkpoint.Node, _ *checkpoint.Description) { n.Arch = "arm64" }, "architecture", checkpoint.No},
		"no CRIU":         {func(n *checkpoint.Node, _ *checkpoint.Description) { n.CRIU = checkpoint.Program{} }, "CRIU", checkpoint.No},
		"a CRIU that does not work here": {func(n *checkpoint.Node, _ *checkpoint.Description) {
			n.CRIU.Refuses = "vdso: Unexpected rt vDSO area bounds"
		}, "CRIU", checkpoint.No},
		"an old CRIU":              {func(n *checkpoint.Node, d *checkpoint.Description) { n.CRIU.Version, d.CRIU = "3.15", "3.15" }, "CRIU", checkpoint.No},
		"an older CRIU":            {func(_ *checkpoint.Node, d *checkpoint.Description) { d.CRIU = "4.1" }, "CRIU", checkpoint.No},
		"a CRIU that nobody knows": {func(_ *checkpoint.Node, d *checkpoint.Description) { d.CRIU = "" }, "CRIU", checkpoint.Unknown},
		"a CRIU that says nothing": {func(n *checkpoint.Node, _ *checkpoint.Description) { n.CRIU.Version = "" }, "CRIU", checkpoint.Unknown},
		"another runtime":          {func(n *checkpoint.Node, _ *checkpoint.Description) { n.Manager = checkpoint.CRIO }, "runtime", checkpoint.No},
		"CRI-O": {func(n *checkpoint.Node, d *checkpoint.Description) {
			n.Manager, n.ManagerVersion, d.Manager = checkpoint.CRIO, "1.34.14", checkpoint.CRIO
		}, "runtime", checkpoint.Unknown},
		"an old CRI-O": {func(n *checkpoint.Node, d *checkpoint.Description) {
			n.Manager, n.ManagerVersion, d.Manager = checkpoint.CRIO, "1.24.6", checkpoint.CRIO
		}, "runtime", checkpoint.No},
		"no runtime":                      {func(n *checkpoint.Node, _ *checkpoint.Description) { n.Manager = "" }, "runtime", checkpoint.Unknown},
		"containerd 1.6":                  {func(n *checkpoint.Node, _ *checkpoint.Description) { n.ManagerVersion = "1.6.20~ds1" }, "runtime", checkpoint.No},
		"containerd 2.0":                  {func(n *checkpoint.Node, _ *checkpoint.Description) { n.ManagerVersion = "v2.0.14" }, "runtime", checkpoint.No},
		"containerd 2.1":                  {func(n *checkpoint.Node, _ *checkpoint.Description) { n.ManagerVersion = "v2.1.9" }, "runtime", checkpoint.Yes},
		"containerd 2.2.7":                {func(n *checkpoint.Node, _ *checkpoint.Description) { n.ManagerVersion = "v2.2.7" }, "runtime", checkpoint.Unknown},
		"containerd 2.3.4":                {func(n *checkpoint.Node, _ *checkpoint.Description) { n.ManagerVersion = "v2.3.4" }, "runtime", checkpoint.Unknown},
		"containerd 2.4":                  {func(n *checkpoint.Node, _ *checkpoint.Description) { n.ManagerVersion = "v2.4.2" }, "runtime", checkpoint.No},
		"crun":                            {func(_ *checkpoint.Node, d *checkpoint.Description) { d.Runtime = "crun" }, "OCI runtime", checkpoint.No},
		"no runc":                         {func(n *checkpoint.Node, _ *checkpoint.Description) { n.Runtime = checkpoint.Program{} }, "OCI runtime", checkpoint.No},
		"an older kernel":                 {func(n *checkpoint.Node, _ *checkpoint.Description) { n.Kernel = "5.10.0" }, "kernel", checkpoint.Unknown},
		"other control groups":            {func(n *checkpoint.Node, _ *checkpoint.Description) { n.Cgroup = 2 }, "control groups", checkpoint.No},
		"a CPU without AVX-512":           {func(n *checkpoint.Node, _ *checkpoint.Description) { n.Flags = []string{"avx", "pku"} }, "CPU features", checkpoint.No},
		"a CPU that nobody knows":         {func(n *checkpoint.Node, _ *checkpoint.Description) { n.Flags = nil }, "CPU features", checkpoint.Unknown},
		"no image":                        {func(n *checkpoint.Node, _ *checkpoint.Description) { n.Image = checkpoint.Absent }, "image", checkpoint.No},
		"an image that nobody looked for": {func(n *checkpoint.Node, _ *checkpoint.Description) { n.Image = checkpoint.Uncertain }, "image", checkpoint.Unknown},
		"open connections": {func(_ *checkpoint.Node, d *checkpoint.Description) {
			d.Sockets = []checkpoint.Socket{{Kind: "tcp", State: "established"}}
		}, "connections", checkpoint.Unknown},
		"a mount": {func(_ *checkpoint.Node, d *checkpoint.Description) {
			d.Mounts = []checkpoint.Mount{{Path: "/data", Type: "bind"}}
		}, "mounts", checkpoint.Unknown},
		"a mount that every container has": {func(_ *checkpoint.Node, d *checkpoint.Description) {
			d.Mounts = []checkpoint.Mount{{Path: "/etc/hosts", Type: "bind"}}
		}, "mounts", checkpoint.Yes},
	} {
		n, other := can, *d
		c.change(&n, &other)
		checks := checkpoint.Verify(&other, n)
		i := slices.IndexFunc(checks, func(k checkpoint.Check) bool { return k.Name == c.check })
		if i < 0 || checks[i].Answer != c.answer || checkpoint.Worst(checks) != c.answer || checks[i].Says == "" {
			t.Errorf("%s: %+v", name, checks)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"path"
	"slices"
	"time"

	"perennial.dev/perennial/internal/checkpoint"
	"perennial.dev/perennial/internal/fact"
)

// Archive is a file that is too large to be compared or kept: it is told by which
// file it is, how large, and when it was last written to.
type Archive struct {
	Path    string    `json:"path"`
	Device  uint64    `json:"device"`
	Inode   uint64    `json:"inode"`
	Size    int64     `json:"size"` // bytes
	ModTime time.Time `json:"modTime"`
}

// Meta is how the file was seen.
func (a Archive) Meta() fact.Meta {
	return fact.Meta{Device: a.Device, Inode: a.Inode, Size: a.Size, ModTime: a.ModTime}
}

// gone is why removing an archive cannot be undone.
const gone = "the memory in an archive is nowhere else"

// ForPruning plans to remove archives of checkpoints that do not stay. What it
// removes cannot be put back: no copy is kept, since what filled the disk would fill
// it again, and a copy of memory is what is to go.
func ForPruning(seen Seen, dir string, keep checkpoint.Keep, id string, now time.Time) (Plan, error) {
	p := New(id, now, seen)
	i := slices.IndexFunc(seen.Facts, func(f fact.Fact) bool { c, ok := f.(fact.Checkpoints); return ok && (dir == "" || c.Dir == dir) })
	if i < 0 {
		for _, u := range seen.Unseen {
			if u.Source == "archives" {
				return p, fmt.Errorf("looking for archives of checkpoints in %s: %s", u.What, u.Detail)
			}
		}
		p.Notes = append(p.Notes, Note{Text: "there is no directory of checkpoints, so nothing was ever checkpointed through this kubelet"})
		return p, nil
	}
	going, notes := checkpoint.Prune(seen.Facts[i].(fact.Checkpoints), keep, now)
	for _, g := range going {
		p.Add(remove(seen, g))
	}
	for _, n := range notes {
		p.Notes = append(p.Notes, Note{Text: fact.Text(n)})
	}
	return p, nil
}

func remove(seen Seen, g checkpoint.Going) Step {
	name := path.Base(g.Path)
	return Step{
		Verb: Delete, ID: fact.NodeID(seen.Layout.Node, name), Title: "remove " + fact.Text(name).String(),
		Why:     fmt.Sprintf("%s, %s", checkpoint.Bytes(g.Meta.Size), g.Why),
		Archive: &Archive{g.Path, g.Meta.Device, g.Meta.Inode, g.Meta.Size, g.Meta.ModTime},
		Expect:  []Expect{{Predicate: ArchiveGone, Path: g.Path}},
		Once:    gone,
	}
}

// archiveGone looks for a file among the archives that are there.
func (e Expect) archiveGone(after Seen) (Answer, string) {
	for _, f := range after.Facts {
		c, ok := f.(fact.Checkpoints)
		if !ok || c.Dir != path.Dir(e.Path) {
			continue
		}
		if slices.ContainsFunc(c.Archives, func(a fact.Archive) bool { return a.Path == e.Path }) {
			return No, e.Path + " is still there"
		}
		return Yes, e.Path + " is gone"
	}
	return Unknown, path.Dir(e.Path) + " could not be listed"
}

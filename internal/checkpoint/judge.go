// SPDX-License-Identifier: Apache-2.0

package checkpoint

import (
	"fmt"
	"path"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
)

const (
	// fillShare is the part of its file system from which on archives are a matter
	// of their own.
	fillShare = 0.10
	// evictShare is the part that has to be free: with less the kubelet ends pods
	// (nodefs.available<10%, pkg/kubelet/eviction/defaults_linux.go).
	evictShare = 0.10
	// named is how many archives a finding names.
	named = 5
)

// Judge says what follows from the archives of a node: who could read the memory
// in them, and what they take of the disk on which the node's pods live.
func Judge(l layout.Layout, seen []fact.Fact) (all []finding.Finding) {
	for _, f := range seen {
		c, ok := f.(fact.Checkpoints)
		if !ok || len(c.Archives) == 0 {
			continue
		}
		id := fact.NodeID(l.Node, DirBelow)
		all = append(all, readable(id, c)...)
		all = append(all, filling(id, c)...)
	}
	return all
}

// othersRead are the bits by which the group and everybody may read.
const othersRead = 0o044

// Readable says who besides its owner may read an archive, below directories that
// are reachable for the bits of reach: nobody, "its group" or "everybody".
func Readable(a fact.Archive, reach uint32) string {
	switch mode := a.Meta.Mode & othersRead; {
	case mode&0o004 != 0 && reach&0o001 != 0:
		return "everybody"
	case mode&0o040 != 0 && reach&0o010 != 0:
		return "its group"
	}
	return ""
}

func readable(id fact.ID, c fact.Checkpoints) []finding.Finding {
	var notes []fact.Text
	var first fact.Archive
	count := 0
	for _, a := range c.Archives {
		who := Readable(a, c.Reach)
		if who == "" {
			continue
		}
		if count++; count == 1 {
			first = a
		}
		if len(notes) < named {
			notes = append(notes, fact.Text(fmt.Sprintf("%s: mode %04o, readable by %s", a.Path, a.Meta.Mode, who)))
		}
	}
	if count == 0 {
		return nil
	}
	if more := count - len(notes); more > 0 {
		notes = append(notes, fact.Text(fmt.Sprintf("and %d more", more)))
	}
	return []finding.Finding{{
		Code: finding.CheckpointReadable, ID: id, End: finding.Now(), Keeper: finding.KeeperPerson, Class: finding.Weakness,
		Effect:   "whoever may read them has every secret that the checkpointed processes held",
		Reason:   Count(count, "archive") + " can be read by others than the owner",
		Evidence: finding.Evidence{Path: first.Path, Mode: fmt.Sprintf("%04o", first.Meta.Mode), Owner: fmt.Sprintf("%d:%d", first.Meta.UID, first.Meta.GID), Notes: notes},
		Fix:      fmt.Sprintf("chmod 700 %s && chmod 600 %s", quote(c.Dir), quote(path.Join(c.Dir, "checkpoint-"))+"*.tar"),
	}}
}

// quote makes a path one word of a shell, where it is none by itself.
func quote(p string) string {
	for _, r := range p {
		if r != '/' && r != '-' && r != '.' && r != '_' && !('a' <= r && r <= 'z') && !('A' <= r && r <= 'Z') && !('0' <= r && r <= '9') {
			return fmt.Sprintf("%q", fact.Text(p).String())
		}
	}
	return p
}

func filling(id fact.ID, c fact.Checkpoints) []finding.Finding {
	total := c.Total()
	if c.Volume == 0 || total == 0 {
		return nil
	}
	share, free := float64(total)/float64(c.Volume), float64(c.Free)/float64(c.Volume)
	f := finding.Finding{
		Code: finding.CheckpointsFillDisk, ID: id, End: finding.Now(), Keeper: finding.KeeperPerson, Class: finding.Weakness,
		Effect:   "when less than a tenth of the disk is free the kubelet ends pods of this node",
		Reason:   fmt.Sprintf("%s: %s, %.0f %% of the file system; %.0f %% of it are free", Count(len(c.Archives), "archive"), Bytes(total), share*100, free*100),
		Evidence: finding.Evidence{Path: c.Dir, Notes: []fact.Text{"neither the kubelet nor the runtime removes archives of checkpoints"}},
		Fix:      "perennial checkpoint prune --max-share 5%",
	}
	if c.Dir != layout.DefaultKubeletRoot+"/"+DirBelow {
		f.Fix += " --dir " + quote(c.Dir)
	}
	switch {
	case free < evictShare && free+share >= evictShare:
		f.Class, f.Effect = finding.Fault, "the kubelet ends pods of this node, and would not without the archives"
	case share < fillShare:
		return nil
	}
	return []finding.Finding{f}
}

// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/pki"
)

// Replaced is a file that a step of an earlier plan has replaced.
type Replaced struct {
	Step          int
	Path          string
	Before, After string    // digests
	Now           string    // digest of what is there
	Backup        string    // path of the copy
	Old           fact.File // what the copy holds
	Mode          uint32
	UID, GID      int
}

// ForUndo plans to take back a plan: its files in reverse order, then the
// restarts that follow. It is refused as a whole where one file is no longer
// what the plan made of it, or where a copy holds a certificate that has ended.
func ForUndo(of Plan, replaced []Replaced, seen Seen, id string, now time.Time) (Plan, error) {
	u := &undoer{planner: planner{seen: seen, o: RenewOptions{Now: now}}, now: now}
	u.Plan = New(id, now, seen)
	u.Undoes = of.ID
	var refused []error
	for _, r := range replaced {
		refused = append(refused, u.refuse(r))
	}
	if err := errors.Join(refused...); err != nil {
		return u.Plan, fmt.Errorf("undoing the plan %s: %w", of.ID, err)
	}
	for i := len(of.Steps) - 1; i >= 0; i-- {
		u.restore(of.Steps[i], replaced)
	}
	u.restarts()
	return u.Plan, nil
}

type undoer struct {
	planner
	now time.Time
}

func (u *undoer) refuse(r Replaced) error {
	if r.Now != r.After {
		return fmt.Errorf("%s was changed since, by something else; what it was before is in %s", r.Path, r.Backup)
	}
	if r.Old.Digest != r.Before {
		return fmt.Errorf("the backup %s is missing or damaged", r.Backup)
	}
	if leaf, ok := LeafOf(r.Old); ok && !leaf.NotAfter.After(u.now) {
		return fmt.Errorf("what %s was before has ended on %s; an ended certificate is not put back", r.Path, leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// LeafOf is the certificate that a file presents: its first, or that of a
// kubeconfig's current user.
func LeafOf(f fact.File) (fact.Cert, bool) {
	if f.Kubeconfig != nil {
		return pki.CurrentLeaf(f.Kubeconfig)
	}
	if len(f.Certs) == 0 {
		return fact.Cert{}, false
	}
	return f.Certs[0], true
}

// restore adds the step that takes one step back.
func (u *undoer) restore(s Step, replaced []Replaced) {
	if s.Once != "" { // what it made is gone again
		return
	}
	step := Step{Verb: Restore, ID: s.ID, Title: "restore " + s.ID.Name(), Why: "it takes back: " + s.Title}
	id := s.ID // what the step has made is missing again afterwards
	if slices.ContainsFunc(replaced, func(r Replaced) bool { return r.Step == s.Number && r.Before == "" }) {
		id = ""
	}
	for _, r := range replaced {
		if r.Step != s.Number {
			continue
		}
		step.Back = append(step.Back, Back{Path: r.Path, Backup: r.Backup, Digest: r.Before, Mode: r.Mode, UID: r.UID, GID: r.GID})
		step.Files = append(step.Files, File{Path: r.Path, Digest: r.After, Mode: r.Mode, UID: r.UID, GID: r.GID, Written: true})
		step.Expect = append(step.Expect, Expect{Predicate: DiskHolds, ID: id, Path: r.Path, Digest: r.Before})
	}
	if len(step.Back) == 0 {
		return
	}
	// Nothing takes up, at a start, what is missing again: it would not start.
	if c, ok := u.seen.Layout.ByID(s.ID); ok && id != "" {
		if u.served(c) {
			step.Expect = append(step.Expect, Expect{Predicate: WireEqualsDisk, ID: c.ID})
		}
		u.renewed = append(u.renewed, c)
	}
	u.add(step)
}

// served says whether the credential is served on ports. Whether they answer is
// for the runner to see: what did not answer before a step is not insisted on
// afterwards.
func (p *planner) served(c layout.Credential) bool { return len(c.Ports) > 0 }

// partsFelt is what replacing a key with its certificate is felt as. A file at
// a time is all that a disk can replace at once.
const partsFelt = "for an instant its key and its certificate do not belong together: a connection that is made then fails, " +
	"and after a failure of the power just then its component does not start until perennial is run again, which finishes the work"

// parts says whether a step replaces more than one file that is there, so that
// there is an instant between two of them. What it removes is missing afterwards
// anyway.
func parts(s Step) bool {
	n := 0
	for _, b := range s.Back {
		if b.Digest == "" {
			n--
		}
	}
	for _, f := range s.Files {
		if f.Written && f.Digest != "" {
			n++
		}
	}
	return n > 1
}

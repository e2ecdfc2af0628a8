// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
	"time"

	"perennial.dev/perennial/internal/credential"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/pki"
)

// Copy is a user of a kubeconfig that gets what another kubeconfig holds.
type Copy struct {
	From string    `json:"from"` // path of the original
	Path string    `json:"path"`
	User fact.Text `json:"user"` // in the copy
	Had  string    `json:"had"`  // fingerprint of its certificate
}

// copies plans to bring up to date what was copied on this node from a
// kubeconfig that is renewed, or was renewed before.
func (p *planner) copies() {
	for _, c := range credential.Copies(p.seen.Layout, p.seen.Facts) {
		renewed := slices.ContainsFunc(p.renewed, func(r layout.Credential) bool { return r.ID == c.ID })
		if !renewed && (c.Current || !p.olderThanOriginal(c) || !p.asked(c)) {
			continue
		}
		if slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Copy != nil && s.Copy.Path == c.Path }) {
			p.note(c.CopyID(), "the user %s in it is refreshed by the next renewal: one file is changed once in a plan", c.User)
			continue
		}
		if p.lapsed(c) {
			p.note(c.CopyID(), "its certificate has ended, and it belongs to user %d: it gets no new access unasked; name %s under copies in the settings, or copy the file again", c.Meta.UID, c.Path)
			continue
		}
		p.add(Step{
			Verb: Refresh, ID: c.CopyID(), Title: "refresh " + c.Path,
			Why:    fmt.Sprintf("it is a copy of %s, of its own it works until %s", c.ID.Name(), c.Cert.NotAfter.UTC().Format(time.RFC3339)),
			Copy:   &Copy{From: c.From, Path: c.Path, User: c.User, Had: c.Cert.Fingerprint()},
			Files:  []File{p.planned(c.Path, true), p.planned(c.From, false)},
			Expect: []Expect{{Predicate: CopyCurrent, ID: c.ID, Path: c.Path, User: c.User}},
		})
	}
}

// asked says whether a credential is within what was asked for.
func (p *planner) asked(c credential.Copy) bool {
	return len(p.o.Names) == 0 || slices.ContainsFunc(p.o.Names, func(name string) bool { return string(c.ID) == name || c.ID.Name() == name })
}

func (p *planner) olderThanOriginal(c credential.Copy) bool {
	leaf, ok := pki.CurrentLeaf(p.file(c.From).Kubeconfig)
	return ok && leaf.NotAfter.After(c.Cert.NotAfter)
}

// lapsed says that a user's copy has ended. Whoever kept it may have been meant
// to lose access with it, so only root's and those that the settings name are
// brought back.
func (p *planner) lapsed(c credential.Copy) bool {
	return c.Cert.NotAfter.Before(p.o.Now) && c.Meta.UID != 0 && !slices.Contains(p.seen.Layout.Scope.Copies, c.Path)
}

func (e Expect) copyCurrent(after Seen) (Answer, string) {
	original, ok := after.Layout.ByID(e.ID)
	if !ok {
		return Unknown, fmt.Sprintf("%s could not be read", e.ID)
	}
	from, _ := after.file(original.Path)
	leaf, ok := pki.CurrentLeaf(from.Kubeconfig)
	if _, there := after.file(e.Path); !ok || !there {
		return Unknown, e.Path + " could not be read"
	}
	for _, c := range credential.Copies(after.Layout, after.Facts) {
		if c.ID != e.ID || c.Path != e.Path || c.User != e.User {
			continue
		}
		if c.Current {
			return Yes, fmt.Sprintf("%s holds what %s holds, valid until %s", e.Path, original.Path, leaf.NotAfter.UTC().Format(time.RFC3339))
		}
		return No, e.Path + " still holds an earlier certificate"
	}
	return No, fmt.Sprintf("%s is no copy of %s any more", e.Path, original.Path)
}

// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
	"time"

	"perennial.dev/perennial/internal/credential"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
)

// Predicate is what an expectation says.
type Predicate string

// The predicates.
const (
	// DiskRenewed: the file holds another certificate than Fingerprint, it
	// ends at NotAfter or later, it chains, and its key belongs to it.
	DiskRenewed Predicate = "disk-renewed"
	// DiskHolds: the file at Path has Digest, and where ID is given, that
	// credential can be used.
	DiskHolds Predicate = "disk-holds"
	// WireEqualsDisk: every port that serves the credential serves what the
	// file holds.
	WireEqualsDisk Predicate = "wire-equals-disk"
	// IdentityCurrent: the component uses what the file holds, and that was
	// seen or follows from how it reloads.
	IdentityCurrent Predicate = "identity-current"
	// RequestWritten: the file at Path holds a signing request for the key in
	// the file at KeyPath.
	RequestWritten Predicate = "request-written"
	// CopyCurrent: User of the kubeconfig at Path has what ID holds.
	CopyCurrent Predicate = "copy-current"
	// Restarted: the component runs, in another process than the one before.
	Restarted Predicate = "restarted"
	// Answers: the component's port completes a handshake.
	Answers Predicate = "answers"
	// LeaseHeld: somebody holds the component's lease, and not Holder any more.
	LeaseHeld Predicate = "lease-held"
	// Ready: the component says that it is.
	Ready Predicate = "ready"
	// Reaches: a new connection to Endpoint is answered by the component.
	Reaches Predicate = "reaches"
	// LoopbackNew: the API server's loopback certificate is another one than
	// Fingerprint.
	LoopbackNew Predicate = "loopback-new"
	// Guarded: emptying the endpoints of the service kubernetes is refused.
	Guarded Predicate = "guarded"
	// Unguarded: nothing of the guard is left.
	Unguarded Predicate = "unguarded"
	// Ended: the component has no process and no manifest.
	Ended Predicate = "ended"
	// ObjectHolds: the object of the API is the one that was looked at, and its
	// fields are as they are to be.
	ObjectHolds Predicate = "object-holds"
	// ArchiveGone: no archive of a checkpoint is at Path.
	ArchiveGone Predicate = "archive-gone"
)

// Expect is a predicate over what is seen after a step. The new key and serial
// are not known when a plan is made, so it speaks of what must differ.
type Expect struct {
	Predicate   Predicate `json:"predicate"`
	ID          fact.ID   `json:"id,omitempty"`
	Component   string    `json:"component,omitempty"`
	Endpoint    string    `json:"endpoint,omitempty"` // host:port
	Holder      fact.Text `json:"holder,omitempty"`   // of the lease before, where that was a process of this node
	Path        string    `json:"path,omitempty"`
	KeyPath     string    `json:"keyPath,omitempty"`
	User        fact.Text `json:"user,omitempty"`
	Digest      string    `json:"digest,omitempty"`
	Fingerprint string    `json:"fingerprint,omitempty"` // of the certificate before
	NotAfter    time.Time `json:"notAfter,omitzero"`
	PID         int       `json:"pid,omitempty"`  // of the process before
	After       time.Time `json:"after,omitzero"` // its start
	SinceBoot   Span      `json:"sinceBoot,omitzero"`
	Object      *Object   `json:"object,omitempty"`
	Within      Span      `json:"within,omitzero"` // how long it is waited for; zero: as long as the predicate usually takes
}

// Seen is one look, discovered and judged: what a proof compares.
type Seen struct {
	Layout   layout.Layout
	Facts    []fact.Fact
	Findings []finding.Finding
	Unseen   []fact.Unseen
}

// See discovers and judges a record.
func See(r fact.Record) Seen {
	l := layout.Discover(r.Scope, r.Facts)
	findings, unseen := credential.Judge(l, r.Facts)
	return Seen{Layout: l, Facts: r.Facts, Findings: findings, Unseen: append(unseen, r.Unseen...)}
}

// Holds answers whether an expectation holds, with half a sentence that says
// why.
func (e Expect) Holds(after Seen) (Answer, string) {
	switch e.Predicate {
	case DiskRenewed:
		return e.diskRenewed(after)
	case DiskHolds:
		return e.diskHolds(after)
	case WireEqualsDisk:
		return e.wireEqualsDisk(after)
	case IdentityCurrent:
		return e.identityCurrent(after)
	case RequestWritten:
		return e.requestWritten(after)
	case CopyCurrent:
		return e.copyCurrent(after)
	case Restarted:
		return e.restarted(after)
	case Answers:
		return e.answers(after)
	case Ready:
		return e.ready(after)
	case LeaseHeld:
		return e.leaseHeld(after)
	case Reaches:
		return e.reaches(after)
	case LoopbackNew:
		return e.loopbackNew(after)
	case Guarded, Unguarded:
		return e.guarded(after)
	case Ended:
		return e.ended(after)
	case ObjectHolds:
		return e.objectHolds(after)
	case ArchiveGone:
		return e.archiveGone(after)
	}
	return Unknown, fmt.Sprintf("%q is no predicate that this program knows", fact.Text(e.Predicate))
}

func (s Seen) find(id fact.ID, code finding.Code) (finding.Finding, bool) {
	for _, f := range s.Findings {
		if f.ID == id && f.Code == code {
			return f, true
		}
	}
	return finding.Finding{}, false
}

// broken are the codes that say that a credential cannot be used as it lies on
// disk.
var broken = []finding.Code{finding.FileMissing, finding.FileMalformed, finding.KeyMismatch, finding.ChainBroken, finding.CertificateNotYetValid}

// SuspectClock says whether the node's clock cannot be right, and why.
func SuspectClock(seen Seen) (string, bool) {
	for _, f := range seen.Findings {
		if f.Code == finding.ClockSuspect {
			return f.Reason, true
		}
	}
	return "", false
}

// Broken says whether a credential cannot be used as it lies on disk, and why.
func Broken(seen Seen, id fact.ID) (string, bool) {
	for _, code := range broken {
		if f, ok := seen.find(id, code); ok {
			return f.Reason, true
		}
	}
	return "", false
}

func (e Expect) diskRenewed(after Seen) (Answer, string) {
	if why, is := Broken(after, e.ID); is {
		return No, why
	}
	f, ok := after.find(e.ID, finding.CertificateExpires)
	if !ok || f.Evidence.Certificate == nil {
		return Unknown, fmt.Sprintf("%s could not be read", e.ID)
	}
	c := f.Evidence.Certificate
	switch {
	case c.Fingerprint == e.Fingerprint:
		return No, "the file still holds the old certificate"
	case c.NotAfter.Before(e.NotAfter):
		return No, fmt.Sprintf("the new certificate ends %s, earlier than planned", c.NotAfter.Format(time.RFC3339))
	}
	return Yes, "the file holds the new certificate, valid until " + c.NotAfter.Format(time.RFC3339)
}

func (e Expect) diskHolds(after Seen) (Answer, string) {
	for _, f := range after.Facts {
		if file, ok := f.(fact.File); ok && file.Path == e.Path && !file.Missing {
			if file.Digest != e.Digest {
				return No, e.Path + " holds something else"
			}
			if why, is := Broken(after, e.ID); is {
				return No, why
			}
			return Yes, e.Path + " holds what it should"
		}
	}
	if e.Digest == "" && !unseen(after, e.Path) {
		return Yes, e.Path + " is not there, as before"
	}
	return Unknown, e.Path + " could not be read"
}

func unseen(after Seen, path string) bool {
	return slices.ContainsFunc(after.Unseen, func(u fact.Unseen) bool { return string(u.What) == path })
}

func (e Expect) wireEqualsDisk(after Seen) (Answer, string) {
	c, ok := after.Layout.ByID(e.ID)
	f, judged := after.find(e.ID, finding.CertificateExpires)
	if !ok || !judged {
		return Unknown, fmt.Sprintf("%s could not be read", e.ID)
	}
	if len(c.Ports) == 0 {
		return Unknown, fmt.Sprintf("no port that serves %s was found", e.ID)
	}
	shown := map[string]bool{}
	for _, s := range f.Evidence.Served {
		if !s.Matches {
			return No, s.Endpoint + " still serves the old certificate"
		}
		shown[s.Endpoint] = true
	}
	for _, port := range c.Ports {
		if !shown[port] {
			return Unknown, port + " did not answer"
		}
	}
	return Yes, "its ports serve what the file holds"
}

func (e Expect) identityCurrent(after Seen) (Answer, string) {
	f, ok := after.find(e.ID, finding.CertificateExpires)
	if !ok {
		return Unknown, fmt.Sprintf("%s could not be read", e.ID)
	}
	for _, id := range f.Evidence.Identity {
		if id.Component != e.Component {
			continue
		}
		switch {
		case id.Grade == finding.Unproven:
			return Unknown, id.Because
		case id.Current:
			return Yes, string(id.Grade) + ": " + id.Because
		}
		return No, id.Because
	}
	return Unknown, fmt.Sprintf("%s does not run, or could not be seen", e.Component)
}

func (e Expect) restarted(after Seen) (Answer, string) {
	c, ok := after.Layout.Component(e.Component)
	before := fact.Process{PID: e.PID, Start: e.After, SinceBoot: e.SinceBoot.Duration}
	switch {
	case !ok || c.Process == nil:
		return Unknown, e.Component + " does not run yet"
	case c.Process.Same(before) || before.SinceBoot == 0 && c.Process.Start.Before(e.After):
		return No, e.Component + " is still the process from before"
	}
	return Yes, fmt.Sprintf("%s runs since %s", e.Component, c.Process.Start.Format(time.RFC3339))
}

func (e Expect) answers(after Seen) (Answer, string) {
	for _, p := range after.Layout.Ports {
		if p.Component != e.Component || p.Peer {
			continue
		}
		for _, f := range after.Facts {
			if s, ok := f.(fact.Served); ok && s.Endpoint == p.Endpoint {
				return Yes, p.Endpoint + " answers"
			}
		}
		return Unknown, p.Endpoint + " does not answer yet"
	}
	return Unknown, e.Component + " has no port that was found"
}

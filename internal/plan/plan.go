// SPDX-License-Identifier: Apache-2.0

// Package plan turns what is due into work as data: steps with what they
// change, what must be true before, what proves them afterwards, and what will
// be felt. It decides and does nothing.
package plan

import (
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
)

// Kind is the kind of the published JSON.
const Kind = "Plan"

// Plan is an ordered list of steps for one node. It can be saved, shown and
// executed later; one whose files have changed since is refused.
type Plan struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	ID         string     `json:"id"` // made by whoever plans; names journal records and backups
	Node       fact.Text  `json:"node"`
	Made       time.Time  `json:"made"`
	Scope      fact.Scope `json:"scope"`
	Steps      []Step     `json:"steps"`
	Notes      []Note     `json:"notes"`            // what is not done, and why
	Undoes     string     `json:"undoes,omitempty"` // the plan that this one takes back
	// By is who made the plan where nobody asked for it: ByAgent. Empty: a person,
	// by a command.
	By string `json:"by,omitempty"`
	// Decision says how the API server is replaced, where the plan does so.
	Decision *Decision `json:"decision,omitempty"`
	// Cluster is set where the plan is for the objects of a cluster and not for
	// a node; Node is its address then.
	Cluster *Cluster `json:"cluster,omitempty"`
}

// ByAgent are the plans that an agent made by itself.
const ByAgent = "agent"

// Exchange puts other steps in place of one, of which one restarts the same
// component: that one is to prove what the one that goes was to prove.
func (p *Plan) Exchange(number int, steps []Step) {
	old := p.Steps
	p.Steps = nil
	for _, s := range old {
		if s.Number != number {
			p.Add(s)
			continue
		}
		for _, other := range steps {
			if other.Verb == s.Verb && other.ID == s.ID {
				for _, e := range s.Expect {
					if e.Predicate != Restarted && e.Predicate != Answers {
						other.Expect = append(other.Expect, e)
					}
				}
			}
			p.Add(other)
		}
	}
}

// Add adds steps, and numbers them.
func (p *Plan) Add(steps ...Step) {
	for _, s := range steps {
		s.Number = len(p.Steps) + 1
		p.Steps = append(p.Steps, s)
	}
}

// Note is something about a credential that the plan leaves alone.
type Note struct {
	ID   fact.ID   `json:"id,omitempty"`
	Text fact.Text `json:"text"`
}

// Verb is what a step does. The set is closed; package execute has one row for
// each.
type Verb string

// The verbs.
const (
	Renew   Verb = "renew"   // sign a certificate again and replace it in its file
	Create  Verb = "create"  // make a certificate that is missing
	Request Verb = "request" // write a signing request for an external CA
	Accept  Verb = "accept"  // put a certificate that an external CA signed in place
	Refresh Verb = "refresh" // bring a copy of a kubeconfig up to date
	Turn    Verb = "turn"    // make kubelet.conf name the file that the kubelet renews
	Restore Verb = "restore" // put back what a step of an earlier plan replaced
	Restart Verb = "restart" // end a process, so that its supervisor starts it again
	Standby Verb = "standby" // run a second API server, or end it
	Guard   Verb = "guard"   // keep the service kubernetes from losing its endpoints, or no longer
	Steer   Verb = "steer"   // let new connections reach the second API server, or the first again
	Delete  Verb = "delete"  // remove an archive of a checkpoint, for good
	Patch   Verb = "patch"   // change fields of an object of the API, or change them back
)

// Step is one change, or one restart.
type Step struct {
	Number int      `json:"number"` // from 1
	Verb   Verb     `json:"verb"`
	ID     fact.ID  `json:"id"`             // the credential, or node/component for a restart
	Title  string   `json:"title"`          // half a sentence
	Why    string   `json:"why"`            // half a sentence
	Felt   string   `json:"felt,omitempty"` // what somebody may notice, and for how long
	Files  []File   `json:"files,omitempty"`
	Sign   *Sign    `json:"sign,omitempty"`
	Copy   *Copy    `json:"copy,omitempty"`
	Turn   *TurnTo  `json:"turn,omitempty"`
	Stop   *Stop    `json:"stop,omitempty"`
	Back   []Back   `json:"back,omitempty"`
	Bridge *Bridge  `json:"bridge,omitempty"`
	Object *Object  `json:"object,omitempty"`
	Expect []Expect `json:"expect"` // all must hold afterwards
	// Details are for whoever decides: lines that say what will be otherwise.
	Details []fact.Text `json:"details,omitempty"`
	// Upgrade says whether the next kubeadm upgrade would renew it anyway.
	Upgrade *finding.Upgrade `json:"upgrade,omitempty"`
	Once    string           `json:"once,omitempty"` // why it cannot be undone; empty when it can
	// Archive is what a step removes.
	Archive *Archive `json:"archive,omitempty"`
	// Always: it is done even where a step before it has failed. It takes away
	// what such a step has put up.
	Always bool `json:"always,omitempty"`
}

// File is a file that a step reads or replaces, as it was when the plan was
// made.
type File struct {
	Path    string `json:"path"`             // on the node, links followed
	Digest  string `json:"digest,omitempty"` // "sha256:<hex>"; empty: not there
	Mode    uint32 `json:"mode"`
	UID     int    `json:"uid"`
	GID     int    `json:"gid"`
	Written bool   `json:"written"` // false: only read
}

// Sign is how a certificate is signed.
type Sign struct {
	CA       string    `json:"ca"`                   // path of the CA's certificate
	CAKey    string    `json:"caKey"`                // path of its key
	Cert     string    `json:"cert"`                 // path of the certificate, or of the kubeconfig
	Key      string    `json:"key,omitempty"`        // path of the private key; empty: in Cert
	Conf     bool      `json:"kubeconfig,omitempty"` // Cert is a kubeconfig
	NewKey   bool      `json:"newKey,omitempty"`
	Life     Span      `json:"life"` // from now to the new end
	AddDNS   []string  `json:"addDNS,omitempty"`
	AddIPs   []string  `json:"addIPs,omitempty"`
	Spec     *Spec     `json:"spec,omitempty"`     // for a missing one: what it says
	MakeKey  *fact.Key `json:"makeKey,omitempty"`  // the kind of key to make, where there is none
	Replaces string    `json:"replaces,omitempty"` // fingerprint of the old certificate
	Request  string    `json:"request,omitempty"`  // path of the signing request
	Signed   string    `json:"signed,omitempty"`   // path of what an external CA signed
	KeyFrom  string    `json:"keyFrom,omitempty"`  // path of the private key of a request
}

// Spec is what a certificate that does not exist says, as a version of kubeadm
// would make it, and for a kubeconfig where it leads.
type Spec struct {
	Credential    string   `json:"credential"` // kubeadm's name
	Version       string   `json:"version"`    // of kubeadm
	CommonName    string   `json:"commonName"`
	Organizations []string `json:"organizations,omitempty"`
	Usages        []string `json:"usages"` // server, client
	DNS           []string `json:"dns,omitempty"`
	IPs           []string `json:"ips,omitempty"`
	Server        string   `json:"server,omitempty"`  // URL of the API server
	Cluster       string   `json:"cluster,omitempty"` // its name in the kubeconfig
	Origin        string   `json:"origin"`            // measured or estimated
	Citation      string   `json:"citation"`          // where in Kubernetes' sources
}

// Back is a file to restore from a backup.
type Back struct {
	Path   string `json:"path"`
	Backup string `json:"backup"` // path of the copy
	Digest string `json:"digest"` // of the copy
	Mode   uint32 `json:"mode"`
	UID    int    `json:"uid"`
	GID    int    `json:"gid"`
}

// Stop is the process that a restart ends.
type Stop struct {
	Component string    `json:"component"`
	PID       int       `json:"pid"`
	Start     time.Time `json:"start"`
	SinceBoot Span      `json:"sinceBoot,omitzero"` // from the boot of the machine to its start
	Args      []string  `json:"args"`
	Grace     Span      `json:"grace"` // between SIGTERM and SIGKILL
	// Delay is for how long it serves on after SIGTERM, not ready any more, so
	// that load balancers leave it out (--shutdown-delay-duration).
	Delay Span   `json:"delay,omitzero"`
	Unit  string `json:"unit,omitempty"` // a systemd unit, where that is its supervisor
	Lease *Lease `json:"lease,omitempty"`
}

// Process is the process to end, as it was seen.
func (s Stop) Process() fact.Process {
	return fact.Process{PID: s.PID, Start: s.Start, SinceBoot: s.SinceBoot.Duration, Args: s.Args}
}

// Of is the end of another process.
func (s Stop) Of(p fact.Process) Stop {
	s.PID, s.Start, s.SinceBoot, s.Args = p.PID, p.Start, Span{p.SinceBoot}, p.Args
	return s
}

// Lease is what a component holds while it leads. When its process has ended, it
// is released, so that the next one need not wait until it runs out.
type Lease struct {
	Name     string `json:"name"`
	Endpoint string `json:"endpoint"` // host:port of the API server
	Admin    string `json:"admin"`    // path of the kubeconfig with which it is released
}

// Span is a duration that is written as Go writes it, such as "8760h0m0s".
type Span struct{ time.Duration }

// MarshalText implements encoding.TextMarshaler.
func (s Span) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Span) UnmarshalText(text []byte) (err error) {
	s.Duration, err = time.ParseDuration(string(text))
	return err
}

// Answer is the outcome of a proof. Unknown is not no: what could not be seen
// is looked at again, or told to a person.
type Answer string

// The answers.
const (
	Yes     Answer = "yes"
	No      Answer = "no"
	Unknown Answer = "unknown"
)

// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/credential"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/pki"
	"perennial.dev/perennial/internal/policy"
)

// RenewOptions say what to renew and how.
type RenewOptions struct {
	ID     string    // of the plan
	Now    time.Time // of the plan, and of the judgement of what is due
	Names  []string  // credentials by kubeadm's names or IDs; empty: what is due
	All    bool
	Policy policy.Policy
	NewKey bool
	Life   time.Duration // 0: that of the old certificate
	AddSAN bool          // cover the addresses in use that the old one does not
	Create bool          // make what is missing
	// Where the CA's key is elsewhere, requests are written to, and what was
	// signed is taken from, the RequestDir of the look's scope.
}

// ForRenewal plans the renewal of a node's certificates and the restarts that
// follow from it. What was asked for and cannot be planned is in the notes. An
// error is a name that nothing here has.
func ForRenewal(seen Seen, o RenewOptions) (Plan, error) {
	p := &planner{seen: seen, o: o}
	p.Plan = New(o.ID, o.Now, seen)
	if err := errors.Join(AtWork(seen), p.known()); err != nil {
		return p.Plan, err
	}
	for _, c := range append(seen.Layout.Credentials[:len(seen.Layout.Credentials):len(seen.Layout.Credentials)], p.places()...) {
		if p.wanted(c) {
			p.renew(c)
		}
	}
	p.copies()
	p.restarts()
	p.others()
	return p.Plan, nil
}

// New is a plan without steps.
func New(id string, now time.Time, seen Seen) Plan {
	return Plan{
		APIVersion: finding.APIVersion, Kind: Kind, ID: id, Node: fact.Text(seen.Layout.Node), Made: now.UTC().Truncate(time.Second),
		Scope: seen.Layout.Scope, Steps: []Step{}, Notes: []Note{},
	}
}

type planner struct {
	Plan
	seen    Seen
	o       RenewOptions
	renewed []layout.Credential
}

func (p *planner) known() error {
	for _, name := range p.o.Names {
		if len(p.places()) > 0 && slices.ContainsFunc(p.places(), func(c layout.Credential) bool { return named(c, name) }) {
			continue
		}
		if !slices.ContainsFunc(p.seen.Layout.Credentials, func(c layout.Credential) bool { return named(c, name) }) {
			return fmt.Errorf("planning the renewal of %q: no credential of this node has that name", fact.Text(name))
		}
	}
	return nil
}

// places are the credentials that were named, that kubeadm would have made, and
// that nothing here names.
func (p *planner) places() []layout.Credential {
	var all []layout.Credential
	for _, name := range p.o.Names {
		c, ok := p.seen.Layout.Place(fact.ID(name).Name())
		if !strings.Contains(name, "/") {
			c, ok = p.seen.Layout.Place(name)
		}
		if _, there := p.seen.Layout.ByID(c.ID); ok && !there && p.o.Create && named(c, name) {
			all = append(all, c)
		}
	}
	return all
}

func named(c layout.Credential, name string) bool {
	return string(c.ID) == name || c.ID.Name() == name
}

func (p *planner) wanted(c layout.Credential) bool {
	switch {
	case len(p.o.Names) > 0:
		return slices.ContainsFunc(p.o.Names, func(name string) bool { return named(c, name) })
	case c.Role == layout.Unclaimed || c.Role == layout.Authority || c.Role == layout.Signing:
		return false
	case c.SelfRotating:
		return p.stuck(c)
	case p.o.All && !p.own(c) || p.newer(c).Certificate != nil: // the kubelet is not restarted for nothing
		return true
	}
	if _, missing := p.keyFault(c); missing && p.o.Create {
		return true
	}
	f, ok := p.seen.find(c.ID, finding.CertificateExpires)
	if !ok {
		return p.file(c.Path).Missing
	}
	from, ok := p.o.Policy.Due(f)
	return ok && !from.After(p.o.Now)
}

func (p *planner) note(id fact.ID, format string, args ...any) {
	p.Notes = append(p.Notes, Note{ID: id, Text: fact.Text(fmt.Sprintf(format, args...))})
}

// renew adds the step for one credential, or a note that says why there is
// none.
func (p *planner) renew(c layout.Credential) {
	f, judged := p.seen.find(c.ID, finding.CertificateExpires)
	switch {
	case c.Role == layout.Authority:
		p.note(c.ID, "a CA is not renewed like a leaf: everything that trusts it must learn of the new one first")
		return
	case c.Role == layout.Signing:
		p.note(c.ID, "a service-account key has no end; it is not renewed")
		return
	case p.turn(c):
		return
	case c.SelfRotating && !p.stuck(c):
		p.note(c.ID, "the kubelet renews it itself")
		return
	case !judged || f.Evidence.Certificate == nil:
		p.absent(c)
		return
	}
	leaf := f.Evidence.Certificate
	if p.own(c) {
		p.remake(c, f)
		return
	}
	ca, why := p.signer(c, f)
	switch {
	case ca == nil:
		p.note(c.ID, "%s", why)
		return
	case why != "":
		p.external(c, ca, nil, why)
		return
	}
	newKey := p.o.NewKey
	if fault, missing := p.keyFault(c); fault != "" {
		if newKey = newKey || missing && p.o.Create; !newKey {
			p.note(c.ID, "%s; --new-key makes another one", fault)
			return
		}
	}
	cert, key := p.location(c)
	life := p.life(c, *ca)
	step := Step{
		Verb: Renew, ID: c.ID, Title: "renew " + c.ID.Name(), Why: "it ends " + f.End.Date.UTC().Format(time.RFC3339), Felt: felt(c),
		Sign: &Sign{CA: ca.Path, CAKey: ca.Key, Cert: cert, Key: key, Conf: p.file(cert).Kubeconfig != nil, NewKey: newKey, Life: Span{life}, Replaces: leaf.Fingerprint},
	}
	if p.o.AddSAN {
		step.Sign.AddDNS, step.Sign.AddIPs = p.missing(c)
	}
	step.Files = p.filesOf(step.Sign)
	end := p.capped(c.ID, *ca, life)
	p.sign(c, step, leaf.Fingerprint, end)
}

// sign adds a step that makes a certificate anew, with what has to be seen then: on
// disk, and where it is served. What is only taken up by a restart is served after it.
func (p *planner) sign(c layout.Credential, step Step, old string, end time.Time) {
	step.Expect = []Expect{{Predicate: DiskRenewed, ID: c.ID, Fingerprint: old, NotAfter: end.Add(-slack)}}
	if p.served(c) && p.takenUp(c) {
		step.Expect = append(step.Expect, Expect{Predicate: WireEqualsDisk, ID: c.ID})
	}
	p.add(step)
	p.renewed = append(p.renewed, c)
}

// takenUp says whether all who use a credential take up a new one by themselves.
func (p *planner) takenUp(c layout.Credential) bool {
	return !slices.ContainsFunc(c.Consumers, func(u layout.Consumer) bool {
		itself, _ := credential.TakesUp(c, u, false)
		return !itself
	})
}

// life is how long the new certificate is to live from now on: until it is as old
// as the old one will have become, unless something else was asked. It begins a
// little before now, and without taking that away each renewal would live longer
// than the one before.
func (p *planner) life(c layout.Credential, ca layout.Credential) time.Duration {
	if p.o.Life != 0 {
		return p.o.Life
	}
	cert, _ := p.location(c)
	old, _ := p.present(&Sign{Cert: cert, Replaces: "any"})
	life, assumed := pki.OwnLife(old, p.caCert(ca), p.o.Now)
	if assumed {
		p.note(c.ID, "what it says of its begin is its CA's; it is taken to have been made for a year, as kubeadm does (--validity says otherwise)")
	}
	if life > 2*pki.Backdate {
		life -= pki.Backdate
	}
	return life
}

// slack is by how much less than planned a new certificate may live: seconds are
// cut off, and nothing else.
const slack = time.Minute

// capped is when a new certificate ends: with its life, or with its CA.
func (p *planner) capped(id fact.ID, ca layout.Credential, life time.Duration) time.Time {
	end := p.o.Now.Add(life)
	if limit := p.caCert(ca); limit.Certificate != nil && limit.NotAfter.Before(end) {
		end = limit.NotAfter
		p.note(id, "its new life is cut to that of its CA, which ends %s", end.UTC().Format(time.RFC3339))
	}
	return end
}

// keyFault is why a certificate cannot be signed again for the key that is
// there: it is missing, or another's.
func (p *planner) keyFault(c layout.Credential) (fault string, missing bool) {
	if f, ok := p.seen.find(c.ID, finding.KeyMismatch); ok {
		return f.Reason, false
	}
	if _, key := p.location(c); key != "" && p.isMissing(key) {
		return key + " is not there", true
	}
	return "", false
}

func (p *planner) add(s Step) {
	if f, ok := p.seen.find(s.ID, finding.CertificateExpires); ok {
		s.Upgrade = f.Evidence.Upgrade
	}
	if parts(s) {
		s.Felt = strings.TrimPrefix(s.Felt+"; "+partsFelt, "; ")
	}
	p.Add(s)
}

// problem is what the judgement says of a credential that has no end.
func (p *planner) problem(c layout.Credential) string {
	for _, code := range broken {
		if f, ok := p.seen.find(c.ID, code); ok {
			return f.Reason
		}
	}
	return c.Path + " could not be looked at"
}

// signer finds the CA that signed a credential, and why it cannot sign here,
// where it cannot.
func (p *planner) signer(c layout.Credential, f finding.Finding) (*layout.Credential, string) {
	if _, foreign := p.seen.find(c.ID, finding.ChainBroken); foreign {
		return nil, "its verifiers do not trust the CA that signed it; which CA should sign it cannot be told"
	}
	id, _, _ := strings.Cut(string(f.Evidence.IssuerID), "#")
	ca, ok := p.seen.Layout.ByID(fact.ID(id))
	switch {
	case id == "" && selfSigned(f):
		return nil, "it is self-signed: whoever made it makes it again"
	case !ok:
		return nil, "the CA that signed it was not found on this node"
	}
	return &ca, p.unsigned(ca)
}

// unsigned is why a CA cannot sign on this node.
func (p *planner) unsigned(ca layout.Credential) string {
	switch {
	case ca.Key == "" || len(p.file(ca.Key).Keys) == 0:
		return fmt.Sprintf("the key of its CA (%s) is not on this node: an external CA must sign it", ca.ID)
	case p.caCert(ca).Certificate == nil:
		return fmt.Sprintf("%s does not belong to any certificate in %s", ca.Key, ca.Path)
	}
	return ""
}

func selfSigned(f finding.Finding) bool {
	return f.Evidence.Certificate.Subject == f.Evidence.Certificate.Issuer
}

// caCert is the certificate of a CA's file that its key belongs to.
func (p *planner) caCert(ca layout.Credential) fact.Cert {
	for _, key := range p.file(ca.Key).Keys {
		for _, cert := range p.file(ca.Path).Certs {
			if pki.KeyMatches(key, cert) {
				return cert
			}
		}
	}
	return fact.Cert{}
}

func (p *planner) file(path string) fact.File {
	f, _ := p.seen.file(path)
	return f
}

// location is where the certificate and its key stand: the kubeconfig itself,
// or the files that it names.
func (p *planner) location(c layout.Credential) (cert, key string) {
	k := p.file(c.Path).Kubeconfig
	if k == nil {
		return c.Path, c.Key
	}
	for _, u := range k.Users {
		if u.Current && u.CertFile != "" {
			return u.CertFile, u.KeyFile
		}
	}
	return c.Path, ""
}

// missing are the addresses in use that the certificate does not cover.
func (p *planner) missing(c layout.Credential) (dns, ips []string) {
	certs := p.file(c.Path).Certs
	for _, host := range c.Covers {
		if len(certs) == 0 || pki.Covers(certs[0], host) {
			continue
		}
		if isIP(host) {
			ips = append(ips, host)
		} else {
			dns = append(dns, host)
		}
	}
	return dns, ips
}

func (p *planner) filesOf(s *Sign) []File {
	files := []File{p.planned(s.Cert, true)}
	if s.Key != "" && s.Key != s.Cert {
		key := p.planned(s.Key, s.NewKey)
		if key.Digest == "" {
			key = newFile(s.Key, 0o600, p.file(s.Cert))
		}
		files = append(files, key)
	}
	if s.Own() {
		return files
	}
	return append(files, p.planned(s.CA, false), p.planned(s.CAKey, false))
}

func (p *planner) planned(path string, written bool) File {
	f := p.file(path)
	return File{Path: path, Digest: f.Digest, Mode: f.Meta.Mode, UID: f.Meta.UID, GID: f.Meta.GID, Written: written}
}

// restarts adds one restart for each component that does not take up by itself
// what was renewed.
func (p *planner) restarts() {
	done := map[string]bool{}
	for _, c := range p.renewed {
		byPath := false
		if cert, _ := p.location(c); cert != c.Path {
			byPath = true
		}
		for _, u := range c.Consumers {
			itself, because := credential.TakesUp(c, u, byPath)
			if itself || done[u.Component] {
				continue
			}
			done[u.Component] = true
			p.restart(c, u, because)
		}
	}
}

func (p *planner) restart(c layout.Credential, u layout.Consumer, because string) {
	comp, ok := p.seen.Layout.Component(u.Component)
	if !ok || comp.Process == nil {
		p.note(c.ID, "%s does not run here; it takes up the new certificate when it starts", u.Component)
		return
	}
	step, err := RestartStep(p.seen, comp, because)
	if err != nil {
		p.note(c.ID, "%s; it takes up the new certificate when it starts", err)
		return
	}
	p.add(step)
	last := &p.Steps[len(p.Steps)-1]
	last.Expect = append(last.Expect, Expect{Predicate: IdentityCurrent, ID: c.ID, Component: u.Component})
	if p.served(c) {
		last.Expect = append(last.Expect, Expect{Predicate: WireEqualsDisk, ID: c.ID})
	}
}

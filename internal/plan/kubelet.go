// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/pki"
)

// TurnTo makes a kubelet's kubeconfig name the file that the kubelet renews.
type TurnTo struct {
	Conf    string `json:"conf"`
	Current string `json:"current"` // kubelet-client-current.pem
	Had     string `json:"had"`     // fingerprint of the embedded certificate
}

// turn plans to turn a kubelet.conf that embeds a certificate to the one that
// the kubelet has renewed since. kubeadm before 1.17 left the embedded one on
// the node that it had initialised; with its end the kubelet does not start.
func (p *planner) turn(c layout.Credential) bool {
	current := p.newer(c)
	if current.Certificate == nil {
		return false
	}
	path := p.seen.Layout.KubeletClient
	old, _ := pki.CurrentLeaf(p.file(c.Path).Kubeconfig)
	p.add(Step{
		Verb: Turn, ID: c.ID, Title: "turn " + c.ID.Name() + " to " + path,
		Why: fmt.Sprintf("it embeds a certificate that ends %s, and nobody renews that one; the kubelet renews the other, which ends %s",
			old.NotAfter.UTC().Format(time.RFC3339), current.NotAfter.UTC().Format(time.RFC3339)),
		Turn:   &TurnTo{Conf: c.Path, Current: path, Had: old.Fingerprint()},
		Files:  []File{p.planned(c.Path, true), p.planned(path, false)},
		Expect: []Expect{{Predicate: DiskRenewed, ID: c.ID, Fingerprint: old.Fingerprint(), NotAfter: current.NotAfter}},
	})
	p.renewed = append(p.renewed, c)
	return true
}

// newer is the kubelet's own current certificate, where the kubeconfig embeds
// an older one of the same name, and its key lies beside it.
func (p *planner) newer(c layout.Credential) fact.Cert {
	path := p.seen.Layout.KubeletClient
	if c.ID.Name() != "kubelet.conf" || path == "" {
		return fact.Cert{}
	}
	old, embedded := pki.CurrentLeaf(p.file(c.Path).Kubeconfig)
	key, ok := p.privateKey(path)
	certs := p.file(path).Certs
	if !embedded || !ok || len(certs) == 0 || !pki.KeyMatches(key, certs[0]) ||
		!bytes.Equal(certs[0].RawSubject, old.RawSubject) || !certs[0].NotAfter.After(old.NotAfter) {
		return fact.Cert{}
	}
	return certs[0]
}

// stuck says that a certificate which renews itself has ended, so that it no
// longer can: the kubelet asks for a new one with the old one.
func (p *planner) stuck(c layout.Credential) bool {
	f, ok := p.seen.find(c.ID, finding.CertificateExpires)
	return ok && c.ID.Name() == "kubelet.conf" && f.Evidence.Certificate != nil && !f.Evidence.Certificate.NotAfter.After(p.o.Now)
}

// own says whether a certificate is one that the kubelet has made for itself, with an
// authority that it threw away. Nobody trusts that one, and the kubelet makes no other
// as long as the file is there, whatever has ended.
func (p *planner) own(c layout.Credential) bool {
	certs := p.file(c.Path).Certs
	if !c.SelfMade || len(certs) == 0 {
		return false
	}
	known := slices.ContainsFunc(p.seen.Layout.Credentials, func(ca layout.Credential) bool {
		return ca.Role == layout.Authority && slices.ContainsFunc(p.file(ca.Path).Certs, func(by fact.Cert) bool { return pki.Issued(by, certs[0]) })
	})
	return !known && slices.ContainsFunc(certs, func(by fact.Cert) bool { return pki.Issued(by, certs[0]) })
}

// Own says whether a certificate is signed with its own key.
func (s *Sign) Own() bool { return s.CA == s.Cert }

// remake plans to make the kubelet's own certificate again, signed with its own key:
// one file is replaced, the kubelet can start before and after it, and with the key it
// is as much the same as before as a certificate without an authority can be.
func (p *planner) remake(c layout.Credential, f finding.Finding) {
	leaf := p.file(c.Path).Certs[0]
	newKey := p.o.NewKey
	if fault, missing := p.keyFault(c); fault != "" {
		if newKey = newKey || missing && p.o.Create; !newKey {
			p.note(c.ID, "%s; --new-key makes another one", fault)
			return
		}
	}
	life := p.o.Life
	if life == 0 {
		life = leaf.NotAfter.Sub(leaf.NotBefore) - pki.Backdate
	}
	step := Step{
		Verb: Renew, ID: c.ID, Title: "renew " + c.ID.Name(), Why: "it ends " + f.End.Date.UTC().Format(time.RFC3339) + "; the kubelet made it for itself, and makes no other as long as it is there",
		Sign: &Sign{CA: c.Path, CAKey: c.Key, Cert: c.Path, Key: c.Key, NewKey: newKey, Life: Span{life}, Replaces: leaf.Fingerprint()},
	}
	step.Files = p.filesOf(step.Sign)
	p.sign(c, step, leaf.Fingerprint(), p.o.Now.Add(life))
}

// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bytes"
	"fmt"
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

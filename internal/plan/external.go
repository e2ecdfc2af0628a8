// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/netip"
	"path"
	"slices"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/pki"
)

// external plans a credential whose CA's key is elsewhere: it accepts what was
// signed, or writes a request. That the old certificate has ended does not
// matter for either. Without a directory for requests there is only a note.
func (p *planner) external(c layout.Credential, ca *layout.Credential, spec *Spec, why string) {
	dir := p.seen.Layout.Scope.RequestDir
	if dir == "" {
		p.note(c.ID, "%s; renew --csr-dir DIR writes the requests for it", why)
		return
	}
	sign := p.externalSign(c, ca, spec, dir)
	key, ok := p.privateKey(sign.KeyFrom)
	signed := p.file(sign.Signed).Certs
	if ok && len(signed) > 0 && !p.inPlace(c, signed) {
		p.accept(c, sign, key, signed)
		return
	}
	if request := p.file(sign.Request).Requests; ok && len(request) > 0 && request[0].Fingerprint == key.Fingerprint && !p.inPlace(c, signed) {
		p.note(c.ID, "its request %s waits to be signed by the CA %s; put the certificate beside it as %s", sign.Request, ca.ID, path.Base(sign.Signed))
		return
	}
	p.request(c, sign, ok, why)
}

// externalSign says where everything lies. The key is the one that is in use,
// unless it is missing or another is wanted: then one is made, and kept beside
// the request until its certificate is there.
func (p *planner) externalSign(c layout.Credential, ca *layout.Credential, spec *Spec, dir string) *Sign {
	name := c.ID.Name()
	s := &Sign{
		CA: ca.Path, Cert: c.Path, Key: c.Key, Conf: c.Role == layout.Kubeconfig, Spec: spec,
		Request: path.Join(dir, name+layout.RequestEnd), Signed: path.Join(dir, name+layout.SignedEnd), KeyFrom: path.Join(dir, name+layout.NewKeyEnd),
	}
	if spec == nil {
		s.Cert, s.Key = p.location(c)
		s.Conf = p.file(s.Cert).Kubeconfig != nil
		f, _ := p.seen.find(c.ID, finding.CertificateExpires)
		s.Replaces = f.Evidence.Certificate.Fingerprint
		if p.o.AddSAN {
			s.AddDNS, s.AddIPs = p.missing(c)
		}
	}
	own := s.Key
	if own == "" {
		own = s.Cert
	}
	beside, kept := p.privateKey(s.KeyFrom)
	used, there := p.privateKey(own)
	if there && !p.o.NewKey && (!kept || beside.Fingerprint == used.Fingerprint) {
		s.KeyFrom = own
	}
	return s
}

// privateKey is the public side of the private key in a file.
func (p *planner) privateKey(path string) (fact.Key, bool) {
	f := p.file(path)
	keys := f.Keys
	if f.Kubeconfig != nil {
		for _, u := range f.Kubeconfig.Users {
			if u.Current && u.Key != nil {
				keys = append(keys, *u.Key)
			}
		}
	}
	for _, k := range keys {
		if !k.Public && k.Fingerprint != "" {
			return k, true
		}
	}
	return fact.Key{}, false
}

// inPlace says that what was signed is the certificate that is in use already.
func (p *planner) inPlace(c layout.Credential, signed []fact.Cert) bool {
	f, ok := p.seen.find(c.ID, finding.CertificateExpires)
	return ok && slices.ContainsFunc(signed, func(s fact.Cert) bool { return s.Fingerprint() == f.Evidence.Certificate.Fingerprint })
}

func (p *planner) request(c layout.Credential, s *Sign, haveKey bool, why string) {
	step := Step{
		Verb: Request, ID: c.ID, Title: "request " + c.ID.Name(), Why: why, Sign: s,
		Files:  []File{p.requestFile(s.Request, 0o644)},
		Expect: []Expect{{Predicate: RequestWritten, ID: c.ID, Path: s.Request, KeyPath: s.KeyFrom}},
	}
	if !haveKey {
		s.MakeKey = p.newKeyLike(s)
		step.Files = append(step.Files, p.requestFile(s.KeyFrom, 0o600))
	} else {
		step.Files = append(step.Files, p.planned(s.KeyFrom, false))
	}
	if s.Replaces != "" && s.Cert != s.KeyFrom {
		step.Files = append(step.Files, p.planned(s.Cert, false))
	}
	p.add(step)
}

// requestFile is a file in the directory of requests, new or replaced.
func (p *planner) requestFile(name string, mode uint32) File {
	if f := p.planned(name, true); f.Digest != "" {
		return f
	}
	return newFile(name, mode, p.ownFile())
}

// ownFile stands for a file of whoever owns the cluster's files.
func (p *planner) ownFile() fact.File {
	for _, c := range p.seen.Layout.Credentials {
		if f := p.file(c.Path); c.Role == layout.Authority && f.Digest != "" {
			return f
		}
	}
	return fact.File{}
}

// newKeyLike is the kind of a new key: that of the old certificate, or of the
// CA.
func (p *planner) newKeyLike(s *Sign) *fact.Key {
	if old, ok := p.present(s); ok {
		like := pki.KeyOf(old)
		return &like
	}
	return p.keyLike(layout.Credential{Path: s.CA})
}

// present is the certificate that is to be replaced.
func (p *planner) present(s *Sign) (fact.Cert, bool) {
	f := p.file(s.Cert)
	if leaf, ok := pki.CurrentLeaf(f.Kubeconfig); ok {
		return leaf, true
	}
	if len(f.Certs) > 0 && s.Replaces != "" {
		return f.Certs[0], true
	}
	return fact.Cert{}, false
}

// accept plans to put a signed certificate in place, after the same comparison
// that will be made again when it is done.
func (p *planner) accept(c layout.Credential, s *Sign, key fact.Key, signed []fact.Cert) {
	leaf, err := p.acceptable(s, key, signed)
	if err != nil {
		p.note(c.ID, "what was signed in %s is not put in place: %s", s.Signed, err)
		return
	}
	step := Step{
		Verb: Accept, ID: c.ID, Title: "accept " + c.ID.Name(), Why: "its CA has signed it: " + s.Signed, Felt: felt(c), Sign: s,
		Files:  []File{p.planned(s.Signed, false), p.planned(s.CA, false)},
		Expect: []Expect{{Predicate: DiskRenewed, ID: c.ID, Fingerprint: s.Replaces, NotAfter: leaf.NotAfter}},
	}
	s.NewKey = s.KeyFrom != s.Cert && s.KeyFrom != s.Key
	if s.NewKey && s.Key != "" && s.Key != s.Cert {
		step.Files = append(step.Files, p.target(s.Key, 0o600))
	}
	mode := uint32(0o644)
	if s.Conf {
		mode = 0o600
	}
	step.Files = append(step.Files, p.target(s.Cert, mode))
	if p.served(c) {
		step.Expect = append(step.Expect, Expect{Predicate: WireEqualsDisk, ID: c.ID})
	}
	if s.NewKey {
		step.Files = append(step.Files, p.planned(s.KeyFrom, false))
	}
	p.add(step)
	p.renewed = append(p.renewed, c)
}

// acceptable finds the certificate with the key, and says why it is not the one
// that was asked for. Of a new key only the public side is known here, and the
// rest is compared when it is done.
func (p *planner) acceptable(s *Sign, key fact.Key, signed []fact.Cert) (fact.Cert, error) {
	if old, ok := p.present(s); ok && old.KeyFingerprint() == key.Fingerprint {
		wanted, err := s.Wanted(old)
		if err != nil {
			return fact.Cert{}, err
		}
		leaf, _, err := pki.Accept(encode(signed), wanted, p.file(s.CA).Certs, p.o.Now)
		return leaf, err
	}
	i := slices.IndexFunc(signed, func(c fact.Cert) bool { return c.KeyFingerprint() == key.Fingerprint })
	if i < 0 {
		return fact.Cert{}, fmt.Errorf("it is for another key than %s holds", s.KeyFrom)
	}
	return signed[i], nil
}

// target is a file that is replaced, or made where it is missing.
func (p *planner) target(name string, mode uint32) File {
	if f := p.planned(name, true); f.Digest != "" {
		return f
	}
	return newFile(name, mode, p.ownFile())
}

func encode(certs []fact.Cert) []byte {
	var b bytes.Buffer
	for _, c := range certs {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a buffer takes all
	}
	return b.Bytes()
}

// Wanted is what a certificate has to say, from the one that it replaces or
// from the description of one that is missing.
func (s *Sign) Wanted(old fact.Cert) (pki.Wanted, error) {
	w := pki.Wanted{AddDNS: s.AddDNS}
	for _, text := range s.AddIPs {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			return w, fmt.Errorf("reading the address %q: %w", fact.Text(text), err)
		}
		w.AddIPs = append(w.AddIPs, ip)
	}
	if s.Spec != nil {
		spec, err := s.Spec.certificate()
		w.Spec = &spec
		return w, err
	}
	if old.Certificate == nil || old.Fingerprint() != s.Replaces {
		return w, fmt.Errorf("reading %s: it holds another certificate than was planned for; plan again", s.Cert)
	}
	w.Old = old
	return w, nil
}

// certificate is the description as package pki takes it.
func (s *Spec) certificate() (pki.Spec, error) {
	c := pki.Spec{Name: s.Credential, CommonName: s.CommonName, Organizations: s.Organizations, DNS: s.DNS, Origin: s.Origin, Citation: s.Citation}
	for _, u := range s.Usages {
		if u == "server" {
			c.Usages = append(c.Usages, x509.ExtKeyUsageServerAuth)
		} else {
			c.Usages = append(c.Usages, x509.ExtKeyUsageClientAuth)
		}
	}
	for _, text := range s.IPs {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			return c, fmt.Errorf("reading the address %q: %w", fact.Text(text), err)
		}
		c.IPs = append(c.IPs, ip)
	}
	return c, nil
}

// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"container/heap"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// Limits of one search for a chain.
const (
	maxLength  = 10  // certificates in a chain
	maxParents = 100 // considered for one child, of the anchors and of the presented each
	maxPaths   = 500 // looked at in all
	maxTrials  = 32  // complete chains put to crypto/x509
)

// Chain is how a certificate is trusted, and until when.
type Chain struct {
	Certs []fact.Cert // leaf first, anchor last; the leaf alone where Err is set
	End   time.Time   // the earliest NotAfter of Certs
	Ends  fact.Cert   // the one of Certs that ends then
	Err   error       // why there is no chain; safe to print
}

// Verify finds the chain from leaf over presented certificates to one of the
// anchors that holds longest. It applies the rules of crypto/x509 (names, CA
// flags, path lengths, name constraints, usages) except for time: a chain
// whose only fault is a date is not broken, and its End tells the date.
// x509.ExtKeyUsageAny accepts every usage.
//
// The work is bounded for any number of certificates: at most 100 signatures
// are checked, the likeliest issuers first.
func Verify(leaf fact.Cert, presented, anchors []fact.Cert, usage x509.ExtKeyUsage) Chain {
	if leaf.Certificate == nil {
		return Chain{Err: errors.New("there is no certificate to verify")}
	}
	s := search{presented: presented, anchors: anchors, usage: usage, checks: newChecks()}
	s.start(leaf)
	if found := s.run(); found != nil {
		return Chain{Certs: found.certs, End: found.end.NotAfter, Ends: found.end}
	}
	return Chain{Certs: []fact.Cert{leaf}, End: leaf.NotAfter, Ends: leaf, Err: s.failure(leaf)}
}

// partial is a part of a chain, from the leaf upwards.
type partial struct {
	certs    []fact.Cert
	end      fact.Cert // the one that ends first
	anchored bool      // the last one is an anchor
	order    int       // of discovery
}

func (p *partial) tip() fact.Cert { return p.certs[len(p.certs)-1] }

// has says whether the certificate, or one with the same name and key, is in
// the path already. crypto/x509 does not go round in circles either.
func (p *partial) has(c fact.Cert) bool {
	for _, in := range p.certs {
		if bytes.Equal(in.RawSubject, c.RawSubject) && bytes.Equal(in.RawSubjectPublicKeyInfo, c.RawSubjectPublicKeyInfo) {
			return true
		}
	}
	return false
}

// search looks at paths in the order of their ends, latest first. A path only
// ever ends earlier by growing, so the first complete one that crypto/x509
// accepts is the one that holds longest.
type search struct {
	presented, anchors []fact.Cert
	usage              x509.ExtKeyUsage
	checks             *checks
	open               paths
	order              int
	refused            error     // by crypto/x509
	deadEnd            fact.Cert // the top of the first path that no anchor signed
	sameName           bool      // an anchor has the name of its issuer, but not the key
}

func (s *search) start(leaf fact.Cert) {
	p := &partial{certs: []fact.Cert{leaf}, end: leaf}
	for _, a := range s.anchors {
		if a.Certificate != nil && bytes.Equal(a.Raw, leaf.Raw) {
			p.anchored = true
		}
	}
	s.push(p)
}

func (s *search) push(p *partial) {
	s.order++
	p.order = s.order
	heap.Push(&s.open, p)
}

func (s *search) run() *partial {
	trials := 0
	for looked := 0; len(s.open) > 0 && looked < maxPaths && trials < maxTrials; looked++ {
		p := heap.Pop(&s.open).(*partial)
		if p.anchored {
			trials++
			err := s.accepts(p)
			if err == nil {
				return p
			}
			if s.refused == nil {
				s.refused = err
			}
			continue
		}
		s.grow(p)
	}
	return nil
}

func (s *search) grow(p *partial) {
	if len(p.certs) >= maxLength {
		return
	}
	child := p.tip()
	var ranked ranking
	rank := func(pool []fact.Cert, anchor bool) {
		for _, c := range pool {
			if c.Certificate != nil && !p.has(c) {
				ranked.add(candidate{c, anchor}, child, nameOtherKeyID)
			}
		}
	}
	rank(s.anchors, true)
	rank(s.presented, false)
	issuers := ranked.issuers(child, s.checks)
	if len(issuers) == 0 {
		s.stopped(child)
	}
	pushed := map[bool]int{}
	for _, c := range issuers {
		if pushed[c.anchor]++; pushed[c.anchor] <= maxParents {
			s.push(p.with(c))
		}
	}
}

// stopped remembers the first path that nothing leads on from: it is the one
// to tell of if there is no chain.
func (s *search) stopped(top fact.Cert) {
	if s.deadEnd.Certificate != nil {
		return
	}
	s.deadEnd = top
	for _, a := range s.anchors {
		if likelihood(a, top) <= nameOtherKeyID {
			s.sameName = true
		}
	}
}

func (p *partial) with(parent candidate) *partial {
	longer := &partial{certs: make([]fact.Cert, 0, len(p.certs)+1), end: p.end, anchored: parent.anchor}
	longer.certs = append(append(longer.certs, p.certs...), parent.Cert)
	if parent.NotAfter.Before(p.end.NotAfter) {
		longer.end = parent.Cert
	}
	return longer
}

// accepts puts a complete path to crypto/x509. Dates are no part of the
// question, so it gets copies that are all valid at one instant; what it
// compares and verifies are the signed bytes, which stay as they are.
func (s *search) accepts(p *partial) error {
	instant := time.Unix(0, 0).UTC()
	timeless := func(c fact.Cert) *x509.Certificate {
		copied := *c.Certificate
		copied.NotBefore, copied.NotAfter = instant, instant
		return &copied
	}
	options := x509.VerifyOptions{
		Roots:         x509.NewCertPool(),
		Intermediates: x509.NewCertPool(),
		CurrentTime:   instant,
		KeyUsages:     []x509.ExtKeyUsage{s.usage},
	}
	for i, c := range p.certs {
		switch {
		case i == len(p.certs)-1:
			options.Roots.AddCert(timeless(c))
		case i > 0:
			options.Intermediates.AddCert(timeless(c))
		}
	}
	_, err := timeless(p.certs[0]).Verify(options)
	return err
}

// unverifiable says that no program written in Go can check the signature,
// whoever made it (crypto/x509, checkSignature).
func unverifiable(c fact.Cert) bool {
	switch c.SignatureAlgorithm {
	case x509.UnknownSignatureAlgorithm, x509.MD2WithRSA, x509.MD5WithRSA, x509.DSAWithSHA1, x509.DSAWithSHA256:
		return true
	}
	return false
}

func algorithmOf(c fact.Cert) string {
	if c.SignatureAlgorithm == x509.UnknownSignatureAlgorithm {
		return "an algorithm that is not known"
	}
	return c.SignatureAlgorithm.String()
}

func (s *search) failure(leaf fact.Cert) error {
	top := s.deadEnd
	if top.Certificate == nil {
		top = leaf
	}
	issuer := name(top.RawIssuer, top.Issuer)
	switch {
	case s.refused != nil:
		return fmt.Errorf("the chain is not accepted: %s", fact.Text(clip(s.refused.Error())))
	case s.checks.left == 0:
		return fmt.Errorf("more than %d certificates could be the issuer %s, and none of those tried is", maxChecks, issuer)
	case len(s.anchors) == 0:
		return errors.New("there is no trusted certificate to verify with")
	case s.sameName && unverifiable(top):
		return fmt.Errorf("it is signed with %s, which Kubernetes does not accept", algorithmOf(top))
	case s.sameName:
		return fmt.Errorf("the trusted certificate with the issuer's name, %s, has another key: it was replaced", issuer)
	case top.Raw != nil && SelfSigned(top):
		return fmt.Errorf("it ends in the self-signed certificate %s, which is not trusted", issuer)
	}
	return fmt.Errorf("no trusted certificate has the issuer's name, %s", issuer)
}

// paths is a heap: the latest end first, then the shorter, then the earlier
// found.
type paths []*partial

func (h paths) Len() int      { return len(h) }
func (h paths) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h paths) Less(i, j int) bool {
	a, b := h[i], h[j]
	if c := a.end.NotAfter.Compare(b.end.NotAfter); c != 0 {
		return c > 0
	}
	if len(a.certs) != len(b.certs) {
		return len(a.certs) < len(b.certs)
	}
	return a.order < b.order
}
func (h *paths) Push(x any) { *h = append(*h, x.(*partial)) }
func (h *paths) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

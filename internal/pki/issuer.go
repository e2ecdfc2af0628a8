// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"slices"

	"perennial.dev/perennial/internal/fact"
)

const (
	// maxChecks is the number of signatures checked for one question;
	// crypto/x509 has the same limit for one chain.
	maxChecks = 100
	// maxRSABits bounds the cost of one check. crypto/tls refuses more than
	// 8192 bits in a handshake.
	maxRSABits = 16384
)

// Issued says whether parent's key signed child. It asks nothing else: not
// the names, not the dates, and not whether parent may sign. Signatures that
// Go no longer verifies (MD5, DSA) are not proof, so the answer is no.
func Issued(parent, child fact.Cert) bool {
	if parent.Certificate == nil || child.Certificate == nil {
		return false
	}
	if key, ok := parent.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxRSABits {
		return false
	}
	return parent.CheckSignature(child.SignatureAlgorithm, child.RawTBSCertificate, child.Signature) == nil
}

// SelfSigned says whether a certificate is signed by its own key.
func SelfSigned(c fact.Cert) bool { return Issued(c, c) }

// FindIssuer finds the candidate that signed child: of several with the same
// key, the one that ends last. A self-signed child is its own issuer when it
// is among the candidates. Names and key identifiers only say where to look
// first, so at most 100 signatures are checked.
func FindIssuer(child fact.Cert, candidates []fact.Cert) (fact.Cert, bool) {
	if child.Certificate == nil {
		return fact.Cert{}, false
	}
	var ranked ranking
	for _, c := range candidates {
		ranked.add(candidate{Cert: c}, child, keyIDOnly)
	}
	if found := ranked.issuers(child, newChecks()); len(found) > 0 {
		return found[0].Cert, true
	}
	return fact.Cert{}, false
}

// relation is how likely it is, from names and key identifiers alone, that
// one certificate issued another. Lower is likelier.
type relation int

const (
	nameAndKeyID relation = iota
	nameOnly              // one of the two has no key identifier
	nameOtherKeyID
	keyIDOnly
	stranger
)

func likelihood(parent, child fact.Cert) relation {
	if parent.Certificate == nil {
		return stranger
	}
	known := len(parent.SubjectKeyId) > 0 && len(child.AuthorityKeyId) > 0
	sameKeyID := known && bytes.Equal(parent.SubjectKeyId, child.AuthorityKeyId)
	sameName := bytes.Equal(parent.RawSubject, child.RawIssuer)
	switch {
	case sameName && sameKeyID:
		return nameAndKeyID
	case sameName && !known:
		return nameOnly
	case sameName:
		return nameOtherKeyID
	case sameKeyID:
		return keyIDOnly
	}
	return stranger
}

// candidate is a certificate that may be an issuer.
type candidate struct {
	fact.Cert
	anchor bool
}

// ranking is a pool of candidates to be one certificate's issuer, by relation.
type ranking [stranger][]candidate

// add takes a candidate in, unless its relation is weaker than allowed.
func (r *ranking) add(c candidate, child fact.Cert, weakest relation) {
	if relation := likelihood(c.Cert, child); relation <= weakest {
		r[relation] = append(r[relation], c)
	}
}

// issuers gives the candidates that signed child, the likeliest first and
// among equals the one that ends last. A signature has one key, so once that
// is known no other is tried.
func (r *ranking) issuers(child fact.Cert, c *checks) []candidate {
	key := r.signer(child, c)
	if key == nil {
		return nil
	}
	var found []candidate
	for _, equals := range r {
		first := len(found)
		for _, candidate := range equals {
			if bytes.Equal(candidate.RawSubjectPublicKeyInfo, key) {
				found = append(found, candidate)
			}
		}
		latestFirst(found[first:])
	}
	return found
}

// signer finds the public key that signed child, as DER.
func (r *ranking) signer(child fact.Cert, c *checks) []byte {
	for _, equals := range r {
		latestFirst(equals)
		for _, candidate := range equals {
			if c.issued(candidate.Cert, child) {
				return candidate.RawSubjectPublicKeyInfo
			}
		}
	}
	return nil
}

func latestFirst(candidates []candidate) {
	slices.SortStableFunc(candidates, func(a, b candidate) int { return b.NotAfter.Compare(a.NotAfter) })
}

// checks remembers which keys signed which certificates, and stops after
// maxChecks signatures: a file may hold thousands of authorities with one
// name. Certificates with the same key need one check together.
type checks struct {
	known map[check]bool
	left  int
}

type check struct {
	child *x509.Certificate
	key   string // the parent's DER SubjectPublicKeyInfo
}

func newChecks() *checks { return &checks{known: map[check]bool{}, left: maxChecks} }

func (c *checks) issued(parent, child fact.Cert) bool {
	which := check{child.Certificate, string(parent.RawSubjectPublicKeyInfo)}
	if answer, ok := c.known[which]; ok {
		return answer
	}
	if c.left == 0 {
		return false
	}
	c.left--
	answer := Issued(parent, child)
	c.known[which] = answer
	return answer
}

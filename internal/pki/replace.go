// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"perennial.dev/perennial/internal/fact"
)

// ReplaceLeaf puts a new certificate into a PEM file in the place of the
// first one there, which is the one that Kubernetes uses. Certificates of the
// chain that are not in the file yet follow it. Every other byte stays: the
// certificates after the leaf, keys, text around, line endings.
//
// A private key in the file has to belong to the new certificate; ReplacePair
// replaces both. A first certificate that is an authority is refused: such a
// file is not a leaf's.
func ReplaceLeaf(file []byte, leaf fact.Cert, chain ...fact.Cert) ([]byte, error) {
	out, err := replace(file, leaf, nil, chain)
	if err != nil {
		return nil, fmt.Errorf("replacing the certificate in a PEM file: %w", err)
	}
	return out, nil
}

// ReplacePair is ReplaceLeaf for a file that holds certificate and private key
// together, such as the kubelet's, and replaces the key too.
func ReplacePair(file []byte, leaf fact.Cert, key *PrivateKey, chain ...fact.Cert) ([]byte, error) {
	if key.empty() {
		return nil, errors.New("replacing certificate and key in a PEM file: there is no new key")
	}
	out, err := replace(file, leaf, key, chain)
	if err != nil {
		return nil, fmt.Errorf("replacing certificate and key in a PEM file: %w", err)
	}
	return out, nil
}

// Limits of a file in which a leaf is replaced. encoding/pem looks for the end
// of each block in all of the rest.
const (
	maxLeafFile   = 1 << 20
	maxLeafBlocks = MaxCerts + MaxKeys
)

func replace(file []byte, leaf fact.Cert, key *PrivateKey, chain []fact.Cert) ([]byte, error) {
	switch {
	case leaf.Certificate == nil:
		return nil, errors.New("there is no new certificate")
	case key != nil && !KeyMatches(key.Public(), leaf):
		return nil, errors.New("the new key does not belong to the new certificate")
	case len(file) > maxLeafFile || bytes.Count(file, begin) > maxLeafBlocks:
		return nil, errors.New("it is too large for a leaf's file")
	}
	old, err := firstCertificate(file)
	if err != nil {
		return nil, err
	}
	before := decoded(file)
	insert := before.lacking(chain, leaf)
	edits := []edit{{old.at, old.at + len(old.raw), old.certificates(leaf, insert)}}
	if key != nil {
		oldKey, ok := firstKeyBlock(file)
		if !ok || oldKey.fault != "" {
			return nil, errors.New("there is no private key in it to be replaced")
		}
		edits = append(edits, edit{oldKey.at, oldKey.at + len(oldKey.raw), oldKey.likeIt(key.PEM())})
	}
	out := apply(file, edits)
	after, seen := before.with(leaf, insert, key)
	if !seen || !decoded(out).is(after) {
		return nil, errors.New("it cannot be shown that only that would change: the file is not plain PEM")
	}
	if err := matchesKey(out, leaf); err != nil {
		return nil, err
	}
	return out, nil
}

// firstCertificate finds the block of the certificate that Kubernetes uses.
func firstCertificate(file []byte) (block, error) {
	var found []block
	scan(file, func(b block) {
		if b.kind == "CERTIFICATE" {
			b.number = len(found) + 1
			found = append(found, b)
		}
	})
	if len(found) == 0 {
		if problem := Read(file).Problem; problem != "" {
			return block{}, errors.New(problem.String())
		}
		return block{}, errors.New("there is no certificate in it")
	}
	first := found[0]
	return first, first.isLeaf()
}

// isLeaf says why a block is not a certificate that can be replaced.
func (b block) isLeaf() error {
	where := fmt.Sprintf("the first certificate, at line %d,", b.line)
	if b.fault != "" {
		return fmt.Errorf("%s %s", where, b.fault)
	}
	decoded, _ := pem.Decode(b.raw)
	if decoded == nil {
		return fmt.Errorf("%s %s", where, b.undecodable())
	}
	cert, err := x509.ParseCertificate(decoded.Bytes)
	switch {
	case err != nil:
		return fmt.Errorf("%s is not one: %s", where, fact.Text(clip(err.Error())))
	case len(decoded.Headers) > 0:
		return fmt.Errorf("%s has PEM headers, so that not all programs see it", where)
	case cert.IsCA:
		return fmt.Errorf("%s is a certificate authority: this is no leaf's file", where)
	}
	return nil
}

// matchesKey compares the first private key of a file, if it has one that can
// be read, with the file's leaf.
func matchesKey(file []byte, leaf fact.Cert) error {
	if _, ok := firstKeyBlock(file); !ok {
		return nil
	}
	key, err := ReadPrivateKey(file)
	if err != nil {
		return err
	}
	if !KeyMatches(key.Public(), leaf) {
		return errors.New("the private key in it does not belong to the new certificate: both have to be replaced")
	}
	return nil
}

// certificates writes certificates as the block's replacement.
func (b block) certificates(leaf fact.Cert, chain []fact.Cert) []byte {
	var text []byte
	for _, c := range append([]fact.Cert{leaf}, chain...) {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return b.likeIt(text)
}

// likeIt gives a PEM text the line endings of the block, and its end: the
// last line of a file may have no line break.
func (b block) likeIt(text []byte) []byte {
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	text = bytes.TrimRight(text, "\n")
	if bytes.Contains(b.raw, []byte("\r\n")) {
		text = bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
	}
	body := bytes.TrimRight(b.raw, " \t\r\n")
	return append(text, b.raw[len(body):]...)
}

// edit replaces the bytes from start up to end.
type edit struct {
	start, end int
	text       []byte
}

// apply makes edits that do not overlap, in any order.
func apply(data []byte, edits []edit) []byte {
	if len(edits) == 2 && edits[0].start > edits[1].start {
		edits[0], edits[1] = edits[1], edits[0]
	}
	var out []byte
	pos := 0
	for _, e := range edits {
		out = append(append(out, data[pos:e.start]...), e.text...)
		pos = e.end
	}
	return append(out, data[pos:]...)
}

// blocks are the PEM blocks of a file as encoding/pem sees them, which is how
// Kubernetes does.
type blocks []*pem.Block

func decoded(file []byte) blocks {
	var all blocks
	for {
		var b *pem.Block
		if b, file = pem.Decode(file); b == nil {
			return all
		}
		all = append(all, b)
	}
}

func (b blocks) first(is func(kind string) bool) int {
	for i := range b {
		if is(b[i].Type) {
			return i
		}
	}
	return -1
}

func isCertificateKind(kind string) bool { return kind == "CERTIFICATE" }

// lacking lists the certificates of a chain that are not among the blocks.
func (b blocks) lacking(chain []fact.Cert, leaf fact.Cert) []fact.Cert {
	known := map[string]bool{string(leaf.Raw): true}
	for _, block := range b {
		known[string(block.Bytes)] = true
	}
	var insert []fact.Cert
	for _, c := range chain {
		if c.Certificate != nil && !known[string(c.Raw)] {
			known[string(c.Raw)] = true
			insert = append(insert, c)
		}
	}
	return insert
}

// with is what the blocks have to be after the change, and whether what is
// to be changed is among them.
func (b blocks) with(leaf fact.Cert, insert []fact.Cert, key *PrivateKey) (after blocks, seen bool) {
	at, keyAt := b.first(isCertificateKind), b.first(isPrivateKind)
	for i, block := range b {
		switch {
		case i == at:
			for _, c := range append([]fact.Cert{leaf}, insert...) {
				after = append(after, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
			}
		case i == keyAt && key != nil:
			after = append(after, decoded(key.PEM())...)
		default:
			after = append(after, block)
		}
	}
	return after, at >= 0 && (key == nil || keyAt >= 0)
}

func (b blocks) is(other blocks) bool {
	if len(b) != len(other) {
		return false
	}
	for i := range b {
		if b[i].Type != other[i].Type || !bytes.Equal(b[i].Bytes, other[i].Bytes) || !sameHeaders(b[i], other[i]) {
			return false
		}
	}
	return true
}

func sameHeaders(a, b *pem.Block) bool {
	if len(a.Headers) != len(b.Headers) {
		return false
	}
	for name, value := range a.Headers {
		if other, ok := b.Headers[name]; !ok || other != value {
			return false
		}
	}
	return true
}

// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"bytes"
	"fmt"
	"path"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/pki"
)

// Copy is a user of a kubeconfig elsewhere on the node, such as ~/.kube/config,
// with a credential of this node's: the one that the original holds now, or an
// earlier one of the same subject and CA.
type Copy struct {
	ID      fact.ID // of the original
	From    string  // path of the original
	Path    string
	User    fact.Text
	Cert    fact.Cert
	Current bool // it is what the original holds
	Meta    fact.Meta
}

// CopyID names a copy: the original's ID and the copy's path.
func (c Copy) CopyID() fact.ID { return fact.NodeID(c.ID.Node(), c.ID.Name()+"@"+c.Path) }

// Copies finds the copies of a layout's kubeconfigs, in the order of the facts.
// A copy has the private key that belongs to its certificate: a certificate
// alone is no credential, and bringing it up to date would make it one.
func Copies(l layout.Layout, seen []fact.Fact) []Copy {
	files := map[string]fact.File{}
	var candidates []fact.File
	for _, f := range seen {
		if f, ok := f.(fact.File); ok {
			files[f.Path] = f
			if f.Copy && f.Kubeconfig != nil {
				candidates = append(candidates, f)
			}
		}
	}
	var all []Copy
	for _, candidate := range candidates {
		for _, c := range l.Credentials {
			original := files[c.Path]
			if c.Role != layout.Kubeconfig || sameFile(original.Meta, candidate.Meta) || c.SelfRotating {
				continue
			}
			all = append(all, copiesOf(c, original, candidate, files)...)
		}
	}
	return all
}

func sameFile(a, b fact.Meta) bool { return a.Inode != 0 && a.Inode == b.Inode && a.Device == b.Device }

func copiesOf(c layout.Credential, original, candidate fact.File, files map[string]fact.File) []Copy {
	leaf, ok := pki.CurrentLeaf(original.Kubeconfig)
	if !ok {
		return nil
	}
	var all []Copy
	for _, u := range candidate.Kubeconfig.Users {
		if len(u.Certs) == 0 || u.Key == nil || !pki.KeyMatches(*u.Key, u.Certs[0]) || !bytes.Equal(u.Certs[0].RawSubject, leaf.RawSubject) {
			continue
		}
		same := u.Certs[0].Fingerprint() == leaf.Fingerprint()
		if same || sameCA(c, u.Certs[0], files) {
			all = append(all, Copy{ID: c.ID, From: c.Path, Path: candidate.Path, User: u.Name, Cert: u.Certs[0], Current: same, Meta: candidate.Meta})
		}
	}
	return all
}

// sameCA says whether one of the CAs that the original's verifiers trust signed
// the certificate.
func sameCA(c layout.Credential, cert fact.Cert, files map[string]fact.File) bool {
	for _, trust := range c.Trust {
		for _, ca := range files[trust].Certs {
			if pki.Issued(ca, cert) {
				return true
			}
		}
	}
	return false
}

// copies says which copies hold an older certificate than their original.
func (j *judge) copies(seen []fact.Fact) {
	for _, c := range Copies(j.layout, seen) {
		leaf, ok := pki.CurrentLeaf(j.files[c.From].Kubeconfig)
		if c.Current || !ok || !leaf.NotAfter.After(c.Cert.NotAfter) {
			continue
		}
		j.add(finding.Finding{
			Code: finding.CopyStale, ID: c.CopyID(), End: finding.At(c.Cert.NotAfter), Class: finding.Notice, Keeper: finding.KeeperPerson,
			Effect: "whoever uses this copy is refused",
			Reason: fmt.Sprintf("%s was renewed; the copy works until the end of its own certificate", path.Base(c.From)),
			Life:   finding.Life{Start: c.Cert.NotBefore, End: c.Cert.NotAfter},
			Evidence: finding.Evidence{
				Path: c.Path, Slot: "user " + c.User, Mode: mode(c.Meta), Owner: owner(c.Meta), Certificate: pki.Describe(c.Cert),
			},
			Fix: "perennial renew " + c.ID.Name(),
		})
	}
}

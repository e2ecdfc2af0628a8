// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/pki"
)

// leaf judges the certificate that a credential presents: its end, its chain,
// its names, what of it is served, and who uses it.
func (j *judge) leaf(c layout.Credential) {
	certs := j.presented(c)
	if len(certs) == 0 {
		return
	}
	leaf, chain := certs[0], j.chains[c.ID]
	evidence := j.evidence(c, &leaf)
	f := finding.Finding{
		Code: finding.CertificateExpires, ID: c.ID, Class: finding.Renewed, Keeper: finding.KeeperPerson,
		Effect: effectOf(c), Fix: renewFix(c), Life: finding.Life{Start: leaf.NotBefore, End: leaf.NotAfter},
	}
	if c.SelfRotating {
		f.Class, f.Keeper = finding.SelfRenewed, finding.KeeperKubelet
	}
	if c.Role == layout.Unclaimed {
		f.Class = finding.Notice
	}
	end, reason := leaf.NotAfter, ""
	if chain.Err == nil && chain.End.Before(end) {
		end, reason = chain.End, j.endsFirst(chain)
	}
	for _, s := range j.live(c) {
		current := s.Certs[0].Fingerprint() == leaf.Fingerprint()
		evidence.Served = append(evidence.Served, servedEvidence(s, current))
		if !current && s.Certs[0].NotAfter.Before(end) {
			end = s.Certs[0].NotAfter
			reason = fmt.Sprintf("%s still serves another certificate than the file holds, and that one ends then", s.Endpoint)
		}
	}
	if chain.Err == nil && len(chain.Certs) > 1 {
		evidence.IssuerID = j.issuers[chain.Certs[1].Fingerprint()]
	}
	evidence.Identity = j.identities(c, leaf)
	evidence.Upgrade = j.upgrade(c, evidence.IssuerID)
	f.End, f.Reason, f.Evidence = finding.At(end), reason, evidence
	j.add(f)

	j.notYetValid(c, leaf, evidence)
	j.chain(c, leaf, chain, evidence)
	j.names(c, leaf, evidence)
	j.staleServing(c, leaf, evidence)
	j.staleIdentity(c, evidence)
	j.rest(c, certs, evidence)
}

// endsFirst names the certificate above the leaf that ends before it.
func (j *judge) endsFirst(chain pki.Chain) string {
	name := string(j.issuers[chain.Ends.Fingerprint()])
	if name == "" {
		name = pki.Describe(chain.Ends).Subject.String()
	}
	return fmt.Sprintf("its CA (%s) ends first", name)
}

func (j *judge) notYetValid(c layout.Credential, leaf fact.Cert, evidence finding.Evidence) {
	now := j.now(leaf.NotBefore)
	if !leaf.NotBefore.After(now) {
		return
	}
	j.add(finding.Finding{
		Code: finding.CertificateNotYetValid, ID: c.ID, End: finding.Now(), Class: classOf(c, finding.Fault), Keeper: finding.KeeperPerson,
		Effect: effectOf(c), Reason: fmt.Sprintf("it is valid from %s, the clock says %s", stamp(leaf.NotBefore), stamp(now)),
		Evidence: evidence, Fix: "compare the clock with a time server: timedatectl timesync-status",
	})
}

// now is the node's clock at the time of the look; without one, nothing is in
// the future.
func (j *judge) now(fallback time.Time) time.Time {
	if j.node.Now.IsZero() {
		return fallback
	}
	return j.node.Now
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// classOf keeps what nothing uses out of the verdict.
func classOf(c layout.Credential, class finding.Class) finding.Class {
	if c.Role == layout.Unclaimed {
		return finding.Notice
	}
	return class
}

func (j *judge) chain(c layout.Credential, leaf fact.Cert, chain pki.Chain, evidence finding.Evidence) {
	if chain.Err != nil {
		if c.Role == layout.Unclaimed || !j.trustSeen(c) {
			return
		}
		j.add(finding.Finding{
			Code: finding.ChainBroken, ID: c.ID, End: finding.Now(), Class: finding.Fault, Keeper: finding.KeeperPerson,
			Effect: "whoever verifies it refuses it", Reason: chain.Err.Error(), Evidence: evidence, Fix: renewFix(c),
		})
		return
	}
	if len(chain.Certs) > 1 && chain.End.Add(sameDay).Before(leaf.NotAfter) {
		j.add(finding.Finding{
			Code: finding.LeafOutlivesCA, ID: c.ID, End: finding.At(chain.End), Class: finding.Notice, Keeper: finding.KeeperPerson,
			Effect:   fmt.Sprintf("its own date, %s, is not the day on which it stops working", stamp(leaf.NotAfter)),
			Reason:   j.endsFirst(chain),
			Evidence: evidence, Fix: "perennial explain " + string(finding.CAExpires),
		})
	}
}

// sameDay is how much longer than its CA a leaf may claim to live without a
// word: one made with the CA's own life is some seconds younger.
const sameDay = 24 * time.Hour

// trustSeen says whether the files with the verifiers' CAs, or the CAs of a
// self-signed setup, could be read: without them a chain is not broken, only
// not provable.
func (j *judge) trustSeen(c layout.Credential) bool {
	for _, path := range c.Trust {
		if len(j.files[path].Certs) > 0 {
			return true
		}
	}
	return false
}

// rest judges what a file holds beside the certificate that counts: the
// certificates of a chain are covered by it, other users' are only listed.
func (j *judge) rest(c layout.Credential, certs []fact.Cert, _ finding.Evidence) {
	inChain, listed := map[string]bool{}, map[string]bool{certs[0].Fingerprint(): true}
	for _, cert := range j.chains[c.ID].Certs {
		inChain[cert.Fingerprint()] = true
	}
	for i, cert := range certs[1:] {
		print := cert.Fingerprint()
		if j.issuers[print] != "" || listed[print] {
			continue
		}
		listed[print] = true
		class := finding.Notice
		if inChain[print] {
			class = classOf(c, finding.TrustAnchor)
		}
		j.add(finding.Finding{
			Code: finding.CertificateExpires, ID: bundleID(c.ID, i+1), End: finding.At(cert.NotAfter), Class: class, Keeper: finding.KeeperPerson,
			Life: finding.Life{Start: cert.NotBefore, End: cert.NotAfter}, Effect: effectOf(c), Evidence: j.evidence(c, &cert), Fix: renewFix(c),
		})
	}
}

// authority judges every certificate of a CA file.
func (j *judge) authority(c layout.Credential, f fact.File) {
	listed := map[string]bool{}
	for i, cert := range f.Certs {
		if listed[cert.Fingerprint()] {
			continue
		}
		listed[cert.Fingerprint()] = true
		evidence := j.evidence(c, &cert)
		class := classOf(c, finding.TrustAnchor)
		if len(f.Certs) > 1 && !j.used[cert.Fingerprint()] {
			class = finding.Notice // an old or a coming CA in a bundle
		}
		j.add(finding.Finding{
			Code: finding.CAExpires, ID: bundleID(c.ID, i), End: finding.At(cert.NotAfter), Class: class, Keeper: finding.KeeperPerson,
			Life: finding.Life{Start: cert.NotBefore, End: cert.NotAfter}, Effect: effectOf(c), Evidence: evidence,
			Fix: "perennial explain " + string(finding.CAExpires),
		})
		j.notYetValid(c, cert, evidence)
	}
}

// signing lists a key pair that has no end.
func (j *judge) signing(c layout.Credential, f fact.File) {
	evidence := j.evidence(c, nil)
	for _, k := range f.Keys {
		if k.Fingerprint != "" {
			evidence.Key = &finding.Key{Key: strings.TrimSuffix(fmt.Sprintf("%s %d", k.Algorithm, k.Bits), " 0"), Fingerprint: k.Fingerprint}
			break
		}
	}
	j.add(finding.Finding{
		Code: finding.SigningKey, ID: c.ID, Class: finding.Notice, Keeper: finding.KeeperPerson,
		Effect: "nothing ends", Evidence: evidence, Fix: "perennial explain " + string(finding.SigningKey),
	})
}

// kubeconfig judges a kubeconfig beside its current user's certificate: the CA
// it trusts, and users that are not the current one.
func (j *judge) kubeconfig(c layout.Credential, f fact.File) {
	for _, u := range f.Kubeconfig.Users {
		if u.Current || len(u.Certs) == 0 {
			continue
		}
		cert := u.Certs[0]
		evidence := j.evidence(c, &cert)
		evidence.Slot = "user " + u.Name
		j.add(finding.Finding{
			Code: finding.CertificateExpires, ID: fact.NodeID(c.ID.Node(), c.ID.Name()+"/"+string(u.Name)), End: finding.At(cert.NotAfter),
			Class: finding.Notice, Keeper: finding.KeeperPerson, Life: finding.Life{Start: cert.NotBefore, End: cert.NotAfter},
			Effect: "this user is not the current one of the file", Evidence: evidence, Fix: "kubectl --kubeconfig " + quote(c.Path) + " config get-contexts",
		})
	}
	for _, cluster := range f.Kubeconfig.Clusters {
		for i, ca := range cluster.CAs {
			j.embeddedCA(c, cluster, i, ca)
		}
	}
	j.serverTrust(c, f)
}

// embeddedCA lists a CA that stands only inside a kubeconfig. One that equals
// a CA file is covered by that file.
func (j *judge) embeddedCA(c layout.Credential, cluster fact.KubeconfigCluster, i int, ca fact.Cert) {
	if j.issuers[ca.Fingerprint()] != "" {
		return
	}
	evidence := j.evidence(c, &ca)
	evidence.Slot = "cluster " + cluster.Name
	class := finding.Notice
	if cluster.Current {
		class = classOf(c, finding.TrustAnchor)
	}
	j.add(finding.Finding{
		Code: finding.CAExpires, ID: bundleID(fact.NodeID(c.ID.Node(), c.ID.Name()+"/ca"), i), End: finding.At(ca.NotAfter), Class: class,
		Keeper: finding.KeeperPerson, Life: finding.Life{Start: ca.NotBefore, End: ca.NotAfter},
		Effect: "users of " + c.Path + " no longer trust the API server", Evidence: evidence, Fix: "perennial explain " + string(finding.CAExpires),
	})
}

// serverTrust says when a kubeconfig's CA does not verify the API server that
// runs here: its user cannot connect, whatever the client certificate says.
func (j *judge) serverTrust(c layout.Credential, f fact.File) {
	api, ok := j.layout.ByID(fact.NodeID(j.layout.Node, "apiserver"))
	if !ok || c.Role == layout.Unclaimed {
		return
	}
	server := j.presented(api)
	for _, cluster := range currentClusters(f.Kubeconfig) {
		cas := j.clusterCAs(cluster)
		if len(server) == 0 || len(cas) == 0 {
			continue
		}
		// Whether it may be used as a server's is judged with the certificate.
		if chain := pki.Verify(server[0], server[1:], cas, x509.ExtKeyUsageAny); chain.Err != nil {
			evidence := j.evidence(c, &cas[0])
			evidence.Slot = "cluster " + cluster.Name
			j.add(finding.Finding{
				Code: finding.ChainBroken, ID: fact.NodeID(c.ID.Node(), c.ID.Name()+"/ca"), End: finding.Now(), Class: finding.Fault, Keeper: finding.KeeperPerson,
				Effect: users(c) + " cannot verify the API server", Reason: "the CA in it did not sign the API server's serving certificate: " + chain.Err.Error(),
				Evidence: evidence, Fix: "put the CA certificate that the API server's certificate chains to into " + c.Path,
			})
		}
	}
}

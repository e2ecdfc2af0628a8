// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"fmt"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/pki"
)

// A process reads its credential once, some time after it started. One that
// started after the file's last change has read the new one: starts are known
// to a hundredth of a second. One that started shortly before may have read
// either.
const (
	startPrecision = 50 * time.Millisecond
	readingTime    = 2 * time.Second
)

// identities says for each component that uses a client certificate which one
// it uses, and how well that is known.
func (j *judge) identities(c layout.Credential, leaf fact.Cert) []finding.Identity {
	if c.Role != layout.Client && c.Role != layout.Kubeconfig {
		return nil
	}
	var all []finding.Identity
	seen := map[int]bool{}
	for _, u := range c.Consumers {
		if u.PID != 0 && !seen[u.PID] { // one file under several flags is one identity
			seen[u.PID] = true
			all = append(all, j.identity(c, u, leaf))
		}
	}
	return all
}

func (j *judge) identity(c layout.Credential, u layout.Consumer, leaf fact.Cert) finding.Identity {
	id := finding.Identity{Component: u.Component, PID: u.PID}
	rule := reloadOf(u.Component, u.Flag)
	source := j.sourceOf(c)
	if c.SelfRotating {
		id.Grade, id.Current = finding.ByRule, true
		id.Because = "the kubelet renews this file itself and takes up what it renewed"
		return id
	}
	if source.Path != c.Path && u.Component != layout.Kubelet {
		rule = byReference
	}
	if rule.reload != atStart {
		id.Grade, id.Current = finding.ByRule, true
		id.Because = rule.because
		if rule.latest > 0 {
			id.By = source.Meta.ModTime.Add(rule.latest)
		}
		return id
	}
	changed := source.Meta.ModTime
	if view, ok := j.views[viewName{u.PID, c.Path}]; ok && source.Path == c.Path && view.Inode != source.Meta.Inode {
		if view.Fingerprint != leaf.Fingerprint() {
			id.Grade = finding.Seen
			id.Because = "the process still sees the file from before it was replaced"
			return id
		}
		// It may have been written in place before it was replaced, and after
		// the process had read it.
		changed = view.ModTime
	}
	return j.byStart(id, changed)
}

// byStart compares the start of a process that reads its credential once with
// the last change of the file that it sees.
func (j *judge) byStart(id finding.Identity, changed time.Time) finding.Identity {
	start := j.started[id.PID].Start
	switch gap := changed.Sub(start); {
	case start.IsZero():
		id.Grade = finding.Unproven
		id.Because = "when the process started could not be seen"
	case gap > readingTime:
		id.Grade = finding.Seen
		id.Because = fmt.Sprintf("it started %s and reads the file only then; the file was changed %s", stamp(start), stamp(changed))
	case gap < -startPrecision:
		id.Grade, id.Current = finding.Seen, true
		id.Because = fmt.Sprintf("it started %s, after the file's last change %s", stamp(start), stamp(changed))
	default:
		id.Grade, id.Current = finding.Unproven, true
		id.Because = "it started just before the file was changed, and may have read either"
	}
	return id
}

// sourceOf is the file in which the certificate itself stands.
func (j *judge) sourceOf(c layout.Credential) fact.File {
	f := j.files[c.Path]
	if user, ok := currentUser(f.Kubeconfig); ok && user.CertFile != "" {
		return j.files[user.CertFile]
	}
	return f
}

// staleIdentity says which processes use an old client certificate. When that
// one ends is known only where the process still shows it.
func (j *judge) staleIdentity(c layout.Credential, evidence finding.Evidence) {
	for _, id := range evidence.Identity {
		if id.Current || id.Grade != finding.Seen {
			continue
		}
		own := evidence
		own.Identity = []finding.Identity{id}
		j.add(finding.Finding{
			Code: finding.ClientIdentityStale, ID: c.ID, Class: finding.Lingering, Keeper: finding.KeeperRestart,
			Effect:   fmt.Sprintf("%s (pid %d) uses the old client certificate until it is restarted, and is refused when that one ends", fact.Text(id.Component), id.PID),
			Reason:   id.Because,
			Evidence: own, Fix: restartFix(id.Component),
		})
	}
}

// live are the handshakes that show a serving credential.
func (j *judge) live(c layout.Credential) []fact.Served {
	var all []fact.Served
	for _, endpoint := range c.Ports {
		for _, s := range j.served[portName{endpoint, ""}] {
			if len(s.Certs) > 0 {
				all = append(all, s)
			}
		}
	}
	return all
}

// staleServing compares what a port serves with the file.
func (j *judge) staleServing(c layout.Credential, leaf fact.Cert, evidence finding.Evidence) {
	for _, s := range j.live(c) {
		served := s.Certs[0]
		if served.Fingerprint() == leaf.Fingerprint() {
			continue
		}
		own := evidence
		own.Endpoint, own.Served = s.Endpoint, []finding.Served{servedEvidence(s, false)}
		f := finding.Finding{
			Code: finding.ServedCertificateStale, ID: c.ID, End: finding.At(served.NotAfter), Class: finding.Lingering, Keeper: finding.KeeperRestart,
			Life:   finding.Life{Start: served.NotBefore, End: served.NotAfter},
			Effect: effectOf(c), Evidence: own, Fix: restartFix(consumer(c)),
			Reason: fmt.Sprintf("%s serves a certificate that ends %s; %s holds one that ends %s", s.Endpoint, stamp(served.NotAfter), c.Path, stamp(leaf.NotAfter)),
		}
		if served.Subject.CommonName != leaf.Subject.CommonName && pki.Verify(served, s.Certs[1:], j.anchors(c), usage(c.Role)).Err != nil {
			f.Code, f.End, f.Class = finding.ServedCertificateUnknown, finding.Now(), finding.Fault
			f.Reason = fmt.Sprintf("%s serves a certificate of %s, which %s does not explain", s.Endpoint, pki.Describe(served).Subject, c.Path)
			f.Fix = "ss -ltnp | grep :" + port(s.Endpoint)
		}
		j.add(f)
	}
}

func consumer(c layout.Credential) string {
	if len(c.Consumers) == 0 {
		return ""
	}
	return c.Consumers[0].Component
}

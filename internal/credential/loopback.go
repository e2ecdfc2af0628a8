// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/pki"
	"perennial.dev/perennial/internal/release"
)

// loopbacks judges the in-memory loopback certificate of the API server that
// runs here: by what it serves, or else by its version's rule.
func (j *judge) loopbacks() {
	for _, p := range j.layout.Ports {
		if p.Component != layout.APIServer {
			continue
		}
		api, _ := j.layout.Component(layout.APIServer)
		id := fact.NodeID(j.layout.Node, "apiserver-loopback")
		version := j.apiVersion(p.Endpoint, api)
		if s, ok := j.loopbackAt(p.Endpoint); ok {
			j.add(loopbackFinding(id, s, version))
		} else if api.Process != nil {
			j.estimatedLoopback(id, p.Endpoint, api, version)
		}
	}
}

// loopbackAt is the loopback certificate that an endpoint showed.
func (j *judge) loopbackAt(endpoint string) (fact.Served, bool) {
	for _, s := range j.served[portName{endpoint, layout.LoopbackSNI}] {
		if isLoopback(s) {
			return s, true
		}
	}
	return fact.Served{}, false
}

// isLoopback tells the loopback certificate from an ordinary one, which a
// server that does not know the name presents instead.
func isLoopback(s fact.Served) bool {
	return len(s.Certs) > 0 && (slices.Contains(s.Certs[0].DNSNames, layout.LoopbackSNI) ||
		strings.HasPrefix(s.Certs[0].Subject.CommonName, layout.LoopbackSNI))
}

func (j *judge) apiVersion(endpoint string, api layout.Component) fact.Text {
	if v, ok := j.versions[endpoint]; ok {
		return v.Git
	}
	return layout.ImageVersion(api.Image)
}

func loopbackFinding(id fact.ID, s fact.Served, version fact.Text) finding.Finding {
	leaf := s.Certs[0]
	end := leaf.NotAfter
	for _, c := range s.Certs[1:] {
		if c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	evidence := finding.Evidence{
		Endpoint: s.Endpoint, Certificate: pki.Describe(leaf), Version: version,
		Served: []finding.Served{{Endpoint: s.Endpoint, SNI: s.SNI, Fingerprint: leaf.Fingerprint(), NotAfter: leaf.NotAfter, Matches: true}},
		Notes:  []fact.Text{fact.Text("the process started about " + stamp(leaf.NotBefore.Add(release.LoopbackBackdate)))},
	}
	if note := unusualLife(leaf, version); note != "" {
		evidence.Notes = append(evidence.Notes, fact.Text(note))
	}
	return finding.Finding{
		Code: finding.LoopbackExpires, ID: id, End: finding.At(end), Class: finding.Renewed, Keeper: finding.KeeperRestart,
		Life: finding.Life{Start: leaf.NotBefore, End: end}, Effect: loopbackEffect(version), Evidence: evidence,
		Reason: "it lives in the memory of the process; only a restart makes a new one", Fix: restartFix(layout.APIServer),
	}
}

// unusualLife says when a certificate lives longer or shorter than this
// version's rule: the API server was built with another validity.
func unusualLife(leaf fact.Cert, version fact.Text) string {
	v, err := release.ParseVersion(string(version))
	if err != nil {
		return ""
	}
	rule, _ := release.LoopbackValidity(v)
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	if diff := life - rule; diff > -24*time.Hour && diff < 24*time.Hour {
		return ""
	}
	return fmt.Sprintf("it is valid for %d days, where upstream's %s has %d: this API server was built with another validity", int(life.Hours()/24), v, int(rule.Hours()/24))
}

func loopbackEffect(version fact.Text) string {
	effect := "the API server no longer learns anything: creating namespaces fails, new CRDs are not served, new role bindings have no effect, while /readyz stays green"
	if v, err := release.ParseVersion(string(version)); err == nil && release.LoopbackHealthCheck(v) {
		effect += "; about an hour later /livez fails and the kubelet restarts it, without warning"
	}
	return effect
}

// estimatedLoopback computes the end where the certificate could not be seen.
func (j *judge) estimatedLoopback(id fact.ID, endpoint string, api layout.Component, version fact.Text) {
	v, err := release.ParseVersion(string(version))
	if err != nil || api.Process.Start.IsZero() {
		j.unseen = append(j.unseen, fact.Unseen{Source: "wire", What: fact.Text("the loopback certificate of " + endpoint), Why: fact.Unreachable,
			Detail: "it was not shown, and without the version its end cannot be computed", Hint: "look again when the API server answers"})
		return
	}
	life, origin := release.LoopbackValidity(v)
	start := api.Process.Start.Add(-release.LoopbackBackdate)
	j.add(finding.Finding{
		Code: finding.LoopbackExpires, ID: id, End: finding.End{Date: start.Add(life), Basis: finding.Estimated}, Class: finding.Renewed, Keeper: finding.KeeperRestart,
		Life: finding.Life{Start: start, End: start.Add(life)}, Effect: loopbackEffect(version), Fix: restartFix(layout.APIServer),
		Reason:   fmt.Sprintf("it could not be seen; computed from the start of the process and the rule of %s (%s)", v, fact.Text(string(origin))),
		Evidence: finding.Evidence{Endpoint: endpoint, Version: version},
	})
}

// outside judges endpoints that were looked at without files: what they serve
// is all there is.
func (j *judge) outside() {
	for _, endpoint := range j.layout.Scope.Endpoints {
		version := fact.Text("")
		if v, ok := j.versions[endpoint]; ok {
			version = v.Git
		}
		for i, s := range distinct(j.served[portName{endpoint, ""}]) {
			j.add(j.outsideServing(bundleID(fact.NodeID(endpoint, "apiserver"), i), s, version))
		}
		loopbacks := slices.DeleteFunc(distinct(j.served[portName{endpoint, layout.LoopbackSNI}]), func(s fact.Served) bool { return !isLoopback(s) })
		for i, s := range loopbacks {
			f := loopbackFinding(bundleID(fact.NodeID(endpoint, "apiserver-loopback"), i), s, version)
			if len(loopbacks) > 1 {
				f.Evidence.Notes = append(f.Evidence.Notes, fact.Text(fmt.Sprintf("%d API servers answered behind this address", len(loopbacks))))
			}
			j.add(f)
		}
		if answered := j.served[portName{endpoint, layout.LoopbackSNI}]; len(answered) > 0 && len(loopbacks) == 0 {
			j.unseen = append(j.unseen, fact.Unseen{Source: "wire", What: fact.Text("the loopback certificate of " + endpoint), Why: fact.Unsupported,
				Detail: "the endpoint answers the name " + layout.LoopbackSNI + " with another certificate: it is no kube-apiserver, or something in front ends TLS",
				Hint:   "ask each control-plane node's own address"})
		}
	}
}

func (j *judge) outsideServing(id fact.ID, s fact.Served, version fact.Text) finding.Finding {
	leaf := s.Certs[0]
	end := leaf.NotAfter
	for _, c := range s.Certs[1:] {
		if c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	return finding.Finding{
		Code: finding.CertificateExpires, ID: id, End: finding.At(end), Class: finding.Renewed, Keeper: finding.KeeperUnknown,
		Life: finding.Life{Start: leaf.NotBefore, End: leaf.NotAfter}, Effect: effects["apiserver"], Fix: "on the control-plane node: kubeadm certs renew apiserver",
		Evidence: finding.Evidence{Endpoint: s.Endpoint, Certificate: pki.Describe(leaf), Version: version,
			Served: []finding.Served{servedEvidence(s, true)}},
	}
}

// distinct keeps one handshake for each leaf, the earliest end first.
func distinct(all []fact.Served) []fact.Served {
	seen := map[string]bool{}
	var out []fact.Served
	for _, s := range all {
		if len(s.Certs) == 0 || seen[s.Certs[0].Fingerprint()] {
			continue
		}
		seen[s.Certs[0].Fingerprint()] = true
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b fact.Served) int { return a.Certs[0].NotAfter.Compare(b.Certs[0].NotAfter) })
	return out
}

// remotePorts judges an external etcd by what it serves.
func (j *judge) remotePorts() {
	for _, p := range j.layout.Ports {
		if !p.Remote {
			continue
		}
		for _, s := range distinct(j.served[portName{p.Endpoint, ""}]) {
			f := j.outsideServing(fact.NodeID(hostOf(p.Endpoint), "etcd-server"), s, "")
			f.Keeper, f.Effect, f.Fix = finding.KeeperNode, effects["etcd-server"], "renew it where that etcd runs"
			j.add(f)
		}
	}
}

// memoryServing lists the certificates that the controller manager and the
// scheduler make for themselves in memory: nobody verifies them.
func (j *judge) memoryServing() {
	for _, p := range j.layout.Ports {
		api := p.Component == layout.ControllerManager || p.Component == layout.Scheduler
		id := fact.NodeID(j.layout.Node, strings.TrimPrefix(p.Component, "kube-"))
		if _, onDisk := j.layout.ByID(id); !api || onDisk {
			continue
		}
		for _, s := range distinct(j.served[portName{p.Endpoint, ""}]) {
			leaf := s.Certs[0]
			j.add(finding.Finding{
				Code: finding.CertificateExpires, ID: id, End: finding.At(leaf.NotAfter), Class: finding.Notice, Keeper: finding.KeeperRestart,
				Life:   finding.Life{Start: leaf.NotBefore, End: leaf.NotAfter},
				Effect: "nothing: the kubelet's probes do not verify it", Reason: "it lives in the memory of the process", Fix: restartFix(p.Component),
				Evidence: finding.Evidence{Endpoint: p.Endpoint, Certificate: pki.Describe(leaf), Served: []finding.Served{servedEvidence(s, true)}},
			})
		}
	}
}

func hostOf(endpoint string) string {
	if ap, err := netip.ParseAddrPort(endpoint); err == nil {
		return ap.Addr().String()
	}
	return endpoint[:strings.LastIndexByte(endpoint, ':')]
}

func port(endpoint string) string { return endpoint[strings.LastIndexByte(endpoint, ':')+1:] }

// ahead is how far ahead of the clock something may be dated before the clock
// is doubted: two machines differ by seconds, and kubeadm dates back.
const ahead = 5 * time.Minute

// clock doubts the node's clock when something is dated later than now.
func (j *judge) clock(seen []fact.Fact) {
	if j.node.Now.IsZero() {
		return
	}
	newest, what := time.Time{}, ""
	doubt := func(t time.Time, by string) {
		if t.After(newest) {
			newest, what = t, by
		}
	}
	for _, f := range seen {
		switch f := f.(type) {
		case fact.File:
			doubt(f.Meta.ModTime, "the last change of "+f.Path)
		case fact.Process:
			doubt(f.Start, fmt.Sprintf("the start of process %d", f.PID))
		case fact.Served:
			if len(f.Certs) > 0 {
				doubt(f.Certs[0].NotBefore, "the certificate that "+f.Endpoint+" serves")
			}
		}
	}
	for _, c := range j.layout.Credentials {
		if certs := j.presented(c); len(certs) > 0 && c.Role != layout.Unclaimed {
			doubt(certs[0].NotBefore, "the certificate in "+c.Path)
		}
	}
	if newest.Sub(j.node.Now) <= ahead {
		return
	}
	j.add(finding.Finding{
		Code: finding.ClockSuspect, ID: fact.NodeID(j.layout.Node, "clock"), End: finding.Now(), Class: finding.Fault, Keeper: finding.KeeperPerson,
		Effect: "every judgement by date may be wrong", Reason: fmt.Sprintf("the clock says %s; %s is dated %s", stamp(j.node.Now), fact.Text(what), stamp(newest)),
		Fix: "timedatectl timesync-status",
	})
}

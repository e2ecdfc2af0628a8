// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/pki"
)

// Judge says what follows from the facts for the credentials of a layout, and
// what it had reason to expect but could not see. Findings are sorted by ID
// and code.
func Judge(l layout.Layout, seen []fact.Fact) ([]finding.Finding, []fact.Unseen) {
	j := newJudge(l, seen)
	for _, c := range l.Credentials {
		j.credential(c)
	}
	j.manifests(seen)
	j.kubeletConfigs(seen)
	j.omitted()
	j.remotePorts()
	j.memoryServing()
	j.loopbacks()
	j.copies(seen)
	j.renewers()
	j.outside()
	j.clock(seen)
	slices.SortStableFunc(j.findings, func(a, b finding.Finding) int {
		return cmp.Or(strings.Compare(string(a.ID), string(b.ID)), strings.Compare(string(a.Code), string(b.Code)))
	})
	return j.findings, j.unseen
}

type portName struct{ endpoint, sni string }

type viewName struct {
	pid  int
	path string
}

// judge is the work in progress of one Judge.
type judge struct {
	layout   layout.Layout
	node     fact.Node
	files    map[string]fact.File
	served   map[portName][]fact.Served
	views    map[viewName]fact.View
	versions map[string]fact.Version
	started  map[int]fact.Process
	issuers  map[string]fact.ID // fingerprint of a CA certificate to its credential
	used     map[string]bool    // fingerprints of CA certificates that something chains to
	chains   map[fact.ID]pki.Chain
	findings []finding.Finding
	unseen   []fact.Unseen
}

func newJudge(l layout.Layout, seen []fact.Fact) *judge {
	j := &judge{
		layout: l, files: map[string]fact.File{}, served: map[portName][]fact.Served{},
		views: map[viewName]fact.View{}, versions: map[string]fact.Version{}, started: map[int]fact.Process{},
		issuers: map[string]fact.ID{}, used: map[string]bool{}, chains: map[fact.ID]pki.Chain{},
	}
	for _, f := range seen {
		switch f := f.(type) {
		case fact.Node:
			j.node = f
		case fact.File:
			j.files[f.Path] = f
		case fact.Served:
			name := portName{f.Endpoint, string(f.SNI)}
			j.served[name] = append(j.served[name], f)
		case fact.View:
			j.views[viewName{f.PID, f.Path}] = f
		case fact.Version:
			j.versions[f.Endpoint] = f
		case fact.Process:
			j.started[f.PID] = f
		}
	}
	j.nameAuthorities()
	j.verifyAll()
	return j
}

func (j *judge) add(f finding.Finding) { j.findings = append(j.findings, f) }

// nameAuthorities learns which CA certificate belongs to which credential,
// claimed ones first.
func (j *judge) nameAuthorities() {
	for _, role := range []layout.Role{layout.Authority, layout.Unclaimed} {
		for _, c := range j.layout.Credentials {
			if c.Role != role {
				continue
			}
			for i, cert := range j.files[c.Path].Certs {
				if print := cert.Fingerprint(); cert.IsCA && j.issuers[print] == "" {
					j.issuers[print] = bundleID(c.ID, i)
				}
			}
		}
	}
}

// bundleID names the certificates of a bundle: the first is the credential
// itself.
func bundleID(id fact.ID, i int) fact.ID {
	if i == 0 {
		return id
	}
	return fact.ID(fmt.Sprintf("%s#%d", id, i+1))
}

// verifyAll finds the chain of every leaf, so that an authority's own
// judgement can tell whether anything depends on it.
func (j *judge) verifyAll() {
	chains := make([]pki.Chain, len(j.layout.Credentials))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) { // signatures are what judging costs
		workers.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(chains); i = next.Add(1) - 1 {
				chains[i] = j.verify(j.layout.Credentials[i])
			}
		})
	}
	workers.Wait()
	for i, c := range j.layout.Credentials {
		if len(chains[i].Certs) == 0 && chains[i].Err == nil {
			continue
		}
		j.chains[c.ID] = chains[i]
		if chains[i].Err == nil {
			for _, ca := range chains[i].Certs[1:] {
				j.used[ca.Fingerprint()] = true
			}
		}
	}
}

// verify finds a leaf's chain; none for what is no leaf.
func (j *judge) verify(c layout.Credential) pki.Chain {
	certs := j.presented(c)
	if len(certs) == 0 || c.Role == layout.Authority || c.Role == layout.Signing {
		return pki.Chain{}
	}
	return pki.Verify(certs[0], certs[1:], j.anchors(c), usage(c.Role))
}

func usage(role layout.Role) x509.ExtKeyUsage {
	switch role {
	case layout.Serving:
		return x509.ExtKeyUsageServerAuth
	case layout.Client, layout.Kubeconfig:
		return x509.ExtKeyUsageClientAuth
	}
	return x509.ExtKeyUsageAny
}

// presented are the certificates that a credential presents, leaf first.
func (j *judge) presented(c layout.Credential) []fact.Cert {
	f := j.files[c.Path]
	if f.Kubeconfig == nil {
		return f.Certs
	}
	user, ok := currentUser(f.Kubeconfig)
	if !ok {
		return nil
	}
	if user.CertFile != "" {
		return j.files[user.CertFile].Certs
	}
	return user.Certs
}

func currentUser(k *fact.Kubeconfig) (fact.KubeconfigUser, bool) {
	if k == nil {
		return fact.KubeconfigUser{}, false
	}
	for _, u := range k.Users {
		if u.Current {
			return u, true
		}
	}
	return fact.KubeconfigUser{}, false
}

// anchors are the CA certificates that a credential's verifiers trust. Where
// that is not known, every CA of the node is a candidate.
func (j *judge) anchors(c layout.Credential) []fact.Cert {
	var anchors []fact.Cert
	for _, path := range c.Trust {
		anchors = append(anchors, j.files[path].Certs...)
	}
	if len(c.Trust) > 0 {
		return anchors
	}
	for _, other := range j.layout.Credentials {
		if other.Role == layout.Authority {
			anchors = append(anchors, j.files[other.Path].Certs...)
		}
	}
	if c.Role == layout.Kubeconfig && len(anchors) == 0 {
		for _, cluster := range currentClusters(j.files[c.Path].Kubeconfig) {
			anchors = append(anchors, j.clusterCAs(cluster)...)
		}
	}
	return anchors
}

func currentClusters(k *fact.Kubeconfig) []fact.KubeconfigCluster {
	if k == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(k.Clusters), func(c fact.KubeconfigCluster) bool { return !c.Current })
}

func (j *judge) clusterCAs(c fact.KubeconfigCluster) []fact.Cert {
	if c.CAFile != "" {
		return j.files[c.CAFile].Certs
	}
	return c.CAs
}

// credential judges one credential.
func (j *judge) credential(c layout.Credential) {
	f, looked := j.files[c.Path]
	if !looked {
		return // the source has said why
	}
	if !j.readable(c, f) {
		return
	}
	switch {
	case c.Role == layout.Authority:
		j.authority(c, f)
	case c.Role == layout.Signing:
		j.signing(c, f)
	case f.Kubeconfig != nil:
		j.kubeconfig(c, f)
		j.leaf(c)
	case c.Role == layout.Unclaimed && len(f.Certs) > 0 && f.Certs[0].IsCA:
		j.authority(c, f)
	default:
		j.leaf(c)
	}
	j.keys(c, f)
}

// readable judges a file by whether it is there and can be understood. It
// says whether there is more to judge.
func (j *judge) readable(c layout.Credential, f fact.File) bool {
	base := finding.Finding{
		ID: c.ID, End: finding.Now(), Class: finding.Fault, Keeper: finding.KeeperPerson,
		Effect: "the next start of " + users(c) + " fails", Evidence: j.evidence(c, nil),
	}
	if c.Role == layout.Unclaimed {
		base.Class, base.Effect = finding.Notice, "nothing that runs here names it"
	}
	if f.Missing {
		base.Code, base.Reason, base.Fix = finding.FileMissing, c.Path+" is not there", restoreFix(c)
		j.add(base)
		return false
	}
	if f.Problem != "" {
		problem := f.Problem.String()
		if c.Role == layout.Kubeconfig && f.Kubeconfig == nil {
			problem = "it is no kubeconfig (" + problem + ")"
		}
		base.Code, base.Reason, base.Fix = finding.FileMalformed, c.Path+": "+problem, restoreFix(c)
		j.add(base)
	}
	if f.Kubeconfig != nil {
		j.kubeconfigFiles(c, f, base)
	}
	if what, other := otherThing(c, f); other {
		j.malformed(c, c.Path, what)
	}
	return true
}

// otherThing says that a file can be understood and is not what its user reads
// it as.
func otherThing(c layout.Credential, f fact.File) (string, bool) {
	if f.Problem != "" {
		return "", false
	}
	switch c.Role {
	case layout.Serving, layout.Client, layout.Authority:
		return "there is no certificate in it", len(f.Certs) == 0
	case layout.Kubeconfig:
		return "it is no kubeconfig", f.Kubeconfig == nil
	case layout.Signing:
		return "there is no key in it", len(f.Keys) == 0 && len(f.Certs) == 0
	}
	return "", false
}

// kubeconfigFiles judges the files that a kubeconfig's current user and
// cluster name, and what is embedded.
func (j *judge) kubeconfigFiles(c layout.Credential, f fact.File, base finding.Finding) {
	base.Fix = restoreFix(c)
	malformed := func(reason string) {
		base.Code, base.Reason = finding.FileMalformed, reason
		j.add(base)
	}
	if f.Kubeconfig.CurrentContext == "" && len(c.Consumers) > 0 {
		malformed(c.Path + " has no current context, so its user finds neither server nor credentials in it")
	}
	user, ok := currentUser(f.Kubeconfig)
	if !ok {
		return
	}
	if user.Problem != "" {
		malformed(fmt.Sprintf("%s, user %s: %s", c.Path, user.Name, user.Problem))
	}
	paths := []string{user.CertFile, user.KeyFile}
	for _, cluster := range currentClusters(f.Kubeconfig) {
		paths = append(paths, cluster.CAFile)
	}
	slices.Sort(paths)
	for _, path := range slices.Compact(paths) {
		named, looked := j.files[path]
		if path == "" || !looked {
			continue
		}
		switch {
		case named.Missing:
			base.Code, base.Reason = finding.FileMissing, fmt.Sprintf("%s names %s, which is not there", c.Path, path)
			j.add(base)
		case named.Problem != "":
			malformed(path + ": " + named.Problem.String())
		case path == user.CertFile && len(named.Certs) == 0:
			malformed(fmt.Sprintf("%s names %s, in which there is no certificate", c.Path, path))
		}
	}
}

// users names the components that use a credential, for a sentence.
func users(c layout.Credential) string {
	var names []string
	for _, u := range c.Consumers {
		if !slices.Contains(names, u.Component) {
			names = append(names, u.Component)
		}
	}
	if len(names) == 0 {
		return "whatever uses it"
	}
	return strings.Join(names, ", ")
}

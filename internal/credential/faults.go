// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"fmt"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/pki"
)

// keys judges the private key of a credential: does it belong, and who may
// read it.
func (j *judge) keys(c layout.Credential, f fact.File) {
	j.pair(c)
	if user, ok := currentUser(f.Kubeconfig); ok {
		j.kubeconfigPair(c, user)
	}
	for _, path := range j.keyFiles(c, f) {
		j.readableByOthers(c, path)
	}
}

// pair compares a certificate, or a public key, with the private key beside it.
func (j *judge) pair(c layout.Credential) {
	keyFile, looked := j.files[c.Key]
	if c.Key == "" || !looked {
		return
	}
	if keyFile.Missing {
		j.keyMissing(c, c.Key)
		return
	}
	key, ok := privateKey(keyFile)
	if problem := keyProblem(keyFile, key, ok); problem != "" && (c.Key != c.Path || keyFile.Problem == "") {
		j.malformed(c, c.Key, problem)
	}
	if !ok || key.Fingerprint == "" {
		return
	}
	f := j.files[c.Path]
	if c.Role == layout.Signing {
		if slices.ContainsFunc(f.Keys, func(k fact.Key) bool { return k.Fingerprint == key.Fingerprint }) || len(f.Keys) == 0 {
			return
		}
		j.mismatch(c, fmt.Sprintf("%s does not hold the public side of %s", c.Path, c.Key), "tokens signed with the private key are refused")
		return
	}
	if len(f.Certs) > 0 && !pki.KeyMatches(key, f.Certs[0]) {
		j.mismatch(c, fmt.Sprintf("%s does not belong to %s", c.Key, c.Path), "the next start of "+users(c)+" fails")
	}
}

// keyProblem is why nothing can start with the key of a file.
func keyProblem(f fact.File, key fact.Key, found bool) string {
	switch {
	case f.Problem != "":
		return f.Problem.String()
	case !found:
		return "there is no private key in it"
	case key.Encrypted:
		return "the key is encrypted with a password, which no component can be given"
	}
	return ""
}

func (j *judge) malformed(c layout.Credential, path, problem string) {
	j.add(finding.Finding{
		Code: finding.FileMalformed, ID: c.ID, End: finding.Now(), Class: classOf(c, finding.Fault), Keeper: finding.KeeperPerson,
		Effect: "the next start of " + users(c) + " fails", Reason: path + ": " + problem, Evidence: j.evidence(c, nil), Fix: restoreFix(c),
	})
}

func (j *judge) kubeconfigPair(c layout.Credential, user fact.KubeconfigUser) {
	key := user.Key
	if user.KeyFile != "" {
		if k, ok := privateKey(j.files[user.KeyFile]); ok {
			key = &k
		}
	}
	certs := j.presented(c)
	if key == nil || key.Fingerprint == "" || len(certs) == 0 || pki.KeyMatches(*key, certs[0]) {
		return
	}
	j.mismatch(c, fmt.Sprintf("in %s the key of user %s does not belong to its certificate", c.Path, user.Name), "the next start of "+users(c)+" fails")
}

func (j *judge) mismatch(c layout.Credential, reason, effect string) {
	j.add(finding.Finding{
		Code: finding.KeyMismatch, ID: c.ID, End: finding.Now(), Class: classOf(c, finding.Fault), Keeper: finding.KeeperPerson,
		Effect: effect, Reason: reason, Evidence: j.evidence(c, nil), Fix: restoreFix(c),
	})
}

// keyMissing judges a key that a flag names. An authority's key may live
// elsewhere (an external CA).
func (j *judge) keyMissing(c layout.Credential, path string) {
	if c.Role == layout.Authority && !signsHere(c) {
		return
	}
	j.add(finding.Finding{
		Code: finding.FileMissing, ID: c.ID, End: finding.Now(), Class: classOf(c, finding.Fault), Keeper: finding.KeeperPerson,
		Effect: "the next start of " + users(c) + " fails", Reason: path + " is not there", Evidence: j.evidence(c, nil), Fix: restoreFix(c),
	})
}

func signsHere(c layout.Credential) bool {
	return slices.ContainsFunc(c.Consumers, func(u layout.Consumer) bool { return u.Flag == "cluster-signing-cert-file" })
}

func privateKey(f fact.File) (fact.Key, bool) {
	for _, k := range f.Keys {
		if !k.Public {
			return k, true
		}
	}
	return fact.Key{}, false
}

// keyFiles are the files of a credential that hold a private key.
func (j *judge) keyFiles(c layout.Credential, f fact.File) []string {
	var paths []string
	add := func(path string) {
		if _, ok := privateKey(j.files[path]); ok && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	add(c.Path)
	add(c.Key)
	if f.Kubeconfig == nil {
		return paths
	}
	for _, u := range f.Kubeconfig.Users {
		if (u.Key != nil || u.Other != "") && !slices.Contains(paths, c.Path) {
			paths = append(paths, c.Path)
		}
		add(u.KeyFile)
	}
	return paths
}

// readableByOthers finds keys that more than their owner may read. A group
// other than root's counts: anybody may be in it.
func (j *judge) readableByOthers(c layout.Credential, path string) {
	f := j.files[path]
	who := ""
	switch {
	case f.Meta.Mode&0o004 != 0:
		who = "every user of the node"
	case f.Meta.Mode&0o040 != 0 && f.Meta.GID != 0:
		who = fmt.Sprintf("the group %d", f.Meta.GID)
	default:
		return
	}
	evidence := j.evidence(c, nil)
	evidence.Path, evidence.Mode, evidence.Owner = path, mode(f.Meta), owner(f.Meta)
	j.add(finding.Finding{
		Code: finding.KeyReadable, ID: c.ID, Class: classOf(c, finding.Weakness), Keeper: finding.KeeperPerson,
		Effect: who + " can act as its owner", Reason: fmt.Sprintf("%s has the mode %s", path, mode(f.Meta)),
		Evidence: evidence, Fix: "chmod 600 " + quote(path),
	})
}

// names judges whether the certificate covers what it is used for, and whether
// it is this node's.
func (j *judge) names(c layout.Credential, leaf fact.Cert, evidence finding.Evidence) {
	if other, foreign := j.otherNode(c, leaf); foreign {
		j.add(finding.Finding{
			Code: finding.CertificateFromOtherNode, ID: c.ID, End: finding.Now(), Class: finding.Fault, Keeper: finding.KeeperPerson,
			Effect: "clients that verify the name refuse this node", Reason: fmt.Sprintf("it names %s, and this node is %s", other, fact.Text(j.layout.Node)),
			Evidence: evidence, Fix: reissueFix(c),
		})
		return
	}
	var missing []string
	for _, host := range c.Covers {
		if !pki.Covers(leaf, host) {
			missing = append(missing, fact.Text(host).String())
		}
	}
	if len(missing) == 0 {
		return
	}
	list := strings.Join(missing, ", ")
	j.add(finding.Finding{
		Code: finding.SANMissing, ID: c.ID, End: finding.Now(), Class: classOf(c, finding.Fault), Keeper: finding.KeeperPerson,
		Effect: "clients that use " + list + " refuse the certificate", Reason: "it does not cover " + list,
		Evidence: evidence, Fix: reissueFix(c),
	})
}

// otherNode says whether a certificate was made for another node, and which.
// kubeadm names the node in the CN of etcd's certificates and among the SANs
// of the API server's.
func (j *judge) otherNode(c layout.Credential, leaf fact.Cert) (fact.Text, bool) {
	if j.layout.NodeGuessed || pki.Covers(leaf, j.layout.Node) || leaf.Subject.CommonName == j.layout.Node {
		return "", false
	}
	if c.OnlyHere && c.Role == layout.Serving {
		return fact.Text(leaf.Subject.CommonName), strings.HasSuffix(string(c.ID), "/etcd-server") || strings.HasSuffix(string(c.ID), "/etcd-peer")
	}
	if c.ID.Name() != "apiserver" || len(c.Covers) == 0 || !slices.ContainsFunc(c.Covers, func(h string) bool { return !pki.Covers(leaf, h) }) {
		return "", false
	}
	for _, name := range leaf.DNSNames {
		if name != "kubernetes" && name != "localhost" && !strings.HasPrefix(name, "kubernetes.default") && !strings.Contains(name, "*") {
			return fact.Text(name), true
		}
	}
	return "", false
}

// kubeletConfigs judges the kubelet's configuration file itself.
func (j *judge) kubeletConfigs(seen []fact.Fact) {
	for _, f := range seen {
		if k, ok := f.(fact.KubeletConfig); ok && k.Problem != "" {
			j.kubeletConfig(k.Path, finding.FileMalformed, k.Problem.String())
		}
	}
	for _, w := range j.layout.Wants {
		f, looked := j.files[w.Path]
		switch {
		case w.Verb != layout.LookKubelet || !looked:
		case f.Missing:
			j.kubeletConfig(w.Path, finding.FileMissing, "it is not there, and the kubelet's --config names it")
		case f.Problem != "":
			j.kubeletConfig(w.Path, finding.FileMalformed, f.Problem.String())
		}
	}
}

func (j *judge) kubeletConfig(path string, code finding.Code, problem string) {
	j.add(finding.Finding{
		Code: code, ID: fact.NodeID(j.layout.Node, "kubelet-config"), End: finding.Now(), Class: finding.Fault, Keeper: finding.KeeperPerson,
		Effect: "the next start of the kubelet fails", Reason: path + ": " + problem,
		Evidence: finding.Evidence{Path: path, Consumers: []string{layout.Kubelet}},
		Fix:      "restore " + path + " from a backup, or: kubeadm upgrade node phase kubelet-config",
	})
}

// omitted says of which files not all was kept.
func (j *judge) omitted() {
	for _, c := range j.layout.Credentials {
		if f := j.files[c.Path]; f.Omitted > 0 {
			j.unseen = append(j.unseen, fact.Unseen{Source: "files", What: fact.Text(c.Path), Why: fact.TooLarge,
				Detail: fact.Text(fmt.Sprintf("%d more certificates are in it than are looked at", f.Omitted))})
		}
	}
}

// manifests judges the static pods' manifests themselves.
func (j *judge) manifests(seen []fact.Fact) {
	first := map[string]string{}
	for _, f := range seen {
		m, ok := f.(fact.Manifest)
		switch {
		case !ok:
		case m.Problem != "":
			j.manifest(finding.FileMalformed, m, "the kubelet does not run this static pod", m.Path+": "+m.Problem.String(),
				"correct "+quote(m.Path)+", or move it out of the directory")
		case first[podName(m)] != "":
			j.manifest(finding.ManifestDuplicate, m, "the kubelet may run this one in place of the other, after its next start or after any change",
				fmt.Sprintf("it defines the same pod as %s: %s", first[podName(m)], m.Name), "mv "+quote(m.Path)+" /root/")
		default:
			first[podName(m)] = m.Path
		}
	}
}

func podName(m fact.Manifest) string { return string(m.Namespace) + "/" + string(m.Name) }

func (j *judge) manifest(code finding.Code, m fact.Manifest, effect, reason, fix string) {
	j.add(finding.Finding{
		Code: code, ID: fact.NodeID(j.layout.Node, m.Path[strings.LastIndexByte(m.Path, '/')+1:]), End: finding.Now(),
		Class: finding.Fault, Keeper: finding.KeeperPerson, Effect: effect, Reason: reason,
		Evidence: finding.Evidence{Path: m.Path, Mode: mode(m.Meta), Owner: owner(m.Meta)}, Fix: fix,
	})
}

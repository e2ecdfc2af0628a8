// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"encoding/base64"
	"path"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// MaxEntries is the number of clusters, and of users, that are kept of one
// kubeconfig. The current ones are kept in any case.
const MaxEntries = 1000

// ReadKubeconfig reads a kubeconfig (v1 Config, YAML or JSON) as client-go
// does: embedded data wins over a file reference, and references are relative
// to dir, the absolute directory of the file. What can be read is there even
// beside a problem, which is one sentence; only a file that cannot be
// understood at all gives nil.
//
// Tokens, passwords and the arguments of helper programs are recognised and
// not kept, and no sentence quotes a value of the file other than a name.
func ReadKubeconfig(data []byte, dir string) (kubeconfig *fact.Kubeconfig, problem fact.Text) {
	var faults faults
	config, ok := decodeConfig(data, &faults)
	if !ok {
		return nil, faults.sentence()
	}
	r := kubeconfigReader{dir: dir, faults: &faults, bytesLeft: maxConfigBytes, certsLeft: MaxCerts}
	return r.read(config), faults.sentence()
}

// CurrentLeaf gives the client certificate that is embedded for the current
// context's user: the one that a process which read this kubeconfig presents.
func CurrentLeaf(k *fact.Kubeconfig) (fact.Cert, bool) {
	if k == nil {
		return fact.Cert{}, false
	}
	for _, user := range k.Users {
		if user.Current && len(user.Certs) > 0 {
			return user.Certs[0], true
		}
	}
	return fact.Cert{}, false
}

// CurrentFingerprint is the fingerprint of CurrentLeaf, empty if there is none.
func CurrentFingerprint(k *fact.Kubeconfig) string {
	leaf, ok := CurrentLeaf(k)
	if !ok {
		return ""
	}
	return leaf.Fingerprint()
}

// kubeconfigReader turns what was decoded into facts. Its budgets keep a
// small file from becoming large by repeating one value through YAML aliases.
type kubeconfigReader struct {
	dir       string
	faults    *faults
	bytesLeft int // of embedded data
	certsLeft int
}

func (r *kubeconfigReader) read(c config) *fact.Kubeconfig {
	k := &fact.Kubeconfig{CurrentContext: fact.Text(c.CurrentContext)}
	cluster, user := r.current(c)
	for i, entry := range c.Clusters {
		if current := i == cluster; current || i < MaxEntries {
			k.Clusters = append(k.Clusters, r.cluster(entry, current))
		}
	}
	for i, entry := range c.Users {
		if current := i == user; current || i < MaxEntries {
			k.Users = append(k.Users, r.user(entry, current))
		}
	}
	r.omitted("clusters", len(c.Clusters)-len(k.Clusters))
	r.omitted("users", len(c.Users)-len(k.Users))
	return k
}

func (r *kubeconfigReader) omitted(what string, n int) {
	if n > 0 {
		r.faults.add("there are more than %d %s, the other %d were not looked at", MaxEntries, what, n)
	}
}

// current finds the indexes of the current context's cluster and user, -1
// where there is none. Of entries with the same name client-go uses the last
// (tools/clientcmd/api/v1 conversion).
func (r *kubeconfigReader) current(c config) (cluster, user int) {
	cluster, user = -1, -1
	if c.CurrentContext == "" {
		return
	}
	context := lastIndex(len(c.Contexts), func(i int) bool { return c.Contexts[i].Name == c.CurrentContext })
	if context < 0 {
		r.faults.add(`the current context "%s" does not exist`, clip(c.CurrentContext))
		return
	}
	refs := c.Contexts[context].Context
	cluster = lastIndex(len(c.Clusters), func(i int) bool { return c.Clusters[i].Name == refs.Cluster })
	user = lastIndex(len(c.Users), func(i int) bool { return c.Users[i].Name == refs.User })
	if cluster < 0 {
		r.faults.add(`the current context "%s" names the cluster "%s", which does not exist`, clip(c.CurrentContext), clip(refs.Cluster))
	}
	if user < 0 && refs.User != "" {
		r.faults.add(`the current context "%s" names the user "%s", which does not exist`, clip(c.CurrentContext), clip(refs.User))
	}
	return cluster, user
}

func lastIndex(n int, is func(int) bool) int {
	for i := n - 1; i >= 0; i-- {
		if is(i) {
			return i
		}
	}
	return -1
}

func (r *kubeconfigReader) cluster(entry namedCluster, current bool) fact.KubeconfigCluster {
	c := fact.KubeconfigCluster{
		Name:    fact.Text(entry.Name),
		Current: current,
		Server:  fact.Text(entry.Cluster.Server),
	}
	if entry.Cluster.CAData == "" {
		c.CAFile = r.absolute(entry.Cluster.CAFile)
		return c
	}
	content, problem := r.embedded(entry.Cluster.CAData, "certificate-authority-data")
	c.CAs = content.Certs
	if problem == "" && len(c.CAs) == 0 {
		problem = "certificate-authority-data holds no certificate"
	}
	if problem != "" {
		r.faults.add(`cluster "%s": %s`, clip(entry.Name), problem)
	}
	return c
}

func (r *kubeconfigReader) user(entry namedUser, current bool) fact.KubeconfigUser {
	u := fact.KubeconfigUser{
		Name:    fact.Text(entry.Name),
		Current: current,
		Other:   entry.User.other(),
	}
	var faults faults
	note := func(problem string) {
		if problem != "" {
			faults.add("%s", problem)
		}
	}
	if entry.User.CertData == "" {
		u.CertFile = r.absolute(entry.User.CertFile)
	} else {
		content, problem := r.embedded(entry.User.CertData, "client-certificate-data")
		u.Certs = content.Certs
		if problem == "" && len(u.Certs) == 0 {
			problem = "client-certificate-data holds no certificate"
		}
		note(problem)
	}
	if entry.User.KeyData == "" {
		u.KeyFile = r.absolute(entry.User.KeyFile)
	} else {
		content, problem := r.embedded(entry.User.KeyData, "client-key-data")
		u.Key = firstPrivate(content.Keys)
		if problem == "" && u.Key == nil {
			problem = "client-key-data holds no private key"
		}
		note(problem)
	}
	note(entry.User.incomplete())
	u.Problem = faults.sentence()
	return u
}

func firstPrivate(keys []fact.Key) *fact.Key {
	for i := range keys {
		if !keys[i].Public {
			return &keys[i]
		}
	}
	return nil
}

// embedded reads base64 of PEM. The problem names the field.
func (r *kubeconfigReader) embedded(value, field string) (Content, string) {
	if len(value) > r.bytesLeft || r.certsLeft == 0 {
		return Content{}, field + " was not looked at: the kubeconfig embeds too much"
	}
	r.bytesLeft -= len(value)
	pem, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		if strings.Contains(value, "-----BEGIN") {
			return Content{}, field + " is plain PEM, where base64 of it is expected"
		}
		return Content{}, field + " is not base64"
	}
	content := Read(pem)
	if len(content.Certs) > r.certsLeft {
		content.Omitted += len(content.Certs) - r.certsLeft
		content.Certs = content.Certs[:r.certsLeft]
	}
	r.certsLeft -= len(content.Certs)
	switch {
	case content.Problem != "":
		return content, field + ": " + string(content.Problem)
	case content.Omitted > 0:
		return content, field + " was not looked at as a whole: the kubeconfig embeds too many certificates"
	}
	return content, ""
}

// absolute resolves a file reference as client-go does
// (tools/clientcmd ResolveLocalPaths).
func (r *kubeconfigReader) absolute(file string) string {
	switch {
	case file == "":
		return ""
	case path.IsAbs(file):
		return path.Clean(file)
	}
	return path.Join(r.dir, file)
}

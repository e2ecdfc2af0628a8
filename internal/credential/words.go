// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/pki"
)

// effects says who loses what when a credential ends, by kubeadm's names.
var effects = map[string]string{
	"apiserver":                "every client refuses the API server: kubectl, the kubelets, the controllers",
	"apiserver-kubelet-client": "the API server cannot reach the kubelets: logs, exec and port-forward fail",
	"apiserver-etcd-client":    "the API server cannot reach etcd: it stops answering",
	"front-proxy-client":       "aggregated APIs such as metrics.k8s.io fail",
	"etcd-server":              "the API server cannot reach etcd: it stops answering",
	"etcd-peer":                "etcd members no longer talk to each other: with several, the cluster loses its quorum",
	"etcd-healthcheck-client":  "etcdctl with this certificate is refused",
	"admin.conf":               "whoever uses admin.conf or a copy of it is refused",
	"super-admin.conf":         "the emergency access is refused",
	"controller-manager.conf":  "the controller manager is refused: nothing is reconciled any more",
	"scheduler.conf":           "the scheduler is refused: new pods stay pending",
	layout.AgentName:           "the agent is refused by the API server: it looks on, and replaces no API server any more",
	"kubelet.conf":             "the kubelet is refused: the node becomes NotReady and its pods are evicted",
	"kubelet":                  "clients that verify the kubelet's port refuse it",
	"ca":                       "everything that the cluster's CA signed is refused, everywhere at once",
	"etcd-ca":                  "etcd, and with it the API server, stops",
	"etcd-peer-ca":             "etcd members no longer talk to each other",
	"front-proxy-ca":           "aggregated APIs such as metrics.k8s.io fail",
	"sa":                       "service account tokens are refused",
}

func effectOf(c layout.Credential) string {
	if e, ok := effects[c.ID.Name()]; ok {
		return e
	}
	if c.Role == layout.Unclaimed {
		return "nothing that runs here names it"
	}
	return users(c) + " is refused, or refuses its peers"
}

// kubeadmRenews are the names that `kubeadm certs renew` takes.
var kubeadmRenews = []string{
	"admin.conf", "apiserver", "apiserver-etcd-client", "apiserver-kubelet-client", "controller-manager.conf",
	"etcd-healthcheck-client", "etcd-peer", "etcd-server", "front-proxy-client", "scheduler.conf", "super-admin.conf",
}

func renewFix(c layout.Credential) string {
	name := c.ID.Name()
	switch {
	case c.SelfRotating:
		return "journalctl -u kubelet | grep -i certificate"
	case c.SelfMade, name == layout.AgentName, name == "kubelet.conf", slices.Contains(kubeadmRenews, name):
		return "sudo perennial renew " + name
	case c.Role == layout.Unclaimed:
		return "remove it if nothing needs it: rm -i " + quote(c.Path)
	}
	return "issue it again from its CA"
}

func reissueFix(c layout.Credential) string {
	name := c.ID.Name()
	if slices.Contains(kubeadmRenews, name) {
		return fmt.Sprintf("mv %s %s && mv %s %s && kubeadm init phase certs %s --config CONFIG",
			quote(c.Path), quote(c.Path+".old"), quote(c.Key), quote(c.Key+".old"), name)
	}
	return "issue it again from its CA, with the names it needs"
}

func restoreFix(c layout.Credential) string {
	name := c.ID.Name()
	if name == layout.AgentName {
		return "perennial renew --create " + name
	}
	if slices.Contains(kubeadmRenews, name) && path.Ext(name) == ".conf" {
		return "restore it from a backup, or: kubeadm init phase kubeconfig " + name[:len(name)-len(".conf")]
	}
	if slices.Contains(kubeadmRenews, name) {
		return "restore it from a backup, or: kubeadm init phase certs " + name
	}
	return "restore it from a backup"
}

func restartFix(component string) string {
	switch component {
	case "":
		return "restart what serves it"
	case layout.APIServer, layout.ControllerManager, layout.Scheduler, layout.Etcd, layout.Kubelet:
		return "sudo perennial restart " + component
	}
	return "crictl stop --timeout 2 $(crictl ps -q --name " + component + ")"
}

// evidence is what is known of a credential, with one of its certificates.
func (j *judge) evidence(c layout.Credential, cert *fact.Cert) finding.Evidence {
	f := j.files[c.Path]
	e := finding.Evidence{Path: c.Path}
	if !f.Missing && f.Path != "" {
		e.Mode, e.Owner = mode(f.Meta), owner(f.Meta)
	}
	if user, ok := currentUser(f.Kubeconfig); ok {
		e.Slot = "user " + user.Name
		if user.CertFile != "" {
			e.Notes = append(e.Notes, fact.Text("the certificate is in "+user.CertFile))
		}
	}
	if cert != nil {
		e.Certificate = pki.Describe(*cert)
	}
	for _, u := range c.Consumers {
		if !slices.Contains(e.Consumers, u.Component) {
			e.Consumers = append(e.Consumers, u.Component)
		}
	}
	return e
}

func servedEvidence(s fact.Served, matches bool) finding.Served {
	leaf := s.Certs[0]
	return finding.Served{Endpoint: s.Endpoint, SNI: s.SNI, Fingerprint: leaf.Fingerprint(), NotAfter: leaf.NotAfter, Matches: matches}
}

func mode(m fact.Meta) string  { return fmt.Sprintf("%04o", m.Mode&0o7777) }
func owner(m fact.Meta) string { return fmt.Sprintf("%d:%d", m.UID, m.GID) }

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,-]+$`)

// quote makes a path safe to paste into a shell: fixes are there to be copied,
// and a file's name is whatever somebody gave it.
func quote(path string) string {
	if plainWord.MatchString(path) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// SPDX-License-Identifier: Apache-2.0

package execute_test

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/testnode"
)

const (
	adminConf = "/etc/kubernetes/admin.conf"
	annConf   = "/home/ann/.kube/config"
)

// merged is a kubeconfig of somebody who uses two clusters, the other one by
// default.
func merged(admin []byte) []byte {
	text := strings.ReplaceAll(string(admin), "kubernetes-admin", "prod-admin")
	text = strings.Replace(text, "users:\n", "users:\n# the other one\n- name: other\n  user: {token: not-ours}\n", 1)
	text = strings.Replace(text, "contexts:\n", "contexts:\n- name: other\n  context: {cluster: kubernetes, user: other}\n", 1)
	return []byte(strings.Replace(text, "current-context: prod-admin@kubernetes", "current-context: other", 1))
}

// without takes the embedded certificates out of a kubeconfig.
func without(t *testing.T, conf []byte, field string) string {
	t.Helper()
	var kept []string
	for _, line := range strings.Split(string(conf), "\n") {
		if !strings.Contains(line, field) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// Copies of admin.conf are refreshed in place; what else is in them stays, and
// so do their mode and owner.
func TestCopies(t *testing.T) {
	n := newNode(t, testnode.Options{})
	admin := n.Read(adminConf)
	n.Write("/root/.kube/config", 0o640, admin)
	n.Write(annConf, 0o600, merged(admin))
	n.Write("/home/bob/.kube/config", 0o600, n.Kubeconfig(n.CAs["ca"].Cert, n.Sign(n.CAs["ca"], testnode.Leaf{Name: "bob"}), "bob"))
	n.Write("/home/eve/.kube/config", 0o600, n.Kubeconfig(n.CAs["ca"].Cert, n.Sign(n.NewCA("other"), testnode.Leaf{Name: "kubernetes-admin", Organization: "kubeadm:cluster-admins"}), "kubernetes-admin"))
	if os.Geteuid() == 0 {
		if err := os.Chown(n.Path(annConf), 1234, 1235); err != nil {
			t.Fatal(err)
		}
	}
	before := n.Read(annConf)
	n.does(plan.RenewOptions{Names: []string{"admin.conf"}}, "renew admin.conf",
		"refresh admin.conf@/home/ann/.kube/config", "refresh admin.conf@/root/.kube/config")
	after := n.Read(annConf)
	if without(t, before, "client-certificate-data") != without(t, after, "client-certificate-data") || string(before) == string(after) {
		t.Errorf("more or less than a certificate changed:\n%s\n%s", before, after)
	}
	if info, err := os.Stat(n.Path("/root/.kube/config")); err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if os.Geteuid() == 0 {
		info, err := os.Stat(n.Path(annConf))
		if s, ok := info.Sys().(*syscall.Stat_t); err != nil || !ok || s.Uid != 1234 || s.Gid != 1235 {
			t.Errorf("owner %+v, %v", info.Sys(), err)
		}
	}
	if string(n.Read("/root/.kube/config")) != string(n.Read(adminConf)) {
		t.Error("the plain copy is not what admin.conf is")
	}
}

// A copy from before an earlier renewal, with another key, is found, said and
// refreshed; and one that is a link to admin.conf is admin.conf.
func TestEarlierCopy(t *testing.T) {
	n := newNode(t, testnode.Options{})
	earlier := n.Sign(n.CAs["ca"], testnode.Leaf{Name: "kubernetes-admin", Organization: "kubeadm:cluster-admins", End: later.AddDate(0, 0, 10)})
	n.Write("/srv/ci/kubeconfig", 0o600, n.Kubeconfig(n.CAs["ca"].Cert, earlier, "kubernetes-admin"))
	n.Write("/root/.kube/other", 0o600, nil)
	n.Link(adminConf, "/root/.kube/config")
	n.scope.Copies = []string{"/srv/ci/kubeconfig"}
	n.now = testnode.Start.AddDate(0, 0, 1)
	found := false
	for _, f := range n.look().Findings {
		found = found || f.Code == finding.CopyStale && f.ID.Name() == "admin.conf@/srv/ci/kubeconfig" && f.Class == finding.Notice
	}
	if !found {
		t.Error("the stale copy is no finding")
	}
	n.does(plan.RenewOptions{}, "refresh admin.conf@/srv/ci/kubeconfig")
	if string(n.Read("/srv/ci/kubeconfig")) != string(n.Read(adminConf)) {
		t.Error("the copy is not what admin.conf is")
	}
	n.healthy()
	if p := n.plan(plan.RenewOptions{}); len(p.Steps) != 0 {
		t.Errorf("again: %v", steps(p))
	}
}

// Somebody whose copy has ended gets no new access, unless the settings say so;
// and a certificate without its key is no credential.
func TestCopyThatHasEnded(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to give files away")
	}
	n := newNode(t, testnode.Options{})
	ended := n.Sign(n.CAs["ca"], testnode.Leaf{Name: "kubernetes-admin", Organization: "kubeadm:cluster-admins", End: testnode.Start.AddDate(0, 1, 0)})
	n.Write(annConf, 0o600, n.Kubeconfig(n.CAs["ca"].Cert, ended, "kubernetes-admin"))
	stranger := n.Sign(n.CAs["ca"], testnode.Leaf{Name: "x"})
	stranger.Cert = ended.Cert
	n.Write("/home/eve/.kube/config", 0o600, n.Kubeconfig(n.CAs["ca"].Cert, stranger, "kubernetes-admin"))
	if err := os.Chown(n.Path(annConf), 1234, 1235); err != nil {
		t.Fatal(err)
	}
	o := plan.RenewOptions{Names: []string{"admin.conf"}}
	p := n.plan(o)
	if len(p.Steps) != 1 || !notes(p, "it gets no new access unasked") || notes(p, "eve") {
		t.Errorf("steps %v, notes %v", steps(p), p.Notes)
	}
	n.scope.Copies = []string{annConf}
	n.does(o, "renew admin.conf", "refresh admin.conf@/home/ann/.kube/config")
}

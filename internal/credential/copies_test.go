// SPDX-License-Identifier: Apache-2.0

package credential_test

import (
	"strings"
	"testing"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/testnode"
)

// A copy of admin.conf from before a renewal is a notice with its own end; one
// that is up to date, another user's kubeconfig and a certificate without its
// key are nothing.
func TestCopyStale(t *testing.T) {
	n := testnode.New(t, testnode.Options{})
	admin := testnode.Leaf{Name: "kubernetes-admin", Organization: "kubeadm:cluster-admins", End: testnode.Start.AddDate(0, 6, 0)}
	earlier := n.Sign(n.CAs["ca"], admin)
	n.Write("/root/.kube/config", 0o600, n.Kubeconfig(n.CAs["ca"].Cert, earlier, "kubernetes-admin"))
	n.Write("/home/ann/.kube/config", 0o600, n.Read("/etc/kubernetes/admin.conf"))
	n.Write("/home/bob/.kube/config", 0o600, n.Kubeconfig(n.CAs["ca"].Cert, n.Sign(n.CAs["ca"], testnode.Leaf{Name: "bob"}), "bob"))
	keyless := n.Sign(n.CAs["ca"], admin)
	keyless.Cert = earlier.Cert
	n.Write("/home/eve/.kube/config", 0o600, n.Kubeconfig(n.CAs["ca"].Cert, keyless, "kubernetes-admin"))
	findings := judge(t, n)
	if got := faults(findings); len(got) != 1 || got[0] != "cp1/admin.conf@/root/.kube/config CopyStale" {
		t.Fatalf("found %v", got)
	}
	f := find(t, findings, "cp1/admin.conf@/root/.kube/config", finding.CopyStale)
	if f.Class != finding.Notice || !f.End.Date.Equal(admin.End) || !strings.Contains(f.Reason, "until the end of its own certificate") || f.Evidence.Slot != "user kubernetes-admin" {
		t.Errorf("%+v", f)
	}
}

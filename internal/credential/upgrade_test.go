// SPDX-License-Identifier: Apache-2.0

package credential_test

import (
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/testnode"
)

// Whoever counts on an upgrade to renew is told for which certificates it does.
func TestWhatAnUpgradeRenews(t *testing.T) {
	etcdOnly, both := "the manifest of etcd changes", "etcd or kube-apiserver changes"
	for name, c := range map[string]struct {
		options testnode.Options
		change  func(n *testnode.Node)
		want    map[string]string // by credential: how often, and a part of the reason
	}{
		"plain": {want: map[string]string{
			"admin.conf": "always at the end of every upgrade", "super-admin.conf": "always at the end", "apiserver": "sometimes kube-apiserver changes",
			"etcd-server": "sometimes " + both, "scheduler.conf": "sometimes kube-scheduler changes", "kubelet.conf": "never the kubelet renews it itself",
			"kubelet": "never not among the certificates",
		}},
		"1.30":                           {options: testnode.Options{Version: "v1.30.0"}, want: map[string]string{"etcd-peer": "sometimes " + etcdOnly}},
		"1.28 knows no super-admin.conf": {options: testnode.Options{Version: "v1.28.15"}, want: map[string]string{"super-admin.conf": "never not among", "admin.conf": "always"}},
		"a CA elsewhere": {
			change: func(n *testnode.Node) { n.Remove("/etc/kubernetes/pki/front-proxy-ca.key") },
			want:   map[string]string{"front-proxy-client": "never the key of its CA (cp1/front-proxy-ca) is not on this node", "apiserver": "sometimes"},
		},
		"no static pods": {
			change: func(n *testnode.Node) { n.Remove("/etc/kubernetes/manifests") },
			want:   map[string]string{"apiserver": "never there is none on this node"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := testnode.New(t, c.options)
			if c.change != nil {
				c.change(n)
			}
			findings := judge(t, n)
			for credential, want := range c.want {
				got := find(t, findings, fact.NodeID("cp1", credential), finding.CertificateExpires).Evidence.Upgrade
				renews, because, _ := strings.Cut(want, " ")
				if got == nil || string(got.Renews) != renews || !strings.Contains(got.Because, because) {
					t.Errorf("%s: %+v, want %s", credential, got, want)
				}
				if got != nil && (got.Renews == finding.RenewsNever) != (got.Source == "") {
					t.Errorf("%s: its source is %q", credential, got.Source)
				}
			}
		})
	}
}

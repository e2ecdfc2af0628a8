// SPDX-License-Identifier: Apache-2.0

package layout_test

import (
	"slices"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
)

func TestRenewersAtWork(t *testing.T) {
	for line, atWork := range map[string]bool{
		"/usr/bin/kubeadm upgrade apply v1.37.1 -y":                  true,
		"kubeadm certs renew all":                                    true,
		"kubeadm init phase certs apiserver":                         true,
		"/bin/bash /usr/local/bin/k8s-certs-renew.sh":                true,
		"bash update-kubeadm-cert.sh all":                            true,
		"kubeadm join 10.0.0.1:6443 --token abcdef.0123456789abcdef": true,
		"kubeadm certs check-expiration":                             false,
		"kubeadm upgrade plan":                                       false,
		"kubeadm upgrade apply --help":                               false,
		"kubeadm version -o short":                                   false,
		"/usr/bin/kucero --ds-namespace kube-system":                 false,
		"vi k8s-certs-renew.timer":                                   false,
	} {
		args := strings.Fields(line)
		words, known := layout.RenewerWords(args)
		if strings.Contains(strings.Join(words, " "), "abcdef") || strings.Contains(strings.Join(words, " "), "10.0.0.1") {
			t.Errorf("%s: %v keeps a secret", line, words)
		}
		var l layout.Layout
		if known {
			l = layout.Discover(running, []fact.Fact{process(9, words...)})
		}
		if got := slices.ContainsFunc(l.Renewers, func(r layout.Renewer) bool { return r.AtWork && r.PID == 9 }); got != atWork {
			t.Errorf("%s: at work %v, want %v", line, got, atWork)
		}
	}
}

// Anybody may call a program kubeadm: another user's keeps nobody from working.
func TestForeignRenewers(t *testing.T) {
	p := process(9, "kubeadm", "certs", "renew")
	p.Foreign = true
	if got := layout.Discover(running, []fact.Fact{p}).Renewers; len(got) != 0 {
		t.Errorf("%+v", got)
	}
	p.Foreign, p.Contained = false, true
	if got := layout.Discover(running, []fact.Fact{p}).Renewers; len(got) != 0 {
		t.Errorf("in a container: %+v", got)
	}
	p.Args = []string{"/usr/bin/kucero"}
	if got := layout.Discover(running, []fact.Fact{p}).Renewers; len(got) != 1 || got[0].AtWork {
		t.Errorf("kucero: %+v", got)
	}
	p.Args, p.Contained = []string{"kubeadm", "certs", "renew"}, false
	elsewhere := fact.Scope{Root: "/", KubernetesDir: "/srv/other"}
	if got := layout.Discover(elsewhere, []fact.Fact{p}).Renewers; len(got) != 0 {
		t.Errorf("another cluster's: %+v", got)
	}
}

// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"errors"
	"strings"
	"time"
)

func testKubeProxyReplacement(p *plane) {
	t := p.T
	admin := p.client("admin.conf")
	p.replacements(admin, "with kube-proxy") // the lab has kubeadm's ConfigMap and no DaemonSet
	p.Apply(daemonSetOf("kube-proxy", `"command": ["/usr/local/bin/kube-proxy", "--config=/var/lib/kube-proxy/config.conf"]`))
	p.Apply(cilium(`"kube-proxy-replacement": "false", "bpf-lb-sock": "false"`))
	p.Apply(daemonSetOf("kube-router", `"args": ["--run-router=true", "--run-service-proxy=false"]`))
	p.replacements(admin, "others that leave it to kube-proxy")

	p.Apply(cilium(`"kube-proxy-replacement": "true"`))
	p.replacements(admin, "Cilium", Replacement{"cilium", true, false, "ConfigMap kube-system/cilium-config: kube-proxy-replacement=true"})
	p.Apply(cilium(`"kube-proxy-replacement": "partial"`))
	p.replacements(admin, "Cilium in part", Replacement{"cilium", true, true, "ConfigMap kube-system/cilium-config: kube-proxy-replacement=partial"})
	p.Apply(cilium(`"kube-proxy-replacement": "false", "bpf-lb-sock": "true"`))
	p.replacements(admin, "Cilium's sockets", Replacement{"cilium", true, true, "ConfigMap kube-system/cilium-config: bpf-lb-sock=true"})
	p.gone("configmap", "cilium-config")

	p.Apply(daemonSetOf("kube-router", `"args": ["--run-router=true", "--run-service-proxy=true"]`))
	p.replacements(admin, "kube-router", Replacement{"kube-router", false, false, "DaemonSet kube-system/kube-router, container kube-router: --run-service-proxy=true"})
	p.gone("daemonset", "kube-router")

	p.Apply(felixDefinition)
	p.calico(admin)

	// The scheduler may not see what would tell.
	if found, err := p.client("scheduler.conf").KubeProxyReplacement(t.Context()); !errors.Is(err, ErrForbidden) || len(found) != 0 {
		t.Errorf("unseen: %+v, %v", found, err)
	}
}

func (p *plane) calico(admin *Client) {
	p.Helper()
	felix := func(enabled string) string {
		return `{"apiVersion": "crd.projectcalico.org/v1", "kind": "FelixConfiguration", "metadata": {"name": "default"}, "spec": {"bpfEnabled": ` + enabled + `}}`
	}
	// The server takes a moment to serve what was just defined.
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		if out, ok := p.Kubectl("get", "felixconfigurations.crd.projectcalico.org"); ok {
			break
		} else if time.Now().After(deadline) {
			p.Fatal(out)
		}
	}
	p.Apply(felix("false"))
	p.replacements(admin, "Calico without eBPF")
	p.Apply(felix("true"))
	p.replacements(admin, "Calico with eBPF", Replacement{"calico", true, false, "FelixConfiguration default: bpfEnabled=true"})
}

func (p *plane) replacements(c *Client, name string, want ...Replacement) {
	p.Helper()
	got, err := c.KubeProxyReplacement(p.Context())
	if err != nil || len(got) != len(want) {
		p.Errorf("%s: %+v, %v", name, got, err)
		return
	}
	for i := range want {
		if got[i] != want[i] {
			p.Errorf("%s: %+v, want %+v", name, got[i], want[i])
		}
	}
}

func (p *plane) gone(kind, name string) {
	p.Helper()
	if out, ok := p.Kubectl("-n", "kube-system", "delete", kind, name); !ok {
		p.Fatal(out)
	}
}

func cilium(data string) string {
	return `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cilium-config", "namespace": "kube-system"}, "data": {` + data + `}}`
}

func daemonSetOf(name, more string) string {
	return strings.NewReplacer("NAME", name, "MORE", more).Replace(`{"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "NAME", "namespace": "kube-system"},
		"spec": {"selector": {"matchLabels": {"k8s-app": "NAME"}}, "template": {"metadata": {"labels": {"k8s-app": "NAME"}},
		"spec": {"containers": [{"name": "NAME", "image": "registry.invalid/NAME", MORE}]}}}}`)
}

// felixDefinition is Calico's, as far as it matters.
const felixDefinition = `{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "felixconfigurations.crd.projectcalico.org"},
	"spec": {"group": "crd.projectcalico.org", "scope": "Cluster", "names": {"kind": "FelixConfiguration", "plural": "felixconfigurations", "singular": "felixconfiguration"},
	"versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}}`

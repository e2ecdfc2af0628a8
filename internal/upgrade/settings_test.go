// SPDX-License-Identifier: Apache-2.0

package upgrade_test

import (
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/rules"
)

// kubeadm writes the manifests of static pods anew from its configuration: what
// stands there ends the start as well, whatever the manifest says now.
func TestSettingsThatKubeadmKeeps(t *testing.T) {
	set := load(t, flagTable, etcdTables, etcdFlagTable)
	config := func(apiVersion, content string) fact.Object {
		return fact.Object{APIVersion: fact.Text(apiVersion), Type: "ClusterConfiguration", Namespace: "kube-system", Name: "kubeadm-config", Content: []byte(content)}
	}
	const id = "cluster/ClusterConfiguration/kube-system/kubeadm-config/"
	for name, c := range map[string]struct {
		object fact.Object
		want   string
	}{
		"as an object": {object: config("kubeadm.k8s.io/v1beta3", `{"apiServer":{"extraArgs":{"feature-gates":"SidecarContainers=true"}}}`),
			want: id + "kube-apiserver-gate-SidecarContainers GateRemoved blocks 1.37 measured | remove SidecarContainers=true of --feature-gates from apiServer.extraArgs in the ConfigMap kube-system/kubeadm-config"},
		"as a list": {object: config("kubeadm.k8s.io/v1beta4", `{"controllerManager":{"extraArgs":[{"name":"feature-gates","value":"SidecarContainers=true"}]}}`),
			want: id + "kube-controller-manager-gate-SidecarContainers GateRemoved blocks 1.37 measured | remove SidecarContainers=true of --feature-gates from controllerManager.extraArgs in the ConfigMap kube-system/kubeadm-config"},
		"of etcd": {object: config("kubeadm.k8s.io/v1beta4", `{"etcd":{"local":{"extraArgs":[{"name":"experimental-corrupt-check-time","value":"1h"}]}}}`),
			want: id + "etcd-flag-experimental-corrupt-check-time EtcdFlagRemoved blocks 1.37 measured | with that hop, replace --experimental-corrupt-check-time by --corrupt-check-time in etcd.local.extraArgs of the ConfigMap kube-system/kubeadm-config"},
		"of another group": {object: config("example.com/v1", `{"apiServer":{"extraArgs":{"feature-gates":"SidecarContainers=true"}}}`)},
		"no flags at all":  {object: config("kubeadm.k8s.io/v1beta4", `{"apiServer":{"extraArgs":7},"scheduler":null}`)},
		"no object":        {object: config("kubeadm.k8s.io/v1beta4", `[]`)},
		"a kubelet's in a document": {object: fact.Object{APIVersion: "kubelet.config.k8s.io/v1beta1", Type: "KubeletConfiguration", File: "k.yaml", Line: 1,
			Content: []byte(`{"featureGates":{"SidecarContainers":true,"APIResponseCompression":"x"}}`)},
			want: "manifest/kubelet.config.k8s.io/KubeletConfiguration/-/-/kubelet-gate-SidecarContainers GateRemoved blocks 1.37 measured | remove SidecarContainers from featureGates in k.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			got := judgeWith(set, rules.Way{From: 33, To: 37}, c.object)
			complete(t, got)
			if shorts(got) != c.want {
				t.Errorf("found\n%s\nwant\n%s", shorts(got), c.want)
			}
			if len(got) > 0 && (got[0].Object == nil || got[0].File != c.object.File) {
				t.Errorf("it lacks its place: %+v", got[0])
			}
		})
	}
}

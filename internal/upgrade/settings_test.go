// SPDX-License-Identifier: Apache-2.0

package upgrade_test

import (
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
	"perennial.dev/perennial/internal/upgrade"
)

// kubeadm writes the manifests of static pods anew from its configuration: what
// stands there ends the start as well, whatever the manifest says now.
func TestSettingsThatKubeadmKeeps(t *testing.T) {
	set := load(t, flagTable, etcdTables, etcdFlagTable, etcdFaultTable)
	config := func(apiVersion, content string) fact.Object {
		return fact.Object{APIVersion: fact.Text(apiVersion), Type: "ClusterConfiguration", Namespace: "kube-system", Name: "kubeadm-config", Content: []byte(content)}
	}
	inFile := func(kind, content string) fact.Object {
		return fact.Object{APIVersion: "kubeadm.k8s.io/v1beta4", Type: fact.Text(kind), File: "k.yaml", Line: 1, Content: []byte(content)}
	}
	const file = "manifest/kubeadm.k8s.io/"
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
		"an etcd with a fault, and without its check": {object: config("kubeadm.k8s.io/v1beta3", `{"etcd":{"local":{"imageTag":"3.5.2-0","extraArgs":{"experimental-initial-corrupt-check":"false"}}}}`),
			want: id + "etcd-check-corruption EtcdCheckMissing notice 1.34 measured | add --experimental-initial-corrupt-check=true to etcd.local.extraArgs in the ConfigMap kube-system/kubeadm-config\n" +
				id + "etcd-fault-DataInconsistency EtcdFault breaks 1.34 measured | update etcd to 3.5.26"},
		"kubeadm's own gates in a document": {object: inFile("ClusterConfiguration", `{"featureGates":{"PublicKeysECDSA":true,"RootlessControlPlane":true}}`),
			want: file + "ClusterConfiguration/-/-/kubeadm-gate-PublicKeysECDSA GateRemoved blocks 1.37 measured | remove PublicKeysECDSA from featureGates in k.yaml"},
		"a kubelet's flags in a document of kubeadm": {object: inFile("JoinConfiguration", `{"nodeRegistration":{"kubeletExtraArgs":[{"name":"feature-gates","value":"SidecarContainers=true"},{"name":"boot-id-file","value":"/x"}]}}`),
			want: file + "JoinConfiguration/-/-/kubelet-flag-boot-id-file FlagRemoved blocks 1.37 measured | remove --boot-id-file=/x from nodeRegistration.kubeletExtraArgs in k.yaml\n" +
				file + "JoinConfiguration/-/-/kubelet-gate-SidecarContainers GateRemoved blocks 1.37 measured | remove SidecarContainers=true of --feature-gates from nodeRegistration.kubeletExtraArgs in k.yaml"},
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

// A document may be the configuration file of any component.
func TestConfigurationFilesAsDocuments(t *testing.T) {
	doc := func(apiVersion, kind string) fact.Object {
		return fact.Object{APIVersion: fact.Text(apiVersion), Type: fact.Text(kind), File: "c.yaml", Line: 3}
	}
	for name, c := range map[string]struct {
		way    rules.Way
		object fact.Object
		want   string
	}{
		"of the scheduler": {rules.Way{From: 27, To: 30}, doc("kubescheduler.config.k8s.io/v1beta3", "KubeSchedulerConfiguration"),
			"manifest/kubescheduler.config.k8s.io/KubeSchedulerConfiguration/-/-/kube-scheduler-config-KubeSchedulerConfiguration ConfigKindRemoved blocks 1.29 measured | in c.yaml, replace `apiVersion: kubescheduler.config.k8s.io/v1beta3` by `apiVersion: kubescheduler.config.k8s.io/v1`"},
		"that goes after the way": {rules.Way{From: 27, To: 28}, doc("kubescheduler.config.k8s.io/v1beta3", "KubeSchedulerConfiguration"),
			"manifest/kubescheduler.config.k8s.io/KubeSchedulerConfiguration/-/-/kube-scheduler-config-KubeSchedulerConfiguration ConfigKindDeprecated notice 1.29 measured | in c.yaml, replace `apiVersion: kubescheduler.config.k8s.io/v1beta3` by `apiVersion: kubescheduler.config.k8s.io/v1`"},
		"of a plugin of admission": {rules.Way{From: 35, To: 36}, doc("apiserver.config.k8s.io/v1alpha1", "WebhookAdmission"),
			"manifest/apiserver.config.k8s.io/WebhookAdmission/-/-/kube-apiserver-config-WebhookAdmission ConfigKindRemoved blocks 1.36 measured | in c.yaml, replace `apiVersion: apiserver.config.k8s.io/v1alpha1` by `apiVersion: apiserver.config.k8s.io/v1` and `kind: WebhookAdmission` by `kind: WebhookAdmissionConfiguration`"},
		"of kubeadm": {rules.Way{From: 36, To: 37}, doc("kubeadm.k8s.io/v1beta3", "JoinConfiguration"),
			"manifest/kubeadm.k8s.io/JoinConfiguration/-/-/kubeadm-config-JoinConfiguration ConfigKindRemoved blocks 1.37 measured | kubeadm config migrate --old-config c.yaml --new-config NEW, with a kubeadm that still reads the old version"},
		"in a version that stays":    {rules.Way{From: 34, To: 37}, doc("kubeadm.k8s.io/v1beta4", "InitConfiguration"), ""},
		"of the same name elsewhere": {rules.Way{From: 34, To: 37}, doc("example.com/v1beta3", "KubeSchedulerConfiguration"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := judgeWith(load(t), c.way, c.object)
			complete(t, got)
			if shorts(got) != c.want {
				t.Errorf("found\n%s\nwant\n%s", shorts(got), c.want)
			}
			if len(got) > 0 && (got[0].Object == nil || got[0].File != "c.yaml" || got[0].Line != 3) {
				t.Errorf("it lacks its place: %+v", got[0])
			}
		})
	}
	// It was gone before the way begins: whoever still has it is told so.
	before := judgeWith(load(t), rules.Way{From: 34, To: 37}, doc("kubescheduler.config.k8s.io/v1beta3", "KubeSchedulerConfiguration"))
	if len(before) != 1 || before[0].Reason != "it was removed in 1.29: 1.34 does not read it either" {
		t.Errorf("found %+v", before)
	}
}

// kubeadm writes what it keeps in the cluster anew with each upgrade, so that
// only the first hop has to read it as it is.
func TestKubeadmTakesItsConfigurationAlong(t *testing.T) {
	kept := fact.ConfigDocument{Path: "ConfigMap kube-system/kubeadm-config", Line: 1, Component: "kubeadm", APIVersion: "kubeadm.k8s.io/v1beta3", Type: "ClusterConfiguration"}
	judge := func(from release.Minor) []finding.Finding {
		j := upgrade.New(load(t), rules.Way{From: from, To: 37})
		j.See(kept)
		return j.Findings()
	}
	if got := judge(30); len(got) != 0 {
		t.Errorf("from 1.30, where kubeadm 1.31 writes v1beta4: %s", shorts(got))
	}
	if got := judge(36); len(got) != 1 || got[0].Code != finding.ConfigKindRemoved || got[0].End.Version != "1.37" {
		t.Errorf("from 1.36, whose next kubeadm does not read it: %s", shorts(got))
	}
}

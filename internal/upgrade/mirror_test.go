// SPDX-License-Identifier: Apache-2.0

package upgrade_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/rules"
	"perennial.dev/perennial/internal/upgrade"
)

// mirror is a static pod as its kubelet shows it.
func mirror(namespace, name, node, image string, command ...string) fact.Object {
	args, err := json.Marshal(command)
	if err != nil {
		panic(err)
	}
	return fact.Object{APIVersion: "v1", Type: "Pod", Namespace: fact.Text(namespace), Name: fact.Text(name), Content: json.RawMessage(fmt.Sprintf(
		`{"metadata": {"annotations": {"kubernetes.io/config.mirror": "4f1c"}}, "spec": {"nodeName": %q, "containers": [{"name": "c", "image": %q, "command": %s}]}}`, node, image, args))}
}

// The command lines of control planes that were not looked at are judged by what
// their kubelets show of them, and those of the node that was by its own files.
func TestStaticPodsOfOtherNodes(t *testing.T) {
	set, way := load(t, etcdTables, etcdFlagTable), rules.Way{From: 36, To: 37}
	server := func(node, gate string) fact.Object {
		return mirror("kube-system", "kube-apiserver-"+node, node, "kube-apiserver:v1.36.3", "/go-runner", "--", "/usr/local/bin/kube-apiserver", "--enable-logs-handler=false", "--feature-gates="+gate+"=true")
	}
	seen := []fact.Object{
		server("cp1", "AFileSaysMoreThanThis"), server("cp2", "SidecarContainers"), server("cp3", "UserNamespacesSupport"),
		mirror("kube-system", "kube-controller-manager-cp2", "cp2", "x", "kube-controller-manager", "--concurrent-service-syncs=2"),
		mirror("kube-system", "etcd-cp3", "cp3", "etcd:3.6.8-0", "etcd", "--experimental-corrupt-check-time=1h", "--feature-gates=InitialCorruptCheck=true"),
		mirror("shop", "kube-apiserver-cp4", "cp4", "x", "kube-apiserver", "--feature-gates=SidecarContainers=true"),
		mirror("kube-system", "kube-apiserver-standby-cp2", "cp2", "x", "kube-apiserver", "--feature-gates=SidecarContainers=true"),
	}
	plain := mirror("kube-system", "kube-apiserver-cp5", "cp5", "x", "kube-apiserver", "--feature-gates=SidecarContainers=true")
	plain.Content = json.RawMessage(strings.Replace(string(plain.Content), "config.mirror", "config.source", 1))
	judge := func(local []layout.Layout, facts ...fact.Fact) []finding.Finding {
		j := upgrade.New(set, way)
		for _, o := range append(seen, plain) {
			j.See(o)
		}
		for _, f := range facts {
			j.See(f)
		}
		for _, l := range local {
			j.Node(l)
		}
		return j.Findings()
	}
	const others = "cp2/kube-apiserver-gate-SidecarContainers GateRemoved blocks 1.37 measured | remove SidecarContainers=true of --feature-gates from the manifest of kube-apiserver on the node cp2%s\n" +
		"cp2/kube-controller-manager-flag-concurrent-service-syncs FlagRemoved blocks 1.37 measured | remove --concurrent-service-syncs=2 from the manifest of kube-controller-manager on the node cp2%s\n" +
		"cp3/etcd-flag-experimental-corrupt-check-time EtcdFlagRemoved blocks 1.37 measured | with that hop, replace --experimental-corrupt-check-time by --corrupt-check-time in etcd.local.extraArgs of the ConfigMap kube-system/kubeadm-config"
	got := without(judge([]layout.Layout{node("cp1", []string{"kube-apiserver", "--enable-logs-handler=false"})}), finding.GateDefault)
	complete(t, got)
	if want := fmt.Sprintf(others, "", ""); shorts(got) != want {
		t.Errorf("beside a node that was looked at, found\n%s\nwant\n%s", shorts(got), want)
	}
	// Where only the API was asked, all of them, and what changes by default once.
	kept := fact.ConfigDocument{Path: "ConfigMap kube-system/kubeadm-config", Component: "kubeadm", APIVersion: "kubeadm.k8s.io/v1beta4", Type: "ClusterConfiguration"}
	all := judge(nil, kept)
	complete(t, all)
	const also = " and from extraArgs in the ConfigMap kube-system/kubeadm-config"
	want := "cp1/kube-apiserver-gate-AFileSaysMoreThanThis GateRemoved blocks 1.37 measured | remove AFileSaysMoreThanThis=true of --feature-gates from the manifest of kube-apiserver on the node cp1" + also + "\n" + fmt.Sprintf(others, also, also)
	if got := without(all, finding.GateDefault); shorts(got) != want {
		t.Errorf("through the API, found\n%s\nwant\n%s", shorts(got), want)
	}
	if len(all) != 5 || all[0].ID != "cluster/gate-defaults-1.37" {
		t.Errorf("what changes by default is told as\n%s", shorts(all))
	}
}

func without(all []finding.Finding, code finding.Code) []finding.Finding {
	var kept []finding.Finding
	for _, f := range all {
		if f.Code != code {
			kept = append(kept, f)
		}
	}
	return kept
}

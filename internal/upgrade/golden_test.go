// SPDX-License-Identifier: Apache-2.0

package upgrade_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/rules"
	"perennial.dev/perennial/internal/source"
	"perennial.dev/perennial/internal/testnode"
	"perennial.dev/perennial/internal/upgrade"
)

var update = flag.Bool("update", false, "write the golden files")

// survey looks at a node's files as the program does, and judges what it saw.
func survey(t *testing.T, n *testnode.Node, way rules.Way) []finding.Finding {
	t.Helper()
	record, l := source.Survey(context.Background(), fact.Scope{Root: n.Root, KubernetesDir: "/etc/kubernetes"}, source.Options{})
	for _, u := range append(record.Unseen, l.Unseen...) {
		t.Errorf("unseen: %+v", u)
	}
	j := upgrade.New(load(t), way)
	for _, f := range record.Facts {
		j.See(f)
	}
	j.Node(l)
	return j.Findings()
}

// seeded is a node with something of everything that the hop takes away.
func seeded(t *testing.T, version string) *testnode.Node {
	n := testnode.New(t, testnode.Options{Version: version})
	switch version {
	case "v1.24.17":
		n.Pod("kube-apiserver", []string{
			"--secure-port=6443", "--tls-cert-file=" + n.Dir + "/apiserver.crt", "--tls-private-key-file=" + n.Dir + "/apiserver.key",
			"--enable-admission-plugins=NodeRestriction,PodSecurityPolicy", "--feature-gates=DynamicKubeletConfig=false,PodOverhead=true,CSIMigration=true",
			"--runtime-config=batch/v1beta1=true,policy/v1beta1=true", "--admission-control-config-file=/etc/kubernetes/admission.yaml",
		}, n.Dir, "/etc/kubernetes/admission.yaml")
		n.Write("/etc/kubernetes/admission.yaml", 0o600, []byte("apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n- name: PodSecurity\n  configuration: {apiVersion: pod-security.admission.config.k8s.io/v1beta1, kind: PodSecurityConfiguration}\n"))
		n.Write("/sys/fs/cgroup/memory/notify_on_release", 0o644, []byte("0\n"))
		n.Write("/proc/sys/kernel/osrelease", 0o644, []byte("4.18.0-513.el8.x86_64\n"))
	default:
		n.Pod("kube-controller-manager", []string{"--kubeconfig=/etc/kubernetes/controller-manager.conf", "--feature-gates=GangScheduling=true,LogarithmicScaleDown=false"}, "/etc/kubernetes/controller-manager.conf")
		n.Pod("kube-apiserver", []string{
			"--secure-port=6443", "--tls-cert-file=" + n.Dir + "/apiserver.crt", "--tls-private-key-file=" + n.Dir + "/apiserver.key",
			"--enable-admission-plugins=NodeRestriction,JobValidation", "--runtime-config=scheduling.k8s.io/v1alpha2=true",
		}, n.Dir)
		n.Write("/sys/fs/cgroup/cgroup.controllers", 0o644, []byte("cpu memory\n"))
	}
	n.Write("/var/lib/kubelet/config.yaml", 0o644, []byte("apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nauthentication: {x509: {clientCAFile: "+n.Dir+
		"/ca.crt}}\nrotateCertificates: true\nstaticPodPath: /etc/kubernetes/manifests\nfeatureGates: {SidecarContainers: true, DynamicKubeletConfig: false}\n"))
	return n
}

func TestSeededNodes(t *testing.T) {
	for _, c := range []struct {
		version string
		way     rules.Way
	}{{"v1.24.17", rules.Way{From: 24, To: 25}}, {"v1.36.3", rules.Way{From: 36, To: 37}}} {
		t.Run(c.version, func(t *testing.T) {
			got := survey(t, seeded(t, c.version), c.way)
			complete(t, got)
			var b strings.Builder
			for _, f := range got {
				fmt.Fprintf(&b, "%s %s %s at %s (%s), removed in %q\n  effect: %s\n  reason: %s\n  fix: %s\n  seen: %s %s\n", f.ID, f.Code, f.Impact, f.End.Version, f.End.Basis, f.RemovedIn, f.Effect, f.Reason, f.Fix, f.Evidence.Path, joined(f.Evidence.Notes))
				if f.Rule != nil {
					fmt.Fprintf(&b, "  rule: %s %s\n", f.Rule.Origin, f.Rule.Citation)
				}
			}
			file := "testdata/" + c.version + ".golden"
			if *update {
				if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("found\n%s\nwant, by %s\n%s", b.String(), file, want)
			}
		})
	}
}

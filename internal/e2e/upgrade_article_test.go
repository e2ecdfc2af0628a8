// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/testlab"
	"perennial.dev/perennial/internal/timeline"
)

// article is what articles about 1.25 tell people to look for before they go
// there, on a control plane that has all of it.
var article = hop{
	from: "1.24.17", to: "1.25.0",
	flags: map[string][]string{
		"kube-apiserver": {"--enable-admission-plugins=NodeRestriction,PodSecurityPolicy", "--feature-gates=TTLAfterFinished=true"},
		// Who has no CSI driver keeps in-tree EBS volumes with this gate.
		"kube-controller-manager": {"--feature-gates=CSIMigrationAWS=false", "--deleting-pods-burst=1"},
		"etcd":                    {"--experimental-initial-corrupt-check=false"},
	},
	mended: map[string][]string{
		"kube-apiserver": {"--enable-admission-plugins=NodeRestriction"},
		"etcd":           {"--experimental-initial-corrupt-check=true"},
	},
	objects: articlePolicies + articleVolumes + articleWorkloads,
	want: []string{
		"cluster/CronJob/shop/nightly APIRemoved",
		"cluster/CronJob/shop/nightly CronJobZone",
		"cluster/CronJob/shop/weekly CronJobZoneInSchedule",
		"cluster/ClusterRole/-/log-reader LogsEndpointOff",
		"cluster/DaemonSet/kube-system/kube-proxy KubeProxyShell",
		"cluster/Deployment/shop/collector LogsEndpointOff",
		"cluster/Deployment/shop/web VolumePluginRemoved", // glusterfs, inline: goes with 1.26
		"cluster/Namespace/-/kube-system PodSecurityUnset",
		"cluster/Namespace/-/shop PodSecurityUnset",
		"cluster/PersistentVolume/-/ebs VolumeDriverMissing",
		"cluster/PersistentVolume/-/flocker VolumePluginRemoved",
		"cluster/PersistentVolume/-/glusterfs VolumePluginRemoved",
		"cluster/PersistentVolume/-/quobyte VolumePluginRemoved",
		"cluster/PersistentVolume/-/storageos VolumePluginRemoved",
		"cluster/PodSecurityPolicy/-/everything APIRemoved",
		"cluster/PodSecurityPolicy/-/everything PodSecurityPolicyEnds",
		"cluster/PodSecurityPolicy/-/restricted APIRemoved",
		"cluster/PodSecurityPolicy/-/restricted PodSecurityPolicyEnds",
		"cluster/StorageClass/-/ebs VolumeDriverMissing",
		"cluster/StorageClass/-/quobyte VolumePluginRemoved",
		"cluster/api/-/cronjobs.v1beta1.batch APIRemoved",
		"cp1/etcd-check-corruption EtcdCheckMissing",
		// Kubernetes 1.24 compiles with etcd 3.5.0, so that the lab's has them.
		"cp1/etcd-fault-DataInconsistency EtcdFault",
		"cp1/etcd-fault-DefragmentationInconsistency EtcdFault",
		"cp1/etcd-fault-SingleMemberDurability EtcdFault",
		"cp1/gate-defaults-1.25 GateDefault",
		"cp1/kube-apiserver-admission-PodSecurityPolicy AdmissionPluginRemoved",
		"cp1/kube-apiserver-gate-TTLAfterFinished GateRemoved",
		"cp1/kube-controller-manager-flag-deleting-pods-burst FlagRemoved",
		"cp1/kube-controller-manager-gate-CSIMigrationAWS GateLocked",
	},
}

// articleNode is what is found on the disk of such a node, beside what follows
// from the manifests.
var articleNode = []string{
	"cp1/kubelet-flag-container-runtime FlagDeprecated",
	"cp1/kubelet-flag-pod-infra-container-image FlagDeprecated",
	"cp1/kubelet-gate-CSIMigrationAWS GateLocked",
	"cp1/kubelet-platform-cgroup CgroupTooOld",
}

// everythingPolicy allows everything.
const everythingPolicy = `apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: everything}
spec:
  privileged: true
  allowPrivilegeEscalation: true
  allowedCapabilities: ['*']
  volumes: ['*']
  hostNetwork: true
  hostIPC: true
  hostPID: true
  hostPorts: [{min: 0, max: 65535}]
  runAsUser: {rule: RunAsAny}
  seLinux: {rule: RunAsAny}
  supplementalGroups: {rule: RunAsAny}
  fsGroup: {rule: RunAsAny}
`

const articlePolicies = everythingPolicy + `---
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: restricted}
spec:
  allowPrivilegeEscalation: false
  requiredDropCapabilities: [ALL]
  volumes: ['*']
  runAsUser: {rule: MustRunAsNonRoot}
  seLinux: {rule: RunAsAny}
  supplementalGroups: {rule: RunAsAny}
  fsGroup: {rule: RunAsAny}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: restricted}
rules: [{apiGroups: [policy], resources: [podsecuritypolicies], resourceNames: [restricted], verbs: [use]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: restricted, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: restricted}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: "system:serviceaccounts:shop"}]
---
`

// The last two have drivers, or are none of Kubernetes' own, and stay.
const articleVolumes = `apiVersion: v1
kind: PersistentVolume
metadata: {name: glusterfs}
spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteMany], glusterfs: {endpoints: glusterfs, path: data}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: storageos}
spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], storageos: {volumeName: data}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: quobyte}
spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], quobyte: {registry: "registry:7861", volume: data}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: flocker}
spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], flocker: {datasetName: data}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: ebs}
spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], awsElasticBlockStore: {volumeID: vol-0123456789abcdef0}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: ebs}
provisioner: kubernetes.io/aws-ebs
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: quobyte}
provisioner: kubernetes.io/quobyte
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: driven}
spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], csi: {driver: csi.example.com, volumeHandle: data}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: nfs}
spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteMany], nfs: {server: nfs.example, path: /data}}
---
`

// The last three look alike and have nothing wrong with them.
const articleWorkloads = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: main, image: registry.example/web:1}]
      volumes: [{name: data, glusterfs: {endpoints: glusterfs, path: data}}, {name: tmp, emptyDir: {}}]
---
apiVersion: batch/v1beta1
kind: CronJob
metadata: {name: nightly, namespace: shop}
spec:
  schedule: 0 3 * * *
  suspend: true
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: registry.example/job:1}]}}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: weekly, namespace: shop}
spec:
  schedule: TZ=Europe/Berlin 0 3 * * 1
  suspend: true
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: registry.example/job:1}]}}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: log-reader}
rules: [{nonResourceURLs: ["/logs/*"], verbs: [get]}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: collector, namespace: shop}
spec:
  selector: {matchLabels: {app: collector}}
  template:
    metadata: {labels: {app: collector}}
    spec:
      containers: [{name: main, image: registry.example/curl:1, command: [sh, -c, "curl -s https://kubernetes.default.svc/logs/kube-apiserver.log | tail"]}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: kube-proxy, namespace: kube-system}
spec:
  selector: {matchLabels: {k8s-app: kube-proxy}}
  template:
    metadata: {labels: {k8s-app: kube-proxy}}
    spec:
      hostNetwork: true
      containers:
      - name: kube-proxy
        image: registry.k8s.io/kube-proxy:v1.24.17
        command: [/usr/local/bin/kube-proxy, --config=/var/lib/kube-proxy/config.conf]
        livenessProbe: {exec: {command: [/bin/bash, -c, "curl -sf http://localhost:10256/healthz"]}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: often, namespace: shop}
spec:
  schedule: '*/5 * * * *'
  suspend: true
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: registry.example/job:1}]}}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: health-reader}
rules: [{nonResourceURLs: [/healthz], verbs: [get]}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: probed, namespace: shop}
spec:
  selector: {matchLabels: {app: probed}}
  template:
    metadata: {labels: {app: probed}}
    spec:
      containers: [{name: main, image: registry.example/web:1, livenessProbe: {exec: {command: [/bin/bash, -c, "curl -sf http://localhost:8080"]}}}]
`

// What is to be checked before the upgrade to 1.25 is found by one question, all
// of it and nothing else. The API server, its objects, its admission, etcd and
// the manifests are real. A lab has no kubelet, no machine of its own and no
// etcd 3.5.2: the kubelet's files, control groups of version 1 and the image of
// that etcd are written on a copy of the node's disk, which is given by --root.
func TestUpgradeArticle(t *testing.T) {
	chosen := testlab.Versions(t, "PERENNIAL_BIN")
	if !slices.Contains(chosen, article.from) {
		t.Skipf("needs %s in LAB_TEST_VERSIONS", article.from)
	}
	p := up(t, article.from)
	p.set(article.flags)
	p.seed(article)
	p.admitted("shop", "app=web", "restricted")
	if out, ok := p.Kubectl("get", "--raw", "/logs/"); !ok {
		t.Errorf("%s does not serve /logs: %s", article.from, out)
	}

	found := p.check("--to", "1.25")
	compareFound(t, found, article.want)
	if want := "The upgrade from 1.24 to 1.25 breaks: "; !strings.HasPrefix(found.Headline, want) {
		t.Errorf("the headline is %q, want %q and what is first", found.Headline, want)
	}
	onNode := slices.DeleteFunc(slices.Clone(article.want), func(w string) bool { return strings.HasPrefix(w, "cluster/") })
	compareFound(t, p.checkDisk("--to", "1.25"), append(onNode, articleNode...))

	if !slices.Contains(chosen, article.to) {
		t.Logf("without %s in LAB_TEST_VERSIONS, that it does not start with this is not shown", article.to)
		return
	}
	for _, component := range []string{"kube-controller-manager", "kube-apiserver"} {
		if said, started := p.starts(component, article.to); started {
			t.Errorf("%s %s starts with all that was found\n%s", component, article.to, said)
		}
	}
	p.set(article.mended)
	for _, component := range []string{"kube-controller-manager", "kube-apiserver"} {
		if said, started := p.starts(component, article.to); !started {
			t.Errorf("%s %s does not start with the fixes applied\n%s", component, article.to, said)
		}
	}
}

// compareFound compares all that has to do with the upgrade, notices too, but
// for what is this machine's own: its control groups and its kubectls.
func compareFound(t *testing.T, tl timeline.Timeline, want []string) {
	t.Helper()
	var got []string
	for _, i := range tl.Items {
		own := i.ID == "perennial/kubectl" || i.Code == finding.CgroupTooOld && tl.Scope.Root == "/"
		if i.Impact != "" && !own {
			got = append(got, string(i.ID)+" "+string(i.Code))
		}
	}
	slices.Sort(got)
	want = slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// admitted waits until the controllers have made a pod, and says which
// PodSecurityPolicy has let it in.
func (p *plane) admitted(namespace, selector, policy string) {
	p.Helper()
	const path = `jsonpath={.items[*].metadata.annotations.kubernetes\.io/psp}`
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Second) {
		out, ok := p.Kubectl("get", "pods", "-n", namespace, "-l", selector, "-o", path)
		switch {
		case ok && strings.TrimSpace(out) == policy:
			return
		case time.Now().After(deadline):
			p.Fatalf("%s in %s: admitted by %q, want %s", selector, namespace, out, policy)
		}
	}
}

// checkDisk looks at a copy of the node's disk, where kubeadm would have written
// it, with the rest of the article.
func (p *plane) checkDisk(args ...string) timeline.Timeline {
	p.Helper()
	root := p.TempDir()
	write := func(path, content string) {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			p.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			p.Fatal(err)
		}
	}
	const directory = "/etc/kubernetes"
	walk(p.T, p.KubernetesDir, func(path string, data []byte) {
		write(directory+strings.TrimPrefix(path, p.KubernetesDir), strings.ReplaceAll(string(data), p.KubernetesDir, directory))
	})
	var etcd []string
	for line := range strings.Lines(string(p.Read("manifests/etcd.yaml"))) {
		if before, _, ok := strings.Cut(line, "image:"); ok {
			line = before + "image: registry.k8s.io/etcd:3.5.2-0\n"
		}
		etcd = append(etcd, strings.ReplaceAll(line, p.KubernetesDir, directory))
	}
	write(directory+"/manifests/etcd.yaml", strings.Join(etcd, ""))
	write("/sys/fs/cgroup/memory/notify_on_release", "0\n")
	write("/proc/sys/kernel/osrelease", "5.10.0\n")
	write("/var/lib/kubelet/kubeadm-flags.env", `KUBELET_KUBEADM_ARGS="--container-runtime=remote --container-runtime-endpoint=unix:///var/run/containerd/containerd.sock --pod-infra-container-image=registry.k8s.io/pause:3.7"`+"\n")
	write("/var/lib/kubelet/config.yaml", "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nstaticPodPath: /etc/kubernetes/manifests\nfeatureGates: {CSIMigrationAWS: false}\n")

	tl := p.check(append([]string{"--root", root, "--kubernetes-dir", directory}, args...)...)
	for _, fault := range []string{"DataInconsistency", "SingleMemberDurability"} {
		i, ok := item(tl, fact.ID("cp1/etcd-fault-"+fault), finding.EtcdFault)
		if !ok || !strings.Contains(i.Effect, "3.5.2") {
			p.Errorf("etcd 3.5.2: %s: %q", fault, i.Effect)
		}
	}
	return tl
}

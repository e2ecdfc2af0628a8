// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/rules"
)

const clusterOf124 = `apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: default}
spec: {runAsUser: {rule: MustRunAsNonRoot}, seLinux: {rule: RunAsAny}, supplementalGroups: {rule: RunAsAny}, fsGroup: {rule: RunAsAny}, volumes: ['*']}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    spec:
      volumes:
      - {name: a, glusterfs: {endpoints: e, path: p}}
      - {name: b, emptyDir: {}}
      containers: [{name: c, image: x}]
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web-1, namespace: shop, ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, uid: u, controller: true}]}
spec:
  template:
    spec:
      volumes:
      - {name: a, glusterfs: {endpoints: e, path: p}}
      containers: [{name: c, image: x}]
---
apiVersion: v1
kind: Pod
metadata:
  name: web-1-1
  namespace: shop
  annotations: {kubernetes.io/psp: default}
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-1, uid: u, controller: true}]
spec:
  volumes:
  - {name: a, glusterfs: {endpoints: e, path: p}}
  containers: [{name: c, image: x, securityContext: {runAsNonRoot: true}}]
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: flocker}
spec: {flocker: {datasetName: d}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: quobyte}
spec: {quobyte: {registry: r, volume: v}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: storageos}
spec: {storageos: {volumeName: v}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: ebs}
spec: {awsElasticBlockStore: {volumeID: vol-0123456789abcdef0}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: fine}
spec: {csi: {driver: d, volumeHandle: h}}
---
apiVersion: storage.k8s.io/v1
kind: CSINode
metadata: {name: cp1}
spec: {drivers: []}
---
apiVersion: v1
kind: Node
metadata: {name: cp1}
status: {nodeInfo: {kubeletVersion: v1.24.17, containerRuntimeVersion: containerd://1.6.20, kernelVersion: 5.10.0}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: shop}
spec: {schedule: 0 3 * * *, jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: weekly, namespace: shop}
spec: {schedule: TZ=Europe/Berlin 0 3 * * 1, jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: often, namespace: shop}
spec: {schedule: '*/5 * * * *', jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: log-reader}
rules: [{nonResourceURLs: [/logs/*], verbs: [get]}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: kube-proxy, namespace: kube-system}
spec:
  template:
    spec:
      hostNetwork: true
      containers:
      - name: kube-proxy
        image: registry.k8s.io/kube-proxy:v1.24.17
        command: [/usr/local/bin/kube-proxy, --config=/var/lib/kube-proxy/config.conf]
        livenessProbe: {exec: {command: [/bin/bash, -c, 'curl -sf http://localhost:10256/healthz']}}
`

// What an upgrade from 1.24 to 1.25 does to what runs: all of it, nothing else.
func TestFrom124To125(t *testing.T) {
	set := known(t)
	faults := "# as-of: 2026-11-22\nname,from,until,effect,fix,origin,citation\nDataInconsistency,3.5.0,3.5.3,it loses data when it is killed,update to 3.5.3,measured,github.com/etcd-io/etcd@0123456:CHANGELOG/CHANGELOG-3.5.md\n"
	if err := set.Merge("faults", strings.NewReader(faults)); err != nil {
		t.Fatal(err)
	}
	j := New(set, rules.Way{From: 24, To: 25})
	for _, f := range objects(t, "", clusterOf124) {
		j.See(f)
	}
	j.See(fact.EtcdMember{Endpoint: "10.0.0.1:2379", Name: "cp1", Version: "3.5.2"})
	all := j.Findings()
	expect(t, all, `
cluster/ClusterRole/-/log-reader LogsEndpointOff notice 1.25
cluster/CronJob/shop/nightly CronJobZone notice 1.25
cluster/CronJob/shop/weekly CronJobZoneInSchedule notice 1.25
cluster/DaemonSet/kube-system/kube-proxy KubeProxyShell breaks 1.25
cluster/Deployment/shop/web VolumePluginRemoved notice 1.25
cluster/Namespace/-/shop PodSecurityUnset notice 1.25
cluster/PersistentVolume/-/ebs VolumeDriverMissing breaks 1.25
cluster/PersistentVolume/-/flocker VolumePluginRemoved breaks 1.25
cluster/PersistentVolume/-/quobyte VolumePluginRemoved breaks 1.25
cluster/PersistentVolume/-/storageos VolumePluginRemoved breaks 1.25
cluster/PodSecurityPolicy/-/default PodSecurityPolicyEnds breaks 1.25
cp1/etcd-fault-DataInconsistency EtcdFault breaks 1.25`)
	for _, f := range all {
		switch f.Code {
		case finding.PodSecurityPolicyEnds:
			has(t, f, "runAsUser", "admitted by it: shop/web-1-1", "enforce=baseline")
		case finding.VolumeDriverMissing:
			has(t, f, "which is not installed", "+     driver: ebs.csi.aws.com")
		case finding.CronJobZoneInSchedule:
			has(t, f, "spec.timeZone works from 1.25 on: change it after that hop")
		case finding.KubeProxyShell:
			has(t, f, "bash (livenessProbe), curl (livenessProbe)")
		}
		if f.Rule == nil {
			t.Errorf("%s has no rule", told(f))
		}
	}
}

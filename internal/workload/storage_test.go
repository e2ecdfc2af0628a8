// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
)

// inTree is a whole table, so that these tests do not depend on what is measured.
const inTree = `# as-of: 2026-11-22
plugin,field,class,driver,works,migrated,origin,citation
kubernetes.io/aws-ebs,awsElasticBlockStore,translated,ebs.csi.aws.com,1.19-1.24,1.25 measured k8s.io/kubernetes@v1.25.0:pkg/features/kube_features.go,measured,k8s.io/kubernetes@v1.27.16:cmd/kubelet/app/plugins_providers.go
kubernetes.io/flexvolume,flexVolume,driver,,1.19-1.37,,measured,k8s.io/kubernetes@v1.37.0:pkg/volume/flexvolume/plugin.go
kubernetes.io/git-repo,gitRepo,nothing,,1.19-1.32,,measured,k8s.io/kubernetes@v1.33.13:pkg/features/kube_features.go
kubernetes.io/glusterfs,glusterfs,nothing,,1.19-1.25,,measured,k8s.io/kubernetes@v1.26.0:cmd/kubelet/app/plugins.go
kubernetes.io/rbd,rbd,driver,rbd.csi.ceph.com,1.19-1.30,,measured,k8s.io/kubernetes@v1.31.0:cmd/kubelet/app/plugins.go
`

func volumesFound(t testing.TB, from, to release.Minor, facts ...fact.Fact) []finding.Finding {
	t.Helper()
	set := known(t)
	if err := set.Merge("volumes", strings.NewReader(inTree)); err != nil {
		t.Fatal(err)
	}
	j := New(set, rules.Way{From: from, To: to})
	for _, f := range facts {
		j.See(f)
	}
	return j.Findings()
}

const storage = `apiVersion: v1
kind: PersistentVolume
metadata: {name: data}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  awsElasticBlockStore: {volumeID: aws://eu-west-1a/vol-0123456789abcdef0, fsType: ext4}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: shared}
spec: {glusterfs: {endpoints: e, path: p}, claimRef: {namespace: shop, name: pictures}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: gp2}
provisioner: kubernetes.io/aws-ebs
parameters: {type: gp2, fsType: ext4}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: ns}
spec:
  template:
    spec:
      volumes:
      - {name: a, rbd: {monitors: [m], image: i}}
      - {name: b, rbd: {monitors: [m], image: i}}
      - {name: c, awsElasticBlockStore: {volumeID: vol-1}}
      - {name: d, gitRepo: {repository: r}}
      - {name: e, flexVolume: {driver: v/d}}
      - {name: f, emptyDir: {}}
      containers: [{name: c, image: x}]
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: local}
provisioner: kubernetes.io/no-provisioner
`

func TestVolumesInFiles(t *testing.T) {
	all := volumesFound(t, 24, 37, objects(t, "s.yaml", storage)...)
	expect(t, all, `
manifest/apps/StatefulSet/ns/db VolumeDriverMissing changes 1.25
manifest/apps/StatefulSet/ns/db VolumePluginRemoved breaks 1.31
manifest/core/PersistentVolume/-/data VolumeDriverMissing changes 1.25
manifest/core/PersistentVolume/-/shared VolumePluginRemoved breaks 1.26
manifest/storage.k8s.io/StorageClass/-/gp2 VolumeDriverMissing changes 1.25`)
	has(t, all[0], "could not be looked at")
	has(t, all[1], "the volume a, b can no longer be mounted", "install the CSI driver rbd.csi.ceph.com",
		"from 1.33 on: the volume d can no longer be mounted", "emptyDir volume in an init container")
	has(t, all[2], "install the CSI driver ebs.csi.aws.com; the object can stay as it is",
		"-   awsElasticBlockStore:", "-     volumeID: aws://eu-west-1a/vol-0123456789abcdef0", "+   csi:", "+     driver: ebs.csi.aws.com", "+     volumeHandle: vol-0123456789abcdef0", "    storage: 1Gi")
	has(t, all[4], "- provisioner: kubernetes.io/aws-ebs", "+ provisioner: ebs.csi.aws.com", "+   csi.storage.k8s.io/fstype: ext4")
	if all[3].RemovedIn != "1.26" || all[3].Rule == nil || all[2].File != "s.yaml" || all[2].Line != 1 {
		t.Errorf("%+v", all[3])
	}
}

func TestVolumesBeyondTheWay(t *testing.T) {
	expect(t, volumesFound(t, 25, 26, objects(t, "", storage)...), `
cluster/PersistentVolume/-/shared VolumePluginRemoved breaks 1.26
cluster/StatefulSet/ns/db VolumePluginRemoved notice 1.26`)
	expect(t, volumesFound(t, 33, 37, objects(t, "", storage)...), "")
	volume := storage[:strings.Index(storage, "---")]
	expect(t, volumesFound(t, 0, 25, objects(t, "a.yaml", volume)...), "manifest/core/PersistentVolume/-/data VolumeDriverMissing changes 1.25")
	expect(t, volumesFound(t, 23, 24, objects(t, "a.yaml", volume)...), "manifest/core/PersistentVolume/-/data VolumeDriverMissing notice 1.24")
	expect(t, volumesFound(t, 25, 26, objects(t, "a.yaml", volume)...), "")
}

func TestDrivers(t *testing.T) {
	const driver = "---\napiVersion: storage.k8s.io/v1\nkind: CSIDriver\nmetadata: {name: ebs.csi.aws.com}\n"
	const with, without = "---\napiVersion: storage.k8s.io/v1\nkind: CSINode\nmetadata: {name: a}\nspec: {drivers: [{name: ebs.csi.aws.com, nodeID: a}]}\n",
		"---\napiVersion: storage.k8s.io/v1\nkind: CSINode\nmetadata: {name: b}\nspec: {drivers: []}\n"
	volume := storage[:strings.Index(storage, "---")]
	for cluster, want := range map[string]string{
		"":                      "changes: could not be looked at",
		without:                 "breaks: which is not installed",
		driver + without:        "breaks: and no node has it, although there is a CSIDriver object",
		driver + with:           "",
		driver + with + without: "breaks: which only 1 of 2 nodes have",
		with:                    "notice: there is no CSIDriver object",
	} {
		all := volumesFound(t, 24, 25, objects(t, "", volume+cluster)...)
		impact, words, _ := strings.Cut(want, ": ")
		switch {
		case want == "" && len(all) == 0:
		case len(all) != 1 || string(all[0].Impact) != impact:
			t.Errorf("%s: found %s", want, lines(all))
		default:
			has(t, all[0], words)
		}
	}
	j := New(known(t), rules.Way{From: 24, To: 25})
	if j.Complete(); !j.volumes.looked {
		t.Error("a cluster that was shown whole was not looked at")
	}
}

func TestMembersOfEtcd(t *testing.T) {
	set := known(t)
	for _, rows := range []string{
		"# as-of: 2026-11-22\n" + "minor,version,origin,citation\n1.33,3.5.24,measured,k8s.io/kubernetes@v1.33.13:cmd/kubeadm/app/constants/constants.go\n1.34,3.6.4,measured,k8s.io/kubernetes@v1.34.4:cmd/kubeadm/app/constants/constants.go\n",
		"# as-of: 2026-11-22\n" + "from,to,least,effect,fix,origin,citation\n3.5,3.6,3.5.26,members come back,update etcd to 3.5.26 first,measured,etcd-io/etcd@0123456:CHANGELOG/CHANGELOG-3.5.md\n",
		"# as-of: 2026-11-22\n" + "name,from,until,effect,fix,origin,citation\nLosesData,3.5.0,3.5.3,it loses data when it is killed,update to 3.5.3,measured,etcd-io/etcd@0123456:CHANGELOG/CHANGELOG-3.5.md\n",
	} {
		if err := set.Merge("etcd", strings.NewReader(rows)); err != nil {
			t.Fatal(err)
		}
	}
	j := New(set, rules.Way{From: 32, To: 34})
	for _, m := range []fact.EtcdMember{
		{Endpoint: "10.0.0.1:2379", Name: "cp1", Version: "3.5.2", Hash: 0xabc, Revision: 100, Compacted: 10},
		{Endpoint: "10.0.0.2:2379", Name: "cp2", Version: "3.5.26", Hash: 0xabd, Revision: 100, Compacted: 10, Alarms: []fact.Text{"CORRUPT"}},
		{Endpoint: "10.0.0.3:2379", Name: "cp3", Version: "3.5.26", Hash: 0xabe, Revision: 101, Compacted: 10, Learner: true},
		{Endpoint: "10.0.0.4:2379", Version: "3.5.26", Hash: 0xabc, Revision: 100, Compacted: 10, Alarms: []fact.Text{"NOSPACE"}},
	} {
		j.See(m)
	}
	all := j.Findings()
	expect(t, all, `
10.0.0.4:2379/etcd EtcdAlarm blocks now
10.0.0.4:2379/etcd EtcdDataDiffers blocks now
cp1/etcd-fault-LosesData EtcdFault breaks 1.33
cp1/etcd-step-3.5-3.6 EtcdStepTooSoon breaks 1.34
cp2/etcd EtcdAlarm blocks now
cp3/etcd EtcdLearner notice 1.33`)
	has(t, all[1], "00000abc: 10.0.0.4:2379, cp1", "00000abd: cp2")
	has(t, all[3], "needs 3.5.26 first")
	has(t, all[4], "data differs")
}

// Each kind of volume that the tables know is found in pods.
func TestEveryVolumeIsKnown(t *testing.T) {
	all := known(t).Volumes()
	for _, kind := range all {
		var v corev1.Volume
		if err := json.Unmarshal([]byte(`{"name":"v","`+kind.Field+`":{}}`), &v); err != nil {
			t.Fatal(err)
		}
		if got := sourceField(&v); got != kind.Field {
			t.Errorf("%s is taken for %q", kind.Field, got)
		}
	}
	if len(all) < 17 {
		t.Errorf("%d kinds of volumes", len(all))
	}
}

// Who has claimed a volume, or asks a class for one, is named.
func TestClaims(t *testing.T) {
	claims := `apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: a, namespace: shop}
spec: {storageClassName: gp2}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: b, namespace: shop, annotations: {volume.beta.kubernetes.io/storage-class: gp2}}
spec: {}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: c, namespace: shop}
spec: {storageClassName: ""}
`
	var told int
	for _, f := range volumesFound(t, 24, 26, objects(t, "", storage+"---\n"+claims)...) {
		switch string(f.ID) {
		case "cluster/StorageClass/-/gp2":
			told++
			has(t, f, "asked for by the claims shop/a, shop/b")
		case "cluster/PersistentVolume/-/shared":
			told++
			has(t, f, "the volume of the claim shop/pictures can no longer be mounted")
		}
	}
	if told != 2 {
		t.Errorf("%d of 2 findings", told)
	}
}

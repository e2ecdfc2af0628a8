// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"slices"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/release"
)

func TestConfigKind(t *testing.T) {
	s := load(t)
	for _, c := range []struct {
		component, apiVersion, kind string
		first, last                 release.Minor
	}{
		{"kubeadm", "kubeadm.k8s.io/v1beta2", "ClusterConfiguration", 19, 26},
		{"kubeadm", "kubeadm.k8s.io/v1beta3", "ClusterConfiguration", 22, 36},
		{"kubeadm", "kubeadm.k8s.io/v1beta4", "ClusterConfiguration", 31, 37},
		{"kube-scheduler", "kubescheduler.config.k8s.io/v1beta2", "KubeSchedulerConfiguration", 22, 27},
		{"kubelet", "kubelet.config.k8s.io/v1beta1", "KubeletConfiguration", 19, 37},
		{"kube-apiserver", "audit.k8s.io/v1beta1", "Policy", 19, 23},
	} {
		kind, ok := s.ConfigKind(c.component, ParseAPIVersion(c.apiVersion, c.kind))
		if !ok || len(kind.Known) != 1 || kind.Known[0] != (Span{c.first, c.last}) {
			t.Errorf("%s %s %s is %+v", c.component, c.apiVersion, c.kind, kind)
		}
		if (c.last == s.Newest()) != kind.Removed.IsZero() {
			t.Errorf("%s %s is removed in %v", c.component, c.apiVersion, kind.Removed)
		}
	}
	if _, ok := s.ConfigKind("kubeadm", ParseAPIVersion("kubeadm.k8s.io/v1", "ClusterConfiguration")); ok {
		t.Error("kubeadm reads v1, which is an experiment")
	}
	if kinds := s.ConfigKinds("kube-proxy", 37); len(kinds) != 1 || kinds[0].Kind != "KubeProxyConfiguration" {
		t.Errorf("kube-proxy reads %v", kinds)
	}
}

func TestVolumes(t *testing.T) {
	s := load(t)
	for _, c := range []struct {
		field    string
		class    VolumeClass
		last     release.Minor // in which the kubelet's own code mounts it
		migrated release.Minor
	}{
		{"awsElasticBlockStore", Translated, 24, 25},
		{"cinder", Translated, 23, 24},
		{"portworxVolume", Translated, 32, 33},
		{"glusterfs", Nothing, 25, 0},
		{"cephfs", DriverExists, 30, 0},
		{"rbd", DriverExists, 30, 0},
		{"storageos", DriverExists, 24, 0},
		{"quobyte", DriverExists, 24, 0},
		{"flocker", Nothing, 24, 0},
		{"scaleIO", DriverExists, 21, 0},
		{"gitRepo", Nothing, 32, 0},
		{"flexVolume", Nothing, 37, 0},
		{"photonPersistentDisk", Nothing, 0, 0},
	} {
		volume, ok := s.Volume(c.field)
		if !ok || volume.Class != c.class || volume.Works.Last() != c.last || volume.Migrated.Minor != c.migrated {
			t.Errorf("%s is %+v", c.field, volume)
		}
		if (c.class == Nothing) != (volume.Driver == "") {
			t.Errorf("the driver of %s is %q", c.field, volume.Driver)
		}
	}
	if _, ok := s.Volume("hostPath"); ok {
		t.Error("hostPath is to go")
	}
	if got := len(s.Volumes()); got != 17 {
		t.Errorf("%d volumes", got)
	}
}

func TestPodSecurityChanges(t *testing.T) {
	var changed []string
	for _, version := range load(t).PodSecurityChanges(24, 25) {
		changed = append(changed, version.Check)
	}
	want := []string{"allowPrivilegeEscalation", "capabilities_restricted", "seccompProfile_restricted"}
	if !slices.Equal(changed, want) {
		t.Errorf("1.25 changes %v, want %v", changed, want)
	}
}

func TestEtcd(t *testing.T) {
	s := load(t)
	if shipped, _ := s.EtcdShipped(37); shipped.Version.String() != "3.7.0" {
		t.Errorf("kubeadm 1.37 ships %s", shipped.Version)
	}
	version := func(text string) EtcdVersion {
		v, err := ParseEtcdVersion(text)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if faults := s.EtcdFaults(version("3.5.2")); len(faults) != 3 || faults[0].Name != "DataInconsistency" {
		t.Errorf("the faults of 3.5.2 are %+v", faults)
	}
	if faults := s.EtcdFaults(version("v3.5.24-0")); len(faults) != 0 {
		t.Errorf("the faults of 3.5.24 are %+v", faults)
	}
	if step, ok := s.EtcdStep(version("3.5.24"), version("3.6.5")); !ok || step.Least != version("3.5.26") {
		t.Errorf("3.5.24 to 3.6.5 is %+v", step)
	}
	for _, way := range [][2]string{{"3.5.26", "3.6.5"}, {"3.5.15", "3.5.24"}, {"3.6.5", "3.6.8"}, {"3.4.13", "3.5.6"}} {
		if step, ok := s.EtcdStep(version(way[0]), version(way[1])); ok {
			t.Errorf("%s to %s is %+v", way[0], way[1], step)
		}
	}
	flag, ok := s.EtcdFlag("experimental-corrupt-check-time")
	if !ok || !flag.Has("3.6") || flag.Has("3.7") || flag.Replacement != "--corrupt-check-time" || !slices.Contains(flag.Deprecated, "3.6") {
		t.Errorf("experimental-corrupt-check-time is %+v", flag)
	}
	if flag, _ := s.EtcdFlag("feature-gates"); flag.Has("3.5") || !flag.Has("3.6") || !flag.Has("3.7") {
		t.Errorf("feature-gates is %+v", flag)
	}
	if _, err := ParseEtcdVersion("3.5"); err == nil {
		t.Error("3.5 is a version")
	}
}

// What was renamed on the way to another version is told, and by whatever leads
// past it too; where nothing was, nothing is.
func TestFieldChanges(t *testing.T) {
	s := load(t)
	for _, c := range []struct{ from, kind, to, want string }{
		{"extensions/v1beta1", "Ingress", "networking.k8s.io/v1", "defaultBackend"},
		{"flowcontrol.apiserver.k8s.io/v1beta1", "PriorityLevelConfiguration", "flowcontrol.apiserver.k8s.io/v1", "nominalConcurrencyShares"},
		{"flowcontrol.apiserver.k8s.io/v1beta1", "PriorityLevelConfiguration", "flowcontrol.apiserver.k8s.io/v1beta2", ""},
		{"batch/v1beta1", "CronJob", "batch/v1", ""},
		{"policy/v1beta1", "PodDisruptionBudget", "policy/v1", "empty selector"},
	} {
		change, ok := s.FieldChange(ParseAPIVersion(c.from, c.kind), c.to)
		if ok != (c.want != "") || !strings.Contains(change.Change, c.want) {
			t.Errorf("%s %s to %s: %+v", c.from, c.kind, c.to, change)
		}
	}
	if err := s.Merge("mine.csv", strings.NewReader("group,version,kind,to,change,origin,citation\nbatch,v1beta1,CronJob,batch/v9,all of it,measured,https://example.com\n")); err != nil {
		t.Fatal(err)
	}
	if wrong := s.Verify(); len(wrong) != 1 || !strings.Contains(wrong[0].Error(), "no minor has batch/v9 CronJob") {
		t.Errorf("%v", wrong)
	}
}

// What takes the place of a flag of etcd is a flag of the newest series, whatever
// the old one's help says.
func TestReplacementsOfEtcdFlags(t *testing.T) {
	s := load(t)
	series := s.EtcdSeries()
	newest := series[len(series)-1]
	checked := 0
	for _, f := range s.etcdFlags {
		if f.Replacement == "" {
			continue
		}
		checked++
		name, _, _ := strings.Cut(strings.TrimPrefix(f.Replacement, "--"), "=")
		if other, ok := s.EtcdFlag(name); !ok || !other.Has(newest) {
			t.Errorf("--%s is replaced by %s, which etcd %s does not know", f.Name, f.Replacement, newest)
		}
	}
	if checked < 20 {
		t.Errorf("%d replacements", checked)
	}
}

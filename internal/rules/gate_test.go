// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"strings"
	"testing"

	"perennial.dev/perennial/internal/release"
)

// Written out a second time, from what upstream's lists of 1.34 and 1.35 differ in.
func TestGatesRemovedBetween(t *testing.T) {
	var removed []string
	for _, change := range load(t).GateChanges("kube-apiserver", 34, 35) {
		if change.Removed() {
			removed = append(removed, change.Was.Name)
		}
	}
	want := "AllowServiceLBStatusOnNonLB ComponentSLIs CronJobsScheduledAnnotation LoadBalancerIPMode PodIndexLabel " +
		"ProbeHostPodSecurityStandards SizeMemoryBackedVolumes StatefulSetAutoDeletePVC StrictCostEnforcementForVAP " +
		"StrictCostEnforcementForWebhooks UserNamespacesPodSecurityStandards"
	for _, name := range strings.Fields(want) {
		if !strings.Contains(" "+strings.Join(removed, " ")+" ", " "+name+" ") {
			t.Errorf("%s is not removed; removed are %v", name, removed)
		}
	}
	if got := len(removed); got != 11 {
		t.Errorf("%d gates are removed: %v", got, removed)
	}
}

func TestGate(t *testing.T) {
	s := load(t)
	for _, want := range []struct {
		component, name string
		minor           release.Minor
		stage           string // empty: unknown
		on, locked      bool
	}{
		{"kubelet", "UserNamespacesSupport", 32, "Beta", false, false},
		{"kubelet", "UserNamespacesSupport", 33, "Beta", true, false},
		{"kubelet", "UserNamespacesSupport", 36, "GA", true, true},
		{"kube-apiserver", "SELinuxMount", 37, "GA", true, false},
		{"kube-apiserver", "APIServerTracing", 37, "", false, false},
		{"kube-controller-manager", "WatchListClient", 34, "Beta", true, false},
		{"kube-scheduler", "WatchListClient", 34, "Beta", false, false},
		{"kubelet", "NoSuchGate", 37, "", false, false},
		{"kube-dns", "SELinuxMount", 37, "", false, false},
	} {
		gate, ok := s.Gate(want.component, want.name, want.minor)
		if ok != (want.stage != "") || gate.Stage != want.stage || gate.Default != want.on || gate.Locked != want.locked {
			t.Errorf("%s %s: %s is %+v", want.component, want.minor, want.name, gate)
		}
	}
	if gate, _ := s.Gate("kubelet", "InPlacePodVerticalScalingExclusiveCPUs", 37); len(gate.Requires) != 1 || gate.Requires[0] != "InPlacePodVerticalScaling" {
		t.Errorf("it requires %v", gate.Requires)
	}
}

func TestGateRowsWithoutOriginAreRefused(t *testing.T) {
	head := "# as-of: 2026-11-22\n" + strings.Join(gateDefinition.columns, ",") + "\n"
	const good = "A,1.19,1.37,Beta,true,false,,,kubelet,,measured,k8s.io/kubernetes@v1.37.0:pkg/features/kube_features.go\n"
	if err := new(Set).read(gateDefinition, []byte(head+good)); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]string{
		"no origin":     strings.Replace(good, "measured", "", 1),
		"no citation":   strings.Replace(good, "k8s.io/kubernetes@v1.37.0:pkg/features/kube_features.go", "", 1),
		"no commit":     strings.Replace(good, "@v1.37.0", "", 1),
		"unknown stage": strings.Replace(good, "Beta", "Gamma", 1),
		"no component":  strings.Replace(good, "kubelet", "", 1),
		"backwards":     strings.Replace(good, "1.19,1.37", "1.37,1.19", 1),
		"twice":         good + good,
	} {
		if err := new(Set).read(gateDefinition, []byte(head+row)); err == nil {
			t.Errorf("%s: read without an error", name)
		}
	}
}

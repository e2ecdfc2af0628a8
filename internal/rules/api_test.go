// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"slices"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/release"
)

func load(t *testing.T) *Set {
	t.Helper()
	s, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// removedBetween lists the kinds that from serves when everything is enabled and
// to does not, by group, version and kind.
func removedBetween(s *Set, from, to release.Minor) []API {
	var removed []API
	for _, api := range s.APIs() {
		if api.Served.Has(from) && api.Removed.In(to) {
			removed = append(removed, api)
		}
	}
	return removed
}

// What hops have really taken away, written out a second time: it was compared
// with the discovery of real servers.
func TestRemovedBetween(t *testing.T) {
	s := load(t)
	for _, want := range []struct {
		from, to release.Minor
		kinds    string
	}{
		{24, 25, "autoscaling/v2beta1 HorizontalPodAutoscaler, batch/v1beta1 CronJob, discovery.k8s.io/v1beta1 EndpointSlice, " +
			"events.k8s.io/v1beta1 Event, node.k8s.io/v1beta1 RuntimeClass, policy/v1beta1 PodDisruptionBudget, policy/v1beta1 PodSecurityPolicy"},
		{32, 33, "authentication.k8s.io/v1beta1 SelfSubjectReview"},
		{36, 37, "certificates.k8s.io/v1alpha1 ClusterTrustBundle, networking.k8s.io/v1beta1 IPAddress, networking.k8s.io/v1beta1 ServiceCIDR, " +
			"scheduling.k8s.io/v1alpha2 PodGroup, scheduling.k8s.io/v1alpha2 Workload, storage.k8s.io/v1beta1 VolumeAttributesClass"},
	} {
		var kinds []string
		for _, api := range removedBetween(s, want.from, want.to) {
			kinds = append(kinds, api.GroupVersionKind.String())
		}
		if got := strings.Join(kinds, ", "); got != want.kinds {
			t.Errorf("%s to %s removes\n  %s\nwant\n  %s", want.from, want.to, got, want.kinds)
		}
	}
}

func TestAPI(t *testing.T) {
	s := load(t)
	beta, ok := s.API(ParseAPIVersion("policy/v1beta1", "PodSecurityPolicy"))
	if !ok || beta.Resource != "podsecuritypolicies" || beta.Namespaced || !beta.Default.Has(24) || beta.Served.Has(25) || !beta.Registered.Has(28) {
		t.Errorf("PodSecurityPolicy is %+v", beta)
	}
	if beta.Removed.Minor != 25 || beta.Removed.Origin != release.Measured {
		t.Errorf("PodSecurityPolicy is removed in %v", beta.Removed)
	}
	pod, ok := s.API(ParseAPIVersion("v1", "Pod"))
	if !ok || !pod.Namespaced || pod.Default.String() != Oldest.String()+"-"+s.Newest().String() || !pod.Removed.IsZero() {
		t.Errorf("Pod is %+v", pod)
	}
	device, ok := s.API(ParseAPIVersion("resource.k8s.io/v1beta1", "DeviceClass"))
	if !ok || device.Removed.Minor != 38 || device.Removed.Origin != release.Planned || device.Default != nil || !device.Served.Has(37) {
		t.Errorf("DeviceClass is %+v", device)
	}
	for _, unknown := range []string{"v1 Deployment", "apps/v1beta1 ReplicaSet", "stable.example.com/v1 CronTab"} {
		apiVersion, kind, _ := strings.Cut(unknown, " ")
		if api, ok := s.API(ParseAPIVersion(apiVersion, kind)); ok {
			t.Errorf("%s is %+v", unknown, api)
		}
	}
}

func TestTheTablesReachTheNewestMinorOfTheCalendar(t *testing.T) {
	calendar, err := release.Load()
	if err != nil {
		t.Fatal(err)
	}
	if s := load(t); s.Newest() != calendar.Newest() || !s.Known(Oldest) || s.Known(s.Newest()+1) || s.AsOf().IsZero() {
		t.Errorf("the rules reach %s, the calendar %s", s.Newest(), calendar.Newest())
	}
}

const apiHead = "# as-of: 2026-11-22\ngroup,version,kind,resource,scope,gate,registered,served,default,deprecated,removed,replacement,origin,citation\n"

func TestRowsWithoutOriginAreRefused(t *testing.T) {
	const cited = "k8s.io/api@v0.37.0:apps/v1/register.go"
	good := "apps,v1,Deployment,deployments,namespaced,,1.19-1.37,1.19-1.37,1.19-1.37,,,,measured," + cited + "\n"
	if err := new(Set).read(apiDefinition, []byte(apiHead+good)); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]string{
		"no origin":              strings.Replace(good, "measured", "", 1),
		"an origin from memory":  strings.Replace(good, "measured", "recalled", 1),
		"no citation":            strings.Replace(good, cited, "", 1),
		"no version":             strings.Replace(good, "@v0.37.0", "", 1),
		"no path":                strings.Replace(good, ":apps/v1/register.go", "", 1),
		"removal uncited":        strings.Replace(good, "1.37,,,,", "1.37,,1.38 planned,,", 1),
		"removed while served":   strings.Replace(good, "1.37,,,,", "1.37,,1.30 planned "+cited+",,", 1),
		"default but not served": strings.Replace(good, "1.19-1.37,1.19-1.37,1.19-1.37", "1.19-1.37,1.19-1.30,1.19-1.37", 1),
		"spans that touch":       strings.Replace(good, "1.19-1.37", "1.19-1.24 1.25-1.37", 1),
		"twice":                  good + good,
	} {
		if err := new(Set).read(apiDefinition, []byte(apiHead+row)); err == nil {
			t.Errorf("%s: read without an error", name)
		}
	}
}

func TestAPIsAreACopy(t *testing.T) {
	s := load(t)
	all := s.APIs()
	first := all[0]
	all[0] = API{}
	if !slices.ContainsFunc(s.APIs(), func(a API) bool { return a.GroupVersionKind == first.GroupVersionKind }) {
		t.Error("a caller can change the set")
	}
}

// kube-apiserver takes evictions in v1beta1 to this day, though discovery
// stopped naming them in 1.22.
func TestLeavingDiscoveryIsNoRemovalForASubresource(t *testing.T) {
	eviction, ok := load(t).API(ParseAPIVersion("policy/v1beta1", "Eviction"))
	if !ok || eviction.Served.Has(22) || !eviction.Removed.IsZero() {
		t.Errorf("Eviction is %+v", eviction)
	}
}

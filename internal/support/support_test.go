// SPDX-License-Identifier: Apache-2.0

package support_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/support"
)

func calendar(t *testing.T) *release.Calendar {
	t.Helper()
	cal, err := release.Load()
	if err != nil {
		t.Fatal(err)
	}
	return cal
}

// judge judges on the calendar's own day, on which it is fresh.
func judge(t *testing.T, scope fact.Scope, facts ...fact.Fact) []finding.Finding {
	t.Helper()
	cal := calendar(t)
	return support.Judge(cal, layout.Discover(scope, facts), facts, cal.AsOf())
}

var (
	running = fact.Scope{Root: "/", KubernetesDir: layout.DefaultKubernetesDir}
	mounted = fact.Scope{Root: "/mnt", KubernetesDir: layout.DefaultKubernetesDir}
)

// pod is a component's static pod of a version.
func pod(component, version string) fact.Manifest {
	return fact.Manifest{Path: "/etc/kubernetes/manifests/" + component + ".yaml", Name: fact.Text(component), Containers: []fact.Container{
		{Name: fact.Text(component), Image: fact.Text("registry.k8s.io/" + component + ":" + version), Args: []string{component}}}}
}

// told are the findings as "ID version end".
func told(findings []finding.Finding) (all []string) {
	for _, f := range findings {
		all = append(all, fmt.Sprintf("%s %s %s", f.ID, f.Evidence.Version, f.End.Date.Format(time.DateOnly)))
	}
	return all
}

func expect(t *testing.T, findings []finding.Finding, want ...string) {
	t.Helper()
	if got := told(findings); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestSupportEnds(t *testing.T) {
	// Kubernetes 1.25 and 1.32 have ended; the dates are upstream's
	// (kubernetes/website, data/releases/eol.yaml).
	for version, want := range map[string]string{"v1.25.16": "2023-10-28", "v1.32.2": "2026-02-28"} {
		findings := judge(t, mounted, pod("kube-apiserver", version))
		expect(t, findings, "node/release "+version+" "+want)
		f := findings[0]
		if f.Code != finding.SupportEnds || f.Class != finding.Notice || f.Keeper != finding.KeeperOwner || f.End.Basis != finding.Measured {
			t.Errorf("%s: %+v", version, f)
		}
		if f.Life.Start.IsZero() || !f.Life.End.Equal(f.End.Date) {
			t.Errorf("%s: life %+v", version, f.Life)
		}
		if !strings.Contains(fmt.Sprint(f.Evidence.Notes), "the image in /etc/kubernetes/manifests/kube-apiserver.yaml") {
			t.Errorf("%s: nothing says how the version is known: %v", version, f.Evidence.Notes)
		}
	}
	next := judge(t, mounted, pod("kube-apiserver", "v1.35.0"))
	if next[0].Fix != "kubeadm upgrade plan v1.36" {
		t.Errorf("kubeadm goes one minor at a time, not %q", next[0].Fix)
	}
	newest := calendar(t).Newest()
	if last := judge(t, mounted, pod("kube-apiserver", "v"+newest.String()+".0")); !strings.Contains(last[0].Fix, "is the newest minor") || last[0].End.Basis != finding.Planned {
		t.Errorf("the newest minor: %+v", last[0])
	}
}

func TestVersionsThatSayNothing(t *testing.T) {
	for _, version := range []string{"latest", "v", "v2.0.0", "v1.9999.0", "\x1b[31m"} {
		expect(t, judge(t, mounted, pod("kube-apiserver", version)))
	}
	expect(t, judge(t, mounted))
}

// What answers outweighs what a manifest says should run.
func TestServedVersion(t *testing.T) {
	expect(t, judge(t, running, pod("kube-apiserver", "v1.33.0"), fact.Version{Endpoint: "127.0.0.1:6443", Git: "v1.32.2"}),
		"node/release v1.32.2 2026-02-28", "node/release v1.33.0 2026-06-28")
	expect(t, judge(t, running, pod("kube-apiserver", "v1.32.0"), fact.Version{Endpoint: "127.0.0.1:6443", Git: "v1.32.2"}),
		"node/release v1.32.2 2026-02-28")
}

func TestComponentsOfOtherMinors(t *testing.T) {
	kubelet, version := fact.Process{PID: 1, Args: []string{"kubelet"}}, fact.Version{PID: 1, Git: "v1.32.9"}
	expect(t, judge(t, running, pod("kube-apiserver", "v1.33.1"), pod("kube-scheduler", "v1.33.0"), pod("kube-controller-manager", "v1.32.0"), kubelet, version),
		"node/release v1.33.1 2026-06-28", "node/kube-controller-manager-release v1.32.0 2026-02-28", "node/kubelet-release v1.32.9 2026-02-28")
	version.Git = "v1.33.4"
	expect(t, judge(t, running, pod("kube-apiserver", "v1.33.1"), kubelet, version), "node/release v1.33.1 2026-06-28")
	// A worker has nothing but its kubelet.
	expect(t, judge(t, running, kubelet, version), "node/kubelet-release v1.33.4 2026-06-28")
	expect(t, judge(t, running, kubelet))
}

func TestEndpoints(t *testing.T) {
	scope := fact.Scope{Endpoints: []string{"a:6443", "b:6443", "c:6443"}}
	expect(t, judge(t, scope, fact.Version{Endpoint: "a:6443", Git: "v1.32.0"}, fact.Version{Endpoint: "b:6443", Git: "v1.32.0"}),
		"a:6443/release v1.32.0 2026-02-28", "b:6443/release v1.32.0 2026-02-28")
}

func TestVendor(t *testing.T) {
	for version, vendor := range map[string]string{"v1.32.2": "", "v1.32.2-gke.100": "Google", "v1.32.2-eks-abcdef": "Amazon", "v1.32.2+rke2r1": "RKE2"} {
		f := judge(t, running, pod("kube-apiserver", version))[0]
		note := fmt.Sprint(f.Evidence.Notes)
		if said := strings.Contains(note, "who may support it for longer"); said != (vendor != "") {
			t.Errorf("%s: %s", version, note)
		}
	}
}

func TestCalendarStale(t *testing.T) {
	cal := calendar(t)
	facts := []fact.Fact{pod("kube-apiserver", "v1.32.2")}
	l := layout.Discover(mounted, facts)
	has := func(at time.Time, facts []fact.Fact, l layout.Layout) bool {
		return slices.ContainsFunc(support.Judge(cal, l, facts, at), func(f finding.Finding) bool {
			return f.Code == finding.CalendarStale && f.ID == "perennial/releases" && f.Class == finding.Notice
		})
	}
	if has(cal.AsOf().AddDate(0, 0, 120), facts, l) {
		t.Error("stale after 120 days already")
	}
	if !has(cal.AsOf().AddDate(0, 0, 121), facts, l) {
		t.Error("not stale after 121 days")
	}
	if has(cal.AsOf().AddDate(9, 0, 0), nil, layout.Discover(mounted, nil)) {
		t.Error("where no release was judged, the calendar's age says nothing")
	}
}

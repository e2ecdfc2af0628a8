// SPDX-License-Identifier: Apache-2.0

package upgrade_test

import (
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/rules"
	"perennial.dev/perennial/internal/upgrade"
)

func document(apiVersion, kind string) fact.Object {
	return fact.Object{APIVersion: fact.Text(apiVersion), Type: fact.Text(kind), Namespace: "shop", Name: "web", File: "a.yaml", Line: 7}
}

func live(apiVersion, kind string, uses ...fact.Use) fact.Object {
	return fact.Object{APIVersion: fact.Text(apiVersion), Type: fact.Text(kind), Namespace: "shop", Name: "web", Uses: uses}
}

func TestDocuments(t *testing.T) {
	for name, c := range map[string]struct {
		way    rules.Way
		object fact.Object
		want   string // empty: nothing
		reason string // a part of it
	}{
		"removed on the way": {way: rules.Way{From: 24, To: 27}, object: document("batch/v1beta1", "CronJob"),
			want: "manifest/batch/CronJob/shop/web APIRemoved breaks 1.25 measured | replace `apiVersion: batch/v1beta1` by `apiVersion: batch/v1`"},
		"without a minor to come from": {way: rules.Way{To: 37}, object: document("batch/v1beta1", "CronJob"),
			want: "manifest/batch/CronJob/shop/web APIRemoved breaks 1.25 measured | replace `apiVersion: batch/v1beta1` by `apiVersion: batch/v1`"},
		"removed before": {way: rules.Way{From: 36, To: 37}, object: document("extensions/v1beta1", "Deployment"),
			want:   "manifest/extensions/Deployment/shop/web APIRemoved breaks 1.37 measured | replace `apiVersion: extensions/v1beta1` by `apiVersion: apps/v1`",
			reason: "it was removed in 1.16: 1.36 does not serve it either"},
		"not before that hop": {way: rules.Way{From: 23, To: 24}, object: document("discovery.k8s.io/v1beta1", "EndpointSlice"),
			want: "manifest/discovery.k8s.io/EndpointSlice/shop/web APIDeprecated notice 1.25 measured | replace `apiVersion: discovery.k8s.io/v1beta1` by `apiVersion: discovery.k8s.io/v1`; there, an endpoint's topology is gone: its hostname is nodeName, its zone is zone"},
		"no other tool finds it": {way: rules.Way{From: 36, To: 37}, object: document("networking.k8s.io/v1beta1", "ServiceCIDR"),
			want: "manifest/networking.k8s.io/ServiceCIDR/shop/web APIRemoved breaks 1.37 measured | replace `apiVersion: networking.k8s.io/v1beta1` by `apiVersion: networking.k8s.io/v1`"},
		"served if enabled": {way: rules.Way{From: 36, To: 37}, object: document("storage.k8s.io/v1beta1", "VolumeAttributesClass"),
			want:   "manifest/storage.k8s.io/VolumeAttributesClass/shop/web APIRemoved breaks 1.37 measured | replace `apiVersion: storage.k8s.io/v1beta1` by `apiVersion: storage.k8s.io/v1`",
			reason: "1.36 serves it only where --runtime-config or a feature gate enables it"},
		"nothing in its place": {way: rules.Way{From: 24, To: 25}, object: document("policy/v1beta1", "PodSecurityPolicy"),
			want: "manifest/policy/PodSecurityPolicy/shop/web APIRemoved breaks 1.25 measured | take it out: no later version has the kind PodSecurityPolicy"},
		"planned": {way: rules.Way{From: 37, To: 38}, object: document("resource.k8s.io/v1beta1", "DeviceClass"),
			want: "manifest/resource.k8s.io/DeviceClass/shop/web APIRemoved breaks 1.38 planned | replace `apiVersion: resource.k8s.io/v1beta1` by `apiVersion: resource.k8s.io/v1`"},
		"handwritten rules say it is gone in 1.36": {way: rules.Way{From: 35, To: 36}, object: document("resource.k8s.io/v1beta1", "ResourceClaim"),
			want: "manifest/resource.k8s.io/ResourceClaim/shop/web APIDeprecated notice 1.38 planned | replace `apiVersion: resource.k8s.io/v1beta1` by `apiVersion: resource.k8s.io/v1`; there, what a request asks for stands in its field exactly"},
		"current":                        {way: rules.Way{From: 24, To: 37}, object: document("apps/v1", "Deployment")},
		"a custom kind of the same name": {way: rules.Way{From: 21, To: 37}, object: document("extensions.example.io/v1beta1", "Ingress")},
		"no kind of that version":        {way: rules.Way{To: 37}, object: document("apps/v1beta1", "ReplicaSet")},
		"what only webhooks are sent":    {way: rules.Way{To: 37}, object: document("admission.k8s.io/v1beta1", "AdmissionReview")},
		"never an object":                {way: rules.Way{To: 37}, object: document("batch/v1beta1", "JobTemplate")},
		"evictions, taken to this day":   {way: rules.Way{To: 37}, object: document("policy/v1beta1", "Eviction")},
		"text that looks like a version": {way: rules.Way{To: 37}, object: document("", "CronJob")},
	} {
		t.Run(name, func(t *testing.T) {
			got := judge(t, c.way, c.object)
			complete(t, got)
			if shorts(got) != c.want {
				t.Fatalf("found\n%s\nwant\n%s", shorts(got), c.want)
			}
			if c.want == "" {
				return
			}
			f := got[0]
			if f.Object == nil || f.Object.APIVersion != c.object.APIVersion || f.File != "a.yaml" || f.Line != 7 || f.RemovedIn == "" || f.Rule == nil || f.Rule.Citation == "" {
				t.Errorf("it lacks its place or its rule: %+v", f)
			}
			if !strings.Contains(f.Reason, c.reason) {
				t.Errorf("the reason is %q", f.Reason)
			}
		})
	}
}

// What is switched off, not removed, is known from a user's table: upstream has
// not done so since 1.19.
func TestVersionsThatAreNoLongerServedByDefault(t *testing.T) {
	set := load(t, `group,version,kind,resource,scope,gate,registered,served,default,deprecated,removed,replacement,origin,citation
batch,v1beta9,CronJob,cronjobs,namespaced,,1.19-1.37,1.19-1.37,1.19-1.35,,,,measured,https://example.com/notes
`)
	got := judgeWith(set, rules.Way{From: 34, To: 37}, document("batch/v1beta9", "CronJob"))
	complete(t, got)
	if want := "manifest/batch/CronJob/shop/web APIOff breaks 1.36 measured | replace `apiVersion: batch/v1beta9` by `apiVersion: batch/v1`"; shorts(got) != want || got[0].Code != finding.APIOff {
		t.Errorf("found\n%s\nwant\n%s", shorts(got), want)
	}
}

func day(d int) time.Time { return time.Date(2026, 10, d, 12, 0, 0, 0, time.UTC) }

func TestLiveObjects(t *testing.T) {
	old := fact.Text("autoscaling/v2beta2")
	way := rules.Way{From: 25, To: 26}
	const id = "cluster/HorizontalPodAutoscaler/shop/web APIRemoved "
	for name, c := range map[string]struct {
		way   rules.Way
		uses  []fact.Use
		want  string
		notes string
	}{
		"read in the current version": {},
		"written in an old one": {
			uses:  []fact.Use{{By: fact.ManagedFields, APIVersion: old, Who: "flux", At: day(2)}},
			want:  id + "breaks 1.26 measured | let flux write `apiVersion: autoscaling/v2`",
			notes: "seen: flux wrote it in autoscaling/v2beta2 on 2026-10-02 (managedFields)",
		},
		"applied in an old one": {
			uses:  []fact.Use{{By: fact.LastApplied, APIVersion: old}},
			want:  id + "breaks 1.26 measured | replace `apiVersion: autoscaling/v2beta2` by `apiVersion: autoscaling/v2`",
			notes: "by-rule: kubectl apply sent it in autoscaling/v2beta2 (last-applied-configuration)",
		},
		"applied in an old one, mended by another tool since": {
			uses: []fact.Use{{By: fact.LastApplied, APIVersion: old, At: day(1)}, {By: fact.ManagedFields, APIVersion: "autoscaling/v2", Who: "argocd-controller", At: day(9)}},
			want: id + "notice 1.26 measured | replace `apiVersion: autoscaling/v2beta2` by `apiVersion: autoscaling/v2`", notes: "unproven: kubectl apply sent",
		},
		"in a Helm release": {
			uses:  []fact.Use{{By: fact.HelmRelease, APIVersion: old, Who: "shop v3"}},
			want:  id + "breaks 1.26 measured | helm upgrade shop with a chart that says `apiVersion: autoscaling/v2`, before the cluster's upgrade",
			notes: "by-rule: the Helm release shop v3 holds it",
		},
		"several signs are one finding": {
			uses:  []fact.Use{{By: fact.LastApplied, APIVersion: old}, {By: fact.ManagedFields, APIVersion: old, Who: "kubectl-client-side-apply", At: day(2)}},
			want:  id + "breaks 1.26 measured | let kubectl-client-side-apply write `apiVersion: autoscaling/v2`",
			notes: "seen: kubectl-client-side-apply wrote it in autoscaling/v2beta2 on 2026-10-02 (managedFields); by-rule: kubectl apply sent it",
		},
		"Kubernetes' own writers": {uses: []fact.Use{{By: fact.ManagedFields, APIVersion: old, Who: "kube-controller-manager", At: day(2)}}},
		"an annotation from before what runs": {
			way: rules.Way{From: 36, To: 37}, uses: []fact.Use{{By: fact.LastApplied, APIVersion: old}, {By: fact.ManagedFields, APIVersion: old, Who: "flux"}}},
		"Helm keeps what what runs does not serve": {
			way: rules.Way{From: 36, To: 37}, uses: []fact.Use{{By: fact.HelmRelease, APIVersion: old, Who: "shop"}},
			want: id + "breaks 1.37 measured | helm upgrade shop with a chart that says `apiVersion: autoscaling/v2`, before the cluster's upgrade"},
	} {
		t.Run(name, func(t *testing.T) {
			on := c.way
			if on.To == 0 {
				on = way
			}
			got := judge(t, on, live("autoscaling/v2", "HorizontalPodAutoscaler", c.uses...))
			complete(t, got)
			if shorts(got) != c.want {
				t.Fatalf("found\n%s\nwant\n%s", shorts(got), c.want)
			}
			if c.want != "" && !strings.Contains(joined(got[0].Evidence.Notes), c.notes) {
				t.Errorf("the evidence is %q", joined(got[0].Evidence.Notes))
			}
		})
	}
}

func joined(notes []fact.Text) string {
	var all []string
	for _, n := range notes {
		all = append(all, string(n))
	}
	return strings.Join(all, "; ")
}

// One that is stored in a version which cannot be read any more is evidence
// enough. What goes with a live PodSecurityPolicy is judged by package workload.
func TestLiveObjectsThatAreLost(t *testing.T) {
	if got := judge(t, rules.Way{From: 24, To: 25}, live("policy/v1beta1", "PodSecurityPolicy")); len(got) > 0 {
		t.Errorf("found\n%s", shorts(got))
	}
	group := live("scheduling.k8s.io/v1alpha2", "PodGroup")
	got := judge(t, rules.Way{From: 36, To: 37}, group)
	complete(t, got)
	if want := "cluster/PodGroup/shop/web StoredVersionRemoved blocks 1.37 measured | before the upgrade to 1.37: kubectl delete podgroups.scheduling.k8s.io -n shop web"; shorts(got) != want || got[0].Code != finding.StoredVersionRemoved {
		t.Errorf("found\n%s", shorts(got))
	}
	device := live("resource.k8s.io/v1alpha3", "DeviceClass")
	got = judge(t, rules.Way{From: 31, To: 34}, device)
	if want := "cluster/DeviceClass/shop/web StoredVersionRemoved blocks 1.34 measured | on 1.32: kubectl get deviceclasses.resource.k8s.io -n shop web -o json | kubectl replace -f -"; shorts(got) != want {
		t.Errorf("found\n%s", shorts(got))
	}
	if got = judge(t, rules.Way{From: 24, To: 25}, live("batch/v1beta1", "CronJob")); len(got) > 0 {
		t.Errorf("an object that another version shows is found to be lost: %s", shorts(got))
	}
}

func TestWebhooks(t *testing.T) {
	hook := fact.Object{APIVersion: "admissionregistration.k8s.io/v1", Type: "ValidatingWebhookConfiguration", Name: "guard", Uses: []fact.Use{
		{By: fact.WebhookRule, APIVersion: "autoscaling/v2beta2", Who: "guard.example.com"}, {By: fact.WebhookRule, APIVersion: "apps/v1", Who: "guard.example.com"},
		{By: fact.WebhookRule, APIVersion: "stable.example.com/v1beta1", Who: "guard.example.com"}}}
	got := judge(t, rules.Way{From: 25, To: 26}, hook)
	complete(t, got)
	if want := "cluster/ValidatingWebhookConfiguration/-/guard APIRemoved breaks 1.26 measured | add v2 to the apiVersions of the webhook's rule"; shorts(got) != want {
		t.Errorf("found\n%s\nwant\n%s", shorts(got), want)
	}
	// It is not the webhook that is in that version, in a document neither.
	hook.File, hook.Line = "hook.yaml", 1
	for _, f := range append(got, judge(t, rules.Way{From: 25, To: 26}, hook)...) {
		if f.Object.APIVersion != "admissionregistration.k8s.io/v1" || f.Effect != "1.26 no longer serves autoscaling/v2beta2 HorizontalPodAutoscaler: the webhook guard.example.com is no longer called for what it names only in that version" {
			t.Errorf("%+v: %s", f.Object, f.Effect)
		}
	}
}

// Of a definition only the stored versions that it does not serve are told.
func TestStoredVersionsOfCustomResources(t *testing.T) {
	crd := fact.Object{APIVersion: "apiextensions.k8s.io/v1", Type: "CustomResourceDefinition", Name: "crontabs.stable.example.com",
		Uses: []fact.Use{{By: fact.StoredVersion, APIVersion: "stable.example.com/v1alpha1"}}}
	got := judge(t, rules.Way{From: 36, To: 37}, crd)
	complete(t, got)
	want := "cluster/CustomResourceDefinition/-/crontabs.stable.example.com CustomVersionStored notice 1.37 measured | kubectl get crontabs.stable.example.com -A -o json | kubectl replace -f -, then take it out of status.storedVersions with kubectl patch --subresource=status"
	if shorts(got) != want || got[0].Code != finding.CustomVersionStored {
		t.Errorf("found\n%s\nwant\n%s", shorts(got), want)
	}
}

func TestRequests(t *testing.T) {
	asked := func(group, version, resource string) fact.Requested {
		return fact.Requested{Endpoint: "10.0.0.1:6443", Group: fact.Text(group), Version: fact.Text(version), Resource: fact.Text(resource)}
	}
	got := judge(t, rules.Way{From: 24, To: 25},
		asked("batch", "v1beta1", "cronjobs"), asked("batch", "v1beta1", "cronjobs"), // of two API servers
		asked("policy", "v1beta1", "podsecuritypolicies"), // Kubernetes' own controllers ask for what has no other version
		asked("apps", "v1", "deployments"), asked("batch.example.com", "v1beta1", "cronjobs"))
	complete(t, got)
	want := "cluster/api/-/cronjobs.v1beta1.batch APIRemoved breaks 1.25 measured | find the client in the API server's audit log: the annotation k8s.io/deprecated is \"true\" on its requests; let it ask for batch/v1"
	if shorts(got) != want {
		t.Errorf("found\n%s\nwant\n%s", shorts(got), want)
	}
}

// Names are other people's: they must not become part of a command or move a
// terminal's cursor.
func TestHostileNames(t *testing.T) {
	o := live("scheduling.k8s.io/v1alpha2", "PodGroup")
	o.Name, o.Namespace = "a;rm -rf /\x1b[2J", "$(reboot)"
	o.Uses = []fact.Use{{By: fact.ManagedFields, APIVersion: "scheduling.k8s.io/v1alpha2", Who: "x\x1b]0;\n\u202e"}}
	got := judge(t, rules.Way{From: 36, To: 37}, o, fact.Object{APIVersion: "scheduling.k8s.io/v1alpha3", Type: "PodGroup", Name: "b\n", Uses: o.Uses})
	complete(t, got)
	if len(got) < 2 || !strings.Contains(shorts(got), "kubectl delete podgroups.scheduling.k8s.io -n NAME NAME") {
		t.Errorf("found\n%s", shorts(got))
	}
}

// Twenty thousand objects of which nothing follows cost no memory.
func TestUninterestingObjectsAllocateNothing(t *testing.T) {
	j := upgrade.New(load(t), rules.Way{From: 24, To: 37})
	var pod fact.Fact = live("v1", "Pod")
	var foreign fact.Fact = document("stable.example.com/v1", "CronTab")
	if n := testing.AllocsPerRun(1000, func() { j.See(pod); j.See(foreign) }); n != 0 {
		t.Errorf("two objects allocate %v times", n)
	}
}

func BenchmarkSee(b *testing.B) {
	set, err := rules.Load()
	if err != nil {
		b.Fatal(err)
	}
	j := upgrade.New(set, rules.Way{From: 24, To: 37})
	var pod fact.Fact = live("v1", "Pod")
	b.ReportAllocs()
	for b.Loop() {
		for range 20_000 {
			j.See(pod)
		}
	}
}

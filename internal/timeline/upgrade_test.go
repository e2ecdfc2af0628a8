// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
)

// at is a finding that ends with a version.
func at(version string, impact finding.Impact, name string) finding.Finding {
	f := finding.Finding{Code: "APIRemoved", ID: fact.ID("manifest/batch/CronJob/default/" + name), Class: finding.Fault, Impact: impact,
		End:    finding.End{Version: version, Basis: finding.Measured},
		Object: &finding.Object{APIVersion: "batch/v1beta1", Kind: "CronJob", Namespace: "default", Name: fact.Text(name)},
		File:   "a.yaml", Line: 3, Effect: "nobody can apply it", RemovedIn: version}
	if impact == finding.Changes || impact == finding.Hint {
		f.Class = finding.Notice
	}
	return f
}

func upgrade(t *testing.T, from, to release.Minor, fs ...finding.Finding) Timeline {
	t.Helper()
	cal, err := release.Load()
	if err != nil {
		t.Fatal(err)
	}
	return Build(fs, nil, policy.Default(), now, Envelope{Upgrade: &Way{Way: rules.Way{From: from, To: to}, FromBy: "--from", Calendar: cal}})
}

func hops(t Timeline) string {
	var all []string
	for _, h := range t.Upgrade.Hops {
		all = append(all, fmt.Sprintf("%s %d/%d/%d/%d", h.To, h.Blocks, h.Breaks, h.Changes, h.Notices))
	}
	return strings.Join(all, ", ")
}

func TestUpgradeHopByHop(t *testing.T) {
	tl := upgrade(t, 34, 37,
		at("1.36", finding.Breaks, "a"), at("1.36", finding.Breaks, "b"), at("1.36", finding.Blocks, "z"), at("1.37", finding.Blocks, "c"),
		at("1.35", finding.Changes, "d"), at("1.37", finding.Hint, "e"), at("1.40", finding.Breaks, "far"), at("1.22", finding.Changes, "long ago"))
	if got, want := hops(tl), "1.35 0/0/2/0, 1.36 1/2/0/0, 1.37 1/0/0/1"; got != want {
		t.Errorf("hops %s, want %s", got, want)
	}
	if tl.ExitCode != ExitDue || tl.Upgrade.FirstBreak != "1.36" || tl.Upgrade.From != "1.34" || tl.Upgrade.FromMissing {
		t.Errorf("exit code %d, %+v", tl.ExitCode, tl.Upgrade)
	}
	want := "On the way from 1.34 to 1.37, 1.36 is the first hop that breaks: 1 thing blocks it and 2 things break, " +
		"first batch/v1beta1 CronJob default/z is no longer served. After that, 1 more blocks or breaks."
	if tl.Headline != want {
		t.Errorf("headline\n%s\nwant\n%s", tl.Headline, want)
	}
	wants := map[string]struct {
		verdict policy.Verdict
		counts  bool
		because string
		date    string
	}{
		"a":        {policy.Due, true, "1.36 is on the way to 1.37", "2027-02-28"},
		"c":        {policy.Due, true, "the upgrade leads to 1.37", "2027-06-28"},
		"d":        {policy.Due, false, "1.35 is on the way to 1.37", "2026-10-27"},
		"far":      {policy.OK, true, "1.40 is beyond 1.37", ""},
		"long ago": {policy.Due, false, "1.22 is on the way to 1.37", "2022-06-28"},
	}
	for _, i := range tl.Items {
		w, ok := wants[i.Object.Name.String()]
		if !ok {
			continue
		}
		date := i.End.Date.Format(time.DateOnly)
		if i.Verdict != w.verdict || i.Counts != w.counts || i.Because != w.because || w.date != "" && date != w.date || i.End.Basis != finding.Estimated {
			t.Errorf("%s: %s, counts %v, %q, %s %s; want %+v", i.Object.Name, i.Verdict, i.Counts, i.Because, date, i.End.Basis, w)
		}
	}
}

func TestUpgradeFromNobodyKnowsWhere(t *testing.T) {
	tl := upgrade(t, 0, 37, at("1.25", finding.Breaks, "a"), at("1.16", finding.Breaks, "b"), at("1.38", finding.Breaks, "c"))
	if got, want := hops(tl), "1.16 0/1/0/0, 1.25 0/1/0/0, 1.37 0/0/0/0"; got != want {
		t.Errorf("hops %s, want %s", got, want)
	}
	if !tl.Upgrade.FromMissing || tl.Upgrade.From != "" || !strings.HasPrefix(tl.Headline, "On the way to 1.37, 1.16 is the first hop that breaks: 1 thing breaks, first ") {
		t.Errorf("%+v, %s", tl.Upgrade, tl.Headline)
	}
}

func TestUpgradeWithoutABreak(t *testing.T) {
	accepted := policy.Default()
	accepted.Accepted = []policy.Acceptance{{Code: "APIRemoved", ID: "*", Reason: "not in use", Until: now.AddDate(1, 0, 0)}}
	env := Envelope{Upgrade: &Way{Way: rules.Way{From: 36, To: 37}}}
	tl := Build([]finding.Finding{at("1.37", finding.Breaks, "a")}, nil, accepted, now, env)
	if tl.ExitCode != ExitOK || hops(tl) != "1.37 0/0/0/0" || tl.Headline != "Nothing that was looked at blocks or breaks on the way from 1.36 to 1.37." {
		t.Errorf("exit code %d, %s, %s", tl.ExitCode, hops(tl), tl.Headline)
	}
	tl = Build([]finding.Finding{at("1.37", finding.Changes, "a")}, []fact.Unseen{{Source: "documents", What: "b.yaml", Why: fact.Malformed}}, policy.Default(), now, env)
	want := "Nothing was found that blocks or breaks on the way from 1.36 to 1.37, in what could be looked at; 1 thing changes."
	if tl.ExitCode != ExitUnseen || tl.Headline != want {
		t.Errorf("exit code %d, %s, want %s", tl.ExitCode, tl.Headline, want)
	}
}

// What ends by date has its own sentence after the upgrade's.
func TestUpgradeOfANodeWithDates(t *testing.T) {
	tl := upgrade(t, 36, 37, at("1.37", finding.Blocks, "a"), one("apiserver", days(92)), broken(finding.KeyMismatch, "etcd-server"))
	for _, want := range []string{"The upgrade from 1.36 to 1.37 breaks: 1 thing blocks it, first ", "Something is broken now: etcd's serving certificate", "This cluster stops working on 2027-02-22"} {
		if !strings.Contains(tl.Headline, want) {
			t.Errorf("%s: no %q", tl.Headline, want)
		}
	}
	if tl.ExitCode != ExitOverdue {
		t.Errorf("exit code %d", tl.ExitCode)
	}
}

// The name of an object alone does not tell which of its settings or rules is meant.
func TestTitlesOfWhatIsInObjects(t *testing.T) {
	config := &finding.Object{APIVersion: "kubelet.config.k8s.io/v1beta1", Kind: "KubeletConfiguration"}
	kept := &finding.Object{APIVersion: "kubeadm.k8s.io/v1beta3", Kind: "ClusterConfiguration", Namespace: "kube-system", Name: "kubeadm-config"}
	hook := &finding.Object{APIVersion: "admissionregistration.k8s.io/v1", Kind: "ValidatingWebhookConfiguration", Name: "hook"}
	oldHook := &finding.Object{APIVersion: "admissionregistration.k8s.io/v1beta1", Kind: "ValidatingWebhookConfiguration", Name: "hook"}
	pod := &finding.Object{APIVersion: "v1", Kind: "Pod", Namespace: "shop", Name: "kubelet-gate-X"}
	for _, c := range []struct {
		finding.Finding
		want string
	}{
		{finding.Finding{Code: finding.GateRemoved, ID: "manifest/kubelet.config.k8s.io/KubeletConfiguration/-/-/kubelet-gate-CSIMigration", Object: config},
			"the feature gate CSIMigration of the kubelet in kubelet.config.k8s.io/v1beta1 KubeletConfiguration is no longer known"},
		{finding.Finding{Code: finding.ConfigKindRemoved, ID: "manifest/kubelet.config.k8s.io/KubeletConfiguration/-/-/kubelet-config-KubeletConfiguration", Object: config},
			"kubelet.config.k8s.io/v1beta1 KubeletConfiguration is in a version that is no longer read"},
		{finding.Finding{Code: finding.EtcdFault, ID: "cluster/ClusterConfiguration/kube-system/kubeadm-config/etcd-fault-DataInconsistency", Object: kept},
			"etcd in kubeadm.k8s.io/v1beta3 ClusterConfiguration kube-system/kubeadm-config has a known fault"},
		{finding.Finding{Code: finding.APIRemoved, ID: "cluster/ValidatingWebhookConfiguration/-/hook", Object: hook},
			"admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration hook has a rule for a version that is no longer served"},
		{finding.Finding{Code: finding.APIRemoved, ID: "cluster/ValidatingWebhookConfiguration/-/hook", Object: oldHook},
			"admissionregistration.k8s.io/v1beta1 ValidatingWebhookConfiguration hook is no longer served"},
		{finding.Finding{Code: finding.VolumePluginRemoved, ID: "cluster/Pod/shop/kubelet-gate-X", Object: pod},
			"v1 Pod shop/kubelet-gate-X has a volume that can no longer be mounted"},
	} {
		c.Class, c.Impact, c.End = finding.Fault, finding.Blocks, finding.End{Version: "1.37"}
		if got := build(c.Finding).Items[0].Title; got != c.want {
			t.Errorf("%s: title %q, want %q", c.ID, got, c.want)
		}
	}
}

func TestTitlesOfParts(t *testing.T) {
	for id, want := range map[fact.ID]string{
		"cp1/kubelet-gate-DynamicKubeletConfig":       "the feature gate DynamicKubeletConfig of the kubelet is no longer known",
		"cp1/kube-apiserver-gate-a-gate-b\x1b":        "the feature gate a-gate-b\\x1b of the API server is no longer known",
		"cp1/etcd-fault-inconsistent":                 "etcd is no longer known",
		"cluster/kube-proxy":                          "kube-proxy is no longer known",
		"cp1/other-gate-x":                            "other-gate-x is no longer known",
		fact.ID("cp1/" + strings.Repeat("x", 10_000)): strings.Repeat("x", 32) + "…" + strings.Repeat("x", 31) + " is no longer known",
	} {
		f := finding.Finding{Code: finding.GateRemoved, ID: id, Class: finding.Fault, Impact: finding.Blocks, End: finding.End{Version: "1.37"}}
		if got := build(f).Items[0].Title; got != want {
			t.Errorf("%.80s: title %q, want %q", string(id), got, want)
		}
	}
}

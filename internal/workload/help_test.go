// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"slices"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
)

// The help of a code says in words what the tables say in rows: where it names
// the minor of a change, it is theirs.
func TestHelpNamesTheMinorsOfTheTables(t *testing.T) {
	set := known(t)
	first := func(is func(release.Minor) bool) release.Minor {
		for m := rules.Oldest; m <= set.Newest(); m++ {
			if is(m) {
				return m
			}
		}
		t.Fatal("no minor is found")
		return 0
	}
	users := first(func(m release.Minor) bool {
		g, ok := set.Gate("kubelet", "UserNamespacesSupport", m)
		return ok && g.Default
	})
	requires := first(func(m release.Minor) bool {
		return slices.ContainsFunc(set.Gates("kube-apiserver", m), func(g rules.Gate) bool { return len(g.Requires) > 0 })
	})
	cgroup := first(func(m release.Minor) bool {
		return slices.ContainsFunc(set.Defaults("kubelet", "failCgroupV1"), func(d rules.FlagDefault) bool { return d.Value == "true" && d.First == m })
	})
	gone := func(plugin string) release.Minor {
		return first(func(m release.Minor) bool { return !slices.Contains(set.AdmissionPlugins(m), plugin) })
	}
	changed := func(c change) release.Minor { return changes()[c].Minor }
	for _, c := range []struct {
		code  finding.Code
		minor release.Minor
		says  string // around the minor
	}{
		{finding.GateRequires, requires, "since %s."},
		{finding.CgroupTooOld, cgroup, "from %s on"},
		{finding.AdmissionPluginRemoved, gone("PodSecurityPolicy"), "PodSecurityPolicy went with %s"},
		{finding.AdmissionPluginRemoved, gone("SecurityContextDeny"), "SecurityContextDeny with %s"},
		{finding.PodSecurityPolicyEnds, changed(podSecurityPolicyGone), "in %s;"},
		{finding.SeccompAnnotationIgnored, changed(seccompAnnotationsIgnored), "from %s on"},
		{finding.SeccompAnnotationIgnored, changed(seccompAnnotationsIgnored) - 1, "up to %s;"},
		{finding.CronJobZone, changed(cronJobTimeZone), "since %s;"},
		{finding.CronJobZoneInSchedule, changed(cronJobZoneRefused), "of %s and later"},
		{finding.UserNamespaceIgnored, users - 1, "Up to %s"},
		{finding.UserNamespaceBegins, users, "since %s."},
		{finding.KubeProxyShell, changed(kubeProxyDistroless), "since %s."},
		{finding.LogsEndpointOff, changed(logsHandlerOff), "since %s."},
		{finding.KubeletTooOld, changed(kubeadmKubeletSkew) - 1, "up to %s,"},
	} {
		info, ok := finding.Explain(c.code)
		says := strings.ReplaceAll(c.says, "%s", c.minor.String())
		if !ok || !strings.Contains(info.Means+" "+info.Cause+" "+info.Cure, says) {
			t.Errorf("the help of %s does not say %q: %s %s", c.code, says, info.Means, info.Cause)
		}
	}
}

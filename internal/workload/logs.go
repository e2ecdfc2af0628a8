// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
)

// asksLogs is a command that fetches /logs of the API server: by kubectl, or
// under one of the names or the usual port of the API server.
var asksLogs = regexp.MustCompile(`--raw[ =]['"]?/logs\b|https://(kubernetes(\.default[a-z.]*)?|\$\{?KUBERNETES_SERVICE_HOST[^/ ]*|[^/ ]+:6443)/logs\b`)

// logsWords are those of which one stands in each such command: /logs alone stands
// in many.
var logsWords = []string{"--raw", "https://kubernetes", "KUBERNETES_SERVICE_HOST", ":6443/logs"}

// asksForLogs looks for uses of the API server's /logs in what containers run.
func (j *Judge) asksForLogs(o fact.Object, spec corev1.PodSpec) {
	var names []string
	eachContainer(&spec, func(c *corev1.Container) {
		command := slices.Concat(c.Command, c.Args)
		for _, probe := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
			if probe != nil && probe.Exec != nil {
				command = append(command, probe.Exec.Command...)
			}
		}
		if asksLogs.MatchString(strings.Join(command, " ")) {
			names = append(names, c.Name)
		}
	})
	if len(names) > 0 {
		j.logsUsed(o, "the container "+fact.Text(strings.Join(names, ", ")).String()+" asks for it")
	}
}

// seeClusterRole looks for the right to read /logs, which somebody has asked for.
func (j *Judge) seeClusterRole(o fact.Object) error {
	var role struct {
		Rules []struct {
			NonResourceURLs []string `json:"nonResourceURLs"`
		} `json:"rules"`
	}
	if err := read(o, &role); err != nil {
		return err
	}
	for _, r := range role.Rules {
		for _, url := range r.NonResourceURLs {
			if url == "/logs" || strings.HasPrefix(url, "/logs/") || url == "/logs*" {
				j.logsUsed(o, "the role gives the right to read it")
				return nil
			}
		}
	}
	return nil
}

func (j *Judge) logsUsed(o fact.Object, how string) {
	off := changes()[logsHandlerOff]
	impact, r := finding.Breaks, rule{off.Minor, off.Source}
	switch {
	case j.way.From >= off.Minor:
		return // it is enabled by its flag, or nothing answers now either
	case j.way.To < off.Minor:
		impact, r.minor = finding.Hint, j.first()
	}
	o.Content, o.Uses = nil, nil
	f := about(o, finding.LogsEndpointOff, impact, r)
	f.Effect = fmt.Sprintf("the API server of %s and later does not serve /logs by default, and %s", off.Minor, how)
	f.Fix = "read the node's logs on the node, or through the kubelet (kubectl get --raw /api/v1/nodes/NODE/proxy/logs/); --enable-logs-handler=true brings it back for a while"
	j.found = append(j.found, f)
}

// seccompAnnotations judges a template that asks for seccomp profiles in the old
// way only.
func (j *Judge) seccompAnnotations(o fact.Object, t template) {
	row, bites := j.bites(seccompAnnotationsIgnored)
	if !bites || !hasSeccompAnnotation(t.Metadata) {
		return
	}
	before, after := t.Spec.DeepCopy(), t.Spec.DeepCopy()
	copySeccomp(t.Metadata, after)
	if profiles(before) == profiles(after) {
		return // the fields say it too
	}
	o.Content, o.Uses = nil, nil
	f := about(o, finding.SeccompAnnotationIgnored, finding.Changes, rule{row.Minor, row.Source})
	f.Effect = fmt.Sprintf("from %s on its pods run without the seccomp profile that their annotations ask for: they are no longer copied to the fields", row.Minor)
	f.Fix = "set it in the template: securityContext.seccompProfile"
	if profile := seccompProfile(t.Metadata.Annotations[seccompPodAnnotation]); profile != nil {
		f.Fix = "+ securityContext:\n+   seccompProfile:\n+     type: " + string(profile.Type)
		if profile.LocalhostProfile != nil {
			f.Fix += "\n+     localhostProfile: " + fact.Text(*profile.LocalhostProfile).String()
		}
	}
	j.found = append(j.found, f)
}

// profiles are a pod's seccomp profiles, in a form that can be compared.
func profiles(spec *corev1.PodSpec) string {
	var b strings.Builder
	if spec.SecurityContext != nil {
		fmt.Fprintf(&b, "%+v;", spec.SecurityContext.SeccompProfile)
	}
	eachContainer(spec, func(c *corev1.Container) {
		if c.SecurityContext != nil {
			fmt.Fprintf(&b, "%s %+v;", c.Name, c.SecurityContext.SeccompProfile)
		}
	})
	return b.String()
}

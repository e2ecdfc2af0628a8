// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
)

// pspAnnotation names the PodSecurityPolicy that a pod was admitted by (1.24:
// pkg/security/podsecuritypolicy/util ValidatedPSPAnnotation).
const pspAnnotation = "kubernetes.io/psp"

// seenPolicy is a PodSecurityPolicy.
type seenPolicy struct {
	object   fact.Object
	mutating []string // what it sets in pods that do not
}

// policyUse is who was admitted by a policy.
type policyUse struct {
	pods   few
	spaces map[string]bool
}

// podSecurityPolicy is what is read of one: the fields that change pods
// (1.24: pkg/security/podsecuritypolicy/provider.go MutatePod). The type itself
// is in no k8s.io/api since 0.29.
type podSecurityPolicy struct {
	Metadata meta `json:"metadata"`
	Spec     struct {
		DefaultAddCapabilities          []string `json:"defaultAddCapabilities"`
		RequiredDropCapabilities        []string `json:"requiredDropCapabilities"`
		ReadOnlyRootFilesystem          bool     `json:"readOnlyRootFilesystem"`
		DefaultAllowPrivilegeEscalation *bool    `json:"defaultAllowPrivilegeEscalation"`
		AllowPrivilegeEscalation        *bool    `json:"allowPrivilegeEscalation"`
		SELinux                         strategy `json:"seLinux"`
		RunAsUser                       strategy `json:"runAsUser"`
		RunAsGroup                      strategy `json:"runAsGroup"`
		SupplementalGroups              strategy `json:"supplementalGroups"`
		FSGroup                         strategy `json:"fsGroup"`
		RuntimeClass                    struct {
			Default string `json:"defaultRuntimeClassName"`
		} `json:"runtimeClass"`
	} `json:"spec"`
}

type strategy struct {
	Rule string `json:"rule"`
}

// The annotations of a policy that set a profile in pods.
var profileAnnotations = []string{
	"apparmor.security.beta.kubernetes.io/defaultProfileName",
	"seccomp.security.alpha.kubernetes.io/defaultProfileName",
}

// mutating lists the fields by which the policy changes pods.
func (p podSecurityPolicy) mutating() []string {
	spec := p.Spec
	sets := map[string]bool{
		"defaultAddCapabilities":               len(spec.DefaultAddCapabilities) > 0,
		"requiredDropCapabilities":             len(spec.RequiredDropCapabilities) > 0,
		"readOnlyRootFilesystem":               spec.ReadOnlyRootFilesystem,
		"defaultAllowPrivilegeEscalation":      spec.DefaultAllowPrivilegeEscalation != nil,
		"allowPrivilegeEscalation":             spec.AllowPrivilegeEscalation != nil && !*spec.AllowPrivilegeEscalation,
		"seLinux":                              spec.SELinux.Rule == "MustRunAs",
		"runAsUser":                            spec.RunAsUser.Rule == "MustRunAs" || spec.RunAsUser.Rule == "MustRunAsNonRoot",
		"runAsGroup":                           spec.RunAsGroup.Rule == "MustRunAs",
		"supplementalGroups":                   spec.SupplementalGroups.Rule == "MustRunAs",
		"fsGroup":                              spec.FSGroup.Rule == "MustRunAs",
		"runtimeClass.defaultRuntimeClassName": spec.RuntimeClass.Default != "",
	}
	for _, name := range profileAnnotations {
		sets[name] = p.Metadata.Annotations[name] != ""
	}
	maps.DeleteFunc(sets, func(_ string, set bool) bool { return !set })
	return slices.Sorted(maps.Keys(sets))
}

func (j *Judge) seePodSecurityPolicy(o fact.Object) error {
	if _, bites := j.bites(podSecurityPolicyGone); !bites {
		return nil
	}
	var content podSecurityPolicy
	if err := read(o, &content); err != nil {
		return err
	}
	o.Content, o.Uses = nil, nil
	j.security.policies = append(j.security.policies, seenPolicy{o, content.mutating()})
	return nil
}

// admittedBy notes by which policy a pod was admitted.
func (j *Judge) admittedBy(o fact.Object, pod template) {
	name := pod.Metadata.Annotations[pspAnnotation]
	if _, bites := j.bites(podSecurityPolicyGone); !bites || name == "" {
		return
	}
	use := j.security.uses[name]
	if use == nil {
		use = &policyUse{spaces: map[string]bool{}}
		j.security.uses[name] = use
	}
	use.pods.add(o.Namespace.String() + "/" + o.Name.String())
	use.spaces[string(o.Namespace)] = true
}

func (j *Judge) policyFindings() []finding.Finding {
	gone := changes()[podSecurityPolicyGone]
	var all []finding.Finding
	for _, p := range j.security.policies {
		f := about(p.object, finding.PodSecurityPolicyEnds, finding.Breaks, rule{gone.Minor, gone.Source})
		f.RemovedIn = gone.Minor.String()
		f.Effect = fmt.Sprintf("from %s on nothing enforces the PodSecurityPolicy %s", gone.Minor, p.object.Name)
		if len(p.mutating) > 0 {
			f.Effect += ", and pods no longer get what it sets in them: " + strings.Join(p.mutating, ", ")
		}
		f.Fix = "write what it sets into the pods' own templates, then label each namespace with a Pod Security level"
		if use := j.security.uses[string(p.object.Name)]; use != nil && p.object.File == "" {
			note(&f, "admitted by it: "+use.pods.String())
			f.Fix = j.levelCommands(use)
		}
		all = append(all, f)
	}
	return all
}

// commandsLimit is how many namespaces a fix spells out.
const commandsLimit = 20

// levelCommands label the namespaces whose pods a policy admitted with the
// strictest level that their workloads pass.
func (j *Judge) levelCommands(use *policyUse) string {
	names := slices.Sorted(maps.Keys(use.spaces))
	var lines []string
	for _, name := range names[:min(len(names), commandsLimit)] {
		level, _ := j.security.space(name).strictest()
		lines = append(lines, labelCommand(fact.Object{Name: fact.Text(name)}, j.enforce(level)...))
	}
	if more := len(names) - commandsLimit; more > 0 {
		lines = append(lines, "# and "+counted(more, "more")+" namespaces")
	}
	return strings.Join(lines, "\n")
}

// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
)

// levels are Pod Security's, below privileged, which forbids nothing.
var levels = [...]api.Level{api.LevelBaseline, api.LevelRestricted}

// checks is a set of Pod Security checks, by their place in admission.ids.
type checks uint32

// verdict is what forbids a pod: by step and by level.
type verdict [][len(levels)]checks

// admission is the Pod Security admission of each minor from the first one that
// matters to the last, by its real evaluator.
type admission struct {
	evaluator policy.Evaluator
	ids       []policy.CheckID
	steps     []step
	// seen counts the pods, and views of pods, that were evaluated: a check says
	// the same of one at each minor and level that has it, and is asked once.
	seen int
}

// step is a minor's admission.
type step struct {
	minor release.Minor
	view  view
	// same: no check differs from the step before, and no view.
	same bool
}

// view is what of a pod an API server of a minor keeps when a pod is created,
// which is before it is admitted.
type view struct {
	seccompAnnotations bool // copied to the fields where those are not set
	appArmorFields     bool // known
	procMount          bool // not dropped
	hostUsers          bool // not dropped
}

func newAdmission(set *rules.Set, first, last release.Minor) *admission {
	a := &admission{}
	all := policy.DefaultChecks()
	changed := map[int]bool{}
	for i := range all {
		a.ids = append(a.ids, all[i].ID)
		for k := range all[i].Versions {
			changed[all[i].Versions[k].MinimumVersion.Minor()] = true
			all[i].Versions[k].CheckPod = a.once(all[i].ID, all[i].Versions[k].CheckPod)
		}
	}
	evaluator, err := policy.NewEvaluator(all, nil)
	if err != nil {
		return a // the library's own checks: its tests and ours would fail
	}
	a.evaluator = evaluator
	for m := first; m <= last; m++ {
		s := step{minor: m, view: viewOf(set, m)}
		if n := len(a.steps); n > 0 {
			s.same = a.steps[n-1].view == s.view && !changed[int(m)]
		}
		a.steps = append(a.steps, s)
	}
	return a
}

// once makes a check remember what it said of the pod at hand, and say its ID,
// which its result does not have.
func (a *admission) once(id policy.CheckID, check policy.CheckPodFn) policy.CheckPodFn {
	asked, result := 0, policy.CheckResult{}
	return func(m *metav1.ObjectMeta, spec *corev1.PodSpec) policy.CheckResult {
		if asked != a.seen {
			asked, result = a.seen, check(m, spec)
			result.ForbiddenDetail = string(id)
		}
		return result
	}
}

// viewOf is how a server with default gates sees pods.
func viewOf(set *rules.Set, m release.Minor) view {
	return view{
		seccompAnnotations: !changes()[seccompAnnotationsIgnored].In(m),
		appArmorFields:     changes()[appArmorFields].In(m),
		procMount:          onByDefault(set, "ProcMountType", m),
		hostUsers:          onByDefault(set, "UserNamespacesSupport", m),
	}
}

// onByDefault reports a gate of the API server that need not be set; a minor
// that was not measured is as the newest one.
func onByDefault(set *rules.Set, name string, m release.Minor) bool {
	gate, ok := set.Gate("kube-apiserver", name, min(m, set.Newest()))
	return ok && gate.Default
}

// judge evaluates a pod at every step.
func (a *admission) judge(m meta, spec corev1.PodSpec) verdict {
	v := make(verdict, len(a.steps))
	metadata := &metav1.ObjectMeta{Annotations: m.Annotations}
	defaultVolumes(&spec)
	differs := seenDifferently(m, &spec)
	kept := &spec
	a.seen++
	for i, s := range a.steps {
		if i > 0 && s.same {
			v[i] = v[i-1]
			continue
		}
		if differs && (i == 0 || s.view != a.steps[i-1].view) {
			kept = s.view.of(m, spec.DeepCopy())
			a.seen++
		}
		for l, level := range levels {
			v[i][l] = a.forbidden(level, s.minor, metadata, kept)
		}
	}
	return v
}

func (a *admission) forbidden(level api.Level, m release.Minor, metadata *metav1.ObjectMeta, spec *corev1.PodSpec) checks {
	var set checks
	at := api.LevelVersion{Level: level, Version: api.MajorMinorVersion(1, int(m))}
	for _, result := range a.evaluator.EvaluatePod(at, metadata, spec) {
		if !result.Allowed {
			set |= 1 << slices.Index(a.ids, policy.CheckID(result.ForbiddenDetail))
		}
	}
	return set
}

// names lists the checks of a set.
func (a *admission) names(set checks) []string {
	var names []string
	for i, id := range a.ids {
		if set&(1<<i) != 0 {
			names = append(names, string(id))
		}
	}
	slices.Sort(names)
	return names
}

// defaultVolumes does what the API server does to a volume without a source
// (pkg/apis/core/v1/defaults.go SetDefaults_Volume).
func defaultVolumes(spec *corev1.PodSpec) {
	for i := range spec.Volumes {
		if spec.Volumes[i].VolumeSource == (corev1.VolumeSource{}) {
			spec.Volumes = slices.Clone(spec.Volumes)
			spec.Volumes[i].EmptyDir = &corev1.EmptyDirVolumeSource{}
		}
	}
}

// seenDifferently reports that not all minors see the same pod.
func seenDifferently(m meta, spec *corev1.PodSpec) bool {
	differs := spec.HostUsers != nil || hasSeccompAnnotation(m) ||
		spec.SecurityContext != nil && spec.SecurityContext.AppArmorProfile != nil
	eachContainer(spec, func(c *corev1.Container) {
		s := c.SecurityContext
		differs = differs || s != nil && (s.ProcMount != nil || s.AppArmorProfile != nil)
	})
	return differs
}

// of changes a pod to what is kept of it.
func (v view) of(m meta, spec *corev1.PodSpec) *corev1.PodSpec {
	if !v.hostUsers {
		spec.HostUsers = nil
	}
	if !v.appArmorFields && spec.SecurityContext != nil {
		spec.SecurityContext.AppArmorProfile = nil
	}
	if v.seccompAnnotations {
		copySeccomp(m, spec)
	}
	eachContainer(spec, func(c *corev1.Container) {
		if c.SecurityContext == nil {
			return
		}
		if !v.procMount {
			c.SecurityContext.ProcMount = nil
		}
		if !v.appArmorFields {
			c.SecurityContext.AppArmorProfile = nil
		}
	})
	return spec
}

// The annotations that came before the field securityContext.seccompProfile.
const (
	seccompPodAnnotation       = "seccomp.security.alpha.kubernetes.io/pod"
	seccompContainerAnnotation = "container.seccomp.security.alpha.kubernetes.io/"
)

func hasSeccompAnnotation(m meta) bool {
	for name := range m.Annotations {
		if name == seccompPodAnnotation || strings.HasPrefix(name, seccompContainerAnnotation) {
			return true
		}
	}
	return false
}

// copySeccomp does what the API server does with the annotations up to 1.26
// (pkg/registry/core/pod/strategy.go applySeccompVersionSkew).
func copySeccomp(m meta, spec *corev1.PodSpec) {
	if profile := seccompProfile(m.Annotations[seccompPodAnnotation]); profile != nil {
		if spec.SecurityContext == nil {
			spec.SecurityContext = &corev1.PodSecurityContext{}
		}
		if spec.SecurityContext.SeccompProfile == nil {
			spec.SecurityContext.SeccompProfile = profile
		}
	}
	eachContainer(spec, func(c *corev1.Container) {
		profile := seccompProfile(m.Annotations[seccompContainerAnnotation+c.Name])
		if profile == nil {
			return
		}
		if c.SecurityContext == nil {
			c.SecurityContext = &corev1.SecurityContext{}
		}
		if c.SecurityContext.SeccompProfile == nil {
			c.SecurityContext.SeccompProfile = profile
		}
	})
}

func seccompProfile(annotation string) *corev1.SeccompProfile {
	switch path, local := strings.CutPrefix(annotation, "localhost/"); {
	case annotation == "unconfined":
		return &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeUnconfined}
	case annotation == "runtime/default", annotation == "docker/default":
		return &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
	case local && path != "":
		return &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeLocalhost, LocalhostProfile: &path}
	}
	return nil
}

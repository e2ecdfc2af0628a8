// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
	"perennial.dev/perennial/internal/testlab"
)

// TestLabChanges asks real API servers whether what the table of changes says of
// their minors is so.
func TestLabChanges(t *testing.T) {
	testlab.Each(t, func(p *testlab.Plane) {
		minor, err := release.ParseMinor(p.Version)
		if err != nil {
			p.Fatal(err)
		}
		s, set := server{p}, known(p.T)
		since := func(c change) bool { return changes()[c].In(minor) }
		v := viewOf(set, minor)

		zoned := cronJob("TZ=Europe/Berlin 0 3 * * *", "")
		if out, errs := s.try(zoned); (out == "") != since(cronJobZoneRefused) {
			p.Errorf("a time zone in a schedule: %s%s", out, errs)
		}
		if out, errs := s.try(cronJob("0 3 * * *", ", timeZone: Etc/UTC")); strings.Contains(out, "Etc/UTC") != since(cronJobTimeZone) {
			p.Errorf("spec.timeZone: %s%s", out, errs)
		}
		pod := s.pod(`{hostUsers: false, containers: [{name: c, image: x, securityContext: {appArmorProfile: {type: RuntimeDefault}, procMount: Unmasked}}]}`)
		sc := pod.Spec.Containers[0].SecurityContext
		got := view{
			hostUsers:          pod.Spec.HostUsers != nil,
			appArmorFields:     sc != nil && sc.AppArmorProfile != nil,
			procMount:          sc != nil && sc.ProcMount != nil && *sc.ProcMount == corev1.UnmaskedProcMount,
			seccompAnnotations: s.pod(`{containers: [{name: c, image: x}]}`).Spec.SecurityContext.SeccompProfile != nil,
		}
		if got != v {
			p.Errorf("it keeps %+v, and we say %+v", got, v)
		}
		if out, errs := s.kubectl("get", "--raw", "/logs/"); (out == "") != since(logsHandlerOff) {
			p.Errorf("/logs/: %.80s%s", out, errs)
		}
		if out, errs := s.kubectl("get", "--raw", "/apis/policy/v1beta1"); strings.Contains(out, "podsecuritypolicies") == since(podSecurityPolicyGone) {
			p.Errorf("PodSecurityPolicies: %.80s%s", out, errs)
		}
		judged := New(set, rules.Way{From: minor - 1, To: minor})
		judged.See(objects(p.T, "", zoned)[0])
		if all := judged.Findings(); len(all) != 1 || (all[0].Impact == "breaks") != (minor == changes()[cronJobZoneRefused].Minor) {
			p.Errorf("on the hop to %s: %s", minor, lines(all))
		}
	})
}

// try creates an object without doing it and returns it as JSON.
func (s server) try(manifest string) (out, errs string) {
	s.Helper()
	file := filepath.Join(s.TempDir(), "object.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(manifest, "namespace: ns", "namespace: default")), 0o600); err != nil {
		s.Fatal(err)
	}
	return s.kubectl("create", "--dry-run=server", "--validate=false", "-o", "json", "-f", file)
}

// pod is what the server makes of a pod with a seccomp annotation.
func (s server) pod(spec string) corev1.Pod {
	s.Helper()
	s.awaitServiceAccount("default")
	out, errs := s.try("apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: ns, annotations: {" + seccompPodAnnotation + ": runtime/default}}\nspec: " + spec + "\n")
	var pod corev1.Pod
	if err := json.Unmarshal([]byte(out), &pod); err != nil {
		s.Fatalf("%v\n%s", err, errs)
	}
	if pod.Spec.SecurityContext == nil {
		pod.Spec.SecurityContext = &corev1.PodSecurityContext{}
	}
	return pod
}

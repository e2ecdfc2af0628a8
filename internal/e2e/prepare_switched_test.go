// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"maps"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/workload"
)

// exemptOne leaves a namespace out of Pod Security.
const exemptOne = `apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: PodSecurity
  configuration:
    apiVersion: pod-security.admission.config.k8s.io/v1
    kind: PodSecurityConfiguration
    exemptions: {namespaces: [one]}
`

// Where labels would do nothing, none are set: in a namespace that the API server
// exempts, and on one that has Pod Security switched off.
func TestPrepareFindsOut(t *testing.T) {
	for _, version := range versions(t) {
		minor, err := release.ParseMinor(version)
		if err != nil || minor < 25 {
			continue
		}
		t.Run(version, func(t *testing.T) {
			p := up(t, version)
			p.Apply(twoNamespaces)
			before := p.securityLabels()
			state := t.TempDir()
			p.write(map[string]string{"admission.yaml": exemptOne})
			p.set(map[string][]string{"kube-apiserver": {"--admission-control-config-file=DIR/admission.yaml"}})
			out, errs := p.prepare(state, 0, "podsecurity", "--yes")
			if !strings.Contains(strings.Join(strings.Fields(out), " "), "cluster/Namespace/-/one: the API server exempts it from Pod Security") {
				t.Errorf("the exemption is not said:\n%s", out)
			}
			if labels := p.securityLabels(); !maps.Equal(labels["one"], before["one"]) || labels["two"][workload.PodSecurityLabels[0]] != "baseline" {
				t.Errorf("the labels are %v", labels)
			}
			p.undoes(state, p.planned(errs), 0)

			p.set(map[string][]string{"kube-apiserver": {"--disable-admission-plugins=PodSecurity"}})
			if _, errs := p.prepare(state, 1, "podsecurity", "--yes"); !strings.Contains(errs, "its Pod Security admission is switched off") {
				t.Errorf("a server that does nothing by labels:\n%s", errs)
			}
			if after := p.securityLabels(); !maps.EqualFunc(after, before, maps.Equal) {
				t.Errorf("a refused command has set labels: %v", after)
			}
		})
	}
}

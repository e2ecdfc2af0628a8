// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/workload"
)

// others are rules of a cluster's own: every namespace has to name its owner, or is
// warned of; nobody labels two; and what looks at three does not answer.
const others = `apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: owner}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], resources: [namespaces], operations: [UPDATE]}]}
  validations: [{expression: "has(object.metadata.labels.owner)", message: no owner is named}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: owner}
spec: {policyName: owner, validationActions: [Warn]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: closed}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], resources: [namespaces], operations: [UPDATE]}]}
  validations: [{expression: "object.metadata.name != 'two'", message: two is closed, reason: Forbidden}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: closed}
spec: {policyName: closed, validationActions: [Deny]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: silent}
webhooks:
- name: silent.example.com
  clientConfig: {url: "https://127.0.0.1:1/"}
  rules: [{apiGroups: [""], apiVersions: [v1], resources: [namespaces], operations: [UPDATE]}, {apiGroups: [batch], apiVersions: [v1], resources: [cronjobs], operations: [UPDATE]}]
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: three}}
  sideEffects: None
  admissionReviewVersions: [v1]
  failurePolicy: Fail
`

const third = `apiVersion: v1
kind: Namespace
metadata: {name: three}
---
apiVersion: v1
kind: PodTemplate
metadata: {name: t, namespace: three}
template: {spec: {containers: [{name: c, image: x}]}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: three}
spec: {schedule: 30 2 * * *, jobTemplate: {spec: {suspend: true, template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}}}
`

// A cluster's own rules stand in the way of some namespaces and warn of others. What
// they refuse is left as it is, with their words; what they warn of at any change
// is nothing against this one; and a webhook that does not answer leaves no plan
// behind that nobody can finish.
func TestPrepareDenied(t *testing.T) {
	for _, version := range versions(t) {
		if minor, err := release.ParseMinor(version); err != nil || minor < 30 { // policies are stable since
			continue
		}
		t.Run(version, func(t *testing.T) {
			p := up(t, version)
			p.Apply(twoNamespaces + "---\n" + third)
			p.Apply(others)
			p.ruled()
			before, state := p.securityLabels(), t.TempDir()
			out, errs := p.prepare(state, 0, "podsecurity", "--yes")
			for _, says := range []string{
				"cluster/Namespace/-/two: the API server takes no such change of it: ", "two is closed",
				"cluster/Namespace/-/three: the API server takes no such change of it: ", `failed calling webhook "silent.example.com"`,
			} {
				if !strings.Contains(strings.Join(strings.Fields(out), " "), says) {
					t.Errorf("it does not say %q:\n%s", says, out)
				}
			}
			if strings.Contains(out, "does not have the right") {
				t.Errorf("a refusal of a policy is told as a right that is missing:\n%s", out)
			}
			after, level := p.securityLabels(), workload.PodSecurityLabels[0]
			if after["one"][level] != "baseline" || after["two"][level] != "" || after["three"][level] != "" {
				t.Errorf("the labels are %v", after)
			}
			p.undoes(state, p.planned(errs), 0)
			if again := p.securityLabels(); fmt.Sprint(again) != fmt.Sprint(before) {
				t.Errorf("undone, the labels are %v; they were %v", again, before)
			}
			p.unanswered(state)
		})
	}
}

// ruled waits until the API server goes by the rules.
func (p *plane) ruled() {
	p.Helper()
	for _, rule := range []struct{ namespace, says string }{{"one", "no owner is named"}, {"two", "two is closed"}, {"three", "failed calling webhook"}} {
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
			out, _ := p.Kubectl("annotate", "--dry-run=server", "--overwrite", "namespace", rule.namespace, "a="+fmt.Sprint(time.Now().UnixNano()))
			if strings.Contains(out, rule.says) {
				break
			}
			if time.Now().After(deadline) {
				p.Fatalf("the API server does not say %q: %s", rule.says, out)
			}
		}
	}
}

// unanswered changes a CronJob that the silent webhook looks at: the step fails, the
// plan is closed, and works once the webhook is gone.
func (p *plane) unanswered(state string) {
	p.Helper()
	args := []string{"prepare", "cronjobs", "--controller-zone", "Europe/Berlin", "--yes", "--kubeconfig", filepath.Join(p.KubernetesDir, "admin.conf"), "--state", state}
	out, errs, code := p.perennial(args...)
	if code != 13 || !strings.Contains(errs, "failed calling webhook") || !strings.Contains(errs, "the API server refused it") || strings.Contains(errs, "may have been done") {
		p.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	if out, ok := p.Kubectl("delete", "validatingwebhookconfiguration", "silent"); !ok {
		p.Fatal(out)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		if _, errs, code = p.perennial(args...); code == 0 {
			break
		}
		if strings.Contains(errs, "finishing the plan") || time.Now().After(deadline) {
			p.Fatalf("the webhook is gone: exit code %d\n%s", code, errs)
		}
	}
	if got, _ := p.Kubectl("get", "cronjob", "nightly", "-n", "three", "-o", "jsonpath={.spec.timeZone}"); got != "Europe/Berlin" {
		p.Errorf("its zone is %q", got)
	}
}

// SPDX-License-Identifier: Apache-2.0

package document

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
)

// What a plugin of admission is configured with is a document of its own,
// wherever it stands and whichever reader reads it.
func TestPluginsOfAnAdmissionConfiguration(t *testing.T) {
	const first = "apiserver.config.k8s.io/v1 AdmissionConfiguration 2"
	block := `# admission
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: ValidatingAdmissionWebhook
  configuration:
    apiVersion: apiserver.config.k8s.io/v1alpha1
    kind: WebhookAdmission
    kubeConfigFile: /one
- name: MutatingAdmissionWebhook
  configuration:
    kind: WebhookAdmission
    kubeConfigFile: /two
    apiVersion: apiserver.config.k8s.io/v1alpha1
- name: EventRateLimit
  path: /elsewhere.yaml
- name: PodSecurity
  configuration: {kind: PodSecurityConfiguration, apiVersion: pod-security.admission.config.k8s.io/v1beta1}
`
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"scanner": {block, []string{first, "apiserver.config.k8s.io/v1alpha1 WebhookAdmission 7", "apiserver.config.k8s.io/v1alpha1 WebhookAdmission 14",
			"pod-security.admission.config.k8s.io/v1beta1 PodSecurityConfiguration 18"}},
		"parser, after another document": {"apiVersion: v1\nkind: Pod\n---\nx: &a 1\n" + block, []string{"v1 Pod 1", "apiserver.config.k8s.io/v1 AdmissionConfiguration 6",
			"apiserver.config.k8s.io/v1alpha1 WebhookAdmission 11", "apiserver.config.k8s.io/v1alpha1 WebhookAdmission 18",
			"pod-security.admission.config.k8s.io/v1beta1 PodSecurityConfiguration 22"}},
		"JSON": {`{"kind": "AdmissionConfiguration",
 "apiVersion": "apiserver.k8s.io/v1alpha1", "plugins": [{"name": "EventRateLimit",
  "configuration": {"apiVersion": "eventratelimit.admission.k8s.io/v1alpha1", "kind": "Configuration"}}]}`,
			[]string{"apiserver.k8s.io/v1alpha1 AdmissionConfiguration 2", "eventratelimit.admission.k8s.io/v1alpha1 Configuration 3"}},
		"of another group": {"apiVersion: example.com/v1\nkind: AdmissionConfiguration\nplugins: [{configuration: {apiVersion: v1, kind: Pod}}]\n",
			[]string{"example.com/v1 AdmissionConfiguration 1"}},
		"no plugins": {"apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins: 7\n", []string{"apiserver.config.k8s.io/v1 AdmissionConfiguration 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			Read("f", []byte(c.text), Want{}, func(o fact.Object) {
				got = append(got, fmt.Sprintf("%s %s %d", o.APIVersion, o.Type, o.Line))
			}, func(u fact.Unseen) { t.Error(u) })
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%q\nwant\n%q", got, c.want)
			}
		})
	}
}

// However many there are, each has its own line, and one look at the text is
// enough for all of them.
func TestManyPlugins(t *testing.T) {
	const many = 100_000
	text := "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n" +
		strings.Repeat("- configuration:\n    apiVersion: v1\n    kind: Some\n", many)
	last := 0
	Read("f", []byte(text), Want{}, func(o fact.Object) {
		if o.Type == "Some" {
			if o.Line <= last {
				t.Fatalf("line %d after line %d", o.Line, last)
			}
			last = o.Line
		}
	}, func(u fact.Unseen) { t.Error(u) })
	if want := 3*many + 2; last != want {
		t.Errorf("the last is on line %d, want %d", last, want)
	}
}

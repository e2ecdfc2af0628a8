// SPDX-License-Identifier: Apache-2.0

package document

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

const ingress = "apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata:\n  name: web\n  namespace: shop\n"

// nasty are files as people have them, with what is in them.
var nasty = []struct {
	name, text string
	want       []string
}{
	{"plain", ingress, []string{"1 extensions/v1beta1 Ingress shop/web"}},
	{"no line break at the end", strings.TrimSuffix(ingress, "\n"), []string{"1 extensions/v1beta1 Ingress shop/web"}},
	{"nothing", "", nil},
	{"comments only", "# apiVersion: v1\n# kind: Pod\n---\n\n# kind: Pod\n", nil},
	{"rendered chart", "---\n# Source: web/templates/a.yaml\n\n---\n# Source: web/templates/b.yaml\n" + ingress + "---\n# Source: c\n",
		[]string{"6 extensions/v1beta1 Ingress shop/web"}},
	{"CRLF", strings.ReplaceAll("# a\n---\n"+ingress+"spec:\n  a: |\n    b\n---\n"+ingress, "\n", "\r\n"),
		[]string{"3 extensions/v1beta1 Ingress shop/web", "12 extensions/v1beta1 Ingress shop/web"}},
	{"BOM", "\xEF\xBB\xBF" + ingress, []string{"1 extensions/v1beta1 Ingress shop/web"}},
	{"marker with a comment", "--- # one\n" + ingress + "--- \n" + ingress + "---\t# three\n" + ingress,
		[]string{"2 extensions/v1beta1 Ingress shop/web", "8 extensions/v1beta1 Ingress shop/web", "14 extensions/v1beta1 Ingress shop/web"}},
	{"marker with the document on it", "--- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\n" + ingress,
		[]string{"1 v1 Pod /a", "3 extensions/v1beta1 Ingress shop/web"}},
	{"what only looks like a marker", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n----\n", []string{"f:5 Malformed: is no YAML: could not find expected ':'"}},
	{"end of document", ingress + "...\n# between\n" + ingress + "...\n", []string{"1 extensions/v1beta1 Ingress shop/web", "8 extensions/v1beta1 Ingress shop/web"}},
	{"directive", "%YAML 1.1\n---\n" + ingress + "...\n# c\n%TAG ! tag:x,2020:\n---\n" + ingress, []string{"3 extensions/v1beta1 Ingress shop/web", "12 extensions/v1beta1 Ingress shop/web"}},
	{"markers inside a block scalar", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: |\n    ---\n    apiVersion: extensions/v1beta1\n    kind: Ingress\n    ---\n    ...\n---\n" + ingress,
		[]string{"1 v1 ConfigMap /a", "13 extensions/v1beta1 Ingress shop/web"}},
	{"block scalar with deeper first line", "a: |2\n    apiVersion: x\n  b\napiVersion: v1\nkind: A\n", []string{"4 v1 A /"}},
	{"folded and kept", "a: >+\n\n  apiVersion: x\n\n  kind: y\n\nb: |-\n\n  x\napiVersion: v1\nkind: A\n", []string{"10 v1 A /"}},
	{"quoted text", "a: \"apiVersion: x\n  kind: y\"\nb: 'it''s\n\n  apiVersion: z'\napiVersion: v1\nkind: A\n", []string{"6 v1 A /"}},
	{"plain text on lines", "a: apiVersion\n  kind of\n\n  thing\napiVersion: v1\nkind: A\n", []string{"5 v1 A /"}},
	{"apiVersion far below", "kind: Ingress\nspec:\n  rules:\n  - host: a\n    http:\n      apiVersion: v9\nmetadata:\n  labels: {a: b}\n  name: web\napiVersion: extensions/v1beta1\n",
		[]string{"10 extensions/v1beta1 Ingress /web"}},
	{"quoted keys", "\"apiVersion\": \"v1\"\n'kind': 'Pod'\n\"metadata\":\n  \"name\": \"a\"\n", []string{"1 v1 Pod /a"}},
	{"spaces before colons", "apiVersion : v1\nkind  :  Pod\n", []string{"1 v1 Pod /"}},
	{"flow", "{apiVersion: v1, kind: Pod,\n metadata: {name: a, namespace: b}}\n", []string{"1 v1 Pod b/a"}},
	{"flow metadata", "kind: Pod\nmetadata: {name: a, namespace: b}\napiVersion: v1\n", []string{"3 v1 Pod b/a"}},
	{"comments after values", "apiVersion: v1 # old\nkind: Pod # kind: X\nmetadata: # m\n  # name: b\n  name: a # c\n", []string{"1 v1 Pod /a"}},
	{"a hash in a value", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a#b\n", []string{"1 v1 Pod /a#b"}},
	{"anchors and merge keys", "x: &x\n  name: a\n  namespace: b\nmetadata:\n  <<: *x\n  name: c\napiVersion: &v v1\nkind: Pod\n", []string{"7 v1 Pod b/c"}},
	{"tags", "apiVersion: !!str v1\nkind: !!str Pod\nmetadata:\n  name: !!str 1\n", []string{"1 v1 Pod /1"}},
	{"tabs", "apiVersion:\tv1\nkind: Pod\t\nmetadata:\n  name: a\t# b\n", []string{"1 v1 Pod /a"}},
	{"tab as indentation", "apiVersion: v1\nkind: Pod\nmetadata:\n\tname: a\n---\n" + ingress,
		[]string{"6 extensions/v1beta1 Ingress shop/web", "f:4 Malformed: is no YAML: found character that cannot start any token"}},
	{"explicit keys", "? apiVersion\n: v1\n? kind\n: Pod\n", []string{"1 v1 Pod /"}},
	{"indented as a whole", "  apiVersion: v1\n  kind: Pod\n", []string{"1 v1 Pod /"}},
	{"twice", "apiVersion: v1\nkind: A\nkind: B\napiVersion: v2\n", []string{"4 v2 B /"}},
	{"generateName", "apiVersion: v1\nkind: Pod\nmetadata:\n  generateName: a-\n", []string{"1 v1 Pod /a-*"}},
	{"no kind", "apiVersion: v2\nname: chart\nversion: 1.0.0\n", nil},
	{"no version", "kind: Pod\nmetadata:\n  apiVersion: v1\n", nil},
	{"versions that are no text", "apiVersion: 1\nkind: Pod\n---\napiVersion: [v1]\nkind: Pod\n---\napiVersion: v1\nkind: yes\n---\napiVersion:\nkind: Pod\n", nil},
	{"a name that is a number", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: 12\n", []string{"1 v1 Pod /"}},
	{"a sequence", "- apiVersion: v1\n  kind: Pod\n", nil},
	{"just text", "apiVersion v1 kind Pod\n", nil},
	{"embedded objects", "apiVersion: v1\nkind: A\nspec:\n  template:\n    apiVersion: v2\n    kind: B\n  items:\n  - apiVersion: v3\n    kind: C\n", []string{"1 v1 A /"}},

	{"list", "apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: a\n- kind: Ingress\n  apiVersion: extensions/v1beta1\n  metadata: {namespace: m, name: b}\nkind: List\nmetadata:\n  resourceVersion: \"\"\n",
		[]string{"3 v1 Pod /a", "8 extensions/v1beta1 Ingress m/b"}},
	{"list, indented", "kind: List\napiVersion: v1\nitems:\n  -   apiVersion: v1\n      kind: Pod\n  -\n    kind: B\n    apiVersion: v2\n", []string{"4 v1 Pod /", "8 v2 B /"}},
	{"list in a list", "kind: List\napiVersion: v1\nitems:\n- kind: PodList\n  apiVersion: v1\n  items:\n  - metadata:\n      name: a\n  - apiVersion: v2\n    kind: B\n", []string{"7 v1 Pod /a", "9 v2 B /"}},
	{"list in flow style", "kind: List\napiVersion: v1\nitems: [{apiVersion: v1, kind: A},\n {kind: B, apiVersion: v2}]\n", []string{"3 v1 A /", "4 v2 B /"}},
	{"list with items in flow style", "kind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: A}\n", []string{"4 v1 A /"}},
	{"list of nothing", "kind: DeploymentList\napiVersion: apps/v1beta1\nitems: []\n", nil},
	{"no list", "kind: AllowList\napiVersion: a/v1\nitems:\n- 10.0.0.1\n- 10.0.0.2\n", []string{"2 a/v1 AllowList /"}},
	{"no list either", "kind: AllowList\napiVersion: a/v1\nspec:\n  items:\n  - apiVersion: v1\n    kind: A\n", []string{"2 a/v1 AllowList /"}},
	{"items that are no objects", "kind: List\napiVersion: v1\nitems:\n- kind: Pod\n- a: b\n- - x\n- null\n-\n- apiVersion: v1\n  kind: A\n", []string{"9 v1 A /"}},
	{"lists without end", strings.Repeat(`{"kind":"List","items":[`, 40) + strings.Repeat("]}", 40), []string{"f:1 Malformed: has lists in lists in lists, too deep to follow"}},

	{"JSON on a line", `{"kind":"Ingress","metadata":{"name":"a","namespace":"b","annotations":{"x":"{\"apiVersion\":\"v9\"}"}},"apiVersion":"extensions/v1beta1"}`, []string{"1 extensions/v1beta1 Ingress b/a"}},
	{"JSON", "\n{\n  \"kind\": \"Pod\",\n  \"apiVersion\": \"v1\"\n}\n", []string{"4 v1 Pod /"}},
	{"JSON stream", "{\"kind\":\"A\",\"apiVersion\":\"v1\"}{\"kind\":\"B\",\n\"apiVersion\":\"v1\"}\n[]\n{\"kind\":\"C\",\"apiVersion\":\"v1\"}\n---\n{\"kind\":\"D\",\"apiVersion\":\"v1\"}", []string{"1 v1 A /", "2 v1 B /", "4 v1 C /", "6 v1 D /"}},
	{"JSON list", "{\"apiVersion\":\"v1\",\"items\":[{\"apiVersion\":\"v1\",\"kind\":\"A\"},\n{\"kind\":\"List\",\"items\":[{\"apiVersion\":\"v2\",\"kind\":\"B\"}]}],\"kind\":\"List\"}", []string{"1 v1 A /", "2 v2 B /"}},
	{"JSON, escaped", `{"\u006bind":"P\u006fd","apiVersion":"v1","metadata":{"name":"\"a\\"}}`, []string{`1 v1 Pod /"a\`}},
	{"JSON, twice", `{"kind":"A","kind":"B","apiVersion":"v1"}`, []string{"1 v1 B /"}},
	{"JSON, cut off", "{\"kind\":\"A\",\"apiVersion\":\"v1\"}\n{\"kind\":\"B\",", []string{"1 v1 A /", "f:2 Malformed: is no JSON, as what stands before it is"}},
	{"JSON with a comma too many", `{"kind":"A","apiVersion":"v1",}`, []string{"1 v1 A /"}},

	{"template", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Values.name }}\n---\n" + ingress, []string{"6 extensions/v1beta1 Ingress shop/web", "f:4 Unsupported: is a template, which has to be rendered first"}},
	{"template with conditions", "{{- if semverCompare \">=1.19\" . }}\napiVersion: networking.k8s.io/v1\n{{- else }}\napiVersion: extensions/v1beta1\n{{- end }}\nkind: Ingress\n", []string{"f:1 Unsupported: is a template, which has to be rendered first"}},
	{"template of a whole", "{{ include \"common.deployment\" . }}\n", []string{"f:1 Unsupported: is a template, which has to be rendered first"}},
	{"braces that are text", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  a: \"{{ x }}\"\n  b: |\n    {{ y }}\n  c: is {{ z }}\n", []string{"1 v1 ConfigMap /a"}},
	{"broken, the rest whole", "apiVersion: v1\nkind: Pod\n  metadata: a\n---\n" + ingress + "---\na: [\n---\n" + ingress,
		[]string{"5 extensions/v1beta1 Ingress shop/web", "13 extensions/v1beta1 Ingress shop/web", "f:3 Malformed: is no YAML: mapping values are not allowed in this context", "f:11 Malformed: is no YAML: did not find expected node content"}},
	{"binary", "apiVersion: v1\x00\n", []string{"f:1 Malformed: is no text"}},
	{"UTF-16", "\xFF\xFEa\x00", []string{"f:1 Unsupported: is UTF-16"}},
	{"no UTF-8", "apiVersion: v1\nkind: \xFF\xC0\n", []string{"f:1 Malformed: is no YAML: invalid leading UTF-8 octet"}},
	{"aliases that grow", bomb(), []string{"f:1 Malformed: has aliases that grow beyond any use"}},
	{"an alias of itself", "apiVersion: v1\nkind: A\nspec: &a\n  b: *a\n", []string{"f:1 Malformed: has aliases that grow beyond any use"}},

	{"last applied", "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: |\n      {\"apiVersion\":\"extensions/v1beta1\",\"kind\":\"Deployment\"}\n  name: a\n",
		[]string{"1 apps/v1 Deployment /a last-applied=extensions/v1beta1"}},
	{"an annotation that is like it", "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  annotations:\n    example.com/last-applied-configuration: |\n      {\"apiVersion\":\"extensions/v1beta1\",\"kind\":\"Deployment\"}\n  name: a\n",
		[]string{"1 apps/v1 Deployment /a"}},
	{"managed fields", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: apps/v1\n  kind: Deployment\n  metadata:\n    managedFields:\n    - apiVersion: apps/v1beta1\n      manager: helm\n      time: \"2021-01-02T03:04:05Z\"\n    - apiVersion: apps/v1\n      manager: kube-controller-manager\n    name: a\n",
		[]string{"4 apps/v1 Deployment /a managed-fields=apps/v1beta1@helm managed-fields=apps/v1@kube-controller-manager"}},
	{"webhook", "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata:\n  name: a\nwebhooks:\n- name: w\n  rules:\n  - apiGroups: [\"extensions\", networking.k8s.io]\n    apiVersions:\n    - v1beta1\n    - '*'\n    resources: [ingresses]\n",
		[]string{"1 admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration /a webhook=extensions/v1beta1@w webhook=networking.k8s.io/v1beta1@w"}},
	{"stored versions", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: a\nspec:\n  group: example.com\nstatus:\n  storedVersions: [v1alpha1, v1]\n",
		[]string{"1 apiextensions.k8s.io/v1 CustomResourceDefinition /a stored=example.com/v1alpha1 stored=example.com/v1"}},
}

// bomb is a document of a few lines that grows to 9^9 nodes.
func bomb() string {
	text := "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
	for i := range 9 {
		name := func(i int) string { return "a" + string(rune('0'+i)) }
		text += name(i+1) + ": &" + name(i+1) + " [" + strings.TrimSuffix(strings.Repeat("*"+name(i)+",", 9), ",") + "]\n"
	}
	return text + "apiVersion: v1\nkind: ConfigMap\n"
}

func TestNasty(t *testing.T) {
	for _, c := range nasty {
		t.Run(c.name, func(t *testing.T) {
			if got := told(c.text); !slices.Equal(got, c.want) {
				t.Errorf("reading\n%s\nfound\n %s\nwant\n %s", c.text, strings.Join(got, "\n "), strings.Join(c.want, "\n "))
			}
			split([]byte(c.text), func(text []byte, _ int, odd bool) {
				if at := significant(text); !odd && at < len(text) && text[at] != '{' && text[at] != '[' {
					compare(t, text)
				}
			})
		})
	}
}

// TestAsKubectl reads what is YAML in one document with the parser of kubectl,
// too.
func TestAsKubectl(t *testing.T) {
	for _, text := range []string{
		"a: [y, n, yes, No, on, OFF, true, False, null, ~, Null, tRue]\nb: yes\nc:\n",
		"a: [0, 00, 07, 0o7, 0x1F, 0b11, 1_000, -0, +5, 1e3, 1.0, .5, 12:30, 2020-01-01, 10.0.0.1, 1.2.3-rc1, 100m, 500Mi, -c, --x, 9223372036854775808]\n",
		"1: a\n1.5: b\ntrue: c\nno: d\n",
		"null: a\n", "? [a]\n: b\n", "{a: b}: c\n", "a: {{ b }}\n", "a: x {{ b }}\n", "<<: 5\n",
		"b: &b {x: 1, y: 2}\nm:\n  <<: *b\n  x: 3\n", "m:\n  x: 3\n  <<: [{x: 1}, {z: 2}]\n",
		"a: 'it''s\n\n  so'\nb: \"x\\n\\\n  y\"\nc: plain\n  and\n\n  more # c\nd: |+\n  x\n\ne: |-\n  y\n\nf: |\n\n  z\n \n",
		"a: >\n  x\n  y\n\n  z\n    w\n  v\n", "a: |2\n    b\n  c\n", "a:\n- |\n x\n- >-\n y\n- - z\n  - {w: [v,\"u\", 't']}\n",
		bomb(), "a: &a\n  b: *a\n", "a: !!int x\n", "a: !!binary aGk=\n", "a: !Ref b\n", "\ta: b\n", "a: b: c\n", "a: *x\n",
	} {
		kubectl(t, []byte("apiVersion: v1\nkind: A\n"+text))
	}
	for _, text := range whole(t) {
		split(text, func(text []byte, _ int, odd bool) {
			if bytes.Contains(text, []byte("\nkind:")) && !odd {
				kubectl(t, text)
			}
		})
	}
}

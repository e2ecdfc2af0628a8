// SPDX-License-Identifier: Apache-2.0

package document

import (
	"slices"
	"sort"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
)

// Nothing that may be secret is in a content, whichever reader reads it.
func TestContentHoldsNothingSecret(t *testing.T) {
	block := "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  managedFields:\n  - manager: x\n    apiVersion: v1\n  annotations:\n    keep: \"1\"\n    kubectl.kubernetes.io/last-applied-configuration: |\n      {\"x\":\"hidden\"}\nspec:\n  containers:\n  - name: c\n    env:\n    - name: A\n      value: hidden\n    - name: B\n      valueFrom: {fieldRef: {fieldPath: spec.nodeName}}\n    volumeMounts: []\n"
	want := `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","annotations":{"keep":"1"}},"spec":{"containers":[{"name":"c","env":[{"name":"A"},{"name":"B","valueFrom":{"fieldRef":{"fieldPath":"spec.nodeName"}}}],"volumeMounts":[]}]}}`
	var r reader
	if !r.scanner.scan([]byte(block)) {
		t.Fatal("the scanner declines")
	}
	asJSON, ok := r.scanner.json(&r.scanner.heads[0], nil)
	if !ok {
		t.Fatal("the scanner does not write it")
	}
	for name, text := range map[string]string{
		"scanner": block,
		"parser":  "x-anchor: &a 1\n" + block,
		"JSON":    string(asJSON),
		"list":    "apiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(strings.TrimSpace(block), "\n", "\n  ") + "\n",
	} {
		var got []string
		Read("f", []byte(text), Want{}, func(o fact.Object) { got = append(got, string(o.Content)) }, func(u fact.Unseen) { t.Error(u) })
		for i := range got {
			got[i] = strings.TrimPrefix(strings.Replace(got[i], `"x-anchor":1,`, "", 1), "")
		}
		if !slices.Equal(got, []string{want}) {
			t.Errorf("%s: got\n %s\nwant\n %s", name, strings.Join(got, "\n "), want)
		}
	}
	secret := string(Prune([]byte(`{"kind":"Secret","data":{"a":"hidden"},"stringData":{"b":"hidden"},"metadata":{"name":"s"}}`)))
	if secret != `{"kind":"Secret","metadata":{"name":"s"}}` {
		t.Errorf("a Secret is pruned to %s", secret)
	}
	for _, none := range []string{"", "[]", "{", "null", `"a"`} {
		if got := Prune([]byte(none)); got != nil {
			t.Errorf("%q is pruned to %s", none, got)
		}
	}
}

// Content is read only for what somebody wants.
func TestContentOnlyWhereItIsWanted(t *testing.T) {
	text := "apiVersion: v1\nkind: Pod\nspec:\n  hostUsers: false\n---\napiVersion: v1\nkind: Pod\n---\napiVersion: v1\nkind: ConfigMap\ndata:\n  a: hostUsers\n---\napiVersion: batch.volcano.sh/v1\nkind: Job\nspec:\n  hostUsers: false\n"
	for _, c := range []struct {
		name string
		want Want
		has  []bool
	}{
		{"all", Want{}, []bool{true, true, false, false}},
		{"no kind", Want{Kind: func(_, _ string) bool { return false }}, []bool{false, false, false, false}},
		{"words", Want{ContentIf: Words("glusterfs", "hostUsers")}, []bool{true, false, false, false}},
	} {
		var got []bool
		Read("f", []byte(text), c.want, func(o fact.Object) { got = append(got, o.Content != nil) }, func(u fact.Unseen) { t.Error(u) })
		if !slices.Equal(got, c.has) {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestContentsAreSorted(t *testing.T) {
	if !sort.SliceIsSorted(Contents, func(i, j int) bool { return Contents[i].Kind < Contents[j].Kind }) {
		t.Error("Contents are searched and must be sorted by kind")
	}
}

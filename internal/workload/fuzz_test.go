// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/rules"
)

// Whatever an object's content is, it is judged or Unseen, and what is found of
// it can be told.
func FuzzSee(f *testing.F) {
	of := slices.Sorted(maps.Keys(kinds))
	for _, o := range objects(f, "", wholeCluster+"---"+driftingPod[4:]) {
		content := string(object(o).Content)
		for i := range of {
			f.Add(i, "ns", content)
		}
	}
	for _, content := range []string{`null`, `[]`, `{"spec":null}`, `{"spec":{"containers":[null]}}`, `{"spec":{"volumes":[{"rbd":null}]}}`, `{"metadata":{"ownerReferences":[{}]}}`} {
		for i := range of {
			f.Add(i, "\u202e", content)
		}
	}
	set := known(f)
	if err := set.Merge("volumes", strings.NewReader(inTree)); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, kind int, name, content string) {
		group, kindName, _ := strings.Cut(of[max(kind, -kind, 0)%len(of)], "/")
		version := strings.TrimPrefix(group+"/v1", "/")
		for _, file := range []string{"", "a.yaml"} {
			j := New(set, rules.Way{From: 24, To: 37})
			j.See(fact.Object{
				APIVersion: fact.Text(version), Type: fact.Text(kindName), Namespace: fact.Text(name), Name: fact.Text(name),
				File: file, Line: 1, Content: json.RawMessage(content),
			})
			all := j.Findings()
			for _, one := range all {
				if _, ok := finding.Explain(one.Code); !ok || one.Effect == "" || one.Impact == "" || strings.ContainsRune(one.Effect+one.Fix, '\u202e') {
					t.Errorf("%+v", one)
				}
			}
			if unseen := j.Unseen(); !json.Valid([]byte(content)) && content != "" && len(all)+len(unseen) == 0 && kindName != "CSIDriver" {
				t.Errorf("%q is neither judged nor unseen", content)
			}
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/rules"
)

// Volumes inside of pods have the names that people give them, over and over: each
// becomes a volume and a claim of its own.
func TestVolumesInsidePodsHaveNamesOfTheirOwn(t *testing.T) {
	long := strings.Repeat("n", 240)
	in := func(kind, namespace, name string) string {
		spec := "spec: {template: {spec: {volumes: [{name: data, gcePersistentDisk: {pdName: d}}], containers: [{name: c, image: x}]}}}"
		return "---\napiVersion: apps/v1\nkind: " + kind + "\nmetadata: {name: " + name + ", namespace: " + namespace + "}\n" + spec + "\n"
	}
	c := NewConversion(known(t), rules.Way{From: 24, To: 25})
	for _, o := range objects(t, "", strings.TrimPrefix(in("Deployment", "a", "b-c")+in("StatefulSet", "a", "b-c")+in("Deployment", "a-b", "c")+in("Deployment", "a", "other")+in("DaemonSet", "a", long)+in("DaemonSet", "a", long+"x"), "---\n")) {
		if err := c.See(o.(fact.Object)); err != nil {
			t.Fatal(err)
		}
	}
	var files, claims []string
	for _, f := range c.Found() {
		var pv corev1.PersistentVolume
		if err := yaml.Unmarshal(f.YAML, &pv); err != nil {
			t.Fatal(err)
		}
		if f.File != "inline/"+pv.Name+".yaml" || len(pv.Name) > 253 || len(pv.Spec.ClaimRef.Name) > 253 {
			t.Errorf("%s: the file %s holds %s for the claim %s", f.Object, f.File, pv.Name, pv.Spec.ClaimRef.Name)
		}
		files = append(files, f.File)
		claims = append(claims, pv.Spec.ClaimRef.Namespace+"/"+pv.Spec.ClaimRef.Name)
	}
	for what, all := range map[string][]string{"files": files, "claims": claims} {
		slices.Sort(all)
		if once := slices.Compact(slices.Clone(all)); len(once) != 6 {
			t.Errorf("%s: %q", what, all)
		}
	}
	for _, want := range []string{"inline/a-b-c-data.yaml", "inline/a-b-c-data-statefulset.yaml", "inline/a-b-c-data-deployment.yaml", "inline/a-other-data.yaml"} {
		if !slices.Contains(files, want) {
			t.Errorf("no %s: %q", want, files)
		}
	}
	for _, want := range []string{"a/b-c-data", "a/b-c-data-statefulset", "a-b/c-data", "a/other-data"} {
		if !slices.Contains(claims, want) {
			t.Errorf("no %s: %q", want, claims)
		}
	}
}

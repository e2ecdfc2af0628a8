// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/rules"
)

func anyOf(words ...string) func(string, []byte) bool {
	return func(_ string, text []byte) bool {
		return slices.ContainsFunc(words, func(w string) bool { return bytes.Contains(text, []byte(w)) })
	}
}

// What is passed over by its words has nothing to tell: without the content of
// such documents, the same follows from the article's cluster, but for how
// secure its namespaces are.
func TestTelling(t *testing.T) {
	all := objects(t, "all.yaml", clusterOf124+`---
apiVersion: apps/v1
kind: Deployment
metadata: {name: plain, namespace: shop}
spec:
  template:
    spec:
      volumes: [{name: b, emptyDir: {}}]
      containers: [{name: c, image: x, securityContext: {privileged: true}}]
`)
	for n, ask := range []string{
		`[kubectl, get, --raw, /logs/kube-apiserver.log]`, `[curl, "https://kubernetes.default.svc/logs/"]`, `[curl, https://10.0.0.1:6443/logs]`,
		`[sh, -c, "curl -k https://${KUBERNETES_SERVICE_HOST}/logs/"]`, `[curl, "https://k\u0075bernetes/logs"]`,
	} {
		all = append(all, objects(t, "logs.yaml", fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: logs%d, namespace: other}\nspec: {containers: [{name: c, image: x, command: %s}]}\n", n, ask))...)
	}
	way := rules.Way{From: 24, To: 37}
	j := New(known(t), way)
	tells := Telling(known(t), anyOf)
	passed := 0
	var some []fact.Fact
	for _, f := range all {
		o := f.(fact.Object)
		if !tells(string(o.Type), o.Content) {
			o.Content = nil
			passed++
		}
		some = append(some, o)
	}
	if passed == 0 || passed == len(all) {
		t.Fatalf("%d of %d are passed over", passed, len(all))
	}
	ofPods := func(f finding.Finding) bool { return strings.HasPrefix(string(f.Code), "PodSecurity") }
	want := slices.DeleteFunc(found(t, way.From, way.To, all...), ofPods)
	if asking := strings.Count(lines(want), "LogsEndpointOff"); asking < 5 {
		t.Errorf("%d ask for /logs", asking)
	}
	if got := slices.DeleteFunc(found(t, way.From, way.To, some...), ofPods); lines(got) != lines(want) {
		t.Errorf("got\n%s\nwant\n%s", lines(got), lines(want))
	}
	for _, f := range some {
		j.See(f)
	}
	if needs := j.Needs(); !slices.Contains(needs, "shop") {
		t.Errorf("needs %v", needs)
	}
}

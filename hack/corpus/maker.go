// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// maker makes objects, the same ones for the same seed.
type maker struct {
	rand    *rand.Rand
	removed []version
	next    int // of the removed ones
	made    int
}

func newMaker(seed uint64, removed []version) *maker {
	return &maker{rand: rand.New(rand.NewPCG(seed, 1)), removed: removed}
}

// chance is true so many times of a hundred.
func (m *maker) chance(percent int) bool { return m.rand.IntN(100) < percent }

func (m *maker) pick(from ...string) string { return from[m.rand.IntN(len(from))] }

var words = strings.Fields("agent api archive backend batch billing cache catalog checkout collector config controller core data edge events exporter frontend gateway graph ingest jobs ledger logs mail metrics notify orders payments proxy queue relay report router scheduler search session shop store stream sync tasks tracer users vault web worker")

func (m *maker) word() string { return m.pick(words...) }

// name is one that nothing else in the corpus has.
func (m *maker) name() string {
	m.made++
	return fmt.Sprintf("%s-%s-%d", m.word(), m.word(), m.made)
}

// stays are kinds in versions that stay, with how often they occur of a hundred.
var stays = []struct {
	share int
	version
	body func(*maker) string
}{
	{34, version{"apps", "v1", "Deployment", ""}, (*maker).workload},
	{5, version{"apps", "v1", "StatefulSet", ""}, (*maker).workload},
	{4, version{"apps", "v1", "DaemonSet", ""}, (*maker).workload},
	{3, version{"batch", "v1", "CronJob", ""}, (*maker).cronJob},
	{12, version{"", "v1", "Service", ""}, (*maker).service},
	{15, version{"", "v1", "ConfigMap", ""}, (*maker).configMap},
	{3, version{"", "v1", "Secret", ""}, (*maker).secret},
	{4, version{"", "v1", "ServiceAccount", ""}, (*maker).nothing},
	{6, version{"rbac.authorization.k8s.io", "v1", "Role", ""}, (*maker).role},
	{5, version{"networking.k8s.io", "v1", "Ingress", ""}, (*maker).ingress},
	{3, version{"autoscaling", "v2", "HorizontalPodAutoscaler", ""}, (*maker).generic},
	{3, version{"monitoring.coreos.com", "v1", "PrometheusRule", ""}, (*maker).alerts},
	{2, version{"apiextensions.k8s.io", "v1", "CustomResourceDefinition", ""}, (*maker).definition},
	{1, version{"example.com", "v1beta1", "Ingress", ""}, (*maker).generic}, // another group's kind of that name
}

// object makes an object: one of twelve in a version that is removed, each of
// these in turn.
func (m *maker) object() object {
	if m.rand.IntN(12) == 0 {
		v := m.removed[m.next%len(m.removed)]
		m.next++
		return m.put(v, m.bodyOf(v.kind)(m))
	}
	n := m.rand.IntN(100)
	for _, s := range stays {
		if n -= s.share; n < 0 {
			return m.put(s.version, s.body(m))
		}
	}
	return m.put(stays[0].version, stays[0].body(m))
}

func (m *maker) bodyOf(kind string) func(*maker) string {
	switch kind {
	case "Deployment", "DaemonSet", "ReplicaSet", "StatefulSet":
		return (*maker).workload
	case "CronJob":
		return (*maker).cronJob
	case "Ingress":
		return (*maker).ingress
	case "Role", "ClusterRole":
		return (*maker).role
	}
	return (*maker).generic
}

// put writes an object, with its keys in one of the orders that people use.
func (m *maker) put(v version, body string) object {
	apiVersion, kind := "apiVersion: "+v.apiVersion()+"\n", "kind: "+v.kind+"\n"
	metadata := m.metadata()
	switch n := m.rand.IntN(100); {
	case n < 80:
		return object{v, apiVersion + kind + metadata + body}
	case n < 90:
		return object{v, kind + apiVersion + metadata + body}
	case n < 95:
		return object{v, apiVersion[:len(apiVersion)-1] + " # was extensions/v1beta1\n" + kind + metadata + body}
	default:
		return object{v, kind + metadata + body + apiVersion}
	}
}

func (m *maker) metadata() string {
	name := m.name()
	text := "metadata:\n  name: " + name + "\n"
	if m.chance(70) {
		text += "  namespace: " + m.word() + "\n"
	}
	if m.chance(10) {
		text += "  labels: {app: " + name + ", tier: \"" + m.word() + "\"}\n"
	} else {
		text += "  labels:\n    app.kubernetes.io/name: " + name + "\n    app.kubernetes.io/instance: release\n    app.kubernetes.io/version: \"1." + m.pick("2", "3", "10") + ".0\"\n    app.kubernetes.io/managed-by: Helm\n    helm.sh/chart: " + m.word() + "-4.1.0\n"
	}
	if m.chance(12) {
		text += "  annotations:\n    example.com/was: 'apiVersion: extensions/v1beta1'\n    checksum/config: 9f2c8d1e5b7a4c3f6e0d9b8a7c6f5e4d3c2b1a0f9e8d7c6b5a4f3e2d1c0b9a8f\n"
	}
	return text
}

// jsonObject makes an object as JSON, on one line or on many.
func (m *maker) jsonObject(line bool) (version, []byte) {
	v := version{"", "v1", "ConfigMap", ""}
	if m.rand.IntN(12) == 0 {
		v = m.removed[m.next%len(m.removed)]
		m.next++
	}
	data := map[string]string{}
	for range 3 + m.rand.IntN(6) {
		data[m.name()] = "apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata:\n  name: " + strings.Repeat(m.word()+" ", 30)
	}
	value := map[string]any{
		"apiVersion": v.apiVersion(), "kind": v.kind, "data": data,
		"metadata": map[string]any{"name": m.name(), "namespace": m.word(), "labels": map[string]string{"app": m.word(), "template": `{"apiVersion":"apps/v1beta1","kind":"Deployment"}`}},
	}
	var body []byte
	var err error
	if line {
		body, err = json.Marshal(value)
	} else {
		body, err = json.MarshalIndent(value, "  ", "  ")
	}
	if err != nil {
		panic(err) // strings alone can always be written
	}
	return v, body
}

// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"os"
	"slices"
	"syscall"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
)

// The kubelet takes every file but dot files, so a backup counts.
func TestManifestsReadsWhatTheKubeletReads(t *testing.T) {
	m := newMachine(t)
	dir := "etc/kubernetes/manifests/"
	m.put(dir+"kube-apiserver.yaml.bak", manifest("kube-apiserver", "--x"))
	m.put(dir+"noending", manifest("etcd", "--x"))
	m.put(dir+".hidden.yaml", manifest("hidden", "--x"))
	m.put(dir+"sub/in.yaml", manifest("sub", "--x"))
	m.put(dir+"notes.txt", "no manifest")
	m.put("elsewhere.yaml", manifest("linked", "--x"))
	m.link("/elsewhere.yaml", dir+"linked.yaml")
	m.link("/nowhere", dir+"dangling.yaml")
	m.link("/nowhere", dir+".dangling")
	m.link("/etc", dir+"directory")
	must(t, syscall.Mkfifo(m.path(dir+"pipe.yaml"), 0o644))
	m.put(dir+"large.yaml", "")
	must(t, os.Truncate(m.path(dir+"large.yaml"), 100<<20))
	facts, unseen := look(t.Context(), named(t, "manifests"), m.scope(layout.Want{Verb: layout.LookManifests, Path: "/etc/kubernetes/manifests"}))
	var names []string
	for _, f := range facts {
		x := f.(fact.Manifest)
		names = append(names, string(x.Name))
		if x.Name == "" && x.Problem == "" {
			t.Errorf("%+v", x)
		}
	}
	if want := []string{"kube-apiserver", "kube-apiserver", "linked", "etcd", ""}; !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
	var blind []string
	for _, u := range unseen {
		blind = append(blind, string(u.Why)+" "+string(u.What))
	}
	if want := []string{"TooLarge /etc/kubernetes/manifests/large.yaml", "Failed /etc/kubernetes/manifests/dangling.yaml"}; !slices.Equal(blind, want) {
		t.Errorf("%q", blind)
	}
}

// staticPodPath may name one file.
func TestManifestsOfOneFile(t *testing.T) {
	m := newMachine(t)
	m.put("one.yaml", manifest("etcd", "--x"))
	facts, unseen := look(t.Context(), named(t, "manifests"), m.scope(layout.Want{Verb: layout.LookManifests, Path: "/one.yaml"}))
	if len(facts) != 1 || facts[0].(fact.Manifest).Name != "etcd" || len(unseen) != 0 {
		t.Errorf("%v, %v", facts, unseen)
	}
}

func TestManifestsBeyondTheLimit(t *testing.T) {
	m := newMachine(t)
	m.put("etc/kubernetes/manifests/second.yaml", manifest("etcd", "--x"))
	scope := m.scope(layout.Want{Verb: layout.LookManifests, Path: "/etc/kubernetes/manifests"})
	scope.Limits.Manifests = 1
	facts, unseen := look(t.Context(), named(t, "manifests"), scope)
	if len(facts) != 1 || len(unseen) != 1 || unseen[0].Why != fact.TooLarge {
		t.Errorf("%v, %v", facts, unseen)
	}
}

// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/source"
)

func survey(m *machine, endpoints ...string) (fact.Record, layout.Layout) {
	scope := fact.Scope{Root: m.root, KubernetesDir: "/etc/kubernetes", Endpoints: endpoints}
	return source.Survey(m.t.Context(), scope, source.Options{Timeouts: patient})
}

func paths(facts []fact.Fact) (out []string) {
	for _, f := range facts {
		if x, ok := f.(fact.File); ok {
			out = append(out, x.Path)
		}
	}
	return out
}

func TestSurveyFollowsWhatItFinds(t *testing.T) {
	m := newMachine(t)
	// Nothing but the manifest leads to this directory.
	cert, key := m.pair("elsewhere")
	m.put("srv/tls/server.pem", cert)
	m.put("srv/tls/server-key.pem", key)
	m.put("etc/kubernetes/manifests/etcd.yaml", manifest("etcd", "--cert-file=/srv/tls/server.pem", "--key-file=/srv/tls/server-key.pem",
		"--trusted-ca-file=/srv/tls/gone.crt"))
	record, l := survey(m)
	got := paths(record.Facts)
	for _, want := range []string{"/etc/kubernetes/pki/apiserver.crt", "/etc/kubernetes/pki/ca.key", "/etc/kubernetes/scheduler.conf",
		"/srv/tls/server.pem", "/srv/tls/server-key.pem", "/srv/tls/gone.crt"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s was not looked at: %q", want, got)
		}
	}
	if _, ok := l.Component(layout.APIServer); !ok || len(l.Credentials) == 0 {
		t.Errorf("%+v", l.Components)
	}
	if record.Scope.Root != m.root || record.Observed.IsZero() || record.Header.Record != fact.RecordVersion {
		t.Errorf("%+v", record.Header)
	}
	if len(record.Facts) == 0 || record.Facts[0].Kind() != fact.KindNode || record.Facts[0].(fact.Node).Hostname != "cp1" {
		t.Errorf("%v", record.Facts)
	}
}

// The same machine gives the same record, down to the byte, and a record that
// was written and read back leads to the same layout without any key in it.
func TestSurveyIsDeterministic(t *testing.T) {
	m := newMachine(t)
	first, l := survey(m)
	for range 5 {
		again, _ := survey(m)
		if a, b := print(t, first.Facts, first.Unseen), print(t, again.Facts, again.Unseen); a != b {
			t.Fatalf("differs:\n%s\n%s", a, b)
		}
	}
	var file bytes.Buffer
	if err := first.Write(&file); err != nil {
		t.Fatal(err)
	}
	for _, secret := range m.secrets {
		if strings.Contains(file.String(), secret) {
			t.Errorf("the private part of a key is in the record: %s", secret)
		}
	}
	read, err := fact.ReadRecord(&file)
	if err != nil {
		t.Fatal(err)
	}
	replayed := layout.Discover(read.Scope, read.Facts)
	if a, b := fmt.Sprintf("%+v", l.Credentials), fmt.Sprintf("%+v", replayed.Credentials); a != b {
		t.Errorf("replayed:\n%s\n%s", a, b)
	}
}

// A dead endpoint is one Unseen however many ways it was asked, and hides
// nothing else.
func TestSurveyWithDeadEndpoints(t *testing.T) {
	m := newMachine(t)
	alive, dead := m.serveTLS(), refused(t)
	record, _ := survey(m, alive, dead)
	var about []fact.Unseen
	for _, u := range record.Unseen {
		if string(u.What) == dead {
			about = append(about, u)
		}
	}
	if len(about) != 1 || about[0].Why != fact.Unreachable || about[0].Source != "wire" {
		t.Errorf("%+v", about)
	}
	var served, versions int
	for _, f := range record.Facts {
		switch x := f.(type) {
		case fact.Served:
			served++
			if x.Endpoint != alive {
				t.Errorf("%+v", x)
			}
		case fact.Version:
			versions++
		}
	}
	// The handshake and the fleet's see the same chain; it is one fact.
	if served != 2 || versions != 1 || !slices.Contains(paths(record.Facts), "/etc/kubernetes/pki/ca.crt") {
		t.Errorf("%d served, %d versions, files %q", served, versions, paths(record.Facts))
	}
}

func TestSurveyOfEndpointsAlone(t *testing.T) {
	m := newMachine(t)
	record, _ := source.Survey(t.Context(), fact.Scope{Endpoints: []string{m.serveTLS()}}, source.Options{Timeouts: patient})
	for _, f := range record.Facts {
		if k := f.Kind(); k != fact.KindServed && k != fact.KindVersion {
			t.Errorf("%s", k)
		}
	}
	if len(record.Facts) != 3 || len(record.Unseen) != 0 {
		t.Errorf("%v, %v", record.Facts, record.Unseen)
	}
}

func TestSurveyOfNoRoot(t *testing.T) {
	m := newMachine(t)
	root := m.path("nothing")
	scope := fact.Scope{Root: root, KubernetesDir: "/etc/kubernetes", Endpoints: []string{m.serveTLS()}}
	record, _ := source.Survey(t.Context(), scope, source.Options{Timeouts: patient})
	if len(record.Unseen) != 1 || string(record.Unseen[0].What) != root || len(record.Facts) != 3 {
		t.Errorf("%v, %v", record.Facts, record.Unseen)
	}
}

func TestSurveyCancelledBeforeItBegan(t *testing.T) {
	m := newMachine(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	record, _ := source.Survey(ctx, fact.Scope{Root: m.root, KubernetesDir: "/etc/kubernetes", Endpoints: []string{silent(t)}}, source.Options{Timeouts: patient})
	if len(record.Facts) != 0 || len(record.Unseen) < 4 {
		t.Errorf("%v, %v", record.Facts, record.Unseen)
	}
	for _, u := range record.Unseen {
		if u.Why != fact.Canceled {
			t.Errorf("%+v", u)
		}
	}
}

// What was seen before the end is kept, and what was under way is Canceled
// rather than a time-out of its own.
func TestSurveyCancelledOnItsWay(t *testing.T) {
	m := newMachine(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	endpoint := silent(t)
	record, _ := source.Survey(ctx, fact.Scope{Root: m.root, KubernetesDir: "/etc/kubernetes", Endpoints: []string{endpoint}}, source.Options{Timeouts: patient})
	if !slices.Contains(paths(record.Facts), "/etc/kubernetes/pki/apiserver.crt") {
		t.Errorf("%q", paths(record.Facts))
	}
	n := 0
	for _, u := range record.Unseen {
		if string(u.What) == endpoint {
			n++
			if u.Why != fact.Canceled {
				t.Errorf("%+v", u)
			}
		}
	}
	if n == 0 {
		t.Errorf("nothing about %s: %+v", endpoint, record.Unseen)
	}
}

// stub is a source whose Look is the function.
type stub struct {
	name string
	look func(s source.Scope, emit func(fact.Fact), unseen func(fact.Unseen))
}

func (s stub) Name() string { return s.name }
func (s stub) Look(_ context.Context, scope source.Scope, emit func(fact.Fact), unseen func(fact.Unseen)) {
	s.look(scope, emit, unseen)
}

func TestSurveyOutlivesASourceThatPanics(t *testing.T) {
	m := newMachine(t)
	sources := source.All()
	for i, e := range sources {
		if e.Name() == "listing" {
			sources[i].Source = stub{"listing", func(_ source.Scope, emit func(fact.Fact), _ func(fact.Unseen)) {
				emit(fact.Listing{Dir: "/etc/kubernetes"})
				panic("on purpose")
			}}
		}
	}
	record, _ := source.Survey(t.Context(), fact.Scope{Root: m.root, KubernetesDir: "/etc/kubernetes"}, source.Options{Sources: sources, Timeouts: patient})
	i := slices.IndexFunc(record.Unseen, func(u fact.Unseen) bool { return u.Source == "listing" })
	if i < 0 || record.Unseen[i].Why != fact.Failed || !strings.Contains(string(record.Unseen[i].Detail), "on purpose") {
		t.Errorf("%+v", record.Unseen)
	}
	if got := paths(record.Facts); !slices.Contains(got, "/etc/kubernetes/pki/apiserver.crt") {
		t.Errorf("%q", got)
	}
}

// A file that was swept and turns out to be named is looked at again, since
// only then its absence is a fact.
func TestSurveyLooksAgainWhenAFileTurnsOutToBeNamed(t *testing.T) {
	m := newMachine(t)
	m.put("etc/kubernetes/pki/etcd/server.crt", "")
	m.put("etc/kubernetes/manifests/etcd.yaml", manifest("etcd", "--cert-file=/etc/kubernetes/pki/etcd/server.crt", "--key-file=/etc/kubernetes/pki/etcd/server.key"))
	record, _ := survey(m)
	for _, f := range record.Facts {
		if x, ok := f.(fact.File); ok && x.Path == "/etc/kubernetes/pki/etcd/server.crt" {
			if x.Problem == "" {
				t.Errorf("%+v", x)
			}
			return
		}
	}
	t.Errorf("an empty file that a flag names is not there: %q", paths(record.Facts))
}

// A chain in which each file names the next does not go on for ever, and its
// rest is not silence.
func TestSurveyEnds(t *testing.T) {
	m := newMachine(t)
	asked := 0
	endless := stub{"endless", func(s source.Scope, emit func(fact.Fact), _ func(fact.Unseen)) {
		for range s.Wants {
			asked++
			name := fmt.Sprintf("pod-%d", asked)
			emit(fact.Manifest{Path: "/m/" + name, Name: fact.Text(name), Containers: []fact.Container{{Name: fact.Text(name),
				Args: []string{"etcd", "--cert-file=/certs/" + name + ".crt", "--key-file=/certs/" + name + ".key"}}}})
		}
	}}
	sources := []source.Entry{{Source: endless, Verbs: []layout.Verb{layout.LookManifests, layout.LookFile}}}
	record, _ := source.Survey(t.Context(), fact.Scope{Root: m.root, KubernetesDir: "/etc/kubernetes"}, source.Options{Sources: sources, Timeouts: patient})
	for _, u := range record.Unseen {
		if u.Source == "endless" && u.Why == fact.Unsupported && strings.HasPrefix(string(u.What), "/certs/pod-") {
			return
		}
	}
	t.Errorf("after %d looks: %+v", asked, record.Unseen)
}

// The running machine, as far as this user may look: no panic, and every
// Unseen says what and why.
func TestSurveyOfThisMachine(t *testing.T) {
	m := newMachine(t)
	pid := runKubelet(m, "--kubeconfig="+m.path("etc/kubernetes/scheduler.conf"), "--config="+m.path("var/lib/kubelet/config.yaml"))
	record, _ := source.Survey(t.Context(), fact.Scope{Root: "/", KubernetesDir: m.path("etc/kubernetes")}, source.Options{Timeouts: patient})
	if !slices.ContainsFunc(record.Facts, func(f fact.Fact) bool { p, ok := f.(fact.Process); return ok && p.PID == pid }) {
		t.Errorf("the process is not there: %v", record.Facts)
	}
	for _, u := range record.Unseen {
		if u.Source == "" || u.What == "" || u.Why == "" || u.Detail == "" {
			t.Errorf("%+v", u)
		}
	}
}

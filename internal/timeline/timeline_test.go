// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/policy"
)

var now = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// one is a certificate of a year that ends at a date.
func one(name string, end time.Time) finding.Finding {
	return finding.Finding{
		Code: finding.CertificateExpires, ID: fact.NodeID("cp1", name), End: finding.At(end), Class: finding.Renewed, Keeper: finding.KeeperPerson,
		Life: finding.Life{Start: end.AddDate(-1, 0, 0), End: end}, Fix: "kubeadm certs renew " + name,
	}
}

func broken(code finding.Code, name string) finding.Finding {
	return finding.Finding{Code: code, ID: fact.NodeID("cp1", name), End: finding.Now(), Class: finding.Fault, Keeper: finding.KeeperPerson}
}

func days(n int) time.Time { return now.AddDate(0, 0, n) }

func onNode() Envelope {
	return Envelope{Scope: Scope{Root: "/", Node: "cp1", Counts: Counts{Files: 20}}}
}

func build(fs ...finding.Finding) Timeline {
	return Build(fs, nil, policy.Default(), now, onNode())
}

func TestSeveralLooksAreOneItem(t *testing.T) {
	disk := one("apiserver", days(300))
	disk.Evidence = finding.Evidence{Path: "/pki/apiserver.crt"}
	wire := one("apiserver", days(10))
	wire.Evidence = finding.Evidence{Endpoint: "127.0.0.1:6443"}
	wire.Reason = "the port still serves the old one"
	again := wire
	other := one("apiserver", days(5))
	other.Code = finding.KeyReadable

	tl := build(disk, wire, again, other)
	if len(tl.Items) != 2 {
		t.Fatalf("%d items, want 2: %+v", len(tl.Items), tl.Items)
	}
	i := tl.Items[slices.IndexFunc(tl.Items, func(i Item) bool { return i.Code == finding.CertificateExpires })]
	if !i.End.Date.Equal(days(10)) || i.Reason != wire.Reason {
		t.Errorf("the earliest end does not win: %+v", i)
	}
	want := []finding.Evidence{wire.Evidence, disk.Evidence}
	if !reflect.DeepEqual(i.Evidence, want) {
		t.Errorf("evidence is %+v, want %+v", i.Evidence, want)
	}
}

func TestWorstFirst(t *testing.T) {
	notice := one("pki/old.crt", days(-100))
	notice.Class = finding.Notice
	later := finding.Finding{Code: "GateRemoved", ID: "cp1/gate", Class: finding.Fault, End: finding.End{Version: "1.40"}}
	fs := []finding.Finding{
		one("z", days(300)), one("a", days(300)), one("b", days(200)), notice, later, one("c", days(20)),
		one("d", days(-1)), one("e", days(-9)), broken(finding.KeyMismatch, "f"), one("accepted", days(-3)),
	}
	p := policy.Default()
	p.Accepted = []policy.Acceptance{{Code: finding.CertificateExpires, ID: "cp1/accepted", Reason: "why not", Until: days(50)}}
	want := "f e d c gate pki/old.crt accepted b a z"
	for range 20 {
		rand.Shuffle(len(fs), func(i, j int) { fs[i], fs[j] = fs[j], fs[i] })
		var got []string
		for _, i := range Build(fs, nil, p, now, onNode()).Items {
			got = append(got, i.ID.Name())
		}
		if strings.Join(got, " ") != want {
			t.Fatalf("got  %s\nwant %s", strings.Join(got, " "), want)
		}
	}
	tl := Build(fs, nil, p, now, onNode())
	if want := (Summary{Overdue: 3, Unknown: 1, Due: 1, OK: 3, Accepted: 1, Notices: 1}); tl.Summary != want {
		t.Errorf("summary is %+v, want %+v", tl.Summary, want)
	}
}

func TestExitCodes(t *testing.T) {
	ok, due, overdue := one("a", days(300)), one("b", days(20)), one("c", days(-1))
	notice := one("d", days(-1))
	notice.Class = finding.Notice
	version := finding.Finding{Code: "GateRemoved", ID: "cp1/gate", Class: finding.Fault, End: finding.End{Version: "1.40"}}
	u := []fact.Unseen{{Source: "wire", What: "x", Why: fact.Timeout}}
	accept := policy.Default()
	accept.Accepted = []policy.Acceptance{{Code: finding.CertificateExpires, ID: "*", Reason: "all", Until: days(1)}}
	cases := []struct {
		name    string
		fs      []finding.Finding
		us      []fact.Unseen
		p       policy.Policy
		code    int
		verdict policy.Verdict
		reasons []Reason
	}{
		{"nothing", nil, nil, policy.Default(), 0, policy.OK, []Reason{}},
		{"ok", []finding.Finding{ok, notice}, nil, policy.Default(), 0, policy.OK, []Reason{}},
		{"due", []finding.Finding{ok, due}, nil, policy.Default(), 10, policy.Due, []Reason{{10, 1, "1 due, first cp1/b (CertificateExpires)"}}},
		{"unseen outweighs due", []finding.Finding{due}, u, policy.Default(), 12, policy.Unknown,
			[]Reason{{12, 1, "1 could not be looked at"}, {10, 1, "1 due, first cp1/b (CertificateExpires)"}}},
		{"overdue outweighs unseen", []finding.Finding{due, overdue}, u, policy.Default(), 11, policy.Overdue,
			[]Reason{{11, 1, "1 overdue or broken now, first cp1/c (CertificateExpires)"}, {12, 1, "1 could not be looked at"}, {10, 1, "1 due, first cp1/b (CertificateExpires)"}}},
		{"broken now", []finding.Finding{broken(finding.FileMissing, "f")}, nil, policy.Default(), 11, policy.Overdue,
			[]Reason{{11, 1, "1 overdue or broken now, first cp1/f (FileMissing)"}}},
		{"not judged", []finding.Finding{version}, nil, policy.Default(), 12, policy.Unknown, []Reason{{12, 1, "1 could not be judged, first cp1/gate (GateRemoved)"}}},
		{"accepted", []finding.Finding{due, overdue}, nil, accept, 0, policy.OK, []Reason{}},
	}
	for _, c := range cases {
		tl := Build(c.fs, c.us, c.p, now, onNode())
		if tl.ExitCode != c.code || ExitCode(tl) != c.code || tl.Verdict != c.verdict || !reflect.DeepEqual(tl.Reasons, c.reasons) {
			t.Errorf("%s: exit %d, verdict %s, reasons %+v; want %d, %s, %+v", c.name, tl.ExitCode, tl.Verdict, tl.Reasons, c.code, c.verdict, c.reasons)
		}
	}
}

func TestTheTableOfExitCodes(t *testing.T) {
	var order []int
	names := map[string]bool{}
	for _, e := range ExitCodes {
		order = append(order, e.Code)
		if e.Meaning == "" || names[e.Name] {
			t.Errorf("%+v: no meaning, or a name twice", e)
		}
		names[e.Name] = true
	}
	if want := []int{1, 2, 130, 13, 11, 12, 10, 0}; !slices.Equal(order, want) {
		t.Errorf("order is %v, want %v", order, want)
	}
	for n := range order {
		if got := WorstExit(append([]int{0}, order[n:]...)...); got != order[n] {
			t.Errorf("the worst of %v is %d", order[n:], got)
		}
	}
	if got := WorstExit(); got != 0 {
		t.Errorf("the worst of none is %d", got)
	}
	if got := WorstExit(1, 77); got != 77 {
		t.Errorf("an unknown code is hidden by %d", got)
	}
}

func TestTimesAreUTCAndWholeSeconds(t *testing.T) {
	zone := time.FixedZone("x", 3600)
	f := one("apiserver", time.Date(2027, 1, 1, 1, 0, 0, 999, zone))
	odd := time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Evidence.Certificate = &finding.Certificate{NotBefore: time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: odd}
	f.Evidence.Served = []finding.Served{{NotAfter: odd}}
	f.Evidence.Identity = []finding.Identity{{By: odd}}
	given := f
	env := onNode()
	env.ObservedAt = time.Date(2026, 11, 22, 11, 0, 0, 5, zone)
	tl := Build([]finding.Finding{f}, nil, policy.Default(), now.In(zone).Add(time.Millisecond), env)
	if !reflect.DeepEqual(f, given) || !f.Evidence.Certificate.NotAfter.Equal(odd) || !f.Evidence.Served[0].NotAfter.Equal(odd) {
		t.Error("the caller's finding was changed")
	}
	body, err := json.Marshal(tl)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"at":"2026-11-22T10:00:00Z"`, `"observedAt":"2026-11-22T10:00:00Z"`, `"date":"2027-01-01T00:00:00Z"`,
		`"notBefore":"0001-01-01T00:00:00Z"`, `"notAfter":"9999-12-31T23:59:59Z"`, `"by":"9999-12-31T23:59:59Z"`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	tl := Build([]finding.Finding{one("apiserver", days(92)), broken(finding.KeyMismatch, "etcd-server")},
		[]fact.Unseen{{Source: "wire", What: "b", Why: fact.Timeout}, {Source: "files", What: "a\x1b", Why: fact.Denied}, {Source: "wire", What: "b", Why: fact.Timeout}},
		policy.Default(), now, onNode())
	if len(tl.Unseen) != 2 || tl.Unseen[0].Source != "files" || tl.Scope.Counts.Unseen != 2 {
		t.Errorf("unseen is not sorted and distinct: %+v", tl.Unseen)
	}
	body, err := json.Marshal(tl)
	if err != nil {
		t.Fatal(err)
	}
	back, err := Read(bytes.NewReader(body))
	if err != nil || !reflect.DeepEqual(back, tl) {
		t.Errorf("read back as %+v, %v", back, err)
	}
	for body, want := range map[string]string{
		"":   "reading a timeline: EOF",
		"[]": "reading a timeline: json: cannot unmarshal array into Go value of type timeline.Timeline",
		`{"apiVersion":"perennial.dev/v2","kind":"Timeline"}`: `reading a timeline: want apiVersion perennial.dev/v1alpha1 and kind Timeline, not "perennial.dev/v2" and "Timeline"`,
	} {
		if _, err := Read(strings.NewReader(body)); err == nil || err.Error() != want {
			t.Errorf("Read(%s): %v, want %s", body, err, want)
		}
	}
}

func TestEnvelopeOfARecord(t *testing.T) {
	cert := func(b byte) fact.Cert { return fact.Cert{Certificate: testCertificate(b)} }
	env := EnvelopeOf(fact.Record{
		Header: fact.Header{Observed: now, Note: "recorded", Tool: "another version",
			Scope: fact.Scope{Root: "/", KubernetesDir: "/etc/kubernetes", Endpoints: []string{"10.0.0.1:6443"}}},
		Facts: []fact.Fact{
			fact.Node{Hostname: "cp1"},
			fact.File{Path: "a", Certs: []fact.Cert{cert(1), cert(2)}},
			fact.File{Path: "gone", Missing: true},
			fact.File{Path: "b", Kubeconfig: &fact.Kubeconfig{
				Clusters: []fact.KubeconfigCluster{{CAs: []fact.Cert{cert(2)}}}, Users: []fact.KubeconfigUser{{Certs: []fact.Cert{cert(3)}}}}},
			fact.Process{PID: 1}, fact.Process{PID: 2},
			fact.Served{Endpoint: "127.0.0.1:6443", Certs: []fact.Cert{cert(1)}}, fact.Served{Endpoint: "127.0.0.1:6443", SNI: "x", Certs: []fact.Cert{cert(4)}},
		},
		Unseen: []fact.Unseen{{What: "x"}},
	})
	want := Envelope{ObservedAt: now, Note: "recorded", Scope: Scope{Node: "cp1", Root: "/", KubernetesDir: "/etc/kubernetes", Endpoints: []string{"10.0.0.1:6443"},
		Counts: Counts{Files: 2, Certificates: 4, Endpoints: 1, Processes: 2, Unseen: 1}}}
	if !reflect.DeepEqual(env, want) {
		t.Errorf("got  %+v\nwant %+v", env, want)
	}
}

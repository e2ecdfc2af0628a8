// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/policy"
)

func testCertificate(b byte) *x509.Certificate { return &x509.Certificate{Raw: []byte{b}} }

func with(f finding.Finding, change func(*finding.Finding)) finding.Finding {
	change(&f)
	return f
}

func class(c finding.Class) func(*finding.Finding) {
	return func(f *finding.Finding) { f.Class = c }
}

func TestHeadlines(t *testing.T) {
	loopback := func(end time.Time) finding.Finding {
		return with(one("apiserver-loopback", end), func(f *finding.Finding) { f.Code = finding.LoopbackExpires })
	}
	kubelet := with(one("kubelet.conf", days(40)), class(finding.SelfRenewed))
	late := with(one("kubelet.conf", days(3)), class(finding.SelfRenewed))
	stale := with(one("controller-manager.conf", days(3)), func(f *finding.Finding) { f.Code, f.Class = finding.ClientIdentityStale, finding.Lingering })
	hidden := with(one("controller-manager.conf", time.Time{}), func(f *finding.Finding) { f.Code, f.Class = finding.ClientIdentityStale, finding.Lingering })
	caEnd := with(one("ca", days(4000)), func(f *finding.Finding) { f.Code, f.Class = finding.CAExpires, finding.TrustAnchor })
	support := with(one("release", days(1)), func(f *finding.Finding) { f.Code, f.Class = finding.SupportEnds, finding.Notice })
	cases := []struct {
		name string
		fs   []finding.Finding
		want string
	}{
		{"a date ahead", []finding.Finding{one("etcd-server", days(93)), one("apiserver", days(92)), caEnd},
			"This cluster stops working on 2027-02-22 (in 92 days): the API server's serving certificate expires."},
		{"at the same instant, the table's order", []finding.Finding{one("etcd-server", days(92)), one("apiserver", days(92)), one("ca", days(92))},
			"This cluster stops working on 2027-02-22 (in 92 days): the API server's serving certificate expires."},
		{"no file shows it", []finding.Finding{one("apiserver", days(300)), loopback(days(30))},
			"This cluster stops working on 2026-12-22 (in 30 days): the API server's in-memory loopback certificate expires."},
		{"tomorrow", []finding.Finding{one("apiserver", now.Add(31*time.Hour))},
			"This cluster stops working on 2026-11-23 (in 31 hours): the API server's serving certificate expires."},
		{"today", []finding.Finding{one("apiserver", now.Add(5*time.Hour+time.Minute))},
			"This cluster stops working today at 15:01 UTC (in 5 hours): the API server's serving certificate expires."},
		{"in a moment", []finding.Finding{one("apiserver", now.Add(time.Second))},
			"This cluster stops working today at 10:00 UTC (in 1 second): the API server's serving certificate expires."},
		{"in its last second", []finding.Finding{one("apiserver", now)},
			"This cluster stops working today at 10:00 UTC (in 0 seconds): the API server's serving certificate expires."},
		{"past", []finding.Finding{one("apiserver", days(-3)), one("etcd-server", days(20))},
			"This cluster stopped working on 2026-11-19 (3 days ago): the API server's serving certificate expired."},
		{"past, today", []finding.Finding{one("apiserver", now.Add(-90*time.Minute))},
			"This cluster stopped working today at 08:30 UTC (90 minutes ago): the API server's serving certificate expired."},
		{"past, and broken", []finding.Finding{one("apiserver", days(-3)), broken(finding.KeyMismatch, "etcd-server")},
			"This cluster stopped working on 2026-11-19 (3 days ago): the API server's serving certificate expired. Broken besides: etcd's serving certificate and its key do not belong together."},
		{"broken now", []finding.Finding{broken(finding.FileMissing, "sa")},
			"Something is broken now: the file of the service-account key is missing."},
		{"broken now, thrice", []finding.Finding{broken(finding.FileMissing, "sa"), broken(finding.ClockSuspect, "clock"), broken(finding.ChainBroken, "ca"), one("apiserver", days(92))},
			"Something is broken now: the clock cannot be right, and 2 more. This cluster stops working on 2027-02-22 (in 92 days): the API server's serving certificate expires."},
		{"a smaller end before", []finding.Finding{one("admin.conf", days(20)), one("apiserver", days(92))},
			"This cluster stops working on 2027-02-22 (in 92 days): the API server's serving certificate expires. Before that, on 2026-12-12 (in 20 days), the client certificate in admin.conf expires."},
		{"a smaller end the same day", []finding.Finding{one("admin.conf", days(92).Add(-time.Minute)), one("apiserver", days(92))},
			"This cluster stops working on 2027-02-22 (in 92 days): the API server's serving certificate expires."},
		{"a smaller end that has passed", []finding.Finding{one("admin.conf", days(-20)), one("apiserver", days(92))},
			"This cluster stops working on 2027-02-22 (in 92 days): the API server's serving certificate expires. Already on 2026-11-02 (20 days ago), the client certificate in admin.conf expired."},
		{"smaller ends only", []finding.Finding{one("admin.conf", days(20)), one("etcd-healthcheck-client", days(30))},
			"On 2026-12-12 (in 20 days), the client certificate in admin.conf expires."},
		{"what renews itself is expected to", []finding.Finding{kubelet, one("apiserver", days(92))},
			"This cluster stops working on 2027-02-22 (in 92 days): the API server's serving certificate expires."},
		{"until it is late", []finding.Finding{late, one("apiserver", days(92))},
			"This cluster stops working on 2027-02-22 (in 92 days): the API server's serving certificate expires. Before that, on 2026-11-25 (in 3 days), the kubelet's client certificate expires."},
		{"renewed, but still in use", []finding.Finding{stale, one("controller-manager.conf", days(364))},
			"This cluster stops working on 2026-11-25 (in 3 days): the controller manager's client certificate was renewed on disk, but the old one is still in use and expires."},
		{"renewed, but still in use, until nobody sees when", []finding.Finding{hidden, one("apiserver", days(92))},
			"This cluster stops working on 2027-02-22 (in 92 days): the API server's serving certificate expires. Perhaps sooner: the controller manager's client certificate was renewed on disk, but the old one is still in use, and when that one ends cannot be seen."},
		{"with something smaller", []finding.Finding{hidden, one("admin.conf", days(20))},
			"On 2026-12-12 (in 20 days), the client certificate in admin.conf expires. Perhaps sooner: the controller manager's client certificate was renewed on disk, but the old one is still in use, and when that one ends cannot be seen."},
		{"with nothing else", []finding.Finding{hidden},
			"The controller manager's client certificate was renewed on disk, but the old one is still in use, and when that one ends cannot be seen."},
		{"far ahead", []finding.Finding{caEnd},
			"This cluster stops working on 2037-11-04 (in 10 years): the cluster's certificate authority expires."},
		{"the end of support stops nothing", []finding.Finding{support, one("apiserver", days(92))},
			"This cluster stops working on 2027-02-22 (in 92 days): the API server's serving certificate expires."},
		{"neither does a weakness", []finding.Finding{with(broken(finding.KeyReadable, "sa"), class(finding.Weakness))},
			"Nothing that stops working was found."},
		{"a file nobody knows", []finding.Finding{one("pki/mine.crt", days(20))},
			"On 2026-12-12 (in 20 days), pki/mine.crt expires."},
		{"the second of a bundle", []finding.Finding{with(one("ca#2", days(20)), func(f *finding.Finding) { f.Code = finding.CAExpires })},
			"This cluster stops working on 2026-12-12 (in 20 days): the cluster's certificate authority expires."},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := build(c.fs...).Headline; got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestHeadlineWithoutFindings(t *testing.T) {
	u := []fact.Unseen{{Source: "files", What: "/etc/kubernetes", Why: fact.Denied}}
	for _, c := range []struct {
		us   []fact.Unseen
		env  Envelope
		want string
	}{
		{nil, Envelope{}, "Nothing could be looked at, so nothing is known."},
		{u, Envelope{Scope: Scope{Root: "/"}}, "Nothing could be looked at, so nothing is known."},
		{nil, onNode(), "Nothing that stops working was found."},
		{u, onNode(), "Nothing that stops working was found in what could be looked at."},
	} {
		if got := Build(nil, c.us, policy.Default(), now, c.env).Headline; got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestAcceptedIsNoHeadline(t *testing.T) {
	p := policy.Default()
	p.Accepted = []policy.Acceptance{{Code: finding.CertificateExpires, ID: "cp1/apiserver", Reason: "why not", Until: days(1)}}
	tl := Build([]finding.Finding{one("apiserver", days(2)), one("etcd-server", days(300))}, nil, p, now, onNode())
	if want := "This cluster stops working on 2027-09-18 (in 300 days): etcd's serving certificate expires."; tl.Headline != want {
		t.Errorf("got %s", tl.Headline)
	}
	if a := tl.Items[0].Accepted; a == nil || a.Reason != "why not" || !a.Until.Equal(days(1)) || tl.Items[0].Counts {
		t.Errorf("not accepted: %+v", tl.Items[0])
	}
}

func TestHeadlineFromOutside(t *testing.T) {
	at := func(endpoint, name string, end time.Time) finding.Finding {
		return with(one(name, end), func(f *finding.Finding) { f.ID = fact.NodeID(endpoint, name) })
	}
	outside := func(endpoints ...string) Envelope {
		return Envelope{Scope: Scope{Endpoints: endpoints, Counts: Counts{Endpoints: len(endpoints)}}}
	}
	for _, c := range []struct {
		fs   []finding.Finding
		env  Envelope
		want string
	}{
		{[]finding.Finding{at("10.0.0.1:6443", "apiserver", days(92)), at("10.0.0.1:6443", "apiserver-loopback#2", days(30))}, outside("10.0.0.1:6443"),
			"The API server at 10.0.0.1:6443 stops working on 2026-12-22 (in 30 days): the API server's in-memory loopback certificate expires."},
		{[]finding.Finding{at("10.0.0.1:6443", "apiserver", days(92)), at("10.0.0.2:6443", "apiserver", days(-2))}, outside("10.0.0.1:6443", "10.0.0.2:6443"),
			"The API server at 10.0.0.2:6443 stopped working on 2026-11-20 (2 days ago): the API server's serving certificate expired."},
		{[]finding.Finding{at("10.0.0.1:10250", "kubelet", days(2))}, outside("10.0.0.1:10250"),
			"On 2026-11-24 (in 2 days), the kubelet's serving certificate expires at 10.0.0.1:10250."},
	} {
		if got := Build(c.fs, nil, policy.Default(), now, c.env).Headline; got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// Whatever a file is called, the headline stays one readable line.
func TestHostileHeadline(t *testing.T) {
	for _, name := range []string{"\x1b[2J\u202eevil", strings.Repeat("x", 10_000), "a\nb", "", "#", "/"} {
		tl := build(with(one("x", days(3)), func(f *finding.Finding) { f.ID = fact.ID("cp1/" + name) }))
		if strings.ContainsAny(tl.Headline, "\x1b\u202e\n") || len(tl.Headline) > 200 {
			t.Errorf("%q", tl.Headline)
		}
	}
}

func TestEveryCodeHasAClause(t *testing.T) {
	for _, info := range finding.Codes {
		for _, end := range []finding.End{finding.Now(), finding.At(days(5)), finding.At(days(-5)), {}} {
			item := build(finding.Finding{Code: info.Code, ID: "cp1/etcd-peer", End: end, Class: finding.Fault}).Items[0]
			if item.Title == "" || strings.Contains(item.Title, "%!") || strings.HasSuffix(item.Title, ": "+info.Title) {
				t.Errorf("%s at %+v: title is %q", info.Code, end, item.Title)
			}
		}
	}
	release := finding.Finding{Code: finding.SupportEnds, ID: "cp1/release", End: finding.At(days(5)), Class: finding.Notice, Evidence: finding.Evidence{Version: "v1.35.2"}}
	if got := build(release).Items[0].Title; got != "upstream's support of v1.35.2 ends" {
		t.Errorf("the title of a release is %q", got)
	}
	if got := build(broken("NobodyKnows", "gate")).Items[0].Title; got != "gate: NobodyKnows" {
		t.Errorf("the title of an unknown code is %q", got)
	}
}

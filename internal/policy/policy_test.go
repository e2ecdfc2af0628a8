// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"testing"
	"time"

	"perennial.dev/perennial/internal/finding"
)

func date(s string) time.Time {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t
		}
	}
	panic("no date: " + s)
}

func dated(class finding.Class, start, end string) finding.Finding {
	f := finding.Finding{Code: finding.CertificateExpires, ID: "cp1/apiserver", Class: class, Keeper: finding.KeeperPerson, End: finding.At(date(end))}
	if start != "" {
		f.Life = finding.Life{Start: date(start), End: date(end)}
	}
	return f
}

// Each case is judged one second before it is due, when it is due, in the
// second of its end, and one second later.
func TestThresholds(t *testing.T) {
	sooner := dated(finding.Renewed, "2026-01-01", "2027-01-01")
	sooner.End = finding.At(date("2026-06-01")) // its CA ends first
	cases := []struct {
		name string
		f    finding.Finding
		from string
		why  string
	}{
		{"a year: 90 days are less than a third", dated(finding.Renewed, "2026-01-01", "2027-01-01"), "2026-10-03T00:00:00Z", "90 d or less is left"},
		{"270 days: both are the same", dated(finding.Renewed, "2026-01-01", "2026-09-28"), "2026-06-30T00:00:00Z", "90 d or less is left"},
		{"a second less than 270 days: a third", dated(finding.Renewed, "2026-01-01T00:00:01Z", "2026-09-28"), "2026-06-30T00:00:01Z", "a third of its life (89 d) or less is left"},
		{"ten minutes", dated(finding.Renewed, "2026-01-01T00:00:00Z", "2026-01-01T00:10:00Z"), "2026-01-01T00:06:40Z", "a third of its life (3 min) or less is left"},
		{"no life at all", dated(finding.Renewed, "2026-01-01", "2026-01-01"), "2026-01-01T00:00:00Z", "a third of its life (0 s) or less is left"},
		{"a life that ends before it starts", dated(finding.Renewed, "2027-01-01", "2026-01-01"), "2026-01-01T00:00:00Z", "a third of its life (0 s) or less is left"},
		{"life not known", dated(finding.Renewed, "", "2027-01-01"), "2026-10-03T00:00:00Z", "90 d or less is left"},
		{"until the year 9999", dated(finding.Renewed, "2026-01-01", "9999-12-31"), "9999-10-02T00:00:00Z", "90 d or less is left"},
		{"an end before that of its life", sooner, "2026-03-03T00:00:00Z", "90 d or less is left"},

		{"self-renewed, a year", dated(finding.SelfRenewed, "2026-01-01", "2027-01-01"), "2026-12-04T15:00:00Z", "it should have renewed itself when 90 % of its life (328 d) was gone"},
		{"self-renewed, ten minutes", dated(finding.SelfRenewed, "2026-01-01T00:00:00Z", "2026-01-01T00:10:00Z"), "2026-01-01T00:09:15Z", "it should have renewed itself when 90 % of its life (9 min) was gone"},
		{"self-renewed, until the year 9999", dated(finding.SelfRenewed, "2026-01-01", "9999-12-31"), "9401-12-12T20:24:00Z", "it should have renewed itself when 90 % of its life (2621197 d) was gone"},
		{"self-renewed, life not known", dated(finding.SelfRenewed, "", "2027-01-01"), "2027-01-01T00:00:00Z", "it should have renewed itself before its end"},

		{"a CA of ten years", dated(finding.TrustAnchor, "2026-01-01", "2036-01-01"), "2035-01-01T00:00:00Z", "365 d or less is left"},
		{"a CA of a month is always due", dated(finding.TrustAnchor, "2026-01-01", "2026-02-01"), "2025-02-01T00:00:00Z", "365 d or less is left"},
		{"a fault is never early", dated(finding.Fault, "2026-01-01", "2027-01-01"), "2027-01-01T00:00:00Z", "its date has come"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p, from, end := Default(), date(c.from), c.f.End.Date
			got, ok := p.Due(c.f)
			if !ok || !got.Equal(from) {
				t.Fatalf("due from %s, %v, want %s", got.Format(time.RFC3339), ok, c.from)
			}
			expect(t, p.Judge(c.f, from.Add(-time.Second)), OK, true, "not due before "+from.Format(time.DateOnly))
			if !from.After(end) {
				expect(t, p.Judge(c.f, from), Due, true, c.why)
				expect(t, p.Judge(c.f, end), Due, true, c.why)
			}
			expect(t, p.Judge(c.f, end.Add(time.Second)), Overdue, true, "its end has passed")
		})
	}
}

func expect(t *testing.T, j Judgement, v Verdict, counts bool, reason string) {
	t.Helper()
	if j.Verdict != v || j.Counts != counts || j.Reason != reason {
		t.Errorf("got %s, counts %v, %q; want %s, %v, %q", j.Verdict, j.Counts, j.Reason, v, counts, reason)
	}
}

func TestWhatHasNoDate(t *testing.T) {
	now := date("2026-11-22")
	at := finding.At(now.Add(time.Hour))
	cases := []struct {
		name    string
		f       finding.Finding
		verdict Verdict
		counts  bool
		reason  string
	}{
		{"broken now", finding.Finding{Class: finding.Fault, End: finding.Now()}, Overdue, true, "it is broken now"},
		{"a weakness", finding.Finding{Class: finding.Weakness}, Due, true, "it is a weakness until it is mended"},
		{"a weakness, now", finding.Finding{Class: finding.Weakness, End: finding.Now()}, Due, true, "it is a weakness until it is mended"},
		{"an old weakness", finding.Finding{Class: finding.Weakness, End: finding.At(now.AddDate(-1, 0, 0))}, Due, true, "its date has come"},
		{"lingering", finding.Finding{Class: finding.Lingering, End: at}, Due, true, "the old one is still in use"},
		{"lingering, end not known", finding.Finding{Class: finding.Lingering}, Due, true, "the old one is still in use"},
		{"lingering, past its end", finding.Finding{Class: finding.Lingering, End: finding.At(now.Add(-time.Hour))}, Overdue, true, "its end has passed"},
		{"a notice, now", finding.Finding{Class: finding.Notice, End: finding.Now()}, Due, false, "it is worth knowing"},
		{"a notice ahead", finding.Finding{Class: finding.Notice, End: at}, OK, false, "not due before 2026-11-22"},
		{"a notice past its date", finding.Finding{Class: finding.Notice, End: finding.At(now.Add(-time.Hour))}, Due, false, "its date has come"},
		{"a version without a date", finding.Finding{Class: finding.Fault, End: finding.End{Version: "1.40"}}, Unknown, true, "nothing says when it ends"},
		{"no end", finding.Finding{Class: finding.Renewed}, Unknown, true, "nothing says when it ends"},
		{"a version with a date", finding.Finding{Class: finding.Fault, End: finding.End{Version: "1.40", Date: now.AddDate(1, 0, 0)}}, OK, true, "not due before 2027-11-22"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { expect(t, Default().Judge(c.f, now), c.verdict, c.counts, c.reason) })
	}
}

func TestSupportCountsOnRequest(t *testing.T) {
	f := finding.Finding{Code: finding.SupportEnds, ID: "cp1/release", Class: finding.Notice,
		End: finding.At(date("2027-02-28")), SafeStart: date("2027-01-03")}
	p := Default()
	expect(t, p.Judge(f, date("2027-01-02")), OK, false, "not due before 2027-01-03")
	expect(t, p.Judge(f, date("2027-01-03")), Due, false, "the last day to safely begin an upgrade has come")
	expect(t, p.Judge(f, date("2027-03-01")), Due, false, "the last day to safely begin an upgrade has come")
	p.Support.Counts = true
	expect(t, p.Judge(f, date("2027-01-03")), Due, true, "the last day to safely begin an upgrade has come")
	expect(t, p.Judge(f, date("2027-03-01")), Overdue, true, "its end has passed")
	p.Support.Before = 60 * day
	expect(t, p.Judge(f, date("2026-12-29")), OK, true, "not due before 2026-12-30")
	expect(t, p.Judge(f, date("2026-12-30")), Due, true, "60 d or less is left")
	p.Support.Before, f.SafeStart = 0, time.Time{}
	expect(t, p.Judge(f, date("2027-02-27")), OK, true, "not due before 2027-02-28")
}

func TestAcceptedUntilADate(t *testing.T) {
	f := dated(finding.Renewed, "2025-01-01", "2026-01-01")
	p := Default()
	p.Accepted = []Acceptance{
		{Code: finding.CAExpires, ID: "*", Reason: "another code", Until: date("2030-01-01")},
		{Code: finding.CertificateExpires, ID: "cp2/*", Reason: "another node", Until: date("2030-01-01")},
		{Code: finding.CertificateExpires, ID: "cp1/api*", Reason: "moves to new machines in May", Until: date("2027-06-01")},
	}
	j := p.Judge(f, date("2027-05-31T23:59:59Z"))
	expect(t, j, Overdue, false, "its end has passed")
	if j.Accepted == nil || j.Accepted.Reason != "moves to new machines in May" {
		t.Errorf("accepted by %+v", j.Accepted)
	}
	j = p.Judge(f, date("2027-06-01"))
	expect(t, j, Overdue, true, "its end has passed; it was accepted until 2027-06-01")
	if j.Accepted != nil {
		t.Errorf("still accepted: %+v", j.Accepted)
	}
}

func TestKeeperRules(t *testing.T) {
	p := Default()
	p.Keepers = []KeeperRule{
		{ID: "*/etcd-*", Keeper: finding.KeeperPerson, Class: finding.SelfRenewed},
		{ID: "*", Keeper: finding.KeeperOwner},
	}
	f := dated(finding.Renewed, "2026-01-01", "2027-01-01")
	f.ID = "cp1/etcd-server"
	j := p.Judge(f, date("2026-11-22"))
	if j.Keeper != finding.KeeperPerson || j.Class != finding.SelfRenewed || j.Verdict != OK {
		t.Errorf("the first rule that matches does not win: %+v", j)
	}
	f.ID = "cp1/apiserver"
	j = p.Judge(f, date("2026-11-22"))
	if j.Keeper != finding.KeeperOwner || j.Class != finding.Renewed || j.Verdict != Due {
		t.Errorf("a rule without a class changes it: %+v", j)
	}
	fault := finding.Finding{ID: "cp1/etcd-server", Class: finding.Fault, End: finding.Now()}
	if j := p.Judge(fault, date("2026-11-22")); j.Class != finding.Fault || j.Verdict != Overdue {
		t.Errorf("a keeper takes a fault away: %+v", j)
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"cp1/apiserver", "cp1/apiserver", true},
		{"cp1/apiserver", "cp1/apiserver2", false},
		{"cp1/*", "cp1/etc/passwd", true},
		{"*", "", true},
		{"", "", true},
		{"", "x", false},
		{"*/admin.conf", "cp1/admin.conf", true},
		{"*/admin.conf", "cp1/admin.conf.old", false},
		{"cp*/*-client", "cp12/apiserver-etcd-client", true},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "a-c-b", false},
		{"cp?/x", "cp1/x", false},
	} {
		if got := matches(c.pattern, c.s); got != c.want {
			t.Errorf("matches(%q, %q) = %v", c.pattern, c.s, got)
		}
	}
}

// A date before the first that can be written is as good as always.
func TestBeforeTheYearOne(t *testing.T) {
	f := finding.Finding{Class: finding.TrustAnchor, End: finding.At(time.Date(1, 3, 1, 0, 0, 0, 0, time.UTC))}
	if from, ok := Default().Due(f); !ok || !from.IsZero() {
		t.Errorf("due from %v, %v", from, ok)
	}
}

func TestOnTheWay(t *testing.T) {
	p := Default()
	p.To = 37
	ends := func(version string, class finding.Class, impact finding.Impact) finding.Finding {
		return finding.Finding{Class: class, Impact: impact, End: finding.End{Version: version, Date: date("2020-01-01"), Basis: finding.Estimated}}
	}
	now := date("2026-11-22")
	expect(t, p.Judge(ends("1.36", finding.Fault, finding.Breaks), now), Due, true, "1.36 is on the way to 1.37")
	expect(t, p.Judge(ends("1.37", finding.Fault, finding.Blocks), now), Due, true, "the upgrade leads to 1.37")
	expect(t, p.Judge(ends("1.38", finding.Fault, finding.Blocks), now), OK, true, "1.38 is beyond 1.37")
	expect(t, p.Judge(ends("1.36", finding.Notice, finding.Changes), now), Due, false, "1.36 is on the way to 1.37")
	expect(t, p.Judge(ends("1.36", finding.Fault, finding.Changes), now), Due, false, "1.36 is on the way to 1.37")
	expect(t, p.Judge(ends("1.36", finding.Fault, finding.Hint), now), Due, false, "1.36 is on the way to 1.37")
	broken := finding.Finding{Class: finding.Fault, Impact: finding.Breaks, End: finding.Now()}
	expect(t, p.Judge(broken, now), Overdue, true, "it is broken now")
	p.Accepted = []Acceptance{{ID: "*", Reason: "not in use", Until: date("2030-01-01")}}
	if j := p.Judge(ends("1.36", finding.Fault, finding.Breaks), now); j.Accepted == nil || j.Counts || j.Verdict != Due {
		t.Errorf("accepted: %+v", j)
	}
}

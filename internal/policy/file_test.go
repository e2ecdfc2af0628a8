// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/schedule"
	"perennial.dev/perennial/internal/schema"
)

const head = "apiVersion: perennial.dev/v1alpha1\nkind: Config\n"

func TestParse(t *testing.T) {
	got, err := Parse([]byte("# ours\n---\n" + head + `
due:
  renewed: {left: 1/4, atMost: 2160h}
  selfRenewed:
    gone: 80%
    slack: 0.25%
  trustAnchor: 730d
  support: 1d12h
support: due
accepted:
- code: SupportEnds
  id: "*"
  reason: " vendor support until 2028 "
  until: 2028-01-01
- {code: CertificateExpires, id: cp1/admin.conf, reason: not used, until: "2027-01-01T12:00:00+02:00"}
keepers:
- id: cp*/etcd-*
  keeper: person
  class: renewed
- {id: "w*/kubelet", keeper: kubelet}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := Policy{
		Renewed:     Renewed{Part{1, 4}, 90 * day},
		SelfRenewed: SelfRenewed{Part{4, 5}, Part{1, 400}},
		TrustAnchor: 730 * day,
		Support:     Support{Counts: true, Before: 36 * time.Hour},
		Accepted: []Acceptance{
			{finding.SupportEnds, "*", "vendor support until 2028", date("2028-01-01")},
			{finding.CertificateExpires, "cp1/admin.conf", "not used", date("2027-01-01T10:00:00Z").UTC()},
		},
		Keepers: []KeeperRule{
			{"cp*/etcd-*", finding.KeeperPerson, finding.Renewed},
			{"w*/kubelet", finding.KeeperKubelet, ""},
		},
		Agent: DefaultAgent(),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestAnEmptyConfigIsTheDefault(t *testing.T) {
	got, err := Parse([]byte(head))
	if err != nil || !reflect.DeepEqual(got, Default()) {
		t.Errorf("got %+v, %v", got, err)
	}
	asJSON := `{"apiVersion": "perennial.dev/v1alpha1", "kind": "Config"}`
	if got, err := Parse([]byte(asJSON)); err != nil || !reflect.DeepEqual(got, Default()) {
		t.Errorf("as json: got %+v, %v", got, err)
	}
}

func TestParts(t *testing.T) {
	for s, want := range map[string]string{"1/3": "a third", "2/6": "a third", "50%": "half", "25%": "a quarter", "90 %": "90 %", "2.5%": "2.5 %", "0.25%": "0.25 %", "2/3": "66.67 %", "0/5": "0 %", "100%": "100 %"} {
		p, err := ParsePart(s)
		if err != nil || p.String() != want {
			t.Errorf("ParsePart(%q) = %s, %v; want %s", s, p, err, want)
		}
	}
	for _, s := range []string{"", "%", "1", "1/", "/3", "-1/3", "1/-3", "101%", "1.234%", "0x1/3", "123456/1234567", ".5%", "1e1%", "\u0661/3"} {
		if p, err := ParsePart(s); err == nil {
			t.Errorf("ParsePart(%q) = %s", s, p)
		}
	}
	if got := (Part{99998, 99999}).of(300_000_000_000); got != 299_996_999_969 {
		t.Errorf("of a very long life: %d", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(head + "due:\n  renewed: {left: 1/4}\naccepted: [{code: SupportEnds, id: x, reason: why, until: 2027-01-01}]\n"))
	f.Add([]byte("{"))
	f.Add([]byte("---"))
	f.Add([]byte("&a [*a]"))
	f.Add([]byte(head + "due: &a\n  <<: [*a, *a]\n"))
	for _, c := range refused {
		f.Add([]byte(c.body))
	}
	for _, dir := range []string{"good", "refused"} {
		names, _ := filepath.Glob("testdata/" + dir + "/*.yaml")
		for _, name := range names {
			body, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(body)
		}
	}
	published := schema.Read(f, Kind)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse(data)
		if err != nil {
			wrong, ok := errors.AsType[Mistakes](err)
			if !ok || len(wrong) == 0 {
				t.Fatalf("the error is a %T: %v", err, err)
			}
			lines := 1
			for _, r := range string(data) {
				if strings.ContainsRune("\n\r\u0085\u2028\u2029", r) { // YAML's
					lines++
				}
			}
			for _, m := range wrong {
				if m.Line < 1 || m.Line > lines || m.Column < 1 || m.What == "" || fact.Text(m.Error()).String() != m.Error() {
					t.Errorf("%q of %d lines", m.Error(), lines)
				}
			}
			return
		}
		if p.Renewed.AtMost < 0 || p.TrustAnchor < 0 || p.Agent.Every < leastEvery || p.Agent.When.Spread < 0 {
			t.Errorf("a negative threshold: %+v", p)
		}
		for _, a := range p.Accepted {
			if a.Reason == "" || a.Until.IsZero() || a.ID == "" {
				t.Errorf("an incomplete acceptance: %+v", a)
			}
		}
		p.Judge(dated(finding.SelfRenewed, "2026-01-01", "9999-01-01"), date("2026-06-01"))
		p.Agent.When.Next(date("2026-06-01"))
		if value, ok := readable(data); ok {
			if err := published.Accepts(value); err != nil {
				t.Errorf("the schema is stricter: %v", err)
			}
		}
		writtenAndRead(t, p)
	})
}

// FuzzValues sets every field to the same text.
func FuzzValues(f *testing.F) {
	for _, text := range []string{"90d", "1d12h", ".5h", "1/3", "2.5 %", "02:30", "12-24", "2026-12-24", "2027-06-01T12:00:00+02:00", "Europe/Berlin", "never", "none", "window",
		"127.0.0.1:9464", "[::1]:1", "/var/x.prom", "*/admin.conf", "Sat, Sun", "SupportEnds", "self-renewed", "other-node", "", "0", "\u202e"} {
		f.Add(text)
	}
	fields := []string{
		"due: {renewed: {left: %s}}", "due: {renewed: {atMost: %s}}", "due: {selfRenewed: {gone: %s}}", "due: {selfRenewed: {slack: %s}}", "due: {trustAnchor: %s}", "due: {support: %s}",
		"support: %s", "copies: [%s]",
		"accepted: [{code: %s, id: x, reason: y, until: 2027-01-01}]", "accepted: [{code: SupportEnds, id: %s, reason: y, until: 2027-01-01}]",
		"accepted: [{code: SupportEnds, id: x, reason: %s, until: 2027-01-01}]", "accepted: [{code: SupportEnds, id: x, reason: y, until: %s}]",
		"keepers: [{id: %s, keeper: person}]", "keepers: [{id: x, keeper: %s}]", "keepers: [{id: x, keeper: person, class: %s}]",
		"agent: {every: %s}", "agent: {zone: %s}", "agent: {spread: %s}", "agent: {reserve: %s}", "agent: {restart: {apiServer: %s}}", "agent: {restart: {others: %s}}",
		"agent: {windows: [{days: %s, start: 02:00, length: 1h}]}", "agent: {windows: [{start: %s, length: 1h}]}", "agent: {windows: [{start: 02:00, length: %s}]}",
		"agent: {windows: [{start: 02:00, length: 1h, zone: %s}]}", "agent: {never: [{from: %s}]}", "agent: {never: [{from: 01-01, until: %s}]}", "agent: {never: [{from: 2027-01-01, until: %s}]}",
		"agent: {leave: [%s]}", "agent: {listen: %s}", "agent: {textfile: %s}", "agent: {calendar: %s}",
	}
	published := schema.Read(f, Kind)
	f.Fuzz(func(t *testing.T, text string) {
		quoted, err := json.Marshal(text)
		if err != nil || len(text) > 200 {
			t.Skip()
		}
		for _, field := range fields {
			body := []byte(head + strings.Replace(field, "%s", string(quoted), 1) + "\n")
			p, err := Parse(body)
			if err != nil {
				if fact.Text(strings.ReplaceAll(err.Error(), "\n", " ")).String() != strings.ReplaceAll(err.Error(), "\n", " ") {
					t.Errorf("not safe to print: %q", err)
				}
				continue
			}
			if value, ok := readable(body); !ok {
				t.Errorf("%s is read, but not by a plain reader", body)
			} else if err := published.Accepts(value); err != nil {
				t.Errorf("the schema is stricter than the program: %v\n%s", err, body)
			}
			writtenAndRead(t, p)
		}
	})
}

// writtenAndRead holds that a policy is the same after it was written and read.
func writtenAndRead(t *testing.T, p Policy) {
	t.Helper()
	body, err := p.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Parse(body); err != nil || !reflect.DeepEqual(again, p) {
		t.Errorf("%v\nread    %+v\nwritten %+v\n%s", err, again, p, body)
	}
	for line := range strings.SplitSeq(string(body), "\n") {
		if fact.Text(line).String() != line {
			t.Errorf("not safe to print: %q", line)
		}
	}
	asJSON, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Parse(asJSON); err != nil || !reflect.DeepEqual(again, p) {
		t.Errorf("as json: %v\nread    %+v\nwritten %+v\n%s", err, again, p, asJSON)
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	writtenAndRead(t, Default())
	for name, body := range goodFiles(t) {
		p, err := Parse(body)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		writtenAndRead(t, p)
	}
}

func TestTheAgentsSettings(t *testing.T) {
	p, err := Parse(goodFiles(t)["testdata/good/everything.yaml"])
	if err != nil {
		t.Fatal(err)
	}
	zone := func(name string) *time.Location {
		z, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		return z
	}
	day := func(text string) schedule.Day {
		d, err := schedule.ParseDay(text)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	newfoundland := zone("America/St_Johns")
	want := Agent{
		Act: true, Every: 90 * time.Second,
		When: schedule.Rules{
			Calendar: schedule.Calendar{
				Windows: []schedule.Window{
					{Days: []time.Weekday{time.Saturday, time.Sunday}, Start: schedule.Clock{Hour: 2}, Length: 4 * time.Hour, Zone: zone("Europe/Berlin")},
					{Days: []time.Weekday{time.Wednesday}, Start: schedule.Clock{Hour: 22, Minute: 30}, Length: 30 * time.Hour, Zone: newfoundland},
					{Start: schedule.Clock{Hour: 3}, Length: 30 * time.Minute, Zone: newfoundland},
				},
				Never: []schedule.Never{{From: day("12-20"), Until: day("01-06")}, {From: day("02-29"), Until: day("02-29")}, {From: day("2027-03-26"), Until: day("2027-03-29")}},
				Zone:  newfoundland,
			},
			Reserve: -1,
		},
		Restart: Restarts{APIServer: InWindow, Others: Never},
		Leave:   []string{"cp1/admin.conf", "*/front-proxy-*"},
		Listen:  "[::1]:9464", Textfile: "/var/lib/node_exporter/perennial.prom", Calendar: "/var/cache/perennial/deadlines.ics",
	}
	if !reflect.DeepEqual(p.Agent, want) {
		t.Errorf("got  %+v\nwant %+v", p.Agent, want)
	}
	if !p.Agent.Leaves("cp2/front-proxy-client") || p.Agent.Leaves("cp2/admin.conf") {
		t.Error("another thing is left alone")
	}
}

// A settings file is read whenever it changes, and must not cost more than it is
// long.
func TestMuchOfLittle(t *testing.T) {
	for name, body := range map[string]string{
		"aliases":  head + "x: &a {x: 1}\ndue: &b {<<: [*a, *a, *a, *a, *a, *a, *a, *a]}\nagent: {<<: [*b, *b, *b, *b, *b, *b, *b]}\n",
		"itself":   head + "due: &a {<<: [*a, *a]}\n",
		"brackets": strings.Repeat("[", 100_000),
		"braces":   head + "due: " + strings.Repeat("{a: ", 20_000),
		"quotes":   head + strings.Repeat("a: \"\n", 20_000),
		"items":    head + "copies: [" + strings.Repeat("/a, ", 50_000) + "]\n",
		"mistakes": head + strings.Repeat("- 1\n", 50_000),
		"long":     head + "support: " + strings.Repeat("x", maxBytes),
	} {
		_, err := Parse([]byte(body))
		if err == nil || len(err.Error()) > 50_000 {
			t.Errorf("%s: %.200v", name, err)
		}
	}
}

func TestCopies(t *testing.T) {
	p, err := Parse([]byte(head + "copies:\n- /srv/ci/kubeconfig\n"))
	if err != nil || len(p.Copies) != 1 || p.Copies[0] != "/srv/ci/kubeconfig" {
		t.Errorf("%v, %v", p.Copies, err)
	}
	for _, wrong := range []string{"kubeconfig", "/home/*/x", "/srv/../etc/x", "''"} {
		if _, err := Parse([]byte(head + "copies:\n- " + wrong + "\n")); err == nil || !strings.Contains(err.Error(), "copies[0]") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	body, err := os.ReadFile("testdata/good/everything.yaml")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Parse(body); err != nil {
			b.Fatal(err)
		}
	}
}

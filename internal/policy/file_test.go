// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/finding"
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

func TestParseRefuses(t *testing.T) {
	cases := []struct{ name, body, want string }{
		{"nothing", " \n", "the configuration is empty"},
		{"no map", "- a\n", "the configuration is not a map of fields"},
		{"no version", "kind: Config\n", `apiVersion: want perennial.dev/v1alpha1, not ""`},
		{"another version", "apiVersion: perennial.dev/v2\nkind: Config\n", `apiVersion: want perennial.dev/v1alpha1, not "perennial.dev/v2"`},
		{"another kind", "apiVersion: perennial.dev/v1alpha1\nkind: Timeline\n", `kind: want Config, not "Timeline"`},
		{"a field at the top", head + "accept: []\n", `line 3: unknown field "accept"`},
		{"a field below", head + "accepted:\n- code: SupportEnds\n  untill: 2027-01-01\n", `line 5: unknown field "untill"`},
		{"a field in a flow map", head + "due:\n  renewed: {\n    part: 1/3}\n", `line 5: unknown field "part"`},
		{"a field twice, then unknown", head + "due:\n  renewed:\n    x: 1\n  selfRenewed:\n    x: 1\n", `unknown field "x"`},
		{"a repeated field", head + "support: due\nsupport: notice\n", "line 4: key \"support\" already set in map"},
		{"a number", head + "due:\n  trustAnchor: 365\n", "due.trustAnchor: want text, in quotes if need be, not a number"},
		{"a list for a map", head + "due: []\n", "due: want a map of fields, not a array"},
		{"a map for a list", head + "accepted: {}\n", "accepted: want a list, not a object"},
		{"a bad unit", head + "due:\n  trustAnchor: 1y\n", `due.trustAnchor: "1y" is not a duration: want days such as 90d or hours such as 2160h`},
		{"a negative", head + "due:\n  trustAnchor: -1h\n", `due.trustAnchor: "-1h" is not a duration: want days such as 90d or hours such as 2160h`},
		{"too long", head + "due:\n  trustAnchor: 9999999d\n", `due.trustAnchor: "9999999d" is not a duration: want days such as 90d or hours such as 2160h`},
		{"a bad part", head + "due:\n  renewed: {left: 4/3}\n", `due.renewed.left: "4/3" is not a part of a life: want a fraction such as 1/3 or a percentage such as 2.5%`},
		{"a zero part", head + "due:\n  renewed: {left: 1/0}\n", `due.renewed.left: "1/0" is not a part of a life: want a fraction such as 1/3 or a percentage such as 2.5%`},
		{"bad support", head + "support: always\n", `support: "always": want notice or due`},
		{"an unknown code", head + "accepted: [{code: Expires, id: x, reason: why, until: 2027-01-01}]\n", "accepted[0].code: \"Expires\" is no code; `perennial explain` lists them"},
		{"no reason", head + "accepted: [{code: SupportEnds, id: x, reason: ' ', until: 2027-01-01}]\n", "accepted[0].reason: is required; it is what the next reader will ask"},
		{"no date", head + "accepted: [{code: SupportEnds, id: x, reason: why}]\n", "accepted[0].until: is required; a day such as 2027-06-01"},
		{"a bad date", head + "accepted: [{code: SupportEnds, id: x, reason: why, until: June}]\n", `accepted[0].until: "June" is not a date: want a day such as 2027-06-01 or an instant such as 2027-06-01T12:00:00Z`},
		{"no id", head + "accepted: [{code: SupportEnds, reason: why, until: 2027-01-01}]\n", "accepted[0].id: is required; a name such as cp1/apiserver, or * for all"},
		{"an odd keeper", head + "keepers: [{id: x, keeper: me}]\n", `keepers[0].keeper: "me": want one of person, kubelet, restart, owner, unknown, other-node`},
		{"an odd class", head + "keepers: [{id: x, keeper: person, class: notice}]\n", `keepers[0].class: "notice": want one of renewed, self-renewed, trust-anchor`},
		{"two at once", head + "support: x\nkeepers: [{id: '', keeper: person}]\n", "support: \"x\": want notice or due\nkeepers[0].id: is required; a name such as cp1/kubelet.conf, or a pattern with *"},
		{"two documents", head + "---\nsupport: due\n", "line 3: a second document starts here; a configuration is one"},
		{"escape codes", head + "\"\\e[31m\": 1\n", `unknown field "\\x1b[31m"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse([]byte(c.body))
			if err == nil {
				t.Fatal("accepted")
			}
			if got := err.Error(); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if strings.ContainsRune(err.Error(), '\x1b') {
				t.Errorf("the error holds an escape code: %q", err)
			}
		})
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
	f.Add([]byte("&a [*a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse(data)
		if err != nil {
			return
		}
		for _, a := range p.Accepted {
			if a.Reason == "" || a.Until.IsZero() || a.ID == "" {
				t.Errorf("an incomplete acceptance: %+v", a)
			}
		}
		if p.Renewed.AtMost < 0 || p.TrustAnchor < 0 {
			t.Errorf("a negative threshold: %+v", p)
		}
		p.Judge(dated(finding.SelfRenewed, "2026-01-01", "9999-01-01"), date("2026-06-01"))
	})
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

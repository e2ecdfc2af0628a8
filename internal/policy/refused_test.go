// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

const agent = head + "agent:\n"

// refused are files that are not read, with the whole of what is said about them.
// Free is what the schema cannot know.
var refused = []struct {
	name, body, want string
	free             bool
}{
	{name: "nothing", body: " \n", want: "line 1, column 1: the configuration is empty"},
	{name: "a comment", body: "# none\n", want: "line 1, column 1: the configuration is empty"},
	{name: "no map", body: "- a\n",
		want: "line 1, column 1: the configuration is not a map of fields"},
	{name: "a word", body: "hello\n",
		want: "line 1, column 1: the configuration is not a map of fields"},
	{name: "no version", body: "kind: Config\n",
		want: "line 1, column 1: apiVersion: is required: perennial.dev/v1alpha1"},
	{name: "another version", body: "apiVersion: perennial.dev/v2\nkind: Config\nnew: 1\n",
		want: `line 1, column 13: apiVersion: want perennial.dev/v1alpha1, not "perennial.dev/v2"`},
	{name: "another kind", body: "apiVersion: perennial.dev/v1alpha1\nkind: Timeline\n",
		want: `line 2, column 7: kind: want Config, not "Timeline"`},
	{name: "a field at the top", body: head + "accept: []\n",
		want: `line 3, column 1: unknown field "accept": want one of apiVersion, kind, due, support, accepted, keepers, copies, agent`},
	{name: "a field below", body: head + "accepted:\n- code: SupportEnds\n  untill: 2027-01-01\n",
		want: "4 mistakes:\n  line 4, column 3: accepted[0].id: is required: a name such as cp1/apiserver, or a pattern in which * stands for anything\n  line 4, column 3: accepted[0].reason: is required: it is what the next reader will ask\n  line 4, column 3: accepted[0].until: is required: a day such as 2027-06-01\n  line 5, column 3: accepted[0]: unknown field \"untill\": want one of code, id, reason, until"},
	{name: "a field in a flow map", body: head + "due:\n  renewed: {\n    part: 1/3}\n",
		want: `line 5, column 5: due.renewed: unknown field "part": want one of left, atMost`},
	{name: "a repeated field", body: head + "support: due\nsupport: notice\n",
		want: "line 4, column 1: support: is set twice; first on line 3"},
	{name: "a number", body: head + "due:\n  trustAnchor: 365\n",
		want: "line 4, column 16: due.trustAnchor: want text, in quotes if need be, not the number 365"},
	{name: "a list for a map", body: head + "due: []\n",
		want: "line 3, column 6: due: want a map of fields, not a list"},
	{name: "a map for a list", body: head + "accepted: {}\n",
		want: "line 3, column 11: accepted: want a list, not a map"},
	{name: "a map for a text", body: head + "support: {due: 1}\n",
		want: "line 3, column 10: support: want text, in quotes if need be, not a map"},
	{name: "a bad unit", body: head + "due:\n  trustAnchor: 1y\n",
		want: `line 4, column 16: due.trustAnchor: "1y" is not a duration: want days such as 90d or hours such as 2160h`},
	{name: "a negative", body: head + "due:\n  trustAnchor: -1h\n",
		want: `line 4, column 16: due.trustAnchor: "-1h" is not a duration: want days such as 90d or hours such as 2160h`},
	{name: "a sign within", body: head + "due:\n  trustAnchor: 1d-1h\n",
		want: `line 4, column 16: due.trustAnchor: "1d-1h" is not a duration: want days such as 90d or hours such as 2160h`},
	{free: true, name: "too long", body: head + "due:\n  trustAnchor: 9999999d\n",
		want: `line 4, column 16: due.trustAnchor: "9999999d" is not a duration: want days such as 90d or hours such as 2160h`},
	{name: "an empty text", body: head + "due:\n  trustAnchor: \"\"\n",
		want: `line 4, column 16: due.trustAnchor: "" is not a duration: want days such as 90d or hours such as 2160h`},
	{free: true, name: "a bad part", body: head + "due:\n  renewed: {left: 4/3}\n",
		want: `line 4, column 19: due.renewed.left: "4/3" is not a part of a life: want a fraction such as 1/3 or a percentage such as 2.5%`},
	{name: "a zero part", body: head + "due:\n  renewed: {left: 1/0}\n",
		want: `line 4, column 19: due.renewed.left: "1/0" is not a part of a life: want a fraction such as 1/3 or a percentage such as 2.5%`},
	{name: "bad support", body: head + "support: always\n",
		want: `line 3, column 10: support: "always": want notice or due`},
	{free: true, name: "an unknown code", body: head + "accepted: [{code: Expires, id: x, reason: why, until: 2027-01-01}]\n",
		want: "line 3, column 19: accepted[0].code: \"Expires\" is no code; `perennial explain` lists them"},
	{name: "no reason", body: head + "accepted: [{code: SupportEnds, id: x, reason: ' ', until: 2027-01-01}]\n",
		want: "line 3, column 47: accepted[0].reason: is required: it is what the next reader will ask"},
	{name: "no date", body: head + "accepted: [{code: SupportEnds, id: x, reason: why}]\n",
		want: "line 3, column 12: accepted[0].until: is required: a day such as 2027-06-01"},
	{name: "a bad date", body: head + "accepted: [{code: SupportEnds, id: x, reason: why, until: June}]\n",
		want: `line 3, column 59: accepted[0].until: "June" is not a date: want a day such as 2027-06-01 or an instant such as 2027-06-01T12:00:00Z`},
	{name: "no id", body: head + "accepted: [{code: SupportEnds, reason: why, until: 2027-01-01}]\n",
		want: "line 3, column 12: accepted[0].id: is required: a name such as cp1/apiserver, or a pattern in which * stands for anything"},
	{name: "an odd keeper", body: head + "keepers: [{id: x, keeper: me}]\n",
		want: `line 3, column 27: keepers[0].keeper: "me": want person, kubelet, restart, owner, unknown or other-node`},
	{name: "an odd class", body: head + "keepers: [{id: x, keeper: person, class: notice}]\n",
		want: `line 3, column 42: keepers[0].class: "notice": want renewed, self-renewed or trust-anchor`},
	{name: "a relative copy", body: head + "copies: [/srv/../x, kubeconfig]\n",
		want: "2 mistakes:\n  line 3, column 10: copies[0]: \"/srv/../x\": want the absolute path of a file\n  line 3, column 21: copies[1]: \"kubeconfig\": want the absolute path of a file"},
	{free: true, name: "two documents", body: head + "---\nsupport: due\n",
		want: "line 3, column 1: a second document starts here; a configuration is one"},
	{free: true, name: "an empty second document", body: head + "---\n",
		want: "line 3, column 1: a second document starts here; a configuration is one"},
	{name: "escape codes", body: head + "\"\\e[31m\": 1\n",
		want: "line 3, column 1: unknown field \"\\x1b[31m\": want one of apiVersion, kind, due, support, accepted, keepers, copies, agent"},
	{name: "a map as a name", body: head + "{a: b}: 1\n",
		want: "line 3, column 1: want the name of a field, not a map"},
	{name: "a merged mistake", body: head + "due: &d\n  trustAnchor: x\nagent:\n  <<: *d\n",
		want: "2 mistakes:\n  line 4, column 3: agent: unknown field \"trustAnchor\": want one of act, every, windows, never, zone, spread, reserve, perDay, restart, leave, listen, textfile, calendar\n  line 4, column 16: due.trustAnchor: \"x\" is not a duration: want days such as 90d or hours such as 2160h"},
	{name: "merging a text", body: head + "due:\n  <<: x\n",
		want: `line 4, column 7: due: want a map of fields to merge in, not the text "x"`},
	{name: "an alias of itself", body: head + "due: &d\n  <<: *d\n",
		want: "line 4, column 3: due: there is too much in this file, or its aliases make too much of it"},
	{name: "an unknown anchor", body: head + "support: *x\n",
		want: "line 3, column 10: this is no YAML: unknown anchor 'x' referenced"},
	{name: "a tab", body: head + "due:\n\ttrustAnchor: 1d\n",
		want: "line 4, column 1: this is no YAML: found character that cannot start any token"},
	{name: "an open quote", body: head + "support: \"due\nagent:\n  act: true\n",
		want: "line 3, column 10: this is no YAML: found unexpected end of stream"},
	{name: "an open bracket", body: agent + "  leave: [a/b, c/d\n  act: true\n",
		want: "line 4, column 10: this is no YAML: did not find expected ',' or ']'"},
	{name: "bad indentation", body: head + "due:\n    trustAnchor: 1d\n  support: 1d\n",
		want: "line 5, column 3: this is no YAML: did not find expected key"},
	{name: "two colons", body: head + "due: trustAnchor: 1d\n",
		want: "line 3, column 17: this is no YAML: mapping values are not allowed in this context"},
	{name: "no utf-8", body: head + "support: d\xffue\n",
		want: "line 3, column 11: this is no YAML: invalid leading UTF-8 octet"},
	{name: "a control character", body: head + "support: d\aue\n",
		want: "line 3, column 11: this is no YAML: control characters are not allowed"},
	{name: "in the first line", body: "{apiVersion: [\n",
		want: "line 1, column 1: this is no YAML: did not find expected node content"},
	{name: "a star", body: agent + "  leave: [*]\n",
		want: "line 4, column 10: this is no YAML: did not find expected alphabetic or numeric character"},
	{name: "act is a word", body: agent + "  act: yes\n",
		want: `line 4, column 8: agent.act: want true or false, not the text "yes"`},
	{name: "act is a text", body: agent + "  act: \"true\"\n",
		want: `line 4, column 8: agent.act: want true or false, not the text "true"`},
	{free: true, name: "too often", body: agent + "  every: 5s\n",
		want: `line 4, column 10: agent.every: "5s" is too often: want 10s or more`},
	{name: "no start", body: agent + "  windows:\n  - length: 4h\n",
		want: "line 5, column 5: agent.windows[0].start: is required: a time of day such as 02:00"},
	{name: "no length", body: agent + "  windows:\n  - {days: [Sat], start: 02:00}\n",
		want: "line 5, column 5: agent.windows[0].length: is required: a duration such as 4h"},
	{name: "a start of another form", body: agent + "  windows:\n  - start: 2am\n    length: 4h\n",
		want: `line 5, column 12: agent.windows[0].start: time of day "2am": want a form like 02:30`},
	{name: "a start beyond the day", body: agent + "  windows:\n  - {start: \"24:00\", length: 4h}\n",
		want: `line 5, column 13: agent.windows[0].start: time of day "24:00": want a form like 02:30`},
	{free: true, name: "no length at all", body: agent + "  windows:\n  - {start: 02:00, length: 0h}\n",
		want: `line 5, column 28: agent.windows[0].length: "0h": a window without length never opens`},
	{name: "a negative length", body: agent + "  windows:\n  - {start: 02:00, length: -4h}\n",
		want: `line 5, column 28: agent.windows[0].length: "-4h" is not a duration: want days such as 90d or hours such as 2160h`},
	{free: true, name: "a length of weeks", body: agent + "  windows:\n  - {start: 02:00, length: 8d}\n",
		want: `line 5, column 28: agent.windows[0].length: "8d": a window is 7d long at most; without windows any time is right`},
	{name: "a day nobody knows", body: agent + "  windows:\n  - {days: [Sat, Caturday], start: 02:00, length: 4h}\n",
		want: `line 5, column 18: agent.windows[0].days[1]: "Caturday" is no day: want some of Sun, Mon, Tue, Wed, Thu, Fri, Sat`},
	{name: "the second of some days", body: agent + "  windows:\n  - days: Sat, Sunday\n    start: 02:00\n    length: 4h\n",
		want: `line 5, column 16: agent.windows[0].days: "Sunday" is no day: want some of Sun, Mon, Tue, Wed, Thu, Fri, Sat`},
	{name: "a day twice", body: agent + "  windows:\n  - {days: [Sat, Sat], start: 02:00, length: 4h}\n",
		want: "line 5, column 18: agent.windows[0].days[1]: Saturday stands here twice"},
	{name: "no days", body: agent + "  windows:\n  - {days: [], start: 02:00, length: 4h}\n",
		want: "line 5, column 12: agent.windows[0].days: is empty: leave it out for every day"},
	{free: true, name: "a zone nobody knows", body: agent + "  windows:\n  - {start: 02:00, length: 4h, zone: Europe/Berln}\n",
		want: `line 5, column 38: agent.windows[0].zone: "Europe/Berln" is no time zone that this machine or this program knows: want a name of the IANA time zone database, such as Europe/Berlin; a new one needs the machine's package tzdata`},
	{name: "a zone that is the machine's", body: agent + "  zone: Local\n",
		want: `line 4, column 9: agent.zone: "Local" differs from machine to machine: want a name of the IANA time zone database, such as Europe/Berlin`},
	{name: "a zone that is a path", body: agent + "  zone: ../etc/passwd\n",
		want: `line 4, column 9: agent.zone: "../etc/passwd" is no time zone that this machine or this program knows: want a name of the IANA time zone database, such as Europe/Berlin; a new one needs the machine's package tzdata`},
	{name: "never from nowhere", body: agent + "  never:\n  - until: 12-24\n",
		want: "line 5, column 5: agent.never[0].from: is required: a day such as 2026-12-24, or 12-24 for every year"},
	{name: "a day that is none", body: agent + "  never:\n  - from: 02-30\n",
		want: `line 5, column 11: agent.never[0].from: day "02-30": want a form like 2026-12-24, or 12-24 for every year`},
	{name: "a year in one", body: agent + "  never:\n  - {from: 2026-12-20, until: 01-06}\n",
		want: "line 5, column 31: agent.never[0].until: 01-06 with 2026-12-20: want a year in both or in none"},
	{free: true, name: "backwards", body: agent + "  never:\n  - {from: 2026-12-24, until: 2026-12-20}\n",
		want: "line 5, column 31: agent.never[0].until: 2026-12-20 is before 2026-12-24, from which it is"},
	{name: "a spread of another form", body: agent + "  spread: soon\n",
		want: `line 4, column 11: agent.spread: "soon" is not a duration: want days such as 90d or hours such as 2160h`},
	{name: "a reserve of another form", body: agent + "  reserve: always\n",
		want: `line 4, column 12: agent.reserve: "always" is not a duration: want days such as 90d or hours such as 2160h; or never`},
	{name: "fewer than none a day", body: agent + "  perDay: -1\n",
		want: "line 4, column 11: agent.perDay: -1: want 0 for any number, or 1000 at most"},
	{name: "too many a day", body: agent + "  perDay: 100000\n",
		want: "line 4, column 11: agent.perDay: 100000: want 0 for any number, or 1000 at most"},
	{name: "a fraction a day", body: agent + "  perDay: 1.5\n",
		want: "line 4, column 11: agent.perDay: want a whole number such as 4, not the number 1.5"},
	{name: "a text a day", body: agent + "  perDay: \"4\"\n",
		want: `line 4, column 11: agent.perDay: want a whole number such as 4, not the text "4"`},
	{name: "the api server always", body: agent + "  restart: {apiServer: always}\n",
		want: `line 4, column 24: agent.restart.apiServer: "always": want handover, window or never`},
	{name: "others with a handover", body: agent + "  restart: {others: handover}\n",
		want: `line 4, column 21: agent.restart.others: "handover": want always, window or never`},
	{name: "a window that is not there", body: agent + "  restart: {apiServer: window, others: window}\n",
		want: "2 mistakes:\n  line 4, column 24: agent.restart.apiServer: there is no window to wait for: set agent.windows, or handover here\n  line 4, column 40: agent.restart.others: there is no window to wait for: set agent.windows, or always here"},
	{name: "left alone without a node", body: agent + "  leave: [admin.conf]\n",
		want: `line 4, column 11: agent.leave[0]: "admin.conf" matches nothing: a name begins with its node; want "cp1/admin.conf", or "*/admin.conf" for every node`},
	{name: "left alone, nothing", body: agent + "  leave: ['', null]\n",
		want: "2 mistakes:\n  line 4, column 11: agent.leave[0]: is required: a name such as cp1/admin.conf, or a pattern such as */admin.conf\n  line 4, column 15: agent.leave[1]: is required: a name such as cp1/admin.conf, or a pattern such as */admin.conf"},
	{name: "left alone with a space", body: agent + "  leave: [' cp1/admin.conf']\n",
		want: `line 4, column 11: agent.leave[0]: " cp1/admin.conf" matches nothing: no name has a space in it, or what is not shown`},
	{name: "everybody may listen", body: agent + "  listen: 0.0.0.0:9464\n",
		want: `line 4, column 11: agent.listen: "0.0.0.0:9464": want none, or an address of this machine alone such as 127.0.0.1:9464: whoever can reach it reads the node's deadlines, without a password; for a collector elsewhere put a proxy with TLS before it, or set textfile`},
	{name: "no host", body: agent + "  listen: :9464\n",
		want: `line 4, column 11: agent.listen: ":9464": want none, or an address of this machine alone such as 127.0.0.1:9464: whoever can reach it reads the node's deadlines, without a password; for a collector elsewhere put a proxy with TLS before it, or set textfile`},
	{name: "a name", body: agent + "  listen: localhost:9464\n",
		want: `line 4, column 11: agent.listen: "localhost:9464": want none, or an address of this machine alone such as 127.0.0.1:9464: whoever can reach it reads the node's deadlines, without a password; for a collector elsewhere put a proxy with TLS before it, or set textfile`},
	{name: "no port", body: agent + "  listen: 127.0.0.1\n",
		want: `line 4, column 11: agent.listen: "127.0.0.1": want none, or an address of this machine alone such as 127.0.0.1:9464: whoever can reach it reads the node's deadlines, without a password; for a collector elsewhere put a proxy with TLS before it, or set textfile`},
	{name: "port 0", body: agent + "  listen: 127.0.0.1:0\n",
		want: `line 4, column 11: agent.listen: "127.0.0.1:0": want a port from 1 to 65535`},
	{name: "another machine", body: agent + "  listen: \"[2001:db8::1]:9464\"\n",
		want: `line 4, column 11: agent.listen: "[2001:db8::1]:9464": want none, or an address of this machine alone such as 127.0.0.1:9464: whoever can reach it reads the node's deadlines, without a password; for a collector elsewhere put a proxy with TLS before it, or set textfile`},
	{name: "a relative textfile", body: agent + "  textfile: metrics.prom\n",
		want: `line 4, column 13: agent.textfile: "metrics.prom": want the absolute path of a file`},
	{name: "a textfile with another end", body: agent + "  textfile: /var/lib/metrics.txt\n",
		want: `line 4, column 13: agent.textfile: "/var/lib/metrics.txt": want a name that ends with .prom: the node exporter reads no other`},
	{name: "a calendar that is no file", body: agent + "  calendar: /\n",
		want: `line 4, column 13: agent.calendar: "/": want the absolute path of a file`},
	{free: true, name: "one file for both", body: agent + "  textfile: /var/x.prom\n  calendar: /var/x.prom\n",
		want: "line 5, column 13: agent.calendar: is the textfile's path, too"},
	{name: "an agent that is a list", body: head + "agent: []\n",
		want: "line 3, column 8: agent: want a map of fields, not a list"},
	{name: "windows that are a map", body: agent + "  windows: {start: 02:00}\n",
		want: "line 4, column 12: agent.windows: want a list, not a map"},
	{name: "null", body: "---\n",
		want: "line 1, column 1: the configuration is empty"},
	{name: "windows and a wrong one", body: agent + "  windows: [{start: 02:00}]\n  restart: {apiServer: window}\n",
		want: "line 4, column 13: agent.windows[0].length: is required: a duration such as 4h"},
	{name: "a mapped address", body: agent + "  listen: \"[::ffff:127.0.0.1]:9464\"\n",
		want: `line 4, column 11: agent.listen: "[::ffff:127.0.0.1]:9464": want none, or an address of this machine alone such as 127.0.0.1:9464: whoever can reach it reads the node's deadlines, without a password; for a collector elsewhere put a proxy with TLS before it, or set textfile`},
	{free: true, name: "a port beyond", body: agent + "  listen: 127.0.0.1:65536\n",
		want: `line 4, column 11: agent.listen: "127.0.0.1:65536": want none, or an address of this machine alone such as 127.0.0.1:9464: whoever can reach it reads the node's deadlines, without a password; for a collector elsewhere put a proxy with TLS before it, or set textfile`},
	{free: true, name: "a path with an escape", body: agent + "  calendar: \"/x\\ny\"\n",
		want: "line 4, column 13: agent.calendar: \"/x\\ny\": want the absolute path of a file"},
	{free: true, name: "a year zero", body: agent + "  never: [{from: 0000-12-24}]\n",
		want: `line 4, column 18: agent.never[0].from: day "0000-12-24": want a form like 2026-12-24, or 12-24 for every year`},
}

func TestParseRefuses(t *testing.T) {
	for _, c := range refused {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse([]byte(c.body))
			if err == nil {
				t.Fatal("accepted")
			}
			if got := err.Error(); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if _, ok := errors.AsType[Mistakes](err); !ok {
				t.Errorf("the error is a %T", err)
			}
		})
	}
}

// TestRefusedFiles compares all that is said about testdata/refused.
func TestRefusedFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/refused/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, wrong := Parse(body)
		if wrong == nil {
			t.Errorf("%s is accepted", name)
			continue
		}
		golden := strings.TrimSuffix(name, ".yaml") + ".txt"
		if *update {
			if err := os.WriteFile(golden, []byte(wrong.Error()+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if wrong.Error()+"\n" != string(want) {
			t.Errorf("%s:\ngot\n%s\nwant\n%s", name, wrong, want)
		}
	}
}

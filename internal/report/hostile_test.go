// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"sigs.k8s.io/yaml"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/timeline"
)

// hostileNames are what a certificate, a file name or an object may hold.
var hostileNames = []string{
	"\x1b[31mred\x1b[0m\x1b]0;title\a",
	"\u202egpj.exe\u2066\u2069",
	"a\u200bb\u200d\ufeffc\u00ad",
	"<script>alert(1)</script>&amp;",
	"line\nbreak\r\nand\ttab",
	"\u2028\u2029\x7f\x80\u0085\u009b31m",
	"\U000e0041\U000e007f tag characters",
	"\xff\xfe no UTF-8 \xc3\x28",
	"'; rm -rf / #$(reboot)`reboot`",
	strings.Repeat("x", 700),
	strings.Repeat("wide 宽 ", 12),
	"e\u0301\u0323 combining",
	"",
	"\ufffe\uffff no characters \U0001fffe",
}

var colours = regexp.MustCompile(`\x1b\[(?:[0-9]+(?:;[0-9]+)*)m`)

// safe fails if a text has a character that moves the cursor or reorders. It
// does not ask package fact, which it tests too.
func safe(t *testing.T, name, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%s: no UTF-8", name)
	}
	for i, r := range text {
		if r != '\n' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			t.Errorf("%s: %U at %d, near %q", name, r, i, text[max(0, i-20):min(len(text), i+20)])
			return
		}
	}
}

// copied are the lines that are left in one piece, for copying.
func copied(line string) bool {
	return strings.HasPrefix(line, "Next: ") || strings.HasPrefix(line, "Why:  ")
}

func fits(t *testing.T, name, text string, o Options) {
	t.Helper()
	for n, line := range strings.Split(text, "\n") {
		if strings.TrimRight(line, " \t") != line {
			t.Errorf("%s:%d: trailing space: %q", name, n+1, line)
		}
		if o.Width > 0 && !o.Wide && !copied(line) && width(line) > o.Width {
			t.Errorf("%s:%d: %d columns, want at most %d: %q", name, n+1, width(line), o.Width, line)
		}
	}
	if !strings.HasSuffix(text, "\n") || strings.HasSuffix(text, "\n\n") {
		t.Errorf("%s: want one line feed at the end, got %q", name, text[max(0, len(text)-10):])
	}
}

// hostile is a timeline in which every string is the given one.
func hostile(s string) timeline.Timeline {
	text, end := fact.Text(s), issued.AddDate(1, 0, 0)
	evidence := finding.Evidence{
		Path: s, Slot: text, Endpoint: s, Mode: s, Owner: s, IssuerID: fact.ID(s), Consumers: []string{s}, Version: text, Notes: []fact.Text{text},
		Served:   []finding.Served{{Endpoint: s, SNI: text, Fingerprint: s, NotAfter: end}},
		Identity: []finding.Identity{{Component: s, Grade: finding.Grade(s), Because: s}},
		Certificate: &finding.Certificate{Fingerprint: s, Serial: s, Subject: text, Issuer: text, SANs: []fact.Text{text},
			Usages: []string{s}, Key: s, NotBefore: issued, NotAfter: end},
	}
	var fs []finding.Finding
	for n, code := range []finding.Code{finding.CertificateExpires, finding.CAExpires, finding.ClientIdentityStale, finding.KeyReadable, finding.SupportEnds, finding.Code(s)} {
		class := []finding.Class{finding.Renewed, finding.TrustAnchor, finding.Lingering, finding.Weakness, finding.Notice, finding.Fault}[n]
		fs = append(fs, finding.Finding{Code: code, ID: fact.ID("cp1/" + s), End: finding.At(end), Effect: s, Reason: s, Fix: s,
			Keeper: finding.Keeper(s), Class: class, Life: finding.Life{Start: issued, End: end}, Evidence: evidence})
	}
	fs = append(fs, finding.Finding{Code: finding.FileMissing, ID: fact.ID(s), End: finding.End{Version: s, Basis: finding.Basis(s)}, Class: finding.Fault, Evidence: evidence})
	p := policy.Default()
	p.Accepted = []policy.Acceptance{{Code: finding.CAExpires, ID: "*", Reason: s, Until: end}}
	return timeline.Build(fs, []fact.Unseen{{Source: s, What: text, Why: fact.Why(s), Detail: text, Hint: text}}, p, seen,
		timeline.Envelope{Cluster: text, Tool: s, Note: text, ObservedAt: seen.AddDate(0, 0, -1),
			Scope: timeline.Scope{Node: text, Root: s, KubernetesDir: s, Endpoints: []string{s}}})
}

func TestHostileNames(t *testing.T) {
	for n, s := range hostileNames {
		checkHostile(t, fmt.Sprintf("name %d", n), s)
	}
}

func checkHostile(t *testing.T, name, s string) {
	t.Helper()
	tl := hostile(s)
	for _, o := range []Options{{Width: 60}, {Width: 80}, {Width: 120}, {}, {Wide: true}} {
		text := string(render(t, FormatTable, tl, o))
		safe(t, fmt.Sprintf("%s, table %+v", name, o), text)
		fits(t, fmt.Sprintf("%s, table %+v", name, o), text, o)
		aligned(t, fmt.Sprintf("%s, table %+v", name, o), text)
		o.Color = true
		if got := colours.ReplaceAllString(string(render(t, FormatTable, tl, o)), ""); got != text {
			t.Errorf("%s, table %+v: colours change more than colours", name, o)
		}
	}
	var b bytes.Buffer
	if err := Explain(&b, finding.Codes[0], tl.Items, Options{Width: 70, Now: seen}); err != nil {
		t.Fatal(err)
	}
	safe(t, name+", explain", b.String())
	for _, f := range []Format{FormatJSON, FormatYAML} {
		body := render(t, f, tl, Options{})
		safe(t, name+", "+string(f), string(body))
		var back timeline.Timeline
		err := json.Unmarshal(body, &back)
		if f == FormatYAML {
			err = yaml.UnmarshalStrict(body, &back)
		}
		if err != nil || len(back.Items) != len(tl.Items) {
			t.Errorf("%s, %s: does not decode: %v, %d items", name, f, err, len(back.Items))
			continue
		}
		want := strings.ToValidUTF8(s, "\ufffd")
		if utf8.ValidString(s) && f == FormatJSON && string(back.Note) != want {
			t.Errorf("%s: json decodes to %q, want %q", name, back.Note, want)
		}
	}
}

// aligned checks that every row of the table has its columns where the heads
// are: a column starts where two spaces precede it in the head and in the row.
func aligned(t *testing.T, name, text string) {
	t.Helper()
	_, table, found := strings.Cut(text, "\nCREDENTIAL")
	if !found {
		return
	}
	table, _, _ = strings.Cut("CREDENTIAL"+table, "\n\n")
	lines := strings.Split(table, "\n")
	for _, head := range []string{"ENDS (UTC)", "STATE"} {
		at := strings.Index(lines[0], head)
		if at < 0 {
			t.Errorf("%s: no column %s in %q", name, head, lines[0])
			return
		}
		for _, row := range lines[1:] {
			if before := take(row, at); width(before) != at || !strings.HasSuffix(before, "  ") || strings.HasPrefix(row[len(before):], " ") {
				t.Errorf("%s: %s starts elsewhere than in column %d: %q", name, head, at, row)
			}
		}
	}
}

func FuzzHostile(f *testing.F) {
	for _, s := range hostileNames {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkHostile(t, "fuzzed", s) })
}

func TestTenThousandNames(t *testing.T) {
	tl := hostile("n")
	names := make([]fact.Text, 10_000)
	for i := range names {
		names[i] = fact.Text(fmt.Sprintf("dns:host-%d\x1b[2J.example", i))
	}
	for i := range tl.Items {
		tl.Items[i].Evidence[0].Certificate.SANs = names
	}
	if text := render(t, FormatTable, tl, Options{Width: 80}); len(text) > 5000 {
		t.Errorf("the table is %d bytes: names of a certificate have no place in it", len(text))
	}
	for _, f := range ours() {
		// Lines of a calendar end with CR LF.
		safe(t, string(f), strings.ReplaceAll(string(render(t, f, tl, Options{Width: 80})), "\r\n", "\n"))
	}
}

func TestTenThousandRowsFold(t *testing.T) {
	fs := node()
	for i := range 10_000 {
		f := cert(fmt.Sprintf("pki/extra-%05d.crt", i), "ca", "/etc/kubernetes/pki/extra.crt")
		f.End = finding.At(f.Life.End.Add(time.Duration(i) * time.Hour))
		fs = append(fs, f)
	}
	tl := timeline.Build(fs, nil, policy.Default(), seen, envelope())
	text := string(render(t, FormatTable, tl, Options{Width: 100}))
	fits(t, "folded", text, Options{Width: 100})
	if lines := strings.Count(text, "\n"); lines > 60 {
		t.Errorf("%d lines, want a screen or two", lines)
	}
	for _, want := range []string{"\nca  ", "\netcd-ca  ", "\nfront-proxy-ca  ", "more that are ok, the next of them ends on "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if wide := string(render(t, FormatWide, tl, Options{Width: 100})); strings.Count(wide, "pki/extra-") < 10_000 {
		t.Error("the wide table folds")
	}
}

func TestWidth(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc": 3, "宽x": 3, "e\u0301": 1, "ﾊ": 1, "ハ": 2, "…": 1, "😀": 2} {
		if got := width(s); got != want {
			t.Errorf("width(%q) = %d, want %d", s, got, want)
		}
	}
	for _, c := range []struct {
		s    string
		max  int
		want string
	}{
		{"apiserver", 9, "apiserver"},
		{"apiserver", 8, "apis…ver"},
		{"apiserver", 3, "a…r"},
		{"apiserver", 1, "…"},
		{"apiserver", 0, ""},
		{"宽宽宽宽", 6, "宽…宽"},
	} {
		if got := elide(c.s, c.max); got != c.want {
			t.Errorf("elide(%q, %d) = %q, want %q", c.s, c.max, got, c.want)
		}
	}
	if got := wrap("one two  three abcdefghij", 7); fmt.Sprint(got) != "[one two three abcdefg hij]" || len(got) != 4 {
		t.Errorf("wrapped to %q", got)
	}
}

func TestQuotedForAShell(t *testing.T) {
	for s, want := range map[string]string{
		"cp1/etcd-server": "cp1/etcd-server",
		"cp1/ca#2":        "cp1/ca#2",
		"a b":             "'a b'",
		"$(reboot)'":      `'$(reboot)'\'''`,
		"":                "",
	} {
		if got := quoted(s); got != want {
			t.Errorf("quoted(%q) = %s, want %s", s, got, want)
		}
	}
}

func TestColumnsAreDroppedInOrder(t *testing.T) {
	heads := map[int]string{}
	for w := 120; w >= 40; w-- {
		text := string(render(t, FormatTable, fixture(), Options{Width: w}))
		_, rest, _ := strings.Cut(text, "\nCREDENTIAL")
		head, _, _ := strings.Cut(rest, "\n")
		heads[w] = strings.Join(strings.Fields(head), " ")
		fits(t, fmt.Sprint(w), text, Options{Width: w})
	}
	want := []string{
		"ENDS (UTC) LEFT SIGNED BY KEPT BY STATE",
		"ENDS (UTC) LEFT SIGNED BY STATE",
		"ENDS (UTC) LEFT STATE",
		"ENDS (UTC) STATE",
	}
	n := 0
	for w := 120; w >= 40; w-- {
		if heads[w] == want[n] {
			continue
		}
		if n++; n == len(want) || heads[w] != want[n] {
			t.Fatalf("at %d columns the heads are %q, after %q", w, heads[w], want[n-1])
		}
	}
	if n != len(want)-1 {
		t.Errorf("only %d of %d steps were taken", n, len(want)-1)
	}
}

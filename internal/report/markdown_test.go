// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/timeline"
)

// markdownNames are names that Markdown, GitHub or GitLab would make something of.
// That nothing is made of them is seen by a parser that is not ours, in module hack.
var markdownNames = []string{
	"@everyone", "me@example.com", "#1", "!1", "GH-1", "group/project#1", "~bug", "%milestone", "$1", "&2", "deadbeefcafe", ":tada:",
	"https://example.com/a", "www.example.com", "<https://example.com>", "[a](https://example.com)", "![a](https://example.com/a.png)",
	"<img src=x onerror=alert(1)>", "<script>alert(1)</script>", "<!-- hidden", "</details>", "&lt;b&gt;&#64;everyone",
	"*strong*", "_weak_", "~~gone~~", "`code`", "``", "` `` ```", "```", "~~~", "a|b", "|---|", "\\|", "a\\", "\\`", "$`math`$", "$$x$$",
	"# head", "---", "===", "- [ ] task", "1. one", "> quote", "/close", "/label ~bug", "[^1]", "[[_TOC_]]", "{{ jinja }}",
	"line\nbreak", "\n\n# head", "\u202egpj.exe", "\x1b[31m", "\u00a0`\u00a0", "",
}

// hostileTicket is a timeline of those names, all of them in all the places.
func hostileTicket() timeline.Timeline {
	var fs []finding.Finding
	var us []fact.Unseen
	for n, s := range markdownNames {
		f := cert(fmt.Sprintf("x-%02d %s", n, s), "ca", s)
		f.Code, f.Class, f.End, f.File, f.Line = finding.FileMalformed, finding.Fault, finding.Now(), s, n
		f.Effect, f.Reason, f.Fix = s, "it says "+s+" there", s
		fs, us = append(fs, f), append(us, fact.Unseen{Source: s, What: fact.Text(s), Why: fact.Denied, Detail: fact.Text(s), Hint: fact.Text(s)})
		f.Code, f.End.Now, f.End.Version = finding.Code(s), false, s
		fs = append(fs, f)
	}
	p := policy.Default()
	p.Accepted = []policy.Acceptance{{Code: finding.FileMalformed, ID: "*1*", Reason: strings.Join(markdownNames, " "), Until: seen.AddDate(1, 0, 0)}}
	tl := timeline.Build(fs, us, p, seen, timeline.Envelope{Note: fact.Text(strings.Join(markdownNames, " ")), Cluster: "@all", ObservedAt: seen, Scope: timeline.Scope{Server: "https://example.com", Documents: markdownNames[:3]}})
	tl.Headline = strings.Join(markdownNames, " ")
	return tl
}

func TestHostileTicketGolden(t *testing.T) {
	text := render(t, FormatMarkdown, hostileTicket(), Options{})
	safe(t, "ticket", string(text))
	golden(t, "timeline-hostile.md", text)
}

func TestUpgradeTicketGolden(t *testing.T) {
	golden(t, "upgrade.md", render(t, FormatMarkdown, upgraded(t), Options{}))
}

// Outside of code nothing is left but words.
func TestOnlyWordsStandOutsideOfCode(t *testing.T) {
	for _, s := range append(markdownNames, hostileNames...) {
		rest := withoutCode(t, prose("The file "+s+" is (not) there, in 90 days: "+s+"."))
		if strings.ContainsAny(rest, "@#!~%$&<>[]{}*_`^|\\/=+") {
			t.Errorf("%q leaves %q", s, rest)
		}
	}
}

// withoutCode takes out the pieces of code as CommonMark (6.1) finds them: from a
// run of backticks to the next of the same length.
func withoutCode(t *testing.T, text string) string {
	t.Helper()
	runs := regexp.MustCompile("`+")
	var out strings.Builder
	for {
		at := runs.FindStringIndex(text)
		if at == nil {
			return out.String() + text
		}
		out.WriteString(text[:at[0]])
		length, rest := at[1]-at[0], text[at[1]:]
		ended := false
		for _, end := range runs.FindAllStringIndex(rest, -1) {
			if ended = end[1]-end[0] == length; ended {
				text = rest[end[1]:]
				break
			}
		}
		if !ended {
			t.Fatalf("a piece of code has no end: %q", rest)
		}
	}
}

func TestATicketHasRoom(t *testing.T) {
	fs := node()
	for n := range 3000 {
		f := cert(fmt.Sprintf("pki/extra-%05d.crt", n), "ca", "/etc/kubernetes/pki/"+strings.Repeat("x", 4000))
		f.Code, f.Class, f.End, f.Fix = finding.FileMalformed, finding.Fault, finding.Now(), strings.Repeat("y", 9000)
		fs = append(fs, f)
	}
	text := string(render(t, FormatMarkdown, timeline.Build(fs, notSeen(), policy.Default(), seen, envelope()), Options{}))
	if len(text) > 65_536 || !strings.Contains(text, "more are not shown here") || !strings.Contains(text, "more have no section here") || !strings.Contains(text, "### Not seen") {
		t.Errorf("%d bytes:\n%.300s\n...\n%s", len(text), text, text[max(0, len(text)-300):])
	}
}

func TestATicketOfNothing(t *testing.T) {
	text := string(render(t, FormatMarkdown, timeline.Build(nil, nil, policy.Default(), seen, timeline.Envelope{}), Options{}))
	if !strings.HasPrefix(text, "## Nothing could be looked at, so nothing is known.\n") || strings.Contains(text, "|") {
		t.Error(text)
	}
}

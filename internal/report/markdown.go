// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/timeline"
)

// markdownLimit bounds a ticket: GitHub takes 65,536 characters, and people less.
const markdownLimit = 50_000

// Markdown writes a timeline for a ticket: the headline, the scope, a table of what
// is not ok, and for each of these what it is about with its fix.
//
// GitHub and GitLab link what looks like a name, a number of an issue, a commit or
// an address wherever it stands in a text, escaped or not, and run lines that begin
// with a slash. In code they do nothing of it. So every word of which it is not
// certain that it is just a word is code.
func Markdown(w io.Writer, t timeline.Timeline) error {
	m := &markdown{t: t}
	m.head()
	m.hops()
	items := slices.DeleteFunc(slices.Clone(t.Items), func(i timeline.Item) bool { return i.Verdict == policy.OK && i.Counts })
	m.table(items)
	m.sections(items)
	m.unseen()
	return write(w, []byte(strings.TrimRight(m.String(), "\n")+"\n"))
}

type markdown struct {
	strings.Builder
	t timeline.Timeline
}

func (m *markdown) printf(format string, args ...any) { fmt.Fprintf(m, format, args...) }

// full says that there is no room for more.
func (m *markdown) full() bool { return m.Len() > markdownLimit }

func (m *markdown) head() {
	m.printf("## %s\n\n%s\n\n", prose(m.t.Headline), prose(m.t.Looked()))
	if m.t.Note != "" {
		m.printf("Note: %s\n\n", prose(plain(m.t.Note)))
	}
	at := m.t.At
	m.printf("Judged as of %s", prose(minute(at)))
	if seen := m.t.ObservedAt; !seen.IsZero() && !seen.Equal(at) {
		m.printf(", seen on %s", prose(minute(seen)))
	}
	m.printf(": %s.\n\n", prose(counts(m.t.Summary)))
}

// counts says how many items there are of each kind.
func counts(s timeline.Summary) string {
	var all []string
	for _, c := range []struct {
		n    int
		word string
	}{{s.Overdue, "overdue"}, {s.Due, "due"}, {s.Unknown, "unknown"}, {s.OK, "ok"}, {s.Accepted, "accepted"}, {s.Notices, "worth knowing"}} {
		if c.n > 0 {
			all = append(all, fmt.Sprintf("%d %s", c.n, c.word))
		}
	}
	return cmp.Or(strings.Join(all, ", "), "nothing was found")
}

func (m *markdown) hops() {
	u := m.t.Upgrade
	if u == nil || len(u.Hops) == 0 {
		return
	}
	m.printf("| to | blocks | breaks | changes | worth knowing |\n|---|---|---|---|---|\n")
	for _, h := range u.Hops {
		m.printf("| %s | %d | %d | %d | %d |\n", code(h.To), h.Blocks, h.Breaks, h.Changes, h.Notices)
	}
	m.printf("\n")
	for _, n := range u.Notes {
		m.printf("- %s\n", prose(n))
	}
	if len(u.Notes) > 0 {
		m.printf("\n")
	}
}

func (m *markdown) table(items []timeline.Item) {
	if len(items) == 0 {
		return
	}
	m.printf("| state | what | ends | id |\n|---|---|---|---|\n")
	const most = 200
	for n, i := range items {
		if n == most || m.Len() > markdownLimit/2 {
			m.printf("\n%d more are not shown here.\n", len(items)-n)
			break
		}
		m.printf("| %s | %s | %s | %s |\n", prose(i.State()), inCell(prose(i.Title)), inCell(prose(markdownEnd(i))), inCell(code(short(plain(i.ID)))))
	}
	m.printf("\n")
}

func markdownEnd(i timeline.Item) string {
	switch {
	case i.End.Now:
		return "now"
	case i.End.None():
		return ""
	case i.End.Version == "":
		return ends(i, "2006-01-02")
	case i.End.Date.IsZero():
		return "with " + plain(i.End.Version)
	}
	return "with " + plain(i.End.Version) + ", about " + ends(i, "2006-01-02")
}

func (m *markdown) sections(items []timeline.Item) {
	for n, i := range items {
		if m.full() {
			m.printf("%d more have no section here; `perennial check` shows them.\n\n", len(items)-n)
			return
		}
		m.section(i)
	}
}

func (m *markdown) section(i timeline.Item) {
	m.printf("### %s %s\n\n", code(short(plain(i.ID))), prose(short(plain(i.Title))))
	m.item("State", i.State()+", "+i.Because)
	if !i.End.None() {
		m.item("Ends", markdownEnd(i))
	}
	m.item("Effect", i.Effect)
	m.item("Reason", i.Reason)
	if i.File != "" {
		m.item("In", whereOf(i))
	}
	if a := i.Accepted; a != nil {
		m.item("Accepted", "until "+a.Until.UTC().Format("2006-01-02")+": "+plain(a.Reason))
	}
	m.printf("- Code: %s", code(plain(i.Code)))
	if _, known := finding.ByHand(i.Code); known {
		m.printf(", runbook %s", code(finding.Runbook(i.Code)))
	}
	m.printf("\n\n")
	if fix := strings.Trim(lines(i.Fix), "\n"); fix != "" {
		fence := strings.Repeat("`", max(3, longestTicks(fix)+1))
		m.printf("%s\n%s\n%s\n\n", fence, elide(fix, 4000), fence)
	}
}

func (m *markdown) item(name, text string) {
	if text = plain(text); text != "" {
		m.printf("- %s: %s\n", name, prose(elide(text, 2000)))
	}
}

func (m *markdown) unseen() {
	if len(m.t.Unseen) == 0 {
		return
	}
	m.printf("### Not seen\n\n")
	for n, u := range m.t.Unseen {
		if n == 2*unseenShown || m.Len() > markdownLimit+markdownLimit/8 {
			m.printf("- and %d more\n", len(m.t.Unseen)-n)
			return
		}
		m.printf("- %s\n", prose(short(unseenText(u))))
	}
}

// words that are certain to be nothing but words: letters with inner hyphens and
// apostrophes, or short numbers and days, in ordinary punctuation.
var (
	justWord   = regexp.MustCompile(`^\(?[\pL]+(?:['-][\pL]+)*\)?[.,:;?]?$`)
	justNumber = regexp.MustCompile(`^\(?(?:[0-9]{1,6}|[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{2}:[0-9]{2})\)?[,:;]?$`)
	likeCommit = regexp.MustCompile(`^\(?[0-9a-fA-F]{7,}\)?[.,:;]?$`)
)

func certain(word string) bool {
	return (justWord.MatchString(word) || justNumber.MatchString(word)) && !likeCommit.MatchString(word)
}

// prose is a line of text in which each word that could be something else is code.
// Words in a row that are no certain ones are one piece of code.
func prose(text string) string {
	var out, dubious []string
	flush := func() {
		if len(dubious) > 0 {
			out, dubious = append(out, codeWords(strings.Join(dubious, " "))), nil
		}
	}
	for word := range strings.FieldsSeq(plain(text)) {
		if certain(word) {
			flush()
			out = append(out, word)
			continue
		}
		dubious = append(dubious, word)
	}
	flush()
	if len(out) == 0 {
		return "-"
	}
	return strings.Join(out, " ")
}

// codeWords is code, with the punctuation at its end outside.
func codeWords(text string) string {
	body := strings.TrimRight(text, ".,:;")
	if body == "" {
		return code(text)
	}
	return code(body) + text[len(body):]
}

// code is a piece of code: between more backticks than it has in a row itself.
// Every space of the text is a plain one.
func code(text string) string {
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		return r
	}, text))
	if text == "" {
		return "-"
	}
	fence := strings.Repeat("`", longestTicks(text)+1)
	if strings.HasPrefix(text, "`") || strings.HasSuffix(text, "`") {
		text = " " + text + " "
	}
	return fence + text + fence
}

func longestTicks(text string) int {
	longest, run := 0, 0
	for _, r := range text {
		if r != '`' {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return longest
}

// inCell is text for a cell of a table, where a bar ends the cell, in code as well,
// and programs differ about how to keep it from that.
func inCell(text string) string { return strings.ReplaceAll(text, "|", `\x7c`) }

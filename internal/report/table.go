// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/timeline"
)

// Table writes a timeline for people: what was looked at, the headline, what an
// upgrade runs into where one is asked about, what is broken, the credentials by their end, what else is worth knowing, what was
// not seen, and the next command. It fits the width, but for the next command,
// which is left in one piece for copying; with Wide nothing is fitted.
func Table(w io.Writer, t timeline.Timeline, o Options) error {
	v := newView(t, o)
	v.head()
	v.upgrade()
	v.notes(v.broken)
	v.table()
	v.notes(v.beside)
	v.unseen()
	v.next()
	return write(w, []byte(v.finished()))
}

// view is a timeline on its way to a table.
type view struct {
	page
	t      timeline.Timeline
	o      Options
	now    time.Time
	node   string          // stripped from IDs, since all have it
	broken []timeline.Item // one line each, above the table
	rows   []timeline.Item // the table
	beside []timeline.Item // one line each, below the table

	brokenNow []timeline.Item            // that an upgrade is about
	byHop     map[string][]timeline.Item // of the upgrade; "" for what lies beyond it
}

func newView(t timeline.Timeline, o Options) *view {
	v := &view{page: page{width: o.Width, color: o.Color}, t: t, o: o, now: o.Now, byHop: map[string][]timeline.Item{}}
	if v.now.IsZero() {
		v.now = t.At
	}
	if o.Wide {
		v.width = 0
	} else {
		v.node = onlyNode(t.Items)
	}
	for _, i := range t.Items {
		switch {
		case t.Upgrade != nil && i.OfUpgrade():
			v.sortIn(i)
		case expiry(i.Code) && !i.End.Now && !i.End.None():
			v.rows = append(v.rows, i)
			if i.Accepted != nil {
				v.beside = append(v.beside, i)
			}
		case i.Counts && i.Verdict != policy.OK:
			v.broken = append(v.broken, i)
		default:
			v.beside = append(v.beside, i)
		}
	}
	return v
}

// expiry says that a code is about the end of the credential itself, and so a
// row of the table.
func expiry(c finding.Code) bool {
	return c == finding.CertificateExpires || c == finding.CAExpires || c == finding.LoopbackExpires
}

// onlyNode is the node that all IDs have in common.
func onlyNode(items []timeline.Item) string {
	node := ""
	for _, i := range items {
		switch {
		case i.OfUpgrade(): // told by its whole ID
		case node != "" && i.ID.Node() != node, i.ID.Name() == "":
			return ""
		default:
			node = i.ID.Node()
		}
	}
	return node
}

func (v *view) name(id fact.ID) string {
	if v.node != "" {
		return plain(id.Name())
	}
	return plain(id)
}

func (v *view) head() {
	if v.t.Note != "" {
		v.text(purple, "Note: "+plain(v.t.Note), 6)
	}
	v.text("", v.t.Looked(), 2)
	if seen := v.t.ObservedAt; !seen.IsZero() && !sameDay(seen, v.t.At) {
		v.text("", fmt.Sprintf("Seen on %s, judged as of %s.", minute(seen), minute(v.t.At)), 2)
	}
	v.gap()
	v.text(bold, plain(v.t.Headline), 0)
	v.gap()
}

func sameDay(a, b time.Time) bool {
	return a.UTC().Format(time.DateOnly) == b.UTC().Format(time.DateOnly)
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// state is the word in the last column, and its style.
func state(i timeline.Item) (word, style string) {
	styles := map[string]string{"accepted": faint, "notice": faint, string(policy.Overdue): red, string(policy.Due): yellow, string(policy.OK): green}
	return plain(i.State()), cmp.Or(styles[i.State()], purple)
}

// nameRoom is the widest name column of the notes.
const nameRoom = 32

// notes writes items as state, name and what is the matter, with the sentence
// wrapped in its column; below the first two where that would be too narrow.
func (v *view) notes(items []timeline.Item) {
	names, states := 0, 0
	for _, i := range items {
		word, _ := state(i)
		states = max(states, width(word))
		names = max(names, min(nameRoom, width(v.name(i.ID))))
	}
	indent := states + 2 + names + 2
	below := v.width > 0 && v.width-indent < 40
	for _, i := range items {
		word, style := state(i)
		name := v.name(i.ID)
		if !v.o.Wide {
			name = elide(name, nameRoom)
		}
		lead := v.styled(style, word) + strings.Repeat(" ", states-width(word)+2) + pad(name, names) + "  "
		at := indent
		if below {
			v.line(lead)
			at, lead = 2, "  "
		}
		for n, l := range wrap(v.matter(i), v.room(at)) {
			if n > 0 {
				lead = strings.Repeat(" ", at)
			}
			v.line(lead + l)
		}
	}
	v.gap()
}

// matter is what is the matter with an item, in a line.
func (v *view) matter(i timeline.Item) string {
	text := plain(i.Title)
	if !i.End.Date.IsZero() && !expiry(i.Code) {
		text += " " + timeline.When(i.End.Date, v.now)
	}
	if i.End.Version != "" {
		text += " with " + plain(i.End.Version)
	}
	if i.Reason != "" && !expiry(i.Code) {
		text += ": " + plain(i.Reason)
	}
	text += " (" + plain(i.Code) + ")"
	if a := i.Accepted; a != nil {
		text += "; accepted until " + a.Until.UTC().Format(time.DateOnly) + ": " + plain(a.Reason)
	}
	return text
}

// unseenShown bounds the list where a whole machine cannot be reached.
const unseenShown = 20

func (v *view) unseen() {
	for n, u := range v.t.Unseen {
		if n == unseenShown && !v.o.Wide {
			v.text(purple, fmt.Sprintf("not seen: %d more; -o wide shows them", len(v.t.Unseen)-n), 2)
			break
		}
		lines := wrap("not seen: "+unseenText(u), v.room(2))
		for i, l := range lines {
			if i == 0 {
				v.line(strings.Replace(l, "not seen:", v.styled(purple, "not seen:"), 1))
				continue
			}
			v.line("  " + l)
		}
	}
	v.gap()
}

func unseenText(u fact.Unseen) string {
	text := plain(u.What)
	if u.Detail != "" {
		text += ": " + plain(u.Detail)
	}
	text += " (" + plain(u.Why) + ")"
	if u.Hint != "" {
		text += "; " + plain(u.Hint)
	}
	return text
}

// next names the command for the worst that counts.
func (v *view) next() {
	for _, i := range v.t.Items {
		if i.Counts && i.Verdict != policy.OK && i.Fix != "" {
			fix := strings.TrimSpace(plain(i.Fix))
			if strings.Contains(strings.TrimSpace(i.Fix), "\n") { // a diff stands above
				fix = "change " + whereOf(i) + " as it says above"
			}
			v.line("Next: " + v.styled(bold, fix))
			why := quoted(plain(i.ID))
			if i.OfUpgrade() {
				why = quoted(plain(i.Code))
			}
			v.line("Why:  perennial explain " + why)
			return
		}
	}
}

// quoted makes a name safe to copy into a shell: it may come from a file's name.
func quoted(s string) string {
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("./:_@%+=,#-", r):
		default:
			return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
		}
	}
	return s
}

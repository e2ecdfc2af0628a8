// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strconv"
	"strings"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/timeline"
)

// What a table shows of an upgrade before it only counts: places of one
// finding, and findings of one hop.
const (
	placesShown = 5
	groupsShown = 40
)

// upgrade writes the way, what each hop does in numbers, and then each hop's
// findings, worst first.
func (v *view) upgrade() {
	u := v.t.Upgrade
	if u == nil {
		return
	}
	for _, note := range u.Notes {
		v.text(purple, "Note: "+plain(note), 6)
	}
	v.gap()
	v.hops(u)
	v.section("Broken now", v.brokenNow)
	for _, h := range u.Hops {
		title := "With " + plain(h.To)
		if h.To == u.FirstBreak {
			title += ", the first hop that breaks"
		}
		v.section(title, v.byHop[h.To])
	}
	v.section("After "+plain(u.To), v.byHop[""])
}

// sortIn puts an item of the upgrade where it is told.
func (v *view) sortIn(i timeline.Item) {
	if i.End.Now {
		v.brokenNow = append(v.brokenNow, i)
		return
	}
	hop := v.t.Upgrade.HopOf(i)
	v.byHop[hop] = append(v.byHop[hop], i)
}

// hops is the table of what each hop does, in numbers.
func (v *view) hops(u *timeline.Upgrade) {
	if len(u.Hops) == 0 { // it is where it should be
		return
	}
	g := &grid{heads: []string{"HOP TO", "BLOCKS", "BREAKS", "CHANGES", "NOTICES"}}
	number := func(n int, style string) cell {
		if n == 0 {
			return cell{text: "-"}
		}
		return cell{text: strconv.Itoa(n), style: style}
	}
	for _, h := range u.Hops {
		g.rows = append(g.rows, []cell{{text: plain(h.To)}, number(h.Blocks, red), number(h.Breaks, red), number(h.Changes, yellow), number(h.Notices, faint)})
	}
	g.write(&v.page)
	v.gap()
}

// impacts is their order within a hop; what has none comes last.
var impacts = []struct {
	impact finding.Impact
	style  string
}{
	{finding.Blocks, red}, {finding.Breaks, red}, {finding.Changes, yellow}, {finding.Hint, faint}, {"", ""},
}

func (v *view) section(title string, items []timeline.Item) {
	if len(items) == 0 {
		return
	}
	v.gap()
	v.text(bold, title, 0)
	shown, left := 0, 0
	for _, i := range impacts {
		for _, g := range grouped(items, i.impact) {
			if shown == groupsShown && !v.o.Wide {
				left += len(g.items)
				continue
			}
			shown++
			v.group(g, i.style)
		}
	}
	if left > 0 {
		v.text(faint, fmt.Sprintf("and %d more; -o wide has them all", left), 2)
	}
	v.gap()
}

// group is items that say the same about different things.
type group struct {
	items []timeline.Item
	title string // of all; empty where they differ
}

type groupKey struct {
	code             finding.Code
	apiVersion, kind string
	effect           string // where no object tells groups apart, or not it alone
	accepted         bool
}

// grouped joins the items of an impact that say the same, in the order of their
// first ones.
func grouped(items []timeline.Item, impact finding.Impact) []*group {
	var all []*group
	byKey := map[groupKey]*group{}
	for _, i := range items {
		if i.Impact != impact {
			continue
		}
		key := groupKey{code: i.Code, accepted: i.Accepted != nil, effect: i.Effect}
		if o := i.Object; o != nil {
			key.apiVersion, key.kind, key.effect = string(o.APIVersion), string(o.Kind), ""
			if i.Code == finding.VolumePluginRemoved { // what to do is another thing for each plugin
				key.effect = i.Fix
			}
		}
		g := byKey[key]
		if g == nil {
			g = &group{title: i.Title}
			byKey[key], all = g, append(all, g)
		}
		if g.title != i.Title {
			g.title = ""
		}
		g.items = append(g.items, i)
	}
	return all
}

// head is the first line of a group: what happens, to how many.
func (g *group) head() string {
	first := g.items[0]
	text := g.title
	if text == "" {
		text = common(first)
	}
	text = plain(text) + " (" + plain(first.Code) + ")"
	if len(g.items) > 1 {
		text += fmt.Sprintf(", %d times", len(g.items))
	}
	if a := first.Accepted; a != nil {
		text += "; accepted: " + plain(a.Reason)
	}
	return text
}

// common is what the items of a group have in common, in words.
func common(i timeline.Item) string {
	info, ok := finding.Explain(i.Code)
	text := string(i.Code)
	if ok {
		text = info.Title
	}
	if i.Object == nil {
		return text
	}
	return strings.TrimSpace(i.Object.APIVersion.String()+" "+i.Object.Kind.String()) + ": " + text
}

// impactRoom is the width of the column of impacts.
const impactRoom = 9

func (v *view) group(g *group, style string) {
	first := g.items[0]
	word := plain(first.Impact)
	if first.Accepted != nil {
		word, style = "accepted", faint
	}
	if word == "" {
		word = plain(first.Verdict)
	}
	lead := v.styled(style, word) + strings.Repeat(" ", max(1, impactRoom-width(word)))
	for _, l := range wrap(g.head(), v.room(impactRoom)) {
		v.line(lead + l)
		lead = strings.Repeat(" ", impactRoom)
	}
	v.places(g)
	v.detail("Effect", first.Effect)
	v.detail("Reason", first.Reason)
	v.detail("Fix", first.Fix)
	if v.o.Wide {
		v.detail("Because", first.Because)
		v.detail("Rule", ruleText(first.Rule))
	}
}

// detail is a labelled sentence below a group's head.
func (v *view) detail(name, text string) {
	if strings.TrimSpace(text) == "" {
		return
	}
	lead := strings.Repeat(" ", impactRoom) + pad(name+":", impactRoom)
	for line := range strings.Lines(text) { // a diff has several, whose columns count
		line = plain(strings.TrimRight(line, "\r\n"))
		if strings.HasPrefix(line, "+ ") || strings.HasPrefix(line, "- ") || strings.HasPrefix(line, "  ") {
			v.line(lead + line)
			lead = strings.Repeat(" ", 2*impactRoom)
			continue
		}
		for _, l := range wrap(line, v.room(2*impactRoom)) {
			v.line(lead + l)
			lead = strings.Repeat(" ", 2*impactRoom)
		}
	}
}

// places lists where: the file and line, the object, or the node.
func (v *view) places(g *group) {
	indent := strings.Repeat(" ", impactRoom)
	for n, i := range g.items {
		if n == placesShown && !v.o.Wide {
			v.line(indent + v.styled(faint, fmt.Sprintf("and %d more places; -o wide has them all", len(g.items)-n)))
			return
		}
		where := whereOf(i)
		if g.title == "" {
			where += "  " + whatOf(i)
		}
		if v.width > 0 {
			where = elide(where, v.room(impactRoom))
		}
		v.line(indent + where)
	}
}

// whereOf is the place of an item: a file and line, else its ID.
func whereOf(i timeline.Item) string {
	if i.File == "" {
		return plain(i.ID)
	}
	if i.File == "-" {
		return "standard input:" + strconv.Itoa(i.Line)
	}
	return plain(i.File) + ":" + strconv.Itoa(i.Line)
}

// whatOf tells items of one group apart.
func whatOf(i timeline.Item) string {
	switch {
	case i.Object == nil:
		return plain(i.Title)
	case i.File == "":
		return ""
	case i.Object.Namespace == "":
		return i.Object.Name.String()
	}
	return i.Object.Namespace.String() + "/" + i.Object.Name.String()
}

func ruleText(r *finding.Rule) string {
	if r == nil || r.Citation == "" {
		return ""
	}
	return string(r.Origin) + ", " + r.Citation
}

// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"perennial.dev/perennial/internal/plan"
)

// Plan writes what a plan will do: a line for each step with why, then what
// somebody may notice, then what is left alone.
func Plan(w io.Writer, f Format, p plan.Plan, o Options) error {
	return Document(w, f, p, func(w io.Writer) error { return planTable(w, p, o) })
}

func planTable(w io.Writer, p plan.Plan, o Options) error {
	out := &page{width: o.Width, color: o.Color}
	out.text(bold, planHeadline(p), 2)
	if len(p.Steps) > 0 {
		out.gap()
		for _, s := range p.Steps {
			lead := pad(strconv.Itoa(s.Number), 4) + pad(plain(s.Title), titleWidth(p)+2)
			for i, l := range wrap(plain(s.Why), out.room(width(lead))) {
				if i > 0 {
					lead = pad("", width(lead))
				}
				out.line(lead + l)
			}
			for _, d := range s.Details {
				out.line(pad("", 4) + plain(d))
			}
		}
	}
	preflights(out, p)
	for _, s := range p.Steps {
		if s.Felt != "" {
			out.gap()
			out.paragraph("Felt", fmt.Sprintf("%s: %s", plain(s.Title), plain(s.Felt)))
		}
	}
	if len(p.Notes) > 0 {
		out.gap()
	}
	for _, n := range p.Notes {
		name := "Not done"
		if n.ID == "" {
			name = "Mind"
		}
		out.paragraph(name, strings.TrimPrefix(plain(n.ID)+": "+plain(n.Text), ": "))
	}
	return write(w, []byte(out.finished()))
}

// preflights tells how the API server is replaced, why not in a better way, and
// what is not as it could be.
func preflights(out *page, p plan.Plan) {
	d := p.Decision
	if d == nil {
		return
	}
	out.gap()
	way := map[plan.Way]string{
		plan.ByLookup: "a standby serves meanwhile; new connections are steered to it by sk_lookup",
		plan.ByNAT:    "a standby serves meanwhile; new connections are steered to it by nftables",
		plan.InPlace:  "in place; " + d.Felt(),
	}[d.Way]
	if takes := plan.Takes(p); takes > 0 {
		way += fmt.Sprintf("; it takes about %s", takes)
	}
	out.paragraph("API server", plain(way))
	decided := map[plan.PreflightCode]bool{}
	for _, r := range d.Reasons {
		decided[r.Code] = true
		out.paragraph("Why", preflight(r))
	}
	for _, c := range d.Checks {
		if c.Level == plan.LevelWarn && !decided[c.Code] && d.Way != plan.InPlace {
			out.paragraph("Mind", preflight(c))
		}
	}
}

func preflight(p plan.Preflight) string {
	text := plain(p.Says)
	if p.Next != "" {
		text += " (" + plain(p.Next) + ")"
	}
	if p.Code != "" {
		text += " [" + plain(p.Code) + "]"
	}
	return text
}

func planHeadline(p plan.Plan) string {
	counts := map[plan.Verb]int{}
	without := ""
	for _, s := range p.Steps {
		counts[s.Verb]++
		if s.Bridge != nil && s.Verb == plan.Restart {
			without = ", without downtime of the API"
		}
	}
	var parts []string
	for _, v := range []struct {
		verb     plan.Verb
		one, all string
	}{
		{plan.Renew, "1 certificate to renew", "%d certificates to renew"},
		{plan.Create, "1 certificate to make", "%d certificates to make"},
		{plan.Restore, "1 file to restore", "%d files to restore"},
		{plan.Request, "1 request to write", "%d requests to write"},
		{plan.Accept, "1 signed certificate to put in place", "%d signed certificates to put in place"},
		{plan.Refresh, "1 copy to refresh", "%d copies to refresh"},
		{plan.Turn, "1 kubeconfig to turn", "%d kubeconfigs to turn"},
		{plan.Restart, "1 restart", "%d restarts"},
		{plan.Patch, "1 change of an object", "%d changes of objects"},
		{plan.Delete, "1 archive to remove", "%d archives to remove"},
	} {
		switch n := counts[v.verb]; n {
		case 0:
		case 1:
			parts = append(parts, v.one)
		default:
			parts = append(parts, fmt.Sprintf(v.all, n))
		}
	}
	if len(parts) == 0 && len(p.Steps) > 0 {
		return fmt.Sprintf("Plan for %s: %d steps.", plain(p.Node), len(p.Steps))
	}
	if len(parts) == 0 {
		return fmt.Sprintf("Nothing to do on %s.", plain(p.Node))
	}
	return fmt.Sprintf("Plan for %s: %s.", plain(p.Node), strings.Join(parts, ", ")+without)
}

func titleWidth(p plan.Plan) int {
	longest := 0
	for _, s := range p.Steps {
		longest = max(longest, width(plain(s.Title)))
	}
	return longest
}

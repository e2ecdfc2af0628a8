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
	switch f {
	case FormatJSON:
		return JSON(w, p)
	case FormatYAML:
		return YAML(w, p)
	}
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
		}
	}
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
		out.paragraph("Not done", strings.TrimPrefix(plain(n.ID)+": "+plain(n.Text), ": "))
	}
	return write(w, []byte(out.finished()))
}

func planHeadline(p plan.Plan) string {
	counts := map[plan.Verb]int{}
	for _, s := range p.Steps {
		counts[s.Verb]++
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
	} {
		switch n := counts[v.verb]; n {
		case 0:
		case 1:
			parts = append(parts, v.one)
		default:
			parts = append(parts, fmt.Sprintf(v.all, n))
		}
	}
	if len(parts) == 0 {
		return fmt.Sprintf("Nothing to do on %s.", plain(p.Node))
	}
	return fmt.Sprintf("Plan for %s: %s.", plain(p.Node), strings.Join(parts, ", "))
}

func titleWidth(p plan.Plan) int {
	longest := 0
	for _, s := range p.Steps {
		longest = max(longest, width(plain(s.Title)))
	}
	return longest
}

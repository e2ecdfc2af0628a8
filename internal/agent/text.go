// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/journal"
)

// Write renders the status for a person, as it is at an instant.
func (s Status) Write(out io.Writer, now time.Time) error {
	w := &strings.Builder{}
	fmt.Fprintf(w, "%s\n%s\n", s.first(now), s.Headline)
	if s.Settings.Error != "" {
		fmt.Fprintf(w, "\nThe settings cannot be read: %s\n  in force  %s\n", s.Settings.Error, s.Settings.inForce())
	}
	if s.Stopped != nil {
		fmt.Fprintf(w, "\nStopped since %s: nothing is changed any more.\n  why  %s\n  do   %s\n", stamp(s.Stopped.At), s.Stopped.Reason, s.Stopped.todo())
	}
	if s.Doing != "" {
		fmt.Fprintf(w, "\nAt work: %s\n", fact.Text(s.Doing))
	}
	s.people(w)
	s.next(w)
	if s.Approval != nil {
		fmt.Fprintf(w, "\nApproved until %s: %s\n", stamp(s.Approval.Until), s.Approval.what())
	}
	if l := s.Last; l != nil {
		result := string(l.Result)
		if result == "" {
			result = "cut off"
		}
		fmt.Fprintf(w, "\nLast change: %s, %s, %s (perennial history show %s)\n", stamp(l.Ended), fact.Text(l.What), fact.Text(result), fact.Text(l.Plan))
		if l.Why != "" && l.Result != journal.Done {
			fmt.Fprintf(w, "  why  %s\n", l.Why)
		}
	}
	_, err := io.WriteString(out, w.String())
	return err
}

// inForce says which settings are in force while the file cannot be read.
func (s SettingsStatus) inForce() string {
	switch {
	case s.Since.IsZero():
		return "the defaults, with which it only looks: none were ever valid"
	case s.Digest == "":
		return "the defaults, since " + stamp(s.Since) + ", when there was no file"
	}
	return fmt.Sprintf("those of %s, since %s", fact.Text(s.Digest), stamp(s.Since))
}

// first says who it is and whether it is alive.
func (s Status) first(now time.Time) string {
	does := "looks and tells"
	if s.Settings.Act {
		does = "changes what is due"
	}
	if s.Silent(now) {
		return fmt.Sprintf("%s: no agent has looked since %s; it should every %s.", s.Node, stamp(s.Looked), span(s.Every.Duration))
	}
	return fmt.Sprintf("%s: the agent %s; it looked at %s and does every %s.", s.Node, does, stamp(s.Looked), span(s.Every.Duration))
}

func (s Status) people(w io.Writer) {
	for i, p := range s.Person {
		if i == 0 {
			fmt.Fprint(w, "\nA person is needed\n")
		}
		fmt.Fprintf(w, "  %s  %s\n    why  %s\n    do   %s\n", p.ID, fact.Text(p.Code), p.Why, p.Next)
	}
}

func (s Status) next(out io.Writer) {
	if len(s.Next) == 0 {
		fmt.Fprint(out, "\nNothing comes next.\n")
		return
	}
	fmt.Fprint(out, "\nNext\n")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  WHEN (UTC)\tWHAT\tDUE\tENDS\tWHY NOT NOW")
	for _, n := range s.Next {
		when := "not by itself"
		if !n.At.IsZero() {
			when = n.At.UTC().Format("2006-01-02 15:04")
		}
		why := n.Why.String()
		if why == "" && n.Due.After(s.At) {
			why = "it is not due before"
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\n", when, fact.Text(n.What), date(n.Due), date(n.End), why)
	}
	_ = w.Flush() // into memory
}

func (a Approval) what() string {
	if len(a.IDs) == 0 {
		return "all that is due"
	}
	return fact.Text(strings.Join(a.IDs, ", ")).String()
}

// todo is what to do about a stop, with the plan's ID where it is known.
func (s Stop) todo() string {
	next := s.Next.String()
	if s.Plan != "" {
		next = strings.Replace(next, " PLAN ", " "+fact.Text(s.Plan).String()+" ", 1)
	}
	return next
}

func date(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateOnly)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// span is a duration without the parts that are nought.
func span(d time.Duration) string {
	text := d.String()
	for _, nought := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, nought) {
			text = text[:len(text)-2]
		}
	}
	return text
}

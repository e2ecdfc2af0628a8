// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/report"
	"perennial.dev/perennial/internal/schedule"
)

func newAgentConfig(s Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Check or show the settings", Args: cobra.NoArgs,
		Long: `The settings are read from ` + DefaultConfig + `, if it is there,
or from the file that is named; - stands for standard input. The agent reads them
anew when they change, and keeps to the old ones where the new ones are wrong.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newAgentConfigCheck(s), newAgentConfigShow(s))
	return cmd
}

func newAgentConfigCheck(s Streams) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "check [FILE]", Short: "Are the settings right, and what follows from them",
		Long: `Names each mistake with its line and column, or says in words what the settings let
the agent do: when changes are made, what is restarted and what left alone, and
where the deadlines are published. With -o json or yaml it prints all settings in
force instead. The exit code is 1 where the settings are wrong.`,
		Example: `  perennial agent config check
  perennial agent config check new.yaml && sudo cp new.yaml ` + DefaultConfig,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return checkSettings(s, output, args) },
	}
	addDocumentFormat(cmd, &output)
	return cmd
}

func newAgentConfigShow(s Streams) *cobra.Command {
	return &cobra.Command{
		Use: "show [FILE]", Short: "All settings in force, as a settings file",
		Long: `Prints what is in force, defaults included, in the form of the file itself: it can
be saved, edited and used.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			p, _, err := readSettings(s, args)
			if err != nil {
				return err
			}
			return writeSettings(s, p)
		},
	}
}

// readSettings reads the settings that are named, or those of the machine, and
// says where they come from.
func readSettings(s Streams, args []string) (p policy.Policy, from string, err error) {
	from = DefaultConfig
	if len(args) > 0 {
		from = args[0]
	}
	var data []byte
	if from == "-" {
		from = "standard input"
		data, err = io.ReadAll(s.In)
	} else {
		data, err = os.ReadFile(from)
	}
	if errors.Is(err, fs.ErrNotExist) && len(args) == 0 {
		return policy.Default(), "", nil
	}
	if err != nil {
		return p, from, fmt.Errorf("reading the settings: %w", err)
	}
	if p, err = policy.Parse(data); err != nil {
		return p, from, fmt.Errorf("reading the settings %s: %w", from, err)
	}
	return p, from, nil
}

func writeSettings(s Streams, p policy.Policy) error {
	body, err := p.YAML()
	if err != nil {
		return err
	}
	if _, err := s.Out.Write(body); err != nil {
		return fmt.Errorf("writing the settings: %w", err)
	}
	return nil
}

func checkSettings(s Streams, output string, args []string) error {
	format, err := report.ParseFormat(output, report.Documents...)
	if err != nil {
		return usageError{err}
	}
	p, from, err := readSettings(s, args)
	if err != nil {
		return err
	}
	switch format {
	case report.FormatJSON:
		return report.JSON(s.Out, p)
	case report.FormatYAML:
		return writeSettings(s, p)
	}
	ok := fact.Text(from).String() + ": OK"
	if from == "" {
		ok = "OK: there is no " + DefaultConfig + ", so the defaults are in force"
	}
	if _, err := fmt.Fprintf(s.Out, "%s\n\n", ok); err != nil {
		return fmt.Errorf("writing the settings: %w", err)
	}
	return explainAgent(s.Out, p.Agent, s.Now())
}

// explainAgent says in words what the agent may do.
func explainAgent(w io.Writer, a policy.Agent, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(title string, lines ...string) {
		for _, l := range lines {
			fmt.Fprintf(t, "%s\t%s\n", title, fact.Text(l))
			title = ""
		}
	}
	if a.Act {
		row("acts", "yes: it changes what is due")
	} else {
		row("acts", "no: it looks and tells; with agent.act: true it would do what follows")
	}
	row("looks", "every "+length(a.Every))
	row("changes", openings(a.When, now)...)
	if len(a.When.Never) > 0 {
		row("never", days(a.When.Never)...)
	}
	row("limits", limits(a.When)...)
	row("restarts", restarts(a.Restart)...)
	row("leaves alone", orElse(a.Leave, "nothing")...)
	row("publishes", published(a)...)
	if err := t.Flush(); err != nil {
		return fmt.Errorf("writing the settings: %w", err)
	}
	return nil
}

// openings are the next times at which changes are made.
func openings(r schedule.Rules, now time.Time) []string {
	if len(r.Windows) == 0 {
		until := "at any time"
		if o, ok := r.Next(now); !ok {
			until = "never: no day is left"
		} else if !o.Has(now) {
			until = "at any time from " + inZone(o.Begin, zoneOfDays(r)) + " on"
		}
		return []string{until}
	}
	var out []string
	for at := now; len(out) < 3; {
		o, ok := r.Next(at)
		if !ok {
			break
		}
		end := inZone(o.End, zoneOfDays(r))
		if o.Has(now) {
			out = append(out, "now, until "+end)
		} else {
			out = append(out, inZone(o.Begin, zoneOfDays(r))+", until "+end)
		}
		at = o.End
	}
	return orElse(out, "never: no window ever opens")
}

// zoneOfDays is the zone in which times are shown: that of the first window.
func zoneOfDays(r schedule.Rules) *time.Location {
	for _, w := range r.Windows {
		if w.Zone != nil {
			return w.Zone
		}
	}
	if r.Zone != nil {
		return r.Zone
	}
	return time.UTC
}

func inZone(t time.Time, zone *time.Location) string {
	return t.In(zone).Format("Mon 2006-01-02 15:04") + " " + zone.String()
}

func days(never []schedule.Never) (out []string) {
	for _, n := range never {
		text := n.From.String()
		if n.Until != n.From {
			text += " to " + n.Until.String()
		}
		if n.From.Year == 0 {
			text += ", every year"
		}
		out = append(out, text)
	}
	return out
}

func limits(r schedule.Rules) []string {
	perDay := "any number of changes a day, one at a time"
	if r.PerDay > 0 {
		perDay = fmt.Sprintf("%d changes within 24 hours at most, one at a time", r.PerDay)
	}
	out := []string{perDay}
	if r.Spread > 0 {
		out = append(out, "nodes with these settings begin within "+length(r.Spread)+" of each other, each at its own moment")
	}
	closes := len(r.Windows) > 0 || len(r.Never) > 0
	switch {
	case closes && r.Reserve < 0:
		out = append(out, "nothing is changed outside of windows, whatever ends")
	case closes:
		out = append(out, "what no window opens for until "+length(r.Reserve)+" before its end is then changed outside of them")
	}
	return out
}

func restarts(r policy.Restarts) []string {
	server := map[policy.Restart]string{
		policy.Handover: "the API server: only while a standby serves in its place",
		policy.InWindow: "the API server: while a standby serves in its place, or in place while a window is open",
		policy.Never:    "the API server: never; a person does it",
	}
	others := map[policy.Restart]string{
		policy.Always:   "the controller manager, the scheduler and the like: whenever a change needs it",
		policy.InWindow: "the controller manager, the scheduler and the like: while a window is open",
		policy.Never:    "the controller manager, the scheduler and the like: never; a person does it",
	}
	return []string{server[r.APIServer], others[r.Others]}
}

func published(a policy.Agent) []string {
	var out []string
	if a.Listen != "" {
		out = append(out, "http://"+a.Listen+"/metrics, /healthz and /readyz")
	}
	if a.Textfile != "" {
		out = append(out, a.Textfile+": metrics for the node exporter")
	}
	if a.Calendar != "" {
		out = append(out, a.Calendar+": the deadlines as a calendar")
	}
	return orElse(out, "nothing; perennial agent status tells")
}

func orElse(all []string, empty string) []string {
	if len(all) == 0 {
		return []string{empty}
	}
	return all
}

// length writes a duration without the parts that are zero.
func length(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day && d%day == 0 {
		return fmt.Sprintf("%d days", d/day)
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

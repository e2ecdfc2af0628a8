// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/report"
	"perennial.dev/perennial/internal/timeline"
)

type explainOptions struct {
	lookOptions
	noColor bool
}

func newExplain(s Streams) *cobra.Command {
	o := &explainOptions{}
	cmd := &cobra.Command{
		Use:     `explain CODE | NAME | "LOG LINE"`,
		GroupID: "look",
		Short:   "A code, a name or a log line: evidence, cause, cure",
		Long: `Explains a code (CertificateExpires), everything about one credential of this
node (cp1/apiserver, or just apiserver), or which certificate a log line such as
"x509: certificate has expired ... is after 2023-12-03T03:37:19Z" speaks of.
Without an argument it lists the codes.`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: o.completeExplained(s),
		RunE:              func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), s, args) },
	}
	o.addFlags(cmd)
	cmd.Flags().BoolVar(&o.noColor, "no-color", false, "no colours, as with NO_COLOR")
	return cmd
}

func (o *explainOptions) run(ctx context.Context, s Streams, args []string) error {
	width, color := display(s, o.noColor)
	options := report.Options{Width: width, Color: color}
	if len(args) == 0 {
		return listCodes(s)
	}
	what := strings.TrimSpace(args[0])
	if info, ok := finding.Explain(finding.Code(what)); ok {
		return report.Explain(s.Out, info, nil, options)
	}
	t, err := o.look(ctx, s)
	if err != nil {
		return err
	}
	if when, ok := parseLogLine(what); ok {
		items := itemsOfLogLine(t, when)
		if len(items) == 0 {
			return hinted{fmt.Errorf("explaining the log line: no certificate that was seen %s %s", when.verb(), when.at.Format(time.RFC3339)),
				"the certificate may be another machine's: run this on the node that the line's peer runs on"}
		}
		return explainItems(s, items, options)
	}
	items := itemsOf(t, what)
	if len(items) == 0 {
		return hinted{fmt.Errorf("explaining %q: it is no code, no log line with a certificate's date, and nothing that was found here", fact.Text(what)),
			"perennial explain lists the codes, perennial check the names"}
	}
	return explainItems(s, items, options)
}

// explainItems explains each code once, with the items that have it.
func explainItems(s Streams, items []timeline.Item, options report.Options) error {
	for len(items) > 0 {
		code := items[0].Code
		var same, rest []timeline.Item
		for _, item := range items {
			if item.Code == code {
				same = append(same, item)
			} else {
				rest = append(rest, item)
			}
		}
		info, _ := finding.Explain(code)
		if err := report.Explain(s.Out, info, same, options); err != nil {
			return err
		}
		if items = rest; len(items) > 0 {
			fmt.Fprintln(s.Out)
		}
	}
	return nil
}

func listCodes(s Streams) error {
	w := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', 0)
	for _, info := range finding.Codes {
		fmt.Fprintf(w, "%s\t%s\n", info.Code, info.Title)
	}
	return w.Flush()
}

// logTime is the date in a certificate error: Go's x509 says "current time A
// is after B", where B is the certificate's end, or "is before B", its start.
type logTime struct {
	at     time.Time
	before bool
}

func (l logTime) verb() string {
	if l.before {
		return "starts at"
	}
	return "ends at"
}

var logDate = regexp.MustCompile(`is (after|before) (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)`)

func parseLogLine(line string) (logTime, bool) {
	m := logDate.FindStringSubmatch(line)
	if m == nil {
		return logTime{}, false
	}
	at, err := time.Parse(time.RFC3339, m[2])
	return logTime{at, m[1] == "before"}, err == nil
}

func itemsOfLogLine(t timeline.Timeline, when logTime) []timeline.Item {
	var found []timeline.Item
	for _, item := range t.Items {
		if !item.Counts && item.Code != finding.CertificateExpires && item.Code != finding.CAExpires {
			continue
		}
		for _, e := range item.Evidence {
			if matches(e, when) {
				found = append(found, item)
				break
			}
		}
	}
	return found
}

func matches(e finding.Evidence, when logTime) bool {
	if c := e.Certificate; c != nil {
		if when.before && c.NotBefore.Equal(when.at) || !when.before && c.NotAfter.Equal(when.at) {
			return true
		}
	}
	for _, s := range e.Served {
		if !when.before && s.NotAfter.Equal(when.at) {
			return true
		}
	}
	return false
}

// itemsOf finds by full ID, or by the credential's name alone.
func itemsOf(t timeline.Timeline, name string) []timeline.Item {
	var found []timeline.Item
	for _, item := range t.Items {
		if string(item.ID) == name || item.ID.Name() == name {
			found = append(found, item)
		}
	}
	return found
}

// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/publish"
	"perennial.dev/perennial/internal/report"
	"perennial.dev/perennial/internal/timeline"
)

// output is a report that is to be written.
type output struct {
	all     []timeline.Timeline // one for each cluster
	format  report.Format
	options report.Options
	asOf    time.Time // the day of the knowledge about releases
}

// writers is the one table that leads a format to what writes it. A format that
// is not in it is not offered.
var writers = map[report.Format]func(io.Writer, output) error{
	report.FormatTable:      asReport,
	report.FormatWide:       asReport,
	report.FormatJSON:       asReport,
	report.FormatYAML:       asReport,
	report.FormatMarkdown:   asReport,
	report.FormatHTML:       asPage,
	report.FormatICS:        asReport,
	report.FormatPrometheus: asMetrics,
	report.FormatSARIF:      asReport,
	report.FormatJUnit:      asReport,
}

func asReport(w io.Writer, o output) error { return report.Timelines(w, o.format, o.all, o.options) }

func asMetrics(w io.Writer, o output) error {
	return publish.WriteLooks(w, o.all, publish.Program{Version: version(), GoVersion: runtime.Version(), AsOf: o.asOf})
}

func (o output) write(w io.Writer) error { return writers[o.format](w, o) }

// offered are the formats that something writes, in the order of their table.
func offered() []report.FormatInfo {
	return slices.DeleteFunc(slices.Clone(report.Formats), func(f report.FormatInfo) bool { return writers[f.Format] == nil })
}

func parseFormat(name string) (report.Format, error) {
	var all []report.Format
	for _, f := range offered() {
		all = append(all, f.Format)
	}
	f, err := report.ParseFormat(name, all...)
	if err != nil {
		return f, usageError{err}
	}
	return f, nil
}

func completeFormats(_ *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	var out []string
	for _, f := range offered() {
		if strings.HasPrefix(string(f.Format), prefix) {
			out = append(out, string(f.Format)+"\t"+f.Help)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func formatNames() string {
	var names []string
	for _, f := range offered() {
		names = append(names, string(f.Format))
	}
	return strings.Join(names, ", ")
}

// head is how every document begins. The schema of its kind is published.
type head struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
}

func headOf(kind string) head { return head{finding.APIVersion, kind} }

// addDocumentFormat adds -o to a command that writes what is no timeline.
func addDocumentFormat(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVarP(to, "output", "o", "table", "`format`: "+documentNames())
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(documentFormats(), cobra.ShellCompDirectiveNoFileComp))
}

func documentFormat(name string) (report.Format, error) {
	f, err := report.ParseFormat(name, report.Documents...)
	if err != nil {
		return f, usageError{err}
	}
	return f, nil
}

func documentFormats() (all []string) {
	for _, f := range report.Documents {
		all = append(all, string(f))
	}
	return all
}

func documentNames() string { return strings.Join(documentFormats(), ", ") }

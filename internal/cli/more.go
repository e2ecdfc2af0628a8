// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/report"
)

// Version is set when a release is built.
var Version = ""

// tool is the program's name and version, for reports and records.
func tool() string { return "perennial " + version() }

func version() string {
	if Version != "" {
		return Version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "development"
}

func newVersion(s Streams) *cobra.Command {
	return &cobra.Command{
		Use: "version", GroupID: "more", Short: "The version of this program", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(s.Out, "%s (%s, %s/%s)\n", tool(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

type releasesOptions struct {
	at, releases, output string
	noColor              bool
}

func newReleases(s Streams) *cobra.Command {
	o := &releasesOptions{}
	cmd := &cobra.Command{
		Use: "releases", GroupID: "look", Short: "Kubernetes' releases: support, and when to start upgrading",
		Long: `Every minor release since 1.16 with its release, the start of its maintenance,
its planned and actual end of support, and for the supported ones the last safe
day to start an upgrade. Needs no network: the table is built in and says its
date; --releases loads a newer one.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return o.run(s) },
	}
	f := cmd.Flags()
	f.StringVar(&o.at, "at", "", "as of this `date` (default today)")
	f.StringVar(&o.releases, "releases", "", "a newer release calendar `file`")
	f.BoolVar(&o.noColor, "no-color", false, "no colours, as with NO_COLOR")
	addDocumentFormat(cmd, &o.output)
	return cmd
}

func (o *releasesOptions) run(s Streams) error {
	at := s.Now()
	if o.at != "" {
		var err error
		if at, err = policy.ParseDate(o.at); err != nil {
			return usageError{fmt.Errorf("reading --at: %w", err)}
		}
	}
	cal, err := (&lookOptions{releases: o.releases}).calendar()
	if err != nil {
		return err
	}
	format, err := documentFormat(o.output)
	if err != nil {
		return err
	}
	width, color := display(s, o.noColor)
	return report.WriteReleases(s.Out, format, report.ReleasesAt(cal, at), report.Options{Width: width, Color: color})
}

func completeCodes(_ *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	var out []string
	for _, info := range finding.Codes {
		if strings.HasPrefix(string(info.Code), prefix) {
			out = append(out, string(info.Code)+"\t"+info.Title)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

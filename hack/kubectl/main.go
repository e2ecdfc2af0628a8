// SPDX-License-Identifier: Apache-2.0

// Command kubectl writes internal/kuberc/data/kubectl.csv: the commands and flags
// of kubectl by minor, asked from the released Go module itself.
//
//	go -C hack run ./kubectl                measures every minor and writes the table
//	go -C hack run ./kubectl -minors 37     measures one again and keeps the others
//
// Unlike the tables of hack/knowledge, which read sources, this one compiles
// kubectl's module and walks through the commands that it makes: a flag of kubectl
// is put together by a dozen helpers, and only the result is certain. Each minor
// takes some minutes and is kept in kubectl/minors.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/hack/knowledge/table"
	"perennial.dev/perennial/hack/knowledge/upstream"
)

// first is the minor whose kubectl reads preferences unasked (KEP-3104, beta).
const first = 34

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kubectl:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("kubectl", flag.ContinueOnError)
	minors := flags.String("minors", "all", "the minors to measure, comma-separated `numbers` like 36,37; all, or none to put together what is there")
	asOf := flags.String("as-of", "", "day of the data, `YYYY-MM-DD`; today unless told")
	from := flags.String("from", "kubectl/minors", "`directory` of the tables by minor")
	to := flags.String("to", "../internal/kuberc/data/kubectl.csv", "the table to write")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *asOf == "" {
		*asOf = time.Now().UTC().Format(time.DateOnly)
	}
	releases, err := measurable()
	if err != nil {
		return err
	}
	chosen, err := upstream.Choose(releases, *minors)
	if err != nil {
		return err
	}
	for _, release := range chosen {
		if err := writeMinor(release, *from); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "measured %s\n", release)
	}
	text, err := assemble(releases, *from, *asOf)
	if err != nil {
		return err
	}
	return os.WriteFile(*to, text, 0o644)
}

func measurable() ([]upstream.Release, error) {
	releases, err := upstream.Releases()
	return slices.DeleteFunc(releases, func(r upstream.Release) bool { return r.Minor < first }), err
}

func writeMinor(release upstream.Release, dir string) error {
	rows, err := measure(release)
	if err != nil {
		return err
	}
	text, err := table.Write(fmt.Sprintf("Measured on k8s.io/kubectl of Kubernetes %s by hack/kubectl.", release), "", columns[:len(columns)-1], rows)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(minorFile(dir, release), text, 0o644)
}

func minorFile(dir string, release upstream.Release) string {
	return filepath.Join(dir, fmt.Sprintf("1.%d.csv", release.Minor))
}

var columns = []string{"command", "flag", "short", "kind", "inherited", "known"}

const comment = `The commands and flags of kubectl: one per row, written by hack/kubectl.
A row without a flag is the command itself, with its other names, comma-separated,
in the column short. kind is the type that pflag names; ending in = it is a flag that
may stand without a value. inherited flags are those of the commands below, too. known
is a span of minors; preferences files are read since 1.34.`

// assemble puts the minors together: equal rows become one with its minors.
func assemble(releases []upstream.Release, from, asOf string) ([]byte, error) {
	known := map[string][]int{}
	for _, release := range releases {
		text, err := os.ReadFile(minorFile(from, release))
		if err != nil {
			return nil, err
		}
		rows, err := table.Read(text, columns[:len(columns)-1])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", minorFile(from, release), err)
		}
		for _, row := range rows {
			key := strings.Join(row, "\x00")
			known[key] = append(known[key], release.Minor)
		}
	}
	var rows [][]string
	for key, minors := range known {
		rows = append(rows, append(strings.Split(key, "\x00"), table.Spans(minors)))
	}
	return table.Write(comment, asOf, columns, rows)
}

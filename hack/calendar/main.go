// SPDX-License-Identifier: Apache-2.0

// Command calendar writes internal/release/data/releases.csv: release and patch
// dates measured on the Kubernetes Go modules, everything else from
// official.csv, which is kept by hand.
//
//	go -C hack run ./calendar          writes the table as of today
//	go -C hack run ./calendar -check   fails unless the table can be reproduced
//
// A check measures what was published up to the as-of day of the table that is
// there, and in the modules that it cites, so that a new patch upstream does
// not break it. It needs the Go command and a module proxy, and it downloads
// no module, only their dates.
package main

import (
	"bytes"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

//go:embed official.csv
var officialTable []byte

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "calendar:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("calendar", flag.ContinueOnError)
	check := flags.Bool("check", false, "compare with the table that is there instead of writing it")
	asOfText := flags.String("as-of", "", "day of the data, `YYYY-MM-DD`; today unless told, and with -check the day in the table")
	table := flags.String("table", "../internal/release/data/releases.csv", "the table to write or check")
	if err := flags.Parse(args); err != nil {
		return err
	}
	written, err := os.ReadFile(*table)
	if err != nil && (*check || !errors.Is(err, os.ErrNotExist)) {
		return fmt.Errorf("reading the table: %w", err)
	}
	asOf, err := chooseAsOf(*asOfText, *check, written)
	if err != nil {
		return err
	}
	g := generator{asOf: asOf, modules: goCommand{}}
	if *check {
		g.cited = citedModules(written)
	}
	generated, err := g.generate(officialTable)
	if err != nil {
		return err
	}
	if !*check {
		return os.WriteFile(*table, generated, 0o644)
	}
	if err := compare(written, generated); err != nil {
		return fmt.Errorf("checking %s: %w\nto write it anew: go -C hack run ./calendar", *table, err)
	}
	fmt.Fprintf(stdout, "%s: reproduced as of %s\n", *table, asOf.Format(time.DateOnly))
	return nil
}

func chooseAsOf(text string, check bool, written []byte) (time.Time, error) {
	switch {
	case text != "":
		return time.Parse(time.DateOnly, text)
	case check:
		return writtenAsOf(written)
	}
	return time.Now().UTC().Truncate(24 * time.Hour), nil
}

// compare names the first line that differs.
func compare(written, generated []byte) error {
	if bytes.Equal(written, generated) {
		return nil
	}
	was, is := bytes.Split(written, []byte("\n")), bytes.Split(generated, []byte("\n"))
	for i := range min(len(was), len(is)) {
		if !bytes.Equal(was[i], is[i]) {
			return fmt.Errorf("line %d is\n  %s\nand should be\n  %s", i+1, was[i], is[i])
		}
	}
	return fmt.Errorf("it has %d lines and should have %d", len(was), len(is))
}

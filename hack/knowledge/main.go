// SPDX-License-Identifier: Apache-2.0

// Command knowledge writes the tables of internal/rules: what each Kubernetes
// minor knows, measured on the sources of its released Go modules.
//
//	go -C hack run ./knowledge              measures all minors and writes the tables
//	go -C hack run ./knowledge -minors 37   measures some again and keeps the others
//
// It works in two steps. Each minor is measured on its own, into tables in
// knowledge/minors/1.N; then these are put together to the tables in
// internal/rules/data. A new minor is a line in upstream/releases.csv. Nothing
// of Kubernetes is compiled or run, but the Go command downloads about 40 MB
// per minor.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"perennial.dev/perennial/hack/knowledge/upstream"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "knowledge:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("knowledge", flag.ContinueOnError)
	minors := flags.String("minors", "all", "the minors to measure, comma-separated `numbers` like 36,37; all, or none to put together what is there")
	asOf := flags.String("as-of", "", "day of the data, `YYYY-MM-DD`; today unless told")
	from := flags.String("from", "knowledge/minors", "`directory` of the tables by minor")
	to := flags.String("to", "../internal/rules/data", "`directory` of the tables to write")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *asOf == "" {
		*asOf = time.Now().UTC().Format(time.DateOnly)
	}
	releases, err := upstream.Releases()
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
	if *minors != "none" {
		if err := writeEtcdFlags(*to, *asOf); err != nil {
			return err
		}
	}
	written, err := assemble(releases, *from, *asOf)
	if err != nil {
		return err
	}
	for name, text := range written {
		if err := os.WriteFile(filepath.Join(*to, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// writeEtcdFlags measures etcd, which has releases of its own.
func writeEtcdFlags(to, asOf string) error {
	text, err := etcdFlags(asOf)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, etcdFlagsFile), text, 0o644)
}

// writeMinor measures one release and writes its tables.
func writeMinor(release upstream.Release, dir string) error {
	measured, err := measure(release)
	if err != nil {
		return err
	}
	dir = filepath.Join(dir, fmt.Sprintf("1.%d", release.Minor))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var failures []error
	for name, text := range measured {
		failures = append(failures, os.WriteFile(filepath.Join(dir, name), text, 0o644))
	}
	return errors.Join(failures...)
}

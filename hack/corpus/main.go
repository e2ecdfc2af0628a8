// SPDX-License-Identifier: Apache-2.0

// Command corpus makes Kubernetes manifests as users have them, with known
// truth, and scores what a tool finds in them.
//
//	go -C hack run ./corpus -to DIR              writes DIR/manifests and DIR/truth.csv
//	go -C hack run ./corpus -score DIR -minor 1.37 -tool perennial < report.json
//
// The same seed gives the same bytes. The corpus holds charts before and after
// rendering, CustomResourceDefinitions, lists, JSON and streams; each API
// version that the rules know as removed, or as to be removed, occurs in it
// several times; and so do old API versions as mere text, which nobody uses:
// in ConfigMaps, comments, block scalars and annotations.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "corpus:", err)
		os.Exit(1)
	}
}

func run(args []string, stdin io.Reader, stdout io.Writer) error {
	flags := flag.NewFlagSet("corpus", flag.ContinueOnError)
	to := flags.String("to", "", "write a corpus to this `directory`, which must not exist")
	rules := flags.String("rules", "../internal/rules/data/apis.csv", "the `table` of API versions")
	number := flags.Int("documents", 20_000, "how many objects there are")
	seed := flags.Uint64("seed", 1, "another seed gives another corpus")
	from := flags.String("score", "", "score a report about the corpus in this `directory`")
	minor := flags.String("minor", "", "the `minor` that the report is about")
	tool := flags.String("tool", "perennial", "whose report it is: perennial, pluto or kubent")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case *from != "":
		return score(*from, *minor, *tool, stdin, stdout)
	case *to != "":
		removed, err := readRules(*rules)
		if err != nil {
			return err
		}
		return write(*to, newMaker(*seed, removed), *number, stdout)
	}
	return fmt.Errorf("neither -to nor -score")
}

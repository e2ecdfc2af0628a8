// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
	"perennial.dev/perennial/internal/timeline"
)

// wayOptions say which upgrade is asked about, and what is known of its rules.
type wayOptions struct {
	to, from string
	rules    []string
	several  bool // clusters are asked about: one that has arrived is no mistake
}

func (o *wayOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.to, "to", "", "also say what breaks on the way to this Kubernetes `VERSION` (1.37, v1.37.2), hop by hop")
	f.StringVar(&o.from, "from", "", "the `VERSION` where the way begins (default: what runs)")
	f.StringArrayVar(&o.rules, "rules", nil, "more rules, or newer ones, from this CSV `file` (repeatable)")
	_ = cmd.MarkFlagFilename("rules", "csv")
	_ = cmd.RegisterFlagCompletionFunc("to", completeMinors)
	_ = cmd.RegisterFlagCompletionFunc("from", completeMinors)
}

// knowledge is what an upgrade is judged by.
type knowledge struct {
	calendar *release.Calendar
	rules    *rules.Set
}

// loadRules reads the embedded rules and lays the users' over them.
func loadRules(files []string) (*rules.Set, error) {
	set, err := rules.Load()
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		if err := mergeRules(set, name); err != nil {
			return nil, err
		}
	}
	return set, nil
}

func mergeRules(set *rules.Set, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("reading the rules: %w", err)
	}
	defer f.Close()
	if err := set.Merge(name, f); err != nil {
		return hinted{err, "perennial rules list TABLE -o csv writes a table in the form that is read"}
	}
	return nil
}

// start is where an upgrade begins, and what says so.
type start struct {
	minor release.Minor
	by    string
}

// way checks what was asked against what runs. Without --from, the given start
// holds; the zero start is one that nobody knows.
func (o *wayOptions) way(k knowledge, runs start) (*timeline.Way, error) {
	to, err := k.minor("--to", o.to)
	if err != nil {
		return nil, err
	}
	if o.from != "" {
		if runs.minor, err = k.minor("--from", o.from); err != nil {
			return nil, err
		}
		runs.by = "--from"
	}
	w := &timeline.Way{Way: rules.Way{From: runs.minor, To: to}, FromBy: runs.by, Calendar: k.calendar}
	switch {
	case runs.minor == 0:
		w.Notes = append(w.Notes, fmt.Sprintf("where the upgrade begins is not known: everything that was removed up to %s counts; --from VERSION leaves out what was removed before", to))
	case to <= runs.minor && o.several && o.from == "":
		w.Notes = append(w.Notes, fmt.Sprintf("%s is reached: %s", to, runs.by))
	case to == runs.minor:
		return nil, usageError{fmt.Errorf("reading --to: %s is where the upgrade begins (%s)", to, runs.by)}
	case to < runs.minor:
		return nil, usageError{fmt.Errorf("reading --to: %s is older than %s, where the upgrade begins (%s): Kubernetes cannot be downgraded", to, runs.minor, runs.by)}
	}
	if newest := k.rules.Newest(); to > newest {
		w.Notes = append(w.Notes, fmt.Sprintf("the data in this program end at %s: of later minors only what upstream has planned is known", newest))
	}
	return w, nil
}

// minor reads a version of a flag. A minor that the calendar does not reach
// does not exist and is not planned.
func (k knowledge) minor(flag, text string) (release.Minor, error) {
	m, err := release.ParseMinor(text)
	if err != nil {
		return 0, usageError{fmt.Errorf("reading %s: %w", flag, err)}
	}
	_, _, known := k.calendar.SupportEnd(m)
	if m < rules.Oldest || !known {
		return 0, usageError{hinted{fmt.Errorf("reading %s: nothing is known of %s", flag, m), fmt.Sprintf("the rules begin with %s; perennial releases lists the releases", rules.Oldest)}}
	}
	return m, nil
}

// controlPlane is what the control plane of a node says it runs, from what was
// found about its support: of several the oldest, since the upgrade starts
// there.
func controlPlane(findings []finding.Finding) start {
	var oldest start
	for _, f := range findings {
		if f.Code != finding.SupportEnds || f.ID.Name() != "release" {
			continue
		}
		m, err := release.ParseMinor(string(f.Evidence.Version))
		if err != nil || oldest.minor != 0 && oldest.minor <= m {
			continue
		}
		oldest = start{m, "the control plane runs " + f.Evidence.Version.String()}
		if n := slices.IndexFunc(f.Evidence.Notes, func(t fact.Text) bool { return strings.HasPrefix(string(t), "seen by ") }); n >= 0 {
			oldest.by += ", " + f.Evidence.Notes[n].String()
		}
	}
	return oldest
}

// served is what an API server says it runs.
func served(v fact.Version) (start, error) {
	m, err := release.ParseMinor(string(v.Git))
	if err != nil {
		return start{}, errors.New("its version cannot be understood")
	}
	return start{m, "the API server runs " + v.Git.String()}, nil
}

// completeMinors offers the minors that the rules know, newest first.
func completeMinors(_ *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	const directive = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	cal, err := release.Load()
	if err != nil {
		return nil, directive
	}
	var out []string
	for _, r := range slices.Backward(cal.Releases()) {
		if r.Minor >= rules.Oldest && strings.HasPrefix(r.Minor.String(), strings.TrimPrefix(prefix, "v")) {
			out = append(out, r.Minor.String()+"\treleased "+r.Released.String())
		}
	}
	return out, directive
}

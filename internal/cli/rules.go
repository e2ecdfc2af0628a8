// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/report"
	"perennial.dev/perennial/internal/rules"
)

type rulesOptions struct {
	rules   []string
	output  string
	noColor bool
}

func newRules(s Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use: "rules", GroupID: "more", Short: "What is known of each minor: list, show, verify",
		Long: `The tables by which an upgrade is judged: what each Kubernetes minor serves,
knows, removes and ships. Every row says whether it was measured in released
code or is planned by upstream, and where: module@version:path or
repository@commit:path. The tables are built in; --rules FILE adds rows or
newer tables to them, here and in perennial check --to.`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRulesList(s), newRulesShow(s), newRulesVerify(s))
	return cmd
}

func (o *rulesOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&o.rules, "rules", nil, "more rules, or newer ones, from this CSV `file` (repeatable)")
	f.StringVarP(&o.output, "output", "o", "table", "`format`: table, json, yaml, csv")
	f.BoolVar(&o.noColor, "no-color", false, "no colours, as with NO_COLOR")
	_ = cmd.MarkFlagFilename("rules", "csv")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json", "yaml", "csv"}, cobra.ShellCompDirectiveNoFileComp))
}

// tables are those that are known, and how they are to be shown.
func (o *rulesOptions) tables(s Streams) ([]rules.Table, report.Format, report.Options, error) {
	format, err := report.ParseFormat(o.output, report.RuleFormats...)
	if err != nil {
		return nil, "", report.Options{}, usageError{err}
	}
	set, err := loadRules(o.rules)
	if err != nil {
		return nil, "", report.Options{}, err
	}
	width, color := display(s, o.noColor)
	return set.Tables(), format, report.Options{Width: width, Color: color}, nil
}

func newRulesList(s Streams) *cobra.Command {
	o := &rulesOptions{}
	cmd := &cobra.Command{
		Use: "list [TABLE]", Short: "The tables, or the rows of one", Args: cobra.MaximumNArgs(1), ValidArgsFunction: completeTables,
		Example: `  perennial rules list
  perennial rules list gates
  perennial rules list apis -o csv`,
		RunE: func(_ *cobra.Command, args []string) error {
			all, format, show, err := o.tables(s)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return report.RuleTables(s.Out, format, all, show)
			}
			n := slices.IndexFunc(all, func(t rules.Table) bool { return t.Name == args[0] })
			if n < 0 {
				return usageError{hinted{fmt.Errorf("listing rules: there is no table %q", fact.Text(args[0])), "perennial rules list shows the tables"}}
			}
			return report.Rules(s.Out, format, all[n:n+1], show)
		},
	}
	o.addFlags(cmd)
	return cmd
}

func newRulesShow(s Streams) *cobra.Command {
	o := &rulesOptions{}
	cmd := &cobra.Command{
		Use: "show KEY...", Short: "The rows about an API version, a gate, a flag, a plugin", ValidArgsFunction: completeKeys,
		Example: `  perennial rules show batch/v1beta1/CronJob
  perennial rules show UserNamespacesSupport
  perennial rules show kubelet --container-runtime
  perennial rules show PodSecurityPolicy`,
		// A component's flag is a key and looks like a flag of this command.
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			keys, flags := keysAndFlags(cmd, args)
			if err := cmd.Flags().Parse(flags); err != nil {
				return usageError{err}
			}
			if help, err := cmd.Flags().GetBool("help"); err == nil && help {
				return cmd.Help()
			}
			// A key of two words may come as one, and after the -- that other commands need.
			keys = slices.DeleteFunc(strings.Fields(strings.Join(keys, " ")), func(key string) bool { return key == "--" })
			if len(keys) == 0 {
				return usageError{errors.New("showing rules: a key is missing")}
			}
			all, format, show, err := o.tables(s)
			if err != nil {
				return err
			}
			found := matching(all, keys)
			if len(found) == 0 {
				return hinted{fmt.Errorf("showing rules: none is about %q", fact.Text(strings.Join(keys, " "))),
					"a key is group/version/kind, a gate, a plugin, or a component and a flag; perennial rules list TABLE lists them"}
			}
			return report.RuleRows(s.Out, format, found, show)
		},
	}
	o.addFlags(cmd)
	return cmd
}

// keysAndFlags tells this command's own flags, with their values, from all else.
func keysAndFlags(cmd *cobra.Command, args []string) (keys, flags []string) {
	for n := 0; n < len(args); n++ {
		arg := args[n]
		name, _, valued := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		own := cmd.Flags().Lookup(name)
		if !strings.HasPrefix(arg, "--") && len(arg) > 1 && arg[0] == '-' {
			own, valued = cmd.Flags().ShorthandLookup(arg[1:2]), len(arg) > 2
		} else if !strings.HasPrefix(arg, "--") {
			own = nil
		}
		if own == nil {
			keys = append(keys, arg)
			continue
		}
		flags = append(flags, arg)
		if !valued && own.NoOptDefVal == "" && n+1 < len(args) {
			n++
			flags = append(flags, args[n])
		}
	}
	return keys, flags
}

func newRulesVerify(s Streams) *cobra.Command {
	return &cobra.Command{
		Use: "verify [FILE...]", Short: "Reads the tables, and files that are to be added, and says what is wrong",
		Long: `Reads the built-in tables and lays the files over them, as --rules does: each row
is checked for its form, its place, its origin and its citation, and the first one
that is wrong is named with file, line and column. Then the tables are compared
with each other: whether all reach the same minor, and what rows name is there.`,
		RunE: func(_ *cobra.Command, args []string) error {
			set, err := loadRules(args)
			if err != nil {
				return err
			}
			if wrong := set.Verify(); len(wrong) > 0 {
				return hinted{fmt.Errorf("verifying the rules: %w", errors.Join(wrong...)), "perennial check judges by them all the same, up to " + set.Newest().String()}
			}
			rows := 0
			for _, t := range set.Tables() {
				rows += len(t.Rows)
			}
			fmt.Fprintf(s.Out, "%d tables with %d rows, as of %s, up to %s: every row has its form, an origin and a citation, and they fit together.\n",
				len(set.Tables()), rows, set.AsOf().Format(time.DateOnly), set.Newest())
			if stale, sentence := set.Stale(s.Now()); stale {
				fmt.Fprintf(s.Err, "note: %s\n", sentence)
			}
			return nil
		},
	}
}

// matching are the rows that have all the words among their names.
func matching(all []rules.Table, words []string) []rules.Table {
	var found []rules.Table
	for _, t := range all {
		some := t
		some.Rows = nil
		for _, row := range t.Rows {
			if names := namesOf(t, row); !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(names, strings.TrimPrefix(w, "--")) }) {
				some.Rows = append(some.Rows, row)
			}
		}
		if len(some.Rows) > 0 {
			found = append(found, some)
		}
	}
	return found
}

// naming are the columns whose cells name a row; others describe it.
var naming = []string{"gate", "plugin", "flag", "component", "kind", "resource", "setting", "name", "field", "driver", "check", "minor"}

// namesOf are the words by which a row is found: the cells that name it, and for
// kinds group/version and group/version/kind.
func namesOf(t rules.Table, row []string) []string {
	var names []string
	cell := func(column string) string {
		if n := slices.Index(t.Columns, column); n >= 0 {
			return row[n]
		}
		return ""
	}
	if version, kind := cell("version"), cell("kind"); kind != "" && version != "" {
		apiVersion := rules.GroupVersionKind{Group: cell("group"), Version: version, Kind: kind}.APIVersion()
		names = append(names, apiVersion+"/"+kind, apiVersion)
	}
	for _, column := range naming {
		if name := cell(column); name != "" {
			names = append(names, strings.TrimPrefix(name, "--"))
		}
	}
	return names
}

func completeTables(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	set, err := rules.Load()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, t := range set.Tables() {
		out = append(out, t.Name+"\t"+t.About)
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// completeKeys offers the names of the rows that have the words so far.
func completeKeys(_ *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	set, err := rules.Load()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	tables := set.Tables()
	if len(args) > 0 {
		tables = matching(tables, args)
	}
	var out []string
	for _, t := range tables {
		for _, row := range t.Rows {
			for _, name := range namesOf(t, row) {
				if strings.HasPrefix(name, strings.TrimPrefix(prefix, "--")) && !slices.Contains(args, name) {
					out = append(out, name)
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out), cobra.ShellCompDirectiveNoFileComp
}

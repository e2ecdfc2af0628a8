// SPDX-License-Identifier: Apache-2.0

package kuberc

import (
	"slices"
	"strings"
)

// danger is a flag that must not be there unasked.
type danger struct {
	commands []string // by their paths; empty for all
	flag     string
	// values for which it holds; empty for all but false and the empty one.
	values []string
	why    string
}

var (
	destroys = []string{"delete", "drain", "replace"}
	writes   = []string{"annotate", "apply", "autoscale", "cordon", "create", "delete", "drain", "edit", "expose", "label", "patch", "replace", "rollout restart", "rollout undo", "run", "scale", "taint", "uncordon"}
)

// dangers is the table of them.
var dangers = []danger{
	{destroys, "force", nil, "it goes on where kubectl would stop: objects and Pods go without an orderly end"},
	{destroys, "grace-period", []string{"0", "1"}, "Pods get no time to end"},
	{[]string{"delete"}, "now", nil, "Pods get a second to end"},
	{[]string{"delete"}, "all", nil, "every delete of a kind takes all objects of the namespace"},
	{[]string{"delete"}, "all-namespaces", nil, "a delete acts on every namespace"},
	{[]string{"delete", "replace"}, "cascade", []string{"orphan"}, "what belongs to an object is left behind"},
	{[]string{"delete"}, "wait", []string{"false"}, "the command ends before the objects are gone"},
	{[]string{"drain"}, "delete-emptydir-data", nil, "data in emptyDir volumes is lost"},
	{[]string{"drain"}, "disable-eviction", nil, "PodDisruptionBudgets are not asked"},
	{[]string{"drain", "cordon", "uncordon"}, "selector", nil, "it acts on every node that fits"},
	{[]string{"apply"}, "prune", nil, "what is not in the files is deleted"},
	{[]string{"apply"}, "applyset", nil, "with --prune it says what is deleted"},
	{[]string{"apply"}, "all", nil, "with --prune every object of the namespace is looked at"},
	{[]string{"apply"}, "force", nil, "objects that cannot be changed are deleted and made anew"},
	{[]string{"apply", "diff"}, "force-conflicts", nil, "fields that another manager owns are taken over"},
	{[]string{"annotate", "label", "taint"}, "overwrite", nil, "what is there is replaced unasked"},
	{[]string{"annotate", "label", "scale", "taint", "set env", "set image", "set resources"}, "all", nil, "it acts on all objects of the kind"},
	{[]string{"scale"}, "replicas", nil, "what is scaled without a number gets this one"},
	{[]string{"auth reconcile"}, "remove-extra-permissions", nil, "rights are taken away"},
	{[]string{"auth reconcile"}, "remove-extra-subjects", nil, "rights are taken away"},
	{[]string{"apply", "create", "replace"}, "validate", []string{"false", "ignore"}, "mistyped fields are dropped without a word"},
	{writes, "filename", nil, "it acts on these files whatever else is typed"},
	{writes, "dry-run", []string{"client", "server", "unchanged"}, "nothing is changed, which is easily overlooked"},
	{writes, "namespace", nil, "a change goes to this namespace where none is typed, whatever the context says"},
	{nil, "context", nil, "every such command goes to one cluster, whatever the current context is"},
	{nil, "cluster", nil, "every such command goes to one cluster, whatever the current context is"},
	{nil, "server", nil, "every such command goes to one server, whatever the current context is"},
	{nil, "kubeconfig", nil, "KUBECONFIG is no longer asked"},
	{nil, "as", nil, "it is done as somebody else"},
	{nil, "as-group", nil, "it is done as somebody else"},
	{nil, "insecure-skip-tls-verify", nil, "anybody on the way can read and change what is sent"},
	{nil, "token", nil, "a secret stands in this file"},
	{nil, "password", nil, "a secret stands in this file"},
}

// applies reports that a value makes the flag one.
func (d danger) applies(value string) bool {
	if len(d.values) == 0 {
		return value != "" && value != "false" && value != "0" && value != "f" && value != "F" && value != "FALSE" && value != "False"
	}
	return slices.Contains(d.values, value)
}

func (d danger) isFor(c *Command) bool {
	return len(d.commands) == 0 || slices.ContainsFunc(d.commands, func(path string) bool {
		return c.String() == path || strings.HasPrefix(c.String(), path+" ")
	})
}

// dangers says which flags of an entry are dangerous, as options or as arguments.
func (k *checker) dangers(on *Command, options []Option, line int, args []string) {
	for _, o := range append(slices.Clone(options), inArguments(on, args, line)...) {
		f, ok := on.flag(o.Name)
		if !ok {
			continue
		}
		for _, d := range dangers {
			if d.flag == f.Name && d.isFor(on) && d.applies(o.Value) {
				k.say(Risk, o.Line, "type it where it is meant", "%s gets --%s=%s unasked: %s", on, f.Name, o.Value, d.why)
				break
			}
		}
	}
}

// inArguments reads the flags among the arguments of an alias.
func inArguments(on *Command, args []string, line int) (found []Option) {
	for i, arg := range args {
		if arg == "--" {
			return found
		}
		f, value, valued := Flag{}, "", false
		ok := false
		switch {
		case strings.HasPrefix(arg, "--"):
			var name string
			name, value, valued = strings.Cut(arg[2:], "=")
			f, ok = on.flag(name)
		case len(arg) > 1 && arg[0] == '-':
			f, ok = on.short(arg[1:2])
			value = strings.TrimPrefix(arg[2:], "=")
			valued = value != ""
		}
		switch {
		case !ok:
			continue
		case !valued && f.Bare:
			value = "true"
		case !valued && i+1 < len(args):
			value = args[i+1]
		}
		found = append(found, Option{f.Name, value, line})
	}
	return found
}

// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// The components that discovery knows, by the names of their programs.
const (
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Etcd              = "etcd"
	Kubelet           = "kubelet"
	// APIServerStandby is the API server that serves while the other one is
	// replaced; the name of its static pod.
	APIServerStandby = "kube-apiserver-standby"
)

var known = []string{APIServer, ControllerManager, Scheduler, Etcd, Kubelet}

// hyperkube is how the one program of older distributions names its parts.
var hyperkube = map[string]string{
	"apiserver": APIServer, "controller-manager": ControllerManager,
	"scheduler": Scheduler, "kubelet": Kubelet,
}

// ComponentOf names the component that a command line starts, if it is one
// that discovery knows. It sees through `sh -c "exec kube-apiserver ..."` and
// multi-call programs (hyperkube).
func ComponentOf(args []string) (string, bool) {
	name, _ := component(unwrap(args))
	return name, name != ""
}

// component returns the component's name and its own arguments.
func component(args []string) (string, []string) {
	if len(args) == 0 {
		return "", nil
	}
	base := path.Base(args[0])
	if slices.Contains(known, base) {
		return base, args[1:]
	}
	if base == "hyperkube" && len(args) > 1 {
		if name, ok := hyperkube[strings.TrimPrefix(args[1], "kube-")]; ok {
			return name, args[2:]
		}
	}
	return "", args
}

var (
	shells = []string{"sh", "bash", "ash", "dash"}
	// launchers run the command that follows them; manifests start with one
	// where the image's own entry point is kept (go-runner is Kubernetes').
	launchers = []string{"go-runner", "tini", "dumb-init", "env"}
	script    = regexp.MustCompile(`^-[a-z]*c$`) // -c, or with other options: -ec
)

// unwrap finds the command that a launcher, or in the end a shell's script,
// runs.
func unwrap(args []string) []string {
	switch {
	case len(args) == 0:
		return args
	case slices.Contains(launchers, path.Base(args[0])):
		if i := slices.IndexFunc(args, isProgram); i >= 0 {
			return args[i:]
		}
		return args
	case len(args) < 3 || !slices.Contains(shells, path.Base(args[0])) || !script.MatchString(args[1]):
		return args
	}
	words := strings.Fields(args[2])
	if i := slices.IndexFunc(words, isProgram); i >= 0 {
		words = words[i:]
	}
	for i, word := range words {
		if strings.ContainsAny(word, ";|&<>") {
			return words[:i]
		}
		words[i] = strings.Trim(word, `"'`)
	}
	return words
}

func isProgram(word string) bool {
	base := path.Base(word)
	return base == "hyperkube" || slices.Contains(known, base)
}

// Flags are the flags of a command line by name, each with its values in
// order. Names are without dashes in front, and with dashes inside, as
// Kubernetes normalises them.
type Flags map[string][]string

// ParseFlags reads `--name=value`, `--name value` and `--name`; one dash is as
// good as two, as in etcd's flags.
func ParseFlags(args []string) Flags {
	flags := Flags{}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if !strings.HasPrefix(arg, "-") || strings.Trim(arg, "-") == "" {
			continue
		}
		name, value, has := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if !has {
			value = "true"
			if i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
				i++
				value = args[i]
			}
		}
		if name = strings.ReplaceAll(name, "_", "-"); name == "" {
			continue
		}
		flags[name] = append(flags[name], value)
	}
	return flags
}

// Get is the value that counts: the last one. Empty when the flag is not set.
func (f Flags) Get(name string) string {
	values := f[name]
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// List is all values, taken apart at commas.
func (f Flags) List(name string) []string {
	var all []string
	for _, value := range f[name] {
		for part := range strings.SplitSeq(value, ",") {
			if part = strings.TrimSpace(part); part != "" {
				all = append(all, part)
			}
		}
	}
	return all
}

// Given are the flags that a component's manifest names, or where it has none,
// its process's command line: Flags may have more, that say in the same words
// what a configuration file says.
func (c Component) Given() Flags {
	args := c.Args
	if c.Manifest == "" && c.Process != nil {
		args = c.Process.Args
	}
	name, rest := component(unwrap(args))
	if name == "" && len(args) > 0 {
		rest = args[1:]
	}
	return ParseFlags(rest)
}

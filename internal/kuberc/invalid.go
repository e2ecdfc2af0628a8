// SPDX-License-Identifier: Apache-2.0

package kuberc

import (
	"fmt"
	"path"
	"strings"
)

// invalid is the first reason for which the program refuses every command, whatever
// it is (validate in kubectl's pkg/kuberc).
func (p *Preferences) invalid(of Program) (Mistake, bool) {
	all := p.allInvalid(of)
	if len(all) == 0 {
		return Mistake{}, false
	}
	return all[0], true
}

func (p *Preferences) allInvalid(of Program) (all []Mistake) {
	wrong := func(line int, format string, args ...any) {
		all = append(all, Mistake{line, fmt.Sprintf(format, args...)})
	}
	names := map[string]bool{}
	for _, a := range p.Aliases {
		switch {
		case !onlyLetters(a.Name):
			wrong(a.Line, "the name of an alias is made of the letters a to z and A to Z, which %q is not", a.Name)
		case names[a.Name]:
			wrong(a.Line, "there are two aliases of the name %s", a.Name)
		}
		names[a.Name] = true
		all = append(all, dashes(a.Options)...)
	}
	for _, d := range p.Defaults {
		all = append(all, dashes(d.Options)...)
	}
	if m, bad := p.Policy.invalid(of); bad {
		all = append(all, m)
	}
	return all
}

func dashes(options []Option) (all []Mistake) {
	for _, o := range options {
		if strings.HasPrefix(o.Name, "-") {
			all = append(all, Mistake{o.Line, fmt.Sprintf("the flag %s is written without dashes: %s", o.Name, strings.TrimLeft(o.Name, "-"))})
		}
	}
	return all
}

// knowsPolicy: kubectl 1.34 leaves the two fields out, with a warning.
func (p Program) knowsPolicy() bool { return p.Minor == 0 || p.Minor >= 35 }

// knowsCommand: the field command of an entry is as young as kubectl 1.36.
func (p Program) knowsCommand() bool { return p.Minor == 0 || p.Minor >= 36 }

// invalid follows ValidatePluginPolicy of client-go.
func (p Policy) invalid(of Program) (Mistake, bool) {
	wrong := func(line int, format string, args ...any) (Mistake, bool) {
		return Mistake{line, fmt.Sprintf(format, args...)}, true
	}
	if !of.knowsPolicy() {
		return Mistake{}, false
	}
	switch p.Type {
	case "", AllowAll, DenyAll:
		if p.Listed {
			return wrong(p.Line, "there is a credentialPluginAllowlist, and the credentialPluginPolicy is %q and not %s", p.Type, Allowlist)
		}
		return Mistake{}, false
	case Allowlist:
	default:
		return wrong(p.Line, "the credentialPluginPolicy %q is none of %s, %s and %s", p.Type, AllowAll, DenyAll, Allowlist)
	}
	if len(p.Allow) == 0 {
		return wrong(p.Line, "the credentialPluginPolicy is %s, and the list allows nothing; %s says that", Allowlist, DenyAll)
	}
	for i, a := range p.Allow {
		switch {
		case a.Command == "" || !a.Deprecated && !of.knowsCommand():
			return wrong(a.Line, "entry %d of the credentialPluginAllowlist names no program", i+1)
		case path.Clean(a.Command) != a.Command:
			return wrong(a.Line, "the path %s is written as %s", a.Command, path.Clean(a.Command))
		}
	}
	return Mistake{}, false
}

// Invalid is why preferences are refused as a whole by a program.
func (p *Preferences) Invalid(of Program) []Mistake { return p.allInvalid(of) }

// SPDX-License-Identifier: Apache-2.0

package kuberc

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"perennial.dev/perennial/internal/fact"
)

// decoder walks through a document. What it collects in ignored kubectl warns of
// (its strict decoding fails); with something in refused it does not use the
// document at all (its lenient decoding fails, too).
type decoder struct {
	ignored, refused []Mistake
	steps            int
	merging          int // how deep in merges of merges
}

func decode(root *yaml.Node) (p *Preferences, ignored, refused []Mistake) {
	d := &decoder{}
	p = d.document(root)
	return p, d.ignored, d.refused
}

func (d *decoder) ignore(n *yaml.Node, format string, args ...any) {
	d.ignored = append(d.ignored, Mistake{n.Line, fmt.Sprintf(format, args...)})
}

func (d *decoder) refuse(n *yaml.Node, format string, args ...any) {
	d.refused = append(d.refused, Mistake{n.Line, fmt.Sprintf(format, args...)})
}

// field is how the value of a key is taken.
type field struct {
	key  string
	take func(*yaml.Node)
}

func (d *decoder) document(root *yaml.Node) *Preferences {
	var version, kind string
	members, ok := d.members(root, "the document")
	if !ok {
		return nil
	}
	for _, m := range members {
		switch m.key {
		case "apiVersion":
			version, _ = d.text(m.value, m.key)
		case "kind":
			kind, _ = d.text(m.value, m.key)
		}
	}
	p := &Preferences{Line: root.Line}
	switch {
	case version == Group+"/"+string(V1beta1) && kind == Kind:
		p.Form = V1beta1
	case version == Group+"/"+string(V1alpha1) && kind == Kind:
		p.Form = V1alpha1
	case version == "v1alpha1" && kind == "Preferences":
		p.Form = Early
	default:
		d.refuse(root, "apiVersion %q and kind %q are not what kubectl reads: %s/%s and %s", fact.Text(version), fact.Text(kind), Group, V1beta1, Kind)
		return nil
	}
	ignore := func(*yaml.Node) {}
	known := append([]field{{"apiVersion", ignore}, {"kind", ignore}}, d.body(p)...)
	d.fields(root, "the document", known)
	if p.Form == Early {
		d.refuse(root, "this is the form that was proposed for Kubernetes 1.25, and no kubectl reads it")
	}
	return p
}

func (d *decoder) body(p *Preferences) []field {
	switch p.Form {
	case V1beta1:
		return []field{
			{"aliases", d.aliases(p, "options")}, {"defaults", d.defaults(p, "options")},
			{"credentialPluginPolicy", func(n *yaml.Node) { p.Policy.Line = n.Line; d.textTo(&p.Policy.Type, "credentialPluginPolicy")(n) }},
			{"credentialPluginAllowlist", d.allowlist(p)},
		}
	case V1alpha1:
		return []field{{"aliases", d.aliases(p, "flags")}, {"overrides", d.defaults(p, "flags")}}
	}
	return []field{{"command", func(n *yaml.Node) {
		d.fields(n, "command", []field{{"aliases", d.earlyAliases(p)}, {"overrides", d.defaults(p, "flags")}})
	}}}
}

func (d *decoder) aliases(p *Preferences, options string) func(*yaml.Node) {
	return d.list("aliases", func(n *yaml.Node) {
		a := Alias{Line: n.Line}
		d.fields(n, "an alias", []field{
			{"name", d.textTo(&a.Name, "name")}, {"command", d.textTo(&a.Command, "command")},
			{"prependArgs", d.textsTo(&a.Prepend, "prependArgs")}, {"appendArgs", d.textsTo(&a.Append, "appendArgs")},
			{options, d.options(&a.Options, options)},
		})
		p.Aliases = append(p.Aliases, a)
	})
}

func (d *decoder) earlyAliases(p *Preferences) func(*yaml.Node) {
	return d.list("aliases", func(n *yaml.Node) {
		a := Alias{Line: n.Line}
		d.fields(n, "an alias", []field{{"alias", d.textTo(&a.Name, "alias")}, {"command", d.textTo(&a.Command, "command")}})
		p.Aliases = append(p.Aliases, a)
	})
}

func (d *decoder) defaults(p *Preferences, options string) func(*yaml.Node) {
	return d.list("defaults", func(n *yaml.Node) {
		o := Default{Line: n.Line}
		d.fields(n, "a default", []field{{"command", d.textTo(&o.Command, "command")}, {options, d.options(&o.Options, options)}})
		p.Defaults = append(p.Defaults, o)
	})
}

func (d *decoder) options(to *[]Option, key string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		*to = nil
		d.list(key, func(n *yaml.Node) {
			o := Option{Line: n.Line}
			d.fields(n, "an entry of "+key, []field{{"name", d.textTo(&o.Name, "name")}, {"default", d.textTo(&o.Value, "default")}})
			*to = append(*to, o)
		})(n)
	}
}

func (d *decoder) allowlist(p *Preferences) func(*yaml.Node) {
	return func(n *yaml.Node) {
		p.Policy.Allow, p.Policy.Listed = nil, !isNull(n)
		if p.Policy.Line == 0 {
			p.Policy.Line = n.Line
		}
		d.list("credentialPluginAllowlist", func(n *yaml.Node) {
			var name, command string
			d.fields(n, "an entry of the list", []field{{"name", d.textTo(&name, "name")}, {"command", d.textTo(&command, "command")}})
			if name != "" && command != "" && name != command {
				d.refuse(n, "name and command of an entry differ: name is the older word for command")
			}
			a := Allowed{Command: command, Deprecated: command == "" && name != "", Line: n.Line}
			if a.Deprecated {
				a.Command = name
			}
			p.Policy.Allow = append(p.Policy.Allow, a)
		})(n)
	}
}

// fields takes the members of a map, each by its own function. A null is an empty
// map.
func (d *decoder) fields(n *yaml.Node, what string, known []field) {
	members, _ := d.members(n, what)
	seen := map[string]bool{}
	for _, m := range members {
		i := slices.IndexFunc(known, func(f field) bool { return f.key == m.key })
		switch {
		case i < 0:
			d.ignore(m.at, "there is no field %q in %s%s", fact.Text(m.key), what, meant(m.key, known))
			continue
		case seen[m.key]:
			d.ignore(m.at, "the field %q is there twice, and the last one counts", fact.Text(m.key))
		}
		seen[m.key] = true
		known[i].take(m.value)
	}
}

// meant names the field that was probably meant.
func meant(key string, known []field) string {
	other := map[string]string{"flags": "options", "options": "flags", "overrides": "defaults", "defaults": "overrides"}[key]
	for _, f := range known {
		if strings.EqualFold(f.key, key) || f.key == other {
			return "; the one meant may be " + f.key
		}
	}
	return ""
}

// member is an entry of a map.
type member struct {
	key   string
	at    *yaml.Node
	value *yaml.Node
}

// members lists those of a map; merged ones come first, so that others win.
func (d *decoder) members(n *yaml.Node, what string) (all []member, ok bool) {
	n = d.follow(n)
	switch {
	case n == nil || isNull(n):
		return nil, n != nil
	case n.Kind != yaml.MappingNode:
		d.refuse(n, "%s must be a map of fields, not %s", what, kindOf(n))
		return nil, false
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge" {
			all = append(d.merged(value, what), all...)
			continue
		}
		if key = d.follow(key); key == nil {
			return nil, false
		}
		if key.Kind != yaml.ScalarNode {
			d.refuse(key, "the name of a field must be a word, not %s", kindOf(key))
			return nil, false
		}
		all = append(all, member{key.Value, n.Content[i], value})
	}
	return all, true
}

// maxMerging bounds merges of merges, which may go in a ring.
const maxMerging = 16

func (d *decoder) merged(from *yaml.Node, what string) (all []member) {
	if from = d.follow(from); from == nil {
		return nil
	}
	if d.merging++; d.merging > maxMerging {
		d.refuse(from, "merges of merges go too deep")
		d.steps = maxSteps + 1 // nothing more is followed
		return nil
	}
	defer func() { d.merging-- }()
	if from.Kind != yaml.SequenceNode {
		all, _ = d.members(from, what)
		return all
	}
	for _, one := range slices.Backward(from.Content) {
		more, _ := d.members(one, what)
		all = append(all, more...)
	}
	return all
}

// list takes each entry of a list; a null is an empty one.
func (d *decoder) list(what string, each func(*yaml.Node)) func(*yaml.Node) {
	return func(n *yaml.Node) {
		switch n = d.follow(n); {
		case n == nil || isNull(n):
		case n.Kind != yaml.SequenceNode:
			d.refuse(n, "%s must be a list, not %s", what, kindOf(n))
		default:
			for _, entry := range n.Content {
				each(entry)
			}
		}
	}
}

func (d *decoder) textTo(to *string, key string) func(*yaml.Node) {
	return func(n *yaml.Node) { *to, _ = d.text(n, key) }
}

func (d *decoder) textsTo(to *[]string, key string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		*to = nil
		d.list(key, func(n *yaml.Node) {
			text, _ := d.text(n, "an entry of "+key)
			*to = append(*to, text)
		})(n)
	}
}

// text is a string. YAML makes other things of words that look like strings, and
// kubectl then refuses the whole file.
func (d *decoder) text(n *yaml.Node, key string) (string, bool) {
	switch n = d.follow(n); {
	case n == nil || isNull(n):
		return "", n != nil
	case n.Kind != yaml.ScalarNode:
		d.refuse(n, "%s must be a text, not %s", key, kindOf(n))
		return "", false
	case !isText(n):
		d.refuse(n, "%s must be a text, and YAML reads %s as %s: write %q", key, fact.Text(n.Value), kindOf(n), fact.Text(n.Value).String())
		return "", false
	}
	return n.Value, true
}

// follow is what an alias of YAML stands for. Nil is returned, and said, where
// too much was followed.
func (d *decoder) follow(n *yaml.Node) *yaml.Node {
	for n != nil {
		if d.steps++; d.steps > maxSteps {
			if d.steps == maxSteps+1 {
				d.refuse(n, "the anchors and aliases of this document make too much of it")
			}
			return nil
		}
		if n.Kind != yaml.AliasNode {
			return n
		}
		n = n.Alias
	}
	return nil
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// oldTruths are booleans in YAML 1.1, which kubectl's parser follows, and texts in
// 1.2, which this one follows.
var oldTruths = strings.Fields("y Y yes Yes YES on On ON n N no No NO off Off OFF")

func isText(n *yaml.Node) bool {
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return n.Style&yaml.TaggedStyle == 0 || n.ShortTag() == "!!str"
	}
	switch n.ShortTag() {
	case "!!str":
		return n.Style&yaml.TaggedStyle != 0 || !slices.Contains(oldTruths, n.Value)
	case "!!timestamp":
		return true
	}
	return false
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "nothing"
	}
	if slices.Contains(oldTruths, n.Value) {
		return "true or false"
	}
	return "something else"
}

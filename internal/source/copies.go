// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"path"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/pki"
)

var copies = perWant{name: "copies", disk: true, atOnce: 4, look: lookCopies}

// homesLimit is the number of homes that are looked into.
const homesLimit = 1000

// lookCopies reads users' kubeconfigs, which may be copies of this node's. Only
// what has a client certificate is handed on, and of it only the users: the
// other clusters that somebody has are nobody else's matter. A home that may
// not be entered is no reason to believe that there is one.
func lookCopies(ctx context.Context, s Scope, w layout.Want, out *found) {
	for _, name := range expand(ctx, s, w) {
		one := found{source: out.source, what: fact.Text(name)}
		data, meta, ok := readWanted(ctx, s, layout.Want{Path: name, Required: w.Required}, s.Limits.File, &one)
		if ok {
			if f, is := copyOf(name, data); is {
				f.Meta = meta
				one.add(f)
			}
		}
		if !w.Required {
			one.unseen = slices.DeleteFunc(one.unseen, func(u fact.Unseen) bool { return u.Why == fact.Denied })
		}
		out.facts = append(out.facts, one.facts...)
		out.unseen = append(out.unseen, one.unseen...)
	}
}

// expand replaces the one * of a path by each directory that is there.
func expand(ctx context.Context, s Scope, w layout.Want) []string {
	before, after, ok := strings.Cut(w.Path, "/*/")
	if !ok {
		return []string{w.Path}
	}
	ctx, cancel := context.WithTimeout(ctx, s.Timeouts.Disk)
	defer cancel()
	dirs, err := s.FS.Dirs(ctx, before, homesLimit)
	if err != nil && !host.Missing(err) {
		return nil
	}
	var names []string
	for _, dir := range dirs {
		names = append(names, path.Join(before, dir, after))
	}
	return names
}

func copyOf(name string, data []byte) (fact.File, bool) {
	f := pki.ReadFile(name, data)
	if f.Kubeconfig == nil {
		return fact.File{}, false
	}
	users := slices.DeleteFunc(f.Kubeconfig.Users, func(u fact.KubeconfigUser) bool { return len(u.Certs) == 0 })
	f.Kubeconfig, f.Problem, f.Copy = &fact.Kubeconfig{Users: users}, "", true
	return f, len(users) > 0
}

// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"fmt"
	"strings"
)

// Looked says in a sentence what was looked at and how much was not; it is safe to
// print.
func (t Timeline) Looked() string {
	s := t.Scope
	var where []string
	if s.Root != "" {
		node := plain(s.Node)
		if node == "" {
			node = "this node"
		}
		if s.KubernetesDir != "" {
			node += " (" + plain(s.KubernetesDir) + ")"
		}
		if s.Root != "/" {
			node += " in the file system " + plain(s.Root)
		}
		where = append(where, node)
	}
	if len(s.Endpoints) > 0 {
		endpoints := make([]string, len(s.Endpoints))
		for i, e := range s.Endpoints {
			endpoints[i] = plain(e)
		}
		where = append(where, strings.Join(endpoints, ", ")+" from outside")
	}
	if n := len(s.Documents); n > 0 {
		where = append(where, documents(s.Documents))
	}
	switch {
	case s.Server != "" && t.Cluster != "":
		where = append(where, "the cluster "+plain(t.Cluster)+" at "+plain(s.Server))
	case s.Server != "":
		where = append(where, "the cluster at "+plain(s.Server))
	case t.Cluster != "":
		where = append(where, "of cluster "+plain(t.Cluster))
	}
	if len(where) == 0 {
		where = []string{"nothing in particular"}
	}
	c := s.Counts
	counts := []string{count(c.Files, "file"), count(c.Certificates, "certificate"), count(c.Endpoints, "endpoint"), count(c.Processes, "process")}
	switch {
	case s.Root == "" && len(s.Documents) > 0:
		counts = []string{count(c.Documents, "document")}
	case s.Root == "" && s.Server != "":
		counts = []string{count(c.Objects, "object")}
	case s.Root == "":
		counts = []string{count(c.Endpoints, "endpoint"), count(c.Certificates, "certificate")}
	case s.Server != "":
		counts = append(counts, count(c.Objects, "object"))
	}
	notSeen := "everything that was found could be looked at"
	if c.Unseen > 0 {
		notSeen = fmt.Sprintf("%d could not be looked at", c.Unseen)
	}
	return fmt.Sprintf("Looked at %s: %s; %s.", strings.Join(where, " and "), strings.Join(counts, ", "), notSeen)
}

// documents names the files and directories that were given.
func documents(all []string) string {
	const most = 3
	names := make([]string, 0, most)
	for n, d := range all {
		switch {
		case n == most:
			return strings.Join(names, ", ") + fmt.Sprintf(" and %d more", len(all)-n)
		case d == "-":
			d = "standard input"
		}
		names = append(names, plain(d))
	}
	return strings.Join(names, ", ")
}

func count(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "s"):
		return fmt.Sprintf("%d %ses", n, noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

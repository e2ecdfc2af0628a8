// SPDX-License-Identifier: Apache-2.0

package gates

import (
	"fmt"
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"perennial.dev/perennial/hack/knowledge/upstream"
)

var (
	// entry begins the specification of a gate: Name: { or pkg.Name: {
	entry = regexp.MustCompile(`^\s*(?:\w+\.)?(\w+):\s+\{`)
	// announcement is what upstream writes beside it.
	announcement = regexp.MustCompile(`(?i)//.*\bremoved? in v?1\.(\d+)`)
)

// removals reads the comments beside specifications that say when a gate is to
// go, by gate. Comments are no part of the syntax tree that is read here, so
// these are the lines of the file.
func removals(tree *upstream.Tree, p *upstream.Package, file upstream.File) (map[string]int, error) {
	dir, _ := tree.Dir(p.Path)
	text, err := os.ReadFile(filepath.Join(dir, file.Name))
	if err != nil {
		return nil, fmt.Errorf("reading announced removals: %w", err)
	}
	found, current := map[string]int{}, ""
	for line := range strings.Lines(string(text)) {
		if begins := entry.FindStringSubmatch(line); begins != nil {
			current = begins[1]
		}
		says := announcement.FindStringSubmatch(line)
		if says == nil || current == "" {
			continue
		}
		name, err := tree.Text(p, file, ast.NewIdent(current))
		if err != nil {
			continue // not a gate of this package
		}
		if found[name], err = strconv.Atoi(says[1]); err != nil {
			return nil, err
		}
	}
	return found, nil
}

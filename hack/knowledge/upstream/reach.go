// SPDX-License-Identifier: Apache-2.0

package upstream

// Reach visits a package and what that imports, and so on: each import path
// once, those that are no part of a tree too. visit gives the imports to follow.
func Reach(importPath string, visit func(importPath string) (imports []string, err error)) error {
	ahead, seen := []string{importPath}, map[string]bool{}
	for len(ahead) > 0 {
		path := ahead[len(ahead)-1]
		ahead = ahead[:len(ahead)-1]
		if seen[path] {
			continue
		}
		seen[path] = true
		imports, err := visit(path)
		if err != nil {
			return err
		}
		ahead = append(ahead, imports...)
	}
	return nil
}

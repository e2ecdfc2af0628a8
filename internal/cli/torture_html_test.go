// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cli_test

import (
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// onlyTemplate wants that nothing of a name has become an element, an attribute or
// a script of a page.
func onlyTemplate(t *testing.T, text string) {
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "img", "iframe", "object", "embed", "base", "form":
			t.Errorf("an element %s came out of a name", n.Data)
		case "b":
			if n.FirstChild != nil && strings.HasPrefix(n.FirstChild.Data, "host-") {
				t.Errorf("an element came out of the name %s", n.FirstChild.Data)
			}
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || strings.HasPrefix(strings.TrimSpace(strings.ToLower(a.Val)), "javascript:") {
				t.Errorf("%s has the attribute %s=%.60q", n.Data, a.Key, a.Val)
			}
		}
	}
}

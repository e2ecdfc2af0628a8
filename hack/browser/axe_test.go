// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"perennial.dev/perennial/hack/npm"
)

// axe is the checker's script, fetched once for this user.
var axe = sync.OnceValues(func() (string, error) {
	const script = "axe.min.js"
	files, err := npm.Package{
		Name: "axe-core", Version: "4.14.1",
		Integrity: "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
	}.Files(func(name string) bool { return name == script })
	if err == nil && files[script] == nil {
		err = errors.New("the package has no " + script)
	}
	return string(files[script]), err
})

func axeScript(t testing.TB) string {
	t.Helper()
	script, err := axe()
	if _, ok := errors.AsType[npm.Unavailable](err); ok {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return script
}

// found is what axe-core calls a violation.
type found struct {
	ID, Help string
	Nodes    []struct {
		HTML           string
		FailureSummary string
	}
}

// violations runs all rules, the best practices too.
const violations = `axe.run(document, {resultTypes: ["violations"]}).then(r => ({violations: r.violations, rules: r.passes.length}))`

func (b *tab) axe(script string) (all []found, passes int) {
	b.t.Helper()
	b.run(chromedp.Evaluate[chromedp.Void](script + ";0"))
	result := ask[struct {
		Violations []found
		Rules      int
	}](b, violations)
	return result.Violations, result.Rules
}

func TestAxe(t *testing.T) {
	running(t)
	script := axeScript(t)
	for _, name := range []string{"showcase", "upgrade", "clusters", "calm", "nothing", "hostile", "served-3"} {
		for _, v := range views {
			t.Run(name+"-"+v.name, func(t *testing.T) {
				b := open(t, v, name)
				b.run(chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("details").forEach((d, n) => { d.open = n % 5 == 0 }); document.querySelector(".counts button")?.click(); 0`))
				all, passes := b.axe(script)
				if passes < 10 {
					t.Errorf("only %d rules applied", passes)
				}
				for _, f := range all {
					var where []string
					for _, n := range f.Nodes[:min(len(f.Nodes), 3)] {
						where = append(where, n.HTML+"\n"+n.FailureSummary)
					}
					t.Errorf("%s: %s, %d times\n%s", f.ID, f.Help, len(f.Nodes), strings.Join(where, "\n"))
				}
			})
		}
	}
}

// TestAxeFindsFaults makes faults in a page and wants them found: a checker that
// does not run finds nothing either.
func TestAxeFindsFaults(t *testing.T) {
	running(t)
	script := axeScript(t)
	b := open(t, light, "showcase")
	b.run(chromedp.Evaluate[chromedp.Void](`document.querySelector(".tools input").removeAttribute("aria-label"); document.querySelector(".tools input").placeholder = ""; document.documentElement.removeAttribute("lang");
		document.querySelector(".looked").setAttribute("style", ""); document.querySelector(".looked").style.color = "#ddd"; 0`))
	all, _ := b.axe(script)
	ids := map[string]bool{}
	for _, f := range all {
		ids[f.ID] = true
	}
	for _, want := range []string{"label", "html-has-lang", "color-contrast"} {
		if !ids[want] {
			t.Errorf("%s is not found, only %v", want, ids)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// own are the elements of the page's own markup.
var own = []string{"a", "b", "body", "button", "code", "dd", "details", "div", "dl", "dt", "figcaption", "figure", "footer", "g", "h1", "h2", "head", "header", "html", "i", "input", "li",
	"link", "main", "meta", "nav", "ol", "option", "output", "p", "path", "pre", "rect", "script", "section", "select", "small", "span", "strong", "style", "summary", "svg", "table", "tbody", "td", "text",
	"th", "thead", "time", "title", "tr", "ul", "wbr"}

// TestHostile opens everything of a page that is made of hostile names: no dialog,
// no request, no element that the page's own markup does not have.
func TestHostile(t *testing.T) {
	running(t)
	for _, v := range views {
		t.Run(v.name, func(t *testing.T) {
			b := open(t, v, "hostile")
			harmless(t, b)
			b.quiet()
		})
	}
}

// TestHostileServed does the same to a page that is served, on which the agent and the
// history are hostile, too.
func TestHostileServed(t *testing.T) {
	address, show, _ := server(t)
	show("hostile")
	b := visit(t, light, address)
	if !ask[bool](b, `document.querySelector(".history") !== null && document.querySelector("#live").textContent.includes("<script>")`) {
		t.Error("the history and the agent are not those that were meant")
	}
	harmless(t, b)
	b.screenshot("served-hostile-light")
	b.quiet(address, address+"version")
}

// harmless opens everything, and looks for what only a name can have brought in; then
// it types one of the names, which leaves the rows that have it, and looks again.
func harmless(t *testing.T, b *tab) {
	t.Helper()
	b.run(chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("details").forEach(d => { d.open = true }); 0`), chromedp.Sleep(time.Second))
	nothingInside(t, b)
	b.run(chromedp.SendKeys(chromedp.CSS(`.tools input`), "<img src=x onerror=alert(2)>"), chromedp.Sleep(time.Second))
	if n := ask[int](b, shown+`.length`); n == 0 {
		t.Error("no row has the name that was typed")
	}
	nothingInside(t, b)
}

func nothingInside(t *testing.T, b *tab) {
	t.Helper()
	names := ask[[]string](b, `[...new Set([...document.querySelectorAll("*")].map(e => e.localName))].sort()`)
	for _, name := range names {
		if !slices.Contains(own, name) {
			t.Errorf("there is an element %s", name)
		}
	}
	for what, expression := range map[string]string{
		"scripts":          `document.scripts.length - 1`,
		"styles":           `document.querySelectorAll("style").length - 1`,
		"inline styles":    `document.querySelectorAll("[style]").length`,
		"handlers":         `[...document.querySelectorAll("*")].filter(e => [...e.attributes].some(a => a.name.startsWith("on"))).length`,
		"links elsewhere":  `[...document.links].filter(a => !/^#(t1|live$)/.test(a.getAttribute("href"))).length`,
		"hostile controls": `(document.documentElement.textContent.match(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g) || []).length`,
	} {
		if n := ask[int](b, expression); n != 0 {
			t.Errorf("%d %s", n, what)
		}
	}
}

// TestPolicyStopsWhatWouldGetIn puts into the page what its escaping keeps out: the
// policy is the second wall, and has to stand alone.
func TestPolicyStopsWhatWouldGetIn(t *testing.T) {
	b := open(t, light, "calm")
	b.run(chromedp.Evaluate[chromedp.Void](`{
		const div = document.createElement("div");
		div.innerHTML = "<img src=https://evil.example/x.png onerror='window.bad = 1'><a href='javascript:window.bad = 2' id=jump>x</a><form action='https://evil.example'><button id=send>x</button></form>";
		document.body.append(div);
		const script = document.createElement("script");
		script.textContent = "window.bad = 3";
		document.body.append(script);
		document.getElementById("jump").click();
		fetch("https://evil.example/").catch(() => {});
		document.getElementById("send").click();
	} 0`), chromedp.Sleep(time.Second))
	if bad := ask[int](b, `window.bad || 0`); bad != 0 {
		t.Errorf("way %d in is open", bad)
	}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if len(b.requests) != 1 {
		t.Errorf("something was asked for: %q", b.requests)
	}
	if len(b.problems) < 5 {
		t.Errorf("the browser does not say that it stopped all five: %q", b.problems)
	}
}

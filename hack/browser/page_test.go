// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestPagesAreQuietAndFit shows each page to each kind of viewer.
func TestPagesAreQuietAndFit(t *testing.T) {
	for _, name := range []string{"showcase", "saved", "upgrade", "clusters", "calm", "nothing", "hostile"} {
		for _, v := range views {
			t.Run(name+"-"+v.name, func(t *testing.T) {
				b := open(t, v, name)
				if wide := ask[int64](b, "document.documentElement.scrollWidth"); wide > v.width {
					t.Errorf("the page is %d wide, the screen %d: %s", wide, v.width, ask[string](b, widest))
				}
				if seen := ask[bool](b, `getComputedStyle(document.body).backgroundColor === "rgb(19, 21, 24)"`); seen != v.dark {
					t.Errorf("dark is %v, want %v", seen, v.dark)
				}
				b.screenshot(name + "-" + v.name)
				b.run(chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("tbody details").forEach((d, n) => { d.open = n < 2 }); 0`))
				b.screenshot(name + "-" + v.name + "-open")
				b.quiet()
			})
		}
	}
}

// widest names what stands out of the screen.
const widest = `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".sr")).slice(0, 5).map(e => e.outerHTML.slice(0, 120)).join("\n")`

// shown are the rows that stand in the document.
const shown = `[...document.querySelectorAll("tbody[role] tr")]`

func TestFilterAndSort(t *testing.T) {
	b := open(t, light, "many")
	count := func() string { return ask[string](b, `document.querySelector(".tools output").value`) }
	if got := count(); got != "250 of 5000 shown" {
		t.Fatalf("at first %s", got)
	}

	b.run(chromedp.Click(chromedp.CSS(`th[data-sort=end] button`)))
	ends := ask[[]float64](b, shown+`.map(tr => Number(tr.dataset.end))`)
	if len(ends) != 250 || !slices.IsSorted(ends) {
		t.Errorf("by end, upwards: %v", ends[:5])
	}
	first := ends[0]
	b.run(chromedp.Click(chromedp.CSS(`th[data-sort=end] button`)))
	ends = ask[[]float64](b, shown+`.map(tr => Number(tr.dataset.end))`)
	if slices.Reverse(ends); !slices.IsSorted(ends) || ends[0] <= first {
		t.Errorf("by end, downwards: %v", ends[:5])
	}
	sorted := ask[[]string](b, `[...document.querySelectorAll("th[data-sort]")].map(th => th.dataset.sort + " " + th.ariaSort)`)
	if want := []string{"state null", "title null", "id null", "end descending"}; !slices.Equal(sorted, want) {
		t.Errorf("the heads say %q, want %q", sorted, want)
	}
	b.run(chromedp.Click(chromedp.CSS(`th[data-sort=id] button`)))
	if ids := ask[[]string](b, shown+`.map(tr => tr.querySelector("code").textContent)`); !slices.IsSorted(ids) || !strings.HasPrefix(ids[0], "cp0/") {
		t.Errorf("by where: %q", ids[:5])
	}

	b.run(chromedp.SendKeys(chromedp.CSS(`.tools input`), "cp7/ etcd"))
	b.until("filtering by words", `document.querySelector(".tools output").value.endsWith("of 5000")`)
	rows := ask[[]string](b, shown+`.map(tr => tr.querySelector("code").textContent)`)
	for _, id := range rows {
		if !strings.HasPrefix(id, "cp7/") || !strings.Contains(id, "etcd") {
			t.Errorf("the filter lets %s through", id)
		}
	}
	if len(rows) == 0 || count() != fmt.Sprintf("%d of 5000", len(rows)) {
		t.Errorf("%d rows, and %s", len(rows), count())
	}
	b.run(chromedp.Click(chromedp.CSS(`.counts li[data-state=notice] button`)))
	for _, state := range ask[[]string](b, shown+`.map(tr => tr.className)`) {
		if state != "notice" {
			t.Errorf("the filter lets a row through that is %s", state)
		}
	}
	if pressed := ask[string](b, `document.querySelector(".counts li[data-state=notice] button").ariaPressed`); pressed != "true" {
		t.Errorf("the button is pressed: %s", pressed)
	}
	b.run(chromedp.Click(chromedp.CSS(`.counts li[data-state=notice] button`)),
		chromedp.Evaluate[chromedp.Void](`{ const f = document.querySelector(".tools input"); f.value = ""; f.dispatchEvent(new Event("input")); } 0`))
	if got := count(); got != "250 of 5000 shown" {
		t.Errorf("without filters %s", got)
	}
	b.run(chromedp.Click(chromedp.CSS(`button.more`)))
	if got := count(); got != "500 of 5000 shown" {
		t.Errorf("after asking for more %s", got)
	}

	// On paper there is no asking for more.
	for _, c := range []struct {
		event string
		rows  int
	}{{"beforeprint", 5000}, {"afterprint", 500}} {
		if n := ask[int](b, `dispatchEvent(new Event("`+c.event+`")), `+shown+`.length`); n != c.rows {
			t.Errorf("%s: %d rows, want %d", c.event, n, c.rows)
		}
	}

	// What is searched includes what only an open row shows.
	print := ask[string](b, `document.querySelector("dd.c").textContent`)
	b.run(chromedp.SendKeys(chromedp.CSS(`.tools input`), print))
	b.until("filtering by a fingerprint", `document.querySelector(".tools output").value.endsWith("of 5000")`)
	if n := ask[int](b, shown+`.length`); n != 1 {
		t.Errorf("%d rows have the fingerprint %s", n, print)
	}
	b.quiet()
}

func TestFilterByHop(t *testing.T) {
	b := open(t, light, "upgrade")
	b.run(chromedp.Evaluate[chromedp.Void](`{ const s = document.querySelector(".tools select"); s.value = "1.37"; s.dispatchEvent(new Event("change")); } 0`))
	hops := ask[[]string](b, shown+`.map(tr => tr.dataset.hop)`)
	if len(hops) != 12 || slices.ContainsFunc(hops, func(h string) bool { return h != "1.37" }) {
		t.Errorf("rows of the hop to 1.37: %q", hops)
	}
	b.quiet()
}

// TestKeyboard walks through the page with nothing but keys.
func TestKeyboard(t *testing.T) {
	b := open(t, light, "showcase")
	where := func() string {
		return ask[string](b, `(e => e.tagName + " " + e.textContent.trim().slice(0, 30) + " " + getComputedStyle(e).outlineStyle + " " + (e.checkVisibility() && e.getBoundingClientRect().height > 0))(document.activeElement)`)
	}
	var walked []string
	for range 16 {
		b.run(chromedp.KeyEvent(kb.Tab))
		at := where()
		if !strings.HasSuffix(at, " solid true") {
			t.Errorf("the focus cannot be seen at %s", at)
		}
		walked = append(walked, strings.TrimSuffix(at, " solid true"))
	}
	for n, start := range []string{"A What was not seen", "BUTTON 11 overdue", "BUTTON 2 due", "BUTTON 33 ok", "BUTTON 1 accepted", "BUTTON 1 notice", "INPUT", "BUTTON State", "BUTTON What", "BUTTON Where", "BUTTON Ends", "SUMMARY the API server's client certif"} {
		if !strings.HasPrefix(walked[n], start) {
			t.Errorf("stop %d is %q, want %q", n, walked[n], start)
		}
	}
	for range 4 {
		b.run(chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(chromedp.ModifierShift))) // Shift: back to the first row
	}
	b.run(chromedp.KeyEvent(kb.Enter))
	if !ask[bool](b, `document.activeElement.parentElement.open`) {
		t.Fatalf("Enter does not open the row at %s", where())
	}
	b.until("a button in the open row", `document.activeElement.parentElement.querySelector(".fix button") !== null`)
	b.run(chromedp.KeyEvent(kb.Tab))
	if at := where(); !strings.HasPrefix(at, "BUTTON Copy solid true") {
		t.Errorf("after the open row's head comes %s, want its button", at)
	}
	for range 5 {
		b.run(chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(chromedp.ModifierShift)))
	}
	b.run(chromedp.KeyEvent(" "))
	if got := ask[string](b, `document.querySelector("th[aria-sort]").textContent`); got != "State" && got != "What" && got != "Where" && got != "Ends" {
		t.Errorf("sorted by %s", got)
	}
	b.quiet()
}

func TestWithoutScript(t *testing.T) {
	v := light
	v.noScript, v.name = true, "no-script"
	for _, name := range []string{"showcase", "many"} {
		b := open(t, v, name)
		if rows := ask[int](b, shown+`.length`); name == "many" && rows != 5000 || name == "showcase" && rows != 48 {
			t.Errorf("%s has %d rows", name, rows)
		}
		if n := ask[int](b, `document.querySelectorAll("button, input, select").length`); n != 0 {
			t.Errorf("%s has %d things that do nothing without a script", name, n)
		}
		b.run(chromedp.ScrollIntoView(chromedp.CSS(`tbody summary`)), chromedp.Click(chromedp.CSS(`tbody summary`)))
		if !ask[bool](b, `document.querySelector("tbody details").open && document.querySelector("tbody dl").getBoundingClientRect().height > 50`) {
			t.Errorf("a row of %s does not open", name)
		}
		if name == "showcase" {
			b.screenshot(name + "-" + v.name)
		}
		b.quiet()
	}
}

// TestPrint prints to PDF, and asks what stands on the paper.
func TestPrint(t *testing.T) {
	for _, name := range []string{"showcase", "upgrade"} {
		b := open(t, light, name)
		pdf := call(b, page.PrintToPDF, page.PrintToPDFParams{PaperWidth: 8.27, PaperHeight: 11.69}).Data
		if !bytes.HasPrefix(pdf, []byte("%PDF-")) {
			t.Fatalf("%s: no PDF: %q", name, pdf[:min(len(pdf), 20)])
		}
		keep(t, name+"-print.pdf", pdf)
		call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
		b.view = view{width: 720, height: 1000}
		b.size(b.view.width, b.view.height)
		closed := ask[int](b, shown+`.filter(tr => !tr.querySelector("details").open).length`)
		folded := ask[int](b, shown+`.filter(tr => tr.querySelector("dl").getBoundingClientRect().height < 20).length`)
		if closed == 0 || folded > 0 {
			t.Errorf("%s: of %d rows that are closed on the screen, %d do not show their evidence on paper", name, closed, folded)
		}
		if n := ask[int](b, `[...document.querySelectorAll(".tools, .more")].filter(e => e.checkVisibility()).length`); n > 0 {
			t.Errorf("%s: %d tools are printed", name, n)
		}
		b.screenshot(name + "-print")
		b.quiet()
	}
}

// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	permissions "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

// server serves the pages served-1, served-2 and served-3 as perennial serve does.
func server(t *testing.T) (address string, show func(version string), end func()) {
	t.Helper()
	running(t)
	dir, err := pages()
	if err != nil {
		t.Fatal(err)
	}
	var version atomic.Value
	version.Store("1")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		body, err := os.ReadFile(filepath.Join(dir, "served-"+version.Load().(string)+".html"))
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(body)
	})
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, r *http.Request) {
		v := version.Load().(string)
		state := map[string]any{"version": v, "every": 60}
		if v == "3" {
			state["failed"] = "reading /etc/kubernetes/pki/ca.crt: permission denied"
		}
		_ = json.NewEncoder(w).Encode(state)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL + "/", func(v string) { version.Store(v) }, s.Close
}

// TestServedPageKeepsWhatIsOpen lets the page bring itself up to date under
// somebody's hands.
func TestServedPageKeepsWhatIsOpen(t *testing.T) {
	address, show, end := server(t)
	b := visit(t, light, address)
	b.screenshot("served-light")
	b.run(
		chromedp.Click(chromedp.CSS(`.counts li[data-state=overdue] button`)),
		chromedp.Click(chromedp.CSS(`th[data-sort=end] button`)),
		chromedp.SendKeys(chromedp.CSS(`.tools input`), "cp3"),
	)
	b.until("what was typed for", `document.querySelector(".tools output").value.startsWith("10 ")`) // it waits for the typing to end
	b.run(
		chromedp.Click(chromedp.CSS(`tbody tr:nth-child(3) summary`)),
		chromedp.Click(chromedp.CSS(`.history summary`)),
		chromedp.Focus(chromedp.CSS(`.tools input`)),
	)
	const state = `JSON.stringify([document.querySelector(".tools input").value, document.activeElement.type, document.querySelector("[aria-sort]").dataset.sort,
		[...document.querySelectorAll("details[open]")].map(d => d.closest("tr")?.id || d.id), document.querySelector(".counts li[data-state=overdue] button").ariaPressed, document.querySelector(".tools output").value.split(" ")[0], document.querySelectorAll(".tools").length])`
	before := ask[string](b, state)
	if !strings.Contains(before, `"cp3","search","end",["t1-f`) || !strings.Contains(before, `"p-20261120-1"`) {
		t.Fatalf("at first the page has %s", before)
	}
	show("2")
	b.until("a new headline", `document.querySelector("h1").textContent.includes("Everything is fine now")`)
	if after := ask[string](b, state); after != before {
		t.Errorf("the page has %s, before %s", after, before)
	}
	if ask[bool](b, `!document.getElementById("alert").hidden && document.getElementById("alert").textContent.includes("failed")`) {
		t.Error("the page says that a look failed")
	}
	show("3")
	b.until("saying that the look failed", `document.getElementById("alert").textContent.includes("The last look failed: reading /etc/kubernetes/pki/ca.crt: permission denied.") && !document.getElementById("alert").hidden`)
	b.screenshot("served-failed-light")
	b.quiet(address, address+"version")
	end()
	b.until("saying that nobody answers", `document.getElementById("alert").textContent.startsWith("perennial serve does not answer")`)
}

// TestServedPageTellsOfTheAgent shows what only a served page has to each kind of
// viewer.
func TestServedPageTellsOfTheAgent(t *testing.T) {
	address, _, _ := server(t)
	for _, v := range views {
		t.Run(v.name, func(t *testing.T) {
			b := visit(t, v, address)
			b.run(chromedp.Click(chromedp.CSS(`.counts li[data-state=due] button`)), // the rest of the rows is on other pictures
				chromedp.Evaluate[chromedp.Void](`document.querySelectorAll(".history details").forEach(d => { d.open = true }); 0`))
			if wide := ask[int64](b, "document.documentElement.scrollWidth"); wide > v.width {
				t.Errorf("the page is %d wide, the screen %d: %s", wide, v.width, ask[string](b, widest))
			}
			if seen := ask[string](b, `document.querySelector("#live").innerText`); !strings.Contains(seen, "What the agent does next") || !strings.Contains(seen, "replace the API server, without downtime") {
				t.Errorf("of the agent and the history it says\n%s", seen)
			}
			b.screenshot("served-history-" + v.name)
			b.quiet(address, address+"version")
		})
	}
}

func TestCopy(t *testing.T) {
	address, _, _ := server(t)
	b := visit(t, light, address)
	for _, name := range []string{"clipboard-read", "clipboard-write"} {
		p := permissions.SetPermissionParams{Permission: &permissions.PermissionDescriptor{Name: name}, Setting: permissions.PermissionSettingGranted}
		if _, err := chromedp.CallBrowser(b.ctx, permissions.SetPermission, p); err != nil {
			t.Fatal(err)
		}
	}
	b.run(chromedp.Click(chromedp.CSS(`tbody tr:nth-child(2) summary`)), chromedp.Click(chromedp.CSS(`tbody tr:nth-child(2) .fix button`)), chromedp.Sleep(200*time.Millisecond))
	want := ask[string](b, `document.querySelector("tbody tr:nth-child(2) .fix pre").textContent`)
	if got := ask[string](b, `navigator.clipboard.readText()`); got != want || want == "" {
		t.Errorf("copied %q, want %q", got, want)
	}
	b.quiet(address, address+"version")
}

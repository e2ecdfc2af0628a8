// SPDX-License-Identifier: Apache-2.0

package page

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/net/html"

	"perennial.dev/perennial/internal/timeline"
)

// element is an element of a page, read by a parser that is not the template's.
type element struct {
	name  string
	attrs map[string]string
	text  string // of all that is inside of it
}

func elements(t testing.TB, page string) []element {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var all []element
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		e := element{name: n.Data, attrs: map[string]string{}}
		for _, a := range n.Attr {
			e.attrs[a.Key] = a.Val
		}
		for d := range n.Descendants() {
			if d.Type == html.TextNode {
				e.text += d.Data
			}
		}
		all = append(all, e)
	}
	return all
}

func named(all []element, name string) []element {
	return slices.DeleteFunc(slices.Clone(all), func(e element) bool { return e.name != name })
}

func withClass(all []element, class string) []element {
	return slices.DeleteFunc(slices.Clone(all), func(e element) bool { return !slices.Contains(strings.Fields(e.attrs["class"]), class) })
}

func TestPageSaysWhatTheTimelineSays(t *testing.T) {
	for name, tl := range map[string]timeline.Timeline{"saved": saved(t, "timeline.json"), "upgrade": saved(t, "upgrade.json"), "showcase": showcase(), "on the way": onTheWay(t)} {
		t.Run(name, func(t *testing.T) {
			all := elements(t, render(t, Options{}, tl))
			head := named(all, "h1")
			if len(head) != 1 || !strings.HasPrefix(plain(tl.Headline), head[0].text) || head[0].text == "" {
				t.Errorf("the headline is %+v, want the start of %q", head, tl.Headline)
			}
			if looked := withClass(all, "looked"); len(looked) != 1 || !strings.HasPrefix(looked[0].text, tl.Looked()) {
				t.Errorf("what was looked at: %+v, want %q", looked, tl.Looked())
			}
			if seen := named(all, "time")[0]; seen.attrs["datetime"] != tl.ObservedAt.UTC().Format(time.RFC3339) {
				t.Errorf("as of %+v, want %s", seen, tl.ObservedAt)
			}
			rows := slices.DeleteFunc(named(all, "tr"), func(e element) bool { return e.attrs["id"] == "" })
			if len(rows) != len(tl.Items) {
				t.Fatalf("%d rows for %d items", len(rows), len(tl.Items))
			}
			ids := map[string]bool{}
			for n, i := range tl.Items {
				row := rows[n]
				ids[row.attrs["id"]] = true
				wants := []string{plain(i.Title), plain(i.ID), plain(i.Code), i.State(), fixText(i.Fix)}
				for _, d := range i.Details() {
					wants = append(wants, d.Text)
				}
				for _, want := range wants {
					if !strings.Contains(row.text, want) {
						t.Errorf("the row of %s (%s) does not say %q", i.ID, i.Code, want)
					}
				}
			}
			if len(ids) != len(rows) {
				t.Errorf("%d keys for %d rows", len(ids), len(rows))
			}
			for _, u := range tl.Unseen {
				if un := withClass(all, "unseen"); len(un) != 1 || !strings.Contains(un[0].text, unseenText(u)) {
					t.Errorf("what was not seen: %+v, want %q", un, unseenText(u))
				}
			}
		})
	}
}

// TestPageStandsAlone looks for whatever a page could load, send or run.
func TestPageStandsAlone(t *testing.T) {
	for name, page := range pages(t) {
		if name == "many" {
			continue
		}
		for _, e := range elements(t, page()) {
			switch e.name {
			case "img", "iframe", "object", "embed", "form", "base", "audio", "video", "source", "use", "image", "foreignobject", "noscript", "template", "frame", "animate", "set":
				t.Errorf("%s: an element %s", name, e.name)
			case "link":
				if e.attrs["rel"] != "icon" || !strings.HasPrefix(e.attrs["href"], "data:image/svg+xml;base64,") {
					t.Errorf("%s: a link %v", name, e.attrs)
				}
			case "script", "style":
				if len(e.attrs) > 0 {
					t.Errorf("%s: %s has attributes: %v", name, e.name, e.attrs)
				}
			case "a":
				if to := e.attrs["href"]; !strings.HasPrefix(to, "#t") && to != "#live" {
					t.Errorf("%s: a link to %q", name, e.attrs["href"])
				}
			}
			for a := range e.attrs {
				if strings.HasPrefix(a, "on") || a == "style" || a == "src" || a == "srcset" || a == "xlink:href" || a == "ping" || a == "action" || a == "formaction" {
					t.Errorf("%s: %s has the attribute %s", name, e.name, a)
				}
			}
		}
		for _, word := range []string{"http://", "@import", "url("} {
			if strings.Contains(style+script, word) {
				t.Errorf("the style or the script has %q", word)
			}
		}
	}
}

// TestPolicy holds the policy against what a browser would compute of the page.
func TestPolicy(t *testing.T) {
	for _, live := range []*Live{nil, served("1")} {
		all := elements(t, render(t, Options{Live: live}, torture()))
		var policies []string
		for _, m := range named(all, "meta") {
			if m.attrs["http-equiv"] == "Content-Security-Policy" {
				policies = append(policies, m.attrs["content"])
			}
		}
		if len(policies) != 1 || policies[0] != Policy(live != nil) {
			t.Fatalf("policies %q, want %q", policies, Policy(live != nil))
		}
		for _, name := range []string{"style", "script"} {
			found := named(all, name)
			if len(found) != 1 {
				t.Fatalf("%d elements %s", len(found), name)
			}
			sum := sha256.Sum256([]byte(found[0].text))
			if want := name + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policies[0], want) {
				t.Errorf("%s is not the one that the policy allows: %q", name, policies[0])
			}
		}
		for _, want := range []string{"default-src 'none'", "base-uri 'none'", "form-action 'none'"} {
			if !strings.Contains(policies[0], want) {
				t.Errorf("the policy lacks %s: %s", want, policies[0])
			}
		}
		if strings.Contains(policies[0], "unsafe") || strings.Contains(policies[0], "connect-src") != (live != nil) {
			t.Errorf("the policy is %s", policies[0])
		}
	}
}

func TestHostileNames(t *testing.T) {
	clean := shape(t, hostile("x"))
	for n, s := range hostileNames {
		tl := hostile(s)
		page := render(t, Options{Live: &Live{Version: s, Failed: s, Silences: []string{s}, History: []Change{{ID: s, What: []string{s}, State: s}},
			Agent: &Agent{Says: s, Stops: s, Doing: s, Next: []Next{{s, s, seen, seen, s}}, Person: []Person{{s, s, s, s}}}}}, tl)
		for i, r := range page {
			if r != '\n' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) || r == unicode.ReplacementChar {
				t.Errorf("name %d: %U near %q", n, r, page[max(0, i-30):i])
				break
			}
		}
		if s == "" {
			continue // it leaves lines out
		}
		if got := shape(t, tl); got != clean {
			t.Errorf("name %d (%q) changes the page's elements: %s", n, s, firstDifference(got, clean))
		}
	}
}

// shape is the elements of a page with their attributes' names, sorted since items
// are by their names: what a name must not change.
func shape(t *testing.T, tl timeline.Timeline) string {
	var lines []string
	for _, e := range elements(t, render(t, Options{}, tl)) {
		var names []string
		for a := range e.attrs {
			names = append(names, a)
		}
		slices.Sort(names)
		if e.name != "strong" && e.name != "wbr" { // of a headline with a date, of a long ID
			lines = append(lines, fmt.Sprint(e.name, names))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return fmt.Sprintf("line %d: %s, not %s", i, x[i], y[i])
		}
	}
	return fmt.Sprintf("%d elements, not %d", len(x), len(y))
}

func TestTortureStaysSmall(t *testing.T) {
	page := render(t, Options{}, torture())
	if len(page) > 1<<20 {
		t.Errorf("the page has %d bytes", len(page))
	}
	if !strings.Contains(page, "more bytes") {
		t.Error("nothing says that a text was cut")
	}
	if frame := len(render(t, Options{})); frame > 100<<10 {
		t.Errorf("a page without data has %d bytes, want at most 100 KiB", frame)
	}
}

func TestLongFixIsNotCut(t *testing.T) {
	tl := calm("x")
	tl.Items[0].Fix = strings.Repeat("echo 1234567\n", 1000)
	if page := render(t, Options{}, tl); !strings.Contains(page, strings.TrimSpace(tl.Items[0].Fix)) {
		t.Error("a command of 13,000 bytes is cut")
	}
	tl.Items[0].Fix = strings.Repeat("echo 1234567\n", 10_000)
	if page := render(t, Options{}, tl); strings.Contains(page, "echo") || !strings.Contains(page, "are too long to show here") {
		t.Error("a command of 130,000 bytes is shown in part")
	}
}

func TestSeveralClusters(t *testing.T) {
	all := elements(t, render(t, Options{}, showcase(), calm("staging"), calm("edge")))
	if h1 := named(all, "h1"); len(h1) != 1 || h1[0].text != "Of 3 clusters, 1 overdue, 2 ok." {
		t.Errorf("the headline is %+v", h1)
	}
	ids := map[string]bool{}
	for _, e := range all {
		if id := e.attrs["id"]; id != "" && ids[id] {
			t.Errorf("two elements have the id %s", id)
		} else if id != "" {
			ids[id] = true
		}
	}
	links := 0
	for _, a := range named(all, "a") {
		if !ids[strings.TrimPrefix(a.attrs["href"], "#")] {
			t.Errorf("the link %s leads nowhere", a.attrs["href"])
		}
		links++
	}
	if links < 3 {
		t.Errorf("%d links, want one to each cluster", links)
	}
	if got := elements(t, render(t, Options{})); named(got, "h1")[0].text != "Nothing was looked at." {
		t.Errorf("without a timeline the headline is %+v", named(got, "h1"))
	}
}

func TestTheSamePageEachTime(t *testing.T) {
	if a, b := render(t, Options{}, showcase(), onTheWay(t)), render(t, Options{}, showcase(), onTheWay(t)); a != b {
		t.Error("the same timelines give two pages")
	}
}

func TestHops(t *testing.T) {
	tl := onTheWay(t)
	all := elements(t, render(t, Options{}, tl))
	var hops []string
	for _, e := range named(all, "li") {
		if to := e.attrs["data-hop"]; to != "" {
			hops = append(hops, to+" "+e.attrs["class"]+" "+e.text)
		}
	}
	want := []string{"1.33 due 1.33changes7 change", "1.34 ok 1.34clear", "1.35 overdue 1.35blocked, the first hop that breaks1 blocks, 4 break", "1.36 ok 1.36clear2 notices", "1.37 overdue 1.37breaks12 break"}
	for n := range hops {
		hops[n] = strings.Join(strings.Fields(hops[n]), " ")
	}
	if !slices.Equal(hops, want) {
		t.Errorf("hops are\n%q, want\n%q", hops, want)
	}
	rows := map[string]int{}
	for _, e := range named(all, "tr") {
		if h := e.attrs["data-hop"]; h != "" {
			rows[h]++
		}
	}
	for _, h := range tl.Upgrade.Hops {
		if n := h.Blocks + h.Breaks + h.Changes + h.Notices; rows[h.To] != n {
			t.Errorf("%d rows of the hop to %s, want %d", rows[h.To], h.To, n)
		}
	}
}

func TestServedPage(t *testing.T) {
	page := render(t, Options{Live: served("abc")}, showcase())
	for _, want := range []string{`data-version="abc"`, `data-every="60"`, "What the agent does next", "renew the scheduler&#39;s client certificate", "not by itself",
		"What was changed here", "replace the API server, without downtime", "A person is needed: cp1/ca", "2026-12-24 10:30 UTC"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s", want)
		}
	}
	if first, second := strings.Index(page, "20261120-1"), strings.Index(page, "20261101-1"); first < 0 || second < first {
		t.Error("the last change does not come first")
	}
	if file := render(t, Options{}, showcase()); strings.Contains(file, "data-version") || strings.Contains(file, "What the agent does next") {
		t.Error("a file says what only a server can")
	}
}

func TestFailedWrite(t *testing.T) {
	r, w := io.Pipe()
	r.Close()
	if err := Write(w, nil, Options{}); err == nil || !strings.HasPrefix(err.Error(), "writing the page: ") {
		t.Errorf("got %v", err)
	}
}

func TestSentences(t *testing.T) {
	for headline, want := range map[string][2]string{
		"This cluster stops working on 2027-02-23 (in 92 days): x expires. Before that, y.": {"This cluster stops working [on 2027-02-23 (in 92 days)]: x expires.", "Before that, y."},
		"Something is broken now: v1.35.2 of x.":                                            {"Something is broken now: v1.35.2 of x.", ""},
		"It ends today at 14:03 UTC (in 5 hours).":                                          {"It ends [today at 14:03 UTC (in 5 hours)].", ""},
		"": {"", ""},
	} {
		first, rest := sentences(headline)
		if got := [2]string{joined(first), joined(rest)}; got != want {
			t.Errorf("%q: %q, want %q", headline, got, want)
		}
	}
}

func joined(all []piece) string {
	var b strings.Builder
	for _, p := range all {
		if p.When != "" {
			b.WriteString("[" + p.String() + "]")
			continue
		}
		b.WriteString(p.Text)
	}
	return b.String()
}

// TestContrast computes WCAG's contrast of each colour of text with what is below
// it, in both schemes and on paper.
func TestContrast(t *testing.T) {
	schemes := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllStringSubmatch(style, -1)
	colour := regexp.MustCompile(`--([a-z]+): (#[0-9a-f]{3,6});`)
	checked := 0
	for n, s := range schemes {
		c := map[string]string{}
		for _, m := range colour.FindAllStringSubmatch(s[1], -1) {
			c[m[1]] = m[2]
		}
		if c["paper"] == "" {
			continue // of higher contrast only
		}
		for _, text := range []string{"ink", "soft", "overdue", "due", "unknown", "ok", "accepted", "notice"} {
			for _, below := range []string{"paper", "card", "faint", "far"} {
				checked++
				if got := contrast(c[text], c[below]); got < 4.5 {
					t.Errorf("scheme %d: %s on %s has a contrast of %.2f, want 4.5", n, text, below, got)
				}
			}
		}
	}
	if checked != 3*8*4 {
		t.Errorf("%d pairs of colours, want those of three schemes", checked)
	}
}

func contrast(a, b string) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + .05) / (min(x, y) + .05)
}

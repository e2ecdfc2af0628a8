// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"slices"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/performance"
)

// BenchmarkManyFindings measures a page with 5,000 findings, from a file: when
// something is painted first, when everything is, and how long it takes from a
// key or a click until the frame that shows what it did. On a machine that is busy
// with other things the time is theirs, too: so the processor's time of the page's
// own thread is measured as well (cpu). bench/page runs it.
func BenchmarkManyFindings(b *testing.B) {
	var painted, largest, loaded, first, words, states, sorts []float64
	var wordsCPU, statesCPU, sortsCPU []float64
	for b.Loop() {
		tab := open(b, light, "many")
		tab.until("painting", `performance.getEntriesByName("first-contentful-paint").length > 0`)
		figures := ask[struct{ Painted, Largest, Loaded float64 }](tab, `new Promise(done => {
			new PerformanceObserver(list => done({
				painted: performance.getEntriesByName("first-contentful-paint")[0].startTime,
				largest: list.getEntries().at(-1).startTime,
				loaded: performance.getEntriesByType("navigation")[0].loadEventEnd,
			})).observe({type: "largest-contentful-paint", buffered: true});
		})`)
		painted, largest, loaded = append(painted, figures.Painted), append(largest, figures.Largest), append(loaded, figures.Loaded)
		first = append(first, ask[float64](tab, acting+`took(() => type("etcd"))`))
		tab.until("being idle", `new Promise(done => requestIdleCallback(() => done(true)))`)
		for _, act := range []struct {
			all, cpu   *[]float64
			expression string
		}{
			{&words, &wordsCPU, `each(["cp7", "cp7/", "cp7/etcd", "", "sha256:00", "admin"].map(w => () => type(w)))`},
			{&states, &statesCPU, `each([..."111111"].map(() => () => document.querySelector(".counts button").click()))`},
			{&sorts, &sortsCPU, `each(["end", "end", "id", "title", "title", "state"].map(k => () => document.querySelector("th[data-sort=" + k + "] button").click()))`},
		} {
			before := cpu(tab)
			took := ask[[]float64](tab, acting+act.expression)
			*act.all = append(*act.all, took...)
			*act.cpu = append(*act.cpu, (cpu(tab)-before)/float64(len(took)))
		}
		tab.quiet()
	}
	for name, all := range map[string][]float64{"first-paint": painted, "largest-paint": largest, "loaded": loaded, "first-filter": first, "filter-words": words, "filter-state": states, "sort": sorts,
		"cpu-filter-words": wordsCPU, "cpu-filter-state": statesCPU, "cpu-sort": sortsCPU} {
		slices.Sort(all)
		b.ReportMetric(all[len(all)/2], name+"-ms")
		b.ReportMetric(all[len(all)-1], name+"-worst-ms")
	}
	b.ReportMetric(0, "ns/op") // says nothing here
}

// cpu is the processor's time that the page's thread has used since it was first
// asked, in milliseconds.
func cpu(b *tab) float64 {
	b.t.Helper()
	call(b, performance.Enable, performance.EnableParams{})
	for _, m := range call(b, performance.GetMetrics, cdp.Empty{}).Metrics {
		if m.Name == "ThreadTime" {
			return m.Value * 1000
		}
	}
	b.t.Fatal("the browser does not tell the processor's time")
	return 0
}

// acting times an act until the frame that shows it is done.
const acting = `{
	var type = w => { const f = document.querySelector(".tools input"); f.value = w; f.dispatchEvent(new Event("input")); };
	var took = act => new Promise(done => requestAnimationFrame(() => { const from = performance.now(); act(); document.body.getBoundingClientRect(); requestAnimationFrame(() => { const c = new MessageChannel(); c.port1.onmessage = () => done(performance.now() - from); c.port2.postMessage(0); }); }));
	var each = async acts => { const all = []; for (const a of acts) all.push(await took(a)); return all; };
} `

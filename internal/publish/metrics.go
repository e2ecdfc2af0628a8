// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"cmp"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/timeline"
)

// IDLimit is how many different IDs are published in one metric: a cluster with
// more findings has one cause, and Prometheus is to survive it. The rest is
// counted.
const IDLimit = 500

// Metrics hold what was last seen and done, as numbers: nothing of a timeline is
// kept but them. Its methods may be called at once. It is a prometheus.Collector.
type Metrics struct {
	mu      sync.Mutex
	items   []item
	unseen  map[[2]string]float64
	dropped int // of the items
	looked  time.Time
	took    time.Duration
	every   time.Duration // between two looks; 0 until it is told
	success map[string]time.Time
	needed  map[itemKey]bool
	planned map[string]time.Time
	changes map[change]float64
	stopped bool
	valid   *bool // nil until it is told
	acts    *bool
	asOf    time.Time
	build   [2]string
}

type change struct{ verb, outcome string }

// itemKey is what is published once.
type itemKey struct{ id, code string }

// item is an ID and code with the worst verdict and the earliest end of all that
// was found of them.
type item struct {
	itemKey
	verdict string
	end     time.Time // zero: there is no date
	basis   string
}

// NewMetrics are those of a program of a version, built with a Go version. The
// knowledge that it judges by is of a day.
func NewMetrics(version, goVersion string, asOf time.Time) *Metrics {
	return &Metrics{success: map[string]time.Time{}, changes: map[change]float64{}, asOf: asOf, build: [2]string{version, goVersion}}
}

// Looked takes in what a look found: the sources that served it and did not fail.
func (m *Metrics) Looked(line timeline.Timeline, sources []string) {
	items, dropped := published(line.Items)
	unseen := map[[2]string]float64{}
	for _, u := range line.Unseen {
		unseen[[2]string{label(u.Source), label(u.Why)}]++
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.items, m.dropped, m.unseen, m.looked = items, dropped, unseen, line.ObservedAt
	for _, s := range sources {
		m.success[label(s)] = line.ObservedAt
	}
}

// Took says how long the last look took.
func (m *Metrics) Took(duration time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.took = duration
}

// Every says how much time is between two looks.
func (m *Metrics) Every(interval time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.every = interval
}

// Changed counts a step by its verb and outcome.
func (m *Metrics) Changed(verb, outcome string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes[change{label(verb), label(outcome)}]++
}

// Stopped says whether changing has stopped until a person has looked.
func (m *Metrics) Stopped(stopped bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopped = stopped
}

// PersonNeeded says for what a person is needed now, and why: codes of findings
// or of preflights. It is all of it, and takes the place of what was said before.
func (m *Metrics) PersonNeeded(codes map[fact.ID][]string) {
	needed := map[itemKey]bool{}
	for id, all := range codes {
		for _, code := range all {
			needed[itemKey{label(id), label(code)}] = true
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.needed = needed
}

// Planned says what is to be changed next, and when: all of it, and it takes the
// place of what was said before.
func (m *Metrics) Planned(next map[fact.ID]time.Time) {
	planned := map[string]time.Time{}
	for id, at := range next {
		if first, seen := planned[label(id)]; !seen || at.Before(first) {
			planned[label(id)] = at
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.planned = planned
}

// SettingsValid says whether the settings could be read; where they could not,
// the last ones that could are in force.
func (m *Metrics) SettingsValid(valid bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.valid = &valid
}

// Acts says whether what is due is changed, or only looked at.
func (m *Metrics) Acts(acts bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.acts = &acts
}

// published picks each ID and code once, and counts the IDs that are too many:
// items come worst first.
func published(all []timeline.Item) (items []item, dropped int) {
	at, ids, over := map[itemKey]int{}, map[string]bool{}, map[string]bool{}
	for _, i := range all {
		key := itemKey{label(i.ID), label(i.Code)}
		if !ids[key.id] && len(ids) == IDLimit {
			over[key.id] = true
			continue
		}
		ids[key.id] = true
		n, seen := at[key]
		if !seen {
			n, at[key] = len(items), len(items)
			items = append(items, item{itemKey: key, verdict: label(i.State())})
		}
		if date := i.End.Date; !date.IsZero() && (items[n].end.IsZero() || date.Before(items[n].end)) {
			items[n].end, items[n].basis = date, label(i.End.Basis)
		}
	}
	slices.SortFunc(items, func(a, b item) int { return a.compare(b.itemKey) })
	return slices.Clip(items), len(over)
}

func (k itemKey) compare(o itemKey) int {
	return cmp.Or(strings.Compare(k.id, o.id), strings.Compare(k.code, o.code))
}

// label is a text as a label has it: safe to print, and no longer than a name.
func label[T ~string](text T) string {
	const limit = 200
	shown := []rune(fact.Text(text).String())
	if len(shown) > limit {
		shown = append(shown[:limit-1], '…')
	}
	return string(shown)
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, out) }

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.collectFound(out)
	dropped := m.dropped
	needed, over := limited(m.needed, itemKey.compare)
	dropped += over
	for _, k := range needed {
		out <- neededMetric.of(1, k.id, fact.ID(k.id).Node(), k.code)
	}
	planned, over := limited(m.planned, strings.Compare)
	dropped += over
	for _, id := range planned {
		out <- plannedMetric.of(seconds(m.planned[id]), id, fact.ID(id).Node())
	}
	out <- droppedMetric.of(float64(dropped))
	m.collectState(out)
}

// collectFound collects what a look tells by itself.
func (m *Metrics) collectFound(out chan<- prometheus.Metric) {
	for _, i := range m.items {
		node := fact.ID(i.id).Node()
		out <- verdictMetric.of(1, i.id, node, i.code, i.verdict)
		if !i.end.IsZero() {
			out <- endMetric.of(seconds(i.end), i.id, node, i.code, i.basis)
		}
	}
	for key, n := range m.unseen {
		out <- unseenMetric.of(n, key[0], key[1])
	}
	if !m.looked.IsZero() {
		out <- lookMetric.of(seconds(m.looked))
	}
	out <- asOfMetric.of(seconds(m.asOf))
	out <- buildMetric.of(1, m.build[0], m.build[1])
}

// collectState collects what is not about a single ID, and what no look tells.
func (m *Metrics) collectState(out chan<- prometheus.Metric) {
	for source, at := range m.success {
		out <- successMetric.of(seconds(at), source)
	}
	for c, n := range m.changes {
		out <- changesMetric.of(n, c.verb, c.outcome)
	}
	if m.took > 0 {
		out <- tookMetric.of(m.took.Seconds())
	}
	if m.every > 0 {
		out <- everyMetric.of(m.every.Seconds())
	}
	if m.valid != nil {
		out <- validMetric.of(number(*m.valid))
	}
	if m.acts != nil {
		out <- actsMetric.of(number(*m.acts))
	}
	out <- stoppedMetric.of(number(m.stopped))
}

// limited are the keys of a map, sorted, and how many are too many.
func limited[K comparable, V any](all map[K]V, compare func(a, b K) int) (kept []K, over int) {
	kept = slices.SortedFunc(maps.Keys(all), compare)
	over = max(len(kept)-IDLimit, 0)
	return kept[:len(kept)-over], over
}

func seconds(t time.Time) float64 { return float64(t.Unix()) }

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// WriteText writes the metrics in Prometheus' text format, for the textfile
// collector of the node exporter. What is about the process and the Go runtime is
// not among them: the exporter has its own.
func (m *Metrics) WriteText(w io.Writer) error {
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(m); err != nil {
		return err
	}
	return writeText(w, registry)
}

func writeText(w io.Writer, registry *prometheus.Registry) error {
	families, err := registry.Gather()
	if err != nil {
		return err
	}
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(w, family); err != nil {
			return err
		}
	}
	return nil
}

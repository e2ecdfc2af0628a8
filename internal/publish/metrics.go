// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"cmp"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/timeline"
)

// IDLimit is how many different IDs are published: a cluster with more findings
// has one cause, and Prometheus is to survive it. The rest is counted.
const IDLimit = 500

// Metrics hold what was last seen and done. Its methods may be called at once;
// a scrape gets one state and no mixture. It is a prometheus.Collector.
type Metrics struct {
	mu      sync.Mutex
	line    timeline.Timeline
	success map[string]time.Time
	changes map[change]float64
	stopped bool
	asOf    time.Time
	build   [2]string
}

type change struct{ verb, outcome string }

// NewMetrics are those of a program of a version, built with a Go version. The
// knowledge that it judges by is of a day.
func NewMetrics(version, goVersion string, asOf time.Time) *Metrics {
	return &Metrics{success: map[string]time.Time{}, changes: map[change]float64{}, asOf: asOf, build: [2]string{version, goVersion}}
}

// Looked takes in what a look found: the sources that served it and did not fail.
func (m *Metrics) Looked(line timeline.Timeline, sources []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.line = line
	for _, s := range sources {
		m.success[s] = line.ObservedAt
	}
}

// Changed counts a step by its verb and outcome.
func (m *Metrics) Changed(verb, outcome string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes[change{verb, outcome}]++
}

// Stopped says whether changing has stopped until a person has looked.
func (m *Metrics) Stopped(stopped bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopped = stopped
}

var (
	endDesc = prometheus.NewDesc("perennial_end_timestamp_seconds",
		"When something stops working, in seconds since 1970; what has no date is not among them.", []string{"id", "node", "code", "basis"}, nil)
	verdictDesc = prometheus.NewDesc("perennial_verdict",
		"1 for the verdict on what was found: ok, due, overdue, unknown, accepted or notice.", []string{"id", "node", "code", "verdict"}, nil)
	unseenDesc = prometheus.NewDesc("perennial_unseen",
		"How much could not be looked at, by source and class of cause.", []string{"source", "why"}, nil)
	successDesc = prometheus.NewDesc("perennial_last_success_timestamp_seconds",
		"When a source last saw all that it looked at, in seconds since 1970.", []string{"source"}, nil)
	asOfDesc = prometheus.NewDesc("perennial_data_as_of_timestamp_seconds",
		"The day of the knowledge about releases, in seconds since 1970.", nil, nil)
	lookDesc = prometheus.NewDesc("perennial_last_look_timestamp_seconds",
		"When was last looked, in seconds since 1970.", nil, nil)
	changesDesc = prometheus.NewDesc("perennial_changes_total",
		"Steps of changes since the start of the program, by verb and outcome.", []string{"verb", "outcome"}, nil)
	stoppedDesc = prometheus.NewDesc("perennial_line_stopped",
		"1 where nothing is changed any more until a person has looked.", nil, nil)
	droppedDesc = prometheus.NewDesc("perennial_dropped_ids",
		"Things found that are not published, because there are too many.", nil, nil)
	buildDesc = prometheus.NewDesc("perennial_build_info",
		"1, with the version of the program and of Go.", []string{"version", "goversion"}, nil)
)

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, out) }

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	m.items(gauge)
	unseen := map[[2]string]float64{}
	for _, u := range m.line.Unseen {
		unseen[[2]string{u.Source, string(u.Why)}]++
	}
	for key, n := range unseen {
		gauge(unseenDesc, n, key[0], key[1])
	}
	for source, at := range m.success {
		gauge(successDesc, seconds(at), source)
	}
	for c, n := range m.changes {
		out <- prometheus.MustNewConstMetric(changesDesc, prometheus.CounterValue, n, c.verb, c.outcome)
	}
	if !m.line.ObservedAt.IsZero() {
		gauge(lookDesc, seconds(m.line.ObservedAt))
	}
	gauge(asOfDesc, seconds(m.asOf))
	gauge(stoppedDesc, map[bool]float64{true: 1}[m.stopped])
	gauge(buildDesc, 1, m.build[0], m.build[1])
}

// items publishes each (ID, code) once, with its earliest end and its worst
// verdict: items come worst first.
func (m *Metrics) items(gauge func(*prometheus.Desc, float64, ...string)) {
	type key struct{ id, code string }
	ends, verdicts, ids := map[key]timeline.Item{}, map[key]string{}, map[string]bool{}
	var order []key
	dropped := map[string]bool{}
	for _, i := range m.line.Items {
		id := label(string(i.ID))
		if !ids[id] && len(ids) == IDLimit {
			dropped[id] = true
			continue
		}
		ids[id] = true
		k := key{id, string(i.Code)}
		if _, seen := verdicts[k]; !seen {
			verdicts[k], order = verdict(i), append(order, k)
		}
		if first, seen := ends[k]; !i.End.Date.IsZero() && (!seen || i.End.Date.Before(first.End.Date)) {
			ends[k] = i
		}
	}
	slices.SortFunc(order, func(a, b key) int { return cmp.Or(strings.Compare(a.id, b.id), strings.Compare(a.code, b.code)) })
	for _, k := range order {
		node := fact.ID(k.id).Node()
		gauge(verdictDesc, 1, k.id, node, k.code, verdicts[k])
		if i, ok := ends[k]; ok {
			gauge(endDesc, seconds(i.End.Date), k.id, node, k.code, string(i.End.Basis))
		}
	}
	gauge(droppedDesc, float64(len(dropped)))
}

// verdict is the item's, or why it does not count.
func verdict(i timeline.Item) string {
	switch {
	case i.Accepted != nil:
		return "accepted"
	case i.Notice():
		return "notice"
	}
	return string(i.Verdict)
}

// label is a text as a label has it: safe to print, and no longer than a name.
func label(text string) string {
	const limit = 200
	shown := []rune(fact.Text(text).String())
	if len(shown) > limit {
		shown = append(shown[:limit-1], '…')
	}
	return string(shown)
}

func seconds(t time.Time) float64 { return float64(t.Unix()) }

// WriteText writes the metrics in Prometheus' text format, for the textfile
// collector of the node exporter.
func (m *Metrics) WriteText(w io.Writer) error {
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(m); err != nil {
		return err
	}
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

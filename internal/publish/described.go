// SPDX-License-Identifier: Apache-2.0

package publish

import "github.com/prometheus/client_golang/prometheus"

// Description says what a metric is.
type Description struct {
	Name   string
	Help   string
	Labels []string
	// Counter: it only grows, until the program is started again. Otherwise it
	// is a gauge.
	Counter bool

	desc *prometheus.Desc
}

// The metrics. A name or a label is never changed or given another meaning.
var (
	endMetric = gauge("perennial_end_timestamp_seconds",
		"When something stops working, in seconds since 1970; what has no date is not among them.", "id", "node", "code", "basis")
	verdictMetric = gauge("perennial_verdict",
		"1 for the verdict on what was found: ok, due, overdue, unknown, accepted or notice.", "id", "node", "code", "verdict")
	neededMetric = gauge("perennial_person_needed",
		"1 for what only a person can take away, with the code that says why.", "id", "node", "code")
	plannedMetric = gauge("perennial_next_change_timestamp_seconds",
		"When something is to be changed, in seconds since 1970; what is not planned is not among them.", "id", "node")
	droppedMetric = gauge("perennial_dropped_ids",
		"Things that are not published, because there are too many.")
	unseenMetric = gauge("perennial_unseen",
		"How much could not be looked at, by source and class of cause.", "source", "why")
	successMetric = gauge("perennial_last_success_timestamp_seconds",
		"When a source last saw all that it looked at, in seconds since 1970.", "source")
	lookMetric = gauge("perennial_last_look_timestamp_seconds",
		"When was last looked, in seconds since 1970.")
	tookMetric = gauge("perennial_look_duration_seconds",
		"How long the last look took.")
	everyMetric = gauge("perennial_look_interval_seconds",
		"Time between two looks, as the settings say.")
	actsMetric = gauge("perennial_acts",
		"1 where what is due is changed, 0 where it is only looked at.")
	validMetric = gauge("perennial_settings_valid",
		"1 where the settings could be read; 0 where they could not, and the last ones that could are in force.")
	stoppedMetric = gauge("perennial_line_stopped",
		"1 where nothing is changed any more until a person has looked.")
	changesMetric = counter("perennial_changes_total",
		"Steps of changes since the start of the program, by verb and outcome.", "verb", "outcome")
	asOfMetric = gauge("perennial_data_as_of_timestamp_seconds",
		"The day of the knowledge about releases, in seconds since 1970.")
	buildMetric = gauge("perennial_build_info",
		"1, with the version of the program and of Go.", "version", "goversion")
)

// Described is the one table of metrics, in the order of the docs.
var Described = []Description{
	endMetric, verdictMetric, neededMetric, plannedMetric, droppedMetric,
	unseenMetric, successMetric, lookMetric, tookMetric, everyMetric,
	actsMetric, validMetric, stoppedMetric, changesMetric, asOfMetric, buildMetric,
}

func gauge(name, help string, labels ...string) Description {
	return Description{Name: name, Help: help, Labels: labels, desc: prometheus.NewDesc(name, help, labels, nil)}
}

func counter(name, help string, labels ...string) Description {
	d := gauge(name, help, labels...)
	d.Counter = true
	return d
}

// of is the metric with a value.
func (d Description) of(value float64, labels ...string) prometheus.Metric {
	kind := prometheus.GaugeValue
	if d.Counter {
		kind = prometheus.CounterValue
	}
	return prometheus.MustNewConstMetric(d.desc, kind, value, labels...)
}

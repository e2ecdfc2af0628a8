// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"fmt"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"perennial.dev/perennial/internal/timeline"
)

// Program is what looked.
type Program struct {
	Version, GoVersion string
	AsOf               time.Time // the day of its knowledge about releases
}

// WriteLooks writes what looks found as metrics in Prometheus' text format, with
// the names and the meanings of an agent's. What only a program that goes on can
// tell, such as what it does next, is not among them: nobody knows it, so it is
// absent and not zero. Of several clusters each has its name as the label cluster.
func WriteLooks(w io.Writer, all []timeline.Timeline, p Program) error {
	registry := prometheus.NewPedanticRegistry()
	for _, t := range all {
		m := NewMetrics(p.Version, p.GoVersion, p.AsOf)
		m.Looked(t, nil)
		var to prometheus.Registerer = registry
		if len(all) > 1 {
			to = prometheus.WrapRegistererWith(prometheus.Labels{"cluster": label(t.Cluster)}, registry)
		}
		if err := to.Register(look{m}); err != nil {
			return fmt.Errorf("writing metrics of the cluster %s: %w", t.Cluster, err)
		}
	}
	return writeText(w, registry)
}

// look is what a single look tells.
type look struct{ *Metrics }

// Describe implements prometheus.Collector.
func (l look) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(l, out) }

// Collect implements prometheus.Collector.
func (l look) Collect(out chan<- prometheus.Metric) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.collectFound(out)
	out <- droppedMetric.of(float64(l.dropped))
}

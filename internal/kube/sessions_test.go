// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"strings"
	"testing"
	"time"
)

const someMetrics = `# HELP apiserver_longrunning_requests [STABLE] Gauge of all active long-running apiserver requests
# TYPE apiserver_longrunning_requests gauge
apiserver_longrunning_requests{component="apiserver",group="",resource="pods",scope="cluster",subresource="",verb="WATCH",version="v1"} 3
apiserver_longrunning_requests{component="apiserver",group="",resource="nodes",scope="cluster",subresource="",verb="WATCH",version="v1"} 2
apiserver_longrunning_requests{component="apiserver",group="",resource="pods",scope="resource",subresource="exec",verb="CONNECT",version="v1"} 1
apiserver_longrunning_requests{component="apiserver",group="",resource="pods",scope="resource",subresource="exec",verb="POST",version="v1"} 1
apiserver_longrunning_requests{component="apiserver",group="",resource="pods",scope="resource",subresource="log",verb="GET",version="v1"} 4
apiserver_longrunning_requests{component="apiserver",group="",resource="pods",scope="resource",subresource="attach",verb="CONNECT",version="v1"} 0
apiserver_longrunning_requests{component="",group="a, \"b}\"",resource="q\\",scope="",subresource="proxy",verb="x\ny",version="v1"} 5 1700000000000
apiserver_longrunning_requests_total{subresource="exec"} 99
apiserver_current_inflight_requests{request_kind="mutating"} 1
apiserver_current_inflight_requests{request_kind="readOnly"} 7
apiserver_request_terminations_total{code="429",component="apiserver",verb="GET"} 10
apiserver_request_terminations_total{code="429",component="apiserver",verb="LIST"} 1e+01
apiserver_request_terminations_total{code="504",component="apiserver",verb="GET"} 3
process_start_time_seconds 1.76380000012e+09
`

func TestReadSessions(t *testing.T) {
	got, err := readSessions(strings.NewReader(someMetrics))
	want := Sessions{Exec: 2, Proxy: 5, Log: 4, Watches: 5, Reads: 7, Writes: 1, TooMany: 20, Started: time.UnixMilli(1763800000120).UTC()}
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if got.Ending() != 11 {
		t.Errorf("%d end with the server", got.Ending())
	}
}

func TestReadSessionsBroken(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":             "",
		"another program":     "process_start_time_seconds 1.7e+09\nup 1\n",
		"labels do not end":   someMetrics + `apiserver_longrunning_requests{verb="WATCH"`,
		"a value's end":       someMetrics + `apiserver_longrunning_requests{verb="WATCH`,
		"no value":            someMetrics + `apiserver_longrunning_requests{verb="WATCH"}`,
		"no number":           someMetrics + `apiserver_longrunning_requests{verb="WATCH"} many`,
		"less than nothing":   someMetrics + `apiserver_current_inflight_requests{request_kind="readOnly"} -1`,
		"no count":            someMetrics + `apiserver_current_inflight_requests{request_kind="readOnly"} NaN`,
		"endless":             someMetrics + `apiserver_current_inflight_requests{request_kind="readOnly"} +Inf`,
		"an endless line":     someMetrics + strings.Repeat("x", lineLimit+1),
		"no start of it":      strings.Replace(someMetrics, "process_start", "other_start", 1),
		"no requests of it":   strings.ReplaceAll(someMetrics, "current_inflight", "other"),
		"cut in a label's \\": someMetrics + "apiserver_longrunning_requests{verb=\"\\",
	} {
		if got, err := readSessions(strings.NewReader(text)); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestTooManySince(t *testing.T) {
	earlier := Sessions{TooMany: 5, Started: time.Unix(100, 0)}
	for name, c := range map[string]struct {
		later Sessions
		want  uint64
		ok    bool
	}{
		"more":            {Sessions{TooMany: 12, Started: time.Unix(100, 0)}, 7, true},
		"none":            {Sessions{TooMany: 5, Started: time.Unix(100, 0)}, 0, true},
		"another process": {Sessions{TooMany: 12, Started: time.Unix(200, 0)}, 0, false},
		"backwards":       {Sessions{TooMany: 4, Started: time.Unix(100, 0)}, 0, false},
	} {
		if got, ok := c.later.TooManySince(earlier); got != c.want || ok != c.ok {
			t.Errorf("%s: %d, %v", name, got, ok)
		}
	}
}

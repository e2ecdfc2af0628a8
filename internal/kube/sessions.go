// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Sessions is one sample of what is open on an API server and how busy it is.
// The numbers are the server's own, of this process.
type Sessions struct {
	// Open now, and ended when the server goes. Each log is counted, whether or
	// not it is followed: a short one is gone in the next sample.
	Exec, Attach, PortForward, Proxy, Log int
	// Watches are open too; their clients come back by themselves.
	Watches int
	// Executing now, sessions and watches excepted.
	Reads, Writes int
	// TooMany is how many requests got 429 since the process began, from
	// priority and fairness or from the plain limits where that is off.
	TooMany uint64
	// Started is when the process began.
	Started time.Time
}

// Ending is how many sessions of people and programs end with the server.
func (s Sessions) Ending() int { return s.Exec + s.Attach + s.PortForward + s.Proxy + s.Log }

// TooManySince is how many requests got 429 between two samples. It is false
// when they are of two processes.
func (s Sessions) TooManySince(earlier Sessions) (uint64, bool) {
	if !s.Started.Equal(earlier.Started) || s.TooMany < earlier.TooMany {
		return 0, false
	}
	return s.TooMany - earlier.TooMany, true
}

// The metrics that are read (apiserver pkg/endpoints/metrics/metrics.go, the
// same in 1.25 and 1.37). apiserver_flowcontrol_rejected_requests_total would
// leave out a server with priority and fairness off.
const (
	longRunning  = "apiserver_longrunning_requests"
	inFlight     = "apiserver_current_inflight_requests"
	terminations = "apiserver_request_terminations_total"
	processStart = "process_start_time_seconds"
)

// Sessions reads the server's metrics once, about 3 MB on a small cluster.
func (c *Client) Sessions(ctx context.Context) (Sessions, error) {
	const about = "for its metrics"
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	body, err := c.build(request{verb: http.MethodGet, path: []string{"/metrics"}, header: map[string]string{"Accept": "text/plain;version=0.0.4"}}).Stream(ctx)
	if err != nil {
		return Sessions{}, c.failed(ctx, about, err)
	}
	defer body.Close()
	found, err := readSessions(body)
	if err != nil {
		return Sessions{}, c.failed(ctx, about, err)
	}
	return found, nil
}

func readSessions(text io.Reader) (Sessions, error) {
	var s Sessions
	inFlights := 0
	err := scanMetrics(text, []string{longRunning, inFlight, terminations, processStart}, func(m metric) {
		switch m.name {
		case longRunning:
			s.count(m.labels["verb"], m.labels["subresource"], int(m.value))
		case inFlight:
			inFlights++
			if m.labels["request_kind"] == "mutating" {
				s.Writes += int(m.value)
			} else {
				s.Reads += int(m.value)
			}
		case terminations:
			if m.labels["code"] == "429" {
				s.TooMany += uint64(m.value)
			}
		case processStart:
			s.Started = time.UnixMilli(int64(m.value * 1000)).UTC()
		}
	})
	// The others are not there as long as they are 0.
	if err == nil && (inFlights == 0 || s.Started.IsZero()) {
		err = errors.New("these are not the metrics of an API server, or not all of them: " + inFlight + " or " + processStart + " is missing")
	}
	return s, err
}

// count adds what is open. What a request is connected to says more than its
// verb, which depends on the client's protocol and the version.
func (s *Sessions) count(verb, subresource string, n int) {
	switch subresource {
	case "exec":
		s.Exec += n
	case "attach":
		s.Attach += n
	case "portforward":
		s.PortForward += n
	case "proxy":
		s.Proxy += n
	case "log":
		s.Log += n
	default:
		if verb == "WATCH" {
			s.Watches += n
		}
	}
}

// String is a sentence's part: what ends with the server.
func (s Sessions) String() string {
	return fmt.Sprintf("exec %d, attach %d, port-forward %d, proxy %d, logs %d, watches %d", s.Exec, s.Attach, s.PortForward, s.Proxy, s.Log, s.Watches)
}

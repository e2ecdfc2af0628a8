// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// store answers lists of ConfigMaps page by page, as an API server does.
type store struct {
	names   []string
	asked   []string // the queries
	trouble func(n int, w http.ResponseWriter, r *http.Request) bool
}

func newStore(n int) *store {
	s := &store{}
	for i := range n {
		s.names = append(s.names, fmt.Sprintf("c%04d", i))
	}
	return s
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked = append(s.asked, r.URL.RawQuery)
	if s.trouble != nil && s.trouble(len(s.asked), w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, s.page(r))
}

// page begins at the name in the continue token; a token that begins with "rv2-"
// stands for the inconsistent one.
func (s *store) page(r *http.Request) string {
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	from := strings.TrimPrefix(r.URL.Query().Get("continue"), "rv2-")
	start, _ := slices.BinarySearch(s.names, from)
	end := min(start+limit, len(s.names))
	next := ""
	if end < len(s.names) {
		next = s.names[end]
	}
	var items []string
	for _, name := range s.names[start:end] {
		items = append(items, fmt.Sprintf(`{"metadata": {"name": %q, "namespace": "default"}, "data": {"k": "v"}}`, name))
	}
	return fmt.Sprintf(`{"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": "7", "continue": %q}, "items": [%s]}`, next, strings.Join(items, ","))
}

var configMaps = Resource{Version: "v1", Name: "configmaps", Kind: "ConfigMap", Namespaced: true, Verbs: []string{"list"}}

func list(t *testing.T, answer http.Handler, l Listing) (names []string, err error) {
	t.Helper()
	c := newCluster(t)
	client := c.open(t, c.serve(t, answer.ServeHTTP))
	l.Resource = configMaps
	err = client.List(t.Context(), l, func(item json.RawMessage) error {
		var o struct{ Metadata struct{ Name string } }
		if err := json.Unmarshal(item, &o); err != nil {
			t.Error(err)
		}
		names = append(names, o.Metadata.Name)
		return nil
	})
	return names, err
}

func TestListPages(t *testing.T) {
	s := newStore(25)
	names, err := list(t, s, Listing{Page: 10, Labels: "a=b"})
	if err != nil || !slices.Equal(names, s.names) {
		t.Fatalf("%v, %v", names, err)
	}
	if want := []string{"labelSelector=a%3Db&limit=10", "continue=c0010&labelSelector=a%3Db&limit=10", "continue=c0020&labelSelector=a%3Db&limit=10"}; !slices.Equal(s.asked, want) {
		t.Errorf("asked %q", s.asked)
	}
}

// The order of a list's members and what else it holds do not matter.
func TestListForms(t *testing.T) {
	for name, answer := range map[string]string{
		"items first":   `{"items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}], "metadata": {}, "more": {"deep": [[{}]]}}`,
		"no metadata":   `{"items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}]}`,
		"null metadata": `{"metadata": null, "items": [{"metadata": {"name": "a"}},{"metadata": {"name": "b"}}]}`,
	} {
		names, err := list(t, status(200, answer), Listing{})
		if err != nil || !slices.Equal(names, []string{"a", "b"}) {
			t.Errorf("%s: %v, %v", name, names, err)
		}
	}
	for _, answer := range []string{`{"metadata": {}, "items": null}`, `{"metadata": {}, "items": []}`} {
		if names, err := list(t, status(200, answer), Listing{}); err != nil || len(names) != 0 {
			t.Errorf("%s: %v, %v", answer, names, err)
		}
	}
}

// A list whose token expires comes whole, each object once: with the token that
// the server offers, or from the start again.
func TestListExpires(t *testing.T) {
	for name, next := range map[string]string{"goes on": "rv2-c0010", "begins anew": ""} {
		t.Run(name, func(t *testing.T) {
			s := newStore(35)
			s.trouble = func(n int, w http.ResponseWriter, r *http.Request) bool {
				if n != 2 {
					return false
				}
				status(410, fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","metadata":{"continue":%q},"status":"Failure","reason":"Expired","message":"too old","code":410}`, next))(w, r)
				return true
			}
			names, err := list(t, s, Listing{Page: 10})
			if err != nil || !slices.Equal(names, s.names) {
				t.Errorf("%v, %v", names, err)
			}
		})
	}
	s := newStore(35)
	s.trouble = func(n int, w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("continue") == "" {
			return false
		}
		status(410, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","message":"too old","code":410}`)(w, r)
		return true
	}
	names, err := list(t, s, Listing{Page: 10})
	if err == nil || len(names) != 10 || !strings.Contains(err.Error(), "for its configmaps (after 10 of them)") || len(s.asked) > 2*(restarts+1) {
		t.Errorf("a token that always expires: %v, %v after %d questions", names, err, len(s.asked))
	}
}

// A connection that breaks in the middle of a page costs that page a second
// question, and no object comes twice.
func TestListBreaks(t *testing.T) {
	s := newStore(25)
	s.trouble = func(n int, w http.ResponseWriter, r *http.Request) bool {
		if n == 2 {
			page := s.page(r)
			fmt.Fprint(w, page[:len(page)/2])
		}
		return n == 2
	}
	names, err := list(t, s, Listing{Page: 10})
	if err != nil || !slices.Equal(names, s.names) || len(s.asked) != 4 {
		t.Errorf("%v, %v after %d questions", names, err, len(s.asked))
	}
}

// A busy server is waited for as long as it asks, if that is not too long.
func TestListBusy(t *testing.T) {
	busy := func(seconds string, always bool) *store {
		s := newStore(5)
		s.trouble = func(n int, w http.ResponseWriter, r *http.Request) bool {
			if n == 1 || always {
				w.Header().Set("Retry-After", seconds)
				status(429, "Too many requests, please try again later.")(w, r)
				return true
			}
			return false
		}
		return s
	}
	s := busy("1", false)
	if names, err := list(t, s, Listing{}); err != nil || len(names) != 5 || len(s.asked) != 2 {
		t.Errorf("busy once: %v, %v", names, err)
	}
	s = busy("3600", true)
	if _, err := list(t, s, Listing{}); !Busy(err) || len(s.asked) != 1 || !strings.Contains(err.Error(), "wants 1h0m0s of patience") {
		t.Errorf("busy for an hour: %v after %d questions", err, len(s.asked))
	}
	s = busy("1", true)
	if _, err := list(t, s, Listing{Patience: Patience{Page: 1500 * time.Millisecond, Wait: time.Second}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("busy for ever: %v", err)
	}
}

// What no API server answers costs a bounded time and memory, and what came
// before it is kept.
func TestListFaults(t *testing.T) {
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	patience := Patience{Page: time.Second, Wait: time.Second}
	for name, f := range map[string]struct {
		answer http.HandlerFunc
		is     error
		want   string
		names  int
	}{
		"forbids":     {status(403, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","message":"no","code":403}`), ErrForbidden, "no", 0},
		"a page":      {status(200, "<html>"), ErrGarbled, "no list of objects", 0},
		"no list":     {status(200, `{"kind": "ConfigMap", "metadata": {"name": "a"}}`), ErrGarbled, "no list of objects", 0},
		"no objects":  {status(200, `{"items": [{"metadata": {"name": "a"}}, 7]}`), nil, "no object", 1},
		"no items":    {status(200, `{"items": {"a": 1}}`), ErrGarbled, "no list of objects", 0},
		"broken JSON": {status(200, `{"items": [{"metadata": {"name": "a"}}, {"metadata" "b"}]}`), ErrGarbled, "after 1 of them", 1},
		"breaks off":  {status(200, `{"items": [{"metadata": {"name": "a"}}, {"meta`), ErrGarbled, "after 1 of them", 1},
		"trickles": {func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, `{"items": [{"metadata": {"name": "a"}},`)
			w.(http.Flusher).Flush()
			select {
			case <-hold:
			case <-r.Context().Done():
			}
		}, context.DeadlineExceeded, "no answer within 1s", 1},
		"is endless": {func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, `{"items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "`)
			block := strings.Repeat("x", 1<<20)
			for range 2 * itemLimit >> 20 {
				if _, err := fmt.Fprint(w, block); err != nil {
					return
				}
			}
		}, ErrTooLarge, "after 1 of them", 1},
	} {
		t.Run(name, func(t *testing.T) {
			l := Listing{Patience: patience}
			if name == "is endless" {
				l.Patience = DefaultPatience
			}
			names, err := list(t, f.answer, l)
			if err == nil || f.is != nil && !errors.Is(err, f.is) || !strings.Contains(err.Error(), f.want) || len(names) != f.names {
				t.Errorf("%v, %v; want %q", names, err, f.want)
			}
		})
	}
}

// What the caller says of an object ends the list, as it is.
func TestListStops(t *testing.T) {
	c := newCluster(t)
	s := newStore(30)
	client := c.open(t, c.serve(t, s.ServeHTTP))
	stop := errors.New("enough")
	err := client.List(t.Context(), Listing{Resource: configMaps, Page: 10}, func(json.RawMessage) error { return stop })
	if err != stop || len(s.asked) != 1 {
		t.Errorf("%v after %d questions", err, len(s.asked))
	}
}

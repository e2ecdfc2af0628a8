// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"cmp"
	"context"
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// FleetLimits bound the search for API servers behind one endpoint.
type FleetLimits struct {
	Dial  time.Duration // for one connection
	Total time.Duration // for all of it
	Dials int           // connections for each of the two names; 0 means 200
}

// Fleet is what answered behind one endpoint.
type Fleet struct {
	// Loopback and Serving are the distinct chains that were presented with
	// the loopback name and without it, each as first seen, by the time they
	// are valid from. Every API server has its own loopback certificate, so
	// the number of those is the number of API servers that answered; serving
	// certificates may be shared.
	Loopback, Serving []Answer
	Dials             int   // connections that were tried
	Failed            int   // those that failed
	Err               error // the first failure; nil when none failed
	// Settled says that the search ended because nothing new appeared any
	// more, and not because a limit was reached.
	Settled bool
}

// Answer is a chain and how often it was presented.
type Answer struct {
	Served fact.Served
	Count  int
}

const (
	fleetDials   = 200
	fleetAtOnce  = 8
	fleetQuiet   = 10 // connections without news that end the search, at least
	fleetPerSeen = 5  // and this many for each one seen, and as many again
)

// quiet is the number of connections without news after which the search ends.
// With a balancer that draws at random, of s+1 servers that answer equally
// often one that is left over stays hidden with the chance (s/(s+1))^quiet:
// 0.1 % when one was seen, 0.4 % when four were. A balancer that always sends
// one client to the same server shows only that one, however often it is asked.
func quiet(seen int) int { return max(fleetQuiet, fleetPerSeen*(seen+1)) }

// FindFleet connects to an endpoint again and again, asking for loopback (the
// server name under which every API server shows a certificate of its own) and
// then for no name, until no new certificate has appeared for a while. So the
// API servers behind a load balancer are all seen, and counted. The names take
// turns as a whole: a balancer that goes round would give each name only its
// own half of the servers if they alternated. Failures count as nothing new:
// one dead server behind a balancer does not hide the others. An error means
// that nothing answered at all.
func FindFleet(ctx context.Context, endpoint, loopback string, limits FleetLimits) (Fleet, error) {
	ctx, cancel := context.WithTimeout(ctx, limits.Total)
	defer cancel()
	limits.Dials = cmp.Or(limits.Dials, fleetDials)
	own := &search{endpoint: endpoint, sni: loopback, limits: limits, seen: answers{}}
	if err := own.run(ctx); err != nil {
		return Fleet{}, err
	}
	serving := &search{endpoint: endpoint, limits: limits, seen: answers{}, expected: len(own.seen)}
	err := serving.run(ctx)
	return Fleet{
		Loopback: own.seen.sorted(),
		Serving:  serving.seen.sorted(),
		Dials:    own.ended + serving.ended,
		Failed:   own.failed + serving.failed,
		Err:      cmp.Or(own.err, serving.err, err),
		Settled:  own.settled() && serving.settled(),
	}, nil
}

// search is a search under way with one name, shared by its workers.
type search struct {
	endpoint, sni string
	limits        FleetLimits
	expected      int // servers known from before

	mu                     sync.Mutex
	started, ended, failed int
	sinceNews              int
	err                    error
	seen                   answers
}

func (s *search) run(ctx context.Context) error {
	var group sync.WaitGroup
	for range fleetAtOnce {
		group.Go(func() {
			for s.next(ctx) {
				served, err := Handshake(ctx, s.endpoint, s.sni, s.limits.Dial)
				s.note(ctx, served, err)
			}
		})
	}
	group.Wait()
	if len(s.seen) > 0 {
		return nil
	}
	if s.err != nil {
		return s.err
	}
	return &Error{Doing: "connecting to", Endpoint: s.endpoint, Err: ctx.Err()}
}

// hopeless is the number of failures after which an endpoint that never
// answered is given up.
const hopeless = 6

func (s *search) next(ctx context.Context) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.settled() || len(s.seen) == 0 && s.failed >= hopeless || s.started >= s.limits.Dials || ctx.Err() != nil {
		return false
	}
	s.started++
	return true
}

func (s *search) settled() bool {
	return s.sinceNews >= quiet(max(len(s.seen), s.expected))
}

func (s *search) note(ctx context.Context, served fact.Served, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && ctx.Err() != nil {
		return // ended by the search's own time: says nothing about the server
	}
	s.ended++
	s.sinceNews++
	switch {
	case err != nil:
		s.failed++
		s.err = cmp.Or(s.err, err)
	case s.seen.add(served):
		s.sinceNews = 0
	}
}

// answers are distinct chains, by the hash of their bytes.
type answers map[[sha256.Size]byte]*Answer

func (a answers) add(s fact.Served) (isNew bool) {
	h := sha256.New()
	for _, c := range s.Certs {
		h.Write(c.Raw)
	}
	key := [sha256.Size]byte(h.Sum(nil))
	if old, ok := a[key]; ok {
		old.Count++
		return false
	}
	a[key] = &Answer{Served: s, Count: 1}
	return true
}

func (a answers) sorted() []Answer {
	out := make([]Answer, 0, len(a))
	for _, answer := range a {
		out = append(out, *answer)
	}
	slices.SortFunc(out, func(x, y Answer) int {
		l, r := x.Served.Certs[0], y.Served.Certs[0]
		return cmp.Or(l.NotBefore.Compare(r.NotBefore), cmp.Compare(l.Fingerprint(), r.Fingerprint()))
	})
	return out
}

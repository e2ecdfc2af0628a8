// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
)

// Of HTTP.
const (
	statusOK           = 200
	statusUnauthorized = 401
	statusForbidden    = 403
)

// loopback is the fingerprint of the loopback certificate of the API server that
// answers at an endpoint: each process has its own.
func (s Seen) loopback(endpoint string) string {
	for _, f := range s.Facts {
		if served, ok := f.(fact.Served); ok && served.Endpoint == endpoint && served.SNI == layout.LoopbackSNI && len(served.Certs) > 0 {
			return served.Certs[0].Fingerprint()
		}
	}
	return ""
}

// IsReady says whether an API server of this node says that it is ready.
func (s Seen) IsReady(component string) bool {
	answer, _ := Expect{Predicate: Ready, Component: component}.Holds(s)
	return answer == Yes
}

func (e Expect) ready(after Seen) (Answer, string) {
	endpoint := after.Layout.Endpoint(e.Component)
	for _, f := range after.Facts {
		r, ok := f.(fact.Ready)
		switch {
		case !ok || r.Endpoint != endpoint:
		case r.Status == statusOK:
			return Yes, e.Component + " is ready"
		case r.Status == statusUnauthorized || r.Status == statusForbidden:
			return Unknown, fmt.Sprintf("%s tells nobody without credentials whether it is ready (HTTP status %d)", e.Component, r.Status)
		default:
			return No, fmt.Sprintf("%s is not ready yet (HTTP status %d)", e.Component, r.Status)
		}
	}
	return Unknown, e.Component + " does not say whether it is ready"
}

func (e Expect) reaches(after Seen) (Answer, string) {
	there, its := after.loopback(e.Endpoint), after.loopback(after.Layout.Endpoint(e.Component))
	switch {
	case there == "":
		return Unknown, e.Endpoint + " does not answer"
	case its == "":
		return Unknown, e.Component + " does not answer"
	case there != its:
		return No, fmt.Sprintf("new connections to %s are answered by another API server than %s", e.Endpoint, e.Component)
	}
	return Yes, fmt.Sprintf("new connections to %s are answered by %s", e.Endpoint, e.Component)
}

func (e Expect) loopbackNew(after Seen) (Answer, string) {
	switch its := after.loopback(after.Layout.Endpoint(e.Component)); its {
	case "":
		return Unknown, e.Component + " does not show its loopback certificate"
	case e.Fingerprint:
		return No, e.Component + " has the loopback certificate from before"
	}
	return Yes, "its loopback certificate is new"
}

func (e Expect) guarded(after Seen) (Answer, string) {
	var there *fact.Guard
	looked := false
	for _, f := range after.Facts {
		if g, ok := f.(fact.Guard); ok {
			looked = true
			if g.Present && (there == nil || g.Active) {
				there = &g
			}
		}
	}
	switch unguarded := e.Predicate == Unguarded; {
	case !looked:
		return Unknown, "whether the service kubernetes is guarded could not be looked at"
	case there == nil && unguarded:
		return Yes, "nothing of the guard is left"
	case there == nil:
		return No, "the guard is not there"
	case unguarded:
		return No, fmt.Sprintf("the guard is still there: %s", fact.Text(there.Place))
	case !there.Active:
		return No, fmt.Sprintf("the guard is there and does not refuse yet: %s", fact.Text(there.Place))
	}
	return Yes, fmt.Sprintf("the service kubernetes does not lose its endpoints: %s", fact.Text(there.Place))
}

func (e Expect) ended(after Seen) (Answer, string) {
	if c, there := after.Layout.Component(e.Component); there {
		switch {
		case c.Process != nil:
			return No, fmt.Sprintf("%s still runs (pid %d)", e.Component, c.Process.PID)
		case c.Manifest != "":
			return No, c.Manifest + " is still there"
		}
	}
	return Yes, e.Component + " has ended"
}

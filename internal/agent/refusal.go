// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"perennial.dev/perennial/internal/execute"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/plan"
)

// Refusal is something that could not be begun. It is tried again, ever more
// seldom.
type Refusal struct {
	Code  Code      `json:"code"`
	Why   fact.Text `json:"why"` // half a sentence
	Next  fact.Text `json:"next,omitempty"`
	Since time.Time `json:"since"`
	Last  time.Time `json:"last"`
	Again time.Time `json:"again"` // when it is tried again
	Tries int       `json:"tries"`
	// Several things were to be done at once: what is wrong with one of them must
	// not keep back the others.
	Several bool `json:"several,omitempty"`
}

// refusal is an error as a refusal.
func refusal(err error) Refusal {
	r := Refusal{Code: Refused, Why: fact.Text(oneLine(err))}
	var held *host.HeldError
	var damaged *journal.DamagedError
	var newer *journal.NewerError
	switch {
	case errors.As(err, &held):
		r.Code = Busy
	case errors.As(err, &damaged), errors.As(err, &newer):
		r.Code = JournalDamaged
	case errors.Is(err, execute.ErrClock):
		r.Code = ClockSuspect
	}
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) && r.Code == Refused {
		r.Next = fact.Text(hinted.Hint())
	}
	return r
}

// oneLine is an error in one line, as it stands in a log and in a list.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// hasBegun says whether a run has begun with the plan.
func hasBegun(out execute.Outcome, err error) bool {
	return err == nil || len(out.Steps) > 0 || out.Result != "" && out.Result != journal.Failed
}

// unfit is why a plan is not done unattended, however it came about.
func unfit(p plan.Plan, w Work, now time.Time) (Refusal, bool) {
	if len(p.Steps) == 0 {
		why := "there is nothing to do"
		for _, n := range p.Notes {
			why = n.Text.String()
		}
		return Refusal{Code: Refused, Why: fact.Text(why)}, true
	}
	for _, s := range p.Steps {
		if s.Stop != nil && s.Verb == plan.Restart && !restartable(s.Stop.Component) {
			return Refusal{Code: RestartForbidden, Why: fact.Text(s.Stop.Component + " is not restarted while nobody watches")}, true
		}
	}
	if r, no := outage(p, w); no {
		return r, true
	}
	return tooShort(p, w, now)
}

// tooShort is a refusal where the window, in which alone the API may be away, closes
// before that is surely over: twice what is estimated, and a minute for what comes
// before it.
func tooShort(p plan.Plan, w Work, now time.Time) (Refusal, bool) {
	if !p.Decision.Away() || w.Until.IsZero() {
		return Refusal{}, false
	}
	left, takes := w.Until.Sub(now), time.Minute+2*p.Decision.Outage.Most.Duration
	if left >= takes {
		return Refusal{}, false
	}
	return Refusal{
		Code: Refused, Why: fact.Text(fmt.Sprintf("the window closes in %s, and the API may be away for longer: %s are kept for it", max(left, 0).Round(time.Second), takes.Round(time.Second))),
		Next: "perennial agent approve does it now; or make the window longer, in the settings",
	}, true
}

// outage is a refusal where the API would be away and that is not allowed now.
func outage(p plan.Plan, w Work) (Refusal, bool) {
	d := p.Decision
	if !d.Away() || w.InPlace {
		return Refusal{}, false
	}
	why := "the API would be away for " + d.Outage.String()
	for _, r := range d.Reasons {
		why += "; " + r.Says
	}
	return Refusal{Code: HandoverImpossible, Why: fact.Text(why)}, true
}

// longest is the longest time between two tries.
const longest = time.Hour

// again continues a refusal from the one before. What is too late soon is tried
// more often.
func (r Refusal) again(before Refusal, known bool, now time.Time, every time.Duration, ends time.Time) Refusal {
	now = now.UTC().Truncate(time.Second)
	r.Since, r.Tries, r.Last = now, 1, now
	if known {
		r.Since, r.Tries = before.Since, before.Tries+1
	}
	wait := min(every<<min(r.Tries-1, 10), longest)
	if !ends.IsZero() {
		wait = min(wait, ends.Sub(now)/10)
	}
	r.Again = now.Add(max(wait, every))
	return r
}

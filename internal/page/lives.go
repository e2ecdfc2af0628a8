// SPDX-License-Identifier: Apache-2.0

package page

import (
	"slices"
	"time"
)

// liveView is what only a served page shows, safe to show.
type liveView struct {
	Version  string
	Every    int // seconds
	Failed   string
	Silences []string
	History  []changeView
	Agent    *agentView
}

type changeView struct {
	ID, When, State string
	What            []string
}

type agentView struct {
	Says, Stops, Doing string
	Next               []nextView
	Person             []Person
}

type nextView struct{ When, What, ID, End, Why string }

// changesShown bounds the history: the journal holds years.
const changesShown = 50

func newLive(l Live) *liveView {
	v := &liveView{Version: short(l.Version), Every: int(l.Every / time.Second), Failed: short(l.Failed)}
	for _, s := range l.Silences {
		v.Silences = append(v.Silences, short(s))
	}
	for n, c := range slices.Backward(l.History) {
		if len(l.History)-n > changesShown {
			break
		}
		change := changeView{ID: short(c.ID), When: minute(c.Begun), State: short(c.State)}
		for _, w := range c.What {
			change.What = append(change.What, short(w))
		}
		v.History = append(v.History, change)
	}
	if l.Agent != nil {
		v.Agent = newAgent(*l.Agent)
	}
	return v
}

func newAgent(a Agent) *agentView {
	v := &agentView{Says: short(a.Says), Stops: short(a.Stops), Doing: short(a.Doing)}
	for _, n := range a.Next {
		next := nextView{When: "not by itself", What: short(n.What), ID: short(n.ID), End: "-", Why: short(n.Why)}
		if !n.At.IsZero() {
			next.When = minute(n.At)
		}
		if !n.End.IsZero() {
			next.End = day(n.End)
		}
		v.Next = append(v.Next, next)
	}
	for _, p := range a.Person {
		v.Person = append(v.Person, Person{What: short(p.What), ID: short(p.ID), Why: short(p.Why), Do: short(p.Do)})
	}
	return v
}

// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/schedule"
)

// agentFile is the agent's section of the configuration as written.
type agentFile struct {
	Act      truth        `json:"act,omitzero"`
	Every    word         `json:"every,omitzero"`
	Windows  []windowFile `json:"windows"`
	Never    []neverFile  `json:"never"`
	Zone     word         `json:"zone,omitzero"`
	Spread   word         `json:"spread,omitzero"`
	Reserve  word         `json:"reserve,omitzero"`
	PerDay   number       `json:"perDay,omitzero"`
	Restart  restartFile  `json:"restart"`
	Leave    []word       `json:"leave"`
	Listen   word         `json:"listen,omitzero"`
	Textfile word         `json:"textfile,omitzero"`
	Calendar word         `json:"calendar,omitzero"`
}

type windowFile struct {
	Days   words `json:"days,omitzero"`
	Start  word  `json:"start,omitzero"`
	Length word  `json:"length,omitzero"`
	Zone   word  `json:"zone,omitzero"`
}

type neverFile struct {
	From  word `json:"from,omitzero"`
	Until word `json:"until,omitzero"`
}

type restartFile struct {
	APIServer word `json:"apiServer,omitzero"`
	Others    word `json:"others,omitzero"`
}

const (
	leastEvery  = 10 * time.Second
	mostPerDay  = 1000
	mostWindow  = 7 * day
	none        = "none"
	wantStart   = "a time of day such as 02:00"
	wantLength  = "a duration such as 4h"
	wantFrom    = "a day such as 2026-12-24, or 12-24 for every year"
	wantLeave   = "a name such as cp1/admin.conf, or a pattern such as */admin.conf"
	wantZone    = "a name of the IANA time zone database, such as Europe/Berlin"
	whyLoopback = "want none, or an address of this machine alone such as 127.0.0.1:9464: whoever can reach it reads the node's deadlines, without a password; " +
		"for a collector elsewhere put a proxy with TLS before it, or set textfile"
)

func (r *reader) agent(f agentFile) Agent {
	a := DefaultAgent()
	if f.Act.state == given {
		a.Act = f.Act.value
	}
	set(r, &a.Every, f.Every, parseEvery)
	a.When = r.when(f, a.When)
	set(r, &a.Restart.APIServer, f.Restart.APIServer, oneOf(Handover, InWindow, Never))
	set(r, &a.Restart.Others, f.Restart.Others, oneOf(Always, InWindow, Never))
	if len(f.Windows) == 0 {
		r.noWindow(f.Restart.APIServer, Handover)
		r.noWindow(f.Restart.Others, Always)
	}
	for _, l := range f.Leave {
		a.Leave = append(a.Leave, "")
		required(r, l, wantLeave)
		set(r, &a.Leave[len(a.Leave)-1], l, parseLeave)
	}
	set(r, &a.Listen, f.Listen, parseListen)
	set(r, &a.Textfile, f.Textfile, parseTextfile)
	set(r, &a.Calendar, f.Calendar, parseOutput)
	if a.Calendar != "" && a.Calendar == a.Textfile {
		r.wrong(f.Calendar.at, "is the textfile's path, too")
	}
	return a
}

func (r *reader) noWindow(v word, instead Restart) {
	if v.state == given && v.value == string(InWindow) {
		r.wrong(v.at, "there is no window to wait for: set agent.windows, or %s here", instead)
	}
}

func (r *reader) when(f agentFile, rules schedule.Rules) schedule.Rules {
	set(r, &rules.Zone, f.Zone, parseZone)
	for _, w := range f.Windows {
		rules.Windows = append(rules.Windows, r.window(w, rules.Zone))
	}
	for _, n := range f.Never {
		rules.Never = append(rules.Never, r.never(n))
	}
	set(r, &rules.Spread, f.Spread, ParseDuration)
	set(r, &rules.Reserve, f.Reserve, parseReserve)
	switch n := f.PerDay; {
	case n.state == given && (n.value < 0 || n.value > mostPerDay):
		r.wrong(n.at, "%d: want 0 for any number, or %d at most", n.value, mostPerDay)
	case n.state == given:
		rules.PerDay = n.value
	}
	return rules
}

func (r *reader) window(f windowFile, zone *time.Location) schedule.Window {
	w := schedule.Window{Days: r.days(f.Days), Zone: zone}
	required(r, f.Start, wantStart)
	required(r, f.Length, wantLength)
	set(r, &w.Start, f.Start, schedule.ParseClock)
	set(r, &w.Length, f.Length, parseLength)
	set(r, &w.Zone, f.Zone, parseZone)
	return w
}

func (r *reader) days(f words) (days []time.Weekday) {
	if f.state == given && len(f.value) == 0 {
		r.wrong(f.at, "is empty: leave it out for every day")
	}
	for _, name := range f.value {
		var d time.Weekday
		required(r, name, "a day such as Sat")
		set(r, &d, name, parseDay)
		if name.state == given && slices.Contains(days, d) && shortDay(d) == name.value {
			r.wrong(name.at, "%s stands here twice", d)
		}
		days = append(days, d)
	}
	return days
}

func shortDay(d time.Weekday) string { return d.String()[:3] }

func parseDay(s string) (time.Weekday, error) {
	var names []string
	for d := range time.Weekday(7) {
		if shortDay(d) == s {
			return d, nil
		}
		names = append(names, shortDay(d))
	}
	return 0, fmt.Errorf("%s is no day: want some of %s", quoted(s), strings.Join(names, ", "))
}

func (r *reader) never(f neverFile) (n schedule.Never) {
	required(r, f.From, wantFrom)
	set(r, &n.From, f.From, schedule.ParseDay)
	n.Until = n.From
	set(r, &n.Until, f.Until, schedule.ParseDay)
	if f.Until.state != given || n.From == (schedule.Day{}) || n.Until == (schedule.Day{}) {
		return n
	}
	switch yearly := n.From.Year == 0; {
	case yearly != (n.Until.Year == 0):
		r.wrong(f.Until.at, "%s with %s: want a year in both or in none", n.Until, n.From)
	case !yearly && n.Until.String() < n.From.String():
		r.wrong(f.Until.at, "%s is before %s, from which it is", n.Until, n.From)
	}
	return n
}

func parseEvery(s string) (time.Duration, error) {
	d, err := ParseDuration(s)
	if err == nil && d < leastEvery {
		return 0, fmt.Errorf("%s is too often: want %s or more", quoted(s), leastEvery)
	}
	return d, err
}

func parseReserve(s string) (time.Duration, error) {
	if s == string(Never) {
		return -1, nil
	}
	d, err := ParseDuration(s)
	if err != nil {
		err = fmt.Errorf("%w; or never", err)
	}
	return d, err
}

func parseLength(s string) (time.Duration, error) {
	d, err := ParseDuration(s)
	switch {
	case err != nil:
		return 0, err
	case d == 0:
		return 0, fmt.Errorf("%s: a window without length never opens", quoted(s))
	case d > mostWindow:
		return 0, fmt.Errorf("%s: a window is 7d long at most; without windows any time is right", quoted(s))
	}
	return d, nil
}

func parseZone(s string) (*time.Location, error) {
	if s == "" || s == "Local" {
		return nil, fmt.Errorf("%s differs from machine to machine: want %s", quoted(s), wantZone)
	}
	zone, err := time.LoadLocation(s)
	if err != nil {
		return nil, fmt.Errorf("%s is no time zone that this machine or this program knows: want %s; a new one needs the machine's package tzdata", quoted(s), wantZone)
	}
	return zone, nil
}

// parseLeave refuses what can never match: then something would be changed that
// was to be left alone.
func parseLeave(s string) (string, error) {
	switch {
	case strings.TrimSpace(s) == "":
		return "", fmt.Errorf("is required: %s", wantLeave)
	case !strings.ContainsAny(s, "/*"):
		return "", fmt.Errorf("%s matches nothing: a name begins with its node; want %s, or %s for every node", quoted(s), quoted("cp1/"+s), quoted("*/"+s))
	case strings.ContainsAny(s, " \uFFFD") || fact.Text(s).String() != s:
		return "", fmt.Errorf("%s matches nothing: no name has a space in it, or what is not shown", quoted(s))
	}
	return s, nil
}

func parseListen(s string) (string, error) {
	if s == "" || s == none {
		return "", nil
	}
	at, err := netip.ParseAddrPort(s)
	if err != nil || !at.Addr().IsLoopback() || at.Addr().Is4In6() || at.Addr().Zone() != "" {
		return "", fmt.Errorf("%s: %s", quoted(s), whyLoopback)
	}
	if at.Port() == 0 {
		return "", fmt.Errorf("%s: want a port from 1 to 65535", quoted(s))
	}
	return s, nil
}

// parseOutput takes the path of a file that is written, or none.
func parseOutput(s string) (string, error) {
	if s == "" || s == none {
		return "", nil
	}
	return parsePath(s)
}

func parseTextfile(s string) (string, error) {
	p, err := parseOutput(s)
	if err == nil && p != "" && !strings.HasSuffix(p, ".prom") {
		return "", fmt.Errorf("%s: want a name that ends with .prom: the node exporter reads no other", quoted(s))
	}
	return p, err
}

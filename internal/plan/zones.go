// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/workload"
)

// ZoneOptions say how CronJobs get a time zone.
type ZoneOptions struct {
	ID      string
	Now     time.Time
	Cluster Cluster
	// Controller is the zone of the controller manager, in which it reads
	// schedules that name none; nil: nobody knows.
	Controller *time.Location
	// Zone is what those jobs get; nil: the controller's, so that they run when
	// they did.
	Zone *time.Location
	// Named are the jobs that were asked for, as NAMESPACE/NAME; empty: all.
	Named []string
}

// shownRuns is how many runs are shown.
const shownRuns = 5

// Zones plans an explicit time zone for each CronJob that has none, or has it in
// its schedule.
func Zones(all []workload.Cron, o ZoneOptions) Plan {
	p := ForCluster(o.ID, o.Now, o.Cluster)
	same := 0
	for _, c := range all {
		if len(o.Named) > 0 && !slices.Contains(o.Named, c.Namespace+"/"+c.Name) {
			continue
		}
		step, note := o.zoned(c)
		switch {
		case note != "":
			p.Notes = append(p.Notes, Note{cronObject(c).ID(), fact.Text(note)})
		case step == nil:
			same++
		default:
			p.Add(*step)
		}
	}
	if same > 0 {
		p.Notes = append(p.Notes, Note{Text: fact.Text(fmt.Sprintf("CronJobs that have a time zone, or run every so many minutes: %d", same))})
	}
	return p
}

func cronObject(c workload.Cron) Object {
	return Object{APIVersion: c.APIVersion, Kind: "CronJob", Resource: "cronjobs", Namespace: c.Namespace, Name: c.Name, UID: c.UID}
}

// zoned is the step for one job, or why there is none.
func (o ZoneOptions) zoned(c workload.Cron) (step *Step, note string) {
	after, title, why := c, "", ""
	object := cronObject(c)
	inside, rest, has := c.ZoneInSchedule()
	switch {
	case has && c.TimeZone != nil:
		return nil, fmt.Sprintf("its schedule says %s and its spec.timeZone %s: the schedule's counts; say which is meant", fact.Text(inside), fact.Text(*c.TimeZone))
	case has:
		if _, err := workload.LoadZone(inside); err != nil {
			return nil, "its schedule says " + err.Error()
		}
		after.Schedule, after.TimeZone = rest, Text(inside)
		title, why = "move "+fact.Text(inside).String()+" out of the schedule", "from 1.29 on nobody can create it as it is"
		object.Fields = append(object.Fields, Field{Path: []string{"spec", "schedule"}, Before: Text(c.Schedule), After: Text(rest)})
	case !c.NeedsZone() && !c.Shifts(o.Controller, o.Now) && !c.Shifts(o.Zone, o.Now):
		return nil, ""
	case o.Zone == nil && o.Controller == nil:
		return nil, "nobody knows in which time zone it runs"
	default:
		zone := o.Zone
		if zone == nil {
			zone = o.Controller
		}
		after.TimeZone = Text(zone.String())
		title, why = "say "+zone.String(), "its schedule is read in the controller manager's time zone, and nothing in it says which"
	}
	object.Fields = append(object.Fields, Field{Path: []string{"spec", "timeZone"}, Before: c.TimeZone, After: after.TimeZone})
	details, err := o.compare(c, after)
	if err != nil {
		return nil, err.Error()
	}
	s, _ := PatchStep(object, fmt.Sprintf("%s/%s: %s", fact.Text(c.Namespace), fact.Text(c.Name), title), why)
	s.Details = details
	if c.Suspended {
		s.Details = append(s.Details, "it is suspended")
	}
	return &s, ""
}

// compare tells the next runs before and after, and those around the next two
// changes of the clocks.
func (o ZoneOptions) compare(before, after workload.Cron) ([]fact.Text, error) {
	zone, err := workload.LoadZone(*after.TimeZone)
	if err != nil {
		return nil, err
	}
	controller := o.Controller
	unknown := controller == nil && !strings.HasPrefix(before.Schedule, "TZ=") && !strings.HasPrefix(before.Schedule, "CRON_TZ=")
	if controller == nil {
		controller = time.UTC
	}
	lines := []fact.Text{fact.Text("schedule " + fmt.Sprintf("%q", after.Schedule))}
	at := []time.Time{o.Now}
	for range 2 {
		if change, ok := workload.ClockChange(at[len(at)-1], zone); ok {
			at = append(at, change)
		}
	}
	for i, from := range at {
		name := "next runs"
		if i > 0 {
			name = "clocks change on " + from.In(zone).Format("2006-01-02")
			from = from.Add(-36 * time.Hour)
		}
		now, err := before.Runs(from, shownRuns, controller)
		if err != nil {
			return nil, err
		}
		then, err := after.Runs(from, shownRuns, controller)
		if err != nil {
			return nil, err
		}
		switch {
		case unknown:
			lines = append(lines, fact.Text(name+", before"), "  nobody knows: the controller manager's time zone is not known", fact.Text(name+", after"), spell(then, zone))
		case slices.EqualFunc(now, then, time.Time.Equal):
			lines = append(lines, fact.Text(name+", before and after"), spell(then, zone))
		default:
			lines = append(lines, fact.Text(name+", before"), spell(now, zone), fact.Text(name+", after"), spell(then, zone))
		}
		if i > 0 {
			lines = append(lines, unusual(after, at[i].In(zone))...)
		}
	}
	if unknown {
		return lines, nil
	}
	if here, there, differ := workload.Differ(before, after, o.Now, controller); differ {
		lines = append(lines, fact.Text(fmt.Sprintf("they differ: %s before, %s after", here.In(zone).Format(runForm), there.In(zone).Format(runForm))))
	} else {
		lines = append(lines, "they are the same for two years")
	}
	return lines, nil
}

// unusual tells where a job runs less or more often on the day of a change of the
// clocks than a week later: an hour is skipped, or comes twice.
func unusual(c workload.Cron, change time.Time) []fact.Text {
	then, later := runsOn(c, change), runsOn(c, change.AddDate(0, 0, 7))
	if then == later {
		return nil
	}
	return []fact.Text{fact.Text(fmt.Sprintf("  mind: on that day it runs %d times, and a week later %d", then, later))}
}

func runsOn(c workload.Cron, day time.Time) int {
	zone := day.Location()
	start := time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, zone)
	end := time.Date(day.Year(), day.Month(), day.Day()+1, 0, 0, 0, 0, zone)
	n := 0
	for at := start.Add(-time.Second); ; n++ {
		runs, err := c.Runs(at, 1, zone)
		if err != nil || !runs[0].Before(end) {
			return n
		}
		at = runs[0]
	}
}

const runForm = "Mon 2006-01-02 15:04 -0700"

func spell(runs []time.Time, zone *time.Location) fact.Text {
	var words []string
	for _, r := range runs {
		words = append(words, r.In(zone).Format(runForm))
	}
	return fact.Text("  " + strings.Join(words, ", "))
}

// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/workload"
)

// Each job gets a zone or a reason why not; what differs, and what the clocks do
// to it, is told.
func TestZones(t *testing.T) {
	load := func(name string) *time.Location {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		return zone
	}
	berlin, kolkata, howe := load("Europe/Berlin"), load("Asia/Kolkata"), load("Australia/Lord_Howe")
	tokyo := "Asia/Tokyo"
	now := time.Date(2027, 1, 15, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		cron       workload.Cron
		controller *time.Location
		zone       *time.Location
		fields     string // what is set
		says       []string
	}{
		"none":         {workload.Cron{Schedule: "30 2 * * *"}, berlin, nil, "timeZone=Europe/Berlin", []string{"the same for two years", "on 2027-03-28", "on that day it runs 0 times, and a week later 1", "on that day it runs 2 times, and a week later 1"}},
		"another":      {workload.Cron{Schedule: "0 12 * * *"}, time.UTC, berlin, "timeZone=Europe/Berlin", []string{"next runs, before", "they differ: Sat 2027-01-16 13:00 +0100 before, Sat 2027-01-16 12:00 +0100 after"}},
		"nobody knows": {workload.Cron{Schedule: "0 12 * * *"}, nil, berlin, "timeZone=Europe/Berlin", []string{"nobody knows: the controller manager's time zone is not known"}},
		"unknown":      {workload.Cron{Schedule: "0 12 * * *"}, nil, nil, "", []string{"nobody knows in which time zone it runs"}},
		"in schedule":  {workload.Cron{Schedule: "CRON_TZ=Europe/Berlin 0 12 * * *", Suspended: true}, nil, nil, "schedule=0 12 * * * timeZone=Europe/Berlin", []string{"the same for two years", "it is suspended"}},
		"both":         {workload.Cron{Schedule: "TZ=Europe/Berlin 0 12 * * *", TimeZone: &tokyo}, berlin, nil, "", []string{"the schedule's counts"}},
		"no zone":      {workload.Cron{Schedule: "TZ=Mars/Olympus 0 12 * * *"}, berlin, nil, "", []string{"no name of a time zone"}},
		"no day":       {workload.Cron{Schedule: "0 0 30 2 *"}, berlin, nil, "", []string{"there is no such day"}},
		"has one":      {workload.Cron{Schedule: "0 12 * * *", TimeZone: &tokyo}, berlin, nil, "", []string{"every so many minutes: 1"}},
		"half an hour": {workload.Cron{Schedule: "0 * * * *"}, kolkata, nil, "timeZone=Asia/Kolkata", []string{"the same for two years"}},
		"in summer":    {workload.Cron{Schedule: "0 * * * *"}, howe, nil, "timeZone=Australia/Lord_Howe", nil},
		"to another":   {workload.Cron{Schedule: "*/20 * * * *"}, berlin, kolkata, "timeZone=Asia/Kolkata", []string{"they differ"}},
		"half of any":  {workload.Cron{Schedule: "*/15 * * * *"}, kolkata, nil, "", []string{"every so many minutes: 1"}},
		"any":          {workload.Cron{Schedule: "*/5 * * * *"}, berlin, nil, "", []string{"every so many minutes: 1"}},
	} {
		c.cron.APIVersion, c.cron.Namespace, c.cron.Name, c.cron.UID = "batch/v1", "shop", "job", "u1"
		p := plan.Zones([]workload.Cron{c.cron}, plan.ZoneOptions{ID: "p", Now: now, Controller: c.controller, Zone: c.zone})
		var fields []string
		for _, s := range p.Steps {
			for _, f := range s.Object.Fields {
				fields = append(fields, f.Path[1]+"="+*f.After)
			}
		}
		if got := strings.Join(fields, " "); got != c.fields {
			t.Errorf("%s: it sets %q, want %q", name, got, c.fields)
		}
		all := fmt.Sprintf("%+v %+v", p.Steps, p.Notes)
		for _, says := range c.says {
			if !strings.Contains(all, says) {
				t.Errorf("%s: it does not say %q:\n%s", name, says, all)
			}
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"
	"strings"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
)

// schedule judges in which time zone a CronJob runs.
func (j *Judge) schedule(o fact.Object, schedule string, timeZone *string) {
	o.Content, o.Uses = nil, nil
	switch {
	case schedule == "" || timeZone != nil:
	case strings.Contains(schedule, "TZ"): // as the API server looks for it
		j.found = append(j.found, j.zoneInSchedule(o, schedule))
	case dependsOnZone(schedule):
		j.found = append(j.found, j.zoneless(o, schedule))
	}
}

func (j *Judge) zoneInSchedule(o fact.Object, schedule string) finding.Finding {
	refused := changes()[cronJobZoneRefused]
	impact, r := finding.Breaks, rule{refused.Minor, refused.Source}
	if !j.way.Reaches(refused.Minor) {
		impact, r.minor = finding.Hint, j.first()
	}
	f := about(o, finding.CronJobZoneInSchedule, impact, r)
	f.Effect = fmt.Sprintf("the API server of %s and later refuses to create a CronJob with a time zone in its schedule %s; one that is there goes on, until it is restored, pruned and created again, or installed anew",
		refused.Minor, fact.Text(fmt.Sprintf("%q", schedule)))
	if f.RemovedIn = refused.Minor.String(); impact == finding.Hint && j.way.To >= refused.Minor {
		f.Effect = strings.Replace(f.Effect, "refuses", "has refused", 1)
	}
	if since := changes()[cronJobTimeZone]; since.Minor > j.way.From && j.way.Reaches(since.Minor) {
		f.Reason = fmt.Sprintf("spec.timeZone works from %s on: change it after that hop, for before it the zone would be lost", since.Minor)
	}
	zone, rest, _ := strings.Cut(schedule, " ")
	_, zone, _ = strings.Cut(zone, "=")
	f.Fix = zoneFix(o, fmt.Sprintf(`{"spec":{"schedule":%q,"timeZone":%q}}`, strings.TrimSpace(rest), zone),
		fmt.Sprintf("- schedule: %q\n+ schedule: %q\n+ timeZone: %q", schedule, strings.TrimSpace(rest), zone))
	return f
}

func (j *Judge) zoneless(o fact.Object, schedule string) finding.Finding {
	since := changes()[cronJobTimeZone]
	f := about(o, finding.CronJobZone, finding.Hint, rule{max(j.first(), min(since.Minor, j.way.To)), since.Source})
	f.Effect = fmt.Sprintf("when %s is due depends on the time zone of the controller manager that leads, which nothing in the object says; an upgrade starts a new one",
		fact.Text(fmt.Sprintf("%q", schedule)))
	f.Fix = zoneFix(o, `{"spec":{"timeZone":"Etc/UTC"}}`, fmt.Sprintf("  schedule: %q\n+ timeZone: Etc/UTC", schedule))
	if since.Minor > j.way.From {
		f.Reason = "spec.timeZone works from " + since.Minor.String() + " on"
	}
	return f
}

func zoneFix(o fact.Object, patch, difference string) string {
	if o.File != "" {
		return difference
	}
	return fmt.Sprintf("kubectl patch cronjob %s -n %s --type merge -p '%s'", o.Name, o.Namespace, strings.ReplaceAll(fact.Text(patch).String(), "'", `'\''`))
}

// dependsOnZone reports that a schedule names an hour or a day. What is due every
// so many minutes is so in any zone.
func dependsOnZone(schedule string) bool {
	if strings.HasPrefix(schedule, "@") {
		return schedule != "@hourly" && !strings.HasPrefix(schedule, "@every")
	}
	fields := strings.Fields(schedule)
	for _, field := range fields[min(1, len(fields)):] {
		if field != "*" && field != "?" && field != "*/1" {
			return true
		}
	}
	return false
}

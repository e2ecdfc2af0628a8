// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/release"
)

// Cron is a CronJob, as far as it decides when it runs.
type Cron struct {
	APIVersion, Namespace, Name, UID string
	Schedule                         string
	TimeZone                         *string // spec.timeZone
	Suspended                        bool
	Last                             time.Time // when it was last scheduled for; zero: never
}

// ReadCron reads a CronJob.
func ReadCron(o fact.Object) (Cron, error) {
	var content struct {
		Metadata struct {
			UID string `json:"uid"`
		} `json:"metadata"`
		Spec struct {
			Schedule string  `json:"schedule"`
			TimeZone *string `json:"timeZone"`
			Suspend  *bool   `json:"suspend"`
		} `json:"spec"`
		Status struct {
			LastScheduleTime *time.Time `json:"lastScheduleTime"`
		} `json:"status"`
	}
	if err := read(o, &content); err != nil {
		return Cron{}, err
	}
	c := Cron{
		APIVersion: string(o.APIVersion), Namespace: string(o.Namespace), Name: string(o.Name), UID: content.Metadata.UID,
		Schedule: content.Spec.Schedule, TimeZone: content.Spec.TimeZone, Suspended: content.Spec.Suspend != nil && *content.Spec.Suspend,
	}
	if content.Status.LastScheduleTime != nil {
		c.Last = *content.Status.LastScheduleTime
	}
	return c, nil
}

// TimeZoneServed says whether API servers of a minor keep spec.timeZone as they
// come.
func TimeZoneServed(m release.Minor) bool { return changes()[cronJobTimeZone].In(m) }

// ZoneInSchedule is the time zone that stands in the schedule, as the controller
// takes it, and the schedule without it; not ok where there is none.
func (c Cron) ZoneInSchedule() (zone, rest string, ok bool) {
	if !strings.HasPrefix(c.Schedule, "TZ=") && !strings.HasPrefix(c.Schedule, "CRON_TZ=") {
		return "", c.Schedule, false
	}
	first, rest, _ := strings.Cut(c.Schedule, " ")
	_, zone, _ = strings.Cut(first, "=")
	return zone, strings.TrimSpace(rest), true
}

// Zoneless says whether the controller manager reads the schedule in its own time
// zone.
func (c Cron) Zoneless() bool { return c.TimeZone == nil && !strings.Contains(c.Schedule, "TZ") }

// NeedsZone says whether when it runs depends on the time zone of the controller
// manager.
func (c Cron) NeedsZone() bool { return c.Zoneless() && dependsOnZone(c.Schedule) }

// Shifts says whether a job that runs every so many minutes does so at other minutes
// in a zone than in UTC, at some time of the year that follows: the clocks of some
// zones differ by half an hour, or three quarters.
func (c Cron) Shifts(zone *time.Location, after time.Time) bool {
	if zone == nil || !c.Zoneless() {
		return false
	}
	at := []time.Time{after}
	if change, ok := ClockChange(after, zone); ok {
		at = append(at, change)
	}
	here, utc := c, c
	name, none := zone.String(), time.UTC.String()
	here.TimeZone, utc.TimeZone = &name, &none
	for _, t := range at {
		if _, offset := t.In(zone).Zone(); offset%int(time.Hour/time.Second) == 0 {
			continue
		}
		if _, _, differ := Differ(here, utc, t, zone); differ {
			return true
		}
	}
	return false
}

// ErrNeverRuns is a schedule of a day that there is in no year, such as the 30th
// of February.
var ErrNeverRuns = errors.New("there is no such day")

// Runs are the next times at which the job is due, after an instant. The zone is
// that of the controller manager, in which it reads a schedule that says none.
//
// It is the controller manager's own reckoning: its library, and what it puts in
// front of the schedule (k8s.io/kubernetes v1.37.0
// pkg/controller/cronjob/cronjob_controllerv2.go formatSchedule; v1.25.0 has the
// same).
func (c Cron) Runs(after time.Time, n int, controller *time.Location) ([]time.Time, error) {
	text := c.Schedule
	if c.TimeZone != nil && !strings.Contains(text, "TZ") {
		if _, err := loadZone(*c.TimeZone); err == nil {
			text = fmt.Sprintf("TZ=%s %s", *c.TimeZone, text)
		}
	}
	schedule, err := parsed(text)
	if err != nil {
		return nil, fmt.Errorf("reading the schedule %s: %w", fact.Text(fmt.Sprintf("%q", c.Schedule)), err)
	}
	var runs []time.Time
	at := after.In(controller)
	for range n {
		if at = schedule.Next(at); at.IsZero() {
			return nil, fmt.Errorf("reading the schedule %s: %w", fact.Text(fmt.Sprintf("%q", c.Schedule)), ErrNeverRuns)
		}
		runs = append(runs, at)
	}
	return runs, nil
}

// parsed is cron.ParseStandard, which panics over some texts ("TZ=0").
func parsed(text string) (s cron.Schedule, err error) {
	defer func() {
		if recover() != nil {
			s, err = nil, errors.New("it is none")
		}
	}()
	s, err = cron.ParseStandard(text)
	if err != nil {
		err = errors.New(fact.Text(err.Error()).String())
	}
	return s, err
}

// loadZone finds a zone as an API server takes it for spec.timeZone (1.37.0:
// pkg/apis/batch/validation/validation.go validateTimeZone): by a name of the
// time zone database, not by the machine's own.
func loadZone(name string) (*time.Location, error) {
	switch {
	case name == "":
		return nil, errors.New("a time zone without a name")
	case strings.EqualFold(name, "local"), strings.TrimSpace(name) != name:
		return nil, fmt.Errorf("%s is no name of a time zone: names are such as Europe/Berlin or Etc/UTC", fact.Text(fmt.Sprintf("%q", name)))
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%s is no name of a time zone: names are such as Europe/Berlin or Etc/UTC", fact.Text(fmt.Sprintf("%q", name)))
	}
	return zone, nil
}

// LoadZone finds a time zone by a name that an API server takes for
// spec.timeZone.
func LoadZone(name string) (*time.Location, error) { return loadZone(name) }

// compared is how far two readings of a schedule are compared, and comparedRuns
// how many runs at most.
const (
	compared     = 2 * 366 * 24 * time.Hour
	comparedRuns = 4000
)

// Differ finds the first run of which two readings differ within two years, the
// one's and the other's; not ok where they agree.
func Differ(a, b Cron, after time.Time, controller *time.Location) (here, there time.Time, ok bool) {
	const step = 50
	for at, seen := after, 0; seen < comparedRuns && at.Sub(after) < compared; seen += step {
		first, err := a.Runs(at, step, controller)
		second, err2 := b.Runs(at, step, controller)
		if err != nil || err2 != nil {
			return time.Time{}, time.Time{}, (err == nil) != (err2 == nil)
		}
		for i := range first {
			if !first[i].Equal(second[i]) {
				return first[i], second[i], true
			}
		}
		at = first[step-1]
	}
	return time.Time{}, time.Time{}, false
}

// ClockChange is the next instant after one at which a zone's clocks are
// changed; not ok where that is more than two years away.
func ClockChange(after time.Time, zone *time.Location) (time.Time, bool) {
	_, end := after.In(zone).ZoneBounds()
	return end, !end.IsZero() && end.Sub(after) < compared
}

// ControllerZone is the time zone in which a controller manager reads
// schedules, by what its pod says. Its image has no /etc/localtime, so it is UTC
// unless something is set; not ok where the pod has the node's.
func ControllerZone(o fact.Object) (zone, why string, ok bool) {
	var pod template
	if read(o, &pod) != nil || len(pod.Spec.Containers) == 0 {
		return "", "", false
	}
	container := pod.Spec.Containers[0]
	for _, c := range pod.Spec.Containers {
		if c.Name == "kube-controller-manager" {
			container = c
		}
	}
	for _, e := range container.Env {
		if e.Name == "TZ" {
			zone = strings.TrimPrefix(e.Value, ":")
			_, err := loadZone(zone)
			return zone, "TZ in the pod " + o.Name.String(), e.ValueFrom == nil && err == nil
		}
	}
	for _, m := range container.VolumeMounts {
		if m.MountPath == "/etc/localtime" || m.MountPath == "/etc" || m.MountPath == "/usr/share/zoneinfo" && m.SubPath != "" {
			return "", "the pod " + o.Name.String() + " has the node's own " + m.MountPath, false
		}
	}
	return "Etc/UTC", "the pod " + o.Name.String() + " sets none", true
}

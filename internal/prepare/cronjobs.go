// SPDX-License-Identifier: Apache-2.0

package prepare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/workbench"
	"perennial.dev/perennial/internal/workload"
)

// CronJobs says what is to be planned.
type CronJobs struct {
	At kube.Context
	// Controller is the controller manager's time zone, where its owner says it;
	// Zone the one that jobs without any get, empty for the controller's.
	Controller, Zone string
	Named            []string // NAMESPACE/NAME
}

// PlanCronJobs plans an explicit time zone for CronJobs.
func (b *Bench) PlanCronJobs(ctx context.Context, o CronJobs) (plan.Plan, error) {
	client, cluster, err := b.Reach(ctx, o.At)
	if err != nil {
		return plan.Plan{}, err
	}
	runs, err := version(ctx, client)
	if err != nil {
		return plan.Plan{}, err
	}
	if !workload.TimeZoneServed(runs) {
		return plan.Plan{}, workbench.Hint(fmt.Errorf("preparing CronJobs: the API server runs %s, which drops spec.timeZone", runs), "do it after the upgrade to 1.25: until 1.28 schedules with TZ= can still be created")
	}
	all, err := listCrons(ctx, client)
	if err != nil {
		return plan.Plan{}, err
	}
	for _, name := range o.Named {
		if !slices.ContainsFunc(all, func(c workload.Cron) bool { return c.Namespace+"/"+c.Name == name }) {
			return plan.Plan{}, fmt.Errorf("preparing CronJobs: there is no CronJob %q (NAMESPACE/NAME)", fact.Text(name))
		}
	}
	now := b.Now()
	options := plan.ZoneOptions{ID: workbench.PlanID(now), Now: now, Cluster: cluster, Named: o.Named}
	if options.Zone, err = zone("--zone", o.Zone); err != nil {
		return plan.Plan{}, err
	}
	note := ""
	// What runs every so many minutes shifts in few zones: it is no reason to refuse
	// where nobody knows the zone.
	needed := o.Zone == "" && (o.Controller != "" || slices.ContainsFunc(all, workload.Cron.NeedsZone))
	if o.Controller != "" || slices.ContainsFunc(all, workload.Cron.Zoneless) {
		if options.Controller, note, err = o.controller(ctx, client, all); err != nil && needed {
			return plan.Plan{}, err
		} else if err != nil {
			note = err.Error()
		}
	}
	p := plan.Zones(all, options)
	if note != "" {
		p.Notes = append(p.Notes, plan.Note{Text: fact.Text(note)})
	}
	return p, nil
}

func zone(flag, name string) (*time.Location, error) {
	if name == "" {
		return nil, nil
	}
	z, err := workload.LoadZone(name)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", flag, err)
	}
	return z, nil
}

func listCrons(ctx context.Context, client *kube.Client) ([]workload.Cron, error) {
	all, err := newListing(ctx, client)
	if err != nil {
		return nil, err
	}
	var crons []workload.Cron
	err = all.each(ctx, func(o fact.Object) error {
		c, err := workload.ReadCron(o)
		crons = append(crons, c)
		return err
	}, "batch/CronJob")
	return crons, err
}

// controller finds the controller manager's time zone out: by its pods, and it
// must agree with when it started jobs.
func (o CronJobs) controller(ctx context.Context, client *kube.Client, all []workload.Cron) (*time.Location, string, error) {
	name, why := o.Controller, "--controller-zone"
	if name == "" {
		var err error
		if name, why, err = controllerPods(ctx, client); err != nil {
			return nil, "", err
		}
	}
	z, err := zone("--controller-zone", name)
	if err != nil {
		return nil, "", err
	}
	for _, c := range all {
		if !c.NeedsZone() || c.Last.IsZero() {
			continue
		}
		if at, err := c.Runs(c.Last.Add(-time.Second), 1, z); err == nil && !at[0].Equal(c.Last) {
			return nil, "", workbench.Hint(fmt.Errorf("finding out the controller manager's time zone: it is %s by %s, but %s/%s (%s) was started for %s, when it is not due there",
				name, why, fact.Text(c.Namespace), fact.Text(c.Name), fact.Text(c.Schedule), c.Last.UTC().Format(time.RFC3339)),
				"its schedule may have been changed since; say which zone it is with --controller-zone, or leave the job out by naming the others")
		}
	}
	return z, fmt.Sprintf("schedules without a time zone are read in %s now: %s", name, why), nil
}

var pods = kube.Resource{Version: "v1", Name: "pods", Kind: "Pod"}

// controllerPods are the controller managers that run as kubeadm runs them.
func controllerPods(ctx context.Context, client *kube.Client) (name, why string, err error) {
	hint := func(err error) error {
		return workbench.Hint(err, "say it with --controller-zone: on its node, readlink /etc/localtime or its unit's TZ; Etc/UTC for a container without either")
	}
	var zones []string
	err = client.List(ctx, kube.Listing{Resource: pods, Namespace: "kube-system", Labels: "component=kube-controller-manager"}, func(item json.RawMessage) error {
		var n struct {
			Metadata struct {
				Name fact.Text `json:"name"`
			} `json:"metadata"`
		}
		if err := json.Unmarshal(item, &n); err != nil {
			return errors.New("one of its pods is no object")
		}
		is, says, ok := workload.ControllerZone(fact.Object{APIVersion: "v1", Type: "Pod", Name: n.Metadata.Name, Content: item})
		if !ok {
			return hint(fmt.Errorf("finding out the controller manager's time zone: %s", says))
		}
		if why = says; !slices.Contains(zones, is) {
			zones = append(zones, is)
		}
		return nil
	})
	switch {
	case errors.Is(err, kube.ErrForbidden):
		return "", "", hint(err)
	case err != nil:
		return "", "", err
	case len(zones) == 0:
		return "", "", hint(errors.New("finding out the controller manager's time zone: kube-system has no pod with the label component=kube-controller-manager"))
	case len(zones) > 1:
		return "", "", hint(fmt.Errorf("finding out the controller manager's time zone: they differ (%s), and whichever leads decides", fact.Text(strings.Join(zones, ", "))))
	}
	return zones[0], why, nil
}

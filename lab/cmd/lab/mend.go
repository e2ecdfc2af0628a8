// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"perennial.dev/perennial/lab/internal/api"
	"perennial.dev/perennial/lab/internal/clock"
	"perennial.dev/perennial/lab/internal/layout"
	"perennial.dev/perennial/lab/internal/story"
	"perennial.dev/perennial/lab/internal/supervise"
)

const apiServer = "kube-apiserver"

// inPlace is the way of perennial's plans that has an outage.
const inPlace = "in-place"

// mend turns the clock back, lets perennial restart the API server, and passes
// the same end once more.
func (d *demo) mend(ctx context.Context, s layout.Settings, bad story.Ending) error {
	old, err := d.turnBack(ctx, s)
	if err != nil {
		return err
	}
	way, why, err := d.way(ctx, s)
	if err != nil {
		return err
	}
	title, how := "Back to today: the API server is handed over, under its clients", "handed over"
	if way == inPlace {
		title, how = "Back to today: the API server is restarted in place, under its clients", "restarted"
	}
	d.heading(title)
	if err := d.restart(ctx, s, way, why); err != nil {
		return err
	}
	if err := d.renewed(ctx, s, old); err != nil {
		return err
	}
	d.heading("The day passes once more")
	if _, err := story.Retell(ctx, storyLab(s), storyOptions(past, d.out, d.notes), bad, how); err != nil {
		return err
	}
	d.close(s)
	return nil
}

// turnBack brings the lab's clock back to today, and an API server that has run
// for as long as the one at the beginning. It returns the end of that one's
// loopback certificate.
func (d *demo) turnBack(ctx context.Context, s layout.Settings) (end time.Time, err error) {
	if err := clock.Set(s.Clock(), -lived(d.version)); err != nil {
		return end, err
	}
	if err := supervise.Restart(runDir(s), apiServer); err != nil {
		return end, err
	}
	if err := waitReady(ctx, s, 2*time.Minute); err != nil {
		return end, err
	}
	if err := clock.Set(s.Clock(), 0); err != nil {
		return end, err
	}
	loopback, err := api.Loopback(ctx, s.Endpoint())
	if err != nil {
		return end, err
	}
	if used := time.Since(loopback.NotBefore).Seconds() / loopback.NotAfter.Sub(loopback.NotBefore).Seconds(); used < 0.8 || used > 1 {
		return end, fmt.Errorf("turning the lab's clock back: %.0f percent of the loopback certificate's life are over, not 85", 100*used)
	}
	return loopback.NotAfter, nil
}

// kept is where perennial keeps what it keeps on a node.
func kept(s layout.Settings) []string {
	dir := filepath.Join(s.Dir, "var/lib/perennial")
	return []string{"--kubernetes-dir", s.Kubernetes(), "--state", dir, "--lock", dir + ".lock"}
}

// replace is the command that replaces the API server.
func replace(s layout.Settings, more ...string) []string {
	return append(append([]string{"restart", apiServer, "--quick"}, more...), kept(s)...)
}

// way asks perennial how it would replace the API server here, and why not in a
// better way. It insists on a handover, for a machine that runs a demo is busy
// with it.
func (d *demo) way(ctx context.Context, s layout.Settings) (way, why string, err error) {
	if d.confined != nil {
		return inPlace, d.confined.Error(), nil
	}
	var out, notes bytes.Buffer
	if err := d.perennially(ctx, &out, &notes, replace(s, "--handover", "--dry-run", "-o", "json")...); err != nil {
		return "", "", fmt.Errorf("running perennial restart --dry-run: %w\n%s", err, notes.String())
	}
	var plan struct {
		Decision struct {
			Way     string
			Reasons []struct{ Says string }
		}
	}
	if err := json.Unmarshal(out.Bytes(), &plan); err != nil {
		return "", "", fmt.Errorf("reading perennial's plan: %w", err)
	}
	var reasons []string
	for _, r := range plan.Decision.Reasons {
		reasons = append(reasons, r.Says)
	}
	return plan.Decision.Way, strings.Join(reasons, "; "), nil
}

// restart lets perennial replace the API server while clients ask it. Where
// that is a handover, none of them may notice.
func (d *demo) restart(ctx context.Context, s layout.Settings, way, why string) error {
	if way == inPlace {
		fmt.Fprintf(d.out, "No handover here: %s.\n\n", why)
	}
	clients, err := story.Visit(ctx, s.AdminConf(), strconv.FormatInt(time.Now().Unix(), 36))
	if err != nil {
		return err
	}
	began := time.Now()
	if err = d.replaceAPIServer(ctx, s, way); err == nil {
		err = waitReady(ctx, s, 2*time.Minute)
	}
	took := time.Since(began)
	tallies, lost := clients.Stop(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "\nWhat four clients saw in these %.0f seconds:\n", took.Seconds())
	asked, failed := story.PrintTallies(d.out, tallies)
	if lost != nil {
		return lost
	}
	fmt.Fprintf(d.out, "%d of %d requests failed; all that was said to be written is stored.\n", failed, asked)
	if way == inPlace || failed == 0 {
		return nil
	}
	for _, t := range tallies {
		if t.Failed > 0 {
			return fmt.Errorf("handing the API server over: %d of %d requests failed; of the %s the first: %s", failed, asked, t.Title, t.First)
		}
	}
	return nil
}

// replaceAPIServer restarts the API server in the way that was found.
func (d *demo) replaceAPIServer(ctx context.Context, s layout.Settings, way string) error {
	args := replace(s, "--handover", "--yes")
	if way == inPlace {
		args = replace(s, "--in-place", "--accept-outage", "--yes")
	}
	fmt.Fprintf(d.out, "$ perennial %s\n", strings.Join(args, " "))
	if err := d.perennially(ctx, d.out, d.notes, args...); err != nil {
		return fmt.Errorf("running perennial restart: %w", err)
	}
	return nil
}

// renewed makes sure that the old end is nobody's any more.
func (d *demo) renewed(ctx context.Context, s layout.Settings, old time.Time) error {
	loopback, err := api.Loopback(ctx, s.Endpoint())
	if err != nil {
		return err
	}
	if !loopback.NotAfter.After(old) {
		return fmt.Errorf("restarting the API server: its loopback certificate ends at %s, as before", old.UTC().Format(time.RFC3339))
	}
	named, err := d.names(ctx, s, old)
	if err == nil && named {
		err = fmt.Errorf("looking again after the restart: perennial still names %s", old.UTC().Format(time.RFC3339))
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "\nThe loopback certificate ends on %s, before on %s.\n", loopback.NotAfter.UTC().Format(time.DateOnly), old.UTC().Format(time.DateOnly))
	return nil
}

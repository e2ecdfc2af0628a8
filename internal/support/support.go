// SPDX-License-Identifier: Apache-2.0

// Package support judges the releases that run on a node: when upstream stops
// fixing them, and by when an upgrade has to start.
package support

import (
	"fmt"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/release"
)

// running is a release that something runs, and how that is known.
type running struct {
	id      fact.ID
	what    string
	version fact.Text
	from    string
}

// Judge says when the support of the releases in use ends. The observed time
// is that of the look: the last safe day to start an upgrade and the age of
// the calendar are counted from it.
func Judge(cal *release.Calendar, l layout.Layout, seen []fact.Fact, observed time.Time) []finding.Finding {
	var out []finding.Finding
	for _, r := range find(l, seen) {
		if f, ok := ends(cal, r, observed); ok {
			out = append(out, f)
		}
	}
	if stale, sentence := cal.Stale(observed); stale && len(out) > 0 {
		out = append(out, finding.Finding{
			Code: finding.CalendarStale, ID: fact.NodeID("perennial", "releases"), End: finding.Now(), Class: finding.Notice, Keeper: finding.KeeperPerson,
			Effect: "support ends may be wrong, and a newer release may be missing", Reason: sentence, Fix: "update perennial, or load a newer table with --releases FILE",
		})
	}
	return out
}

// find lists the control plane's release, and every other component's that
// differs from it by a minor.
func find(l layout.Layout, seen []fact.Fact) []running {
	versions, programs := map[string]fact.Version{}, map[int]fact.Version{}
	for _, f := range seen {
		if v, ok := f.(fact.Version); ok {
			versions[v.Endpoint], programs[v.PID] = v, v
		}
	}
	var all []running
	control := ""
	add := func(r running) {
		v, err := release.ParseVersion(string(r.version))
		if err != nil || v.Minor.String() == control && len(all) > 0 {
			return
		}
		if control == "" {
			control = v.Minor.String()
		}
		all = append(all, r)
	}
	for _, endpoint := range l.Scope.Endpoints {
		if v, ok := versions[endpoint]; ok {
			control = ""
			add(running{fact.NodeID(endpoint, "release"), "the API server", v.Git, "GET https://" + endpoint + "/version"})
		}
	}
	for _, p := range l.Ports {
		if v, ok := versions[p.Endpoint]; ok && p.Component == layout.APIServer {
			add(running{fact.NodeID(l.Node, "release"), "the control plane", v.Git, "GET https://" + p.Endpoint + "/version"})
		}
	}
	for _, c := range l.Components {
		id, what := fact.NodeID(l.Node, "release"), "the control plane"
		switch c.Name {
		case layout.APIServer:
		case layout.ControllerManager, layout.Scheduler:
			id, what = fact.NodeID(l.Node, c.Name+"-release"), c.Name
		case layout.Kubelet:
			if c.Process != nil {
				add(running{fact.NodeID(l.Node, "kubelet-release"), "the kubelet", programs[c.Process.PID].Git, "the kubelet's --version"})
			}
			continue
		default:
			continue
		}
		if v := layout.ImageVersion(c.Image); v != "" {
			add(running{id, what, v, "the image in " + c.Manifest})
		}
	}
	return all
}

func ends(cal *release.Calendar, r running, observed time.Time) (finding.Finding, bool) {
	v, err := release.ParseVersion(string(r.version))
	if err != nil {
		return finding.Finding{}, false
	}
	end, origin, ok := cal.SupportEnd(v.Minor)
	if !ok {
		return finding.Finding{}, false
	}
	_, path, _ := cal.LastSafeStart(v.Minor, observed, release.DefaultPace)
	f := finding.Finding{
		Code: finding.SupportEnds, ID: r.id, End: finding.End{Date: lastMoment(end), Basis: basis(origin)}, Class: finding.Notice, Keeper: finding.KeeperOwner,
		Effect:    fmt.Sprintf("%s runs %s: no fixes after that day, security fixes included", r.what, v),
		SafeStart: path.Start, Reason: path.String(), Evidence: finding.Evidence{Version: r.version, Notes: []fact.Text{fact.Text("seen by " + r.from)}}, Fix: fix(v, path),
	}
	if row, known := cal.Lookup(v.Minor); known {
		f.Life = finding.Life{Start: row.Released.Day, End: f.End.Date}
	}
	if vendor := v.Vendor(); vendor != "" {
		f.Evidence.Notes = append(f.Evidence.Notes, fact.Text("this is a build by "+vendor+", who may support it for longer than upstream"))
	}
	return f, true
}

// lastMoment is the end of the last supported day, which the calendar names by
// its midnight.
func lastMoment(day time.Time) time.Time { return day.AddDate(0, 0, 1).Add(-time.Second) }

func basis(o release.Origin) finding.Basis {
	switch o {
	case release.Planned:
		return finding.Planned
	case release.Estimated:
		return finding.Estimated
	}
	return finding.Measured
}

// fix is the first step: kubeadm goes one minor at a time.
func fix(v release.Version, path release.Path) string {
	if path.Newest <= v.Minor {
		return "nothing to do yet: " + v.Minor.String() + " is the newest minor"
	}
	return fmt.Sprintf("kubeadm upgrade plan v%s", v.Minor+1)
}

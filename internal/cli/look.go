// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/source"
	"perennial.dev/perennial/internal/timeline"
	"perennial.dev/perennial/internal/workbench"
)

// DefaultConfig is where the settings are looked for.
const DefaultConfig = "/etc/perennial/config.yaml"

// lookOptions say where to look and how to judge. Several commands share them.
type lookOptions struct {
	endpoints     []string
	root          string
	kubernetesDir string
	timeout       time.Duration
	replay        string
	record        string

	at       string
	config   string
	releases string
	accept   []string
	copies   []string // from the settings
	due      string
	dueCA    string
	support  string

	asOf time.Time // the day of the release calendar, once it is read
}

func (o *lookOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&o.endpoints, "endpoint", nil, "look at this API server `host:port` from outside, without files and credentials (repeatable)")
	f.StringVar(&o.root, "root", "/", "look at the file system below this `directory`, such as a mounted disk; processes and ports are left out")
	f.StringVar(&o.kubernetesDir, "kubernetes-dir", layout.DefaultKubernetesDir, "kubeadm's `directory` on the node")
	f.DurationVar(&o.timeout, "timeout", 0, "how long one endpoint may take (default 750ms on this node, 5s outside)")
	f.StringVar(&o.record, "record", "", "also write everything seen to this `file` (no keys); for bug reports and --replay")
	f.StringVar(&o.replay, "replay", "", "judge what was recorded in this `file` instead of looking; of check, also show a report that was saved with -o json")
	f.StringVar(&o.at, "at", "", "judge at this `date` (2027-06-01 or RFC 3339), as if nothing had been done until then")
	f.StringVar(&o.config, "config", "", "settings `file` (default "+DefaultConfig+", if it is there)")
	f.StringVar(&o.releases, "releases", "", "a newer release calendar `file`")
	f.StringArrayVar(&o.accept, "accept", nil, "do not count this `CODE[:ID]` in this run (repeatable; * in ID matches anything)")
	f.StringVar(&o.due, "due-within", "", "what somebody renews is due this `duration` before its end (90d), or in its last third if that is shorter")
	f.StringVar(&o.dueCA, "ca-due-within", "", "a CA is due this `duration` before its end (365d)")
	f.StringVar(&o.support, "support", "", "the end of a release's support is a `notice` or due")
	for _, name := range []string{"record", "replay", "config", "releases"} {
		_ = cmd.MarkFlagFilename(name)
	}
	_ = cmd.MarkFlagDirname("root")
	_ = cmd.MarkFlagDirname("kubernetes-dir")
	_ = cmd.RegisterFlagCompletionFunc("support", cobra.FixedCompletions([]string{"notice", "due"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("accept", completeCodes)
}

// look looks, or reads a record, and judges.
func (o *lookOptions) look(ctx context.Context, s Streams) (timeline.Timeline, error) {
	p, cal, err := o.judging(s)
	if err != nil {
		return timeline.Timeline{}, err
	}
	l, err := o.lookAt(ctx, s, p, cal)
	if err != nil {
		return timeline.Timeline{}, err
	}
	return l.timeline(), nil
}

// judging is what everything is judged by.
func (o *lookOptions) judging(s Streams) (policy.Policy, *release.Calendar, error) {
	p, err := o.policy(s.Now())
	if err != nil {
		return p, nil, err
	}
	cal, err := o.calendar()
	if err == nil {
		o.asOf = cal.AsOf()
	}
	return p, cal, err
}

// looked is what was seen and what follows from it, before it is judged by a
// policy.
type looked struct {
	record   fact.Record
	layout   layout.Layout
	findings []finding.Finding
	unseen   []fact.Unseen
	env      timeline.Envelope
	policy   policy.Policy
	at       time.Time
}

func (l looked) timeline() timeline.Timeline {
	return timeline.Build(l.findings, l.unseen, l.policy, l.at, l.env)
}

// lookAt looks at a node, at endpoints, or into a record.
func (o *lookOptions) lookAt(ctx context.Context, s Streams, p policy.Policy, cal *release.Calendar) (looked, error) {
	o.copies = p.Copies
	rec, l, err := o.see(ctx, s)
	if err != nil {
		return looked{}, err
	}
	at, err := o.instant(rec.Observed, s.Now())
	if err != nil {
		return looked{}, err
	}
	j := workbench.Judge(rec, l, cal, tool())
	return looked{record: rec, layout: l, findings: j.Findings, unseen: j.Unseen, env: j.Envelope, policy: p, at: at}, nil
}

// see gets the facts: from a record, or by looking.
func (o *lookOptions) see(ctx context.Context, s Streams) (fact.Record, layout.Layout, error) {
	if o.replay != "" {
		rec, err := readRecord(o.replay, s)
		if err != nil {
			return rec, layout.Layout{}, err
		}
		l := layout.Discover(rec.Scope, rec.Facts)
		return rec, l, o.write(rec)
	}
	scope, err := o.scope()
	if err != nil {
		return fact.Record{}, layout.Layout{}, err
	}
	shown := progressOf(s, lookingAt(scope))
	rec, l := source.Survey(ctx, scope, source.Options{Timeouts: o.timeouts()})
	shown.end()
	if ctx.Err() != nil {
		return rec, l, ctx.Err()
	}
	rec.Tool = tool()
	return rec, l, o.write(rec)
}

// lookingAt says what is looked at, for whoever waits.
func lookingAt(s fact.Scope) string {
	switch n := len(s.Endpoints); {
	case n == 0:
		return "looking at this node"
	case n == 1:
		return "looking at " + s.Endpoints[0]
	default:
		return fmt.Sprintf("looking at %d endpoints", n)
	}
}

func (o *lookOptions) timeouts() source.Timeouts {
	t := source.DefaultTimeouts
	if o.timeout > 0 {
		t.Local, t.Outside = o.timeout, o.timeout
	}
	return t
}

func (o *lookOptions) scope() (fact.Scope, error) {
	if len(o.endpoints) > 0 {
		scope := fact.Scope{}
		for _, e := range o.endpoints {
			endpoint, err := normalEndpoint(e)
			if err != nil {
				return scope, usageError{hinted{err, "give the API server as host:port, such as 10.0.0.1:6443"}}
			}
			scope.Endpoints = append(scope.Endpoints, endpoint)
		}
		return scope, nil
	}
	root, err := filepath.Abs(o.root)
	if err != nil {
		return fact.Scope{}, fmt.Errorf("finding the root %s: %w", o.root, err)
	}
	if info, err := os.Stat(root); err != nil {
		return fact.Scope{}, fmt.Errorf("opening the root: %w", err)
	} else if !info.IsDir() {
		return fact.Scope{}, fmt.Errorf("opening the root: %s is no directory", root)
	}
	dir := path.Join("/", filepath.ToSlash(o.kubernetesDir)) // of the node
	if root == "/" {
		if dir, err = filepath.Abs(o.kubernetesDir); err != nil {
			return fact.Scope{}, fmt.Errorf("finding the Kubernetes directory %s: %w", o.kubernetesDir, err)
		}
		if info, err := os.Stat(dir); dir != layout.DefaultKubernetesDir && (err != nil || !info.IsDir()) {
			return fact.Scope{}, hinted{fmt.Errorf("opening the Kubernetes directory %s: it is not there, or no directory", dir), "give the directory that holds manifests/ and pki/"}
		}
	}
	return fact.Scope{Root: root, KubernetesDir: dir, Copies: o.copies, State: workbench.DefaultState}, nil
}

// normalEndpoint takes host, host:port and https URLs; the port is 6443 where
// none is given.
func normalEndpoint(e string) (string, error) {
	e = strings.TrimSuffix(strings.TrimPrefix(e, "https://"), "/")
	host, port, err := net.SplitHostPort(e)
	if err != nil {
		host, port = strings.Trim(e, "[]"), "6443"
	}
	_, noAddress := netip.ParseAddr(host)
	if host == "" || strings.ContainsAny(host, "/ @?#") || strings.Contains(host, ":") && noAddress != nil {
		return "", fmt.Errorf("reading the endpoint %q: want host:port", fact.Text(e))
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return "", fmt.Errorf("reading the endpoint %q: the port is no number", fact.Text(e))
	}
	return net.JoinHostPort(host, port), nil
}

func (o *lookOptions) write(rec fact.Record) error {
	if o.record == "" {
		return nil
	}
	f, err := os.OpenFile(o.record, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("writing the record: %w", err)
	}
	if err := errors.Join(rec.Write(f), f.Close()); err != nil {
		return fmt.Errorf("writing the record to %s: %w", o.record, err)
	}
	return nil
}

func readRecord(path string, s Streams) (fact.Record, error) {
	if path == "-" {
		return fact.ReadRecord(s.In)
	}
	f, err := os.Open(path)
	if err != nil {
		return fact.Record{}, fmt.Errorf("opening the record: %w", err)
	}
	defer f.Close()
	rec, err := fact.ReadRecord(f)
	if err != nil {
		return rec, hinted{fmt.Errorf("%s: %w", path, err), "records are written by perennial check --record FILE"}
	}
	return rec, nil
}

// instant is the time to judge at: --at, else the time of the look, so that a
// record says today what it said then.
func (o *lookOptions) instant(observed, now time.Time) (time.Time, error) {
	switch {
	case o.at == "now":
		return now, nil
	case o.at != "":
		at, err := policy.ParseDate(o.at)
		if err != nil {
			return at, usageError{fmt.Errorf("reading --at: %w", err)}
		}
		return at, nil
	case observed.IsZero():
		return now, nil
	}
	return observed, nil
}

func (o *lookOptions) policy(now time.Time) (policy.Policy, error) {
	p := policy.Default()
	path := o.config
	if path == "" {
		path = DefaultConfig
	}
	data, err := os.ReadFile(path)
	if err != nil && (o.config != "" || !errors.Is(err, fs.ErrNotExist)) {
		return p, fmt.Errorf("reading the settings: %w", err)
	}
	if err == nil {
		if p, err = policy.Parse(data); err != nil {
			return p, fmt.Errorf("reading the settings %s: %w", path, err)
		}
	}
	return p, o.override(&p, now)
}

// override lays the flags over the settings.
func (o *lookOptions) override(p *policy.Policy, now time.Time) error {
	if o.due != "" {
		d, err := policy.ParseDuration(o.due)
		if err != nil {
			return usageError{fmt.Errorf("reading --due-within: %w", err)}
		}
		p.Renewed.AtMost = d
	}
	if o.dueCA != "" {
		d, err := policy.ParseDuration(o.dueCA)
		if err != nil {
			return usageError{fmt.Errorf("reading --ca-due-within: %w", err)}
		}
		p.TrustAnchor = d
	}
	switch o.support {
	case "":
	case "notice":
		p.Support.Counts = false
	case "due":
		p.Support.Counts = true
	default:
		return usageError{fmt.Errorf("reading --support: want notice or due, not %q", o.support)}
	}
	for _, a := range o.accept {
		code, id, _ := strings.Cut(a, ":")
		if _, ok := finding.Explain(finding.Code(code)); !ok {
			return usageError{hinted{fmt.Errorf("reading --accept: %q is no code", fact.Text(code)), "perennial explain lists them"}}
		}
		if id == "" {
			id = "*"
		}
		p.Accepted = append(p.Accepted, policy.Acceptance{Code: finding.Code(code), ID: id, Reason: "accepted for this run by --accept", Until: now.AddDate(100, 0, 0)})
	}
	return nil
}

func (o *lookOptions) calendar() (*release.Calendar, error) {
	cal, err := release.Load()
	if err != nil || o.releases == "" {
		return cal, err
	}
	f, err := os.Open(o.releases)
	if err != nil {
		return nil, fmt.Errorf("reading the release calendar: %w", err)
	}
	defer f.Close()
	if err := cal.Merge(f); err != nil {
		return nil, fmt.Errorf("reading the release calendar %s: %w", o.releases, err)
	}
	return cal, nil
}

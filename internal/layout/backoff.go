// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"errors"
	"time"

	"sigs.k8s.io/yaml"

	"perennial.dev/perennial/internal/release"
)

// BackOffRule is how a kubelet spaces the restarts of a container. The first one
// is not put off at all.
type BackOffRule struct {
	First time.Duration // what the second restart waits; each further one twice that
	Most  time.Duration
	Late  Lateness
}

// Lateness says how late a kubelet notices that a wait is over.
type Lateness string

const (
	// LateByResync: it looks again at the pod's next regular turn, 60 to 90
	// seconds after the last one (up to 1.34: SyncPod of pkg/kubelet/kubelet.go
	// hides the back-off from completeWork of pkg/kubelet/pod_workers.go).
	LateByResync Lateness = "resync"
	// LateByJitter: it looks again when the wait is over, late by half of it at
	// the most (from 1.35: MinBackoffExpiration in the same file).
	LateByJitter Lateness = "jitter"
)

// The kubelet's own numbers (pkg/kubelet/kubelet.go, 1.25 to 1.37).
const (
	backOffFirst = 10 * time.Second
	backOffMost  = 300 * time.Second
	// backOffForgets is how long after a restart the next end counts as the
	// first again: twice the longest wait up to 1.31 (client-go
	// util/flowcontrol/backoff.go), and as much since 1.32, where the longest
	// wait can be configured (HasExpiredFunc in kubelet.go).
	backOffForgets = 600 * time.Second
	// resyncMost is syncFrequency's default with its jitter of up to a half.
	resyncMost = 90 * time.Second

	maxRestartPeriodSince = release.Minor(32) // gate KubeletCrashLoopBackOffMax, alpha
	maxRestartPeriodBeta  = release.Minor(35) // and on (pkg/features/kube_features.go)
	promptSince           = release.Minor(35)
)

// KubeletBackOff is the rule of a kubelet, from its KubeletConfiguration (empty:
// none is known) and its release (zero: not known, the longest waits are
// expected).
func KubeletBackOff(config []byte, kubelet release.Minor) (BackOffRule, error) {
	rule := BackOffRule{First: backOffFirst, Most: backOffMost, Late: LateByResync}
	if kubelet >= promptSince {
		rule.Late = LateByJitter
	}
	var c struct {
		FeatureGates     map[string]bool `json:"featureGates"`
		CrashLoopBackOff struct {
			MaxContainerRestartPeriod string `json:"maxContainerRestartPeriod"`
		} `json:"crashLoopBackOff"`
	}
	if err := yaml.Unmarshal(config, &c); err != nil {
		return rule, errors.New("reading the kubelet's crashLoopBackOff: it is no YAML of a KubeletConfiguration" + whereIn(err))
	}
	enabled, set := c.FeatureGates["KubeletCrashLoopBackOffMax"]
	if !set {
		enabled = kubelet >= maxRestartPeriodBeta
	}
	text := c.CrashLoopBackOff.MaxContainerRestartPeriod
	if !enabled || kubelet < maxRestartPeriodSince || text == "" {
		return rule, nil
	}
	most, err := time.ParseDuration(text)
	if err != nil || most <= 0 {
		return rule, errors.New("reading the kubelet's crashLoopBackOff: maxContainerRestartPeriod is no duration")
	}
	rule.Most, rule.First = most, min(backOffFirst, most)
	return rule, nil
}

// Run is one run of a container: from the log file N.log that the kubelet gives
// each (pkg/kubelet/kuberuntime/helpers.go, buildContainerLogsPath), and for the
// present one from its process.
type Run struct {
	Number int       // of the restarts before it
	Start  time.Time // zero: not known
	End    time.Time // when the log was last written; zero: it runs, or not known
}

// Wait is how long a kubelet leaves a container away after its end.
type Wait struct {
	// Now is what it waits after an end now, and NowMost until when it has
	// noticed that the wait is over. Zero: it starts again at once.
	Now, NowMost time.Duration
	// Again is the same for one more end soon afterwards.
	Again, AgainMost time.Duration
	// Sure is false where the history does not say it: the waits are then the
	// longest that there may be.
	Sure bool
}

// BackOff works out what a kubelet waits when the container ends now, from the
// runs that its logs tell of, oldest first, the running one last. The kubelet
// keeps the log of one ended run only, so an earlier wait is read from the time
// between that end and the start that followed. A kubelet that started later
// (zero: not known) has forgotten what was before: it keeps this in memory.
//
// It follows doBackOff of pkg/kubelet/kuberuntime/kuberuntime_manager.go and
// Next, IsInBackOffSince of client-go util/flowcontrol/backoff.go.
func BackOff(runs []Run, kubelet, now time.Time, rule BackOffRule) Wait {
	s := spacing{rule: rule, known: true}
	for i, run := range runs {
		var before *Run
		if i > 0 && runs[i-1].Number == run.Number-1 {
			before = &runs[i-1]
		}
		s.restart(before, run, kubelet)
	}
	wait := Wait{Sure: s.known, Now: s.entry}
	if s.forgotten(now) {
		wait = Wait{Sure: true}
	}
	wait.Again = rule.next(wait.Now)
	wait.NowMost, wait.AgainMost = rule.latest(wait.Now), rule.latest(wait.Again)
	return wait
}

// spacing follows the kubelet's entry for a container.
type spacing struct {
	rule  BackOffRule
	entry time.Duration // the wait that the next restart is put off by; 0: none
	last  time.Time     // the last restart
	known bool
}

// restart is the kubelet's part in the start of a run.
func (s *spacing) restart(before *Run, run Run, kubelet time.Time) {
	defer func() { s.last = run.Start }()
	switch {
	case run.Number == 0, !run.Start.IsZero() && run.Start.Before(kubelet):
		s.entry, s.known = 0, true
	case before == nil || before.End.IsZero() || run.Start.IsZero():
		s.entry, s.known = s.rule.after(run.Number), false
	case before.Number == 0 || s.known && !s.last.IsZero():
		if s.forgotten(before.End) {
			s.entry = 0
		}
		s.entry, s.known = s.rule.next(s.entry), true
	default:
		waited := s.rule.atMost(run.Start.Sub(before.End))
		s.entry, s.known = min(s.rule.next(waited), s.rule.after(run.Number)), true
	}
}

// forgotten says that an end counts as the first one.
func (s *spacing) forgotten(end time.Time) bool {
	return s.entry == 0 || !s.last.IsZero() && end.Sub(s.last) > backOffForgets
}

// next is the wait after a wait.
func (r BackOffRule) next(wait time.Duration) time.Duration {
	if wait == 0 {
		return r.First
	}
	return min(2*wait, r.Most)
}

// after is the wait after a number of restarts in a row: the longest there may
// be.
func (r BackOffRule) after(restarts int) (wait time.Duration) {
	for range min(restarts, 64) {
		wait = r.next(wait)
	}
	return wait
}

// atMost is the longest wait of the rule that fits into a time.
func (r BackOffRule) atMost(span time.Duration) (wait time.Duration) {
	for next := r.First; next <= span; next = r.next(next) {
		if wait = next; next == r.Most {
			break
		}
	}
	return wait
}

// latest is when a wait has ended and the kubelet has noticed.
func (r BackOffRule) latest(wait time.Duration) time.Duration {
	switch {
	case wait == 0:
		return 0
	case r.Late == LateByJitter && wait <= time.Minute:
		return wait + wait/2
	case wait <= time.Minute:
		return resyncMost
	}
	return wait + resyncMost
}

// SPDX-License-Identifier: Apache-2.0

package layout_test

import (
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/release"
)

func TestKubeletBackOff(t *testing.T) {
	const two = "crashLoopBackOff: {maxContainerRestartPeriod: 2s}\n"
	for _, c := range []struct {
		config      string
		minor       release.Minor
		first, most time.Duration
		late        layout.Lateness
	}{
		{"", 0, 10, 300, layout.LateByResync},
		{"", 37, 10, 300, layout.LateByJitter},
		{two, 0, 10, 300, layout.LateByResync},
		{two, 34, 10, 300, layout.LateByResync},
		{two + "featureGates: {KubeletCrashLoopBackOffMax: true}\n", 34, 2, 2, layout.LateByResync},
		{two + "featureGates: {KubeletCrashLoopBackOffMax: true}\n", 31, 10, 300, layout.LateByResync},
		{two, 35, 2, 2, layout.LateByJitter},
		{two + "featureGates: {KubeletCrashLoopBackOffMax: false}\n", 36, 10, 300, layout.LateByJitter},
		{"crashLoopBackOff: {maxContainerRestartPeriod: 1m}\n", 36, 10, 60, layout.LateByJitter},
	} {
		got, err := layout.KubeletBackOff([]byte(c.config), c.minor)
		if want := (layout.BackOffRule{First: c.first * time.Second, Most: c.most * time.Second, Late: c.late}); err != nil || got != want {
			t.Errorf("%q on %s: %+v, %v, want %+v", c.config, c.minor, got, err, want)
		}
	}
	for _, broken := range []string{"crashLoopBackOff: {maxContainerRestartPeriod: hush}", "crashLoopBackOff: [hush", "crashLoopBackOff: {maxContainerRestartPeriod: -1s}"} {
		got, err := layout.KubeletBackOff([]byte(broken), 36)
		if err == nil || strings.Contains(err.Error(), "hush") || got.Most != 300*time.Second {
			t.Errorf("%q: %+v, %v", broken, got, err)
		}
	}
}

// history makes runs out of seconds before now: start, end, start, end, start.
func history(now time.Time, number int, at ...int) []layout.Run {
	var runs []layout.Run
	for i := 0; i < len(at); i += 2 {
		run := layout.Run{Number: number + i/2, Start: now.Add(-time.Duration(at[i]) * time.Second)}
		if i+1 < len(at) {
			run.End = now.Add(-time.Duration(at[i+1]) * time.Second)
		}
		runs = append(runs, run)
	}
	return runs
}

func TestBackOff(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	rule, _ := layout.KubeletBackOff(nil, 37)
	short, _ := layout.KubeletBackOff([]byte("crashLoopBackOff: {maxContainerRestartPeriod: 2s}"), 36)
	const month = 30 * 24 * 3600
	for name, c := range map[string]struct {
		runs       []layout.Run
		kubelet    time.Duration // before now; 0: not known
		rule       layout.BackOffRule
		now, again time.Duration
		sure       bool
	}{
		"never restarted":                             {history(now, 0, month), 0, rule, 0, 10, true},
		"no history at all":                           {nil, 0, rule, 0, 10, true},
		"restarted a month ago":                       {history(now, 6, month+900, month+2, month), 0, rule, 0, 10, true},
		"restarted once, just now":                    {history(now, 0, 900, 31, 30), 0, rule, 10, 20, true},
		"twice":                                       {history(now, 0, 900, 61, 60, 31, 20), 0, rule, 20, 40, true},
		"six times":                                   {history(now, 0, 900, 850, 849, 840, 829, 820, 799, 790, 749, 740, 659, 650, 489), 0, rule, 300, 300, true},
		"after ten quiet minutes":                     {history(now, 0, 3000, 2900, 2890, 700, 699), 0, rule, 0, 10, true},
		"after nine minutes":                          {history(now, 0, 3000, 600, 599, 50, 40), 0, rule, 20, 40, true},
		"two logs are left: it did not wait":          {history(now, 7, 900, 31, 30), 0, rule, 10, 20, true},
		"two logs are left: it waited 40 s":           {history(now, 7, 900, 71, 30), 0, rule, 80, 160, true},
		"two logs are left: it waited long":           {history(now, 7, 900, 510, 30), 0, rule, 300, 300, true},
		"one restart, whatever it waited":             {history(now, 0, 900, 510, 30), 0, rule, 10, 20, true},
		"one log is left":                             {history(now, 3, 30), 0, rule, 40, 80, false},
		"one log is left, from long ago":              {history(now, 3, 601), 0, rule, 0, 10, true},
		"the kubelet started since":                   {history(now, 7, 900, 71, 30), 20 * time.Second, rule, 0, 10, true},
		"the kubelet started before":                  {history(now, 7, 900, 71, 30), 1000 * time.Second, rule, 80, 160, true},
		"a log is missing":                            {append(history(now, 2, 900, 400), history(now, 4, 30)...), 0, rule, 80, 160, false},
		"a short longest wait":                        {history(now, 0, 900, 31, 30), 0, short, 2, 2, true},
		"a short longest wait does not forget sooner": {history(now, 5, 900, 504, 500), 0, short, 2, 2, true},
		"the kubelet started in between":              {history(now, 7, 900, 71, 30), 40 * time.Second, rule, 10, 20, true},
	} {
		var kubelet time.Time
		if c.kubelet > 0 {
			kubelet = now.Add(-c.kubelet)
		}
		got := layout.BackOff(c.runs, kubelet, now, c.rule)
		if got.Now != c.now*time.Second || got.Again != c.again*time.Second || got.Sure != c.sure {
			t.Errorf("%s: %+v, want %d s, then %d s, sure %v", name, got, c.now, c.again, c.sure)
		}
	}
}

func TestBackOffIsNoticedLate(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	old, _ := layout.KubeletBackOff(nil, 34)
	prompt, _ := layout.KubeletBackOff(nil, 35)
	for _, c := range []struct {
		rule           layout.BackOffRule
		gap            int // that the last restart waited
		most, andAgain time.Duration
	}{
		{old, 1, 90, 90}, {old, 45, 170, 250}, {prompt, 1, 15, 30}, {prompt, 25, 60, 170},
	} {
		got := layout.BackOff(history(now, 9, 900, 30+c.gap, 30), time.Time{}, now, c.rule)
		if got.NowMost != c.most*time.Second || got.AgainMost != c.andAgain*time.Second {
			t.Errorf("after %d s, %s: %+v", c.gap, c.rule.Late, got)
		}
	}
}

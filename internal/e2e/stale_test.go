// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/timeline"
)

// After `kubeadm certs renew all` with nothing restarted, the controller
// manager and the scheduler use old identities, and the API server and etcd do
// not. A restart of the two ends the findings.
func TestRenewedAndNotRestarted(t *testing.T) {
	for _, version := range versions(t) {
		t.Run(version, func(t *testing.T) {
			p := up(t, version)
			if stale := withCode(p.check(), finding.ClientIdentityStale); len(stale) > 0 {
				t.Fatalf("stale before anything was renewed: %v", stale)
			}
			time.Sleep(2 * time.Second) // processes and files must differ by more than the second in which nothing is said
			p.Inside("kubeadm", "certs", "renew", "all")
			tl := p.until("the API server and etcd serve the new certificates", func(tl timeline.Timeline) bool {
				return len(withCode(tl, finding.ServedCertificateStale)) == 0 && len(tl.Unseen) == 0
			})
			want := []string{"cp1/controller-manager.conf", "cp1/scheduler.conf"}
			got := withCode(tl, finding.ClientIdentityStale)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("stale identities: %v, want %v", got, want)
			}
			for _, id := range want {
				i, _ := item(tl, fact.ID(id), finding.ClientIdentityStale)
				if len(i.Evidence) == 0 || len(i.Evidence[0].Identity) == 0 || i.Evidence[0].Identity[0].Grade != finding.Seen {
					t.Errorf("%s is not seen to be stale: %+v", id, i.Evidence)
				}
			}
			if tl.ExitCode != timeline.ExitDue {
				t.Errorf("exit code %d, want %d", tl.ExitCode, timeline.ExitDue)
			}
			p.Do("restart", "kube-controller-manager")
			p.Do("restart", "kube-scheduler")
			p.until("the two are restarted and no longer stale", func(tl timeline.Timeline) bool {
				return len(withCode(tl, finding.ClientIdentityStale)) == 0 && tl.Scope.Counts.Processes == 4
			})
		})
	}
}

// until checks until a condition holds, for at most 90 seconds: the API server
// looks at its files each minute.
func (p *plane) until(what string, holds func(timeline.Timeline) bool) timeline.Timeline {
	p.Helper()
	for deadline := time.Now().Add(90 * time.Second); ; time.Sleep(500 * time.Millisecond) {
		tl := p.check()
		if holds(tl) {
			return tl
		}
		for _, u := range tl.Unseen {
			p.Logf("not seen meanwhile: %s: %s (%s)", u.What, u.Detail, u.Why)
		}
		if time.Now().After(deadline) {
			p.Fatalf("%s: not within 90 s; %d items, headline %q, not seen %v", what, len(tl.Items), tl.Headline, tl.Unseen)
		}
	}
}

// With the API server stopped all files are still reported, what could not be
// looked at is said, and the exit code is the documented one.
func TestServerStopped(t *testing.T) {
	for _, version := range versions(t) {
		t.Run(version, func(t *testing.T) {
			p := up(t, version)
			before := p.check()
			p.Do("stop", "kube-apiserver")
			start := time.Now()
			tl := p.check()
			t.Logf("the whole check with a dead API server took %s", time.Since(start).Round(time.Millisecond))
			for _, i := range before.Items {
				if i.Code != finding.CertificateExpires && i.Code != finding.CAExpires {
					continue
				}
				if _, ok := item(tl, i.ID, i.Code); !ok {
					t.Errorf("%s %s is no longer reported", i.ID, i.Code)
				}
			}
			unseen := ""
			for _, u := range tl.Unseen {
				unseen += string(u.What) + " " + string(u.Why) + "\n"
			}
			if !strings.Contains(unseen, p.Endpoint) {
				t.Errorf("that %s could not be looked at is not said: %q", p.Endpoint, unseen)
			}
			if tl.ExitCode != timeline.ExitUnseen {
				t.Errorf("exit code %d, want %d", tl.ExitCode, timeline.ExitUnseen)
			}
			p.Do("start", "kube-apiserver")
		})
	}
}

// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"perennial.dev/perennial/internal/execute"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/policy"
)

// due is a made node on which something is due since a while, at noon of Wednesday
// 2027-08-11.
func due(t *testing.T) *made {
	wait(t, "2027-08-11T12:00:00Z")
	m := newMade(t)
	m.cert("apiserver", "2027-08-10T00:00:00Z", 365*day)
	return m
}

// Whatever is wrong with the machine or its settings, the agent changes nothing,
// tells, keeps looking, and goes on by itself when it is over.
func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		begins, ends func(*made)
		told         Code
		lasts        string // the instant at which a person is needed for it
		goesOn       string // the first change; empty: none
		says         string // in the status
	}{
		"the settings are invalid from the start": {
			begins: func(m *made) { m.invalid = errors.New("config.yaml:3:5: act: want true or false") },
			ends:   func(m *made) { m.invalid = nil },
			told:   SettingsInvalid, lasts: "2027-08-11T12:00:00Z", goesOn: "2027-08-11T16:35:00Z", says: "config.yaml:3:5", // every five minutes by default
		},
		"the disk is full": {
			begins: func(m *made) {
				m.readOnly = errors.New("writing /var/lib/perennial/state/status.json: no space left on device")
			},
			ends: func(m *made) { m.readOnly = nil },
			told: StateUnwritable, lasts: "2027-08-11T12:00:00Z", goesOn: "2027-08-11T17:00:00Z",
		},
		"there is no room for a change, or its directory is read-only": {
			begins: func(m *made) {
				m.refuse = errors.New("nothing was done: writing to /etc/kubernetes/pki: read-only file system")
			},
			ends: func(m *made) { m.refuse = nil },
			told: Refused, lasts: "2027-08-11T13:00:00Z", goesOn: "2027-08-11T17:00:00Z", says: "read-only file system",
		},
		"another agent has the lock": {
			begins: func(m *made) {
				m.refuse = &host.HeldError{Path: "/run/perennial/lock", Holder: host.Holder{PID: 4711, Purpose: "agent"}}
			},
			ends: func(m *made) { m.refuse = nil },
			told: Busy, lasts: "2027-08-11T13:00:00Z", goesOn: "2027-08-11T17:00:00Z", says: "process 4711",
		},
		"kubeadm upgrades": {
			begins: func(m *made) {
				m.atWork = errors.New("planning: kubeadm (process 7) is at work on this node (kubeadm upgrade apply)")
			},
			ends: func(m *made) { m.atWork = nil },
			told: OtherRenewer, lasts: "2027-08-11T13:00:00Z", goesOn: "2027-08-11T17:00:00Z", says: "kubeadm upgrade apply",
		},
		"the journal is damaged": {
			begins: func(m *made) {
				m.broken = &journal.DamagedError{Path: "journal.jsonl", Line: 3, Err: errors.New("checksum")}
			},
			ends: func(m *made) { m.broken = nil },
			told: JournalDamaged, lasts: "2027-08-11T12:00:00Z", goesOn: "2027-08-11T17:00:00Z", says: "line 3",
		},
		"the clock is not believed when it is done": {
			begins: func(m *made) { m.refuse = execute.ErrClock },
			ends:   func(m *made) { m.refuse = nil },
			told:   ClockSuspect, lasts: "2027-08-11T12:00:00Z", goesOn: "2027-08-11T17:00:00Z",
		},
		"something is dated later than the clock says": {
			begins: func(m *made) {
				m.extra = []finding.Finding{{Code: finding.ClockSuspect, ID: "cp1/clock", End: finding.Now(), Class: finding.Fault, Keeper: finding.KeeperPerson, Reason: "the clock says 1970"}}
			},
			ends: func(m *made) { m.extra = nil },
			told: ClockSuspect, lasts: "2027-08-11T12:00:00Z", goesOn: "2027-08-11T17:00:00Z", says: "the clock says 1970",
		},
	} {
		for form, start := range map[string]func(*made) *session{
			"as a daemon":  func(m *made) *session { return m.start() },
			"from a timer": func(m *made) *session { return m.timer() },
		} {
			t.Run(name+"/"+form, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := due(t)
					c.begins(m)
					a := start(m)
					defer a.end()
					goesOn := c.goesOn
					if form == "from a timer" && c.told == SettingsInvalid { // an hour apart all the time
						goesOn = "2027-08-11T17:00:00Z"
					}
					before := at(t, c.lasts).Add(-time.Minute)
					if before.After(time.Now()) {
						sleep(time.Until(before))
						if len(a.told.people) > 0 {
							t.Errorf("a person is needed already: %v", a.told.people)
						}
					}
					wait(t, "2027-08-11T16:30:00Z")
					compare(t, m.changed)
					if !a.told.needed(c.told) || a.told.stopped || a.told.valid != (c.told != SettingsInvalid) {
						t.Errorf("told %+v", a.told.people)
					}
					if m.looks < 5 || a.told.line.Items == nil {
						t.Errorf("%d looks in four hours and a half", m.looks)
					}
					if err := a.Live(); err != nil {
						t.Error(err)
					}
					if m.readOnly == nil {
						if s := a.status(); s.Exit(m.now()) != 13 || !strings.Contains(string(m.files[StatusFile]), c.says) {
							t.Errorf("exit code %d, status:\n%s", s.Exit(m.now()), m.files[StatusFile])
						}
					}
					// What cannot be written down is said anew by each run.
					if n := strings.Count(a.log.String(), "level=WARN") + strings.Count(a.log.String(), "level=ERROR"); n < 1 || n > 2 && (form == "as a daemon" || m.readOnly == nil) {
						t.Errorf("%d complaints in the log:\n%s", n, a.log)
					}
					c.ends(m)
					wait(t, "2027-08-11T18:30:00Z")
					compare(t, m.changed, goesOn+" renew apiserver")
					if len(a.told.people) != 0 || a.status().Exit(m.now()) != 0 || !a.told.valid || !a.told.acts || a.told.planned["cp1/apiserver"] != a.status().Next[0].At {
						t.Errorf("it is over: %v, exit code %d", a.told.people, a.status().Exit(m.now()))
					}
				})
			})
		}
	}
}

// Settings that cannot be read while it runs leave those from before in force.
func TestOldSettingsStayInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.certs[0].end = at(t, "2027-08-11T15:30:00Z").Add(90 * day)
		wake := make(chan struct{})
		a := m.start(func(a *Agent) { a.Wake = wake })
		defer a.end()
		m.invalid = errors.New("config.yaml:7:3: unknown field")
		m.policy.Agent.Act = false
		wake <- struct{}{} // as SIGHUP does
		synctest.Wait()
		if s := a.status(); !s.Settings.Act || s.Settings.Error != "config.yaml:7:3: unknown field" || s.Exit(m.now()) != 13 || a.told.valid || a.Ready() == nil {
			t.Errorf("%+v, ready %v", s.Settings, a.Ready())
		}
		wait(t, "2027-08-11T16:00:00Z")
		compare(t, m.changed, "2027-08-11T15:30:00Z renew apiserver")
		m.invalid, m.version = nil, 2
		wake <- struct{}{}
		synctest.Wait()
		if s := a.status(); s.Settings.Act || s.Settings.Digest != versioned(2) || a.Ready() != nil {
			t.Errorf("%+v, ready %v", s.Settings, a.Ready())
		}
	})
}

func TestClockIsSet(t *testing.T) {
	for name, c := range map[string]struct {
		by     time.Duration
		stops  bool   // the agent does not run meanwhile
		boots  bool   // the machine neither
		change string // by the stopwatch, from when it was set
	}{
		"within a minute":            {by: time.Minute, change: "1h0m0s"},
		"two hours ahead":            {by: 2 * time.Hour, change: "3h0m0s"}, // seen after one
		"years ahead":                {by: 20 * 365 * day, change: "25h0m0s"},
		"two hours back":             {by: -2 * time.Hour, change: "3h0m0s"},
		"back while it did not run":  {by: -2 * time.Hour, stops: true, change: "2h0m0s"},
		"ahead while it did not run": {by: 2 * time.Hour, stops: true, change: "2h0m0s"},
		// Nothing tells for how long a machine was off, but that its clock went back.
		"ahead while it was off": {by: 2 * time.Hour, stops: true, boots: true, change: "0s"},
		"back while it was off":  {by: -2 * time.Hour, stops: true, boots: true, change: "2h0m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := due(t)
				m.mayEnd = true
				m.certs[0].end = at(t, "2028-08-11T12:00:00Z")
				a := m.start()
				set := time.Now()
				if c.stops {
					a.end()
				}
				m.ahead, m.certs[0].end = c.by, set.Add(c.by+50*day) // due by the new clock
				if c.boots {
					m.boot()
				}
				if c.stops {
					a = m.start()
				}
				sleep(30 * time.Hour)
				a.end()
				if len(m.past) != 1 {
					t.Fatalf("%d changes", len(m.past))
				}
				if after := m.past[0].Plan.Begun.Add(-c.by).Sub(set); after.String() != c.change {
					t.Errorf("changed after %s\n%s", after, a.log)
				}
			})
		})
	}
}

// What was refused by a clock that was years ahead is not put off until then.
func TestRefusedByAClockThatWasAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.mayEnd, m.ahead, m.refuse = true, 50*365*day, errors.New("no room")
		a := m.start()
		wait(t, "2027-08-11T13:30:00Z")
		if a.status().Refusals["renew"].Tries != 2 {
			t.Errorf("%+v", a.status().Refusals)
		}
		m.ahead, m.refuse = 0, nil
		wait(t, "2027-08-12T18:00:00Z")
		a.end()
		compare(t, m.changed, "2027-08-12T14:00:00Z renew apiserver") // a day after it was seen
	})
}

// State that cannot be read is no word to go on.
func TestStateThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.files[StoppedFile], m.files[StatusFile], m.files[ApprovedFile] = []byte("{"), []byte("["), []byte("\x00")
		a := m.start()
		wait(t, "2027-08-11T13:30:00Z")
		a.end()
		compare(t, m.changed)
		if s := a.status(); s.Stopped == nil || !strings.Contains(s.Stopped.Reason.String(), StoppedFile) || !a.told.needed(LineStopped) {
			t.Errorf("%+v", s)
		}
		if _, err := Resume(m, m.now()); err != nil || m.files[StoppedFile] != nil {
			t.Errorf("resuming: %v", err)
		}
	})
}

// A plan that failed, or is not proven, is the last one until a person has looked.
func TestStopAndResume(t *testing.T) {
	for _, result := range []journal.Result{journal.Failed, journal.Undone, ""} {
		synctest.Test(t, func(t *testing.T) {
			m := due(t)
			m.loopback = &madeCert{name: "apiserver-loopback", end: at(t, "2027-11-01T00:00:00Z"), life: 365 * day}
			m.outcome = func() journal.Result { return result }
			a := m.start()
			wait(t, "2027-08-11T13:30:00Z")
			first := "2027-08-11T12:00:00Z renew apiserver"
			compare(t, m.changed, first)
			a.end()
			m.outcome = nil
			a = m.start(func(a *Agent) { a.Poll = time.Minute })
			wait(t, "2027-08-12T12:00:00Z")
			compare(t, m.changed, first)
			s := a.status()
			if s.Stopped == nil || s.Stopped.Plan != "plan-1" || s.Exit(m.now()) != 13 || !a.told.stopped || !a.told.needed(LineStopped) || !strings.Contains(s.Next[0].Why.String(), "could not be proven") {
				t.Errorf("%+v", s)
			}
			if _, err := Approve(m, s, nil, m.now()); err == nil {
				t.Error("what is stopped was approved")
			}
			if why, err := Resume(m, m.now()); err != nil || why.Plan != "plan-1" {
				t.Errorf("%+v %v", why, err)
			}
			wait(t, "2027-08-12T12:10:00Z")
			compare(t, m.changed, first, "2027-08-12T12:01:00Z renew apiserver", "2027-08-12T12:01:10Z restart kube-apiserver")
			if s := a.status(); s.Stopped != nil || s.Exit(m.now()) != 0 || a.told.stopped {
				t.Errorf("%+v", s)
			}
			if _, err := Resume(m, m.now()); !errors.Is(err, ErrNotStopped) {
				t.Errorf("resuming twice: %v", err)
			}
			a.end()
		})
	}
}

// What cannot be written down is not forgotten.
func TestStopOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.outcome = func() journal.Result { m.readOnly = errors.New("no space left on device"); return journal.Failed }
		a := m.start()
		wait(t, "2027-08-11T15:30:00Z")
		if !a.told.stopped || m.files[StoppedFile] != nil {
			t.Errorf("%+v", a.told)
		}
		m.readOnly = nil
		wait(t, "2027-08-11T17:30:00Z")
		a.end()
		if m.files[StoppedFile] == nil || len(m.changed) != 1 {
			t.Errorf("%s, %v", m.files[StoppedFile], m.changed)
		}
	})
}

// What was done, proven, and is found again at the next look is no matter of time.
func TestDoneAndStillDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait(t, "2027-08-11T12:00:00Z")
		m := newMade(t)
		m.extra = []finding.Finding{{
			Code: finding.ClientIdentityStale, ID: "cp1/controller-manager.conf", Class: finding.Lingering, Keeper: finding.KeeperRestart,
			Evidence: finding.Evidence{
				Certificate: &finding.Certificate{NotBefore: at(t, "2027-08-11T11:30:00Z")},
				Identity:    []finding.Identity{{Component: layout.ControllerManager, Grade: finding.Seen}, {Component: layout.Scheduler, Grade: finding.ByRule}},
			},
		}}
		a := m.start()
		defer a.end()
		wait(t, "2027-08-14T12:00:00Z")
		compare(t, m.changed, "2027-08-11T12:30:00Z restart kube-controller-manager") // an hour after it was replaced
		if s := a.status(); s.Stopped == nil || s.Stopped.Plan != "plan-1" || !strings.Contains(s.Stopped.Reason.String(), "it was done, and it is still due") {
			t.Errorf("%+v", s.Stopped)
		}
	})
}

// An agent that ends in the middle of a change has not failed: the next one first
// finishes it.
func TestCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.cert("etcd-peer", "2027-08-11T00:00:00Z", 365*day)
		a := m.start()
		wait(t, "2027-08-11T12:00:15Z") // in the second step
		a.end()
		if m.files[StoppedFile] != nil || !strings.Contains(a.log.String(), "the next run goes on") {
			t.Errorf("it has stopped:\n%s", a.log)
		}
		m.policy.Agent.Act = false // its own plan is finished all the same
		a = m.start()
		wait(t, "2027-08-11T12:30:00Z")
		a.end()
		compare(t, m.changed, "2027-08-11T12:00:00Z renew apiserver, renew etcd-peer", "2027-08-11T12:00:15Z refresh rest-of-plan-1")
		if s := a.status(); s.Last == nil || s.Last.Result != journal.Done || s.Stopped != nil {
			t.Errorf("%+v", s)
		}
	})
}

// Where a handover is not possible, what the settings say of an outage decides.
func TestHandoverImpossible(t *testing.T) {
	for allowed, c := range map[policy.Restart]struct {
		changed []string
		needed  Code
	}{
		policy.Handover: {needed: HandoverImpossible},
		policy.InWindow: {changed: []string{"2027-08-15T02:20:00Z restart kube-apiserver, in place"}, needed: HandoverImpossible},
		policy.Never:    {needed: RestartForbidden},
	} {
		synctest.Test(t, func(t *testing.T) {
			wait(t, "2027-08-11T12:00:00Z")
			m := newMade(t)
			m.loopback = &madeCert{name: "apiserver-loopback", end: at(t, "2027-11-01T00:00:00Z"), life: 365 * day}
			m.policy.Agent.When.Calendar = sundays(t)
			m.policy.Agent.When.Windows[0].Start.Minute = 20 // between two tries
			m.policy.Agent.When.Reserve = 90 * day           // it is due outside of windows, too
			m.policy.Agent.Restart.APIServer = allowed
			m.plans = func(w Work) (plan.Plan, error) {
				p := m.planned(w, plan.InPlace)
				p.Decision.Reasons = []plan.Preflight{{Says: "memory is short"}}
				return p, nil
			}
			a := m.start(func(a *Agent) { a.Poll = time.Minute })
			defer a.end()
			wait(t, "2027-08-12T12:00:00Z")
			if !a.told.needed(c.needed) || m.looks > 60 {
				t.Errorf("%s: %v, %d looks", allowed, a.told.people, m.looks)
			}
			wait(t, "2027-08-16T12:00:30Z")
			compare(t, m.changed, c.changed...)
			if allowed == policy.InWindow {
				return
			}
			// A person may accept it.
			if _, err := Approve(m, a.status(), []string{"apiserver-loopback"}, m.now()); err != nil {
				t.Fatal(err)
			}
			wait(t, "2027-08-16T12:10:00Z")
			compare(t, m.changed, "2027-08-16T12:01:00Z restart kube-apiserver, in place")
			if len(a.told.people) != 0 {
				t.Errorf("%v", a.told.people)
			}
		})
	}
}

// What is too late soon is tried more often.
func TestAgain(t *testing.T) {
	for _, c := range []struct {
		tries int
		left  time.Duration // 0: nothing ends
		want  time.Duration
	}{
		{0, 0, 5 * time.Minute}, {1, 0, 10 * time.Minute}, {3, 0, 40 * time.Minute}, {4, 0, time.Hour}, {70, 0, time.Hour},
		{4, 90 * day, time.Hour}, {4, 5 * time.Hour, 30 * time.Minute}, {4, time.Minute, 5 * time.Minute}, {4, -day, 5 * time.Minute},
	} {
		ends := time.Time{}
		if c.left != 0 {
			ends = noon.Add(c.left)
		}
		got := Refusal{}.again(Refusal{Since: noon.Add(-day), Tries: c.tries}, c.tries > 0, noon, 5*time.Minute, ends)
		if got.Again.Sub(noon) != c.want || got.Tries != c.tries+1 || c.tries > 0 && !got.Since.Equal(noon.Add(-day)) {
			t.Errorf("%+v: %+v", c, got)
		}
	}
}

// What was refused is tried ever more seldom, and told once.
func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.policy.Agent.Every = 5 * time.Minute
		var tries []string
		m.plans = func(Work) (plan.Plan, error) {
			tries = append(tries, time.Now().UTC().Format("15:04"))
			return plan.Plan{}, errors.New("it cannot be planned now")
		}
		a := m.start()
		defer a.end()
		wait(t, "2027-08-11T15:40:00Z")
		if got := strings.Join(tries, " "); got != "12:00 12:05 12:15 12:35 13:15 14:15 15:15" {
			t.Errorf("tried at %s", got)
		}
		if s := a.status(); s.Next[0].Why != "it cannot be planned now" || !s.Next[0].At.Equal(at(t, "2027-08-11T16:15:00Z")) || s.Refusals["renew"].Tries != 7 {
			t.Errorf("%+v", s)
		}
		// Somebody else has renewed it.
		m.certs[0].end = m.certs[0].end.Add(300 * day)
		wait(t, "2027-08-11T15:50:00Z")
		if s := a.status(); len(s.Refusals) != 0 || len(s.Person) != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// Certificates that live for minutes may be due again when the plan has ended that
// renewed them.
func TestMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait(t, "2027-08-11T12:00:00Z")
		m := newMade(t)
		m.policy.Agent.Every, m.policy.Agent.When.PerDay = 10*time.Second, 0
		for i := range 12 { // one plan takes two minutes
			m.certs = append(m.certs, &madeCert{name: fmt.Sprintf("c%02d", i), life: 6 * time.Minute, end: at(t, "2027-08-11T12:06:00Z").Add(time.Duration(i) * time.Second / 4)})
		}
		m.certs[0].life, m.certs[0].end = 150*time.Second, at(t, "2027-08-11T12:06:00Z")
		a := m.start()
		defer a.end()
		wait(t, "2027-08-11T13:00:00Z")
		if s := a.status(); s.Stopped != nil || len(m.changed) < 14 {
			t.Errorf("%d changes, %+v", len(m.changed), s.Stopped)
		}
	})
}

// One certificate that cannot be renewed keeps no other back.
func TestOneOfSeveralIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.policy.Agent.Every = 5 * time.Minute
		m.cert("etcd-peer", "2027-08-09T00:00:00Z", 365*day)
		m.cert("etcd-server", "2027-08-08T00:00:00Z", 365*day)
		m.plans = func(w Work) (plan.Plan, error) {
			if strings.Contains(fmt.Sprint(w.Renew), "etcd-peer") {
				return plan.Plan{}, errors.New("writing to /etc/kubernetes/pki/etcd: read-only")
			}
			return m.planned(w, plan.ByLookup), nil
		}
		a := m.start()
		defer a.end()
		wait(t, "2027-08-11T14:00:00Z")
		compare(t, m.changed, "2027-08-11T12:00:00Z renew etcd-server", "2027-08-11T12:00:10Z renew apiserver")
		if s := a.status(); !slices.Equal(a.told.people["cp1/renew"], []string{"Refused"}) || len(s.Next) != 3 || s.Stopped != nil {
			t.Errorf("%v, %+v", a.told.people, s)
		}
	})
}

// Where one of several needs the API server restarted, and that cannot be handed
// over, the others are renewed all the same.
func TestOneOfSeveralNeedsAHandover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.cert("etcd-peer", "2027-08-09T00:00:00Z", 365*day, layout.APIServer)
		m.plans = func(w Work) (plan.Plan, error) {
			p := m.planned(w, "")
			if strings.Contains(titles(p), layout.APIServer) {
				p.Decision = &plan.Decision{Way: plan.InPlace}
			}
			return p, nil
		}
		a := m.start()
		defer a.end()
		wait(t, "2027-08-11T14:00:00Z")
		compare(t, m.changed, "2027-08-11T12:00:00Z renew apiserver")
		if !a.told.needed(HandoverImpossible) {
			t.Errorf("%v", a.told.people)
		}
	})
}

// A plan may leave out what it cannot do; that is not still due because it failed.
func TestAPlanOfAPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.cert("etcd-peer", "2027-08-09T00:00:00Z", 365*day)
		m.plans = func(w Work) (plan.Plan, error) {
			p := m.planned(Work{Renew: slices.DeleteFunc(w.Renew, func(id fact.ID) bool { return id == "cp1/etcd-peer" })}, "")
			p.Notes = []plan.Note{{ID: "cp1/etcd-peer", Text: "its key is not there"}}
			return p, nil
		}
		a := m.start()
		defer a.end()
		wait(t, "2027-08-11T14:00:00Z")
		compare(t, m.changed, "2027-08-11T12:00:00Z renew apiserver")
		if s := a.status(); s.Stopped != nil || s.Refusals["renew"].Why != "its key is not there" || !a.told.needed(Refused) {
			t.Errorf("%+v", s)
		}
	})
}

// A journal that does not take an end is no reason to finish the same again and
// again.
func TestFinishedAndStillOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.past = []madePlan{{Cut: Cut{Own: true, Plan: journal.Plan{ID: "before"}}}}
		m.forgets = true
		a := m.start()
		defer a.end()
		wait(t, "2027-08-11T13:30:00Z")
		compare(t, m.changed, "2027-08-11T12:00:00Z refresh rest-of-before")
		if s := a.status(); s.Stopped == nil || s.Stopped.Plan != "before" {
			t.Errorf("%+v", s.Stopped)
		}
	})
}

// What was cut off is not finished while another program changes the node.
func TestCutOffAndAnotherAtWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.atWork = errors.New("kubeadm is at work")
		m.past = []madePlan{{Cut: Cut{Own: true, Plan: journal.Plan{ID: "before"}}}}
		a := m.start()
		defer a.end()
		wait(t, "2027-08-11T12:30:00Z")
		compare(t, m.changed)
		m.atWork = nil
		wait(t, "2027-08-11T13:30:00Z")
		compare(t, m.changed, "2027-08-11T13:00:00Z refresh rest-of-before", "2027-08-11T13:00:10Z renew apiserver")
	})
}

// What a person began and broke off is the person's to finish, and nothing else is
// begun meanwhile.
func TestCutOffByAPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.past = []madePlan{{Cut: Cut{Plan: journal.Plan{ID: "theirs"}}}}
		a := m.start()
		defer a.end()
		wait(t, "2027-08-11T13:30:00Z")
		compare(t, m.changed)
		if s := a.status(); s.Stopped != nil || !a.told.needed(ChangeUnfinished) {
			t.Errorf("%+v", s)
		}
	})
}

func TestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.loopback = &madeCert{name: "apiserver-loopback", end: at(t, "2027-11-01T00:00:00Z"), life: 365 * day}
		a := m.start()
		a.end()
		once := m.agent(a)
		status, err := once.Once(t.Context())
		if err != nil || len(status.Next) != 2 || status.Exit(m.now()) != 0 || status.Last == nil {
			t.Errorf("%v %+v", err, status)
		}
	})
}

// An agent that is started by a timer says once what lasts, too, and remembers what
// it has tried.
func TestOnceAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.refuse = errors.New("read-only file system")
		m.extra = []finding.Finding{{Code: finding.SANMissing, ID: "cp1/apiserver", End: finding.Now(), Class: finding.Fault, Keeper: finding.KeeperPerson}}
		for n, want := range []int{2, 0, 0, 1, 0} { // after an hour a person is needed for the other one, too
			s := m.session()
			status, err := m.agent(s).Once(t.Context())
			if err != nil || status.Exit(m.now()) != 13 {
				t.Errorf("%v, exit code %d", err, status.Exit(m.now()))
			}
			if got := strings.Count(s.log.String(), "level=WARN"); got != want {
				t.Errorf("run %d: %d warnings, want %d:\n%s", n, got, want, s.log)
			}
			sleep(20 * time.Minute)
		}
		if r := m.files[StatusFile]; !strings.Contains(string(r), `"since": "2027-08-11T12:00:00Z"`) {
			t.Errorf("%s", r)
		}
	})
}

func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		idle := m.agent(m.session())
		if idle.Live() != nil || idle.Ready() == nil {
			t.Error("before it has begun it lives, and is not ready")
		}
		stuck := make(chan struct{})
		m.plans = func(w Work) (plan.Plan, error) {
			<-stuck
			return m.planned(w, plan.ByLookup), nil
		}
		a := m.start()
		if a.Live() != nil || a.Ready() != nil {
			t.Errorf("%v %v", a.Live(), a.Ready())
		}
		sleep(2*time.Hour + time.Minute)
		if a.Live() == nil {
			t.Error("it hangs, and lives")
		}
		close(stuck)
		synctest.Wait()
		sleep(time.Hour)
		if err := a.Live(); err != nil {
			t.Error(err)
		}
		a.end()
		if s := a.status(); !s.Silent(m.now().Add(5*time.Hour)) || s.Exit(m.now().Add(5*time.Hour)) != 1 {
			t.Error("an agent that has ended is not silent")
		}
	})
}

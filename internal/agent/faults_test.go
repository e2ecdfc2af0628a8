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
	"perennial.dev/perennial/internal/timeline"
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
			if strings.Contains(s.log.String(), "over: ") {
				t.Errorf("run %d: nothing is over:\n%s", n, s.log)
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

// A window that closes before an outage is surely over is none for it.
func TestTheRestOfAWindow(t *testing.T) {
	for name, c := range map[string]struct {
		due, change string
		most        time.Duration
	}{
		"enough is left":        {due: "2027-08-15T03:30:00Z", most: 30 * time.Second, change: "2027-08-15T03:30:00Z"},
		"too little is left":    {due: "2027-08-15T03:58:30Z", most: 30 * time.Second, change: "2027-08-22T02:00:00Z"},
		"it may take very long": {due: "2027-08-15T03:50:00Z", most: 6 * time.Minute, change: "2027-08-22T02:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wait(t, "2027-08-15T03:00:00Z") // a Sunday
				m := newMade(t)
				m.policy.Agent.When.Calendar = sundays(t)
				m.policy.Agent.Restart.APIServer = policy.InWindow
				m.loopback = &madeCert{name: "apiserver-loopback", end: at(t, c.due).Add(90 * day), life: 365 * day}
				m.plans = func(w Work) (plan.Plan, error) {
					p := m.planned(w, plan.InPlace)
					p.Decision.Outage.Most = plan.Span{Duration: c.most}
					return p, nil
				}
				a := m.start()
				defer a.end()
				wait(t, "2027-08-15T03:59:00Z")
				if r, refused := a.status().Refusals[layout.APIServer]; refused != (c.change[:10] != "2027-08-15") || refused && !strings.Contains(r.Why.String(), "the window closes in") {
					t.Errorf("%v %+v", refused, r)
				}
				wait(t, "2027-08-23T00:00:00Z")
				compare(t, m.changed, c.change+" restart kube-apiserver, in place")
			})
		})
	}
}

// A file for others that cannot be written is a person's matter, at the look at which
// that is so.
func TestAFileForOthersCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		failing := errors.New("writing /srv/www/deadlines.ics: permission denied")
		a := m.session()
		after := func(agent *Agent) {
			agent.After = func(policy.Agent, timeline.Timeline) error { return failing }
		}
		if _, err := m.agent(a, after).Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := a.status(); s.Exit(m.now()) != 13 || !a.told.needed(FileUnwritable) || !strings.Contains(string(s.Person[0].Why), "deadlines.ics") || len(m.changed) != 1 {
			t.Errorf("%+v, %v", s.Person, m.changed)
		}
		a = m.session()
		if _, err := m.agent(a, after).Once(t.Context()); err != nil || strings.Contains(a.log.String(), unwritten) || !a.told.needed(FileUnwritable) {
			t.Errorf("the next run says it again, or does not: %v\n%s", err, a.log)
		}
		failing = nil
		if _, err := m.agent(a, after).Once(t.Context()); err != nil || a.told.needed(FileUnwritable) || a.status().Exit(m.now()) != 0 {
			t.Errorf("%v, %+v", err, a.status().Person)
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

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

// The last valid settings are in force for a run that begins with invalid ones.
func TestSettingsOutliveTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.policy.Agent.Leave, m.version = []string{"*/etcd-peer"}, 7
		m.cert("etcd-peer", "2027-08-01T00:00:00Z", 365*day)
		m.certs[0].end = at(t, "2027-08-11T15:30:00Z").Add(90 * day)
		m.mayEnd = true
		a := m.start()
		a.end()
		m.invalid = errors.New("config.yaml:7:3: unknown field")
		wait(t, "2027-08-11T13:00:00Z")
		a = m.start()
		want := SettingsStatus{Act: true, Digest: versioned(7), Since: at(t, "2027-08-11T12:00:00Z"), Error: "config.yaml:7:3: unknown field"}
		if s := a.status(); s.Settings != want || s.Every.Duration != time.Hour || s.Exit(m.now()) != 13 {
			t.Errorf("%+v", s)
		}
		if a.told.valid || !a.told.acts || a.told.every != time.Hour {
			t.Errorf("%+v", a.told)
		}
		wait(t, "2027-08-11T16:00:00Z")
		a.end()
		compare(t, m.changed, "2027-08-11T15:30:00Z renew apiserver")

		// The same settings that are valid again are in force since they were first.
		m.invalid = nil
		a = m.start()
		if s := a.status().Settings; !s.Since.Equal(want.Since) || s.Error != "" {
			t.Errorf("%+v", s)
		}
		m.version = 8
		sleep(time.Hour)
		a.end()
		if s := a.status().Settings; !s.Since.Equal(at(t, "2027-08-11T17:00:00Z")) || s.Digest != versioned(8) {
			t.Errorf("%+v", s)
		}

		// What is not there, or is no settings, lets it look only.
		for _, kept := range []string{"", "{", `{"since":"2027-08-11T12:00:00Z","settings":{"kind":"Config","agent":{"act":"yes"}}}`} {
			m.invalid, m.files[SettingsFile] = errors.New("config.yaml:7:3: unknown field"), []byte(kept)
			if kept == "" {
				delete(m.files, SettingsFile)
			}
			a = m.start()
			a.end()
			if s := a.status().Settings; s.Act || !s.Since.IsZero() || s.Digest != "" || s.Error == "" {
				t.Errorf("%q: %+v", kept, s)
			}
		}
	})
}

// Settings that could not be kept are kept when they can be.
func TestSettingsOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.readOnly = errors.New("no space left on device")
		a := m.start()
		defer a.end()
		m.readOnly = nil
		sleep(time.Hour)
		if kept, err := recall(m); err != nil || !kept.known() || !kept.Policy.Agent.Act {
			t.Errorf("%v %+v", err, kept)
		}
	})
}

// Settings that change are noticed soon, and nothing is looked at for what has not
// changed.
func TestChangedSettingsAreNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.policy.Agent.Act = false
		a := m.start(func(a *Agent) { a.Poll = 0 })
		defer a.end()
		sleep(50 * time.Minute)
		if m.looks != 1 {
			t.Errorf("%d looks, and nothing has changed", m.looks)
		}
		m.invalid = errors.New("config.yaml:3:5: act: want true or false")
		sleep(DefaultPoll)
		if s := a.status(); m.looks != 2 || s.Settings.Error == "" || !a.told.needed(SettingsInvalid) {
			t.Errorf("%d looks, %+v", m.looks, s.Settings)
		}
		sleep(30 * time.Minute)
		if m.looks != 2 {
			t.Errorf("%d looks, and nothing has changed", m.looks)
		}
		m.invalid, m.policy.Agent.Act, m.version = nil, true, 2
		sleep(DefaultPoll + renewTakes)
		if s := a.status(); s.Settings.Error != "" || s.Settings.Digest != versioned(2) || len(m.changed) != 1 {
			t.Errorf("%+v, %v", s.Settings, m.changed)
		}
	})
}

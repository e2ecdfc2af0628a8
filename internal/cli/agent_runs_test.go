// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"perennial.dev/perennial/internal/agent"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/timeline"
)

// edit changes what is written in a file of the agent's state.
func (s *site) edit(name string, change func(map[string]any)) {
	s.t.Helper()
	name = filepath.Join(s.state, "state", name)
	data, err := os.ReadFile(name)
	if err != nil {
		s.t.Fatal(err)
	}
	var value map[string]any
	if err := json.Unmarshal(data, &value); err != nil {
		s.t.Fatal(err)
	}
	change(value)
	if data, err = json.Marshal(value); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func earlier(value map[string]any, field string, by time.Duration) {
	at, err := time.Parse(time.RFC3339, value[field].(string))
	if err != nil {
		panic(err)
	}
	value[field] = at.Add(-by).Format(time.RFC3339)
}

func (s *site) needed(code agent.Code) bool {
	s.t.Helper()
	return slices.ContainsFunc(s.status().Person, func(p agent.Person) bool { return p.Code == code })
}

// A clock that was set between two runs is not believed by the second one, nor by the
// one after it, until it has run for as long as it was set by.
func TestAgentDoubtsTheClock(t *testing.T) {
	s := siteOf(t, shortLived)
	s.look(timeline.ExitNeedsPerson, nil, allDue)
	s.edit(agent.ClockFile, func(clock map[string]any) { earlier(clock, "wall", 3*time.Hour) })
	before := files(t, s.Root)
	s.look(timeline.ExitNeedsPerson, []string{"the clock was set by 3h0m"}, acting)
	s.look(timeline.ExitNeedsPerson, nil, acting)
	if !s.needed(agent.ClockSuspect) || !maps.Equal(files(t, s.Root), before) {
		t.Errorf("something was changed by a clock that was set: %+v", s.status().Person)
	}
	s.expect(timeline.ExitNeedsPerson, []string{"ClockSuspect", "nothing is changed until it has run for 3h0m"}, "agent", "status")
	s.edit(agent.ClockFile, func(clock map[string]any) { clock["until"] = "1s" }) // since the boot
	s.look(timeline.ExitNeedsPerson, []string{"over: the clock was set"}, acting)
	if last := s.status().Last; s.needed(agent.ClockSuspect) || last == nil || last.Result != journal.Done {
		t.Errorf("it is over: %+v", last)
	}
	// Another boot says nothing of a clock that is ahead.
	s.edit(agent.ClockFile, func(clock map[string]any) { earlier(clock, "wall", 3*time.Hour); clock["boot"] = "another" })
	s.look(timeline.ExitNeedsPerson, nil, acting)
	if s.needed(agent.ClockSuspect) {
		t.Errorf("%+v", s.status().Person)
	}
}

// The settings from before stay in force for a run that begins with a broken file.
func TestAgentKeepsItsSettings(t *testing.T) {
	s := siteOf(t, shortLived)
	s.look(timeline.ExitNeedsPerson, []string{"renew"}, acting)
	digest := s.status().Settings.Digest
	s.look(timeline.ExitNeedsPerson, []string{"line 3", "stay"}, "apiVersion: perennial.dev/v1alpha1\nkind: Config\nagent: {act: ja}\n")
	if st := s.status(); !st.Settings.Act || st.Settings.Digest != digest || st.Settings.Since.IsZero() || st.Settings.Error == "" || !s.needed(agent.SettingsInvalid) {
		t.Errorf("%+v", st.Settings)
	}
	s.expect(timeline.ExitNeedsPerson, []string{"The settings cannot be read", "in force  those of sha256:"}, "agent", "status")
	s.look(timeline.ExitNeedsPerson, nil, acting)
	if s.needed(agent.SettingsInvalid) {
		t.Errorf("%+v", s.status())
	}
	info, err := os.Stat(filepath.Join(s.state, "state", agent.SettingsFile))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v %v", err, info.Mode())
	}
}

// An agent that has not looked for long is said to be silent, by the exit code, too.
func TestAgentIsSilent(t *testing.T) {
	s := siteOf(t, shortLived)
	s.look(timeline.ExitNeedsPerson, nil, allDue)
	s.expect(timeline.ExitNeedsPerson, []string{"the agent looks and tells"}, "agent", "status")
	s.edit(agent.StatusFile, func(status map[string]any) { earlier(status, "looked", 2*time.Hour) })
	s.expect(timeline.ExitFailed, []string{"no agent has looked since", "it should every 5m"}, "agent", "status")
	s.edit(agent.StatusFile, func(status map[string]any) { status["every"] = "1h0m0s" })
	s.expect(timeline.ExitNeedsPerson, []string{"the agent looks and tells"}, "agent", "status")
}

// What the settings leave alone stays as it is, whatever its end, and the rest is
// renewed.
func TestAgentLeavesAlone(t *testing.T) {
	s := siteOf(t, shortLived)
	left := []string{s.Path("/etc/kubernetes/admin.conf"), s.Path(s.Dir + "/front-proxy-client.crt")}
	before := files(t, s.Root)
	s.look(timeline.ExitNeedsPerson, []string{"renew"}, allDue+`agent: {act: true, spread: 0s, listen: "", leave: ["*/admin.conf", cp1/front-proxy-client]}`+"\n")
	after := files(t, s.Root)
	for _, name := range left {
		if before[name] == "" || after[name] != before[name] {
			t.Errorf("%s was not left alone", name)
		}
	}
	if name := s.Path(s.Dir + "/apiserver.crt"); after[name] == before[name] {
		t.Errorf("%s was left alone, too", name)
	}
	told := 0
	for _, n := range s.status().Next {
		if n.Why == "the settings leave it alone" && n.At.IsZero() {
			told++
		}
	}
	if told != len(left) {
		t.Errorf("%d are told to be left alone: %+v", told, s.status().Next)
	}
}

// After a stop nothing is changed, an approval does not help, and a person's word
// does, once.
func TestAgentIsResumed(t *testing.T) {
	s := siteOf(t, shortLived)
	s.look(timeline.ExitNeedsPerson, nil, allDue)
	stop := filepath.Join(s.state, "state", agent.StoppedFile)
	if err := os.WriteFile(stop, []byte(`{"at":"2026-11-20T08:00:00Z","reason":"renew apiserver: it was not proven","next":"perennial agent resume"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	before := files(t, s.Root)
	s.look(timeline.ExitNeedsPerson, nil, acting)
	s.expect(timeline.ExitNeedsPerson, []string{"Stopped since 2026-11-20 08:00:00 UTC", "it was not proven", "perennial agent resume"}, "agent", "status")
	s.expect(timeline.ExitFailed, []string{"nothing is changed since", "perennial agent resume goes on"}, "agent", "approve")
	s.look(timeline.ExitNeedsPerson, nil, acting)
	if !maps.Equal(files(t, s.Root), before) || !s.needed(agent.LineStopped) {
		t.Errorf("something was changed after a stop, or nobody is told: %+v", s.status().Person)
	}
	s.expect(timeline.ExitOK, []string{"goes on", "it was not proven"}, "agent", "resume")
	s.expect(timeline.ExitFailed, []string{"has not stopped"}, "agent", "resume")
	s.look(timeline.ExitNeedsPerson, []string{"renew"}, acting)
	if st := s.status(); st.Stopped != nil || st.Last == nil || st.Last.Result != journal.Done {
		t.Errorf("it does not go on: %+v, %+v", st.Stopped, st.Last)
	}
}

// While kubeadm upgrades this node nothing is changed, and when it has ended it is.
func TestAgentBesideKubeadm(t *testing.T) {
	if !apart(t, syscall.CLONE_NEWPID) { // so that nobody else takes that for an upgrade
		return
	}
	s := siteOf(t, shortLived)
	mount(t, "proc", "/proc", "proc", 0, "")
	mount(t, s.Path("/etc"), "/etc", "", syscall.MS_BIND, "") // an upgrade is one of what lies there
	kubeadm := product(t, "upgrade", "apply", "v1.37.0")
	kubeadm.Args[0] = "kubeadm"
	input, err := kubeadm.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := kubeadm.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = input.Close() }()
	look := func() {
		t.Helper()
		args := append([]string{"agent", "run", "--once", "--kubernetes-dir", layout.DefaultKubernetesDir, "--state", s.state, "--lock", s.lock}, s.settle(acting)...)
		if out, err := product(t, args...).CombinedOutput(); err == nil || !strings.Contains(string(out), "looked") {
			t.Errorf("%v\n%s", err, out)
		}
	}
	before := files(t, s.Root)
	look()
	st := s.status()
	if !maps.Equal(files(t, s.Root), before) || st.Last != nil {
		t.Errorf("something was changed beside an upgrade: %+v", st.Last)
	}
	if len(st.Next) == 0 || !strings.Contains(st.Next[0].Why.String(), "(kubeadm upgrade apply)") {
		t.Errorf("the status does not say why not: %+v", st.Next)
	}
	if err := input.Close(); err != nil {
		t.Fatal(err)
	}
	if err := kubeadm.Wait(); err != nil {
		t.Fatal(err)
	}
	look()
	if st := s.status(); st.Last == nil || st.Last.Result != journal.Done {
		t.Errorf("%+v", st)
	}
}

// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"perennial.dev/perennial/internal/agent"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/unit"
)

// bootedSettings let the agent do what is approved, and tell.
const bootedSettings = `apiVersion: perennial.dev/v1alpha1
kind: Config
agent:
  act: true
  every: 10s
  spread: 0s
  perDay: 0
  textfile: /var/cache/perennial/perennial.prom
`

// approved are credentials of the control plane: files that are served, that a
// process reads at its start, and that have a copy in a home.
var approved = []string{"apiserver", "etcd-server", "controller-manager.conf", "scheduler.conf", "admin.conf"}

// The units do under a real systemd what they are for: the agent runs in its sandbox
// and renews, restarts and proves from there, without a right it says what it does not
// see, the power may fail in a change, the timer form works, and nothing is left of it
// all when it is taken away.
func TestAgentUnderSystemd(t *testing.T) {
	for _, version := range versions(t)[:1] {
		t.Run(version, func(t *testing.T) {
			m := boot(t, version)
			m.does("mkdir", "-p", "/root/.kube")
			m.does("cp", "-p", "/etc/kubernetes/admin.conf", "/root/.kube/config")
			before := m.tree()
			m.write("etc/perennial/config.yaml", bootedSettings)
			m.does("perennial", "agent", "install", "--yes")
			m.sandboxed()
			m.mayHandOver()
			m.renews()
			m.tellsTheJournal()
			m.withoutARight()
			m.losesPower()
			m.timer()
			m.uninstalled(before)
		})
	}
}

// status is what the agent wrote last.
func (m *booted) status() agent.Status {
	m.Helper()
	var s agent.Status
	if err := json.Unmarshal([]byte(m.read("/var/lib/perennial/state/"+agent.StatusFile)), &s); err != nil {
		m.Fatal(err)
	}
	return s
}

// until waits for a condition.
func (m *booted) until(what string, holds func() bool) {
	m.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			log, _ := m.try("journalctl", "--no-pager", "-u", unit.AgentName, "-n", "40")
			m.Fatalf("%s: not within two minutes\n%s", what, log)
		}
	}
}

// looksAgain makes the agent read its settings and look.
func (m *booted) looksAgain() { m.does("systemctl", "kill", "--signal=HUP", unit.AgentName) }

// sandboxed says that the agent has the rights of the table and no others, that it
// has seen everything all the same, and that no other file can be written to.
func (m *booted) sandboxed() {
	m.Helper()
	if state := m.shows(unit.AgentName, "ActiveState", "SubState", "NRestarts"); !slices.Equal(state, []string{"active", "running", "0"}) {
		m.Fatalf("it is %v", state)
	}
	pid := m.shows(unit.AgentName, "MainPID")[0]
	has := map[string]string{}
	for line := range strings.Lines(m.does("cat", "/proc/"+pid+"/status")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":\t")
		has[name] = value
	}
	for name, want := range map[string]string{"NoNewPrivs": "1", "Seccomp": "2", "CapEff": granted(), "CapBnd": granted(), "CapAmb": strings.Repeat("0", 16)} {
		if has[name] != want {
			m.Errorf("%s is %s, want %s", name, has[name], want)
		}
	}
	m.until("it has looked", func() bool {
		return strings.Contains(m.read("/var/cache/perennial/perennial.prom"), "perennial_verdict{")
	})
	if unseen := m.unseen(); len(unseen) > 0 {
		m.Errorf("it has not seen everything: %q", unseen)
	}
	for name, writable := range map[string]bool{
		"/etc/kubernetes/probe": true, "/etc/kubernetes/pki/etcd/probe": true, "/etc/perennial/probe": true, "/var/lib/perennial/probe": true, "/run/perennial/probe": true,
		"/root/.kube/probe": true, "/var/cache/perennial/probe": true,
		"/etc/probe": false, "/usr/local/bin/probe": false, "/var/lib/probe": false, "/srv/lab/probe": false, "/etc/systemd/system/probe": false,
	} {
		if said, err := m.try("nsenter", "-t", pid, "-m", "touch", name); (err == nil) != writable {
			m.Errorf("%s: writable %v, want %v: %s", name, err == nil, writable, said)
		}
		if writable {
			m.does("nsenter", "-t", pid, "-m", "rm", "-f", name)
		}
	}
	if homes := m.does("nsenter", "-t", pid, "-m", "ls", "-A", "/root", "/home"); strings.Join(strings.Fields(homes), " ") != "/home: /root: .kube" {
		m.Errorf("of the homes it sees %s", homes)
	}
}

// granted are the capabilities of the table, as the kernel shows them.
func granted() string {
	numbers := map[string]int{
		"CAP_DAC_READ_SEARCH": unix.CAP_DAC_READ_SEARCH, "CAP_KILL": unix.CAP_KILL, "CAP_NET_ADMIN": unix.CAP_NET_ADMIN,
		"CAP_SYS_PTRACE": unix.CAP_SYS_PTRACE, "CAP_BPF": unix.CAP_BPF,
	}
	mask := uint64(0)
	for _, name := range (unit.Options{Form: unit.Daemon}).Capabilities() {
		mask |= 1 << numbers[name]
	}
	return fmt.Sprintf("%016x", mask)
}

// mayHandOver asks from the sandbox whether a handover could be done, for which
// programs of the kernel are loaded and another process's sockets are copied: the
// answers are those that root gets, and without a right the one that it is for is
// another.
func (m *booted) mayHandOver() {
	m.Helper()
	asked := []string{"restart", "kube-apiserver", "--dry-run", "-o", "json"}
	outside := m.preflights(m.does("sh", "-c", "perennial "+strings.Join(asked, " ")+" 2>/dev/null"))
	if inside := m.preflights(m.inSandbox("", asked...)); !maps.Equal(inside, outside) || outside[plan.SteeringByLookup] == plan.LevelStop {
		m.Errorf("root is told %v, and in the sandbox %v", outside, inside)
	}
	less := m.preflights(m.inSandbox("CapabilityBoundingSet=~CAP_BPF", asked...))
	if less[plan.SteeringByLookup] != plan.LevelStop {
		m.Errorf("without CAP_BPF: %v", less)
	}
}

// preflights are what a plan's preflights say, but for how busy the machine is, which
// changes from one plan to the next, and the other way of steering, which is looked at
// only where the first does not work.
func (m *booted) preflights(shown string) map[plan.PreflightCode]plan.Level {
	m.Helper()
	var p plan.Plan
	if err := json.Unmarshal([]byte(shown), &p); err != nil || p.Decision == nil {
		m.Fatalf("%v in\n%s", err, shown)
	}
	all := map[plan.PreflightCode]plan.Level{}
	for _, c := range p.Decision.Checks {
		if !slices.Contains([]plan.PreflightCode{plan.NodeLoad, plan.StandbyMemory, plan.SteeringByNAT, plan.NodeFirewall}, c.Code) {
			all[c.Code] = c.Level
		}
	}
	return all
}

// inSandbox runs a command of the program as a service with what the agent's unit
// says of it, and a line more.
func (m *booted) inSandbox(line string, args ...string) string {
	m.Helper()
	var text strings.Builder
	for l := range strings.Lines(m.read("/etc/systemd/system/" + unit.AgentName)) {
		switch name, _, _ := strings.Cut(l, "="); name {
		case "Type", "WatchdogSec", "Restart", "RestartSec", "After":
		case "ExecStart":
			text.WriteString("Type=oneshot\nStandardOutput=truncate:/var/log/asked\nStandardError=journal\nExecStart=/usr/local/bin/perennial " + strings.Join(args, " ") + "\n")
		case "[Install]\n": // what is said last counts
			text.WriteString(line + "\n" + l)
		default:
			text.WriteString(l)
		}
	}
	m.write("/etc/systemd/system/asked.service", text.String())
	m.does("systemctl", "daemon-reload")
	m.does("systemctl", "start", "asked.service")
	m.does("rm", "/etc/systemd/system/asked.service")
	m.does("systemctl", "daemon-reload")
	return m.read("/var/log/asked")
}

// unseen are the metrics of what could not be looked at.
func (m *booted) unseen() (lines []string) {
	for line := range strings.Lines(m.read("/var/cache/perennial/perennial.prom")) {
		if strings.HasPrefix(line, "perennial_unseen{") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// plans are the agent's own, of the kind that renews what was approved.
func (m *booted) plans() (own []journal.Plan) {
	m.Helper()
	for _, p := range openJournal(m.T, filepath.Join(m.dir, "var/lib/perennial")).Plans() {
		var of plan.Plan
		if err := json.Unmarshal(p.Content, &of); err != nil {
			m.Fatal(err)
		}
		if of.By == plan.ByAgent {
			own = append(own, p)
		}
	}
	return own
}

// approves lets it renew at once.
func (m *booted) approves() {
	m.Helper()
	m.does(append([]string{"perennial", "agent", "approve"}, approved...)...)
	m.looksAgain()
}

// renews renews from the sandbox: files, a copy in a home, and the processes that
// read them once.
func (m *booted) renews() {
	m.Helper()
	old, pid := m.read("/srv/lab/etc/kubernetes/admin.conf"), m.does("pgrep", "-f", "^kube-controller-manager ")
	m.approves()
	m.until("it has renewed", func() bool { return len(m.plans()) == 1 && m.plans()[0].Result == journal.Done })
	now := m.read("/srv/lab/etc/kubernetes/admin.conf")
	if now == old || m.does("cat", "/root/.kube/config") != now {
		m.Error("admin.conf is the old one, or its copy is")
	}
	if m.does("pgrep", "-f", "^kube-controller-manager ") == pid {
		m.Error("the controller manager was not restarted")
	}
}

// tellsTheJournal finds what is urgent by its priority: settings that are wrong, with
// the place of the mistake. The old ones stay in force.
func (m *booted) tellsTheJournal() {
	m.Helper()
	m.write("etc/perennial/config.yaml", strings.Replace(bootedSettings, "act: true", "act: ja", 1))
	m.until("it says that the settings are wrong", func() bool { return m.status().Settings.Error != "" })
	urgent := m.does("journalctl", "--no-pager", "-u", unit.AgentName, "-p", "err", "-o", "cat")
	if !strings.HasPrefix(urgent, `level=ERROR msg="the settings cannot be read"`) || !strings.Contains(urgent, "line 4, column 8") || strings.Contains(urgent, "level=INFO") {
		m.Errorf("the journal has as urgent\n%s", urgent)
	}
	if s := m.status(); !s.Settings.Act {
		m.Errorf("%+v", s.Settings)
	}
	m.write("etc/perennial/config.yaml", bootedSettings)
	m.until("the settings are valid again", func() bool { return m.status().Settings.Error == "" })
}

// withoutARight takes a right away: what hangs on it is unseen, and the rest is seen.
func (m *booted) withoutARight() {
	m.Helper()
	found := strings.Count(m.read("/var/cache/perennial/perennial.prom"), "\nperennial_verdict{")
	const dropIn = "etc/systemd/system/" + unit.AgentName + ".d/less.conf"
	m.write(dropIn, "[Service]\nCapabilityBoundingSet=~CAP_SYS_PTRACE\n")
	m.does("systemctl", "daemon-reload")
	m.does("systemctl", "restart", unit.AgentName)
	m.until("what it must not see is unseen", func() bool { return len(m.unseen()) > 0 })
	for _, u := range m.unseen() {
		if !strings.Contains(u, `why="Denied"`) {
			m.Errorf("%s", u)
		}
	}
	if now := strings.Count(m.read("/var/cache/perennial/perennial.prom"), "\nperennial_verdict{"); now != found {
		m.Errorf("%d of %d are judged", now, found)
	}
	m.does("rm", "-r", "/"+filepath.Dir(dropIn))
	m.does("systemctl", "daemon-reload")
	m.does("systemctl", "restart", unit.AgentName)
	m.until("all is seen again", func() bool { return len(m.unseen()) == 0 })
}

// losesPower ends everything in the middle of a change. At the next boot the files
// are made whole before the kubelet begins, and the agent, which begins with the
// machine, finishes the rest.
func (m *booted) losesPower() {
	m.Helper()
	m.approves()
	m.until("a change is at work", func() bool { return len(m.plans()) == 2 && len(m.plans()[1].Open()) > 0 })
	m.end()
	if m.plans()[1].Result != "" {
		m.Fatalf("it has ended before the power failed: %s", m.plans()[1].Result)
	}
	m.start()
	finish := m.shows(unit.EndName, "ConditionResult", "Result", "ExecMainStatus", "ExecMainExitTimestampMonotonic")
	kubelet := m.shows("kubelet.service", "ExecMainStartTimestampMonotonic")[0]
	if !slices.Equal(finish[:3], []string{"yes", "success", "0"}) || m.instant(finish[3]) == 0 || m.instant(finish[3]) > m.instant(kubelet) {
		m.Errorf("before the kubelet, at %s: %v", kubelet, finish)
	}
	m.until("what was cut off is done", func() bool { return m.plans()[1].Result != "" })
	if s := m.status(); m.plans()[1].Result != journal.Done || s.Stopped != nil {
		m.Errorf("it ended %s; %+v", m.plans()[1].Result, s.Stopped)
	}
}

func (m *booted) instant(text string) int64 {
	m.Helper()
	at, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		m.Fatal(err)
	}
	return at
}

// timer is the other form: each look is a service that ends well, whatever it finds.
// One that cannot begin is a failure that systemd shows.
func (m *booted) timer() {
	m.Helper()
	m.does("perennial", "agent", "install", "--timer", "--yes")
	if states := m.shows(unit.TimerName, "ActiveState", "SubState"); !slices.Equal(states, []string{"active", "waiting"}) {
		m.Errorf("the timer is %v", states)
	}
	if left, _ := m.try("systemctl", "cat", unit.AgentName); !strings.Contains(left, "No files found") {
		m.Errorf("the daemon is there, too:\n%s", left)
	}
	m.does("systemctl", "start", unit.LookName)
	if look := m.shows(unit.LookName, "Result", "ActiveState"); !slices.Equal(look, []string{"success", "inactive"}) {
		m.Errorf("a look ends as %v", look)
	}
	m.does("mount", "--bind", "/bin/false", "/usr/local/bin/perennial")
	if said, err := m.try("systemctl", "start", unit.LookName); err == nil {
		m.Errorf("a look that fails is no failure: %s", said)
	}
	m.does("umount", "/usr/local/bin/perennial")
	if failed := m.does("systemctl", "list-units", "--failed", "--plain", "--no-legend"); !strings.HasPrefix(failed, unit.LookName) {
		m.Errorf("failed are: %s", failed)
	}
}

// uninstalled takes it away: systemd knows none of it any more, not as failed either,
// and every file that it made is gone.
func (m *booted) uninstalled(before map[string]fs.FileMode) {
	m.Helper()
	m.does("perennial", "agent", "uninstall", "--purge", "--yes")
	for _, list := range [][]string{{"list-unit-files"}, {"list-units", "--all"}, {"list-units", "--failed"}} {
		known, _ := m.try(append([]string{"systemctl", "--plain", "--no-legend", "--no-pager"}, append(list, "perennial-*")...)...) // some fail where there is none
		if known != "" {
			m.Errorf("systemctl %s: %s", strings.Join(list, " "), known)
		}
	}
	after := m.tree()
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if mode, was := before[name]; !was || mode != after[name] {
			m.Errorf("left: %s %s (%s)", after[name], name, mode)
		}
	}
	for name := range before {
		if _, is := after[name]; !is {
			m.Errorf("gone: %s", name)
		}
	}
	if here, err := m.try("sh", "-c", "ls -d /run/perennial* /sys/fs/bpf/perennial* /tmp/*perennial* /var/tmp/*perennial*"); err == nil {
		m.Errorf("left: %s", here)
	}
}

// tree is what lies in the directories that outlive the machine's end, but for what
// systemd and the control plane write there all the time.
func (m *booted) tree() map[string]fs.FileMode {
	m.Helper()
	all := map[string]fs.FileMode{}
	for _, below := range []string{"etc", "var", "root"} {
		err := filepath.WalkDir(filepath.Join(m.dir, below), func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			at := strings.TrimPrefix(name, m.dir)
			if slices.Contains([]string{"/etc/kubernetes", "/var/log", "/var/tmp", "/var/lib/systemd"}, at) {
				return fs.SkipDir
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			all[at] = info.Mode()
			return nil
		})
		if err != nil {
			m.Fatal(fmt.Errorf("listing what is there: %w", err))
		}
	}
	return all
}

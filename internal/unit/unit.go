// SPDX-License-Identifier: Apache-2.0

// Package unit renders the systemd units of the agent, and holds the table of what
// each feature of it needs of the machine: the units grant what the table says and
// no more, and docs/threat-model.md shows the same table.
//
// The directives are those of systemd.exec(5) and systemd.resource-control(5) up to
// systemd 252. Older versions pass over what they do not know.
package unit

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"perennial.dev/perennial/internal/timeline"
)

// Cache is a directory of the agent that everybody can read, for the files that it
// keeps for others where no other directory is named.
const Cache = "/var/cache/perennial"

// The names of the units, and where they are put.
const (
	Dir       = "/etc/systemd/system"
	AgentName = "perennial-agent.service"
	LookName  = "perennial-look.service"
	TimerName = "perennial-agent.timer"
	EndName   = "perennial-finish.service"
)

// Names are the units of both forms, in the order in which they are stopped.
var Names = []string{TimerName, LookName, AgentName, EndName}

// Form is how the agent runs.
type Form string

// The forms.
const (
	Daemon Form = "daemon" // runs all the time
	Timer  Form = "timer"  // looks, and ends
)

// Options are what the units are made from. Paths are the node's, absolute.
type Options struct {
	Form    Form
	Program string // the program's place
	// Kubernetes is kubeadm's directory, where it is another than the program's own
	// default.
	Kubernetes string
	// Keeps are the directories whose files are renewed, or in which a standby is
	// put: of Kubernetes, of the kubelet's certificates, of an etcd beside it.
	Keeps []string
	Etc   string // directory of the settings and the agent's kubeconfig
	State string // directory of the journal and the backups
	Run   string // directory of the lock
	// Copies are the directories of kubeconfigs to keep up to date, mostly in homes.
	Copies []string
	// Tells are the directories of the files that are written for others: metrics
	// and the calendar.
	Tells []string
	Every time.Duration // between two looks
	// Others: some of what is to be kept belongs to another user than root.
	Others bool
	// Translate: the kernel has no sk_lookup, so that nftables has to do.
	Translate bool
}

// Watchdog is how long a change may take, with all that its proofs wait for, until
// systemd starts the agent again. It counts from when the next look is due.
const Watchdog = time.Hour

// File is a unit.
type File struct {
	Name string
	Text []byte
}

// First are the units that are enabled and started, those below begin them.
func (o Options) First() []string {
	if o.Form == Timer {
		return []string{EndName, TimerName}
	}
	return []string{EndName, AgentName}
}

// Files renders the units of a form. An error is an option that no unit can hold.
func Files(o Options) ([]File, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("writing the units: %w", err)
	}
	files := []File{{EndName, o.finish()}}
	if o.Form == Timer {
		files = append(files, File{LookName, o.look()}, File{TimerName, o.timer()})
	} else {
		files = append(files, File{AgentName, o.agent()})
	}
	for i := range files {
		files[i].Text = sign(files[i].Text)
	}
	return files, nil
}

func (o Options) check() error {
	all := slices.Concat([]string{o.Program, o.Etc, o.State, o.Run}, o.Keeps, o.Copies, o.Tells)
	if o.Kubernetes != "" {
		all = append(all, o.Kubernetes)
	}
	for _, p := range all {
		if !path.IsAbs(p) || path.Clean(p) != p || p == "/" {
			return fmt.Errorf("%q is no absolute, clean path", p)
		}
		if strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return fmt.Errorf("%q has a control character in it", p)
		}
	}
	if o.Form != Daemon && o.Form != Timer {
		return errors.New("there is a daemon and a timer")
	}
	if o.Form == Timer && o.Every < time.Minute {
		return fmt.Errorf("a look every %s is too often", o.Every)
	}
	return nil
}

// page is a unit that is being written.
type page struct{ strings.Builder }

func (p *page) gap() {
	if p.Len() > 0 {
		p.WriteByte('\n')
	}
}

func (p *page) section(name string) {
	p.gap()
	p.WriteString("[" + name + "]\n")
}

func (p *page) note(text string) { p.WriteString("# " + text + "\n") }

func (p *page) set(name string, values ...string) {
	p.WriteString(name + "=" + strings.Join(values, " ") + "\n")
}

// paths writes a directive for each path. With - one that is not there is passed
// over: the agent runs on where half of the node is gone.
func (p *page) paths(name string, all []string) {
	for _, one := range all {
		p.set(name, quoted("-"+one))
	}
}

// quoted is a path in a list of them (systemd.syntax(7)); % begins a specifier.
func quoted(text string) string {
	text = strings.ReplaceAll(text, "%", "%%")
	if strings.ContainsFunc(text, func(r rune) bool {
		return !strings.ContainsRune("_./@:+,-%", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return strconv.Quote(text)
	}
	return text
}

func (o Options) agent() []byte {
	var p page
	p.section("Unit")
	p.set("Description", "Perennial agent: finds what will stop this Kubernetes node, and removes it in time")
	p.set("After", EndName, "time-sync.target")
	p.section("Service")
	p.note("It says so when it has looked, each time, and by when it looks again.")
	p.set("Type", "notify")
	p.set("WatchdogSec", seconds(o.Every+Watchdog))
	p.set("ExecStart", o.runs("agent run"))
	p.note("It has given up nothing that it has begun: the journal knows how far it came.")
	p.set("Restart", "on-failure")
	p.set("RestartSec", "30s")
	p.set("TimeoutStartSec", "5min")
	o.works(&p)
	p.section("Install")
	p.set("WantedBy", "multi-user.target")
	return []byte(p.String())
}

func (o Options) look() []byte {
	var p page
	p.section("Unit")
	p.set("Description", "Perennial agent: one look at this Kubernetes node, and what follows from it")
	p.set("After", EndName, "time-sync.target")
	p.section("Service")
	p.set("Type", "oneshot")
	p.set("ExecStart", o.runs("agent run --once"))
	p.note("They say what was seen; 1, 2 and 130 say that the look failed.")
	p.set("SuccessExitStatus", seen()...)
	p.note("A handover waits for watches, and for the kubelet.")
	p.set("TimeoutStartSec", "1h")
	o.works(&p)
	return []byte(p.String())
}

// seen are the exit codes of a look that has seen something.
func seen() (codes []string) {
	for _, e := range timeline.ExitCodes {
		if e.Code != timeline.ExitOK && e.Code != timeline.ExitFailed && e.Code != timeline.ExitUsage && e.Code != timeline.ExitInterrupted {
			codes = append(codes, strconv.Itoa(e.Code))
		}
	}
	return codes
}

func (o Options) timer() []byte {
	var p page
	p.section("Unit")
	p.set("Description", "Perennial agent: a look at this Kubernetes node every "+o.Every.String())
	p.section("Timer")
	p.set("Unit", LookName)
	p.set("OnBootSec", "2min")
	p.set("OnUnitInactiveSec", seconds(o.Every))
	p.set("AccuracySec", "30s")
	p.section("Install")
	p.set("WantedBy", "timers.target")
	return []byte(p.String())
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d/time.Second)) + "s" }

// works is what the agent does its work in.
func (o Options) works(p *page) {
	p.note("A change is cut off between two steps, and the next start goes on with it.")
	p.set("KillMode", "mixed")
	p.set("TimeoutStopSec", "2min")
	p.set("MemoryMax", "512M")
	p.set("TasksMax", "256")
	p.set("LimitNOFILE", "8192")
	p.note("Maps of BPF count against it before Linux 5.11.")
	p.set("LimitMEMLOCK", "infinity")
	p.gap()
	o.directories(p, o.Tells)
	p.note("For files that others read, such as a calendar.")
	p.set("CacheDirectory", path.Base(Cache))
	p.set("CacheDirectoryMode", "0755")
	o.grant(p, works)
	p.note("Ports of this node, other API servers, the kernel's own.")
	p.set("RestrictAddressFamilies", "AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK")
	o.narrow(p)
	p.note("Users' homes are hidden, but for the kubeconfigs that are kept up to date.")
	p.set("ProtectHome", "tmpfs")
	p.paths("BindPaths", o.homes(o.Tells))
}

// finish is the unit that makes every file whole before the kubelet reads it.
func (o Options) finish() []byte {
	var p page
	p.section("Unit")
	p.set("Description", "Perennial: finishes a change of files that was cut off, before the kubelet starts")
	p.set("Before", "kubelet.service", AgentName, LookName)
	p.set("ConditionPathExists", quoted(path.Join(o.State, "journal")))
	p.section("Service")
	p.set("Type", "oneshot")
	p.set("ExecStart", o.runs("agent finish"))
	p.note("The kubelet is not kept waiting, whatever happens here.")
	p.set("TimeoutStartSec", "1min")
	p.set("MemoryMax", "256M")
	p.set("TasksMax", "64")
	p.gap()
	o.directories(&p, nil)
	o.grant(&p, finishes)
	p.note("It asks nobody but the kernel.")
	p.set("PrivateNetwork", "yes")
	p.set("RestrictAddressFamilies", "AF_UNIX", "AF_NETLINK")
	p.set("IPAddressDeny", "any")
	o.narrow(&p)
	p.set("ProtectHome", "tmpfs")
	p.paths("BindPaths", o.homes(nil))
	p.section("Install")
	p.set("WantedBy", "multi-user.target")
	return []byte(p.String())
}

// runs is the program with a command, as ExecStart= has it.
func (o Options) runs(command string) string {
	line := argument(o.Program) + " " + command
	if o.Kubernetes != "" {
		line += " --kubernetes-dir " + argument(o.Kubernetes)
	}
	return line
}

// argument is a path in ExecStart=, where a leading character may have a meaning and
// $ begins a variable.
func argument(path string) string { return strings.ReplaceAll(quoted(path), "$", "$$") }

// directories are those that systemd makes, with a mode that only root may use,
// and what may be written, with what is written for others.
func (o Options) directories(p *page, tells []string) {
	p.set("UMask", "0077")
	var written []string
	for _, d := range []struct{ name, above, at string }{
		{"StateDirectory", "/var/lib/", o.State}, {"RuntimeDirectory", "/run/", o.Run},
	} {
		if rest, ok := strings.CutPrefix(d.at, d.above); ok {
			p.set(d.name, quoted(rest))
			p.set(d.name+"Mode", "0700")
		} else {
			written = append(written, d.at)
		}
	}
	p.note("The lock is also the commands'.")
	p.set("RuntimeDirectoryPreserve", "yes")
	p.set("ProtectSystem", "strict")
	p.paths("ReadWritePaths", slices.Concat(written, o.written(tells)))
}

// written are the directories outside of homes that are written to.
func (o Options) written(tells []string) []string {
	all := slices.Concat([]string{o.Etc}, o.Keeps, slices.DeleteFunc(slices.Concat(o.Copies, tells), inHome))
	return outermost(slices.DeleteFunc(all, func(p string) bool { return below(p, Cache) })) // which systemd makes
}

// homes are the directories of homes that are written to.
func (o Options) homes(tells []string) []string {
	return outermost(slices.DeleteFunc(slices.Concat(o.Copies, tells), func(p string) bool { return !inHome(p) }))
}

// outermost leaves out what lies below another, and sorts.
func outermost(all []string) []string {
	slices.Sort(all)
	all = slices.Compact(all)
	return slices.DeleteFunc(slices.Clone(all), func(p string) bool {
		return slices.ContainsFunc(all, func(above string) bool { return p != above && below(p, above) })
	})
}

func below(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

// inHome says what ProtectHome= hides (systemd.exec(5)).
func inHome(p string) bool {
	return below(p, "/home") || below(p, "/root") || below(p, "/run/user")
}

// narrow takes away what nothing here needs.
func (o Options) narrow(p *page) {
	for _, name := range []string{
		"NoNewPrivileges", "PrivateTmp", "PrivateDevices", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs",
		"ProtectControlGroups", "ProtectClock", "LockPersonality", "MemoryDenyWriteExecute", "RestrictRealtime", "RestrictSUIDSGID",
	} {
		p.set(name, "yes")
	}
	p.set("KeyringMode", "private")
	p.set("SystemCallArchitectures", "native")
}

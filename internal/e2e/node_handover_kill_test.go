// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/timeline"
)

// leftCodes are what `perennial check` finds of a handover that was cut off.
var leftCodes = []finding.Code{finding.ChangeUnfinished, finding.StandbyLeft, finding.SteeringLeft, finding.GuardLeft, finding.HoldLeft}

const (
	nodeJournal     = "/var/lib/perennial/journal/journal.jsonl"
	standbyManifest = "/etc/kubernetes/manifests/kube-apiserver-standby.yaml"
)

// moment is an instant of a handover: when it is reached, and some time later.
type moment struct {
	name    string
	reached func(*handoverRun) bool
	later   time.Duration
}

// recorded is the instant at which a record of a step is in the journal.
func recorded(kind string, step int) moment {
	return moment{name: fmt.Sprintf("after the %s of step %d", kind, step), reached: func(h *handoverRun) bool { return h.records()[kind+strconv.Itoa(step)] }}
}

// In a hold the API server has been told to end, and what its clients send is
// dropped: of the two holds, the first is told, and the second begins just
// before the standby's manifest goes.
func holding(later time.Duration) moment {
	return moment{"in the hold of step 4", func(h *handoverRun) bool { return strings.Contains(h.errs.String(), "kept connections for a moment") }, later}
}

func draining(later time.Duration) moment {
	return moment{"in the hold of step 6", func(h *handoverRun) bool {
		_, err := os.Stat(h.node.inside(standbyManifest))
		return errors.Is(err, fs.ErrNotExist) && h.records()["intent6"]
	}, later}
}

func at(m moment, later time.Duration) moment {
	m.later = later
	return m
}

// killMoments are all, those first in which most is at stake. Between an intent
// and what is done on it the node is looked at: a random time later is before
// that, in it or after it.
func killMoments() []moment {
	random := func(most time.Duration) time.Duration { return rand.N(most) }
	all := []moment{
		holding(0), recorded("outcome", 3), draining(0), recorded("intent", 1),
		recorded("intent", 4), recorded("outcome", 4), recorded("intent", 6), recorded("intent", 5),
		recorded("intent", 2), recorded("intent", 3), recorded("intent", 7), recorded("outcome", 1),
		recorded("outcome", 2), recorded("outcome", 5), recorded("outcome", 6), recorded("outcome", 7),
	}
	for range 3 {
		all = append(all, holding(random(150*time.Millisecond)), draining(random(150*time.Millisecond)),
			at(recorded("intent", 4), random(2*time.Second)), at(recorded("intent", 6), random(2*time.Second)))
	}
	return append(all, at(recorded("intent", 3), 300*time.Millisecond), at(recorded("intent", 5), 300*time.Millisecond), at(recorded("intent", 1), 5*time.Second))
}

// wantedMoments are as many as PERENNIAL_NODE_KILLS says: a number, all, or some of
// all, such as 20-31.
func wantedMoments(t *testing.T) []moment {
	t.Helper()
	all := killMoments()
	text := cmp.Or(os.Getenv("PERENNIAL_NODE_KILLS"), "4")
	if text == "all" {
		return all
	}
	first, last, some := strings.Cut(text, "-")
	if !some {
		first, last = "1", text
	}
	from, err := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	if err != nil || err2 != nil || from < 1 || to < from {
		t.Fatalf("PERENNIAL_NODE_KILLS is %q, want a number, two such as 20-31, or all", text)
	}
	return all[min(from-1, len(all)):min(to, len(all))]
}

// nextStarts are what may be run after a program was killed: each changing
// command finishes what was cut off before it does anything.
var nextStarts = [][]string{
	{"restart", "kube-apiserver", "--clean-up", "--yes"},
	{"restart", "kube-scheduler", "--yes"},
	{"restart", "kube-apiserver", "--yes", "--handover", "--quick"},
}

// The program is killed at every step of a handover. The API answers all the
// time, with nobody there to look after it, and the next start leaves a node on
// which nothing of it is left.
func TestNodeHandoverKilled(t *testing.T) {
	for _, version := range nodeVersions(t) {
		t.Run(version, func(t *testing.T) {
			n := newNode(t, version, "--firewall=6443")
			n.lab("worker", "--name", n.Name)
			n.readStatus()
			n.untilPods()
			clean := n.traces()
			for i, m := range wantedMoments(t) {
				if i > 0 {
					n.forgetRestarts()
				}
				n.killed(m, nextStarts[i%len(nextStarts)], clean)
			}
			n.forgetRestarts()
			n.withoutJournal(clean)
			n.standbyRemoved(clean)
			n.rebooted(clean)
		})
	}
}

// killed ends the program at one moment of a handover, and runs the next.
func (n *realNode) killed(m moment, next []string, clean string, flags ...string) {
	n.t.Helper()
	before := n.servedLoopback()
	p := n.startBystanders()
	ended, when := n.killAt(m, flags...)
	if ended {
		n.figure("killed %s: too late, the handover had ended", m.name)
	} else if left := n.left(); !slices.Contains(left, finding.ChangeUnfinished) {
		n.t.Errorf("killed %s: check finds %v", m.name, left)
	} else {
		n.figure("killed %s and %d ms: left were %v", m.name, m.later.Milliseconds(), left)
	}
	time.Sleep(3 * time.Second) // nobody looks after it
	start := time.Now()
	said := n.finish(next...)
	took := time.Since(start)
	time.Sleep(time.Second)
	p.stopAsking()
	n.figure("  perennial %s: %.0f s", strings.Join(next, " "), took.Seconds())
	for _, k := range p.kinds {
		sum := k.tally()
		n.figure("  %-42s %s%s", k.name+":", sum, k.failedSince(when))
		if sum.failed > 0 {
			n.t.Errorf("killed %s, %s: %s%s\n%s", m.name, k.name, sum, k.failedSince(when), said)
		}
	}
	n.assertReplaced(before)
	n.assertNothingLeft(clean)
}

// withoutJournal is a program that was killed, and its state removed: what it
// has put up is found by itself.
func (n *realNode) withoutJournal(clean string) {
	n.t.Helper()
	p := n.startBystanders()
	if ended, _ := n.killAt(recorded("outcome", 3)); ended {
		n.t.Error("the program had ended before it was killed")
	}
	n.run("find", "/var/lib/perennial", "-mindepth", "1", "-delete")
	want := []finding.Code{finding.GuardLeft, finding.StandbyLeft, finding.SteeringLeft}
	if minor(n.Version) < 30 {
		want = want[1:] // the guard is an entry in etcd, which ends by itself
	}
	if left := n.left(); !slices.Equal(left, want) {
		n.t.Errorf("without its journal check finds %v", left)
	}
	_, errs, err := n.perennial("restart", "kube-apiserver", "--yes")
	if exitCode(err) != timeline.ExitFailed || !strings.Contains(errs, "--clean-up") {
		n.t.Errorf("restarting where a standby is left: %v\n%s", err, errs)
	}
	n.finish("restart", "kube-apiserver", "--clean-up", "--quick", "--yes")
	p.stopAsking()
	n.assertNotFelt("the journal removed", p)
	n.outlastLease(clean)
	n.assertNothingLeft(clean)
}

// outlastLease waits for the end of a guard that is an entry in etcd, and that
// nobody knows of without the journal.
func (n *realNode) outlastLease(clean string) {
	n.t.Helper()
	for deadline := time.Now().Add(6 * time.Minute); minor(n.Version) < 30 && n.traces() != clean && time.Now().Before(deadline); {
		time.Sleep(5 * time.Second)
	}
}

// standbyRemoved is a program that was killed, and a person who knew of the
// standby only.
func (n *realNode) standbyRemoved(clean string) {
	n.t.Helper()
	if ended, _ := n.killAt(recorded("outcome", 3)); ended {
		n.t.Error("the program had ended before it was killed")
	}
	n.run("find", "/var/lib/perennial", standbyManifest, "-mindepth", "0", "-type", "f", "-delete")
	for deadline := time.Now().Add(2 * time.Minute); len(n.processes("kube-apiserver")) > 1 && time.Now().Before(deadline); {
		time.Sleep(time.Second)
	}
	left := n.left()
	if !slices.Contains(left, finding.SteeringLeft) || slices.Contains(left, finding.StandbyLeft) {
		n.t.Errorf("without its standby check finds %v", left)
	}
	n.figure("killed after the outcome of step 3, its journal and the standby removed: left were %v", left)
	n.finish("restart", "kube-apiserver", "--clean-up", "--quick", "--yes")
	n.outlastLease(clean)
	n.assertNothingLeft(clean)
}

// rebooted is a machine that has lost its power in the middle: what was pinned
// in the kernel is gone, and the kubelet starts both API servers.
func (n *realNode) rebooted(clean string) {
	n.t.Helper()
	n.killAt(at(holding(0), 200*time.Millisecond))
	pids := n.processes("kube-apiserver")
	n.run("sh", "-c", "rm -r /sys/fs/bpf/perennial; kill -9 $(pgrep -x kubelet) $(pgrep -x kube-apiserver)")
	n.figure("killed in the hold of step 4, with the kubelet, %d API servers and what was pinned", len(pids))
	n.untilAnswers("/readyz", strings.TrimPrefix(n.Endpoint, "https://"), true)
	n.finish("restart", "kube-scheduler", "--yes")
	n.assertNothingLeft(clean)
}

// handoverRun is a handover under way inside a node.
type handoverRun struct {
	node  *realNode
	cmd   *exec.Cmd
	pid   int // of the program, as this machine sees it
	errs  syncBuffer
	begin int64 // of the journal's file
	ended chan error
}

// beginHandover returns when the program runs.
func (n *realNode) beginHandover(args ...string) *handoverRun {
	n.t.Helper()
	h := &handoverRun{node: n, ended: make(chan error, 1)}
	if info, err := os.Stat(n.inside(nodeJournal)); err == nil {
		h.begin = info.Size()
	}
	h.cmd = exec.Command(os.Getenv("PERENNIAL_LAB"), append([]string{"node", "exec", "--name", n.Name, "--", os.Getenv("PERENNIAL_BIN"),
		"restart", "kube-apiserver", "--yes", "--handover", "--quick"}, args...)...)
	h.cmd.Stdout, h.cmd.Stderr = &h.errs, &h.errs
	if err := h.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	go func() { h.ended <- h.cmd.Wait() }()
	for deadline := time.Now().Add(time.Minute); h.pid == 0; time.Sleep(time.Millisecond) {
		if h.pid = childOf(h.cmd.Process.Pid); time.Now().After(deadline) {
			n.t.Fatal("the program has not started within a minute")
		}
	}
	return h
}

// until waits for a moment. False: the program has ended before it.
func (h *handoverRun) until(m moment) bool {
	h.node.t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !m.reached(h); time.Sleep(time.Millisecond) {
		select {
		case err := <-h.ended:
			h.ended <- err
			return m.reached(h)
		default:
		}
		if time.Now().After(deadline) {
			h.node.t.Fatalf("%s: not within five minutes\n%s", m.name, &h.errs)
		}
	}
	time.Sleep(m.later)
	return true
}

// end waits for the end of the program.
func (h *handoverRun) end() error {
	err := <-h.ended
	h.ended <- err
	return err
}

// records are those of this run, by kind and step.
func (h *handoverRun) records() map[string]bool {
	found := map[string]bool{}
	data, err := os.ReadFile(h.node.inside(nodeJournal))
	if err != nil || int64(len(data)) <= h.begin {
		return found
	}
	for line := range bytes.Lines(data[h.begin:]) {
		var l struct {
			Kind   string `json:"kind"`
			Record struct {
				Step int `json:"step"`
			} `json:"record"`
		}
		if json.Unmarshal(line, &l) == nil {
			found[l.Kind+strconv.Itoa(l.Record.Step)] = true
		}
	}
	return found
}

// killAt begins a handover and kills the program at a moment of it, unless it, or
// what it did, has ended by then.
func (n *realNode) killAt(m moment, flags ...string) (ended bool, when time.Time) {
	n.t.Helper()
	h := n.beginHandover(flags...)
	reached := h.until(m)
	when = time.Now()
	err := syscall.Kill(h.pid, syscall.SIGKILL)
	end := h.end()
	switch {
	case !reached:
		n.t.Fatalf("%s: the program ended before: %v\n%s", m.name, end, &h.errs)
	case err != nil && !errors.Is(err, syscall.ESRCH):
		n.t.Fatal(err)
	}
	return end == nil || h.records()["end0"], when
}

// failedSince says when requests failed, in seconds since an instant.
func (k *kind) failedSince(when time.Time) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var first, last time.Time
	for _, r := range k.all {
		if r.err == nil {
			continue
		}
		if first.IsZero() || r.at.Before(first) {
			first = r.at
		}
		if end := r.at.Add(r.took); end.After(last) {
			last = end
		}
	}
	if first.IsZero() {
		return ""
	}
	return fmt.Sprintf("; sent %.1f s after it, ended %.1f s after it", first.Sub(when).Seconds(), last.Sub(when).Seconds())
}

// childOf is the only child of a process; 0: there is none.
func childOf(pid int) int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		data, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:])) // the state, the parent
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			return child
		}
	}
	return 0
}

// inside is where this machine finds a file of the node.
func (n *realNode) inside(name string) string {
	n.t.Helper()
	return filepath.Join("/proc", strconv.Itoa(n.holder()), "root", name)
}

// holders are the processes that hold the namespaces of nodes.
var holders sync.Map

// holder is the process that holds the node's namespaces.
func (n *realNode) holder() int {
	n.t.Helper()
	if pid, ok := holders.Load(n.Name); ok {
		return pid.(int)
	}
	var status struct {
		PID int `json:"pid"`
	}
	if err := json.Unmarshal([]byte(n.lab("status", "--name", n.Name, "-o", "json")), &status); err != nil || status.PID == 0 {
		n.t.Fatalf("reading the node's status: %+v, %v", status, err)
	}
	holders.Store(n.Name, status.PID)
	return status.PID
}

// perennial runs the product inside the node.
func (n *realNode) perennial(args ...string) (out, errs string, err error) {
	return n.try(append([]string{"exec", "--name", n.Name, "--", os.Getenv("PERENNIAL_BIN")}, args...)...)
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

// finish runs the next command after a program was killed. It has to succeed.
func (n *realNode) finish(args ...string) string {
	n.t.Helper()
	out, errs, err := n.perennial(args...)
	if err != nil {
		n.t.Errorf("perennial %s: %v\n%s%s", strings.Join(args, " "), err, out, errs)
	}
	return errs
}

// left is what `perennial check` finds of a handover, by name.
func (n *realNode) left() []finding.Code {
	n.t.Helper()
	var found []finding.Code
	for _, i := range n.check().Items {
		if slices.Contains(leftCodes, i.Code) {
			found = append(found, i.Code)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// assertNothingLeft looks with the product's eyes, and past them.
func (n *realNode) assertNothingLeft(clean string) {
	n.t.Helper()
	n.assertTraces(clean)
	if left := n.left(); len(left) > 0 {
		n.t.Errorf("check finds %v", left)
	}
	if dots, _ := filepath.Glob(filepath.Join(n.inside("/etc/kubernetes/manifests"), ".*")); len(dots) > 0 {
		n.t.Errorf("half-written: %v", dots)
	}
	if programs := n.processes("perennial"); len(programs) > 0 {
		n.t.Errorf("the processes %v are still there", programs)
	}
}

// processes are those of a name inside the node, by the node's numbers.
func (n *realNode) processes(name string) []string {
	n.t.Helper()
	out, _, _ := n.try("exec", "--name", n.Name, "--", "pgrep", "-x", name)
	return strings.Fields(out)
}

// startBystanders asks as a few clients do who have nothing to do with the
// handover: over new connections, from the worker to the node and to the
// service, and over a kept HTTP/2 connection.
func (n *realNode) startBystanders() *handoverProbes {
	n.t.Helper()
	admin, worker := clientFor(n.t, n.Kubeconfig), dialFrom(n.t, n.Worker.Netns)
	direct := admin.from(worker, strings.TrimPrefix(n.Endpoint, "https://"))
	p := &handoverProbes{pacer: pacer{stop: make(chan struct{})}, t: n.t, pause: probePause(n.t)}
	n.t.Cleanup(p.stopAsking) // before the networks are closed
	p.get("a new connection each, worker to node", often, direct, false)
	p.get("a new connection each, worker to service", regularly, admin.from(worker, n.Worker.ClusterIP+":443"), false)
	p.get("kept HTTP/2, worker to node", often, direct, true)
	time.Sleep(2 * time.Second)
	return p
}

// stopAsking waits for the last answers.
func (p *handoverProbes) stopAsking() {
	p.ended.Do(func() {
		close(p.stop)
		p.done.Wait()
	})
}

func (n *realNode) assertNotFelt(what string, p *handoverProbes) {
	n.t.Helper()
	n.figure("%s", what)
	for _, k := range p.kinds {
		sum := k.tally()
		n.figure("  %-42s %s", k.name+":", sum)
		if sum.failed > 0 {
			n.t.Errorf("%s, %s: %s", what, k.name, sum)
		}
	}
}

// syncBuffer may be read while it is written to.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *syncBuffer) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(data)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// SPDX-License-Identifier: Apache-2.0

// Package supervise runs the commands of a directory of static pod manifests
// as plain local processes.
//
// It does what a lab needs of a kubelet, and no more: a process starts when
// its manifest appears, ends when it goes, is replaced when the manifest's
// meaning changes, and is started again when it ends, at once the first time
// and then after 10 s, 20 s, 40 s and so on up to 5 minutes (the back-off is
// forgotten after 10 minutes of running). There are no probes, images, mounts
// or limits, a pod has one container, and pods share the machine's network.
//
// All processes are children of one supervisor process and die with it,
// however it ends.
package supervise

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"syscall"
	"time"
)

const (
	firstBackOff   = 10 * time.Second
	longestBackOff = 5 * time.Minute
	forgetBackOff  = 10 * time.Minute
	lookEvery      = 200 * time.Millisecond
)

// Options say what to supervise.
type Options struct {
	Manifests string // directory of static pod manifests
	Programs  string // directory with the programs that commands name
	Run       string // directory for the state file, the lock and the socket
	Logs      string // directory for the processes' output
	Environ   []string
	Log       io.Writer
}

// supervisor is owned by the goroutine of [Run]; others reach it by channels.
type supervisor struct {
	Options
	manifests directory
	processes map[string]*process // by manifest file
	held      map[string]bool     // names that a person has stopped
	waiting   []waiter
	ended     chan exit
	requests  chan call
	state     []byte
}

// process is a pod that is, was or will be running.
type process struct {
	pod      pod
	cmd      *exec.Cmd
	identity Identity // zero when not running
	started  time.Time
	restarts int
	next     time.Time // earliest next start
	stopping bool
	deadline time.Time // for SIGKILL, when stopping
	again    bool      // start at once after the end, without counting it
}

type exit struct {
	process *process
	err     error
}

// Run supervises until ctx ends, and then ends all processes.
func Run(ctx context.Context, o Options) error {
	// The processes are to die with the thread that started them
	// (PR_SET_PDEATHSIG), which must therefore be one that stays.
	runtime.LockOSThread()
	for _, dir := range []string{o.Run, o.Logs} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	release, err := lockRun(o.Run)
	if err != nil {
		return err
	}
	defer release()
	s := &supervisor{
		Options: o, manifests: directory{path: o.Manifests},
		processes: map[string]*process{}, held: map[string]bool{},
		ended: make(chan exit), requests: make(chan call),
	}
	if err := s.saveState(); err != nil {
		return err
	}
	listener, err := listen(o.Run)
	if err != nil {
		return err
	}
	defer listener.Close()
	go serve(ctx, listener, s.requests)
	s.loop(ctx)
	return nil
}

func (s *supervisor) loop(ctx context.Context) {
	ticks := time.NewTicker(lookEvery)
	defer ticks.Stop()
	for ctx.Err() == nil {
		s.reconcile(time.Now())
		select {
		case <-ticks.C:
		case e := <-s.ended:
			s.onExit(e, time.Now())
		case c := <-s.requests:
			s.handle(c, time.Now())
		case <-ctx.Done():
		}
	}
	s.endAll()
}

// reconcile makes the processes follow the manifests.
func (s *supervisor) reconcile(now time.Time) {
	pods, wrong := s.manifests.read()
	for _, err := range wrong {
		s.logf("%v", err)
	}
	for file, p := range s.processes {
		wanted, ok := pods[file]
		switch {
		case ok && wanted.digest == p.pod.digest:
		case p.running():
			s.stop(p, now)
		default:
			delete(s.processes, file)
		}
		if p.stopping && now.After(p.deadline) && p.running() {
			s.logf("%s: killing process %d", p.pod.name, p.identity.PID)
			p.cmd.Process.Signal(syscall.SIGKILL)
			p.deadline = now.Add(time.Second)
		}
	}
	for _, file := range sortedKeys(pods) {
		if s.processes[file] == nil && !s.named(pods[file].name) {
			s.processes[file] = &process{pod: pods[file]}
		}
	}
	for _, p := range s.processes {
		if !p.running() && !s.held[p.pod.name] && !now.Before(p.next) {
			s.start(p, now)
		}
	}
	if err := s.saveState(); err != nil {
		s.logf("%v", err)
	}
	s.answerWaiters(now)
}

// named says whether a pod of that name is there: the kubelet, too, starts a
// static pod only when its namesake has ended.
func (s *supervisor) named(name string) bool {
	for _, p := range s.processes {
		if p.pod.name == name {
			return true
		}
	}
	return false
}

func (p *process) running() bool { return p != nil && p.cmd != nil }

func (s *supervisor) start(p *process, now time.Time) {
	log, err := os.OpenFile(filepath.Join(s.Logs, p.pod.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		s.retryLater(p, now, err)
		return
	}
	defer log.Close()
	name := filepath.Base(p.pod.command[0])
	cmd := &exec.Cmd{
		Path: filepath.Join(s.Programs, name), Args: p.pod.command,
		Env: append(slices.Clone(s.Environ), p.pod.env...), Dir: "/",
		Stdout: log, Stderr: log,
		SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true},
	}
	if err := cmd.Start(); err != nil {
		s.retryLater(p, now, err)
		return
	}
	p.cmd, p.started, p.stopping, p.again = cmd, now, false, false
	if p.identity, err = Identify(cmd.Process.Pid); err != nil {
		s.logf("%s: %v", p.pod.name, err)
	}
	s.logf("%s: started process %d", p.pod.name, cmd.Process.Pid)
	go func() { s.ended <- exit{p, cmd.Wait()} }()
}

func (s *supervisor) stop(p *process, now time.Time) {
	if p.stopping {
		return
	}
	s.logf("%s: stopping process %d", p.pod.name, p.identity.PID)
	p.stopping, p.deadline = true, now.Add(p.pod.grace)
	p.cmd.Process.Signal(syscall.SIGTERM)
}

func (s *supervisor) onExit(e exit, now time.Time) {
	p := e.process
	s.logf("%s: process %d ended: %v", p.pod.name, p.cmd.Process.Pid, e.err)
	asked := p.stopping
	p.cmd, p.identity, p.stopping = nil, Identity{}, false
	switch {
	case p.again:
		p.next = now
	case !asked:
		s.retryLater(p, now, nil)
	}
}

// retryLater sets the next start after a failure: at once, 10 s, 20 s, ...
func (s *supervisor) retryLater(p *process, now time.Time, err error) {
	if err != nil {
		s.logf("%s: starting: %v", p.pod.name, err)
	}
	if !p.started.IsZero() && now.Sub(p.started) > forgetBackOff {
		p.restarts = 0
	}
	p.next = now.Add(backOff(p.restarts))
	p.restarts++
}

// backOff is the wait before the restart that follows so many others.
func backOff(restarts int) time.Duration {
	if restarts == 0 {
		return 0
	}
	wait := firstBackOff
	for range restarts - 1 {
		wait = min(2*wait, longestBackOff)
	}
	return wait
}

// endAll ends every process within half a second: whoever ends the supervisor
// does not need the lab any more.
func (s *supervisor) endAll() {
	running := 0
	for _, p := range s.processes {
		if p.running() {
			running++
			p.cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	patience := time.After(time.Second / 2)
	for running > 0 {
		select {
		case <-s.ended:
			running--
		case <-patience:
			for _, p := range s.processes {
				if p.running() {
					p.cmd.Process.Signal(syscall.SIGKILL)
				}
			}
		}
	}
}

func (s *supervisor) logf(format string, args ...any) {
	fmt.Fprintf(s.Log, time.Now().UTC().Format(time.RFC3339)+" "+format+"\n", args...)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

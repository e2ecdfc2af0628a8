// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"perennial.dev/perennial/internal/fact"
)

// Attach makes ready to steer what the target says, in the network namespace of
// a file such as /proc/1/ns/net. It steers nothing before On. What is there
// already and is the same is left as it is, also when it is steering; what is
// half-made is replaced; ErrDiffers says that what is there is for another
// target or namespace.
func (l Lookup) Attach(netns string, t Target) error {
	if err := l.attach(netns, t); err != nil {
		return fmt.Errorf("attaching the steering of port %d at %s: %w", t.Port, l.Dir, err)
	}
	return nil
}

func (l Lookup) attach(netns string, t Target) error {
	if err := t.check(); err != nil {
		return err
	}
	ns, err := openNetNS(netns)
	if err != nil {
		return err
	}
	defer ns.Close()
	inode, err := inodeOf(int(ns.Fd()))
	if err != nil {
		return fmt.Errorf("looking at %s: %w", netns, err)
	}
	state, err := l.State()
	switch {
	case err != nil:
		return err
	case state.Stage == Idle || state.Stage == Steering:
		if state.NetNS != inode || !state.Target.Equal(t) {
			return fmt.Errorf("%w: port %d in the network namespace %d", ErrDiffers, state.Target.Port, state.NetNS)
		}
		return nil
	case state.Stage == HalfMade:
		if err := l.remove(); err != nil {
			return err
		}
	}
	return l.create(ns, t)
}

func (l Lookup) create(ns *os.File, t Target) (err error) {
	p, err := linked(ns, t)
	if err != nil {
		return err
	}
	defer p.close()
	if err := makeDir(l.Dir); err != nil {
		return err
	}
	if err := p.pin(l.Dir); err != nil {
		return errors.Join(err, unpin(l.Dir))
	}
	return nil
}

// linked makes the maps and the program and attaches it. Nothing of it
// outlives being closed.
func linked(ns *os.File, t Target) (*pinned, error) {
	m, err := newMaps(t)
	if err != nil {
		return nil, err
	}
	p := &pinned{maps: *m}
	program, err := load(ebpf.SkLookup, ebpf.AttachSkLookup, m.lookupProgram())
	if err != nil {
		p.close()
		return nil, fmt.Errorf("loading the program: %w", lacks(err))
	}
	defer program.Close() // the link holds it
	p.link, err = link.AttachNetNs(int(ns.Fd()), program)
	if err != nil {
		p.close()
		return nil, fmt.Errorf("linking the program to the network namespace: %w", lacks(err))
	}
	return p, nil
}

func load(kind ebpf.ProgramType, attach ebpf.AttachType, code asm.Instructions) (*ebpf.Program, error) {
	return ebpf.NewProgram(&ebpf.ProgramSpec{Name: "perennial", Type: kind, AttachType: attach, Instructions: code, License: license})
}

// On steers to the socket with which a process listens on a port, in place of
// what it was steered to before. The process is held by a pidfd while its
// command line is compared with that of p; an empty one is not compared.
// ErrNoListener, ErrMPTCP, ErrAnother and ErrNotAttached say what else was
// wrong.
func (l Lookup) On(p fact.Process, port uint16) error {
	if err := l.on(p, port); err != nil {
		return fmt.Errorf("steering to port %d of process %d: %w", port, p.PID, err)
	}
	return nil
}

func (l Lookup) on(p fact.Process, port uint16) error {
	at, err := l.whole()
	if err != nil {
		return err
	}
	defer at.close()
	t, err := at.target()
	if err != nil {
		return err
	}
	held, err := holdProcess(p)
	if err != nil {
		return err
	}
	defer held.close()
	if err := at.sees(held); err != nil {
		return err
	}
	listener, err := held.listener(port, t)
	if err != nil {
		return err
	}
	// A copy that stays open would keep accepting, with nobody behind it,
	// after the process has closed its own.
	defer unix.Close(listener)
	if err := at.toward.Put(uint32(0), [2]uint32{uint32(p.PID), uint32(port)}); err != nil {
		return fmt.Errorf("noting the process: %w", err)
	}
	err = at.socket.Put(uint32(0), uint64(listener))
	if errors.Is(err, unix.EOPNOTSUPP) {
		return ErrMPTCP
	}
	if err != nil {
		return fmt.Errorf("entering its socket: %w", lacks(err))
	}
	return nil
}

// sees makes sure that the process listens where the program looks.
func (p *pinned) sees(held *heldProcess) error {
	want, err := p.netns()
	if err != nil {
		return err
	}
	inode, err := inodeOfPath(procPath(held.pid, "ns/net"))
	if err != nil {
		return err
	}
	if inode != want {
		return fmt.Errorf("the process is in the network namespace %d, the steering in %d", inode, want)
	}
	return nil
}

// Off stops steering and stays attached; what is half-made is taken off its
// namespace. It is no error when nothing is steered or attached.
func (l Lookup) Off() error {
	if err := l.off(); err != nil {
		return fmt.Errorf("turning off the steering at %s: %w", l.Dir, err)
	}
	return nil
}

func (l Lookup) off() error {
	p, err := l.whole()
	if errors.Is(err, ErrNotAttached) {
		return l.end()
	}
	if err != nil {
		return err
	}
	defer p.close()
	err = p.socket.Delete(uint32(0))
	// Deleting what is not there is EINVAL for this kind of map.
	if errors.Is(err, ebpf.ErrKeyNotExist) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return refused(err, capBPF)
}

// Detach removes the steering, whatever is there of it, and its directory.
func (l Lookup) Detach() error {
	inside, err := inBPFFS(l.Dir)
	if inside && err == nil {
		err = l.remove()
	}
	if err != nil {
		return fmt.Errorf("detaching the steering at %s: %w", l.Dir, err)
	}
	return nil
}

// end takes the link, if there is one, off its namespace at once. Removing the
// pins does it too, but only when the kernel gets round to freeing them, which
// may be after some more connections.
func (l Lookup) end() error {
	at, err := link.LoadPinnedLink(filepath.Join(l.Dir, linkPin), nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return refused(err, capBPF)
	}
	defer at.Close()
	return refused(at.Detach(), capBPF, capNetAdmin)
}

// remove ends the steering and removes everything of it.
func (l Lookup) remove() error {
	// Without its pins it ends too, if a little later.
	ended := l.end()
	if err := unpin(l.Dir); err != nil {
		return errors.Join(ended, refused(err, capBPF))
	}
	return nil
}

// whole opens a steering that is attached.
func (l Lookup) whole() (*pinned, error) {
	p, err := open(l.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotAttached
	}
	if err != nil {
		return nil, err
	}
	if ns, err := p.netns(); err != nil || ns == 0 {
		p.close()
		return nil, errors.Join(ErrNotAttached, err)
	}
	return p, nil
}

// State tells what is there.
func (l Lookup) State() (State, error) {
	s, err := l.state()
	if err != nil {
		return State{}, fmt.Errorf("looking at the steering at %s: %w", l.Dir, err)
	}
	return s, nil
}

func (l Lookup) state() (State, error) {
	if _, err := os.Lstat(l.Dir); errors.Is(err, fs.ErrNotExist) {
		return State{Stage: Nothing}, nil
	} else if err != nil {
		return State{}, err
	}
	p, err := l.whole()
	if errors.Is(err, ErrNotAttached) {
		return State{Stage: HalfMade}, nil
	}
	if err != nil {
		return State{}, err
	}
	defer p.close()
	return p.state()
}

func (p *pinned) state() (s State, err error) {
	if s.NetNS, err = p.netns(); err != nil {
		return State{}, err
	}
	if s.Target, err = p.target(); err != nil {
		return State{}, fmt.Errorf("reading the target: %w", err)
	}
	var toward [2]uint32
	if err := p.toward.Lookup(uint32(0), &toward); err != nil {
		return State{}, fmt.Errorf("reading where it is steered to: %w", err)
	}
	s.ToPID, s.ToPort = int(toward[0]), uint16(toward[1])
	err = errors.Join(p.counters.Lookup(uint32(counterSteered), &s.Steered), p.counters.Lookup(uint32(counterRefused), &s.Refused))
	if err != nil {
		return State{}, fmt.Errorf("reading the counters: %w", err)
	}
	var cookie uint64
	switch err := p.socket.Lookup(uint32(0), &cookie); {
	case err == nil:
		s.Stage = Steering
	case errors.Is(err, ebpf.ErrKeyNotExist):
		s.Stage = Idle
	default:
		return State{}, fmt.Errorf("reading whether it is on: %w", err)
	}
	return s, nil
}

// Leftovers lists the steerings in a directory, by name, also those of which
// only an empty directory is left. None is fine.
func Leftovers(parent string) ([]Lookup, error) {
	if inside, err := inBPFFS(parent); !inside || err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for steerings in %s: %w", parent, err)
	}
	var found []Lookup
	for _, e := range entries {
		if e.IsDir() {
			found = append(found, Lookup{Dir: filepath.Join(parent, e.Name())})
		}
	}
	return found, nil
}

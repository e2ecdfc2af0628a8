// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// maps are the maps of a steering.
type maps struct {
	parameters *ebpf.Map // what is steered; frozen
	addresses  *ebpf.Map // the listed addresses, of 16 bytes; frozen
	socket     *ebpf.Map // the listener it is steered to, or nothing
	toward     *ebpf.Map // whose listener that is
	counters   *ebpf.Map
}

// pinned is what a directory of pins holds.
type pinned struct {
	maps
	link link.Link
}

// linkPin is the name of the link's pin. It is made last and removed first, so
// a directory that has it has everything else.
const linkPin = "link"

// mapPin says where a map goes, and what it is.
type mapPin struct {
	at   **ebpf.Map
	spec ebpf.MapSpec
}

func (m *maps) pins() []mapPin {
	return []mapPin{
		{&m.parameters, ebpf.MapSpec{Name: "parameters", Type: ebpf.Array, KeySize: 4, ValueSize: 16, MaxEntries: 1}},
		{&m.addresses, ebpf.MapSpec{Name: "addresses", Type: ebpf.Hash, KeySize: 16, ValueSize: 4, MaxEntries: MaxAddresses}},
		// With values of 8 bytes a SOCKMAP can be read: the socket's cookie.
		{&m.socket, ebpf.MapSpec{Name: "socket", Type: ebpf.SockMap, KeySize: 4, ValueSize: 8, MaxEntries: 1}},
		{&m.toward, ebpf.MapSpec{Name: "toward", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}},
		{&m.counters, ebpf.MapSpec{Name: "counters", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: counterCount}},
	}
}

func (m *maps) close() {
	for _, p := range m.pins() {
		_ = (*p.at).Close() // closing none is nothing
	}
}

func (p *pinned) close() {
	p.maps.close()
	if p.link != nil {
		_ = p.link.Close()
	}
}

// newMaps makes the maps and fills in the target.
func newMaps(t Target) (*maps, error) {
	// Before Linux 5.11 maps count against this limit.
	_ = unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY})
	m := &maps{}
	for _, p := range m.pins() {
		made, err := ebpf.NewMap(&p.spec)
		if err != nil {
			m.close()
			return nil, fmt.Errorf("making the map %s: %w", p.spec.Name, lacks(err))
		}
		*p.at = made
	}
	if err := m.write(t.sorted()); err != nil {
		m.close()
		return nil, fmt.Errorf("writing the target: %w", err)
	}
	return m, nil
}

func (m *maps) write(t Target) error {
	p := parameters{Version: parametersVersion, Port: uint32(t.Port)}
	if len(t.Addresses) == 0 {
		p.Flags |= flagEvery
	}
	if t.RemoteOnly {
		p.Flags |= flagRemoteOnly
	}
	for _, a := range t.Addresses {
		if err := m.addresses.Put(a.As16(), uint32(1)); err != nil {
			return err
		}
	}
	if err := m.parameters.Put(uint32(0), p); err != nil {
		return err
	}
	return errors.Join(m.parameters.Freeze(), m.addresses.Freeze())
}

func (m *maps) target() (Target, error) {
	var p parameters
	if err := m.parameters.Lookup(uint32(0), &p); err != nil {
		return Target{}, err
	}
	if p.Version != parametersVersion || p.Port == 0 || p.Port > 1<<16-1 {
		return Target{}, fmt.Errorf("%w: its parameters are of version %d", ErrDiffers, p.Version)
	}
	t := Target{Port: uint16(p.Port), RemoteOnly: p.Flags&flagRemoteOnly != 0}
	var address [16]byte
	var one uint32
	all := m.addresses.Iterate()
	for all.Next(&address, &one) {
		t.Addresses = append(t.Addresses, netip.AddrFrom16(address))
	}
	return t.sorted(), all.Err()
}

// open opens the pins in a directory. Something missing is fs.ErrNotExist.
func open(dir string) (*pinned, error) {
	p := &pinned{}
	for _, pin := range p.pins() {
		name := filepath.Join(dir, pin.spec.Name)
		m, err := ebpf.LoadPinnedMap(name, nil)
		if err != nil {
			p.close()
			return nil, fmt.Errorf("opening %s: %w", name, refused(err, capBPF))
		}
		*pin.at = m
		if err := pin.spec.Compatible(m); err != nil {
			p.close()
			return nil, fmt.Errorf("%s: %w: %w", name, ErrDiffers, err)
		}
	}
	name := filepath.Join(dir, linkPin)
	l, err := link.LoadPinnedLink(name, nil)
	if err != nil {
		p.close()
		return nil, fmt.Errorf("opening %s: %w", name, refused(err, capBPF))
	}
	p.link = l
	return p, nil
}

// pin pins everything, the link last.
func (p *pinned) pin(dir string) error {
	for _, pin := range p.pins() {
		if err := (*pin.at).Pin(filepath.Join(dir, pin.spec.Name)); err != nil {
			return fmt.Errorf("pinning the map %s: %w", pin.spec.Name, refused(err, capBPF))
		}
	}
	if err := p.link.Pin(filepath.Join(dir, linkPin)); err != nil {
		return fmt.Errorf("pinning the link: %w", refused(err, capBPF))
	}
	return nil
}

// netns is the inode number of the network namespace that the link is on; 0
// when that namespace has ended.
func (p *pinned) netns() (uint64, error) {
	info, err := p.link.Info()
	if err != nil {
		return 0, fmt.Errorf("asking for the link's namespace: %w", err)
	}
	ns := info.NetNs()
	if ns == nil {
		return 0, fmt.Errorf("%w: the link is none on a network namespace", ErrDiffers)
	}
	return uint64(ns.NetnsInode), nil
}

// unpin removes the pins and the directory. The link goes first: with it the
// steering ends, whatever happens to the rest.
func unpin(dir string) error {
	names := []string{linkPin}
	for _, p := range (&maps{}).pins() {
		names = append(names, p.spec.Name)
	}
	for _, name := range names {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// lacks tells a kernel that cannot from rights that are missing.
func lacks(err error) error {
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, ebpf.ErrNotSupported) {
		return fmt.Errorf("%w steer by sk_lookup (Linux 5.9 can): %w", ErrKernel, err)
	}
	return refused(err, capBPF, capNetAdmin)
}

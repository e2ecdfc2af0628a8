// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"errors"
	"net/netip"
	"time"
)

// Root is where the BPF file system is mounted on most machines.
const Root = "/sys/fs/bpf"

// Lookup is a steering by sk_lookup, known by the directory of its pins.
type Lookup struct {
	// Dir is an absolute path in a BPF file system, of which no element below
	// the mount contains a dot: the kernel reserves those. A BPF file system
	// is mounted on Root when Dir is below it and none is there.
	Dir string
}

// NAT is a steering by nftables in a network namespace: two tables named
// NATTable, of the families ip and ip6.
type NAT struct {
	// NetNS is the file of the network namespace, such as /proc/1/ns/net;
	// empty for the caller's own.
	NetNS string
}

// NATTable is the name of NAT's nftables tables. Tables of that name are taken
// to be this program's.
const NATTable = "perennial"

// Stage is how far a steering is.
type Stage string

// The stages.
const (
	Nothing  Stage = "nothing"  // nothing is there
	HalfMade Stage = "halfmade" // parts are there that steer nothing
	Idle     Stage = "idle"     // attached, steering nothing
	Steering Stage = "steering" // new connections go to another listener
)

// State is what is there of a steering.
type State struct {
	Stage Stage
	// Target is what is steered; of an idle NAT it is not known.
	Target Target
	// NetNS is the inode number of the network namespace of a Lookup, by which
	// the file /proc/PID/ns/net tells namespaces apart.
	NetNS uint64
	// ToPID and ToPort are the process and port that a Lookup was last told to
	// steer to, and the port that a NAT steers to; 0 before the first time.
	ToPID  int
	ToPort uint16
	// Steered counts the connections handed over since it was attached, and
	// for NAT since it was last turned on. Refused counts those that a Lookup
	// left where they were since the listener could not take their kind.
	Steered, Refused uint64
}

// Connection is an established connection of a server.
type Connection struct {
	Local, Remote netip.AddrPort
	// Own says that the remote address is one of the machine's own, in the
	// server's network namespace.
	Own bool
	// PID and Command are the peer process, when it is in the server's network
	// namespace and could be found; 0 and empty otherwise. Command is the
	// kernel's name of it, of 15 bytes at most, which it chooses itself:
	// hostile.
	PID     int
	Command string
}

// What can be wrong beyond what the system says; found by errors.Is.
var (
	// ErrKernel says that the kernel cannot do it, whatever the rights.
	ErrKernel = errors.New("the kernel cannot")
	// ErrRights says that a right is missing.
	ErrRights = errors.New("not permitted")
	// ErrDiffers says that what is attached was made for something else.
	ErrDiffers = errors.New("what is attached is for something else")
	// ErrNotAttached says that there is nothing to turn on or off.
	ErrNotAttached = errors.New("no steering is attached")
	// ErrMPTCP says that a listener is one of MPTCP, which cannot be steered to.
	ErrMPTCP = errors.New("the listener is one of MPTCP (start the process with GODEBUG=multipathtcp=0)")
	// ErrNoListener says that a process does not listen on the port.
	ErrNoListener = errors.New("the process does not listen on the port")
	// ErrAnother says that a PID is another process's than the one looked at.
	ErrAnother = errors.New("the PID belongs to another process now")
	// ErrNoHold says that connections cannot be held here; everything else may
	// still work.
	ErrNoHold = errors.New("connections cannot be held")
	// ErrNotReached says that a probe was made and was not let in.
	ErrNotReached = errors.New("not reached")
)

// HoldLimit is the longest hold that is granted. Peers send again what is
// dropped after about 0.2, 0.6, 1.4, 3 and 6.2 seconds.
const HoldLimit = 5 * time.Second

// SPDX-License-Identifier: Apache-2.0

// Package network gives network namespaces an address on a bridge that they
// share with the machine. It needs root and iproute2.
package network

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The addresses are of the blocks for tests between networks (RFC 2544, and RFC
// 5180 for IPv6): nobody has them.
const (
	bridge        = "perennial-lab"
	block         = "198.18.0."
	block6        = "2001:2::" // with the IPv4 address behind it
	bridgeAddress = block + "1"
	firstHost     = 2
	hosts         = 253
	interfaces    = "/sys/class/net/"
	named         = "/run/netns/"
)

// Host is who has an address.
type Host struct{ Name, Address string }

// ChooseAddress takes the address that follows from a host's name, or the next
// that no other host has.
func ChooseAddress(name string, others []Host) (string, error) {
	taken := map[string]bool{}
	for _, o := range others {
		taken[o.Address] = taken[o.Address] || o.Name != name
	}
	n, err := strconv.ParseUint(digest(name), 16, 64)
	if err != nil {
		return "", err
	}
	for i := range uint64(hosts) {
		address := block + strconv.FormatUint(firstHost+(n+i)%hosts, 10)
		if !taken[address] {
			return address, nil
		}
	}
	return "", fmt.Errorf("choosing an address for %s: all of %s0/24 are taken", name, block)
}

func digest(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])[:8]
}

// Link names the machine's end of a host's link by two letters and the host's
// name, which may be too long for the kernel's 15 characters.
func Link(letters, name string) string { return letters + digest(name) }

// Interface is a network namespace's way to the bridge.
type Interface struct {
	Netns   string // the namespace's name, as `ip netns` knows it
	Link    string // the machine's end of its link
	Address string
}

// There says whether the namespace is there.
func (i Interface) There() bool {
	_, err := os.Lstat(named + i.Netns)
	return err == nil
}

// Attach makes the namespace and its interface on the bridge.
func (i Interface) Attach() error { return i.attach("add " + i.Netns) }

// AttachProcess gives the namespace of a process its name, and an interface on
// the bridge.
func (i Interface) AttachProcess(pid int) error {
	return i.attach("attach " + i.Netns + " " + strconv.Itoa(pid))
}

// attach adds an address of each family. It needs a default route for service addresses, which the kernel
// translates only after it has found a route.
func (i Interface) attach(netns string) error {
	if err := raiseBridge(); err != nil {
		return err
	}
	in := "-n " + i.Netns + " "
	for _, line := range []string{
		"netns " + netns,
		"link add " + i.Link + " type veth peer name eth0 netns " + i.Netns,
		"link set " + i.Link + " master " + bridge + " up",
		in + "link set lo up",
		in + "address add " + i.Address + "/24 dev eth0",
		in + "address add " + block6 + i.Address + "/64 dev eth0 nodad",
		in + "link set eth0 up",
		in + "route add default via " + bridgeAddress,
	} {
		if err := ip(line); err != nil {
			return err
		}
	}
	return nil
}

func raiseBridge() error {
	lines := []string{"link set " + bridge + " up"}
	if _, err := os.Lstat(interfaces + bridge); err != nil {
		lines = append([]string{"link add " + bridge + " type bridge", "address add " + bridgeAddress + "/24 dev " + bridge}, lines...)
	}
	for _, line := range lines {
		if err := ip(line); err != nil {
			return err
		}
	}
	return nil
}

// Detach removes what Attach made, as far as it is there. The bridge goes with
// the last that is on it.
func (i Interface) Detach() error {
	for _, made := range []struct{ path, remove string }{
		{interfaces + i.Link, "link delete " + i.Link},
		{named + i.Netns, "netns delete " + i.Netns},
	} {
		if _, err := os.Lstat(made.path); err != nil {
			continue
		}
		if err := ip(made.remove); err != nil {
			return err
		}
	}
	if left, err := os.ReadDir(interfaces + bridge + "/brif"); err != nil || len(left) > 0 {
		return nil
	}
	return ip("link delete " + bridge)
}

// ip runs iproute2's program; the arguments are one line.
func ip(line string) error {
	path, err := LookPath("ip")
	if err != nil {
		return err
	}
	if out, err := exec.Command(path, strings.Fields(line)...).CombinedOutput(); err != nil {
		return fmt.Errorf("running ip %s: %w: %s", line, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// LookPath finds a program, also where only root's PATH leads.
func LookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin/", "/sbin/", "/usr/local/sbin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path, nil
		}
	}
	return "", err
}

// In does something with a thread that is in a named network namespace.
func In(netns string, do func() error) error {
	return within([]entry{{named + netns, unix.CLONE_NEWNET}}, do)
}

// InWith does something with a thread that is in a named network namespace and
// in the mount namespace of a process; what it starts has to be given a
// directory to start in.
func InWith(netns string, pid int, do func() error) error {
	return within([]entry{{named + netns, unix.CLONE_NEWNET}, {fmt.Sprintf("/proc/%d/ns/mnt", pid), unix.CLONE_NEWNS}}, do)
}

type entry struct {
	path string
	flag int
}

// within enters namespaces with a thread. It cannot be trusted afterwards: it
// ends with its goroutine.
func within(namespaces []entry, do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- func() error {
			// The kernel lets no thread change its mounts that shares its root
			// and working directory with others.
			if err := unix.Unshare(unix.CLONE_FS); err != nil {
				return err
			}
			if err := enter(namespaces); err != nil {
				return err
			}
			return do()
		}()
	}()
	return <-done
}

// enter opens all before it enters the first: afterwards the way to the others
// may be gone.
func enter(namespaces []entry) error {
	var open []*os.File
	for _, n := range namespaces {
		f, err := os.Open(n.path)
		if err != nil {
			return fmt.Errorf("entering the network: %w", err)
		}
		defer f.Close()
		open = append(open, f)
	}
	for i, n := range namespaces {
		if err := unix.Setns(int(open[i].Fd()), n.flag); err != nil {
			return fmt.Errorf("entering %s: %w", n.path, err)
		}
	}
	return nil
}

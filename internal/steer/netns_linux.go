// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// openNetNS opens the file of a network namespace.
func openNetNS(path string) (*os.File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, refused(err, capSysPtrace)
	}
	kind, err := unix.IoctlRetInt(int(file.Fd()), unix.NS_GET_NSTYPE)
	if err != nil || kind != unix.CLONE_NEWNET {
		file.Close()
		return nil, fmt.Errorf("%s is no network namespace", path)
	}
	return file, nil
}

// ownNetNS says whether a network namespace is the calling thread's.
func ownNetNS(ns *os.File) bool {
	there, err := inodeOf(int(ns.Fd()))
	own, ownErr := inodeOfPath("/proc/thread-self/ns/net")
	return err == nil && ownErr == nil && there == own
}

// elsewhere runs something on a thread that ends with it, and with it whatever
// network namespace it was in. A panic is passed on to the caller.
func elsewhere(do func()) {
	done := make(chan any)
	go func() {
		defer func() { done <- recover() }()
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() {
			// The first thread does not end, and /proc/self is its view.
			elsewhere(do)
			runtime.UnlockOSThread()
			return
		}
		do()
	}()
	if panicked := <-done; panicked != nil {
		panic(panicked)
	}
}

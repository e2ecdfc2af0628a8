// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func space(dir string) (Space, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return Space{}, err
	}
	// What root may use beyond Bavail is there to repair the machine with.
	return Space{Bytes: s.Bavail * uint64(s.Bsize), Inodes: s.Ffree, AnyInodes: s.Files == 0}, nil
}

func writable(dir string) error {
	return unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
}

func ownRights() (Rights, error) {
	status, err := readProc("/proc/self/status", 16<<10)
	if err != nil {
		return Rights{}, failed("reading", "/proc/self/status", err)
	}
	set, err := effectiveCapabilities(status)
	if err != nil {
		return Rights{}, failed("reading", "/proc/self/status", err)
	}
	return Rights{Root: os.Geteuid() == 0, Kill: set&(1<<unix.CAP_KILL) != 0}, nil
}

// effectiveCapabilities takes the set from /proc/PID/status (capabilities(7)).
func effectiveCapabilities(status []byte) (uint64, error) {
	for line := range strings.Lines(string(status)) {
		if set, ok := strings.CutPrefix(line, "CapEff:"); ok {
			set = strings.TrimSpace(set)
			n, err := strconv.ParseUint(set, 16, 64)
			if err != nil {
				return 0, fmt.Errorf("%q is no set of capabilities", set)
			}
			return n, nil
		}
	}
	return 0, errors.New("no line CapEff")
}

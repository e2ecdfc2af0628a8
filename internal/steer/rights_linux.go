// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// capability is a right by its number in the kernel, linux/capability.h.
type capability struct {
	number int
	name   string
}

var (
	capNetAdmin  = capability{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"}
	capSysPtrace = capability{unix.CAP_SYS_PTRACE, "CAP_SYS_PTRACE"}
	capSysAdmin  = capability{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN"}
	capBPF       = capability{unix.CAP_BPF, "CAP_BPF"}
)

// refused turns the kernel's refusal into one that names the missing rights:
// those of the list that the caller has not. Other errors pass.
func refused(err error, needed ...capability) error {
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) {
		return err
	}
	switch lacking := missing(needed); len(lacking) {
	case 0:
	case 1:
		return fmt.Errorf("%w: %s is missing", ErrRights, lacking[0])
	default:
		return fmt.Errorf("%w: %s are missing", ErrRights, strings.Join(lacking, " and "))
	}
	if errors.Is(err, unix.EACCES) {
		return fmt.Errorf("%w: %w", ErrRights, err)
	}
	return fmt.Errorf("%w, by something else than capabilities (seccomp, a security module, a user namespace): %w", ErrRights, err)
}

func missing(needed []capability) []string {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return nil
	}
	var names []string
	for _, c := range needed {
		// CAP_SYS_ADMIN is what CAP_BPF and CAP_NET_ADMIN for BPF were before
		// Linux 5.8, and still stands in for them.
		if !has(data, c) && !(c == capBPF && has(data, capSysAdmin)) {
			names = append(names, c.name)
		}
	}
	return names
}

func has(data [2]unix.CapUserData, c capability) bool {
	return data[c.number/32].Effective&(1<<(c.number%32)) != 0
}

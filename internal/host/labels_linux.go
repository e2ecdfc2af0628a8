// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// labelLimit is the most that the kernel allows for an attribute's value and
// for the list of names, in bytes (XATTR_SIZE_MAX).
const labelLimit = 64 << 10

// copyLabels gives a file the extended attributes of another: SELinux' label
// and others of security.*, user.*, and the access control list. It is best
// effort, and tells of no failure: where a label may not be set, the file gets
// the one that files get in its directory, and a policy that asks for another
// would refuse kubeadm's files too.
func (d *Disk) copyLabels(from, to *os.File, name string) {
	names := make([]byte, labelLimit)
	n, err := unix.Flistxattr(int(from.Fd()), names)
	if err != nil {
		return
	}
	value := make([]byte, labelLimit)
	for label := range bytes.SplitSeq(names[:n], []byte{0}) {
		label := string(label)
		if !copied(label) {
			continue
		}
		size, err := unix.Fgetxattr(int(from.Fd()), label, value)
		if err != nil {
			continue
		}
		op := Op{Do: Label, Path: name, To: label, Data: bytes.Clone(value[:size])}
		_ = d.around(op, func() error { return unix.Fsetxattr(int(to.Fd()), label, op.Data, 0) })
	}
}

// copied says whether an attribute belongs to the file's next content too. The
// two that are left out sign the present one.
func copied(label string) bool {
	switch label {
	case "security.ima", "security.evm":
		return false
	case "system.posix_acl_access":
		return true
	}
	return strings.HasPrefix(label, "security.") || strings.HasPrefix(label, "user.")
}

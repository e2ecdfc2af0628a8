// SPDX-License-Identifier: Apache-2.0

package host

import "io/fs"

// Primitive is one of the few operations that everything this package changes
// on a disk is made of. Each is one system call.
type Primitive string

// The primitives. Nothing is durable before the sync that belongs to it: what
// a file holds and who may use it before SyncFile, and which names a directory
// has before SyncDir.
const (
	Create   Primitive = "create"   // a new, empty file at Path with Mode
	Write    Primitive = "write"    // Data is added at the end of Path
	Chown    Primitive = "chown"    // Path belongs to UID and GID
	Chmod    Primitive = "chmod"    // Path has Mode
	Label    Primitive = "label"    // Path gets the extended attribute To with the value Data
	SyncFile Primitive = "sync"     // what Path holds
	Rename   Primitive = "rename"   // Path becomes To, in the same directory; what was there is gone
	Link     Primitive = "link"     // Path gets the second name To; fails where something is
	Remove   Primitive = "remove"   // the name Path
	Mkdir    Primitive = "mkdir"    // a new directory at Path with Mode
	SyncDir  Primitive = "sync-dir" // the names in the directory Path
)

// Op is a primitive with its arguments. Paths are the node's: absolute, free
// of symbolic links, without the root.
type Op struct {
	Do       Primitive
	Path     string
	To       string
	Data     []byte
	Mode     fs.FileMode
	UID, GID int
}

// Around sees every primitive before it is done, does it by calling do, and
// returns its error or another. A test records, fails or ends there.
type Around func(op Op, do func() error) error

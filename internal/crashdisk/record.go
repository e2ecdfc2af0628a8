// SPDX-License-Identifier: Apache-2.0

// Package crashdisk shows tests what a disk may hold after a power failure.
//
// Ending a process shows nothing about fsync: the kernel keeps what was
// written. So every primitive that host.Disk does below a directory is
// recorded, and States gives, for each prefix of the record, the trees that
// the disk may come back with: unsynced content lost, torn, or read as zeros,
// unsynced names lost, and combinations. A test writes each into an empty
// directory and starts the program on it.
//
//	recording, err := crashdisk.Record(root)
//	disk := host.NewDisk(files, recording.Around)
//	... change something ...
//	for state := range recording.Distinct() {
//		err := state.Materialise(t.TempDir())
//		... start again there ...
//	}
//
// Extended attributes and modification times are not modelled, and what others
// than the Disk change below the directory is not seen.
package crashdisk

import (
	"sync"

	"perennial.dev/perennial/internal/host"
)

// Recording is a record of what was done below a directory.
type Recording struct {
	// Before, if set, is asked before each primitive, which is the nth, from
	// 0. The primitive is not done and fails with its error, if that is not
	// nil. It can also end the process.
	Before func(n int, op host.Op) error

	mu             sync.Mutex
	initial, model *inode
	ops            []host.Op
}

// Record begins with the tree below root as it is. It holds it in memory.
func Record(root string) (*Recording, error) {
	tree, err := scan(root)
	if err != nil {
		return nil, err
	}
	return &Recording{initial: tree, model: tree.clone(map[*inode]*inode{})}, nil
}

// Around is the function for host.NewDisk. A primitive that fails is taken to
// have changed nothing.
func (r *Recording) Around(op host.Op, do func() error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Before != nil {
		if err := r.Before(len(r.ops), op); err != nil {
			return err
		}
	}
	if err := do(); err != nil {
		return err
	}
	if err := r.model.apply(op); err != nil {
		return err
	}
	r.ops = append(r.ops, op)
	return nil
}

// Len is the number of primitives that were done.
func (r *Recording) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ops)
}

// Ops are the primitives that were done, in order.
func (r *Recording) Ops() []host.Op {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]host.Op(nil), r.ops...)
}

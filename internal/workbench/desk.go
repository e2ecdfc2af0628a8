// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"crypto/rand"
	"fmt"
	"path"
	"time"

	"perennial.dev/perennial/internal/execute"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/journal"
)

// Desk is what every workbench has, whatever is changed on it: the machine's files,
// the journal of what was done, and the lock under which it is.
type Desk struct {
	Files   *host.FS
	Disk    *host.Disk
	Journal *journal.Journal

	lock *host.Lock
}

// OpenDesk takes a lock, unless lock is nil, and then opens the journal below
// a directory.
func OpenDesk(state string, lock func(*host.Disk) (*host.Lock, error)) (*Desk, error) {
	d := &Desk{}
	var err error
	if d.Files, err = host.Open("/"); err != nil {
		return nil, err
	}
	d.Disk = host.NewDisk(d.Files, nil)
	if lock != nil {
		d.lock, err = lock(d.Disk)
	}
	if err == nil {
		d.Journal, err = journal.Open(path.Join(state, "journal"), d.Disk)
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// Close gives the lock back.
func (d *Desk) Close() {
	d.Files.Close()
	if d.lock != nil {
		_ = d.lock.Release()
	}
}

// Planned finds a plan in the journal.
func (d *Desk) Planned(id string) (journal.Plan, error) {
	for _, p := range d.Journal.Plans() {
		if p.ID == id {
			return p, nil
		}
	}
	return journal.Plan{}, Hint(fmt.Errorf("looking for the plan %q: the journal has none of that name", fact.Text(id)), "perennial history lists them")
}

// Runner does plans, once it has hands and eyes.
func (d *Desk) Runner(state string, now func() time.Time, tell func(execute.Event)) *execute.Runner {
	return &execute.Runner{Journal: d.Journal, State: state, Rand: rand.Reader, Now: now, Sleep: Sleep, Tell: tell, Patience: execute.DefaultPatience}
}

// SPDX-License-Identifier: Apache-2.0

package execute

import (
	"context"
	"encoding/json"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/plan"
)

// Hands change the machine. Paths are the node's.
type Hands interface {
	// Read reads a file whole.
	Read(ctx context.Context, path string) ([]byte, error)
	// Digest is "sha256:<hex>" of a file, empty where nothing is.
	Digest(ctx context.Context, path string) (string, error)
	// Save writes a new file that only this program's user may read. One of
	// the same content is as good.
	Save(ctx context.Context, path string, data []byte) error
	// Replace puts new content in place of what has the digest before, at
	// once or not at all; mode and owner stay.
	Replace(ctx context.Context, path string, data []byte, before string) error
	// Restore is Replace with mode and owner given. An empty before is a file
	// that is not there yet.
	Restore(ctx context.Context, path string, data []byte, before string, as Access) error
	// Remove removes a file that has the digest before.
	Remove(ctx context.Context, path string, before string) error
	// Delete removes a file that is still the one described, for good.
	Delete(ctx context.Context, a plan.Archive) error
	// Stop ends a process, if it is still the one described; otherwise it
	// fails with ErrGone.
	Stop(ctx context.Context, stop plan.Stop) error
	Bridge
	API
	// Sweep removes what a run that was cut off has left half-written in
	// directories.
	Sweep(ctx context.Context, dirs ...string) error
}

// Access is who may use a file.
type Access struct {
	Mode     uint32
	UID, GID int
}

// Bridge puts up and takes down what serves while an API server is replaced.
// Each of its calls may be repeated, and none of what it puts up needs this
// program to live on.
type Bridge interface {
	// Standby makes the content of the standby's manifest of the main one's.
	Standby(ctx context.Context, b plan.Bridge) ([]byte, error)
	// Guard keeps the service kubernetes from losing its endpoints.
	Guard(ctx context.Context, b plan.Bridge) error
	// Unguard removes the guard, and what was kept for connections that have
	// ended since.
	Unguard(ctx context.Context, b plan.Bridge) error
	// Steer leads new connections to the process that listens on the standby's
	// port.
	Steer(ctx context.Context, b plan.Bridge, pid int) error
	// Unsteer leads them back, and leaves nothing behind.
	Unsteer(ctx context.Context, b plan.Bridge) error
	// Hold keeps what arrives on a process's established connections to a port
	// from it, for a moment; the kernel ends that by itself after plan.HoldLimit, and
	// the function before.
	Hold(ctx context.Context, b plan.Bridge, pid, port int) (count int, release func() error, err error)
	// ReleaseLease gives up a lease in the name of its holder, whose process has
	// ended; not one that another has got meanwhile.
	ReleaseLease(ctx context.Context, l plan.Lease, holder fact.Text) error
	// Listens says whether a process accepts connections on a port.
	Listens(pid, port int) bool
}

// API changes objects of the API.
type API interface {
	// Object reads the object as JSON; nil where there is none.
	Object(ctx context.Context, o plan.Object) (json.RawMessage, error)
	// Patch applies a merge patch, or with rehearse asks what would come of it,
	// and returns what the server warns of. Where the object was changed since
	// the version in the patch, it fails with ErrChanged; where the server
	// refused, with ErrRefused. After any other failure it may have been done.
	Patch(ctx context.Context, o plan.Object, patch []byte, rehearse bool) (warnings []string, err error)
}

// Eyes look at the node.
type Eyes interface {
	Look(ctx context.Context) (plan.Seen, error)
}

// Journal is the durable record. Append returns after the record is on disk.
type Journal interface {
	Append(at time.Time, r journal.Record) error
}

// SPDX-License-Identifier: Apache-2.0

// Package source looks: at the machine, its manifests and files, its processes
// and its ports. A source serves the wants of its verbs and pushes what it
// finds as facts; what it cannot look at it says. It never judges.
//
// Survey drives them: what was found decides what is looked at next, until
// nothing new is asked for.
package source

import (
	"context"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/layout"
)

// Source looks at one sort of thing.
//
// Look serves the wants of s and hands on what it finds in an order that only
// depends on what is there. A failure is an Unseen, and so is everything that
// was not looked at when ctx ended; what does not exist and was not required
// is nothing. Look returns soon after ctx has ended. emit and unseen are not
// called concurrently, and not after Look has returned.
type Source interface {
	Name() string
	Look(ctx context.Context, s Scope, emit func(fact.Fact), unseen func(fact.Unseen))
}

// Scope is what a source is to look at in one round, and within which bounds.
type Scope struct {
	fact.Scope
	FS       *host.FS      // nil when no file system is looked at
	Wants    []layout.Want // of the source's verbs, not served before
	Timeouts Timeouts
	Limits   Limits
}

// Timeouts bound single looks.
type Timeouts struct {
	Disk    time.Duration // a file, a directory tree, the list of processes
	Local   time.Duration // all of one look at a port of this machine
	Outside time.Duration // all of one look at a port elsewhere
}

// DefaultTimeouts suit a person who waits: a machine answers itself soon or
// not at all.
var DefaultTimeouts = Timeouts{Disk: 3 * time.Second, Local: 750 * time.Millisecond, Outside: 5 * time.Second}

// Limits bound sizes and numbers.
type Limits struct {
	File      int64           // bytes of one file
	YAML      int64           // bytes of a manifest, or of the kubelet's configuration
	Manifests int             // files of a manifest directory
	List      host.ListLimits // of a directory tree
}

// DefaultLimits are far above what a control plane has.
var DefaultLimits = Limits{
	File:      host.FileLimit,
	YAML:      1 << 20, // understanding YAML costs a hundred times its size
	Manifests: 1000,
	List:      host.ListLimits{Files: 50_000, Entries: 100_000, Depth: 8},
}

// Entry is a source in the table.
type Entry struct {
	Source
	Verbs []layout.Verb
	About string // one line, for the docs
	// Aside says that a round does not wait for the source: its answers take
	// long, and what is on the disk is looked at meanwhile.
	Aside bool
}

// All is the one table of sources, in the order of the docs.
func All() []Entry {
	return []Entry{
		{node, []layout.Verb{layout.LookNode}, "the machine's name, clock and addresses", false},
		{manifests, []layout.Verb{layout.LookManifests}, "static pod manifests, every file that the kubelet would read", false},
		{kubelet, []layout.Verb{layout.LookKubelet}, "the kubelet's configuration file", false},
		{platform, []layout.Verb{layout.LookPlatform}, "the kernel's release and the version of its control groups", false},
		{configs, []layout.Verb{layout.LookConfig}, "versions, kinds and feature gates of the configuration files that flags name, a kubelet's flags where nothing runs, and nothing else in them", false},
		{processes, []layout.Verb{layout.LookProcesses}, "command lines and start times of running components", false},
		{programs, []layout.Verb{layout.LookProgram}, "the version of the kubelet, by running its program with --version", false},
		{files, []layout.Verb{layout.LookFile, layout.LookView}, "certificates, keys and kubeconfigs, on the disk and as a process sees them", false},
		{listing, []layout.Verb{layout.LookListing}, "directory trees that may hold credentials which nothing names", false},
		{copies, []layout.Verb{layout.LookCopies}, "users' kubeconfigs that may be copies of the node's: their users with a client certificate", false},
		{renewers, []layout.Verb{layout.LookRenewers}, "timers, crontabs and leftovers of what else renews certificates", false},
		{changes, []layout.Verb{layout.LookJournal}, "the journal of what was changed here: what has begun and not ended", false},
		{archives, []layout.Verb{layout.LookArchives}, "archives of checkpointed containers: their sizes and modes, never what is in them", false},
		{ports, []layout.Verb{layout.LookHandshake, layout.LookVersion, layout.LookReady, layout.LookFleet}, "what TLS ports present, which version answers and whether it is ready, without credentials", true},
		{bridge, []layout.Verb{layout.LookGuard, layout.LookLease, layout.LookSteering, layout.LookHeld}, "what a handover of the API server has put up: steering, held connections and, with the node's administrator's kubeconfig, the guard of the service kubernetes", true},
	}
}

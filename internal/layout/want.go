// SPDX-License-Identifier: Apache-2.0

package layout

// Verb is a way of looking. Each is served by one source.
type Verb string

// The verbs.
const (
	LookNode      Verb = "node"      // the machine: its name, clock, addresses
	LookManifests Verb = "manifests" // Path: a directory of static pod manifests
	LookProcesses Verb = "processes" // the running machine's control-plane and kubelet processes; Inside: those of a program's name
	LookProgram   Verb = "program"   // PID: the version that the kubelet's program says of itself
	LookKubelet   Verb = "kubelet"   // Path: a KubeletConfiguration file
	LookConfig    Verb = "config"    // Path: a configuration file, or a directory of them, that the Flag of a Component names
	LookPlatform  Verb = "platform"  // the machine: its kernel and its control groups
	LookFile      Verb = "file"      // Path: certificates, keys or a kubeconfig
	LookListing   Verb = "listing"   // Path: a directory tree
	LookCopies    Verb = "copies"    // Path: kubeconfigs that may be copies of the node's; one directory in it may be *
	LookRenewers  Verb = "renewers"  // Path: a directory or file of jobs that may renew certificates
	LookView      Verb = "view"      // PID, Inside: a file as a process sees it; Path: the same on the host
	LookHandshake Verb = "handshake" // Endpoint, SNI: what a TLS port presents
	LookVersion   Verb = "version"   // Endpoint: what GET /version tells an anonymous client
	LookReady     Verb = "ready"     // Endpoint, Inside: what GET of a path such as /readyz tells an anonymous client
	LookLease     Verb = "lease"     // Path: an administrator's kubeconfig; Endpoint: of the API server; Inside: the lease's name
	LookJournal   Verb = "journal"   // Path: the journal of what was changed here; what of it has not ended
	LookGuard     Verb = "guard"     // Path: an administrator's kubeconfig; Endpoint: whether the service kubernetes is guarded
	LookSteering  Verb = "steering"  // the running machine: whether new connections are led elsewhere
	LookHeld      Verb = "held"      // PID: whether connections of a process are held; Endpoint: that it serves
	LookArchives  Verb = "archives"  // Path: the kubelet's directory of checkpoints
	LookFleet     Verb = "fleet"     // Endpoint: as a handshake with the loopback SNI, repeated until no new API server answers
)

// ofPath says that a verb looks at a path of the node.
func (v Verb) ofPath() bool {
	switch v {
	case LookJournal, LookArchives, LookManifests, LookKubelet, LookConfig, LookFile, LookListing, LookCopies, LookRenewers, LookView:
		return true
	}
	return false
}

// Want is one thing to look at next. Discover returns the wants that follow
// from what has been seen; a source serves those of its verbs.
type Want struct {
	Verb     Verb
	Path     string // on the node, absolute, without the looker's root
	Inside   string // the same file's path as the process sees it
	PID      int
	Endpoint string // host:port
	SNI      string
	// Component and Flag are what names a configuration file.
	Component, Flag string
	// Required says that a flag or a file names the path: if it is not
	// there, that is a fact (File.Missing), not an absence.
	Required bool
	// Sweep says that the path was found by listing a directory: content
	// that is no credential is nothing.
	Sweep bool
	// Local says that the endpoint is on this machine, so that it answers
	// soon or not at all.
	Local bool
}

// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"perennial.dev/perennial/internal/fact"
)

// Layout is how a cluster is laid out on one node.
type Layout struct {
	Scope fact.Scope
	Node  string // the node's name as the cluster knows it, where that can be seen
	// NodeGuessed says that only the machine's name is known, which the
	// cluster's name for the node may differ from.
	NodeGuessed bool
	// KubernetesDir is the scope's, or what the running components say where
	// nothing lies at kubeadm's place.
	KubernetesDir string
	CertDir       string // of the certificates, as the components name it
	// KubeletClient is the file in which the kubelet keeps its current client
	// certificate and key; empty where no kubelet was found.
	KubeletClient string
	Components    []Component
	Credentials   []Credential // sorted by ID
	Ports         []Port       // TLS ports worth a handshake
	Reached       []string     // host:port by which clients reach the API server of this node
	Admins        []string     // paths of the kubeconfigs that may look at everything, the first to use first
	Renewers      []Renewer    // what else on the node renews
	Wants         []Want       // what to look at, all rounds; what was served already is the caller's to know
	Unseen        []fact.Unseen
}

// Component is a program of the cluster on this node: what its manifest says
// should run, the process that does run, or both.
type Component struct {
	Name     string // kube-apiserver, etcd, ...; for other static pods the container's name
	Manifest string // path; empty when no manifest explains the process
	Image    fact.Text
	Args     []string // of the manifest
	Flags    Flags
	Mounts   []fact.Mount
	Process  *fact.Process // nil: not running, or not looked for
	Edited   bool          // the process runs with other arguments than the manifest names
}

// Role is what a credential is used as.
type Role string

// The roles.
const (
	Serving    Role = "serving"    // presented by a TLS server
	Client     Role = "client"     // presented by a TLS client
	Authority  Role = "authority"  // a CA that somebody trusts
	Kubeconfig Role = "kubeconfig" // a client certificate inside or beside a kubeconfig
	Signing    Role = "signing"    // a bare key pair, such as the service-account keys
	Unclaimed  Role = "unclaimed"  // found in a directory, and nothing that runs names it
)

// Credential is one credential of the node.
type Credential struct {
	ID   fact.ID
	Role Role
	Path string // of the certificate, the bundle, the kubeconfig or the public key
	Key  string // path of the private key; empty where it is in Path or unknown
	// Peer says that the certificate proves itself both as server and as
	// client (etcd's peers).
	Peer      bool
	Trust     []string // paths of the files with the CAs that its verifiers trust; empty: not known
	Consumers []Consumer
	Ports     []string // endpoints where it is served, without SNI
	Covers    []string // host names and addresses that clients use for it
	// SelfRotating says that its user, the kubelet, renews it.
	SelfRotating bool
	// SelfMade says that nothing names the kubelet's serving certificate, so that the
	// kubelet makes it: at a start at which neither the file nor its key is there, for
	// a year, and never again (InitializeTLS, cmd/kubelet/app/server.go, 1.25 to 1.37).
	SelfMade bool
	// OnlyHere says that the certificate must name this node.
	OnlyHere bool
}

// Consumer is a component that reads a credential, and the flag that says so.
type Consumer struct {
	Component string
	Flag      string // empty for a file that is mounted and not named by a flag
	PID       int    // 0: not running, or not looked for
}

// Port is a TLS port of a component.
type Port struct {
	Component string
	Endpoint  string // host:port to dial
	Remote    bool   // on another machine, such as an external etcd
	Peer      bool   // etcd's peer port
}

// ByID finds a credential.
func (l Layout) ByID(id fact.ID) (Credential, bool) {
	for _, c := range l.Credentials {
		if c.ID == id {
			return c, true
		}
	}
	return Credential{}, false
}

// Component finds the first component of a name.
func (l Layout) Component(name string) (Component, bool) {
	for _, c := range l.Components {
		if c.Name == name {
			return c, true
		}
	}
	return Component{}, false
}

// Endpoint is where a component of this node answers, as host:port; empty where
// no port of it was found.
func (l Layout) Endpoint(component string) string {
	for _, p := range l.Ports {
		if p.Component == component && !p.Peer && !p.Remote {
			return p.Endpoint
		}
	}
	return ""
}

// Administrator is a kubeconfig of the node that may look at everything, or what
// the scope names in its place.
func (l Layout) Administrator() (conf string, ok bool) {
	if l.Scope.Identity != "" {
		return l.Scope.Identity, true
	}
	if len(l.Admins) == 0 {
		return "", false
	}
	return l.Admins[0], true
}

// Discover finds the layout from what has been seen so far, and what to look
// at next. It is called again with more facts until nothing new is wanted.
func Discover(scope fact.Scope, facts []fact.Fact) Layout {
	d := &discovery{
		Layout: Layout{Scope: scope}, files: map[string]fact.File{}, shown: map[string]bool{}, wanted: map[Want]bool{},
		byPath: map[string]int{}, byID: map[fact.ID]string{}, relative: map[string]bool{}, alike: map[fact.ID]int{}, trust: map[flagRef][]string{},
	}
	for _, f := range facts {
		d.take(f)
	}
	d.findKubernetesDir()
	d.findComponents()
	d.findNode()
	d.findCredentials()
	d.CertDir = d.certDir()
	d.findPorts()
	d.findReached()
	d.findAdmins()
	d.findRenewers()
	d.findWants()
	d.findNothing()
	return d.Layout
}

// findNothing says so where a whole look led to no part of a cluster: silence
// would read as health.
func (d *discovery) findNothing() {
	if d.node.Root == "" || len(d.Components) > 0 || len(d.Credentials) > 0 || len(d.manifests) > 0 {
		return
	}
	d.Unseen = append(d.Unseen, fact.Unseen{
		Source: "files", What: fact.Text("a Kubernetes node in " + d.KubernetesDir), Why: fact.Unsupported,
		Detail: "no manifest, no certificate and no process of one was found",
		Hint:   "run this on a node, or say where its files are with --root or --kubernetes-dir",
	})
}

// discovery is the work in progress of one Discover.
type discovery struct {
	Layout
	node        fact.Node
	manifests   []fact.Manifest
	processes   []fact.Process
	kubelet     *fact.KubeletConfig
	selfMade    bool // the kubelet makes its serving certificate
	files       map[string]fact.File
	listings    []fact.Listing
	renewers    []fact.Renewer
	shown       map[string]bool // endpoints that answered
	pluginFiles []string        // that an AdmissionConfiguration names
	bridged     bool            // there may be something of a handover in the API, too
	wanted      map[Want]bool
	byPath      map[string]int       // of a credential, while they are being found
	byID        map[fact.ID]string   // the path that has the name
	relative    map[string]bool      // paths that were said to be unseen
	alike       map[fact.ID]int      // how many credentials wanted the name beside that one
	trust       map[flagRef][]string // what trusted has answered
}

func (d *discovery) take(f fact.Fact) {
	switch f := f.(type) {
	case fact.Node:
		d.node = f
	case fact.Manifest:
		d.manifests = append(d.manifests, f)
	case fact.Process:
		d.processes = append(d.processes, f)
	case fact.KubeletConfig:
		if d.kubelet == nil && f.Problem == "" {
			d.kubelet = &f
		}
	case fact.File:
		d.files[f.Path] = f
	case fact.Renewer:
		d.renewers = append(d.renewers, f)
	case fact.Listing:
		d.listings = append(d.listings, f)
	case fact.ConfigDocument:
		d.takeConfig(f)
	case fact.Served:
		d.shown[f.Endpoint] = true
	case fact.Steering, fact.Unfinished:
		d.bridged = true
	}
}

// running says that the file system looked at is the running machine's, so
// that processes and ports belong to it.
func (d *discovery) running() bool { return d.Scope.Root == "/" }

// SPDX-License-Identifier: Apache-2.0

// Package fact is the closed set of things that Perennial can see, unjudged.
//
// A Fact says what was there: a file and the certificates in it, a process and
// its command line, what a port served. It says nothing about whether that is
// good. Facts come from sources, can be written to a file and read back
// (Record), and are all that the judging packages ever get, so the same facts
// always give the same findings.
//
// No fact holds private key material: a key is seen as its public side only.
package fact

import "time"

// Kind names a type of fact in records. Kinds never change their meaning.
type Kind string

// The closed set of kinds.
const (
	KindNode          Kind = "Node"
	KindManifest      Kind = "Manifest"
	KindProcess       Kind = "Process"
	KindKubeletConfig Kind = "KubeletConfig"
	KindFile          Kind = "File"
	KindView          Kind = "View"
	KindListing       Kind = "Listing"
	KindServed        Kind = "Served"
	KindVersion       Kind = "Version"
	KindRenewer       Kind = "Renewer"
	KindReady         Kind = "Ready"
	KindSteering      Kind = "Steering"
	KindGuard         Kind = "Guard"
	KindHeld          Kind = "Held"
	KindUnfinished    Kind = "Unfinished"
	KindLease         Kind = "Lease"

	KindObject         Kind = "Object"
	KindRequested      Kind = "Requested"
	KindEtcdMember     Kind = "EtcdMember"
	KindPlatform       Kind = "Platform"
	KindConfigDocument Kind = "ConfigDocument"
)

// Fact is one thing seen. The set of implementations is closed: they are the
// types of this package.
type Fact interface {
	Kind() Kind
	fact()
}

// Unseen is something there is reason to believe exists but that could not be
// looked at. It is never left out of a report.
type Unseen struct {
	Source string `json:"source"`           // the source that tried: files, processes, wire ...
	What   Text   `json:"what"`             // a path, an endpoint, a process
	Why    Why    `json:"why"`              // the class of cause
	Detail Text   `json:"detail,omitempty"` // the cause in words
	Hint   Text   `json:"hint,omitempty"`   // what to do to see it
}

// Why is the class of cause of an Unseen, small enough to be a metric label.
type Why string

// The classes of cause.
const (
	Denied      Why = "Denied"      // no permission
	Unreachable Why = "Unreachable" // refused, no route, reset
	Timeout     Why = "Timeout"     // did not answer in time
	NotTLS      Why = "NotTLS"      // answered, but not TLS
	TooLarge    Why = "TooLarge"    // larger than the limit for its kind
	Malformed   Why = "Malformed"   // there, but cannot be understood
	Unsupported Why = "Unsupported" // understood, but not looked into
	Canceled    Why = "Canceled"    // the look was ended before
	Failed      Why = "Failed"      // any other failure
)

// Node is the machine that was looked at.
type Node struct {
	Hostname Text      `json:"hostname,omitempty"`
	Root     string    `json:"root"` // the file system looked at; "/" for the running machine
	Now      time.Time `json:"now"`  // the node's wall clock when the look began
	// Addresses are the IP addresses of the machine's interfaces, empty for
	// a file system that is not the running machine's.
	Addresses []string `json:"addresses,omitempty"`
}

// Manifest is one static pod's manifest.
type Manifest struct {
	Path       string      `json:"path"`
	Meta       Meta        `json:"meta"`
	Digest     string      `json:"digest,omitempty"` // "sha256:<hex>" over the content as it was read
	Name       Text        `json:"name"`
	Namespace  Text        `json:"namespace,omitempty"`
	Containers []Container `json:"containers,omitempty"`
	Mounts     []Mount     `json:"mounts,omitempty"`
	// Problem is why the manifest could not be understood; the other fields
	// are then empty.
	Problem Text `json:"problem,omitempty"`
}

// Container is a container of a static pod.
type Container struct {
	Name  Text     `json:"name"`
	Image Text     `json:"image"`
	Args  []string `json:"args"` // command and args, in one list
}

// Mount is a host path in a container.
type Mount struct {
	Container Text   `json:"container"`
	HostPath  string `json:"hostPath"`
	Path      string `json:"path"`           // inside the container
	Type      string `json:"type,omitempty"` // Kubernetes' hostPath type, such as FileOrCreate
}

// Process is a running process that may belong to a cluster.
type Process struct {
	PID   int       `json:"pid"`
	Start time.Time `json:"start"` // wall clock, to about a hundredth of a second
	// SinceBoot is from the boot of the machine to its start, in steps of a
	// hundredth of a second. With the PID it tells a process from every other one,
	// whatever happens to the clock on the wall. 0: not known.
	SinceBoot time.Duration `json:"sinceBoot,omitempty"`

	Args []string `json:"args"`          // the command line; hostile, print through Text
	Exe  string   `json:"exe,omitempty"` // empty where it may not be read
	// Contained says that the process has another mount namespace than the
	// looker, so its paths may not be the host's.
	Contained bool `json:"contained,omitempty"`
	// Foreign says that the process belongs neither to root nor to the looker:
	// any user may have started it, under any name.
	Foreign bool `json:"foreign,omitempty"`
	// Unit is the systemd service that it belongs to, empty in a container,
	// and UnitRestart that unit's Restart= setting.
	Unit        string `json:"unit,omitempty"`
	UnitRestart string `json:"unitRestart,omitempty"`
	// Env holds those of etcd's ETCD_* variables that name files, addresses
	// or the member (EtcdEnv); no other variable is kept.
	Env []string `json:"env,omitempty"`
}

// startSlack is by how much the start of one process may differ between two looks
// where only the wall clock tells: it is slewed, and read in two steps. No process
// is looked at, stopped and started again in that time.
const startSlack = 100 * time.Millisecond

// Same says whether two looks saw the same process.
func (p Process) Same(o Process) bool {
	switch {
	case p.SinceBoot != 0 && o.SinceBoot != 0:
		return p.PID == o.PID && p.SinceBoot == o.SinceBoot
	case p.PID != 0 && o.PID != 0 && p.PID != o.PID:
		return false
	}
	return p.Start.Sub(o.Start).Abs() <= startSlack
}

// EtcdEnv are the suffixes of the ETCD_* variables that a Process keeps.
var EtcdEnv = []string{"_FILE", "_URLS", "_NAME", "_DATA_DIR"}

// KubeletConfig is what matters of a KubeletConfiguration file
// (kubelet.config.k8s.io/v1beta1).
type KubeletConfig struct {
	Path               string `json:"path"`
	StaticPodPath      string `json:"staticPodPath,omitempty"`
	ClientCAFile       string `json:"clientCAFile,omitempty"`
	TLSCertFile        string `json:"tlsCertFile,omitempty"`
	TLSKeyFile         string `json:"tlsPrivateKeyFile,omitempty"`
	RotateCertificates bool   `json:"rotateCertificates,omitempty"`
	ServerTLSBootstrap bool   `json:"serverTLSBootstrap,omitempty"`
	Address            string `json:"address,omitempty"`
	Port               int    `json:"port,omitempty"` // 0: not set, the kubelet's default is 10250
	ClusterDomain      string `json:"clusterDomain,omitempty"`
	// Node is the node that a kubelet told it of itself for; empty for a file.
	Node Text `json:"node,omitempty"`
	// Gates are the feature gates that it sets, by name.
	Gates map[string]bool `json:"gates,omitempty"`
	// FailCgroupV1 is failCgroupV1 (1.31); nil where it is not set.
	FailCgroupV1 *bool `json:"failCgroupV1,omitempty"`
	Problem      Text  `json:"problem,omitempty"`
}

// Meta is what a file system tells about a file without reading it.
type Meta struct {
	Mode    uint32    `json:"mode"` // permission bits only
	UID     int       `json:"uid"`
	GID     int       `json:"gid"`
	Size    int64     `json:"size"`
	ModTime time.Time `json:"modTime"`
	Device  uint64    `json:"device"`
	Inode   uint64    `json:"inode"`
	Target  string    `json:"target,omitempty"` // where a symbolic link ends
}

// File is a file that holds, or should hold, certificates, keys or a kubeconfig.
type File struct {
	Path    string `json:"path"` // as the node sees it, without the looker's root
	Meta    Meta   `json:"meta"`
	Missing bool   `json:"missing,omitempty"` // a flag or file names it, and it is not there
	// Digest is "sha256:<hex>" over the content as it was read. For files that
	// hold a private key it gives nothing away: a key is no guess.
	Digest     string      `json:"digest,omitempty"`
	Certs      []Cert      `json:"certs,omitempty"` // in the order of the file
	Keys       []Key       `json:"keys,omitempty"`
	Kubeconfig *Kubeconfig `json:"kubeconfig,omitempty"`
	// Requests are the public keys of the signing requests in the file.
	Requests []Key `json:"requests,omitempty"`
	// Problem is why the content, or a part of it, could not be understood.
	Problem Text `json:"problem,omitempty"`
	// Copy says that it was looked at as a possible copy of a kubeconfig: only
	// its users with a client certificate are kept.
	Copy bool `json:"copy,omitempty"`
	// Omitted counts certificates beyond the limit that were not kept.
	Omitted int `json:"omitted,omitempty"`
}

// Key is the public side of a private or public key found in a file.
type Key struct {
	Algorithm string `json:"algorithm"`      // RSA, ECDSA, Ed25519
	Bits      int    `json:"bits,omitempty"` // RSA modulus or curve size
	Format    string `json:"format"`         // PKCS#1, PKCS#8, SEC1, PKIX
	Public    bool   `json:"public,omitempty"`
	// Fingerprint is "sha256:<hex>" over the DER SubjectPublicKeyInfo; equal
	// to that of the certificates that belong to the key.
	Fingerprint string `json:"fingerprint,omitempty"`
	Encrypted   bool   `json:"encrypted,omitempty"` // needs a password; nothing more is known
}

// Kubeconfig is what matters of a kubeconfig file.
type Kubeconfig struct {
	CurrentContext Text                `json:"currentContext,omitempty"`
	Clusters       []KubeconfigCluster `json:"clusters,omitempty"`
	Users          []KubeconfigUser    `json:"users,omitempty"`
}

// KubeconfigCluster is one cluster of a kubeconfig.
type KubeconfigCluster struct {
	Name    Text   `json:"name"`
	Current bool   `json:"current,omitempty"` // the current context uses it
	Server  Text   `json:"server"`
	CAFile  string `json:"caFile,omitempty"` // absolute
	CAs     []Cert `json:"cas,omitempty"`    // embedded
}

// KubeconfigUser is one user of a kubeconfig.
type KubeconfigUser struct {
	Name     Text   `json:"name"`
	Current  bool   `json:"current,omitempty"`
	CertFile string `json:"certFile,omitempty"` // absolute
	KeyFile  string `json:"keyFile,omitempty"`  // absolute
	Certs    []Cert `json:"certs,omitempty"`    // embedded
	Key      *Key   `json:"key,omitempty"`      // embedded
	Other    string `json:"other,omitempty"`    // token, exec, basic: how it proves itself otherwise
	Problem  Text   `json:"problem,omitempty"`
}

// View is a file as a process sees it. A single file that is mounted into a
// container stays the old one there after a rename on the host.
type View struct {
	PID         int       `json:"pid"`
	Path        string    `json:"path"` // on the host
	Device      uint64    `json:"device"`
	Inode       uint64    `json:"inode"`
	ModTime     time.Time `json:"modTime"`
	Fingerprint string    `json:"fingerprint,omitempty"` // of the current user's leaf in it
}

// Listing is what a directory tree holds. Paths are the node's.
type Listing struct {
	Dir   string   `json:"dir"`
	Files []string `json:"files,omitempty"` // absolute, sorted; regular files and links to them
	More  int      `json:"more,omitempty"`  // beyond the limit
}

// Served is what a TLS port presented in a handshake without credentials.
type Served struct {
	Endpoint string    `json:"endpoint"`      // host:port as dialled
	SNI      Text      `json:"sni,omitempty"` // the server name asked for
	Certs    []Cert    `json:"certs"`         // leaf first, as sent
	Protocol string    `json:"protocol"`      // TLS 1.3 ...
	At       time.Time `json:"at"`
}

// Version is what a component told of its version: over the wire, or, for the
// kubelet, which no port tells without credentials, by its program.
type Version struct {
	Endpoint string `json:"endpoint,omitempty"`
	PID      int    `json:"pid,omitempty"` // of the process, for what no port tells
	Git      Text   `json:"gitVersion"`    // v1.37.0
	// Emulated is the minor that the server behaves as ("1.36"), empty when
	// it is its own (KEP-4330).
	Emulated Text `json:"emulated,omitempty"`
}

// Renewer is a timer, a crontab or a leftover of something else that renews the
// cluster's certificates.
type Renewer struct {
	Path string `json:"path"`
	What string `json:"what"` // what gave it away: a part of its text, or RenewerLeftover
}

// RenewerLeftover is a Renewer that only left something behind.
const RenewerLeftover = "leftover"

// Ready is what an API server said to GET /readyz without credentials.
type Ready struct {
	Endpoint string `json:"endpoint"`
	Status   int    `json:"status"` // HTTP; 200 is ready
}

// Steering is what makes new connections to one API server reach another one.
type Steering struct {
	Way       string   `json:"way"`   // sk_lookup, nftables
	Place     string   `json:"place"` // the directory of the pinned program, or the table
	On        bool     `json:"on"`    // false: in place, and without effect
	Port      int      `json:"port"`
	Addresses []string `json:"addresses,omitempty"` // empty: all but the loopback
}

// Guard is what keeps the service kubernetes from being left without endpoints.
// It is a fact as well that there is none.
type Guard struct {
	Way     string `json:"way"`     // policy, lease
	Place   string `json:"place"`   // its name in the API, or its key in etcd
	Present bool   `json:"present"` // it is there
	Active  bool   `json:"active"`  // and it was seen to refuse
}

// Held is a process with connections whose segments a filter drops.
type Held struct {
	PID     int `json:"pid"`
	Sockets int `json:"sockets"`
}

// Lease is who leads, of those that run a controller manager or a scheduler.
type Lease struct {
	Name    string    `json:"name"`
	Holder  Text      `json:"holder,omitempty"` // the node's name, "_" and what tells its processes apart
	Renewed time.Time `json:"renewed"`
}

// Unfinished is a change of this machine that has begun and not ended.
type Unfinished struct {
	Plan  string    `json:"plan"` // its ID
	Begun time.Time `json:"begun"`
	Step  Text      `json:"step,omitempty"` // the last one that was begun
}

// Kind implements Fact.
func (Node) Kind() Kind          { return KindNode }
func (Manifest) Kind() Kind      { return KindManifest }
func (Process) Kind() Kind       { return KindProcess }
func (KubeletConfig) Kind() Kind { return KindKubeletConfig }
func (File) Kind() Kind          { return KindFile }
func (View) Kind() Kind          { return KindView }
func (Listing) Kind() Kind       { return KindListing }
func (Served) Kind() Kind        { return KindServed }
func (Version) Kind() Kind       { return KindVersion }
func (Renewer) Kind() Kind       { return KindRenewer }
func (Ready) Kind() Kind         { return KindReady }
func (Steering) Kind() Kind      { return KindSteering }
func (Guard) Kind() Kind         { return KindGuard }
func (Held) Kind() Kind          { return KindHeld }
func (Unfinished) Kind() Kind    { return KindUnfinished }
func (Lease) Kind() Kind         { return KindLease }

func (Node) fact()          {}
func (Manifest) fact()      {}
func (Process) fact()       {}
func (KubeletConfig) fact() {}
func (File) fact()          {}
func (View) fact()          {}
func (Listing) fact()       {}
func (Served) fact()        {}
func (Version) fact()       {}
func (Renewer) fact()       {}
func (Ready) fact()         {}
func (Steering) fact()      {}
func (Guard) fact()         {}
func (Held) fact()          {}
func (Unfinished) fact()    {}
func (Lease) fact()         {}

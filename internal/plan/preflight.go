// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/release"
)

// InPlace is the way without a handover: the API server is restarted and is away
// meanwhile.
const InPlace Way = "in-place"

// StandbyPorts are the ports that a standby may have, in the order in which they
// are tried. They are below the range of node ports (30000) and below the one
// that the kernel gives outgoing connections.
var StandbyPorts = []int{6444, 16443, 16444, 26443, 26444}

// StandbyPort is the first port for a standby that is not the main API server's
// and on which nobody listens. False: each is taken.
func StandbyPort(main int, listening []int) (int, bool) {
	for _, port := range StandbyPorts {
		if port != main && !slices.Contains(listening, port) {
			return port, true
		}
	}
	return 0, false
}

// Ground is what a handover would stand on, as it was found on the node. In a
// field named Problem stands why something could not be found out, or cannot be
// done; it is empty where it could.
type Ground struct {
	API             layout.Component       // the main API server
	Standby         layout.StandbyManifest // as layout.Standby made it
	StandbyProblem  fact.Text              // why it made none
	Kubelet         Answer                 // whether it runs
	Image           Answer                 // whether the node has the API server's image
	Listening       []int                  // of StandbyPorts, those on which somebody listens
	Memory          MemoryGround
	CPU             CPUGround
	Paths           map[string]PathKind // what lies at each of Ground.WantedPaths; absent: not known
	LookupProblem   fact.Text           // why steering by sk_lookup cannot be done (steer.Lookup.Able)
	HoldProblem     fact.Text           // why connections cannot be held (steer.AbleToHold)
	NATProblem      fact.Text           // why steering by nftables cannot be done
	Firewall        Answer              // whether a probe from another network namespace reached a listener on the standby's port
	FirewallWhy     fact.Text           // what the probe met
	Replacement     fact.Text           // what stands in for kube-proxy, such as Cilium; empty: nothing known does
	Connections     []Peer              // established ones of the API server
	PeersProblem    fact.Text
	Sessions        Sessions
	SessionsProblem fact.Text
	Wait            layout.Wait // of the kubelet, if the container ended now
	WaitProblem     fact.Text
	Others          []string // addresses of other API servers of the cluster that answered
	Endpoints       []string // addresses in the endpoints of the service kubernetes
	EndpointProblem fact.Text
	// Insisted: somebody wants a handover although the node is busy or other API
	// servers answer.
	Insisted bool
	// Steer is the only way to steer that is wanted; empty: the best that can be
	// had.
	Steer         Way
	PolicyProblem fact.Text // why a ValidatingAdmissionPolicy cannot guard them
	LeaseProblem  fact.Text // why an entry in etcd cannot
	Etcd          *Etcd     // how that entry would be made
}

// MemoryGround is the node's memory, in bytes.
type MemoryGround struct {
	// Available is MemAvailable (proc_meminfo(5)), or what the control groups
	// of all pods leave where that is less.
	Available uint64
	Resident  uint64 // of the API server that runs
	Problem   fact.Text
}

// CPUGround is how busy the node is.
type CPUGround struct {
	Cores   int
	Idle    float64       // share of all cores' time, 0 to 1
	Over    time.Duration // of the sample
	Problem fact.Text
}

// PathKind is what lies at a path of the node, links followed.
type PathKind string

// The kinds.
const (
	PathMissing   PathKind = "missing"
	PathFile      PathKind = "file"
	PathDirectory PathKind = "directory"
	PathSocket    PathKind = "socket"
	PathChar      PathKind = "character-device"
	PathBlock     PathKind = "block-device"
)

// Peer is the other end of an established connection.
type Peer struct {
	Loopback bool      // the connection is to 127.0.0.0/8 or ::1
	Here     bool      // the peer is on this node
	PID      int       // of a peer on this node, where it was found
	Command  fact.Text // its name
}

// Sessions are requests through the API server that last until somebody ends
// them (apiserver_longrunning_requests with these subresources). They end with
// the API server.
type Sessions struct {
	Exec, Attach, PortForward, Log int
}

func (s Sessions) total() int { return s.Exec + s.Attach + s.PortForward + s.Log }

// Level is what a preflight means for a handover.
type Level string

// The levels.
const (
	LevelFine Level = "fine"
	LevelWarn Level = "warn" // it goes on, and it is said
	LevelStop Level = "stop" // no handover, or not in the way that it is about
)

// Preflight is the result of one preflight.
type Preflight struct {
	Code  PreflightCode `json:"code"`
	Level Level         `json:"level"`
	Way   Way           `json:"way,omitempty"` // what it is about alone; empty: both ways
	Says  string        `json:"says"`          // one sentence, without a full stop
	Next  string        `json:"next,omitempty"`
	// Ends says that an API server that is restarted in place would not come
	// back either, or not as the one that it was.
	Ends bool `json:"ends,omitempty"`
}

// Decision is how an API server is replaced.
type Decision struct {
	Way   Way      `json:"way"`
	Guard GuardWay `json:"guard,omitempty"`
	Hold  bool     `json:"hold,omitempty"` // kept connections can be held
	// Reasons are the preflights that decided against a better way.
	Reasons []Preflight `json:"reasons,omitempty"`
	// Ends are those for which the API server must not be restarted in any way.
	Ends   []Preflight `json:"ends,omitempty"`
	Checks []Preflight `json:"checks"`         // all, in the order of Preflights
	Etcd   *Etcd       `json:"etcd,omitempty"` // by which the endpoints are guarded
	// StandbyPort is the port of the standby.
	StandbyPort int `json:"standbyPort,omitempty"`
	// Served says that other API servers of the cluster answer meanwhile, and
	// Drain for how long this one serves on first while it is not ready.
	Served bool `json:"served,omitempty"`
	Drain  Span `json:"drain,omitzero"`
	// Outage is what a restart in place would be felt as, whatever the way.
	Outage Outage `json:"outage"`
}

// Away says whether clients find no API server meanwhile. Nobody has decided
// anything where nothing needs a restart; then d is nil.
func (d *Decision) Away() bool { return d != nil && d.Way == InPlace && !d.Served }

// Outage is how long clients find no API server.
type Outage struct {
	Least Span   `json:"least"`
	Most  Span   `json:"most"`
	Basis string `json:"basis"` // what the figures are made of
}

// Preflight goes through all preflights, in the order of Preflights.
func (g Ground) Preflight() []Preflight {
	var all []Preflight
	for _, info := range Preflights {
		p := info.check(g)
		p.Code = info.Code
		all = append(all, p)
	}
	return all
}

// Decide chooses the way: sk_lookup where it can be done, else nftables, else
// the restart in place. Where one way to steer is wanted, there is no other.
func (g Ground) Decide() Decision {
	d := Decision{
		Way: ByLookup, Checks: g.Preflight(), Outage: g.inPlace(), Hold: g.HoldProblem == "" && !g.repeating(),
		StandbyPort: g.Standby.Port, Served: len(g.Others) > 0, Drain: Span{shutdownDelay(g.API)},
	}
	if d.Guard, _ = g.guard(); d.Guard == GuardLease {
		d.Etcd = g.Etcd
	}
	for _, p := range d.Checks {
		if p.Ends {
			d.Ends = append(d.Ends, p)
		}
	}
	stops := func(way Way) (found []Preflight) {
		for _, p := range d.Checks {
			if p.Level == LevelStop && p.Way == way {
				found = append(found, p)
			}
		}
		return found
	}
	both, lookup, nat := stops(""), stops(ByLookup), stops(ByNAT)
	switch {
	case len(both) > 0:
		d.Way, d.Reasons = InPlace, both
	case g.Steer == ByNAT && len(nat) == 0:
		d.Way = ByNAT
	case g.Steer == ByNAT:
		d.Way, d.Reasons = InPlace, nat
	case len(lookup) == 0:
	case g.Steer == ByLookup:
		d.Way, d.Reasons = InPlace, lookup
	case len(nat) == 0:
		d.Way, d.Reasons = ByNAT, lookup
	default:
		d.Way, d.Reasons = InPlace, append(lookup, nat...)
	}
	if d.Way == InPlace {
		d.inPlace()
	}
	return d
}

func (d *Decision) inPlace() {
	d.Way, d.Guard, d.Etcd, d.Hold, d.StandbyPort = InPlace, "", nil, false, 0
}

// InPlace decides for the restart in place because somebody wants it.
func (d *Decision) InPlace(why string) {
	d.inPlace()
	d.Reasons = []Preflight{{Level: LevelWarn, Says: why}}
}

// Felt is what the restart in place is felt as.
func (d Decision) Felt() string {
	switch {
	case d.Served && d.Drain.Duration > 0:
		return fmt.Sprintf("nothing where a load balancer asks for /readyz and leads to the other API servers: this one says no there and serves on for %s first; then its clients are refused for %s", d.Drain, d.Outage)
	case d.Served:
		return fmt.Sprintf("nothing where a load balancer leads to the other API servers; clients of this one are refused for %s, and a load balancer learns of it then: with --shutdown-delay-duration this one would first serve on and say no on /readyz", d.Outage)
	}
	return "the API is away for " + d.Outage.String() + "; in the cluster, the service kubernetes is for up to " + proxyLag.String() + " more, until kube-proxy has it back"
}

// proxyLag is by how much longer the service's address was refused than the
// node's, when its only API server had taken itself out of its endpoints (1.37.0
// and 1.32.2, kube-proxy by iptables).
const proxyLag = 36 * time.Second

// String is how long, with its basis.
func (o Outage) String() string {
	return fmt.Sprintf("%s to %s (estimated: %s)", o.Least, o.Most, o.Basis)
}

// What a restart in place consists of. The kubelet looks for ended containers
// each second (genericPlegRelistPeriod, pkg/kubelet/kubelet.go); a kube-apiserver 1.36
// was ready 4 to 6 seconds after its start on two busy cores, and a loaded node
// takes longer.
const (
	noticeMost = time.Second
	startLeast = 4 * time.Second
	startMost  = 10 * time.Second
)

// inPlace is what a restart in place is felt as.
func (g Ground) inPlace() Outage {
	o := Outage{
		Least: Span{startLeast}, Most: Span{grace(layout.APIServer) + noticeMost + startMost},
		Basis: "up to 3 s to end, up to 1 s until the kubelet notices, 4 to 10 s until it is ready again (estimated from measurements of 1.36)",
	}
	if g.WaitProblem == "" {
		o.Least.Duration += g.Wait.Now
		o.Most.Duration += g.Wait.NowMost
		if g.Wait.NowMost > 0 {
			o.Basis += ", and the kubelet's restart back-off before that"
		}
	} else {
		o.Basis += "; the kubelet's restart back-off is not known and may add up to 5 minutes"
	}
	if len(g.Others) > 0 {
		o.Least = Span{}
		o.Basis += "; clients behind a load balancer are served by the other API servers meanwhile"
	}
	return o
}

// minor is the release of the API server; zero: not known.
func (g Ground) minor() release.Minor { return g.Standby.Minor }

// WantedPaths are the paths of the node that the preflights have to know about:
// what the standby mounts, and the files that the API server's flags name.
func (g Ground) WantedPaths() []string {
	var all []string
	for _, m := range g.Standby.Mounts {
		all = append(all, m.HostPath)
	}
	for _, f := range g.API.NamedFiles() {
		if f.OnHost != "" {
			all = append(all, f.OnHost)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

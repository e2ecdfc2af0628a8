// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"path"
	"slices"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
)

// Way is how new connections are made to reach another API server.
type Way string

// The ways.
const (
	ByLookup Way = "sk_lookup" // the kernel gives them the other one's socket
	ByNAT    Way = "nftables"  // their destination is translated
)

// GuardWay is how the service kubernetes is kept from losing its endpoints while
// its only API server ends.
type GuardWay string

// The ways to guard.
const (
	GuardPolicy GuardWay = "policy" // a ValidatingAdmissionPolicy (1.30) refuses to empty them
	GuardLease  GuardWay = "lease"  // a second entry beside the API server's own in etcd
	// GuardNone: an API server that ends leaves them as they are, before 1.28
	// (kubernetes/kubernetes#116685).
	GuardNone GuardWay = "none"
)

// Bridge is what serves while an API server is replaced, and how it is led
// there.
type Bridge struct {
	ID          string   `json:"id"`            // of the plan; what is put up is named by it
	Off         bool     `json:"off,omitempty"` // takes away what the same verb has put up
	Main        string   `json:"main"`          // path of the API server's manifest
	Standby     string   `json:"standby"`       // path of the standby's manifest
	Port        int      `json:"port"`          // the API server's
	StandbyPort int      `json:"standbyPort"`
	Way         Way      `json:"way"`
	Addresses   []string `json:"addresses,omitempty"`  // to steer; empty: all but the loopback
	RemoteOnly  bool     `json:"remoteOnly,omitempty"` // leave alone what comes from the address that it goes to
	Pins        string   `json:"pins,omitempty"`       // directory of the pinned program
	Guard       GuardWay `json:"guard"`
	Etcd        *Etcd    `json:"etcd,omitempty"`
	Admin       string   `json:"admin"`          // path of the kubeconfig with which the guard is put up
	Held        []int    `json:"held,omitempty"` // PIDs whose connections were left held
	Hold        bool     `json:"hold,omitempty"` // of kept connections, while a server closes its port
	Wait        Span     `json:"wait,omitzero"`  // before the step acts
}

// HandoverOptions say how an API server is to be replaced.
type HandoverOptions struct {
	ID          string // of the plan
	Way         Way
	StandbyPort int
	Guard       GuardWay
	Etcd        *Etcd // for GuardLease
	Hold        bool
	Quick       bool // do not wait for idle watches and slow requests
	// Patience is how long the API server may take to come back; the kubelet
	// may delay its start by up to five minutes.
	Patience time.Duration
	Pins     string // directory below which the steering program is pinned
	Admin    string // path of an administrator's kubeconfig
}

// The waits of a handover. A watch that has seen nothing for a while goes on at
// another server only from a bookmark, which the server sends about once a
// minute to those who ask for them (k8s.io/apiserver
// pkg/storage/cacher/cacher.go, bookmarkFrequency): the ending of the API server
// takes a minute by itself, for the standby's end it is waited for.
const (
	bookmarkWait = 70 * time.Second
	beforeEnd    = 10 * time.Second
	quickWait    = 3 * time.Second
	// longEnd is what an API server with open watches takes to end: the limit
	// of a request, and some seconds (--request-timeout, 60 s).
	longEnd  = 65 * time.Second
	quickEnd = 3 * time.Second
	// startsWithin is how long a standby may take to start.
	startsWithin = 3 * time.Minute
)

// HoldLimit is when the kernel ends a hold of connections, whatever becomes of
// the program that began it.
const HoldLimit = 3 * time.Second

// cutRequests is felt by whoever does not wait.
const cutRequests = "watches that are idle and get no bookmark in time start anew with a list (kubectl get -w ends); requests that take longer than 3 seconds are cut"

// Handover are the steps that replace the API server of this node while a
// standby serves: every state between two of them is one in which the API
// answers.
func Handover(seen Seen, api layout.Component, why string, o HandoverOptions) ([]Step, error) {
	h, err := newHandover(seen, api, why, o)
	if err != nil {
		return nil, err
	}
	steps := []Step{h.standbyOn(), h.guardOn(), h.steerOn(), h.exchange(), h.steerOff(), h.standbyOff(), h.guardOff()}
	if o.Guard == GuardNone && o.Way != ByNAT { // the last step also removes the tables
		steps = slices.DeleteFunc(steps, func(s Step) bool { return s.Verb == Guard })
	}
	return steps, nil
}

// Takes is about how long a plan takes whose steps wait, or replace an API server:
// its waits, and half a minute for two starts and two ends. Zero: no time worth
// saying.
func Takes(p Plan) time.Duration {
	total := time.Duration(0)
	for _, s := range p.Steps {
		if s.Bridge == nil {
			continue
		}
		if total == 0 {
			total = 30 * time.Second
		}
		if total += s.Bridge.Wait.Duration; s.Stop != nil {
			total += s.Stop.Grace.Duration
		}
	}
	return total.Round(10 * time.Second)
}

// CleanUp are the steps that take away what a handover has left behind, where it
// did.
func CleanUp(seen Seen, api layout.Component, o HandoverOptions) ([]Step, error) {
	h, err := newHandover(seen, api, "", o)
	if err != nil {
		return nil, err
	}
	if standby, ok := seen.Layout.Component(layout.APIServerStandby); ok {
		h.bridge.StandbyPort, _ = standby.Port()
	}
	var steps []Step
	add := func(s Step) {
		s.Why = "an earlier handover has left it behind"
		steps = append(steps, s)
	}
	for _, f := range seen.Facts {
		switch f := f.(type) {
		case fact.Steering:
			h.bridge.Way, h.bridge.Pins = Way(f.Way), f.Place
			add(h.steerOff())
		case fact.Held:
			h.bridge.Held = append(h.bridge.Held, f.PID)
		}
	}
	if len(h.bridge.Held) > 0 && len(steps) == 0 {
		add(h.steerOff())
	}
	for i := range steps {
		steps[i].Bridge.Held = h.bridge.Held
	}
	if _, ok := seen.Layout.Component(layout.APIServerStandby); ok {
		add(h.standbyOff())
	}
	for _, f := range seen.Facts {
		if g, ok := f.(fact.Guard); ok && g.Present {
			add(h.guardOff())
		}
	}
	return steps, nil
}

type handover struct {
	seen   Seen
	api    layout.Component
	why    string
	o      HandoverOptions
	bridge Bridge
}

func newHandover(seen Seen, api layout.Component, why string, o HandoverOptions) (*handover, error) {
	if api.Manifest == "" {
		return nil, fmt.Errorf("planning a handover: %s is no static pod here, and a standby is one", api.Name)
	}
	if api.Process == nil {
		return nil, fmt.Errorf("planning a handover: %s does not run", api.Name)
	}
	port, err := api.Port()
	if err != nil {
		return nil, fmt.Errorf("planning a handover: %w", err)
	}
	b := Bridge{
		ID: o.ID, Main: api.Manifest, Standby: path.Join(path.Dir(api.Manifest), layout.APIServerStandby+".yaml"),
		Port: port, StandbyPort: o.StandbyPort, Way: o.Way, Guard: o.Guard, Etcd: o.Etcd, Hold: o.Hold, Admin: o.Admin,
	}
	if o.Way == ByLookup {
		b.Pins = path.Join(o.Pins, o.ID)
	}
	if address := api.Bound(); address != "" {
		b.Addresses, b.RemoteOnly = []string{address}, true
	}
	return &handover{seen: seen, api: api, why: why, o: o, bridge: b}, nil
}

func (h *handover) step(verb Verb, title, why string, off bool) Step {
	b := h.bridge
	b.Off = off
	return Step{
		Verb: verb, ID: fact.NodeID(h.seen.Layout.Node, layout.APIServerStandby), Title: title, Why: why, Bridge: &b,
		Always: off, Once: "a handover cannot be taken back, and changes nothing that lasts",
	}
}

func (h *handover) file(name string, written bool) File {
	f := File{Path: name, Written: written}
	for _, seen := range h.seen.Facts {
		if m, ok := seen.(fact.Manifest); ok && m.Path == name {
			f.Digest, f.Mode, f.UID, f.GID = m.Digest, m.Meta.Mode, m.Meta.UID, m.Meta.GID
		}
	}
	return f
}

func (h *handover) standbyOn() Step {
	s := h.step(Standby, "start a standby API server", "it serves while the other one is replaced", false)
	main, standby := h.file(h.bridge.Main, false), h.file(h.bridge.Standby, true)
	standby.Mode, standby.UID, standby.GID = main.Mode, main.UID, main.GID
	s.Files = []File{main, standby}
	s.Expect = []Expect{{Predicate: Answers, Component: layout.APIServerStandby, Within: Span{startsWithin}}, {Predicate: Ready, Component: layout.APIServerStandby, Within: Span{startsWithin}}}
	return s
}

func (h *handover) guardOn() Step {
	s := h.step(Guard, "guard the endpoints of the service kubernetes", "an API server that ends takes itself out of them, and it is the last", false)
	s.Expect = []Expect{{Predicate: Guarded}}
	return s
}

func (h *handover) steerOn() Step {
	s := h.step(Steer, "steer new connections to the standby", "nobody is to meet a closed port", false)
	s.Expect = h.reach(layout.APIServerStandby)
	if h.bridge.RemoteOnly {
		s.Felt = fmt.Sprintf("what runs on this node and uses %s itself is not steered, since the API server reaches itself there: it meets a closed port for some seconds", h.bridge.Addresses[0])
	}
	if h.bridge.Way == ByNAT {
		if s.Felt != "" {
			s.Felt += "; "
		}
		s.Felt += "what runs on this node and uses the address of the service kubernetes is not steered: it meets a closed port for some seconds"
	}
	return s
}

func (h *handover) reach(component string) []Expect {
	expect := []Expect{{Predicate: Answers, Component: component}}
	for _, e := range h.seen.Layout.Reached {
		expect = append(expect, Expect{Predicate: Reaches, Endpoint: e, Component: component})
	}
	return expect
}

func (h *handover) exchange() Step {
	s := h.step(Restart, "restart "+h.api.Name, h.why, false)
	s.ID = fact.NodeID(h.seen.Layout.Node, h.api.Name)
	s.Bridge.Wait, s.Felt = Span{beforeEnd}, "nothing by new requests; exec, attach, port-forward and logs -f sessions end within a minute"
	grace := longEnd
	if h.o.Quick {
		s.Bridge.Wait, grace = Span{quickWait}, quickEnd
		s.Felt = "nothing by new requests; exec, attach, port-forward and logs -f sessions end; " + cutRequests
	}
	if h.bridge.Hold {
		s.Felt += "; kept connections pause for about a tenth of a second, and a kept HTTP/1.1 connection may be closed on a client that just writes"
	}
	s.Stop = ending(h.api, grace)
	anew := restarted(h.api)
	anew.Within = Span{h.o.Patience}
	s.Expect = []Expect{
		anew,
		{Predicate: Ready, Component: h.api.Name, Within: Span{h.o.Patience}},
		{Predicate: LoopbackNew, Component: h.api.Name, Within: Span{h.o.Patience}, Fingerprint: h.seen.loopback(h.seen.Layout.Endpoint(h.api.Name))},
	}
	return s
}

func (h *handover) steerOff() Step {
	s := h.step(Steer, "steer new connections back", "the restarted API server is ready", true)
	s.Bridge.Wait = Span{quickWait}
	s.Expect = h.reach(h.api.Name)
	return s
}

func (h *handover) standbyOff() Step {
	s := h.step(Standby, "end the standby", "it is not needed any more", true)
	s.Bridge.Wait = Span{bookmarkWait}
	if h.o.Quick {
		s.Bridge.Wait = Span{2 * quickWait}
	}
	s.Expect = []Expect{{Predicate: Ended, Component: layout.APIServerStandby}}
	return s
}

func (h *handover) guardOff() Step {
	s := h.step(Guard, "remove the guard", "the API server is in its endpoints again", true)
	s.Expect = []Expect{{Predicate: Unguarded}}
	return s
}

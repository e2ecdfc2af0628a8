// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"time"

	"perennial.dev/perennial/internal/etcd"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/steer"
	"perennial.dev/perennial/internal/wire"
)

// sample is over how long the node's load is measured.
const sample = time.Second

// asking bounds what is asked of the API server before a handover.
const asking = 15 * time.Second

// Survey finds out what a handover of an API server would stand on. It changes
// nothing; a network namespace that it makes for a probe is removed again. What
// it could not find out stands in the Ground as a problem.
type Survey struct {
	Files   *host.FS
	Admin   string   // path of an administrator's kubeconfig
	Pins    string   // directory below which the steering program would be pinned
	Version string   // the program's own, for the User-Agent
	Steer   plan.Way // the only way to steer that is wanted; empty: the best that can be had
	Now     func() time.Time
	Sleep   func(context.Context, time.Duration) error
}

// Ground looks at what is under an API server of this node.
func (s Survey) Ground(ctx context.Context, seen plan.Seen, api layout.Component) plan.Ground {
	g := plan.Ground{API: api, Kubelet: plan.Unknown, Image: plan.Unknown, Firewall: plan.Unknown, Steer: s.Steer}
	if k, ok := seen.Layout.Component(layout.Kubelet); ok && k.Process != nil {
		g.Kubelet = plan.Yes
	}
	if api.Process == nil {
		return g
	}
	if !api.Edited {
		g.Image = plan.Yes // its container runs, and the manifest names no other
	}
	pid := api.Process.PID
	for _, port := range plan.StandbyPorts {
		if steer.Listening(pid, uint16(port)) {
			g.Listening = append(g.Listening, port)
		}
	}
	s.standby(ctx, &g)
	s.machine(ctx, &g, pid)
	s.paths(&g)
	s.kernel(ctx, &g, seen, pid)
	s.connections(&g)
	s.restarts(ctx, &g, seen)
	s.api(ctx, &g, seen)
	s.lease(ctx, &g, seen)
	return g
}

func (s Survey) standby(ctx context.Context, g *plan.Ground) {
	data, _, err := s.Files.Read(ctx, g.API.Manifest, host.FileLimit)
	main, portErr := g.API.Port()
	port, free := plan.StandbyPort(main, g.Listening)
	if !free {
		port = plan.StandbyPorts[0]
	}
	if err = errors.Join(err, portErr); err == nil {
		g.Standby, err = layout.Standby(data, layout.StandbyOptions{Port: port})
	}
	g.StandbyProblem = problem(err)
}

func problem(err error) fact.Text {
	if err == nil {
		return ""
	}
	return fact.Text(err.Error())
}

func (s Survey) machine(ctx context.Context, g *plan.Ground, pid int) {
	var err, err2 error
	g.Memory.Available, err = host.MemoryAvailable()
	if room, ok, err := host.MemoryRoom(pid); err == nil && ok {
		g.Memory.Available = min(g.Memory.Available, room)
	}
	g.Memory.Resident, err2 = host.MemoryResident(pid)
	g.Memory.Problem = problem(errors.Join(err, err2))
	g.CPU.Cores, g.CPU.Over = runtime.NumCPU(), sample
	before, err := host.CPUTimes()
	if err == nil {
		err = s.Sleep(ctx, sample)
	}
	if err == nil {
		var after host.CPUTime
		if after, err = host.CPUTimes(); err == nil {
			g.CPU.Idle, _ = after.IdleSince(before)
		}
	}
	g.CPU.Problem = problem(err)
}

func (s Survey) paths(g *plan.Ground) {
	g.Paths = map[string]plan.PathKind{}
	for _, name := range g.WantedPaths() {
		if kind, ok := kindOf(os.Stat(name)); ok {
			g.Paths[name] = kind
		}
	}
}

func kindOf(info fs.FileInfo, err error) (plan.PathKind, bool) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return plan.PathMissing, true
	case err != nil:
		return "", false
	case info.IsDir():
		return plan.PathDirectory, true
	case info.Mode()&fs.ModeSocket != 0:
		return plan.PathSocket, true
	case info.Mode()&fs.ModeCharDevice != 0:
		return plan.PathChar, true
	case info.Mode()&fs.ModeDevice != 0:
		return plan.PathBlock, true
	}
	return plan.PathFile, true
}

// kernel finds out which way of steering works. The firewall is asked only where
// the port would be seen by it.
func (s Survey) kernel(ctx context.Context, g *plan.Ground, seen plan.Seen, pid int) {
	netns := "/proc/" + strconv.Itoa(pid) + "/ns/net"
	g.LookupProblem = problem(steer.Lookup{Dir: path.Join(s.Pins, "able")}.Able(netns, pid))
	g.HoldProblem = problem(steer.AbleToHold())
	if s.Steer == plan.ByLookup || s.Steer == "" && g.LookupProblem == "" {
		g.NATProblem = "not looked at, since it is not needed"
		return
	}
	if _, err := (steer.NAT{NetNS: netns}).State(); err != nil {
		g.NATProblem = problem(err)
		return
	}
	g.Firewall, g.FirewallWhy = firewall(ctx, netns, seen, g.Standby.Port)
}

// firewall asks from another network namespace whether a port of this node is
// let in: for that instant this program listens there.
func firewall(ctx context.Context, netns string, seen plan.Seen, port int) (plan.Answer, fact.Text) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if len(seen.Layout.Reached) == 0 {
		return plan.Unknown, "the address by which clients reach the API server is not known"
	}
	reached, err := netip.ParseAddrPort(seen.Layout.Reached[0])
	if err != nil {
		return plan.Unknown, problem(err)
	}
	to := netip.AddrPortFrom(reached.Addr(), uint16(port))
	listener, err := net.Listen("tcp", to.String())
	if err != nil {
		return plan.Unknown, problem(err)
	}
	defer listener.Close()
	switch err := steer.Reach(ctx, netns, to); {
	case err == nil:
		return plan.Yes, ""
	case errors.Is(err, steer.ErrNotReached):
		return plan.No, problem(err)
	default:
		return plan.Unknown, problem(err)
	}
}

func (s Survey) connections(g *plan.Ground) {
	port, _ := g.API.Port()
	all, err := steer.Connections(fact.Process{PID: g.API.Process.PID}, uint16(port))
	g.PeersProblem = problem(err)
	for _, c := range all {
		if c.PID == os.Getpid() {
			continue
		}
		g.Connections = append(g.Connections, plan.Peer{Loopback: c.Local.Addr().Unmap().IsLoopback(), Here: c.Own, PID: c.PID, Command: fact.Text(c.Command)})
	}
}

// restarts finds out what the kubelet would wait before it starts the container
// again.
func (s Survey) restarts(ctx context.Context, g *plan.Ground, seen plan.Seen) {
	kubelet, _ := seen.Layout.Component(layout.Kubelet)
	var minor release.Minor
	for _, f := range seen.Facts {
		if v, ok := f.(fact.Version); ok && kubelet.Process != nil && v.PID == kubelet.Process.PID {
			if version, err := release.ParseVersion(string(v.Git)); err == nil {
				minor = version.Minor
			}
		}
	}
	var config []byte
	if name := kubelet.Flags.Get("config"); name != "" {
		config, _, _ = s.Files.Read(ctx, name, host.FileLimit) // unread: the longest waits are expected
	}
	rule, err := layout.KubeletBackOff(config, minor)
	var runs []layout.Run
	if err == nil {
		runs, err = s.Files.Runs(ctx, host.PodLogs, "kube-system", layout.APIServer+"-"+seen.Layout.Node, layout.APIServer)
	}
	if len(runs) > 0 { // its log begins a little later
		runs[len(runs)-1].Start = g.API.Process.Start
	}
	started := time.Time{}
	if kubelet.Process != nil {
		started = kubelet.Process.Start
	}
	if err == nil {
		g.Wait = layout.BackOff(runs, started, s.Now(), rule)
	}
	g.WaitProblem = problem(err)
}

// api asks the API server itself, as the node's administrator.
func (s Survey) api(ctx context.Context, g *plan.Ground, seen plan.Seen) {
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	client, err := administer(files{ctx, s.Files}, s.Admin, seen.Layout.Endpoint(layout.APIServer), s.Version)
	if err != nil {
		g.EndpointProblem, g.SessionsProblem, g.PolicyProblem = problem(err), problem(err), problem(err)
		return
	}
	defer client.Close()
	s.service(ctx, client, g, seen)
	sessions, err := client.Sessions(ctx)
	g.Sessions = plan.Sessions{Exec: sessions.Exec, Attach: sessions.Attach, PortForward: sessions.PortForward, Log: sessions.Log}
	g.SessionsProblem = problem(err)
	if found, err := client.KubeProxyReplacement(ctx); err == nil {
		for _, r := range found {
			if r.EBPF {
				g.Replacement = fact.Text(r.Name)
			}
		}
	}
	g.PolicyProblem = problem(client.PoliciesServed(ctx))
}

// service finds the API servers behind the service kubernetes, and which of the
// others answer.
func (s Survey) service(ctx context.Context, client *kube.Client, g *plan.Ground, seen plan.Seen) {
	service, err := client.Endpoints(ctx)
	if g.EndpointProblem = problem(err); err != nil {
		return
	}
	own := []string{g.API.Flags.Get("advertise-address")}
	for _, f := range seen.Facts {
		if n, ok := f.(fact.Node); ok {
			own = append(own, n.Addresses...)
		}
	}
	for _, server := range service.Servers {
		g.Endpoints = append(g.Endpoints, server.String())
		if slices.Contains(own, server.Addr().String()) {
			continue
		}
		if _, err := wire.Handshake(ctx, server.String(), "", 3*time.Second); err == nil {
			g.Others = append(g.Others, server.String())
		}
	}
}

// files reads for what only reads.
type files struct {
	ctx context.Context
	fs  *host.FS
}

// ReadFile implements reader.
func (f files) ReadFile(name string, limit int64) ([]byte, error) {
	data, _, err := f.fs.Read(f.ctx, name, limit)
	return data, err
}

// lease finds out whether the API server's address could be held in etcd.
func (s Survey) lease(ctx context.Context, g *plan.Ground, seen plan.Seen) {
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	all, err := plan.Etcds(seen)
	for _, e := range all {
		var client *etcd.Client
		var server etcd.APIServer
		if client, server, err = lease(files{ctx, s.Files}, &e); err != nil {
			continue
		}
		held, asked := client.AddressHeld(ctx, server)
		if err = asked; err == nil && !held.Own {
			err = etcd.ErrNoAddress
		}
		if err == nil {
			g.Etcd = &e
			break
		}
	}
	g.LeaseProblem = problem(err)
}

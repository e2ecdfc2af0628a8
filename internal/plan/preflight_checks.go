// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/release"
)

func fine(format string, args ...any) Preflight {
	return Preflight{Level: LevelFine, Says: fmt.Sprintf(format, args...)}
}

func warn(next, format string, args ...any) Preflight {
	return Preflight{Level: LevelWarn, Says: fmt.Sprintf(format, args...), Next: next}
}

func stop(next, format string, args ...any) Preflight {
	return Preflight{Level: LevelStop, Says: fmt.Sprintf(format, args...), Next: next}
}

// ends is a stop for every restart, not for a handover alone.
func ends(next, format string, args ...any) Preflight {
	p := stop(next, format, args...)
	p.Ends = true
	return p
}

// only limits a result to one way.
func (p Preflight) only(way Way) Preflight {
	p.Way = way
	return p
}

const restartInPlace = "restart it in place"

func checkManifest(g Ground) Preflight {
	switch {
	case g.API.Manifest == "":
		return stop(restartInPlace, "the API server is no static pod here, and a standby is one")
	case g.StandbyProblem != "":
		return stop(restartInPlace, "%s", g.StandbyProblem)
	case len(g.Standby.LeftOut) > 0:
		return warn("", "the standby is made from %s, without the containers %s, which go on in the main pod", fact.Text(g.API.Manifest), fact.Text(strings.Join(g.Standby.LeftOut, ", ")))
	case g.minor() == 0:
		return warn("", "the release of the API server is not known: the standby ends its watches when it ends itself, not before")
	}
	return fine("a standby can be made from %s", fact.Text(g.API.Manifest))
}

func checkTakenUp(g Ground) Preflight {
	switch {
	case g.API.Process == nil:
		return stop("crictl ps -a --name kube-apiserver", "the API server does not run")
	case g.API.Edited:
		return ends("journalctl -u kubelet", "%s was edited and not taken up: the API server would come back with other flags than it runs with", fact.Text(g.API.Manifest))
	}
	return fine("the API server runs as its manifest says")
}

func checkOthers(g Ground) Preflight {
	switch {
	case len(g.Others) == 0:
		return fine("no other API server of the cluster answers")
	case g.Insisted:
		return warn("", "%s answer, too, and a handover was asked for", count(len(g.Others), "other API server", fact.Text(strings.Join(g.Others, ", "))))
	}
	return stop("restart the API servers one at a time", "%s answer, too: with a load balancer a plain restart is enough", count(len(g.Others), "other API server", fact.Text(strings.Join(g.Others, ", "))))
}

func checkBind(g Ground) Preflight {
	bound := g.API.Flags.Get("bind-address")
	address, err := netip.ParseAddr(bound)
	switch {
	case err != nil || address.IsUnspecified():
		return fine("the API server listens on all addresses of the node")
	case address.IsLoopback():
		return stop(restartInPlace, "the API server listens on %s only, where nothing is steered", address)
	}
	return warn("", "the API server listens on %s only, where it reaches itself: programs of this node that use it are refused for some seconds", address)
}

func checkKubelet(g Ground) Preflight {
	switch g.Kubelet {
	case Yes:
		return fine("the kubelet runs")
	case No:
		return ends("systemctl start kubelet", "the kubelet does not run: nothing would start the standby, nor the API server again")
	}
	return warn("systemctl status kubelet", "whether the kubelet runs could not be seen")
}

func checkMemory(g Ground) Preflight {
	m := g.Memory
	needed := m.Resident + m.Resident*3/10
	switch {
	case m.Problem != "":
		return stop("free -m", "the memory could not be measured: %s", m.Problem)
	case m.Resident == 0:
		return stop("free -m", "how much memory the API server takes is not known")
	case m.Available < needed:
		return stop("free memory on the node", "%d MiB of memory are available, and a second API server may take %d MiB", m.Available>>20, needed>>20)
	}
	return fine("%d MiB of memory are available, and a second API server may take %d MiB", m.Available>>20, needed>>20)
}

// Of a core's time, what a starting API server should find idle, and what it has
// to. On two cores 330 requests a second went through while one started, with
// 420 some were answered 429.
const (
	idleWanted = 1.0
	idleNeeded = 0.33
)

func checkLoad(g Ground) Preflight {
	c := g.CPU
	if c.Problem != "" || c.Cores == 0 {
		return warn("uptime", "how busy the node is could not be measured: %s", c.Problem)
	}
	idle := c.Idle * float64(c.Cores)
	says := fmt.Sprintf("%.1f of %d cores were idle over %s", idle, c.Cores, c.Over.Round(time.Second/10))
	switch {
	case idle < idleNeeded && !g.Insisted:
		return stop("wait for a quieter time", "%s: requests would be answered 429 while a second API server starts", says)
	case idle < idleWanted:
		return warn("wait for a quieter time", "%s: some requests may be answered 429 while a second API server starts; client-go repeats them", says)
	}
	return fine("%s", says)
}

func checkImage(g Ground) Preflight {
	switch g.Image {
	case Yes:
		return fine("the node has the image %s", g.Standby.Image)
	case No:
		return stop(fact.Text("crictl pull "+string(g.Standby.Image)).String(), "the node does not have the image %s", g.Standby.Image)
	}
	return warn("", "whether the node has the image %s could not be seen; it ran from it", g.Standby.Image)
}

func checkPort(g Ground) Preflight {
	port := g.Standby.Port
	switch {
	case port == 0 && g.StandbyProblem == "" || len(g.Listening) == len(StandbyPorts):
		return stop("ss -ltnp", "somebody listens on each of the ports %s", strings.Trim(fmt.Sprint(StandbyPorts), "[]"))
	case slices.Contains(g.Listening, port):
		return stop("ss -ltnp", "somebody listens on port %d", port)
	case port == 0:
		return fine("there is no standby to find a port for")
	}
	return fine("the standby can listen on port %d", port)
}

// mustBe is what the kubelet wants to find at a host path of a type
// (pkg/volume/hostpath/host_path.go).
var mustBe = map[string]PathKind{"File": PathFile, "Directory": PathDirectory, "Socket": PathSocket, "CharDevice": PathChar, "BlockDevice": PathBlock, "FileOrCreate": PathFile, "DirectoryOrCreate": PathDirectory}

func checkVolumes(g Ground) Preflight {
	var bad, odd []string
	for _, m := range g.Standby.Mounts {
		kind, known := g.Paths[m.HostPath]
		where, want := fact.Text(m.HostPath), mustBe[m.Type]
		switch {
		case !known:
			odd = append(odd, fmt.Sprintf("%s could not be looked at", where))
		case kind == PathMissing && m.Type == "":
			odd = append(odd, fmt.Sprintf("%s is not there, and would be made empty", where))
		case kind == PathMissing && strings.HasSuffix(m.Type, "OrCreate"):
		case kind == PathMissing:
			bad = append(bad, fmt.Sprintf("%s is not there", where))
		case want != "" && kind != want:
			bad = append(bad, fmt.Sprintf("%s is a %s and should be a %s", where, kind, want))
		}
	}
	switch {
	case len(bad) > 0:
		return ends("put it back", "%s", strings.Join(bad, "; "))
	case len(odd) > 0:
		return warn("", "%s", strings.Join(odd, "; "))
	}
	return fine("all %d host paths that the standby mounts are there, or are made", len(g.Standby.Mounts))
}

func checkFiles(g Ground) Preflight {
	var gone, unseen []string
	files := g.API.NamedFiles()
	for _, f := range files {
		name := fmt.Sprintf("%s (--%s)", fact.Text(f.Inside), f.Flag)
		switch kind, known := g.Paths[f.OnHost]; {
		case f.OnHost == "" || !known:
			unseen = append(unseen, name)
		case kind != PathFile:
			gone = append(gone, name)
		}
	}
	switch {
	case len(gone) > 0:
		return ends("put it back from a backup", "there is no file %s", strings.Join(gone, ", "))
	case len(unseen) > 0:
		return warn("", "not looked at: %s", strings.Join(unseen, ", "))
	}
	return fine("all %d files that the flags name are there", len(files))
}

func checkHostPorts(g Ground) Preflight {
	if len(g.Standby.HostPorts) == 0 {
		return fine("the manifest reserves no port besides the API server's own")
	}
	return warn("", "the manifest reserves the ports %s, too; the standby does not", strings.Trim(fmt.Sprint(g.Standby.HostPorts), "[]"))
}

func checkAudit(g Ground) Preflight {
	a := g.Standby.Audit
	where := fact.Text(a.OnHost)
	if where == "" {
		where = fact.Text(a.Path)
	}
	switch {
	case a.Main == "":
		return fine("the API server writes no audit log")
	case a.Path == "-":
		return fine("the audit log goes to standard output")
	case a.Path == a.Main:
		return warn("", "the standby's audit log %s is lost with its container", where)
	}
	return warn("read both", "the standby writes an audit log of its own, %s, which stays", where)
}

// policySince is the first minor in which ValidatingAdmissionPolicy is on
// (pkg/features/kube_features.go, v1.30.0).
const policySince = release.Minor(30)

// emptiesSince is the first minor in which an API server that ends takes itself
// out of the endpoints of the service kubernetes (kubernetes/kubernetes#116685).
const emptiesSince = release.Minor(28)

// guard is the way to guard the endpoints; empty, with the reason, where there
// is none.
func (g Ground) guard() (GuardWay, string) {
	policy := string(g.PolicyProblem)
	if policy == "" && g.minor() != 0 && g.minor() < policySince {
		policy = "ValidatingAdmissionPolicy is on from 1.30"
	}
	switch {
	case g.minor() != 0 && g.minor() < emptiesSince:
		return GuardNone, "an API server that ends leaves its endpoints as they are, before 1.28"
	case policy == "":
		return GuardPolicy, ""
	case g.LeaseProblem == "":
		return GuardLease, policy
	}
	return "", fmt.Sprintf("%s; %s", fact.Text(policy), g.LeaseProblem)
}

func checkGuard(g Ground) Preflight {
	way, why := g.guard()
	switch way {
	case GuardNone:
		return fine("the endpoints of the service kubernetes need no guard: %s", why)
	case GuardPolicy:
		return fine("a ValidatingAdmissionPolicy can guard the endpoints of the service kubernetes")
	case GuardLease:
		return warn("", "the endpoints of the service kubernetes are guarded by an entry in etcd, behind the API server's back: %s", fact.Text(why))
	}
	return stop(restartInPlace, "nothing can guard the endpoints of the service kubernetes: %s", why)
}

func checkEndpoints(g Ground) Preflight {
	const look = "kubectl get endpointslices -l kubernetes.io/service-name=kubernetes"
	if g.EndpointProblem != "" {
		return warn(look, "the endpoints of the service kubernetes could not be looked at: %s", g.EndpointProblem)
	}
	if len(g.Endpoints) == 0 {
		return warn(look, "the service kubernetes has no endpoints: clients in the cluster are refused already")
	}
	if silent := len(g.Endpoints) - 1 - len(g.Others); silent > 0 {
		return warn(look, "the endpoints of the service kubernetes are %s, and %s of them did not answer", fact.Text(strings.Join(g.Endpoints, ", ")), count(silent, "other API server", ""))
	}
	return fine("the endpoints of the service kubernetes are %s", fact.Text(strings.Join(g.Endpoints, ", ")))
}

// count is "1 thing" or "2 things", with what they are.
func count(n int, what string, which fact.Text) string {
	if n != 1 {
		what += "s"
	}
	if which != "" {
		return fmt.Sprintf("%d %s (%s)", n, what, which)
	}
	return fmt.Sprintf("%d %s", n, what)
}

func checkLookup(g Ground) Preflight {
	if g.LookupProblem == "" {
		return fine("new connections can be steered by sk_lookup").only(ByLookup)
	}
	return stop("run it as root on the node; Linux 5.9 or later is needed", "new connections cannot be steered by sk_lookup: %s", g.LookupProblem).only(ByLookup)
}

func checkNAT(g Ground) Preflight {
	if g.NATProblem == "" {
		return fine("new connections could be steered by nftables").only(ByNAT)
	}
	return stop("modprobe nft_chain_nat", "new connections cannot be steered by nftables: %s", g.NATProblem).only(ByNAT)
}

func checkFirewall(g Ground) Preflight {
	why := ""
	if g.FirewallWhy != "" {
		why = ": " + g.FirewallWhy.String()
	}
	open := fmt.Sprintf("open port %d for the cluster's hosts", g.Standby.Port)
	switch {
	case g.Firewall == Yes:
		return fine("the node's firewall lets port %d pass", g.Standby.Port).only(ByNAT)
	case g.Firewall == No:
		return stop(open, "the node's firewall does not let port %d pass%s", g.Standby.Port, why).only(ByNAT)
	}
	return stop(open, "whether the node's firewall lets port %d pass is not known%s", g.Standby.Port, why).only(ByNAT)
}

func checkReplacement(g Ground) Preflight {
	if g.Replacement == "" {
		return fine("no stand-in for kube-proxy was found")
	}
	return warn("try it on a node that may fail first", "%s stands in for kube-proxy here: that new connections by the service's address follow was not measured with it", g.Replacement)
}

// clientGo are the programs, as the kernel names them, whose client library
// repeats what a server that ends refuses (client-go, for every verb): they lose
// nothing without a hold.
var clientGo = []fact.Text{"kubelet", "kube-controller", "kube-scheduler", "kube-proxy"}

// repeating says whether all that is connected is known to repeat what is
// refused. Of a peer on another machine nothing is known.
func (g Ground) repeating() bool {
	return g.PeersProblem == "" && !slices.ContainsFunc(g.kept(), func(p Peer) bool { return !slices.Contains(clientGo, p.Command) })
}

func checkHold(g Ground) Preflight {
	switch {
	case g.HoldProblem == "" && g.repeating():
		return fine("kept connections need not be held: all are Kubernetes' own programs' on this node, which repeat what is refused")
	case g.HoldProblem == "":
		return fine("kept connections are held for a moment: who is connected is not known of all")
	}
	return warn("run it as root on the node", "kept connections cannot be held (%s): a few requests on them may be answered 503", g.HoldProblem)
}

// kept are the connections that the API server has with others than itself.
func (g Ground) kept() []Peer {
	return slices.DeleteFunc(slices.Clone(g.Connections), func(p Peer) bool {
		return g.API.Process != nil && p.PID != 0 && p.PID == g.API.Process.PID
	})
}

func checkConnections(g Ground) Preflight {
	if g.PeersProblem != "" {
		return warn("", "the API server's connections could not be counted: %s", g.PeersProblem)
	}
	all := g.kept()
	here := slices.DeleteFunc(slices.Clone(all), func(p Peer) bool { return !p.Here })
	return fine("%s, %d of them from this node%s, connect again", count(len(all), "connection", ""), len(here), commands(here))
}

// commands names the programs behind connections, the most frequent first.
func commands(peers []Peer) string {
	const shown = 6
	times := map[fact.Text]int{}
	for _, p := range peers {
		if p.Command != "" {
			times[p.Command]++
		}
	}
	var names []fact.Text
	for name := range times {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b fact.Text) int {
		if times[a] != times[b] {
			return times[b] - times[a]
		}
		return strings.Compare(string(a), string(b))
	})
	var all []string
	for _, name := range names[:min(len(names), shown)] {
		all = append(all, fmt.Sprintf("%s %d", name, times[name]))
	}
	if len(all) == 0 {
		return ""
	}
	return " (" + strings.Join(all, ", ") + ")"
}

func checkLoopback(g Ground) Preflight {
	if g.PeersProblem != "" {
		return warn("", "whether somebody uses the API server on 127.0.0.1 could not be seen: %s", g.PeersProblem)
	}
	loopback := slices.DeleteFunc(g.kept(), func(p Peer) bool { return !p.Loopback })
	if len(loopback) == 0 {
		return fine("nobody but the API server itself is connected on 127.0.0.1")
	}
	return warn("point them at the node's address", "%s to 127.0.0.1%s: they are refused for some seconds while the API server starts", count(len(loopback), "connection", ""), commands(loopback))
}

func checkSessions(g Ground) Preflight {
	s := g.Sessions
	switch {
	case g.SessionsProblem != "":
		return warn("", "open exec, attach, port-forward and logs -f sessions could not be counted (%s): those that there are end", g.SessionsProblem)
	case s.total() == 0:
		return fine("no exec, attach, port-forward or logs -f session is open")
	}
	return warn("wait until they have ended, or tell their users", "%s: %d exec, %d attach, %d port-forward, %d logs -f; they end",
		count(s.total(), "open session", ""), s.Exec, s.Attach, s.PortForward, s.Log)
}

func checkBackOff(g Ground) Preflight {
	w := g.Wait
	again := fmt.Sprintf("one more end within ten minutes would be followed by %s", waits(w.Again, w.AgainMost))
	switch {
	case g.WaitProblem != "":
		return warn("", "the kubelet's restart back-off is not known (%s): the API server may be away for up to 5 minutes", g.WaitProblem)
	case w.Now == 0:
		return fine("the kubelet starts the API server again at once; %s", again)
	case !w.Sure:
		return warn("wait ten minutes", "the kubelet may leave the API server away for %s at the most; %s", waits(w.Now, w.NowMost), again)
	}
	return warn("wait ten minutes", "the kubelet leaves the API server away for %s, since it ended not long ago; %s", waits(w.Now, w.NowMost), again)
}

func waits(least, most time.Duration) string {
	if most <= least {
		return least.String()
	}
	return fmt.Sprintf("%s to %s", least, most)
}

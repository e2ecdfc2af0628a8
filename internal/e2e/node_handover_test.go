// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"cmp"
	"crypto/x509"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// wantedHandovers is how often the API server is handed over in one run.
func wantedHandovers(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv("PERENNIAL_NODE_HANDOVERS"), "3"))
	if err != nil || n < 1 {
		t.Fatalf("PERENNIAL_NODE_HANDOVERS is %q, want a number", os.Getenv("PERENNIAL_NODE_HANDOVERS"))
	}
	return n
}

// patient is how many of the handovers wait for idle watches; the rest, which
// come after them, are quick. All do where nothing is said.
func patient(t *testing.T) int {
	t.Helper()
	text := os.Getenv("PERENNIAL_NODE_PATIENT")
	if text == "" {
		return wantedHandovers(t)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("PERENNIAL_NODE_PATIENT is %q, want a number", text)
	}
	return n
}

// The API server of a single node is restarted again and again, behind a
// firewall that opens its port only, and no client on the node or on a worker
// loses a request or an event; nothing of it is left. The ordinary ways to
// restart it, in the same run, show that the probes would have seen it.
func TestNodeHandover(t *testing.T) {
	for _, version := range nodeVersions(t) {
		t.Run(version, func(t *testing.T) {
			n := newNode(t, version, "--firewall=6443")
			n.lab("worker", "--name", n.Name, "--proxy-mode", cmp.Or(os.Getenv("PERENNIAL_NODE_PROXY"), "iptables"))
			n.readStatus()
			n.figure("Kubernetes %s, kube-proxy on the worker in mode %s", n.Version, n.Worker.ProxyMode)
			n.handOver()
			n.restartInPlace()
			n.restartByScript()
		})
	}
}

// handOver restarts by the product, as its users do.
func (n *realNode) handOver() {
	n.t.Helper()
	n.untilPods()
	clean := n.traces()
	p := startHandoverProbes(n)
	time.Sleep(5 * time.Second)
	// On a busy node the probes tell more than a refusal.
	args := []string{os.Getenv("PERENNIAL_BIN"), "restart", "kube-apiserver", "--yes", "--handover"}
	var took []string
	for i := range wantedHandovers(n.t) {
		if i == patient(n.t) {
			n.assertIdle(p)
			args = append(args, "--quick")
		}
		if i > 0 && i%restartsBeforeForgetting == 0 {
			n.forgetRestarts()
		}
		before := n.servedLoopback()
		start := time.Now()
		if out, errs, err := n.try(append([]string{"exec", "--name", n.Name, "--"}, args...)...); err != nil {
			n.t.Errorf("handover %d: %v\n%s%s", i+1, err, out, errs)
			break
		}
		took = append(took, strconv.FormatFloat(time.Since(start).Seconds(), 'f', 0, 64)+" s")
		n.assertReplaced(before)
		n.assertTraces(clean)
	}
	p.waitFor(wantedProbes(n.t))
	time.Sleep(5 * time.Second)
	p.end()
	n.report(strings.Join(args[1:], " "), p)
	n.figure("  wall time: %s each", strings.Join(took, ", "))
	n.assertNothingFelt(p)
	if patient(n.t) >= wantedHandovers(n.t) {
		n.assertIdle(p)
	}
	n.assertWritten(p)
}

// restartInPlace is the product's way where nothing else can be done.
func (n *realNode) restartInPlace() {
	n.t.Helper()
	n.forgetRestarts()
	before := n.servedLoopback()
	p := n.asking("restart kube-apiserver --in-place", func() {
		n.run(os.Getenv("PERENNIAL_BIN"), "restart", "kube-apiserver", "--yes", "--in-place", "--accept-outage")
	})
	n.assertReplaced(before)
	n.assertFelt(p)
}

// restartByScript is what people do: they move the manifest away for 20
// seconds, and back.
func (n *realNode) restartByScript() {
	n.t.Helper()
	n.forgetRestarts()
	p := n.asking("manifest moved away for 20 s and back", func() {
		n.run("mv", "/etc/kubernetes/manifests/kube-apiserver.yaml", "/etc/kubernetes/")
		time.Sleep(20 * time.Second)
		n.run("mv", "/etc/kubernetes/kube-apiserver.yaml", "/etc/kubernetes/manifests/")
		n.untilAnswers("/readyz", strings.TrimPrefix(n.Endpoint, "https://"), true)
	})
	n.assertFelt(p)
}

// asking asks while something is done, and until all is well again: kube-proxy
// may be the last to notice.
func (n *realNode) asking(what string, do func()) *handoverProbes {
	n.t.Helper()
	p := startHandoverProbes(n)
	time.Sleep(5 * time.Second)
	start := time.Now()
	do()
	took := time.Since(start)
	loopbackCertificate(n.t, dialFrom(n.t, n.Worker.Netns), n.Worker.ClusterIP+":443")
	time.Sleep(5 * time.Second)
	p.end()
	n.report(what, p)
	n.figure("  wall time: %.0f s", took.Seconds())
	return p
}

// report prints the figures of all probes.
func (n *realNode) report(what string, p *handoverProbes) {
	n.t.Helper()
	stored, err := p.stored()
	if err != nil {
		n.t.Fatal(err)
	}
	n.figure("%s; %d processors, load average %s", what, runtime.NumCPU(), loadAverage(n.t))
	for _, k := range p.kinds {
		n.figure("  %-42s %s", k.name+":", k.tally())
		if k.dials != nil {
			n.figure("  %-42s connected %d times", "", k.dials.Load())
		}
		if k.writer == nil {
			continue
		}
		found, err := k.writer.compare(stored)
		if err != nil {
			n.t.Fatal(err)
		}
		n.figure("  %-42s answered %d, stored %d, answered and not stored %d, stored twice %d, stored without an answer %d",
			"", len(k.writer.answered), found.stored, len(found.lost), len(found.twice), len(found.unanswered))
	}
	lost, twice := p.watch.unlike(names(stored))
	n.figure("  %-42s %d of %d objects not seen, %d seen twice; %s", "watch of the objects written:", len(lost), len(stored), len(twice), &p.watch)
	n.figure("  %-42s %s", "idle watch:", &p.idle)
	n.figure("  %-42s empty in %d of %d samples", "endpoints of the service:", p.empty.Load(), p.slices.sent())
}

func (n *realNode) assertNothingFelt(p *handoverProbes) {
	n.t.Helper()
	for _, k := range p.kinds {
		sum := k.tally()
		if sum.failed > 0 && !k.unsafe {
			n.t.Errorf("%s: %s", k.name, sum)
		}
		if sum.sent < wantedProbes(n.t) {
			n.t.Errorf("%s: only %d requests", k.name, sum.sent)
		}
	}
	if times := p.empty.Load(); times > 0 {
		n.t.Errorf("the service kubernetes had no endpoints in %d samples", times)
	}
	for what, f := range map[string]*follower{"the watch of the objects written": &p.watch, "the idle watch": &p.idle} {
		if len(f.errors) > 0 && f != &p.idle {
			n.t.Errorf("%s: %s", what, f)
		}
		if len(f.refused) > 0 {
			n.t.Errorf("%s was refused: %s", what, f)
		}
	}
}

// assertIdle says that the idle watch has not had to begin anew.
func (n *realNode) assertIdle(p *handoverProbes) {
	n.t.Helper()
	p.idle.mu.Lock()
	errors := slices.Clone(p.idle.errors)
	p.idle.mu.Unlock()
	if len(errors) > 0 {
		n.t.Errorf("the idle watch: %s", strings.Join(errors, "; "))
	}
}

// assertWritten holds the writers' answers, the store and the watch against
// each other.
func (n *realNode) assertWritten(p *handoverProbes) {
	n.t.Helper()
	stored, err := p.stored()
	if err != nil {
		n.t.Fatal(err)
	}
	for _, k := range p.kinds {
		if k.writer == nil {
			continue
		}
		found, err := k.writer.compare(stored)
		if err != nil {
			n.t.Fatal(err)
		}
		if len(found.lost) > 0 || len(found.twice) > 0 || len(found.unanswered) > 0 && !k.unsafe {
			n.t.Errorf("%s: answered and not stored %v, stored twice %v, stored without an answer %v", k.name, found.lost, found.twice, found.unanswered)
		}
	}
	if lost, twice := p.watch.unlike(names(stored)); len(lost) > 0 || len(twice) > 0 {
		n.t.Errorf("the watch did not see %v and saw %v twice", lost, twice)
	}
}

// assertFelt says that the probes see an outage where there is one.
func (n *realNode) assertFelt(p *handoverProbes) {
	n.t.Helper()
	for _, k := range p.kinds {
		if strings.HasPrefix(k.name, "a new connection") && k.tally().failed == 0 {
			n.t.Errorf("%s: no request failed while the API server was away: the probes see nothing", k.name)
		}
	}
}

// servedLoopback is the loopback certificate of the process that answers.
func (n *realNode) servedLoopback() *x509.Certificate {
	n.t.Helper()
	return loopbackCertificate(n.t, dialFrom(n.t, n.Netns), strings.TrimPrefix(n.Endpoint, "https://"))
}

// assertReplaced says that another process answers, on the node and from the
// worker.
func (n *realNode) assertReplaced(before *x509.Certificate) {
	n.t.Helper()
	now := n.servedLoopback()
	if now.Equal(before) {
		n.t.Errorf("the loopback certificate is still %s, serial %x", now.Subject.CommonName, now.SerialNumber)
	}
	service := loopbackCertificate(n.t, dialFrom(n.t, n.Worker.Netns), n.Worker.ClusterIP+":443")
	if !service.Equal(now) {
		n.t.Errorf("%s answers on the node and %s on the service", now.Subject.CommonName, service.Subject.CommonName)
	}
}

// tracesScript lists what a restart could leave behind: manifests, processes,
// pods, pinned objects, tables, policies, and leases of the endpoints.
const tracesScript = `
ls -A /etc/kubernetes/manifests
pgrep -x kube-apiserver | wc -l
kubectl get pods -A -o name
find $(awk '$3 == "bpf" { print $2 }' /proc/mounts)
nft list tables
kubectl get validatingadmissionpolicies,validatingadmissionpolicybindings -o name 2>/dev/null
etcdctl get --prefix --keys-only /registry/masterleases/
`

// untilPods waits until the kubelet has told of the four static pods.
func (n *realNode) untilPods() {
	n.t.Helper()
	for deadline := time.Now().Add(time.Minute); len(strings.Fields(n.run("kubectl", "get", "pods", "-A", "-o", "name"))) < 4; time.Sleep(time.Second) {
		if time.Now().After(deadline) {
			n.t.Fatal("there are not four pods within a minute")
		}
	}
}

// traces are what a restart could leave, as it is now.
func (n *realNode) traces() string {
	n.t.Helper()
	programs, err := link.QueryPrograms(link.QueryOptions{Target: int(openNetwork(n.t, n.Netns).Fd()), Attach: ebpf.AttachSkLookup})
	if err != nil {
		n.t.Fatal(err)
	}
	return n.run("sh", "-c", tracesScript) + strconv.Itoa(len(programs.Programs)) + " programs that look up sockets\n"
}

// assertTraces gives the API a little time to forget the standby's pod.
func (n *realNode) assertTraces(want string) {
	n.t.Helper()
	var now string
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(time.Second) {
		if now = n.traces(); now == want {
			return
		}
	}
	added := slices.DeleteFunc(strings.Split(now, "\n"), func(line string) bool { return strings.Contains("\n"+want, "\n"+line+"\n") })
	n.t.Errorf("left behind: %q; it was\n%s\nand is\n%s", added, want, now)
}

// restartsBeforeForgetting keeps a test short: the kubelet waits 10 s before
// the second restart of a container within ten minutes, 20 s before the third,
// and so on to five minutes. The second and the third are waited for.
const restartsBeforeForgetting = 3

// forgetRestarts restarts the kubelet, which holds its back-off in memory. No
// container is touched.
func (n *realNode) forgetRestarts() {
	n.t.Helper()
	before := n.run("pgrep", "-o", "-x", "kubelet")
	n.run("sh", "-c", "kill "+strings.TrimSpace(before))
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(500 * time.Millisecond) {
		now, _, err := n.try("exec", "--name", n.Name, "--", "pgrep", "-o", "-x", "kubelet")
		if err == nil && now != before {
			break
		}
		if time.Now().After(deadline) {
			n.t.Fatal("the kubelet has not come back within a minute")
		}
	}
	n.untilAnswers("/healthz", "127.0.0.1:10248", false)
	time.Sleep(5 * time.Second) // it looks at its pods
}

// untilAnswers asks from the node until there is an answer.
func (n *realNode) untilAnswers(path, address string, secure bool) {
	n.t.Helper()
	c := clientFor(n.t, n.Kubeconfig).from(dialFrom(n.t, n.Netns), address)
	if !secure {
		c.server = "http://" + address
	}
	client, _ := c.connect(false)
	for deadline := time.Now().Add(3 * time.Minute); c.do(client, http.MethodGet, path, "", nil) != nil; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			n.t.Fatalf("%s%s has not answered within three minutes", address, path)
		}
	}
}

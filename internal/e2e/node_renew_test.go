// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// wantedProbes is how many requests on new connections each way of renewing
// has to bear; PERENNIAL_NODE_PROBES is for a shorter run.
func wantedProbes(t *testing.T) int {
	t.Helper()
	text := os.Getenv("PERENNIAL_NODE_PROBES")
	if text == "" {
		return 10_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 100 {
		t.Fatalf("PERENNIAL_NODE_PROBES is %q, want 100 or more", text)
	}
	return n
}

// A renewal of everything, with its restarts, costs no request and no event.
// The usual way on the same node in the same run shows that the probes would
// have seen it.
func TestNodeRenewalCostsNothing(t *testing.T) {
	for _, version := range nodeVersions(t) {
		t.Run(version, func(t *testing.T) {
			n := newNode(t, version)
			ours := n.during("perennial renew --all", n.renewAll)
			for name, a := range map[string]*answers{"a new connection each": &ours.fresh, "one kept connection": &ours.kept, "writes": &ours.writes} {
				if sum := a.tally(); sum.failed > 0 {
					t.Errorf("%s: %s", name, sum)
				}
			}
			if sent := ours.fresh.tally().sent; sent < wantedProbes(t) {
				t.Errorf("only %d probes", sent)
			}
			if dials := ours.dials.Load(); dials != 1 {
				t.Errorf("the kept connection was made %d times", dials)
			}
			if lost := ours.watch.lost(); len(lost) > 0 || ours.watch.gone > 0 || ours.watch.twice() > 0 {
				t.Errorf("the watch lost %v, began anew %d times and saw %d twice", lost, ours.watch.gone, ours.watch.twice())
			}
			n.assertNothingWrong(n.check())

			theirs := n.during("kubeadm certs renew all, manifests moved away for 20 s and back", n.renewByHand)
			if theirs.fresh.tally().failed == 0 {
				t.Error("no probe failed while the API server was away: the probes see nothing")
			}
		})
	}
}

// during asks the API server while something is done, and prints the figures.
func (n *realNode) during(what string, do func()) *probes {
	n.t.Helper()
	object := "probe-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	p := startProbes(n.t, clientFor(n.t, n.Kubeconfig), object, probeEvery)
	defer p.end()
	time.Sleep(5 * time.Second)
	start := time.Now()
	do()
	took := time.Since(start)
	for p.fresh.sent() < wantedProbes(n.t) {
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(5 * time.Second)
	p.end()
	n.figure("%s", what)
	n.figure("  a new connection each: %s", p.fresh.tally())
	n.figure("  one kept connection:   %s; connected %d times", p.kept.tally(), p.dials.Load())
	n.figure("  writes:                %s", p.writes.tally())
	n.figure("  watch:                 %d of %d events lost, %d interruptions, %d times begun anew", len(p.watch.lost()), len(p.watch.written), p.watch.breaks, p.watch.gone)
	n.figure("  wall time:             %.1f s; %d processors, load average %s", took.Seconds(), runtime.NumCPU(), loadAverage(n.t))
	return p
}

// loadAverage is that of the last minute: where it is far above the number of
// processors, the figures tell of the machine.
func loadAverage(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(data), " ")
	return first
}

// figure prints a line that bench/renew shows.
func (n *realNode) figure(format string, args ...any) {
	n.t.Helper()
	fmt.Printf("figure: "+format+"\n", args...)
}

// renewAll runs the product and prints where its time goes, by the moments at
// which it tells of a step.
func (n *realNode) renewAll() {
	n.t.Helper()
	cmd := exec.Command(os.Getenv("PERENNIAL_LAB"), "node", "exec", "--name", n.Name, "--", os.Getenv("PERENNIAL_BIN"), "renew", "--all", "--yes")
	errs, err := cmd.StderrPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	var said, step string
	last := start
	spent := map[string]time.Duration{}
	for lines := bufio.NewScanner(errs); lines.Scan(); {
		line, now := lines.Text(), time.Now()
		said += line + "\n"
		switch {
		case strings.HasSuffix(line, " ..."):
			if step == "" {
				spent["looking and planning"] = now.Sub(last)
			}
			step = strings.TrimLeft(strings.TrimSuffix(line, " ..."), " 0123456789")
		case strings.HasPrefix(line, "    "):
			if strings.HasPrefix(step, "renew ") {
				step = "renewing"
			}
			spent[step] += now.Sub(last)
		}
		last = now
	}
	if err := cmd.Wait(); err != nil {
		n.t.Fatalf("perennial renew --all: %v\n%s", err, said)
	}
	n.figure("perennial renew --all on %s: %.1f s", n.Version, time.Since(start).Seconds())
	for _, step := range []string{"looking and planning", "renewing", "restart kube-controller-manager", "restart kube-scheduler"} {
		n.figure("  %-32s %5.1f s", step, spent[step].Seconds())
	}
}

// renewByHand is what Kubernetes' documentation says: renew, then move the
// static pods' manifests away for 20 seconds, and back.
func (n *realNode) renewByHand() {
	n.t.Helper()
	n.run("kubeadm", "certs", "renew", "all")
	n.run("sh", "-c", "mkdir /etc/kubernetes/aside && mv /etc/kubernetes/manifests/*.yaml /etc/kubernetes/aside/")
	time.Sleep(20 * time.Second)
	n.run("sh", "-c", "mv /etc/kubernetes/aside/*.yaml /etc/kubernetes/manifests/ && rmdir /etc/kubernetes/aside")
	c := clientFor(n.t, n.Kubeconfig)
	client, _ := c.connect(false)
	for deadline := time.Now().Add(3 * time.Minute); c.do(client, http.MethodGet, "/readyz", "", nil) != nil; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			n.t.Fatal("the API server has not come back within three minutes")
		}
	}
}

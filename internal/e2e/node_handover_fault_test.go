// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/timeline"
)

const mainManifest = "/etc/kubernetes/manifests/kube-apiserver.yaml"

// What can go wrong in a handover does so, one after the other, while clients
// ask: none of their requests fails that the fault itself does not explain, the
// program says what it was, and nothing is left in the end.
func TestNodeHandoverFaults(t *testing.T) {
	for _, version := range nodeVersions(t) {
		t.Run(version, func(t *testing.T) {
			n := newNode(t, version, "--firewall=6443")
			n.lab("worker", "--name", n.Name)
			n.readStatus()
			n.untilPods()
			clean := n.traces()
			for i, fault := range []struct {
				name string
				do   func(*realNode)
			}{
				{"every port of a standby is taken", (*realNode).portsTaken},
				{"memory is short", (*realNode).memoryShort},
				{"the standby's first port is taken", (*realNode).portTaken},
				{"etcd is slow", (*realNode).etcdSlow},
				{"the standby dies before the API server is ended", (*realNode).standbyDiesBefore},
				{"the standby dies while the API server is away", (*realNode).standbyDiesMeanwhile},
				{"the API server does not come back", (*realNode).mainBroken},
				{"the standby's image is missing", (*realNode).imageMissing},
			} {
				if only := os.Getenv("PERENNIAL_NODE_FAULT"); only != "" && !strings.Contains(fault.name, only) {
					continue
				}
				if i > 2 {
					n.forgetRestarts()
				}
				n.figure("fault: %s", fault.name)
				start := time.Now()
				fault.do(n)
				n.assertNothingLeft(clean)
				n.figure("  wall time: %.0f s", time.Since(start).Seconds())
			}
		})
	}
}

// refused says that a handover is not begun, and why.
func (n *realNode) refused(code plan.PreflightCode, says string) {
	n.t.Helper()
	before := n.servedLoopback()
	out, errs, err := n.perennial("restart", "kube-apiserver", "--yes", "--quick")
	if exitCode(err) != timeline.ExitFailed || !strings.Contains(out, string(code)) || !strings.Contains(errs, says) || !strings.Contains(errs, "--accept-outage") {
		n.t.Errorf("it ends with %v and does not say %s, %q:\n%s\n%s", err, code, says, out, errs)
	}
	if now := n.servedLoopback(); !now.Equal(before) {
		n.t.Error("the API server was restarted")
	}
}

func (n *realNode) portsTaken() {
	for _, port := range plan.StandbyPorts {
		defer n.listen(port).Close()
	}
	n.refused(plan.StandbyPortFree, "somebody listens on each of the ports 6444 16443 16444 26443 26444")
}

// memoryShort lies to the programs in the node about the machine's memory: a
// machine of which it is true would also end other programs.
func (n *realNode) memoryShort() {
	n.run("sh", "-c", "sed 's/^MemAvailable:.*/MemAvailable:     102400 kB/' /proc/meminfo > /run/meminfo && mount --bind /run/meminfo /proc/meminfo")
	defer n.run("umount", "/proc/meminfo")
	n.refused(plan.StandbyMemory, "100 MiB of memory are available, and a second API server may take")
}

func (n *realNode) portTaken() {
	defer n.listen(plan.StandbyPorts[0]).Close()
	before := n.servedLoopback()
	p := n.startBystanders()
	h := n.beginHandover()
	if !h.until(recorded("outcome", 1)) {
		n.t.Fatalf("%v\n%s", h.end(), &h.errs)
	}
	if manifest := n.read(standbyManifest); !strings.Contains(manifest, "--secure-port=16443") {
		n.t.Errorf("the standby has not the next port:\n%s", manifest)
	}
	n.succeeds(h)
	p.stopAsking()
	n.assertNotFelt("its port taken", p)
	n.assertReplaced(before)
}

// etcdSlow stops etcd for half a second again and again: what is asked of it
// takes up to so much longer, in all API servers.
func (n *realNode) etcdSlow() {
	before := n.servedLoopback()
	slow := exec.Command(os.Getenv("PERENNIAL_LAB"), "node", "exec", "--name", n.Name, "--", "sh", "-c",
		`touch /run/slow; etcd=$(pgrep -x etcd); while [ -e /run/slow ]; do kill -STOP $etcd; sleep 0.5; kill -CONT $etcd; sleep 0.1; done; rm -f /run/slow`)
	p := n.startBystanders()
	if err := slow.Start(); err != nil {
		n.t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	n.succeeds(n.beginHandover())
	n.run("rm", "/run/slow")
	if err := slow.Wait(); err != nil {
		n.t.Error(err)
	}
	p.stopAsking()
	n.assertNotFelt("etcd 500 ms late", p)
	n.assertReplaced(before)
}

// standbyDiesBefore kills the standby when new connections reach it and the
// API server still runs. Only what was under way at the standby, or in its
// queue, is lost.
func (n *realNode) standbyDiesBefore() {
	before := n.servedLoopback()
	p := n.startBystanders()
	h := n.beginHandover()
	if !h.until(recorded("outcome", 3)) {
		n.t.Fatalf("%v\n%s", h.end(), &h.errs)
	}
	killed, gone := n.killStandby()
	n.succeeds(h)
	p.stopAsking()
	n.assertExplained("the standby killed before the API server was told to end", p, killed, gone)
	n.assertReplaced(before)
}

// standbyDiesMeanwhile kills the standby when the API server has closed its
// port: until one of the two is back, nobody answers.
func (n *realNode) standbyDiesMeanwhile() {
	before := n.servedLoopback()
	p := n.startBystanders()
	h := n.beginHandover()
	if !h.until(at(holding(0), time.Second)) {
		n.t.Fatalf("%v\n%s", h.end(), &h.errs)
	}
	killed, _ := n.killStandby()
	if !h.until(recorded("outcome", 4)) {
		n.t.Fatalf("%v\n%s", h.end(), &h.errs)
	}
	back := time.Now()
	n.succeeds(h)
	p.stopAsking()
	if said := h.errs.String(); !strings.Contains(said, "the standby does not run") && !strings.Contains(said, "the standby is not ready") {
		n.t.Errorf("it is not said what happened:\n%s", said)
	}
	n.assertExplained("the standby killed while the API server was away", p, killed, back)
	n.assertReplaced(before)
}

// mainBroken breaks the API server's manifest when it has been told to end: the
// standby serves until somebody has mended it.
func (n *realNode) mainBroken() {
	before, whole := n.servedLoopback(), n.read(mainManifest)
	p := n.startBystanders()
	h := n.beginHandover("--patience", "45s")
	if !h.until(at(holding(0), time.Second)) {
		n.t.Fatalf("%v\n%s", h.end(), &h.errs)
	}
	n.write(mainManifest, strings.Replace(whole, "    - --allow-privileged", "    - --no-such-flag=true\n    - --allow-privileged", 1))
	if code := exitCode(h.end()); code != timeline.ExitNeedsPerson {
		n.t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"has not come back, and the standby keeps serving", "crictl ps -a", "the next run tries again"} {
		if !strings.Contains(h.errs.String(), want) {
			n.t.Errorf("it does not say %q:\n%s", want, &h.errs)
		}
	}
	if left := n.left(); !slices.Equal(left, []finding.Code{finding.ChangeUnfinished, finding.GuardLeft, finding.StandbyLeft, finding.SteeringLeft}) {
		n.t.Errorf("while the standby serves check finds %v", left)
	}
	out, errs, err := n.perennial("restart", "kube-apiserver", "--yes")
	if exitCode(err) != timeline.ExitNeedsPerson || !strings.Contains(errs, "the standby keeps serving") {
		n.t.Errorf("run again before it is mended: %v\n%s%s", err, out, errs)
	}
	n.write(mainManifest, whole)
	n.forgetRestarts()
	n.finish("restart", "kube-apiserver", "--yes")
	p.stopAsking()
	n.assertNotFelt("the API server's manifest broken and mended", p)
	n.assertReplaced(before)
}

// imageMissing removes the image from which the API server runs: no second one
// can be started from it, and the first one would not start again.
func (n *realNode) imageMissing() {
	before := n.servedLoopback()
	image := ""
	for line := range strings.Lines(n.read(mainManifest)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "image: "); ok {
			image = name
		}
	}
	n.run("ctr", "-n", "k8s.io", "images", "tag", "--force", image, "kept.local/kept:1")
	n.run("ctr", "-n", "k8s.io", "images", "rm", "--sync", image)
	back := func() { n.run("ctr", "-n", "k8s.io", "images", "tag", "--force", "kept.local/kept:1", image) }
	p := n.startBystanders()
	h := n.beginHandover()
	code := exitCode(h.end())
	back()
	p.stopAsking()
	if said := h.errs.String(); code != timeline.ExitNeedsPerson || !strings.Contains(said, "did not have its effect") || !strings.Contains(said, "Nothing that serves was touched") {
		n.t.Errorf("exit code %d:\n%s", code, said)
	}
	n.t.Logf("without an image it says:\n%s", &h.errs)
	n.assertNotFelt("no image for a standby", p)
	if now := n.servedLoopback(); !now.Equal(before) {
		n.t.Error("the API server was restarted")
	}
}

// succeeds waits for the end of a handover.
func (n *realNode) succeeds(h *handoverRun) {
	n.t.Helper()
	if err := h.end(); err != nil {
		n.t.Errorf("%v\n%s", err, &h.errs)
	}
}

// killStandby returns when the kernel has taken its sockets away.
func (n *realNode) killStandby() (killed, gone time.Time) {
	n.t.Helper()
	killed = time.Now()
	n.run("sh", "-c", `pid=$(pgrep -f -- "^kube-apiserver .*--endpoint-reconciler-type=none"); kill -9 $pid; while kill -0 $pid 2>/dev/null; do sleep 0.01; done`)
	return killed, time.Now()
}

// assertExplained allows the failures of requests that were under way in a span
// of time.
func (n *realNode) assertExplained(what string, p *handoverProbes, from, to time.Time) {
	n.t.Helper()
	n.figure("%s, for %.1f s", what, to.Sub(from).Seconds())
	for _, k := range p.kinds {
		n.figure("  %-42s %s%s", k.name+":", k.tally(), k.failedSince(from))
		unexplained := 0
		for _, r := range k.all {
			if r.err != nil && (r.at.After(to) || r.at.Add(r.took).Before(from)) {
				unexplained++
			}
		}
		if unexplained > 0 {
			n.t.Errorf("%s, %s: %d failures are not explained: %s%s", what, k.name, unexplained, k.tally(), k.failedSince(from))
		}
	}
}

// listen takes a port of the node.
func (n *realNode) listen(port int) net.Listener {
	n.t.Helper()
	there := openNetwork(n.t, n.Netns)
	listener := make(chan net.Listener)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this
		defer close(listener)
		if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
			n.t.Error(err)
			return
		}
		l, err := net.ListenTCP("tcp", &net.TCPAddr{Port: port})
		if err != nil {
			n.t.Error(err)
			return
		}
		listener <- l
	}()
	l, ok := <-listener
	if !ok {
		n.t.FailNow()
	}
	return l
}

func (n *realNode) read(name string) string {
	n.t.Helper()
	data, err := os.ReadFile(n.inside(name))
	if err != nil {
		n.t.Fatal(err)
	}
	return string(data)
}

// write replaces a file of the node in one instant, under a name that the
// kubelet does not read before.
func (n *realNode) write(name, content string) {
	n.t.Helper()
	there := n.inside(name)
	hidden := filepath.Join(filepath.Dir(there), "."+filepath.Base(there))
	if err := os.WriteFile(hidden, []byte(content), 0o600); err != nil {
		n.t.Fatal(err)
	}
	if err := os.Rename(hidden, there); err != nil {
		n.t.Fatal(err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/timeline"
)

// nodeVersions are the versions to make real nodes of.
func nodeVersions(t *testing.T) []string {
	t.Helper()
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "root")
	}
	for _, name := range []string{"PERENNIAL_NODE_VERSIONS", "PERENNIAL_LAB", "PERENNIAL_BIN"} {
		if os.Getenv(name) == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		t.Skipf("needs a real node; missing: %s; run `make e2e` as root", strings.Join(missing, ", "))
	}
	return strings.Split(os.Getenv("PERENNIAL_NODE_VERSIONS"), ",")
}

// realNode is a node with kubelet, containerd and static pods.
type realNode struct {
	t          *testing.T
	Name       string `json:"name"`
	Version    string `json:"version"`
	Endpoint   string `json:"endpoint"`
	Kubeconfig string `json:"kubeconfig"`
	Netns      string `json:"netns"`
	Worker     struct {
		Netns     string `json:"netns"`
		ClusterIP string `json:"clusterIP"`
		ProxyMode string `json:"proxyMode"`
	} `json:"worker"`
}

// nodes counts the nodes of this process, for their names.
var nodes atomic.Int64

// newNode makes a node, by more flags of `lab node up`, and removes it when the
// test ends.
func newNode(t *testing.T, version string, flags ...string) *realNode {
	t.Helper()
	n := &realNode{t: t, Name: fmt.Sprintf("e2e-%d-%d", os.Getpid(), nodes.Add(1))}
	stop := n.downOnSignal()
	t.Cleanup(func() {
		n.lab("down", "--name", n.Name)
		stop()
	})
	start := time.Now()
	n.lab(append([]string{"up", "--name", n.Name, "--version", version}, flags...)...)
	t.Logf("a node of %s took %.0f s", version, time.Since(start).Seconds())
	n.readStatus()
	return n
}

func (n *realNode) readStatus() {
	n.t.Helper()
	if err := json.Unmarshal([]byte(n.lab("status", "--name", n.Name, "-o", "json")), n); err != nil {
		n.t.Fatalf("reading the node's status: %v", err)
	}
}

// downOnSignal removes the node when somebody interrupts the test: unlike a
// process, it would stay.
func (n *realNode) downOnSignal() (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		if _, ok := <-signals; ok {
			_, _, _ = n.try("down", "--name", n.Name)
			os.Exit(130)
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
	}
}

func (n *realNode) lab(args ...string) string {
	n.t.Helper()
	out, errs, err := n.try(args...)
	if err != nil {
		n.t.Fatalf("lab node %s: %v\n%s%s", strings.Join(args, " "), err, out, errs)
	}
	return out
}

func (n *realNode) try(args ...string) (string, string, error) {
	var out, errs bytes.Buffer
	cmd := exec.Command(os.Getenv("PERENNIAL_LAB"), append([]string{"node"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	return out.String(), errs.String(), err
}

// run runs a program inside the node.
func (n *realNode) run(args ...string) string {
	n.t.Helper()
	return n.lab(append([]string{"exec", "--name", n.Name, "--"}, args...)...)
}

// check runs `perennial check` inside the node and reads its JSON.
func (n *realNode) check(args ...string) timeline.Timeline {
	n.t.Helper()
	out, errs, err := n.try(append([]string{"exec", "--name", n.Name, "--", os.Getenv("PERENNIAL_BIN"), "check", "-o", "json"}, args...)...)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		n.t.Fatal(err)
	}
	tl, err := timeline.Read(strings.NewReader(out))
	if err != nil {
		n.t.Fatalf("%v\n%s", err, errs)
	}
	return tl
}

// until checks until a condition holds, for at most two minutes.
func (n *realNode) until(what string, holds func(timeline.Timeline) bool) timeline.Timeline {
	n.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(500 * time.Millisecond) {
		tl := n.check()
		if holds(tl) {
			return tl
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("%s: not within two minutes; headline %q", what, tl.Headline)
		}
	}
}

// kubeadmNames are what kubeadm calls a node's credentials.
var kubeadmNames = []string{
	"admin.conf", "apiserver", "apiserver-etcd-client", "apiserver-kubelet-client", "controller-manager.conf",
	"etcd-healthcheck-client", "etcd-peer", "etcd-server", "front-proxy-client", "scheduler.conf",
}

// On a fresh node everything is found, where a kubelet and containers put it,
// and nothing is found wrong.
func TestNodeIsSeenWhole(t *testing.T) {
	for _, version := range nodeVersions(t) {
		t.Run(version, func(t *testing.T) {
			n := newNode(t, version)
			record := filepath.Join(t.TempDir(), "node.jsonl")
			tl := n.check("--record", record)
			n.assertFound(tl)
			n.assertNothingWrong(tl)
			n.assertProcesses(record)
			n.stale()
		})
	}
}

func (n *realNode) assertFound(tl timeline.Timeline) {
	n.t.Helper()
	names := append(slices.Clone(kubeadmNames), "kubelet.conf", "kubelet")
	if minor(n.Version) >= 29 {
		names = append(names, "super-admin.conf")
	}
	for _, name := range names {
		if _, ok := item(tl, fact.NodeID(n.Name, name), finding.CertificateExpires); !ok {
			n.t.Errorf("%s is not on the timeline", name)
		}
	}
	for _, name := range []string{"ca", "etcd-ca", "front-proxy-ca"} {
		if _, ok := item(tl, fact.NodeID(n.Name, name), finding.CAExpires); !ok {
			n.t.Errorf("%s is not on the timeline", name)
		}
	}
	for _, name := range []string{"apiserver", "kubelet", "etcd-server", "etcd-peer"} {
		i, _ := item(tl, fact.NodeID(n.Name, name), finding.CertificateExpires)
		if len(i.Evidence) == 0 || len(i.Evidence[0].Served) == 0 || !i.Evidence[0].Served[0].Matches {
			n.t.Errorf("%s is not seen to be served: %+v", name, i.Evidence)
		}
	}
	loopback, ok := item(tl, fact.NodeID(n.Name, "apiserver-loopback"), finding.LoopbackExpires)
	if !ok || loopback.End.Basis != finding.Measured {
		n.t.Errorf("the loopback certificate is not measured by a handshake: %+v", loopback)
	}
}

// assertNothingWrong allows what is true of any fresh node of this version.
func (n *realNode) assertNothingWrong(tl timeline.Timeline) {
	n.t.Helper()
	for _, u := range tl.Unseen {
		n.t.Errorf("not seen: %s %s: %s %s", u.Source, u.What, u.Why, u.Detail)
	}
	for _, i := range tl.Items {
		switch i.Code {
		case finding.CertificateExpires, finding.CAExpires, finding.LoopbackExpires:
			if i.Verdict != policy.OK {
				n.t.Errorf("%s %s is %s: %s", i.ID, i.Code, i.Verdict, i.Because)
			}
		case finding.SigningKey, finding.SupportEnds:
		default:
			n.t.Errorf("on a fresh node: %s %s: %s", i.ID, i.Code, i.Title)
		}
		for _, e := range i.Evidence {
			for _, id := range e.Identity {
				if !id.Current || id.Grade == finding.Unproven {
					n.t.Errorf("%s in %s is %s, current %v: %s", i.ID, id.Component, id.Grade, id.Current, id.Because)
				}
			}
		}
	}
}

func (n *realNode) assertProcesses(record string) {
	n.t.Helper()
	file, err := os.Open(record)
	if err != nil {
		n.t.Fatal(err)
	}
	defer file.Close()
	rec, err := fact.ReadRecord(file)
	if err != nil {
		n.t.Fatal(err)
	}
	contained := 0
	for _, f := range rec.Facts {
		p, ok := f.(fact.Process)
		switch {
		case !ok:
		case p.Contained:
			contained++
		case filepath.Base(p.Args[0]) != "kubelet":
			n.t.Errorf("%q is not in a container", p.Args[0])
		}
	}
	if contained != 4 {
		n.t.Errorf("%d processes in containers, want 4", contained)
	}
}

// stale renews in both ways in which files change: kubeadm writes into the
// file, which its mount in a container shows; a rename is not shown there. Both
// leave the component with its old identity, until it is restarted.
func (n *realNode) stale() {
	n.t.Helper()
	time.Sleep(2 * time.Second) // processes and files must differ by more than the second in which nothing is said
	n.run("kubeadm", "certs", "renew", "controller-manager.conf")
	n.run("kubeadm", "certs", "renew", "scheduler.conf")
	n.run("sh", "-c", "cd /etc/kubernetes && cp -p scheduler.conf .new && mv .new scheduler.conf")
	want := []string{n.Name + "/controller-manager.conf", n.Name + "/scheduler.conf"}
	tl := n.check()
	got := withCode(tl, finding.ClientIdentityStale)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		n.t.Errorf("stale identities: %v, want %v", got, want)
	}
	for _, id := range want {
		i, _ := item(tl, fact.ID(id), finding.ClientIdentityStale)
		if len(i.Evidence) == 0 || len(i.Evidence[0].Identity) == 0 || i.Evidence[0].Identity[0].Grade != finding.Seen {
			n.t.Errorf("%s is not seen to be stale: %+v", id, i.Evidence)
		}
	}
	for _, component := range []string{"kube-controller-manager", "kube-scheduler"} {
		n.run(os.Getenv("PERENNIAL_BIN"), "restart", component, "--yes")
	}
	n.until("the two are restarted and no longer stale", func(tl timeline.Timeline) bool {
		return len(withCode(tl, finding.ClientIdentityStale)) == 0 && tl.Scope.Counts.Processes == 5
	})
}

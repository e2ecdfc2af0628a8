// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// machine is what a node must leave as it was.
type machine struct{ mounts, links, networks, panics, cgroups string }

func lookAtMachine(t *testing.T) machine {
	t.Helper()
	read := func(path string) string {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	list := func(pattern string) string {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(paths, "\n")
	}
	var mounts []string
	for line := range strings.Lines(read("/proc/self/mounts")) {
		// iproute2 makes this one for the names of namespaces, and keeps it.
		if fields := strings.Fields(line); fields[1] != "/run/netns" {
			mounts = append(mounts, line)
		}
	}
	return machine{
		strings.Join(mounts, ""), list("/sys/class/net/*"), list("/run/netns/*"), read("/proc/sys/kernel/panic") + read("/proc/sys/vm/overcommit_memory"),
		list("/sys/fs/cgroup/perennial-lab-*") + list("/sys/fs/cgroup/*/perennial-lab-*"),
	}
}

func newNodeUser(t *testing.T, suffix string) user {
	t.Helper()
	u := newUser(t, suffix)
	t.Cleanup(func() { u.run("node", "down") })
	return u
}

func (u user) nodeStatus() nodeStatus {
	u.Helper()
	var st nodeStatus
	if err := json.Unmarshal([]byte(u.run("node", "status", "-o", "json")), &st); err != nil {
		u.Fatal(err)
	}
	return st
}

// Nodes stand beside each other, die with their first process, and leave
// nothing, whatever was killed.
func TestNodes(t *testing.T) {
	versions := os.Getenv("PERENNIAL_NODE_VERSIONS")
	if versions == "" || os.Geteuid() != 0 {
		t.Skip("needs root and PERENNIAL_NODE_VERSIONS, such as 1.37.0")
	}
	version, _, _ := strings.Cut(versions, ",")
	before := lookAtMachine(t)
	a, b := newNodeUser(t, "na"), newNodeUser(t, "nb")
	a.run("node", "up", "--version", version, "--firewall")
	b.run("node", "up", "--version", version, "--cert-life", "20m")
	first, second := a.nodeStatus(), b.nodeStatus()
	if first.Address == second.Address || first.Netns == second.Netns || !first.Running {
		t.Errorf("the nodes are %+v and %+v", first, second)
	}
	a.reaches(second.Address)
	b.reachesNot(first.Address)
	a.worker(first)
	a.inside(first)
	if again := a.run("node", "up", "--version", version, "--firewall"); !strings.Contains(again, first.Endpoint) || a.nodeStatus().PID != first.PID {
		t.Errorf("up on a node that runs made another: %s", again)
	}
	if _, err := a.try("node", "up", "--version", "1.30.0"); err == nil || !strings.Contains(err.Error(), "another --version") {
		t.Errorf("up with another version: %v", err)
	}
	a.killFirstProcess(first)
	b.run("node", "exec", "--", "kubectl", "get", "--raw", "/readyz")
	a.run("node", "down")
	a.run("node", "down")
	a.killUp(version)
	b.run("node", "down")
	a.assertNodeGone(first.Dir)
	b.assertNodeGone(second.Dir)
	if after := lookAtMachine(t); after != before {
		t.Errorf("the machine was\n%+v\nand is\n%+v", before, after)
	}
}

func (u user) reaches(address string) {
	u.Helper()
	u.run("node", "exec", "--", "bash", "-c", "exec 3<>/dev/tcp/"+address+"/6443")
}

// reachesNot tries the kubelet's port, which the firewall at the address does
// not name; the API's is open.
func (u user) reachesNot(address string) {
	u.Helper()
	u.reaches(address)
	if _, err := u.try("node", "exec", "--", "timeout", "1", "bash", "-c", "exec 3<>/dev/tcp/"+address+"/10250"); err == nil {
		u.Errorf("%s:10250 is reached through the firewall", address)
	}
}

// worker makes the worker twice, in both modes, and asks the API through the
// service's address from there.
func (u user) worker(st nodeStatus) {
	u.Helper()
	for _, mode := range []string{"nftables", "iptables"} {
		if said := u.run("node", "worker", "--proxy-mode", mode); !strings.Contains(said, "mode "+mode) {
			u.Errorf("the worker is %s", said)
		}
		w := u.nodeStatus().Worker
		if w == nil || w.Address == st.Address || w.ProxyMode != mode {
			u.Fatalf("the worker of %s is %+v", st.Address, w)
		}
		out, err := exec.Command("ip", "netns", "exec", w.Netns, "bash", "-c", "exec 3<>/dev/tcp/"+w.ClusterIP+"/443 && cat /proc/net/nf_conntrack").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "src="+st.Address+" ") {
			u.Errorf("asking %s from the worker: %v: %s", w.ClusterIP, err, out)
		}
	}
}

func (u user) inside(st nodeStatus) {
	u.Helper()
	if name := strings.TrimSpace(u.run("node", "exec", "--", "hostname")); name != st.Name {
		u.Errorf("the node calls itself %q", name)
	}
	if _, err := u.try("node", "exec", "--", "sh", "-c", "exit 7"); err == nil || !strings.Contains(err.Error(), "exit status 7") {
		u.Errorf("the exit code is not passed on: %v", err)
	}
	pods := u.run("node", "exec", "--", "kubectl", "get", "pods", "-n", "kube-system", "-o", "jsonpath={.items[*].metadata.name}")
	if n := len(strings.Fields(pods)); n != 4 {
		u.Errorf("%d pods: %s", n, pods)
	}
	if size := strings.TrimSpace(u.run("node", "exec", "--", "sh", "-c", "ls /etc/kubernetes/pki | wc -l")); size == "0" {
		u.Error("there is nothing in the node's /etc/kubernetes/pki")
	}
	if _, err := os.Stat("/etc/kubernetes/pki"); err == nil {
		u.Error("the node wrote into the machine's /etc/kubernetes")
	}
}

// killFirstProcess ends a node as a crash of its machine would.
func (u user) killFirstProcess(st nodeStatus) {
	u.Helper()
	if err := st.Holder.Kill(unix.SIGKILL, 30e9); err != nil {
		u.Fatal(err)
	}
	left := slices.DeleteFunc(processesNaming(u.T, st.Dir), func(process string) bool {
		return strings.Contains(process, "/bin/kube-proxy ") // the worker is another machine
	})
	if len(left) > 0 {
		u.Errorf("still running: %q", left)
	}
	if u.nodeStatus().Running {
		u.Error("a node without its first process is said to run")
	}
	if _, err := u.try("node", "exec", "--", "true"); err == nil || !strings.Contains(err.Error(), "does not run") {
		u.Errorf("running something in a dead node: %v", err)
	}
}

// killUp kills the command that makes a node, half way.
func (u user) killUp(version string) {
	u.Helper()
	cmd := exec.Command(u.binary, "node", "up", "--version", version)
	cmd.Env = append(os.Environ(), "LAB_NAME="+u.name)
	progress, err := cmd.StderrPipe()
	if err != nil {
		u.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		u.Fatal(err)
	}
	for words := bufio.NewScanner(progress); words.Scan() && !strings.Contains(words.Text(), "importing"); {
	}
	cmd.Process.Kill()
	cmd.Wait()
	if st := u.nodeStatus(); st.Made || !st.Running {
		u.Errorf("the half-made node is %+v", st)
	}
	u.run("node", "down")
}

func (u user) assertNodeGone(dir string) {
	u.Helper()
	if left := processesNaming(u.T, dir); len(left) > 0 {
		u.Errorf("processes are left:\n%s", strings.Join(left, "\n"))
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		u.Errorf("the directory is left (%v)", err)
	}
	if _, err := u.try("node", "status"); err == nil {
		u.Error("the node still has a status")
	}
}

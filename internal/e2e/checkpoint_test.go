// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/checkpoint"
	"perennial.dev/perennial/internal/finding"
)

const checkpointDir = "/var/lib/kubelet/checkpoints"

// TestNodeCheckpoint asks real kubelets for checkpoints. Debian 12's containerd knows
// none, and kubeadm's API servers of late may not ask for any: both have to be told as
// what they are. Where PERENNIAL_CONTAINERD names a directory with containerd 2 and its
// shim, and PERENNIAL_CRIU a CRIU that works on this kernel, they are put in place
// inside the node, and checkpoints are taken, looked into and removed.
func TestNodeCheckpoint(t *testing.T) {
	for _, version := range nodeVersions(t) {
		t.Run(version, func(t *testing.T) {
			n := newNode(t, version)
			n.startPaused()
			if n.checkpointRefused() {
				n.checkpointsTaken()
			}
		})
	}
}

// startPaused runs a pod that does nothing, with a secret in its environment.
func (n *realNode) startPaused() {
	n.t.Helper()
	image := ""
	for name := range strings.FieldsSeq(n.run("ctr", "-n", "k8s.io", "images", "list", "-q")) {
		if strings.Contains(name, "pause") && !strings.Contains(name, "@") {
			image = name
		}
	}
	n.write("/etc/paused.yaml", `apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: default}
spec:
  nodeName: `+n.Name+`
  hostNetwork: true
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  containers:
  - {name: app, image: "`+image+`", imagePullPolicy: Never, env: [{name: DB_PASSWORD, value: hunter2}]}
`)
	// The service account comes a moment after the namespace.
	n.eventually("applying the pod", func() bool {
		_, _, err := n.try("exec", "--name", n.Name, "--", "kubectl", "apply", "-f", "/etc/paused.yaml")
		return err == nil
	})
	n.paused()
}

func (n *realNode) paused() {
	n.t.Helper()
	n.eventually("waiting for the pod", func() bool {
		out, _, err := n.try("exec", "--name", n.Name, "--", "kubectl", "get", "pod", "web-0", "-o", "jsonpath={.status.containerStatuses[0].state.running.startedAt}{.status.conditions[?(@.type=='Ready')].status}")
		return err == nil && strings.HasSuffix(out, "True")
	})
}

// eventually waits for what a node does in its own time.
func (n *realNode) eventually(what string, done func() bool) {
	n.t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !done(); time.Sleep(time.Second) {
		if time.Now().After(deadline) {
			n.t.Fatalf("%s: not in time", what)
		}
	}
}

// checkpointRefused asks as the node is, and then with the rights that newer kubeadms
// do not give. It says whether the kubelet would take one if the runtime could.
func (n *realNode) checkpointRefused() bool {
	n.t.Helper()
	ask := func() string {
		out, errs, err := n.perennial("checkpoint", "create", "web-0", "--yes")
		if code := exitCode(err); code != 1 || out != "" {
			n.t.Fatalf("exit code %d\n%s%s", code, out, errs)
		}
		return errs
	}
	errs := ask()
	if strings.Contains(errs, "the kubelet does not let the API server take checkpoints") {
		n.t.Logf("the API server's client may not: %s", errs)
		_, command, _ := strings.Cut(errs, "newer kubeadms: ")
		n.run("sh", "-c", strings.TrimSpace(command)) // the command of the hint
		// A kubelet remembers a refusal for half a minute.
		n.eventually("waiting for the right", func() bool {
			errs = ask()
			return !strings.Contains(errs, "the kubelet does not let")
		})
	}
	off, unknown := strings.Contains(errs, "ContainerCheckpoint: true"), strings.Contains(errs, "the container runtime takes no checkpoints")
	if off == unknown || unknown && !strings.Contains(errs, "containerd://") {
		n.t.Errorf("neither the gate nor the runtime is named: %s", errs)
	}
	if out, _, err := n.perennial("checkpoint", "list"); err == nil && !strings.Contains(out, "0 archives") {
		n.t.Errorf("something was written: %s", out)
	}
	if _, errs, err := n.perennial("checkpoint", "create", "none", "--yes"); exitCode(err) != 1 || !strings.Contains(errs, "there is no such pod") {
		n.t.Errorf("%v %s", err, errs)
	}
	return !off
}

// checkpointsTaken does all of it, on a node with newer programs.
func (n *realNode) checkpointsTaken() {
	programs, criu := os.Getenv("PERENNIAL_CONTAINERD"), os.Getenv("PERENNIAL_CRIU")
	if programs == "" || criu == "" {
		n.t.Log("no checkpoint was taken: Debian 12's containerd takes none; PERENNIAL_CONTAINERD and PERENNIAL_CRIU name newer programs")
		return
	}
	n.programs("mount --bind " + programs + "/containerd /usr/bin/containerd && mount --bind " + programs + "/containerd-shim-runc-v2 /usr/bin/containerd-shim-runc-v2 && mount --bind " + criu + " /usr/sbin/criu")
	first, second := n.checkpoint(), n.checkpoint()
	n.inspected(second)
	n.imported(second)

	if n.has(finding.CheckpointReadable) {
		n.t.Error("archives of mode 0600 are a finding")
	}
	n.run("sh", "-c", "chmod 755 "+checkpointDir+" && chmod 644 "+first+" && touch -d '40 days ago' "+first)
	if !n.has(finding.CheckpointReadable) {
		n.t.Error("an archive that everybody may read is no finding")
	}
	n.finish("checkpoint", "prune", "--older-than", "30d", "--yes")
	if n.has(finding.CheckpointReadable) {
		n.t.Error("it is still a finding")
	}
	if left := strings.TrimSpace(n.run("ls", checkpointDir)); left != path.Base(second) {
		n.t.Errorf("%q is left", left)
	}
	n.paused() // the containers went on
	n.restored()
}

// programs starts the node again with other programs.
func (n *realNode) programs(mounts string) {
	n.t.Helper()
	container := []string{"exec", "--name", n.Name, "--", "kubectl", "get", "pod", "web-0", "-o", "jsonpath={.status.containerStatuses[0].containerID}"}
	before := n.lab(container...)
	n.lab("reboot", "--name", n.Name, "--", "sh", "-c", mounts)
	// What a node that has just been started says of its pods is of before.
	n.eventually("waiting for the new container", func() bool {
		now, _, err := n.try(container...)
		return err == nil && now != "" && now != before
	})
	n.paused()
}

// restored runs a pod from the image of the checkpoint, where
// PERENNIAL_CONTAINERD_RESTORES names a directory with a containerd of 2.1 to 2.3.
func (n *realNode) restored() {
	n.t.Helper()
	programs := os.Getenv("PERENNIAL_CONTAINERD_RESTORES")
	if programs == "" {
		n.t.Log("nothing was restored: PERENNIAL_CONTAINERD_RESTORES names no containerd")
		return
	}
	n.programs("sed -i 's/  restrict_oom_score_adj = true/&\\n  enable_experimental_restore_via_create = true/' /run/lab/node/containerd.toml && mount --bind " + programs + "/containerd /usr/bin/containerd")
	pod := strings.Replace(n.read("/etc/paused.yaml"), "web-0", "web-1", 1)
	at := strings.Index(pod, `image: "`) + len(`image: "`)
	n.write("/etc/restored.yaml", pod[:at]+"localhost/checkpoint:1"+pod[at+strings.Index(pod[at:], `"`):])
	n.run("kubectl", "apply", "-f", "/etc/restored.yaml")
	n.eventually("waiting for the restored container", func() bool {
		id, _, err := n.try("exec", "--name", n.Name, "--", "kubectl", "get", "pod", "web-1", "-o", "jsonpath={.status.containerStatuses[?(@.ready==true)].containerID}")
		_, id, ok := strings.Cut(id, "//")
		return err == nil && ok && strings.Contains(n.read("/run/lab/node/log/containerd.log"), "Restored container "+id+" successfully")
	})
}

func (n *realNode) has(code finding.Code) bool {
	n.t.Helper()
	for _, i := range n.check().Items {
		if i.Code == code {
			return true
		}
	}
	return false
}

// checkpoint takes one. Names of archives have seconds only.
func (n *realNode) checkpoint() string {
	n.t.Helper()
	time.Sleep(time.Second)
	out, errs, err := n.perennial("checkpoint", "create", "web-0", "--yes")
	at := strings.TrimSpace(out)
	if err != nil || !strings.HasPrefix(at, checkpointDir+"/checkpoint-web-0_default-app-") || !strings.Contains(errs, "It is there:") {
		n.t.Fatalf("%v\n%s%s", err, out, errs)
	}
	return at
}

func (n *realNode) inspected(archive string) {
	n.t.Helper()
	var d checkpoint.Description
	text := n.run(os.Getenv("PERENNIAL_BIN"), "checkpoint", "inspect", archive, "-o", "json")
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		n.t.Fatal(err)
	}
	if d.Pod != "web-0" || d.Container != "app" || d.Manager != checkpoint.Containerd || d.CRIU == "" || d.Memory == 0 || len(d.Processes) == 0 || len(d.Secrets) == 0 || strings.Contains(text, "hunter2") {
		n.t.Errorf("%s", text)
	}
	out, errs, err := n.perennial("checkpoint", "verify", archive, "-o", "json")
	var v struct {
		Answer checkpoint.Answer
		Checks []checkpoint.Check
	}
	if json.Unmarshal([]byte(out), &v) != nil || exitCode(err) == 0 != (v.Answer == checkpoint.Yes) {
		n.t.Fatalf("%v\n%s%s", err, out, errs)
	}
	for _, c := range v.Checks {
		here := c.Name == "architecture" || c.Name == "CRIU" || c.Name == "OCI runtime" || c.Name == "kernel" || c.Name == "control groups" || c.Name == "CPU features" || c.Name == "image"
		if here && c.Answer != checkpoint.Yes {
			n.t.Errorf("on the node on which it was taken: %+v", c)
		}
	}
}

// imported lets containerd take the image of an archive.
func (n *realNode) imported(archive string) {
	n.t.Helper()
	n.run(os.Getenv("PERENNIAL_BIN"), "checkpoint", "restore", archive, "--to", "/var/log/image.tar", "--name", "localhost/checkpoint:1")
	n.run("ctr", "-n", "k8s.io", "images", "import", "/var/log/image.tar")
	if list := n.run("ctr", "-n", "k8s.io", "images", "list", "-q"); !strings.Contains(list, "localhost/checkpoint:1") {
		n.t.Errorf("the image was not taken: %s", list)
	}
}

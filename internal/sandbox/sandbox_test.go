// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/cli"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/testnode"
	"perennial.dev/perennial/internal/timeline"
	"perennial.dev/perennial/internal/unit"
)

// The test binary is the program, too, by the name of a link to it.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "perennial" {
		os.Exit(cli.Main(context.Background(), os.Args[1:], cli.System()))
	}
	testnode.Start = time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	os.Exit(m.Run())
}

// node is a made node in the places of a real one, for processes in namespaces of
// their own.
type node struct {
	*testing.T
	*testnode.Node
	program string
}

// script is what runs as the first process of a machine that nobody else sees: it
// puts the files of the made node in place, begins what pretends to be its
// components, the static pods with mounts of their own, and runs a command as
// systemd runs a service, with mounts of its own as well. (What ends in a
// component's name would be taken for one here.)
const script = `set -e
mount -t tmpfs tmpfs /etc
mount -t tmpfs tmpfs /var/lib
for at in /etc/kubernetes /var/lib/kube"let"; do
	mkdir "$at"
	mount --bind "$0$at" "$at"
done
mkfifo "$0/end"
exec 9<>"$0/end"
rm "$0/end"
sh -c "$1; read end" <&9 &
unshare --mount sh -c "$2; read end" <&9 &
unshare --mount sh -c "$3; read end" <&9 &
for try in $(seq 500); do
	begun=0
	for line in /proc/[0-9]*/cmdline; do
		case "$(tr '\000' ' ' <"$line")" in "sh -c : kube"*) begun=$((begun + 1)) ;; esac
	done
	[ $begun = 3 ] && break
	sleep 0.02
done
shift 3
unshare --mount "$@"
`

const etcdUser = 12345

func newNode(t *testing.T) *node {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, whose rights are taken away")
	}
	for _, program := range []string{"unshare", "setpriv", "sh", "mount"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s", program)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	n := &node{T: t, Node: testnode.New(t, testnode.Options{}), program: filepath.Join(t.TempDir(), "perennial")}
	if err := os.Symlink(self, n.program); err != nil {
		t.Fatal(err)
	}
	// An etcd with a user of its own, as some installers make it.
	for _, name := range []string{"/etcd/server.crt", "/etcd/server.key"} {
		if err := errors.Join(os.Chown(n.Path(n.Dir+name), etcdUser, etcdUser), os.Chmod(n.Path(n.Dir+name), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// components are the command lines of what pretends to run: a service and two
// static pods.
func (n *node) components() []string {
	lines := []string{": kubelet --config=/var/lib/kubelet/config.yaml --kubeconfig=/etc/kubernetes/kubelet.conf"}
	for _, component := range []string{layout.APIServer, layout.ControllerManager} {
		m := layout.ParseManifest("", fact.Meta{}, n.Node.Read("/etc/kubernetes/manifests/"+component+".yaml"))
		lines = append(lines, ": "+strings.Join(m.Containers[0].Args, " "))
	}
	return lines
}

// runs runs the program with some capabilities and no others, in namespaces of its
// own as a service has them.
func (n *node) runs(capabilities []string, args ...string) (stdout, stderr string, code int) {
	n.T.Helper()
	bounds := "-all"
	for _, c := range capabilities {
		bounds += ",+" + strings.ToLower(strings.TrimPrefix(c, "CAP_"))
	}
	command := slices.Concat([]string{"--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script, n.Root}, n.components(),
		[]string{"setpriv", "--bounding-set", bounds, "--inh-caps", "-all", "--no-new-privs", n.program}, args)
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(n.T.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", command...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		n.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// check is a check with these capabilities: what it found, and what it has not seen.
func (n *node) check(capabilities []string) (findings, unseen []string) {
	n.T.Helper()
	out, errs, code := n.runs(capabilities, "check", "-o", "json")
	t, err := timeline.Read(strings.NewReader(out))
	if err != nil || code == timeline.ExitFailed || code == timeline.ExitUsage {
		n.Fatalf("with %v it ends with %d: %v\n%s", capabilities, code, err, errs)
	}
	if t.Scope.Counts.Processes != 3 {
		n.Errorf("with %v it has found %d of 3 processes", capabilities, t.Scope.Counts.Processes)
	}
	for _, i := range t.Items {
		findings = append(findings, string(i.Code)+" "+string(i.ID))
	}
	for _, u := range t.Unseen {
		unseen = append(unseen, fmt.Sprintf("%s %s (%s)", u.Source, u.What, u.Why))
	}
	slices.Sort(findings)
	slices.Sort(unseen)
	return findings, unseen
}

// granted is what the unit of a node of kubeadm grants.
var granted = unit.Options{Form: unit.Daemon}.Capabilities()

// everything is what root has.
var everything = append([]string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SYS_ADMIN", "CAP_NET_RAW", "CAP_SETPCAP"}, granted...)

// TestGranted sees as much with what the unit grants as root does.
func TestGranted(t *testing.T) {
	n := newNode(t)
	findings, unseen := n.check(everything)
	less, more := n.check(granted)
	if !slices.Equal(findings, less) || !slices.Equal(unseen, more) {
		t.Errorf("root finds\n%s\nthe unit\n%s\nroot has not seen %q, the unit %q", strings.Join(findings, "\n"), strings.Join(less, "\n"), unseen, more)
	}
	for _, want := range []string{"CertificateExpires cp1/etcd-server", "CertificateExpires cp1/controller-manager.conf"} {
		if !slices.Contains(less, want) {
			t.Errorf("no %s in\n%s", want, strings.Join(less, "\n"))
		}
	}
}

// TestWithoutOne takes the capabilities away one by one. The table says what each
// is for: what is unseen without it is what it says, and the rest is as before.
func TestWithoutOne(t *testing.T) {
	n := newNode(t)
	findings, unseen := n.check(granted)
	for capability, says := range map[string][]string{
		"CAP_DAC_READ_SEARCH": {"/etcd/server.crt (Denied)"},
		"CAP_SYS_PTRACE":      {"controller-manager.conf", "(Denied)"},
		"CAP_NET_ADMIN":       {"the steering of new connections by nftables (Denied)"},
		"CAP_BPF":             nil,
		"CAP_KILL":            nil,
	} {
		t.Run(capability, func(t *testing.T) {
			if !slices.Contains(granted, capability) {
				t.Fatalf("the unit does not grant it")
			}
			less, more := n.check(slices.DeleteFunc(slices.Clone(granted), func(c string) bool { return c == capability }))
			more = slices.DeleteFunc(more, func(u string) bool { return slices.Contains(unseen, u) })
			all := strings.Join(more, "\n")
			if (len(more) > 0) != (len(says) > 0) {
				t.Errorf("unseen without it:\n%s", all)
			}
			for _, want := range says {
				if !strings.Contains(all, want) {
					t.Errorf("unseen without it is not %q:\n%s", want, all)
				}
			}
			for _, f := range findings {
				if !slices.Contains(less, f) && !(capability == "CAP_DAC_READ_SEARCH" && strings.HasSuffix(f, "/etcd-server")) {
					t.Errorf("it does not find %s any more", f)
				}
			}
			t.Logf("unseen: %q", more)
		})
	}
	if len(granted) != 5 {
		t.Errorf("there are others than those that are tried: %v", granted)
	}
}

// TestAgent lets the agent look with what the unit grants.
func TestAgent(t *testing.T) {
	n := newNode(t)
	state := t.TempDir()
	_, errs, code := n.runs(granted, "agent", "run", "--once", "--state", filepath.Join(state, "state"), "--lock", filepath.Join(state, "lock"))
	if code == timeline.ExitFailed || code == timeline.ExitUsage {
		t.Fatalf("it ends with %d\n%s", code, errs)
	}
	out, errs, _ := n.runs(granted, "agent", "status", "--state", filepath.Join(state, "state"), "--lock", filepath.Join(state, "lock"))
	if !strings.Contains(out, "cp1") {
		t.Errorf("agent status says\n%s%s", out, errs)
	}
}

// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// services are what systemd runs on a node, with the pauses before a new start
// that the units in the packages of containerd and kubeadm have (RestartSec).
var services = []struct {
	name  string
	args  func() []string // none: not yet
	pause time.Duration
}{
	{"containerd", containerdArgs, 5 * time.Second},
	{"kubelet", kubeletArgs, 10 * time.Second},
}

// Hold is the node's first process. It returns only when the node cannot be
// set up. It waits for a line on its standard input, so that whoever starts it
// has written down which process it is and has made its network: if that one
// dies before, the holder ends, too. A line on answers says that the node is
// ready, or why not.
func Hold(dir string, in io.Reader, answers io.WriteCloser, log io.Writer) error {
	if os.Getpid() != 1 {
		return errors.New("holding a node: only the first process of a namespace can; use `lab node up`")
	}
	if _, err := in.Read(make([]byte, 1)); err != nil {
		return errors.New("holding a node: whoever started it has ended")
	}
	err := hold(dir, log)
	if err != nil {
		fmt.Fprintln(answers, err)
		return err
	}
	fmt.Fprintln(answers, ready)
	answers.Close()
	select {}
}

// ready is the holder's answer when all is well.
const ready = "ready"

func hold(dir string, log io.Writer) error {
	s, err := Load(dir)
	if err != nil {
		return err
	}
	if err := s.mountAll(); err != nil {
		return err
	}
	if err := s.nameHost(); err != nil {
		return err
	}
	say := func(format string, args ...any) {
		fmt.Fprintf(log, time.Now().UTC().Format(time.RFC3339)+" "+format+"\n", args...)
	}
	m := &machine{Settings: s, all: newChildren(), say: say}
	m.rebootOnSignal()
	for _, v := range services {
		output, err := openLog(v.name)
		if err != nil {
			return err
		}
		go m.all.keep(func() *exec.Cmd {
			if m.booting.Load() {
				return nil
			}
			return s.command(v.args(), output)
		}, v.pause, say)
	}
	return waitForSocket(criSocket, time.Minute)
}

func openLog(name string) (*os.File, error) {
	return os.OpenFile(filepath.Join(insideDir, "log", name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
}

// command makes a command of the node's; nil for no arguments.
func (s Settings) command(args []string, output *os.File) *exec.Cmd {
	if len(args) == 0 {
		return nil
	}
	cmd := &exec.Cmd{Args: args, Env: s.environ(nil), Dir: "/", Stdout: output, Stderr: output}
	cmd.Path, cmd.Err = findInside(filepath.Base(args[0]))
	if cmd.Err != nil && filepath.IsAbs(args[0]) {
		cmd.Path, cmd.Err = args[0], nil
	}
	return cmd
}

func containerdArgs() []string {
	return []string{"containerd", "--config", filepath.Join(insideDir, containerdFile)}
}

// kubeletArgs are those of kubeadm's unit for the kubelet (10-kubeadm.conf);
// none before kubeadm has written its configuration.
func kubeletArgs() []string {
	if _, err := os.Stat(kubeletConfig); err != nil {
		return nil
	}
	args := []string{"/usr/bin/kubelet", "--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf",
		"--kubeconfig=/etc/kubernetes/kubelet.conf", "--config=" + kubeletConfig}
	data, err := os.ReadFile(kubeletDir + "/kubeadm-flags.env")
	if err != nil {
		return args
	}
	_, value, _ := strings.Cut(strings.TrimSpace(string(data)), "=")
	return append(args, strings.Fields(strings.Trim(value, `"`))...)
}

func waitForSocket(path string, patience time.Duration) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		conn, err := net.Dial("unix", path)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waiting for containerd: %w", err)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"perennial.dev/perennial/lab/internal/network"
	"perennial.dev/perennial/lab/internal/supervise"
)

// step is one thing that making a node takes, with a word for the user.
type step struct {
	say string
	do  func(context.Context, *Settings) error
}

// Create makes a node of the settings, which lack an address and a holder. The
// directory must not exist; others are who else has an address. What was made
// before a failure is for [Remove].
func Create(ctx context.Context, s Settings, others []network.Host, log io.Writer) (Settings, error) {
	if err := s.checkLives(); err != nil {
		return s, err
	}
	for _, step := range []step{
		{"writing configuration", func(ctx context.Context, s *Settings) error { return s.write(ctx, others) }},
		{"starting containerd", func(ctx context.Context, s *Settings) error { return s.hold(ctx) }},
		{"importing images", func(ctx context.Context, s *Settings) error { return s.importImages(ctx) }},
		{"running kubeadm init", func(ctx context.Context, s *Settings) error { return s.kubeadmInit(ctx) }},
	} {
		start := time.Now()
		fmt.Fprintf(log, "%s: %s", s.Name, step.say)
		err := step.do(ctx, &s)
		fmt.Fprintf(log, ", %.1f s\n", time.Since(start).Seconds())
		if err != nil {
			return s, err
		}
	}
	s.Made = true
	return s, s.Save()
}

// write writes everything that is there before the first process.
func (s *Settings) write(ctx context.Context, others []network.Host) error {
	address, err := network.ChooseAddress(s.Name, others)
	if err != nil {
		return err
	}
	s.Address = address
	if err := os.MkdirAll(s.Logs(), 0o755); err != nil {
		return fmt.Errorf("creating the node's directory: %w", err)
	}
	// First of all, so that what follows can be removed after any failure.
	if err := s.Save(); err != nil {
		return err
	}
	for _, dir := range owned {
		if err := os.MkdirAll(filepath.Join(s.Dir, dir), 0o755); err != nil {
			return err
		}
	}
	if err := s.writeKubeadmConfig(); err != nil {
		return err
	}
	_, pause, err := s.imageTags(ctx)
	if err != nil {
		return err
	}
	if err := s.writeContainerdConfig(pause); err != nil {
		return err
	}
	return s.makeCgroups()
}

// imageTags are those that this version's kubeadm asks for; nothing of a node
// uses CoreDNS.
func (s Settings) imageTags(ctx context.Context) (tags []string, pause string, err error) {
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin(), "kubeadm"), "config", "images", "list", "--config", filepath.Join(s.Dir, kubeadmFile))
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return nil, "", fmt.Errorf("asking kubeadm for its images: %w\n%s", err, tail(complaints.Bytes()))
	}
	for _, tag := range strings.Fields(out.String()) {
		switch name := strings.TrimPrefix(tag, imageRepository+"/"); {
		case strings.HasPrefix(name, "pause:"):
			pause = tag
		case !strings.HasPrefix(name, "coredns"):
			tags = append(tags, tag)
		}
	}
	if pause == "" || len(tags) == 0 {
		return nil, "", fmt.Errorf("asking kubeadm for its images: it named %q", out.String())
	}
	return tags, pause, nil
}

// hold starts the holder and gives it a network. The holder waits until it is
// written down.
func (s *Settings) hold(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(s.Logs(), "node.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(self, "node", "hold", s.Dir)
	cmd.Dir, cmd.Stderr = "/", log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
	}
	word, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	defer word.Close()
	answers, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the node's first process: %w", err)
	}
	defer cmd.Process.Release()
	if s.Holder, err = supervise.Identify(cmd.Process.Pid); err != nil {
		return err
	}
	if err := s.Save(); err != nil {
		return err
	}
	if err := s.connect(); err != nil {
		return err
	}
	if _, err := word.Write([]byte("\n")); err != nil {
		return fmt.Errorf("starting the node's first process: %w; see %s", err, log.Name())
	}
	return waitForAnswer(ctx, answers, log.Name())
}

func waitForAnswer(ctx context.Context, answers io.ReadCloser, log string) error {
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(answers).ReadString('\n')
		line <- strings.TrimSpace(text)
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case text := <-line:
		if text != ready {
			return fmt.Errorf("setting up the node: %s; see %s", text, log)
		}
		return nil
	}
}

func (s *Settings) importImages(ctx context.Context) error {
	tags, pause, err := s.imageTags(ctx)
	if err != nil {
		return err
	}
	archive, out := io.Pipe()
	go func() { out.CloseWithError(writeArchive(out, s.images(tags, pause))) }()
	defer archive.Close()
	return s.quietly(ctx, archive, "ctr", "-n", "k8s.io", "images", "import", "-")
}

// quietly runs a program inside; what it printed is shown when it fails.
func (s *Settings) quietly(ctx context.Context, in io.Reader, args ...string) error {
	var out bytes.Buffer
	if err := s.Run(ctx, Streams{in, &out, &out}, "/", args...); err != nil {
		return fmt.Errorf("running %s in the node %s: %w\n%s", strings.Join(args, " "), s.Name, err, tail(out.Bytes()))
	}
	return nil
}

// kubeadmInit leaves out the addons: they need a network between pods. The
// preflight checks look for what a lab does without, such as systemd.
func (s *Settings) kubeadmInit(ctx context.Context) error {
	log, err := os.OpenFile(filepath.Join(s.Logs(), "kubeadm.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{"kubeadm", "init", "--config", filepath.Join(insideDir, kubeadmFile), "--skip-phases", "preflight,addon", "--ignore-preflight-errors", "all", "--v=1"}
	if err := s.Run(ctx, Streams{nil, log, log}, "/", args...); err != nil {
		said, readErr := os.ReadFile(log.Name())
		return errors.Join(fmt.Errorf("running kubeadm init in the node %s: %w; see %s\n%s", s.Name, err, s.Logs(), tail(said)), readErr)
	}
	return nil
}

// Remove ends everything of a node and removes it; what is not there any more
// is no failure.
func (s Settings) Remove() error {
	// The end of its first process is the end of everything in the namespace:
	// the kernel waits for them all.
	if err := s.Holder.Kill(syscall.SIGKILL, time.Minute); err != nil {
		return fmt.Errorf("ending the node %s: %w", s.Name, err)
	}
	if err := s.disconnect(); err != nil {
		return err
	}
	if err := s.removeCgroups(); err != nil {
		return err
	}
	if err := os.RemoveAll(s.Dir); err != nil {
		return fmt.Errorf("removing the node's directory: %w", err)
	}
	return nil
}

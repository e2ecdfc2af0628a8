// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"perennial.dev/perennial/lab/internal/api"
	"perennial.dev/perennial/lab/internal/clock"
	"perennial.dev/perennial/lab/internal/layout"
	"perennial.dev/perennial/lab/internal/program"
	"perennial.dev/perennial/lab/internal/supervise"
)

const defaultVersion = "1.37.0"

func newBuild() *cobra.Command {
	var version string
	cmd := &cobra.Command{
		Use: "build", Short: "Build the programs of a Kubernetes version, unless that has been done", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := build(cmd.Context(), version, cmd.ErrOrStderr())
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), p.Bin())
			}
			return err
		},
	}
	cmd.Flags().StringVar(&version, "version", defaultVersion, "full Kubernetes version")
	return cmd
}

func build(ctx context.Context, version string, progress io.Writer) (program.Program, error) {
	cache, err := program.CacheDir()
	if err != nil {
		return program.Program{}, err
	}
	return program.Build(ctx, version, cache, progress)
}

// upOptions are what a lab is made from.
type upOptions struct {
	version, dir, node, keyAlgorithm, clock string
	certLife, caLife                        life
	network                                 bool
}

// life is a duration flag that takes days, too.
type life time.Duration

func (l *life) String() string { return time.Duration(*l).String() }
func (l *life) Type() string   { return "duration" }
func (l *life) Set(s string) error {
	d, err := clock.ParseDuration(s)
	if err == nil && d <= 0 {
		err = errors.New("want a positive duration")
	}
	*l = life(d)
	return err
}

func (o *upOptions) addFlags(flags *pflag.FlagSet) {
	o.certLife, o.caLife = life(layout.DefaultCertLife), life(layout.DefaultCALife)
	flags.StringVar(&o.version, "version", defaultVersion, "full Kubernetes version")
	flags.StringVar(&o.dir, "dir", "", "directory for the lab, empty or not yet there (default in the user's cache)")
	flags.StringVar(&o.node, "node", "cp1", "the node's name")
	flags.StringVar(&o.keyAlgorithm, "key-algorithm", "", "RSA-2048, RSA-3072, RSA-4096, ECDSA-P256 or ECDSA-P384 (default kubeadm's)")
	flags.Var(&o.certLife, "cert-life", "life of the certificates, such as 20m, 8760h or 3650d")
	flags.Var(&o.caLife, "ca-life", "life of the CAs")
	flags.BoolVar(&o.network, "network", false, "run the lab in a network of its own, with an address that is no loopback; needs root")
	flags.StringVar(&o.clock, "clock", "", "make the lab at another time, such as -300d: an old cluster after a `lab clock reset`")
}

func newUp(labs *registry) *cobra.Command {
	var o upOptions
	cmd := &cobra.Command{
		Use: "up", Short: "Make a lab and start it; a lab that is there is only started", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := up(cmd.Context(), labs, o, cmd.Flags(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "lab %s: Kubernetes %s on https://%s\nfiles: %s\nnext:  %s exec --name %s -- kubectl get namespaces\n",
				s.Name, s.Version, s.Endpoint(), s.Dir, os.Args[0], s.Name)
			return nil
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func up(ctx context.Context, labs *registry, o upOptions, given *pflag.FlagSet, progress io.Writer) (layout.Settings, error) {
	unlock, err := labs.lock(ctx)
	if err != nil {
		return layout.Settings{}, err
	}
	defer unlock()
	s, err := labs.open()
	if err == nil && !s.Made {
		// Whoever was making it was killed.
		if err = labs.remove(); err != nil {
			return s, err
		}
		err = os.ErrNotExist
	}
	switch {
	case err == nil:
		if err := o.agrees(s, given); err != nil {
			return s, err
		}
		if s, err = rebuilt(ctx, s, progress); err != nil {
			return s, err
		}
	default:
		if s, err = create(ctx, labs, o, progress); err != nil {
			return s, err
		}
	}
	if err := connect(ctx, labs, s); err != nil {
		return s, err
	}
	if err := startSupervisor(ctx, s); err != nil {
		return s, err
	}
	if err := waitReady(ctx, s, 2*time.Minute); err != nil {
		return s, err
	}
	return s, register(s)
}

// rebuilt builds the lab's programs again where the cache has been emptied.
func rebuilt(ctx context.Context, s layout.Settings, progress io.Writer) (layout.Settings, error) {
	if _, err := os.Stat(s.Bin()); err == nil {
		return s, nil
	}
	p, err := build(ctx, s.Version, progress)
	if err != nil {
		return s, err
	}
	s.Program = p.Dir
	return s, s.Save()
}

// create makes a new lab's files; after a failure nothing is left of it.
func create(ctx context.Context, labs *registry, o upOptions, progress io.Writer) (layout.Settings, error) {
	version, err := program.ParseVersion(o.version)
	if err != nil {
		return layout.Settings{}, err
	}
	p, err := build(ctx, version, progress)
	if err != nil {
		return layout.Settings{}, err
	}
	offset := time.Duration(0)
	if o.clock != "" {
		if offset, err = clock.Parse(o.clock, time.Now(), 0); err != nil {
			return layout.Settings{}, err
		}
	}
	dir, err := labs.place(o.dir)
	if err != nil {
		return layout.Settings{}, err
	}
	s := layout.Settings{
		Name: labs.name, Dir: dir, Version: version, Program: p.Dir, Node: o.node,
		CertLife: time.Duration(o.certLife), CALife: time.Duration(o.caLife), KeyAlgorithm: o.keyAlgorithm,
	}
	write := func(s layout.Settings) (layout.Settings, error) { return layout.Create(s, offset) }
	if o.network {
		s, err = withNetwork(ctx, labs, s, write)
	} else {
		s, err = write(s)
	}
	if err != nil {
		return s, errors.Join(fmt.Errorf("making the lab %s: %w", labs.name, err), labs.remove())
	}
	return s, nil
}

// agrees refuses flags that ask for another lab than the one there.
func (o upOptions) agrees(s layout.Settings, given *pflag.FlagSet) error {
	version, _ := program.ParseVersion(o.version)
	dir, _ := filepath.Abs(o.dir)
	var differ []string
	for flag, same := range map[string]bool{
		"version": version == s.Version, "dir": dir == s.Dir, "node": o.node == s.Node, "key-algorithm": o.keyAlgorithm == s.KeyAlgorithm,
		"cert-life": time.Duration(o.certLife) == s.CertLife, "ca-life": time.Duration(o.caLife) == s.CALife,
		"network": o.network == (s.Address != ""),
	} {
		if given.Changed(flag) && !same {
			differ = append(differ, "--"+flag)
		}
	}
	if len(differ) > 0 {
		return fmt.Errorf("starting the lab %s: it was made with another %s; remove it first with `lab down --name %s`", s.Name, strings.Join(differ, ", "), s.Name)
	}
	return nil
}

func runDir(s layout.Settings) string { return filepath.Join(s.Dir, "run") }

// startSupervisor starts a detached supervisor unless one answers.
func startSupervisor(ctx context.Context, s layout.Settings) error {
	if _, err := supervise.List(runDir(s)); err == nil {
		return nil
	}
	// What a supervisor that died may have left.
	if err := supervise.End(runDir(s)); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(s.Logs(), "supervisor.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "supervise", s.Dir)
	cmd.Env = s.Environ()
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := startApart(s, cmd); err != nil {
		return fmt.Errorf("starting the supervisor: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		if _, err := supervise.List(runDir(s)); err == nil {
			return nil
		}
		select {
		case err := <-ended:
			return fmt.Errorf("starting the supervisor: %w; see %s", err, log.Name())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func newSupervise() *cobra.Command {
	return &cobra.Command{
		Use: "supervise DIR", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := layout.Load(args[0])
			if err != nil {
				return err
			}
			if err := mountOwn(s); err != nil {
				return err
			}
			return supervise.Run(cmd.Context(), supervise.Options{
				Manifests: s.Manifests(), Programs: s.Bin(), Run: runDir(s), Logs: s.Logs(),
				Environ: os.Environ(), Log: cmd.ErrOrStderr(),
			})
		},
	}
}

// waitReady waits until the API server says that it is ready.
func waitReady(ctx context.Context, s layout.Settings, patience time.Duration) error {
	client, err := api.FromKubeconfig(s.AdminConf())
	if err != nil {
		return err
	}
	defer client.Forget()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	last := "no answer"
	for {
		answer, err := client.Do(ctx, http.MethodGet, "/readyz", nil)
		if err == nil && answer.Code == http.StatusOK {
			return nil
		}
		if err == nil {
			last = answer.Message()
		} else if ctx.Err() == nil {
			last = err.Error()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the API server on %s: %s; see %s", s.Endpoint(), last, s.Logs())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// register fills the new cluster once.
func register(s layout.Settings) error {
	marker := filepath.Join(s.Dir, "registered")
	if _, err := os.Stat(marker); err == nil {
		return nil
	}
	if err := s.Register(); err != nil {
		return err
	}
	return os.WriteFile(marker, nil, 0o644)
}

func newDown(labs *registry) *cobra.Command {
	return &cobra.Command{
		Use: "down", Short: "End a lab and remove everything of it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return down(cmd.Context(), labs) },
	}
}

// down is content when there is no such lab.
func down(ctx context.Context, labs *registry) error {
	unlock, err := labs.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	entry, err := labs.entry()
	if err != nil {
		return err
	}
	if s, err := layout.Load(entry); err == nil {
		if err := supervise.End(runDir(s)); err != nil {
			return fmt.Errorf("ending the lab %s: %w", labs.name, err)
		}
	}
	if err := disconnect(ctx, labs, layout.Settings{Name: labs.name}); err != nil {
		return err
	}
	return labs.remove()
}

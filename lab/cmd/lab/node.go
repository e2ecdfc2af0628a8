// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"perennial.dev/perennial/lab/internal/layout"
	"perennial.dev/perennial/lab/internal/network"
	"perennial.dev/perennial/lab/internal/node"
	"perennial.dev/perennial/lab/internal/program"
)

func newNode(labs *registry) *cobra.Command {
	cmd := &cobra.Command{
		Use: "node", Short: "Real nodes with kubelet, containerd and runc, in namespaces; they need root",
		Long: `A node is made by kubeadm, with the real kubelet and static pods in containerd, in
namespaces of its own on this machine. It needs root, cgroups and the packages
` + strings.Join(node.Packages(), ", ") + `,
which it installs on Debian. Several nodes run side by side; --name says which
is meant, and is the node's name in the cluster.`,
	}
	cmd.AddCommand(newNodeUp(labs), newNodeDown(labs), newNodeStatus(labs), newNodeExec(labs), newNodeReboot(labs), newNodeWorker(labs), newNodeHold())
	return cmd
}

// nodes is the registry of nodes, for the name given.
func (r *registry) nodes() *registry { return &registry{name: r.name, kind: "nodes"} }

func (r *registry) openNode() (node.Settings, error) {
	entry, err := r.entry()
	if err != nil {
		return node.Settings{}, err
	}
	s, err := node.Load(entry)
	if errors.Is(err, os.ErrNotExist) {
		return s, fmt.Errorf("no node is called %q; make it with `lab node up --name %s`", r.name, r.name)
	}
	return s, err
}

// hosts are who has an address on the bridge: nodes, their workers, and labs
// with a network.
func (r *registry) hosts() ([]network.Host, error) {
	labs, err := (&registry{}).all()
	if err != nil {
		return nil, err
	}
	var found []network.Host
	for _, s := range labs {
		if s.Address != "" {
			found = append(found, hostOf(s))
		}
	}
	dir, err := r.nodes().dir()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listing the nodes: %w", err)
	}
	for _, entry := range entries {
		if s, err := node.Load(filepath.Join(dir, entry.Name())); err == nil {
			found = append(found, s.Hosts()...)
		}
	}
	return found, nil
}

type nodeOptions struct {
	version          string
	certLife, caLife life
	firewall         []int
}

func newNodeUp(labs *registry) *cobra.Command {
	o := nodeOptions{certLife: life(layout.DefaultCertLife), caLife: life(layout.DefaultCALife)}
	cmd := &cobra.Command{
		Use: "up", Short: "Make a node, unless it is there", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := nodeUp(cmd.Context(), labs.nodes(), o, cmd.Flags(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "node %s: Kubernetes %s on %s\nfiles: %s\nnext:  %s node exec --name %s -- kubectl get pods -A\n",
				s.Name, s.Version, s.Endpoint(), s.Dir, os.Args[0], s.Name)
			return nil
		},
	}
	cmd.Flags().StringVar(&o.version, "version", defaultVersion, "full Kubernetes version")
	cmd.Flags().Var(&o.certLife, "cert-life", "life of the certificates, such as 20m, 8760h or 3650d")
	cmd.Flags().Var(&o.caLife, "ca-life", "life of the CAs")
	cmd.Flags().IntSliceVar(&o.firewall, "firewall", nil, "drop what comes from outside but for these TCP `ports` (--firewall alone: 6443)")
	cmd.Flags().Lookup("firewall").NoOptDefVal = "6443"
	return cmd
}

func nodeUp(ctx context.Context, nodes *registry, o nodeOptions, given *pflag.FlagSet, progress io.Writer) (node.Settings, error) {
	if err := node.Prepare(ctx, progress); err != nil {
		return node.Settings{}, err
	}
	unlock, err := nodes.lockAll(ctx)
	if err != nil {
		return node.Settings{}, err
	}
	defer unlock()
	entry, err := nodes.entry()
	if err != nil {
		return node.Settings{}, err
	}
	s, err := node.Load(entry)
	if err == nil && s.Made && s.Running() {
		return s, o.agrees(s, given)
	}
	// What is left of one that was killed, or of one from before a reboot.
	if err := removeNode(entry); err != nil {
		return s, err
	}
	others, err := nodes.hosts()
	if err != nil {
		return s, err
	}
	if s, err = o.settings(ctx, nodes.name, entry, progress); err != nil {
		return s, err
	}
	s, err = node.Create(ctx, s, others, progress)
	if err != nil && os.Getenv("LAB_KEEP") == "" {
		return s, errors.Join(fmt.Errorf("making the node %s: %w", nodes.name, err), s.Remove())
	}
	return s, err
}

func (o nodeOptions) settings(ctx context.Context, name, dir string, progress io.Writer) (node.Settings, error) {
	p, err := build(ctx, o.version, progress)
	if err != nil {
		return node.Settings{}, err
	}
	cache, err := program.CacheDir()
	if err != nil {
		return node.Settings{}, err
	}
	pause, err := program.Pause(ctx, cache)
	return node.Settings{
		Name: name, Dir: dir, Version: p.Version, Program: p.Dir, Pause: pause,
		CertLife: time.Duration(o.certLife), CALife: time.Duration(o.caLife), Firewall: o.firewall,
	}, err
}

// agrees refuses flags that ask for another node than the one there.
func (o nodeOptions) agrees(s node.Settings, given *pflag.FlagSet) error {
	version, _ := program.ParseVersion(o.version)
	for flag, same := range map[string]bool{
		"version": version == s.Version, "cert-life": time.Duration(o.certLife) == s.CertLife, "ca-life": time.Duration(o.caLife) == s.CALife,
		"firewall": slices.Equal(o.firewall, s.Firewall),
	} {
		if given.Changed(flag) && !same {
			return fmt.Errorf("the node %s was made with another --%s; remove it first with `lab node down --name %s`", s.Name, flag, s.Name)
		}
	}
	return nil
}

func newNodeWorker(labs *registry) *cobra.Command {
	var mode string
	cmd := &cobra.Command{
		Use: "worker", Short: "Give a node a worker's network with a kube-proxy beside it",
		Long: `Makes a network namespace beside the node, with an address of its own and a real
kube-proxy, so that the service address of the API is reached from there, as from a
worker's pods and host. A worker that is there is replaced. ` + "`lab node down`" + ` removes it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			nodes := labs.nodes()
			unlock, err := nodes.lockAll(cmd.Context())
			if err != nil {
				return err
			}
			defer unlock()
			s, err := nodes.openNode()
			if err != nil {
				return err
			}
			others, err := nodes.hosts()
			if err != nil {
				return err
			}
			if s, err = s.AddWorker(cmd.Context(), others, mode); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "worker %s: %s, kube-proxy in mode %s, service kubernetes at %s\nnext:  ip netns exec %s ip address\n",
				s.Worker.Node, s.Worker.Address, s.Worker.ProxyMode, s.Worker.ClusterIP, s.Worker.Netns)
			return nil
		},
	}
	cmd.Flags().StringVar(&mode, "proxy-mode", "iptables", "how kube-proxy translates: iptables, or nftables (1.31 and later)")
	return cmd
}

func newNodeDown(labs *registry) *cobra.Command {
	return &cobra.Command{
		Use: "down", Short: "End a node and remove everything of it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			nodes := labs.nodes()
			unlock, err := nodes.lockAll(cmd.Context())
			if err != nil {
				return err
			}
			defer unlock()
			entry, err := nodes.entry()
			if err != nil {
				return err
			}
			return removeNode(entry)
		},
	}
}

// removeNode is content when there is no such node.
func removeNode(entry string) error {
	s, err := node.Load(entry)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.Remove()
}

// nodeStatus is the JSON of `lab node status`.
type nodeStatus struct {
	node.Settings
	Netns      string `json:"netns"`
	Endpoint   string `json:"endpoint"`
	Kubeconfig string `json:"kubeconfig"` // on the machine; its address is reached from there
	PID        int    `json:"pid"`        // of the process that holds the namespaces
	Running    bool   `json:"running"`
}

func newNodeStatus(labs *registry) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "status", Short: "Show one node", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := labs.nodes().openNode()
			if err != nil {
				return err
			}
			st := nodeStatus{s, s.Netns(), s.Endpoint(), s.AdminConf(), s.Holder.PID, s.Running()}
			return print(cmd.OutOrStdout(), output, st, func(w io.Writer) {
				fmt.Fprintln(w, "NAME\tVERSION\tRUNNING\tENDPOINT\tPID\tNETNS\tDIRECTORY")
				fmt.Fprintf(w, "%s\t%s\t%v\t%s\t%d\t%s\t%s\n", st.Name, st.Version, st.Running, st.Endpoint, st.PID, st.Netns, st.Dir)
			})
		},
	}
	addOutput(cmd, &output)
	return cmd
}

func newNodeExec(labs *registry) *cobra.Command {
	return &cobra.Command{
		Use: "exec -- PROGRAM [ARGUMENT]...", Short: "Run a program inside a node",
		Long: `Runs a program in all of the node's namespaces, as root, with its kubeconfig. The
machine's files are there but for /etc/kubernetes, /var/lib/{kubelet,etcd,
containerd,perennial}, /var/log and /run, which are the node's. The exit code is the
program's.`,
		Example: "  lab node exec -- kubectl get pods -A\n  lab node exec -- /path/to/perennial check",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := labs.nodes().openNode()
			if err != nil {
				return err
			}
			dir, err := os.Getwd()
			if err != nil {
				return err
			}
			err = s.Run(cmd.Context(), node.Streams{In: os.Stdin, Out: cmd.OutOrStdout(), Err: cmd.ErrOrStderr()}, dir, args...)
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				return fmt.Errorf("%w: %w", errPassedOn, err)
			}
			return err
		},
	}
}

func newNodeReboot(labs *registry) *cobra.Command {
	return &cobra.Command{
		Use: "reboot [-- PROGRAM [ARGUMENT]...]", Short: "End everything in a node at once and start it again",
		Long: `Ends all processes of a node by SIGKILL, as a failure of the power does, runs the
program, if there is one, and then starts containerd and the kubelet again. It does
not wait for them.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := labs.nodes().openNode()
			if err != nil {
				return err
			}
			return s.Reboot(args)
		},
	}
}

func newNodeHold() *cobra.Command {
	return &cobra.Command{
		Use: "hold DIR", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return node.Hold(args[0], os.Stdin, os.Stdout, cmd.ErrOrStderr())
		},
	}
}

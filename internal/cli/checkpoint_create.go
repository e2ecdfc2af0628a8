// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/release"
)

type checkpointOptions struct {
	context, kubeconfig  string
	namespace, container string
	timeout              time.Duration
	dryRun, yes          bool
}

func newCheckpointCreate(s Streams) *cobra.Command {
	o := &checkpointOptions{}
	cmd := &cobra.Command{
		Use: "create POD", Short: "Let the kubelet write a container into an archive on its node",
		Long: `Asks the kubelet of the pod's node, through the API server, for a checkpoint of a
container, as you, with the kubeconfig that kubectl would use. The container is
frozen while its memory is written, and then goes on. The archive lies on the
node, in the kubelet's directory of checkpoints.

It needs the right to create nodes/proxy, which is that to do anything on a node.
The kubelet takes checkpoints since 1.25 where the gate ContainerCheckpoint is on,
by default since 1.30; the runtime has to be CRI-O 1.25 or containerd 2.0, or
later, with CRIU on the node.`,
		Example: `  perennial checkpoint create web-0
  perennial checkpoint create web-0 -n shop -c app --timeout 5m`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{hinted{errors.New("give one pod"), cmd.CommandPath() + " --help"}}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), s, args[0]) },
	}
	f := cmd.Flags()
	f.StringVarP(&o.namespace, "namespace", "n", "default", "the pod's `namespace`")
	f.StringVarP(&o.container, "container", "c", "", "the `container` (default: the only one that runs)")
	f.StringVar(&o.context, "context", "", "the `context` of the kubeconfig (default: the current one)")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "the kubeconfig `file` (default: as kubectl)")
	f.DurationVar(&o.timeout, "timeout", 2*time.Minute, "how long writing the archive may take")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be done and stop")
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask; needed where there is no terminal")
	_ = cmd.MarkFlagFilename("kubeconfig")
	for _, name := range []string{"context", "namespace", "container"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	return cmd
}

func (o *checkpointOptions) run(ctx context.Context, s Streams, pod string) error {
	if o.timeout < time.Second {
		return usageError{fmt.Errorf("reading --timeout: %s is less than a second", o.timeout)}
	}
	for what, name := range map[string]string{"pod": pod, "namespace": o.namespace, "container": o.container} {
		if strings.ContainsAny(name, "/?#%") || name == "." || name == ".." {
			return usageError{fmt.Errorf("reading the %s's name: %q is none", what, fact.Text(name))}
		}
	}
	at := kube.Context{Kubeconfig: o.kubeconfig, Name: o.context, Plugins: pluginPolicy(s)}
	if at.Kubeconfig != "" {
		var err error
		if at.Kubeconfig, err = filepath.Abs(at.Kubeconfig); err != nil {
			return err
		}
	}
	client, err := kube.OpenContext(at, version())
	if err != nil {
		return err
	}
	defer client.Close()
	node, err := o.choose(ctx, client, pod)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.Err, "The kubelet of %s freezes the container %s of the pod %s/%s, writes its memory, its open files and its changed files\ninto an archive in %s on that node, and lets it go on.\n"+
		"The archive holds every secret of the process. Nobody removes it: perennial checkpoint prune does, there.\n",
		fact.Text(node), fact.Text(o.container), fact.Text(o.namespace), fact.Text(pod), DefaultCheckpoints)
	if o.dryRun {
		return nil
	}
	if !o.yes {
		if err := ask(ctx, s); err != nil {
			return err
		}
	}
	paths, err := client.Checkpoint(ctx, node, o.namespace, pod, o.container, o.timeout)
	if err != nil {
		return o.explain(ctx, client, node, err)
	}
	for _, p := range paths {
		fmt.Fprintln(s.Out, fact.Text(p))
	}
	o.prove(s, node, paths)
	return nil
}

// prove looks for the archive, where it is on this machine.
func (o *checkpointOptions) prove(s Streams, node string, paths []string) {
	name, _ := os.Hostname()
	for _, p := range paths {
		if info, err := os.Lstat(p); err == nil && info.Mode().IsRegular() {
			fmt.Fprintf(s.Err, "It is there: %d bytes, mode %04o. perennial checkpoint inspect %s\n", info.Size(), info.Mode().Perm(), fact.Text(p))
		} else if name == node {
			fmt.Fprintf(s.Err, "The kubelet says that it wrote %s, and it cannot be seen from here: look as root, and at the kubelet's --root-dir.\n", fact.Text(p))
		} else {
			fmt.Fprintf(s.Err, "It is on the node %s. There: sudo perennial checkpoint inspect %s\n", fact.Text(node), fact.Text(p))
		}
	}
}

// choose finds the pod's node and the container.
func (o *checkpointOptions) choose(ctx context.Context, client *kube.Client, name string) (node string, err error) {
	pod, err := client.Pod(ctx, o.namespace, name)
	about := fmt.Sprintf("taking a checkpoint of the pod %s/%s", fact.Text(o.namespace), fact.Text(name))
	switch {
	case err != nil:
		return "", err
	case pod == nil:
		return "", hinted{fmt.Errorf("%s: there is no such pod", about), "kubectl get pods --all-namespaces"}
	case pod.Node == "":
		return "", fmt.Errorf("%s: it is on no node yet", about)
	}
	all := append(slices.Clone(pod.Running), pod.Stopped...)
	switch {
	case o.container == "" && len(pod.Running) == 1:
		o.container = pod.Running[0]
	case o.container == "" && len(pod.Running) == 0:
		return "", fmt.Errorf("%s: none of its containers runs (%s)", about, fact.Text(pod.Phase))
	case o.container == "":
		return "", usageError{hinted{fmt.Errorf("%s: several of its containers run", about), "choose one with -c: " + fact.Text(strings.Join(pod.Running, ", ")).String()}}
	case !slices.Contains(all, o.container):
		return "", hinted{fmt.Errorf("%s: it has no container %q", about, fact.Text(o.container)), "it has " + fact.Text(strings.Join(all, ", ")).String()}
	case !slices.Contains(pod.Running, o.container):
		return "", fmt.Errorf("%s: the container %s does not run, and only memory that is there can be written", about, fact.Text(o.container))
	}
	return pod.Node, nil
}

// explain adds to a refusal what has to be otherwise.
func (o *checkpointOptions) explain(ctx context.Context, client *kube.Client, node string, err error) error {
	kubelet, runtime, asked := client.Kubelet(ctx, node)
	if asked != nil {
		kubelet, runtime = "", "its runtime"
	}
	switch {
	case errors.Is(err, kube.ErrCheckpointOff):
		return hinted{err, gateHint(node, kubelet)}
	case errors.Is(err, kube.ErrCheckpointRuntime):
		return hinted{err, fmt.Sprintf("%s runs %s; checkpoints take CRI-O 1.25 with enable_criu_support, or containerd 2.0, or later", fact.Text(node), fact.Text(runtime))}
	case errors.Is(err, kube.ErrCheckpointCRIU):
		return hinted{err, fmt.Sprintf("on %s: install CRIU 3.16 or later where %s finds it, and see what `criu check` says", fact.Text(node), fact.Text(runtime))}
	case errors.Is(err, kube.ErrCheckpointKubelet):
		return hinted{err, fmt.Sprintf("the API server's own client for kubelets lacks the right to %s, as in clusters of newer kubeadms: "+
			"kubectl create clusterrole kubelet-checkpoint --verb=create --resource=nodes/checkpoint && "+
			"kubectl create clusterrolebinding kubelet-checkpoint --clusterrole=kubelet-checkpoint --user=kube-apiserver-kubelet-client", kube.KubeletCheckpoint)}
	case errors.Is(err, kube.ErrForbidden):
		return hinted{err, fmt.Sprintf("it needs the right to %s; with it one can do anything on a node", kube.CreateNodeProxy)}
	}
	return hinted{err, "nothing is known to have been written; on " + fact.Text(node).String() + ": sudo perennial checkpoint list"}
}

// gateHint says why a kubelet of a version does not know the question: the gate
// ContainerCheckpoint came with 1.25, off, and is on by default since 1.30
// (pkg/features/kube_features.go of 1.37.0).
func gateHint(node, kubelet string) string {
	minor, err := release.ParseMinor(kubelet)
	since, _ := release.ParseMinor("1.25")
	byDefault, _ := release.ParseMinor("1.30")
	switch {
	case err != nil:
		return "kubelets take checkpoints since 1.25 with the feature gate ContainerCheckpoint, which is on by default since 1.30"
	case minor < since:
		return fmt.Sprintf("%s runs a kubelet of %s; they take checkpoints since 1.25", fact.Text(node), minor)
	case minor < byDefault:
		return fmt.Sprintf("%s runs a kubelet of %s, where the feature gate is off by default: set featureGates: {ContainerCheckpoint: true} in its configuration and restart it", fact.Text(node), minor)
	}
	return fmt.Sprintf("%s runs a kubelet of %s, where the feature gate ContainerCheckpoint is on by default: its configuration turns it off", fact.Text(node), minor)
}

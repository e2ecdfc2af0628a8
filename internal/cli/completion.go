// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/timeline"
)

// completing is how long a look may take while somebody waits for a completion.
const completing = 2 * time.Second

// glance looks quietly and for a moment, or reads the record that the flags name.
func (o *lookOptions) glance(ctx context.Context, s Streams) []timeline.Item {
	ctx, end := context.WithTimeout(ctx, completing)
	defer end()
	s.Err = io.Discard
	o.record = "" // whoever completes writes nothing
	t, err := o.look(ctx, s)
	if err != nil {
		return nil
	}
	return t.Items
}

// completeExplained offers codes, and the IDs of what is found here.
func (o *explainOptions) completeExplained(s Streams) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		const directive = cobra.ShellCompDirectiveNoFileComp
		if len(args) > 0 {
			return nil, directive
		}
		out, _ := completeCodes(cmd, args, prefix)
		if prefix == "" || prefix[0] >= 'A' && prefix[0] <= 'Z' { // codes begin so, and IDs rarely
			return out, directive
		}
		return append(out, offering(o.glance(cmd.Context(), s), prefix, func(i timeline.Item) string { return string(i.ID) })...), directive
	}
}

// completeNames offers the names of what can be renewed here.
func (o *renewOptions) completeNames(s Streams) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		look := lookOptions{root: "/", kubernetesDir: o.kubernetesDir, config: o.config}
		items := slices.DeleteFunc(look.glance(cmd.Context(), s), func(i timeline.Item) bool {
			return i.Code != finding.CertificateExpires || i.Keeper == finding.KeeperKubelet || slices.Contains(args, i.ID.Name())
		})
		return offering(items, prefix, func(i timeline.Item) string { return i.ID.Name() }), cobra.ShellCompDirectiveNoFileComp
	}
}

// offering are names that begin with a prefix, each once, with what is the matter.
// What a shell would not print as it is, is left out.
func offering(items []timeline.Item, prefix string, of func(timeline.Item) string) []string {
	var out, known []string
	for _, i := range items {
		name := of(i)
		if name == "" || !strings.HasPrefix(name, prefix) || slices.Contains(known, name) || fact.Text(name).String() != name || strings.ContainsAny(name, "\t ") {
			continue
		}
		known = append(known, name)
		out = append(out, name+"\t"+fact.Text(i.Title).String())
	}
	slices.Sort(out)
	return out
}

// completeContexts offers the contexts of the kubeconfig that the flags name.
func completeContexts(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	at := kube.Context{}
	if f := cmd.Flags().Lookup("kubeconfig"); f != nil {
		at.Kubeconfig = f.Value.String()
	}
	names, err := at.Contexts()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return slices.DeleteFunc(names, func(n string) bool {
		return !strings.HasPrefix(n, prefix) || fact.Text(n).String() != n
	}), cobra.ShellCompDirectiveNoFileComp
}

// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"regexp"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/kube"
)

// The names by which kubectl finds a plugin and its completion in the PATH.
const (
	pluginName       = "kubectl-perennial"
	pluginCompletion = "kubectl_complete-perennial"
)

func (s Streams) isPlugin() bool { return s.Program == pluginName || s.Program == pluginCompletion }

// exampleCall is a call of the program in a help text.
var exampleCall = regexp.MustCompile(`(?m)(^  |[|;&] +)perennial `)

// asPlugin makes help say how a plugin is called.
func asPlugin(root *cobra.Command) {
	root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl perennial"}
	var each func(*cobra.Command)
	each = func(cmd *cobra.Command) {
		cmd.Long = exampleCall.ReplaceAllString(cmd.Long, "${1}kubectl perennial ")
		cmd.Example = exampleCall.ReplaceAllString(cmd.Example, "${1}kubectl perennial ")
		for _, c := range cmd.Commands() {
			each(c)
		}
	}
	each(root)
}

// addPluginFlags adds those of kubectl's own flags that say which cluster is meant,
// and as whom. What holds a secret is not among them: it belongs into a kubeconfig.
func (o *upgradeOptions) addPluginFlags(cmd *cobra.Command) {
	cmd.Long += `

As a plugin of kubectl it looks at the cluster of the current context, or of
--context: without --to at its API server from outside, at the dates of what that
serves; with --to at what the cluster holds. It takes kubectl's flags that say which
cluster is meant and as whom, but for those that hold a secret. --namespace changes
nothing: the whole cluster is looked at. On a node, sudo perennial check sees more.`
	f := cmd.Flags()
	v := &o.overrides
	f.StringVar(&v.Cluster, "cluster", "", "the `name` of the kubeconfig's cluster")
	f.StringVar(&v.User, "user", "", "the `name` of the kubeconfig's user")
	f.StringVarP(&v.Server, "server", "s", "", "the `address` and port of the API server")
	f.StringVar(&v.TLSServerName, "tls-server-name", "", "the `name` that the server's certificate is to have")
	f.StringVar(&v.CertificateAuthority, "certificate-authority", "", "`file` with the CAs of the server's certificate")
	f.BoolVar(&v.Insecure, "insecure-skip-tls-verify", false, "do not verify the server's certificate")
	f.StringVar(&v.As, "as", "", "ask as this `user`")
	f.StringVar(&v.AsUID, "as-uid", "", "ask as the user with this `uid`")
	f.StringArrayVar(&v.AsGroups, "as-group", nil, "ask as a member of this `group` (repeatable)")
	f.DurationVar(&v.Timeout, "request-timeout", 0, "how long a single request may take (default: as long as it makes progress)")
	f.StringP("namespace", "n", "", "accepted as kubectl's, and without effect: the whole cluster is looked at")
	_ = cmd.MarkFlagFilename("certificate-authority")
	cmd.Flags().Lookup("context").Usage = "look at the cluster of this `context` of the kubeconfig (default the current one; repeatable)"
	cmd.Flags().Lookup("kubeconfig").Usage = "look at the cluster of this `file` (default as kubectl)"
}

// asPlugin looks at the cluster that kubectl would ask, unless it is said where else.
func (o *checkOptions) asPlugin() error {
	if len(o.endpoints)+len(o.files) > 0 || o.root != "/" || o.replay != "" {
		return nil
	}
	if len(o.contexts) == 0 {
		o.contexts = []string{""}
	}
	if o.to != "" {
		return nil
	}
	for _, name := range o.contexts {
		endpoint, err := kube.Context{Kubeconfig: o.kubeconfig, Name: name, Overrides: o.overrides}.Endpoint()
		if err != nil {
			return err
		}
		o.endpoints = append(o.endpoints, endpoint)
	}
	o.contexts, o.kubeconfig = nil, ""
	return nil
}

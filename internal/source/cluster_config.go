// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/document"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/kube"
)

// lookRequested reads which deprecated APIs were asked for.
func (c *cluster) lookRequested(ctx context.Context) {
	prefers := map[[3]string]bool{}
	for _, r := range c.served.Preferred() {
		prefers[[3]string{r.Group, r.Version, r.Name}] = true
	}
	err := c.client.Requested(ctx, func(r fact.Requested) {
		if !prefers[[3]string{string(r.Group), string(r.Version), string(r.Resource)}] {
			c.push(r)
		}
	})
	if err != nil {
		c.fail(ctx, "requests for deprecated APIs (the metrics of "+fact.Text(c.client.Server())+")", err, "get /metrics")
	}
}

// lookConfiguration reads what kubeadm keeps of components' configurations, and
// what kubelets tell of their own.
func (c *cluster) lookConfiguration(ctx context.Context) {
	const namespace = "kube-system"
	for _, kept := range []struct{ name, key, component string }{
		{"kube-proxy", "config.conf", "kube-proxy"},
		{"kubeadm-config", "ClusterConfiguration", "kubeadm"},
		{c.kubeletConfigMap(), "kubelet", "kubelet"},
	} {
		place := "ConfigMap " + namespace + "/" + kept.name
		data, err := c.client.ConfigMap(ctx, namespace, kept.name)
		if err != nil {
			c.fail(ctx, fact.Text(place), err, "get configmaps in "+namespace)
			continue
		}
		if text := data[kept.key]; text != "" {
			c.configuration(place, kept.component, text)
		}
	}
	c.lookKubelets(ctx)
}

// kubeletConfigMap is kubeadm's name of the kubelets' configuration: with the
// minor before 1.24 (kubeadm's gate UnversionedKubeletConfigMap).
func (c *cluster) kubeletConfigMap() string {
	var minor int
	if n, _ := fmt.Sscanf(string(c.version.Git), "v1.%d", &minor); n == 1 && minor < 24 {
		return fmt.Sprintf("kubelet-config-1.%d", minor)
	}
	return "kubelet-config"
}

// configuration reads the documents of a component's configuration. kubeadm's
// holds the components' flags as well, so that its content is judged.
func (c *cluster) configuration(place, component, text string) {
	defer c.recovered(fact.Text(place))
	document.Read(place, []byte(text), document.Want{}, func(o fact.Object) {
		d := fact.ConfigDocument{Path: place, Line: o.Line, Component: component, APIVersion: o.APIVersion, Type: o.Type}
		if component == "kube-proxy" || component == "kubelet" {
			d.Flag = "--config"
		}
		var gates struct {
			FeatureGates map[string]bool `json:"featureGates"`
		}
		if len(o.Content) > 0 && json.Unmarshal(o.Content, &gates) != nil {
			d.Problem = "its featureGates are not true or false by name"
		}
		d.Gates = gates.FeatureGates
		c.push(d)
		if o.Type == "ClusterConfiguration" && len(o.Content) > 0 {
			namespace, name, _ := strings.Cut(strings.TrimPrefix(place, "ConfigMap "), "/")
			c.push(fact.Object{APIVersion: o.APIVersion, Type: o.Type, Namespace: fact.Text(namespace), Name: fact.Text(name), Content: o.Content})
		}
	}, func(u fact.Unseen) {
		u.What = fact.Text(place)
		c.say(u)
	})
}

// lookKubelets asks each kubelet what it runs with, where that is allowed. One
// who may not is told once, for all nodes.
func (c *cluster) lookKubelets(ctx context.Context) {
	nodes := slices.IndexFunc(c.served.Resources, func(r kube.Resource) bool { return r.Group == "" && r.Name == "nodes" })
	if nodes < 0 {
		return
	}
	var names []string
	err := c.client.List(ctx, kube.Listing{Resource: c.served.Resources[nodes], Metadata: true, Patience: c.o.Patience}, func(item json.RawMessage) error {
		var n named
		if err := json.Unmarshal(item, &n); err != nil {
			return err
		}
		names = append(names, string(n.Metadata.Name))
		return nil
	})
	if err != nil || len(names) == 0 {
		return // that nodes cannot be listed was said
	}
	if may, err := c.client.May(ctx, kube.NodeProxy); err == nil && !may {
		c.say(fact.Unseen{What: "what each kubelet runs with (feature gates that flags or files set)", Why: fact.Denied,
			Detail: "the API server asks for the right to " + fact.Text(kube.NodeProxy.String()) + " before it lets anybody ask a kubelet",
			Hint:   "run perennial check on each node; the right also lets its owner run commands in pods"})
		return
	}
	atOnce(c.o.AtOnce, names, func(_ int, name string) { c.lookKubelet(ctx, name) })
}

// kubeletTime bounds one kubelet's answer. That of a node which is switched off
// never comes.
const kubeletTime = 3 * time.Second

func (c *cluster) lookKubelet(ctx context.Context, name string) {
	what := "the configuration of the kubelet of " + fact.Text(name)
	defer c.recovered(what)
	if ctx.Err() != nil {
		c.fail(ctx, what, ctx.Err(), "")
		return
	}
	within, cancel := context.WithTimeout(ctx, kubeletTime)
	defer cancel()
	config, err := c.client.NodeConfig(within, name)
	if err != nil {
		c.fail(ctx, what, err, fact.Text(kube.NodeProxy.String()))
		return
	}
	k := fact.KubeletConfig{Node: fact.Text(name)}
	var told struct {
		FeatureGates map[string]bool `json:"featureGates"`
		FailCgroupV1 *bool           `json:"failCgroupV1"`
	}
	if json.Unmarshal(config, &told) != nil {
		k.Problem = "it is no KubeletConfiguration"
	}
	k.Gates, k.FailCgroupV1 = told.FeatureGates, told.FailCgroupV1
	c.push(k)
}

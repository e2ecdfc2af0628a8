// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"perennial.dev/perennial/internal/fact"
)

// Replacement is something that does kube-proxy's work, or a part of it.
type Replacement struct {
	Name    string // cilium, calico, antrea, kube-router, ovn-kubernetes
	EBPF    bool   // by programs in the kernel that netfilter does not see
	Partial bool   // for some of the traffic only
	// Evidence says where that is written, in the cluster's words.
	Evidence fact.Text
}

// KubeProxyReplacement looks for what does kube-proxy's work, as far as the API
// tells. None found and no error is none; with an error it is not known whether
// there are others than those returned.
func (c *Client) KubeProxyReplacement(ctx context.Context) ([]Replacement, error) {
	var found []Replacement
	var errs []error
	for _, look := range []func(context.Context) ([]Replacement, error){c.cilium, c.antrea, c.calico, c.daemons} {
		more, err := look(ctx)
		found, errs = append(found, more...), append(errs, err)
	}
	return oncePerName(found), errors.Join(errs...)
}

// oncePerName keeps the first evidence of each.
func oncePerName(all []Replacement) []Replacement {
	seen := map[string]bool{}
	return slices.DeleteFunc(all, func(r Replacement) bool {
		again := seen[r.Name]
		seen[r.Name] = true
		return again
	})
}

// objectMeta is what names an object.
type objectMeta struct {
	Metadata struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
}

func (o objectMeta) place() string { return path.Join(o.Metadata.Namespace, o.Metadata.Name) }

type configMap struct {
	objectMeta
	Data map[string]string `json:"data"`
}

// configMaps finds those of a name in every namespace, since an installation
// may have put its own anywhere.
func (c *Client) configMaps(ctx context.Context, name string) ([]configMap, error) {
	var list struct {
		Items []configMap `json:"items"`
	}
	err := c.do(ctx, request{
		about: "for the ConfigMap " + name, verb: http.MethodGet, path: []string{"/api/v1/configmaps"},
		query: map[string]string{"fieldSelector": "metadata.name=" + name},
	}, &list)
	return list.Items, err
}

// ciliumModes are the values of kube-proxy-replacement that are on (Cilium
// Documentation/network/kubernetes/kubeproxy-free.rst: strict, partial and probe
// up to 1.13, true since 1.14), and whether only in part.
var ciliumModes = map[string]bool{"true": false, "strict": false, "partial": true, "probe": true}

func (c *Client) cilium(ctx context.Context) ([]Replacement, error) {
	maps, err := c.configMaps(ctx, "cilium-config")
	var found []Replacement
	for _, m := range maps {
		const mode, sockets = "kube-proxy-replacement", "bpf-lb-sock"
		evidence := func(key string) fact.Text {
			return fact.Text(fmt.Sprintf("ConfigMap %s: %s=%s", m.place(), key, m.Data[key]))
		}
		if partial, on := ciliumModes[m.Data[mode]]; on {
			found = append(found, Replacement{Name: "cilium", EBPF: true, Partial: partial, Evidence: evidence(mode)})
		} else if m.Data[sockets] == "true" {
			found = append(found, Replacement{Name: "cilium", EBPF: true, Partial: true, Evidence: evidence(sockets)})
		}
	}
	return found, err
}

// antrea's AntreaProxy replaces kube-proxy with proxyAll only (Antrea
// docs/antrea-proxy.md); it forwards by Open vSwitch.
func (c *Client) antrea(ctx context.Context) ([]Replacement, error) {
	maps, err := c.configMaps(ctx, "antrea-config")
	var found []Replacement
	for _, m := range maps {
		for line := range strings.Lines(m.Data["antrea-agent.conf"]) {
			if strings.TrimSpace(line) == "proxyAll: true" {
				found = append(found, Replacement{Name: "antrea", Evidence: fact.Text("ConfigMap " + m.place() + ": proxyAll: true")})
			}
		}
	}
	return found, err
}

// calico reads the FelixConfigurations, cluster-wide and of single nodes, from
// where Calico stores them and from where its own API server shows them.
func (c *Client) calico(ctx context.Context) ([]Replacement, error) {
	for _, group := range []string{"crd.projectcalico.org/v1", "projectcalico.org/v3"} {
		var list struct {
			Items []struct {
				objectMeta
				Spec struct {
					BPF *bool `json:"bpfEnabled"`
				} `json:"spec"`
			} `json:"items"`
		}
		err := c.get(ctx, "for Calico's FelixConfigurations", &list, "/apis", group, "felixconfigurations")
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, item := range list.Items {
			if item.Spec.BPF != nil && *item.Spec.BPF {
				return []Replacement{{
					Name: "calico", EBPF: true, Partial: item.Metadata.Name != "default",
					Evidence: fact.Text("FelixConfiguration " + item.Metadata.Name + ": bpfEnabled=true"),
				}}, nil
			}
		}
	}
	return nil, nil
}

// daemonSet is an apps/v1 DaemonSet.
type daemonSet struct {
	objectMeta
	Spec struct {
		Template struct {
			Spec struct {
				Containers []container `json:"containers"`
			} `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
}

type container struct {
	Name    string   `json:"name"`
	Command []string `json:"command"`
	Args    []string `json:"args"`
	Env     []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"env"`
}

func (c *Client) daemons(ctx context.Context) ([]Replacement, error) {
	var list struct {
		Items []daemonSet `json:"items"`
	}
	if err := c.get(ctx, "for its DaemonSets", &list, "/apis/apps/v1/daemonsets"); err != nil {
		return nil, err
	}
	var found []Replacement
	for _, d := range list.Items {
		for _, one := range d.Spec.Template.Spec.Containers {
			if r, ok := one.replaces(); ok {
				r.Evidence = fact.Text(fmt.Sprintf("DaemonSet %s, container %s: %s", d.place(), one.Name, r.Evidence))
				found = append(found, r)
			}
		}
	}
	return found, nil
}

// replaces recognises a container by how it is told to take over, since its
// image may come from any registry under any name.
func (c container) replaces() (Replacement, bool) {
	words := slices.Concat(c.Command, c.Args)
	for _, word := range words {
		if flag, value, _ := strings.Cut(word, "="); flag == "--kube-proxy-replacement" {
			if partial, on := ciliumModes[value]; on {
				return Replacement{Name: "cilium", EBPF: true, Partial: partial, Evidence: fact.Text(word)}, true
			}
		}
		if flag, value, set := strings.Cut(word, "="); flag == "--run-service-proxy" && (!set || value == "true") {
			return Replacement{Name: "kube-router", Evidence: fact.Text(word)}, true
		}
	}
	for _, e := range c.Env {
		if e.Name == "FELIX_BPFENABLED" && strings.EqualFold(e.Value, "true") {
			return Replacement{Name: "calico", EBPF: true, Evidence: "FELIX_BPFENABLED=" + fact.Text(e.Value)}, true
		}
	}
	switch c.Name {
	case "ovnkube-node", "ovnkube-controller": // Open vSwitch carries the services
		return Replacement{Name: "ovn-kubernetes", Evidence: "its name"}, true
	case "kube-router":
		if !slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, "--run-service-proxy") }) {
			return Replacement{Name: "kube-router", Evidence: "--run-service-proxy is on unless it is set"}, true
		}
	}
	return Replacement{}, false
}

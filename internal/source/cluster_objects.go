// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"

	"perennial.dev/perennial/internal/document"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/rules"
)

const (
	crdGroup     = "apiextensions.k8s.io"
	webhookGroup = "admissionregistration.k8s.io"
	rbacGroup    = "rbac.authorization.k8s.io"
	crdKind      = "CustomResourceDefinition"
)

// notListed are resources that hold no objects of anybody: what is measured or
// computed anew with each question, and events.
func notListed(r kube.Resource) bool {
	switch {
	case r.Name == "events", r.Group == "" && r.Name == "componentstatuses":
		return true
	}
	return r.Group == "metrics.k8s.io" || strings.HasSuffix(r.Group, ".metrics.k8s.io")
}

// lookObjects lists every kind that is served, definitions first: they say
// which of the other kinds are not Kubernetes' own.
func (c *cluster) lookObjects(ctx context.Context) {
	preferred := c.served.Preferred()
	c.resource = map[string]bool{}
	for _, r := range preferred {
		c.resource[r.String()+"/"+r.Version] = true
	}
	c.defined = newDefinitions()
	var rest []kube.Resource
	for _, r := range preferred {
		switch {
		case !r.Lists() || notListed(r):
		case r.Group == crdGroup && r.Kind == crdKind:
			c.lookKind(ctx, r)
		case r.Group == "extensions" && c.elsewhere(r): // to 1.21: the same objects in another group
		default:
			rest = append(rest, r)
		}
	}
	rest = slices.DeleteFunc(rest, c.defined.shadows)
	atOnce(c.o.AtOnce, rest, func(_ int, r kube.Resource) { c.lookKind(ctx, r) })
}

// elsewhere says whether another group of Kubernetes' own has a resource of the
// name.
func (c *cluster) elsewhere(r kube.Resource) bool {
	return slices.ContainsFunc(c.served.Resources, func(other kube.Resource) bool {
		return other.Name == r.Name && (other.Group == "apps" || other.Group == "policy" || other.Group == "networking.k8s.io")
	})
}

// lookKind lists one kind. A fault of this program costs that kind only.
func (c *cluster) lookKind(ctx context.Context, r kube.Resource) {
	what := "objects of " + fact.Text(r.String())
	defer c.recovered(what)
	judged := document.HasContent(r.APIVersion(), r.Kind)
	see := func(item json.RawMessage) error { return c.object(r, judged, item) }
	c.list(ctx, kube.Listing{Resource: r, Metadata: !judged}, what, see)
}

// named is what every object has.
type named struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Namespace fact.Text         `json:"namespace"`
		Name      fact.Text         `json:"name"`
		Labels    map[string]string `json:"labels"`
	} `json:"metadata"`
}

// object pushes an object, or passes over it.
func (c *cluster) object(r kube.Resource, judged bool, item json.RawMessage) error {
	var uses []fact.Use
	if !judged { // most objects: nothing more is read of them
		if uses = document.Uses(item); !telling(r, uses) && (!unstable(r.Version) || c.defined.has(r)) {
			return nil
		}
	}
	var n named
	if err := json.Unmarshal(item, &n); err != nil {
		return errors.New("one of its objects is no object")
	}
	if judged && n.Kind == "" { // objects in a list do not repeat it
		item = slices.Concat([]byte(`{"apiVersion":"`+r.APIVersion()+`","kind":"`+r.Kind+`",`), bytes.TrimLeft(item, "{ \t\r\n"))
	}
	o := fact.Object{APIVersion: fact.Text(r.APIVersion()), Type: fact.Text(r.Kind), Namespace: n.Metadata.Namespace, Name: n.Metadata.Name}
	if judged {
		uses = document.Uses(item)
	}
	switch {
	case r.Group == crdGroup && r.Kind == crdKind:
		o.Content, uses = c.definition(item, uses)
	case r.Group == webhookGroup && judged:
		uses = c.webhookUses(item, uses)
		o.Content = document.Prune(item)
	case r.Kind == "ClusterRole" && judged:
		if grantsLogs(n, item) {
			o.Content = document.Prune(item)
		}
	case r.Kind == "Node" && judged:
		o.Content = document.Prune(withoutImages(item))
	case judged:
		o.Content = document.Prune(item)
	}
	if telling(r, uses) {
		o.Uses = uses
	}
	if !judged || o.Uses != nil || o.Content != nil || unstable(r.Version) {
		c.push(o)
	}
	return nil
}

// telling says whether one of the uses is in another version than the one that
// the object was asked for, or in one that will not stay. The others come with
// it, since they say what happened to the object later.
func telling(r kube.Resource, uses []fact.Use) bool {
	for _, u := range uses {
		version := string(u.APIVersion)
		if version != r.APIVersion() || unstable(version[strings.LastIndexByte(version, '/')+1:]) {
			return true
		}
	}
	return false
}

// unstable says whether a version is alpha or beta.
func unstable(version string) bool {
	return strings.Contains(version, "alpha") || strings.Contains(version, "beta")
}

// grantsLogs says whether a role lets somebody read /logs of API servers
// (--enable-logs-handler). What Kubernetes grants its own components, and what
// grants everything, says nothing about use.
func grantsLogs(n named, item json.RawMessage) bool {
	if n.Metadata.Labels["kubernetes.io/bootstrapping"] != "" || !bytes.Contains(item, []byte(`"/logs`)) {
		return false
	}
	var role struct {
		Rules []struct {
			NonResourceURLs []string `json:"nonResourceURLs"`
		} `json:"rules"`
	}
	if json.Unmarshal(item, &role) != nil {
		return false
	}
	for _, rule := range role.Rules {
		for _, url := range rule.NonResourceURLs {
			if url == "/logs" || strings.HasPrefix(url, "/logs/") || url == "/logs*" {
				return true
			}
		}
	}
	return false
}

// withoutImages leaves out a node's list of images, which is most of it.
func withoutImages(item json.RawMessage) json.RawMessage {
	var node, status map[string]json.RawMessage
	if json.Unmarshal(item, &node) != nil || json.Unmarshal(node["status"], &status) != nil {
		return item
	}
	delete(status, "images")
	var err error
	if node["status"], err = json.Marshal(status); err != nil {
		return item
	}
	whole, err := json.Marshal(node)
	if err != nil {
		return item
	}
	return whole
}

// definitions are the kinds that CustomResourceDefinitions define.
type definitions struct {
	mutex  *sync.Mutex
	custom map[[2]string]bool // group and plural name
	own    map[string]bool    // groups of Kubernetes' own
}

func newDefinitions() definitions {
	d := definitions{mutex: &sync.Mutex{}, custom: map[[2]string]bool{}, own: map[string]bool{"": true}}
	// The embedded tables, not what users have added to them: that may be
	// about custom resources.
	if set, err := rules.Load(); err == nil {
		for _, api := range set.APIs() {
			d.own[api.Group] = true
		}
	}
	return d
}

func (d definitions) has(r kube.Resource) bool {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.custom[[2]string{r.Group, r.Name}]
}

// shadows says whether a custom resource lies in one of Kubernetes' own groups,
// where it would be taken for what Kubernetes has, or once had, under the name.
func (d definitions) shadows(r kube.Resource) bool { return d.has(r) && d.own[r.Group] }

// crd is what matters of a CustomResourceDefinition; its schemas do not.
type crd struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Group string `json:"group"`
		Names struct {
			Kind   string `json:"kind"`
			Plural string `json:"plural"`
		} `json:"names"`
		Scope    string       `json:"scope,omitempty"`
		Versions []crdVersion `json:"versions"`
	} `json:"spec"`
	Status struct {
		StoredVersions []string `json:"storedVersions"`
	} `json:"status"`
}

type crdVersion struct {
	Name       string `json:"name"`
	Served     bool   `json:"served"`
	Storage    bool   `json:"storage"`
	Deprecated bool   `json:"deprecated,omitempty"`
}

// definition notes what a CustomResourceDefinition defines, and keeps of its
// stored versions those that are not served any more.
func (c *cluster) definition(item json.RawMessage, uses []fact.Use) (json.RawMessage, []fact.Use) {
	var d crd
	if json.Unmarshal(item, &d) != nil {
		return nil, uses
	}
	c.defined.mutex.Lock()
	c.defined.custom[[2]string{d.Spec.Group, d.Spec.Names.Plural}] = true
	c.defined.mutex.Unlock()
	served := map[fact.Text]bool{}
	for _, v := range d.Spec.Versions {
		served[fact.Text(d.Spec.Group+"/"+v.Name)] = v.Served
	}
	uses = slices.DeleteFunc(uses, func(u fact.Use) bool { return u.By == fact.StoredVersion && served[u.APIVersion] })
	content, err := json.Marshal(d)
	if err != nil {
		return nil, uses
	}
	return content, uses
}

// webhookUses leaves out the versions that a webhook does not depend on: those
// of resources that it asks for in the version that the server prefers as well.
// Without that it is called, by matchPolicy Equivalent, only as long as the
// server knows the old one.
func (c *cluster) webhookUses(item json.RawMessage, uses []fact.Use) []fact.Use {
	var config struct {
		Webhooks []struct {
			Name  fact.Text `json:"name"`
			Rules []struct {
				APIGroups   []string `json:"apiGroups"`
				APIVersions []string `json:"apiVersions"`
				Resources   []string `json:"resources"`
			} `json:"rules"`
		} `json:"webhooks"`
	}
	if json.Unmarshal(item, &config) != nil {
		return uses
	}
	needed := map[[2]fact.Text]bool{} // the webhook's name and an apiVersion
	for _, hook := range config.Webhooks {
		covered := map[string]bool{} // resources, whatever their group
		visit := func(see func(group, version, resource string)) {
			for _, rule := range hook.Rules {
				for _, group := range rule.APIGroups {
					for _, version := range rule.APIVersions {
						for _, resource := range rule.Resources {
							see(group, version, resource)
						}
					}
				}
			}
		}
		visit(func(group, version, resource string) {
			r := kube.Resource{Group: group, Name: resource}
			if group == "*" || version == "*" || c.resource[r.String()+"/"+version] && !(group == "extensions" && c.elsewhere(r)) {
				covered[resource] = true
			}
		})
		visit(func(group, version, resource string) {
			if !covered[resource] && !covered["*"] {
				needed[[2]fact.Text{hook.Name, fact.Text(kube.Resource{Group: group, Version: version}.APIVersion())}] = true
			}
		})
	}
	return slices.DeleteFunc(uses, func(u fact.Use) bool { return u.By == fact.WebhookRule && !needed[[2]fact.Text{u.Who, u.APIVersion}] })
}

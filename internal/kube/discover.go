// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// Resource is a kind of object in one version, as an API server serves it.
type Resource struct {
	Group, Version string // the core group is empty
	Name           string // plural: deployments
	Kind           string
	Namespaced     bool
	Verbs          []string
}

// APIVersion is group and version as objects have them.
func (r Resource) APIVersion() string {
	if r.Group == "" {
		return r.Version
	}
	return r.Group + "/" + r.Version
}

// String is the resource as kubectl and authorization name it: deployments.apps.
func (r Resource) String() string {
	if r.Group == "" {
		return r.Name
	}
	return r.Name + "." + r.Group
}

// Lists says whether there is something that can be listed.
func (r Resource) Lists() bool { return slices.Contains(r.Verbs, "list") }

// path is where the objects are, of all namespaces or of one.
func (r Resource) path(namespace string) []string {
	path := []string{"/apis", r.Group, r.Version}
	if r.Group == "" {
		path = []string{"/api", r.Version}
	}
	if namespace != "" {
		path = append(path, "namespaces", namespace)
	}
	return append(path, r.Name)
}

// Served is everything that an API server serves, in every version. Within
// a group and resource the versions are in the server's order: the first is the
// one that it prefers.
type Served struct {
	Resources []Resource
	// Absent are group versions that the server offers and cannot serve: the
	// server behind an APIService does not answer.
	Absent []string
}

// Preferred has each group's resource once, in the version that the server
// prefers of those that have it.
func (s Served) Preferred() []Resource {
	seen := map[[2]string]bool{}
	var out []Resource
	for _, r := range s.Resources {
		if key := [2]string{r.Group, r.Name}; !seen[key] {
			seen[key] = true
			out = append(out, r)
		}
	}
	return out
}

// aggregated asks for everything in one answer: v2 since 1.30, v2beta1 since
// 1.27 (KEP-3352); older servers answer with the groups only.
const aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList," +
	"application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"

// groups is the answer of /api and /apis, in each of its forms: an
// APIGroupDiscoveryList, APIVersions, or an APIGroupList.
type groups struct {
	Items []struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
		Versions []struct {
			Version   string `json:"version"`
			Freshness string `json:"freshness"`
			Resources []struct {
				Resource     string `json:"resource"`
				ResponseKind struct {
					Kind string `json:"kind"`
				} `json:"responseKind"`
				Scope string   `json:"scope"`
				Verbs []string `json:"verbs"`
			} `json:"resources"`
		} `json:"versions"`
	} `json:"items"`
	Versions []string `json:"versions"`
	Groups   []struct {
		Name      string         `json:"name"`
		Versions  []groupVersion `json:"versions"`
		Preferred groupVersion   `json:"preferredVersion"`
	} `json:"groups"`
}

type groupVersion struct {
	Version string `json:"version"`
}

// Discover asks what is served. A part that could not be had is absent, and no
// error.
func (c *Client) Discover(ctx context.Context) (Served, error) {
	var served Served
	for _, root := range []string{"/api", "/apis"} {
		var answer groups
		ask := request{about: "what it serves", verb: http.MethodGet, path: []string{root}, header: map[string]string{"Accept": aggregated}}
		if err := c.do(ctx, ask, &answer); err != nil {
			return served, err
		}
		served.takeAggregated(answer)
		for _, version := range answer.Versions {
			c.discoverVersion(ctx, &served, "", version)
		}
		for _, group := range answer.Groups {
			versions := slices.Clone(group.Versions)
			slices.SortStableFunc(versions, func(a, b groupVersion) int {
				return cmp.Compare(rank(a == group.Preferred), rank(b == group.Preferred))
			})
			for _, v := range versions {
				c.discoverVersion(ctx, &served, group.Name, v.Version)
			}
		}
		if ctx.Err() != nil {
			return served, c.failed(ctx, "what it serves", ctx.Err())
		}
	}
	return served, nil
}

func rank(first bool) int {
	if first {
		return 0
	}
	return 1
}

func (s *Served) takeAggregated(answer groups) {
	for _, group := range answer.Items {
		for _, version := range group.Versions {
			if version.Freshness == "Stale" {
				s.Absent = append(s.Absent, Resource{Group: group.Metadata.Name, Version: version.Version}.APIVersion())
			}
			for _, r := range version.Resources {
				s.Resources = append(s.Resources, Resource{
					Group: group.Metadata.Name, Version: version.Version, Name: r.Resource, Kind: r.ResponseKind.Kind,
					Namespaced: r.Scope == "Namespaced", Verbs: r.Verbs,
				})
			}
		}
	}
}

// discoverVersion asks for one version, of a server before 1.27.
func (c *Client) discoverVersion(ctx context.Context, served *Served, group, version string) {
	at := Resource{Group: group, Version: version}
	var answer struct {
		Resources []struct {
			Name       string   `json:"name"`
			Kind       string   `json:"kind"`
			Namespaced bool     `json:"namespaced"`
			Verbs      []string `json:"verbs"`
		} `json:"resources"`
	}
	path := at.path("")
	if err := c.get(ctx, "what it serves in "+fact.Text(at.APIVersion()).String(), &answer, path[:len(path)-1]...); err != nil {
		served.Absent = append(served.Absent, at.APIVersion())
		return
	}
	for _, r := range answer.Resources {
		if !strings.Contains(r.Name, "/") {
			served.Resources = append(served.Resources, Resource{Group: group, Version: version, Name: r.Name, Kind: r.Kind, Namespaced: r.Namespaced, Verbs: r.Verbs})
		}
	}
}

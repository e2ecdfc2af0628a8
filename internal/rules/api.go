// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/release"
)

// GroupVersionKind names a kind in one version of its group; the group of
// Pods and other core kinds is empty.
type GroupVersionKind struct{ Group, Version, Kind string }

// APIVersion is what manifests say: "apps/v1", or "v1" for the core group.
func (k GroupVersionKind) APIVersion() string {
	if k.Group == "" {
		return k.Version
	}
	return k.Group + "/" + k.Version
}

// String prints "apps/v1 Deployment".
func (k GroupVersionKind) String() string { return k.APIVersion() + " " + k.Kind }

// ParseAPIVersion splits the apiVersion and joins it with a kind.
func ParseAPIVersion(apiVersion, kind string) GroupVersionKind {
	group, version, ok := strings.Cut(apiVersion, "/")
	if !ok {
		group, version = "", apiVersion
	}
	return GroupVersionKind{group, version, kind}
}

// API is what kube-apiserver does with a kind in one version, by minor.
type API struct {
	GroupVersionKind
	// Resource is the plural name; resource/subresource where the kind is only
	// sent there; empty where no measured minor serves the kind.
	Resource   string
	Namespaced bool
	// Gate is the feature gate without which it is not served, in the newest
	// minor that serves it; empty for most.
	Gate string
	// Registered: the type is there, so that stored objects can be decoded.
	// Served: in discovery once everything is enabled. Default: in discovery
	// of a server with default flags.
	Registered, Served, Default Spans
	// From Deprecated on the server warns. Removed: the first minor that
	// does not serve it; planned is what the type announces. It is zero for
	// what is only sent to a subresource, whose versions nothing shows.
	Deprecated, Removed Change
	// Replacement is what upstream names; zero where it names nothing.
	Replacement GroupVersionKind
	Source
}

var apiDefinition = definition{
	name: "apis",
	columns: []string{
		"group", "version", "kind", "resource", "scope", "gate", "registered", "served", "default",
		"deprecated", "removed", "replacement", "origin", "citation",
	},
	keys:     3,
	embedded: &apisTable,
	clear:    func(s *Set) { s.apis, s.byKind = nil, map[GroupVersionKind]int{} },
	put:      putAPI,
}

func putAPI(s *Set, r *record) error {
	api := API{
		GroupVersionKind: GroupVersionKind{r.text("group"), r.name("version"), r.name("kind")},
		Resource:         r.text("resource"), Namespaced: r.oneOf("scope", "", "namespaced", "cluster") == "namespaced",
		Gate:       r.text("gate"),
		Registered: r.spans("registered"), Served: r.spans("served"), Default: r.spans("default"),
		Deprecated: r.change("deprecated"), Removed: r.change("removed"), Source: r.source(),
	}
	var err error
	api.Replacement, err = parseReplacement(r.text("replacement"))
	r.failed("replacement", err)
	r.must(len(api.Registered) > 0 || len(api.Served) > 0, "neither registered nor served in any minor")
	r.must(len(api.Served) == 0 || api.Resource != "", "served without a resource")
	r.must(api.Served.cover(api.Default), "served by default in a minor that does not serve it")
	r.must(api.Removed.IsZero() || !api.Served.Has(api.Removed.Minor), "removed in a minor that serves it")
	s.byKind[api.GroupVersionKind] = len(s.apis)
	s.apis = append(s.apis, api)
	return r.err()
}

func (s *Set) newestAPI() release.Minor {
	var newest release.Minor
	for _, api := range s.apis {
		newest = max(newest, api.Registered.Last())
	}
	return newest
}

// parseReplacement reads "apps/v1 Deployment", "core/v1 Pod" and nothing.
func parseReplacement(text string) (GroupVersionKind, error) {
	if text == "" {
		return GroupVersionKind{}, nil
	}
	apiVersion, kind, ok := strings.Cut(text, " ")
	if !ok {
		return GroupVersionKind{}, fmt.Errorf("replacement %q: want a form like apps/v1 Deployment", text)
	}
	return ParseAPIVersion(strings.TrimPrefix(apiVersion, "core/"), kind), nil
}

// APIs returns all rows, by group, version and kind. The caller may keep the
// slice.
func (s *Set) APIs() []API { return slices.Clone(s.apis) }

// API finds a kind in one version. What is not found is not part of
// Kubernetes since 1.19, or is the list of a kind.
func (s *Set) API(k GroupVersionKind) (API, bool) {
	i, ok := s.byKind[k]
	if !ok {
		return API{}, false
	}
	return s.apis[i], true
}

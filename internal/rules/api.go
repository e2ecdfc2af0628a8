// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"cmp"
	"errors"
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
	// Deprecated: from then on the server warns. Removed: the first minor that
	// does not serve it; planned is what the type announces. It is zero for
	// what is only sent to a subresource, whose versions nothing shows.
	Deprecated, Removed Change
	// Replacement is what upstream names; zero where it names nothing.
	Replacement GroupVersionKind
	Source
}

var apiColumns = []string{
	"group", "version", "kind", "resource", "scope", "gate", "registered", "served", "default",
	"deprecated", "removed", "replacement", "origin", "citation",
}

func (s *Set) readAPIs(text []byte) error {
	var apis []API
	asOf, err := readTable(text, apiColumns, func(fields []string) error {
		api, err := parseAPI(fields)
		if err != nil {
			return err
		}
		if len(apis) > 0 && compareAPIs(apis[len(apis)-1], api) >= 0 {
			return fmt.Errorf("%s does not sort after the row before", api.GroupVersionKind)
		}
		apis = append(apis, api)
		return nil
	})
	if err != nil {
		return err
	}
	s.note(asOf)
	s.apis, s.byKind = apis, make(map[GroupVersionKind]int, len(apis))
	for i, api := range apis {
		s.byKind[api.GroupVersionKind] = i
		for _, span := range api.Registered {
			s.newest = max(s.newest, span.Last)
		}
	}
	return nil
}

func compareAPIs(a, b API) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Kind, b.Kind))
}

func parseAPI(f []string) (API, error) {
	api := API{
		GroupVersionKind: GroupVersionKind{f[0], f[1], f[2]},
		Resource:         f[3], Namespaced: f[4] == "namespaced", Gate: f[5],
	}
	problems := []error{api.parseSpans(f[6], f[7], f[8])}
	var err error
	api.Deprecated, err = parseChange(f[9])
	problems = append(problems, err)
	api.Removed, err = parseChange(f[10])
	problems = append(problems, err)
	api.Replacement, err = parseReplacement(f[11])
	problems = append(problems, err)
	api.Source, err = parseSource(f[12], f[13])
	problems = append(problems, err, api.check(f[4]))
	if err := errors.Join(problems...); err != nil {
		return API{}, fmt.Errorf("%s: %w", api.GroupVersionKind, err)
	}
	return api, nil
}

func (a *API) parseSpans(registered, served, byDefault string) error {
	var errs [3]error
	a.Registered, errs[0] = parseSpans(registered)
	a.Served, errs[1] = parseSpans(served)
	a.Default, errs[2] = parseSpans(byDefault)
	return errors.Join(errs[:]...)
}

func (a *API) check(scope string) error {
	switch {
	case a.Version == "" || a.Kind == "":
		return errors.New("no version or kind")
	case len(a.Registered) == 0 && len(a.Served) == 0:
		return errors.New("neither registered nor served in any minor")
	case len(a.Served) > 0 && a.Resource == "":
		return errors.New("served without a resource")
	case scope != "" && scope != "namespaced" && scope != "cluster":
		return fmt.Errorf("scope %q: want namespaced or cluster", scope)
	case !a.Served.cover(a.Default):
		return errors.New("served by default in a minor that does not serve it")
	case !a.Removed.IsZero() && a.Served.Has(a.Removed.Minor):
		return fmt.Errorf("removed in %s, which serves it", a.Removed.Minor)
	}
	return nil
}

// cover reports that every minor of the other spans is in these.
func (s Spans) cover(others Spans) bool {
	for _, span := range others {
		for m := span.First; m <= span.Last; m++ {
			if !s.Has(m) {
				return false
			}
		}
	}
	return true
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

// RemovedBetween lists the kinds that from serves when everything is enabled
// and to does not, by group, version and kind.
func (s *Set) RemovedBetween(from, to release.Minor) []API {
	var removed []API
	for _, api := range s.apis {
		if api.Served.Has(from) && api.Removed.In(to) {
			removed = append(removed, api)
		}
	}
	return removed
}

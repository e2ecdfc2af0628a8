// SPDX-License-Identifier: Apache-2.0

// Package apis measures which API kinds a release of kube-apiserver knows and
// serves, and puts the releases together to one table.
package apis

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"perennial.dev/perennial/hack/knowledge/gates"
	"perennial.dev/perennial/hack/knowledge/upstream"
)

// Key names a kind in a version.
type Key struct{ Group, Version, Kind string }

// Kind is what a release does with a kind.
type Kind struct {
	Key
	Resource   string // plural; with /subresource where the kind is only sent there
	Namespaced bool
	Registered bool // its type is there, so that stored objects can be decoded
	Served     bool // in discovery with everything enabled
	Default    bool // in discovery of a server with default flags
	Gate       string
	Lifecycle  Lifecycle
	// Citations: the file that registers the type, the OpenAPI document that
	// shows it served, the file with the lifecycle.
	RegisteredBy, ServedBy, LifecycleBy string
}

// Lifecycle is what the type says of itself; minors, 0 for nothing.
type Lifecycle struct {
	Introduced, Deprecated, Removed int
	Replacement                     Key
}

// Measure reads the kinds of a release.
func Measure(tree *upstream.Tree) (map[Key]*Kind, error) {
	kinds := map[Key]*Kind{}
	if err := measureTypes(tree, kinds); err != nil {
		return nil, err
	}
	if err := measureServed(tree, kinds); err != nil {
		return nil, err
	}
	known, err := serverGates(tree)
	if err != nil {
		return nil, err
	}
	enabled, err := measureEnabled(tree)
	if err != nil {
		return nil, err
	}
	guards, err := measureGuards(tree)
	if err != nil {
		return nil, err
	}
	for _, kind := range kinds {
		kind.Gate = guards[groupResource{kind.Group, kind.Version, kind.Resource}]
		if kind.Gate != "" {
			if _, ok := known[kind.Gate]; !ok {
				return nil, fmt.Errorf("measuring kinds of %s: %s is guarded by the gate %s, which nothing declares", tree.Release, kind.Kind, kind.Gate)
			}
		}
		kind.Default = kind.Served && enabled.has(kind) && (kind.Gate == "" || known[kind.Gate].Default)
	}
	return kinds, nil
}

func serverGates(tree *upstream.Tree) (map[string]gates.Gate, error) {
	all, err := gates.Measure(tree)
	known := map[string]gates.Gate{}
	for _, gate := range all {
		if slices.Contains(gate.Components, "kube-apiserver") {
			known[gate.Name] = gate
		}
	}
	return known, err
}

// The directories that register types of the API. The lists of kinds and what
// is only sent in one direction are left out.
var typeRoots = []string{
	"k8s.io/api",
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions",
	"k8s.io/kube-aggregator/pkg/apis/apiregistration",
}

func measureTypes(tree *upstream.Tree, kinds map[Key]*Kind) error {
	for _, root := range typeRoots {
		err := tree.Walk(root, func(path string) error {
			if !isVersion(path[strings.LastIndex(path, "/")+1:]) {
				return nil
			}
			p, err := tree.Package(path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			return measurePackage(tree, p, kinds)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// isVersion tells v1, v1beta2 and the like.
func isVersion(name string) bool {
	return len(name) > 1 && name[0] == 'v' && name[1] >= '0' && name[1] <= '9'
}

const openAPI = "api/openapi-spec/swagger.json"

// measureServed reads the OpenAPI document that each release carries. Upstream
// writes it with a server of which every API and every gate is enabled; it is
// written in the course of a minor, when that server still serves what goes
// away with the release (k8s.io/apiserver pkg/server/deleted_kinds.go), so the
// lifecycle has the last word.
func measureServed(tree *upstream.Tree, kinds map[Key]*Kind) error {
	dir, _ := tree.Dir("k8s.io/kubernetes")
	text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(openAPI)))
	if err != nil {
		return fmt.Errorf("measuring what %s serves: %w", tree.Release, err)
	}
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return fmt.Errorf("measuring what %s serves: reading %s: %w", tree.Release, openAPI, err)
	}
	for path, operations := range document.Paths {
		place, ok := parsePath(path)
		if !ok {
			continue
		}
		for _, raw := range operations {
			key, ok := kindOf(raw)
			if !ok || place.sub != "" && key.Group == place.group && key.Version == place.version {
				continue // a subresource that is sent as the kind itself
			}
			serve(tree, kinds, key, place)
		}
	}
	return nil
}

func serve(tree *upstream.Tree, kinds map[Key]*Kind, key Key, place place) {
	kind := kinds[key]
	if kind == nil {
		kind = &Kind{Key: key}
		kinds[key] = kind
	}
	if removed := kind.Lifecycle.Removed; removed != 0 && removed <= tree.Release.Minor {
		return
	}
	resource := place.resource
	if place.sub != "" {
		resource += "/" + place.sub
	}
	// The plain resource names the kind better than a subresource, and of
	// several subresources the first.
	if kind.Resource == "" || worth(resource) < worth(kind.Resource) {
		kind.Resource = resource
	}
	kind.Served = true
	kind.Namespaced = kind.Namespaced || place.namespaced
	kind.ServedBy = tree.Cite("k8s.io/kubernetes", openAPI)
}

func worth(resource string) string {
	if strings.Contains(resource, "/") {
		return "1" + resource
	}
	return "0" + resource
}

func kindOf(operation json.RawMessage) (Key, bool) {
	var o struct {
		GVK Key `json:"x-kubernetes-group-version-kind"`
	}
	// Parameters of a path stand beside its operations, as a list.
	if err := json.Unmarshal(operation, &o); err != nil {
		return Key{}, false
	}
	return o.GVK, o.GVK.Kind != ""
}

type place struct {
	group, version, resource, sub string
	namespaced                    bool
}

// parsePath splits /apis/GROUP/VERSION/[namespaces/{namespace}/]RESOURCE[/{name}[/SUB]].
func parsePath(path string) (place, bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var p place
	switch {
	case len(parts) > 2 && parts[0] == "api":
		p.version, parts = parts[1], parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		p.group, p.version, parts = parts[1], parts[2], parts[3:]
	default:
		return place{}, false
	}
	if parts[0] == "watch" {
		return place{}, false
	}
	if len(parts) > 2 && parts[0] == "namespaces" && parts[1] == "{namespace}" {
		p.namespaced, parts = true, parts[2:]
	}
	p.resource = parts[0]
	if len(parts) > 2 {
		p.sub = strings.Join(parts[2:], "/")
	}
	return p, true
}

// OpenAPI is the citation of the document that shows what a release serves.
func OpenAPI(release upstream.Release) string {
	return "k8s.io/kubernetes@" + release.Version("k8s.io/kubernetes") + ":" + openAPI
}

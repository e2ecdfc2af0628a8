// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"strconv"
	"strings"

	"perennial.dev/perennial/internal/release"
)

// selectors are the keys of --runtime-config that stand for many versions.
var selectors = map[string]bool{"api/all": true, "api/ga": true, "api/beta": true, "api/alpha": true}

// resourcesSince is the first minor in which any group's resources can be named
// one by one; before, such a key was ignored (MergeAPIResourceConfigs in
// k8s.io/apiserver v0.24, pkg/server/resourceconfig/helpers.go).
const resourcesSince release.Minor = 24

// RuntimeConfig says whether kube-apiserver of a minor starts with an entry of
// --runtime-config, such as "batch/v1beta1=true"; if not, why is what it says.
// That a flag of nothing but api/all=false ends the start, too, no single entry
// shows: RuntimeConfigs judges a whole flag.
//
// The rules are those of APIEnablementOptions.Validate and
// MergeAPIResourceConfigs in k8s.io/apiserver, v0.19 to v0.37; which groups and
// versions are registered is from the table of API kinds.
func (s *Set) RuntimeConfig(entry string, m release.Minor) (ok bool, why string) {
	key, value, _ := strings.Cut(entry, "=")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	if selectors[key] {
		if value != "true" && value != "false" {
			return false, fmt.Sprintf("invalid value %s=%s", key, value)
		}
		return true, ""
	}
	parts := strings.Split(key, "/")
	if len(parts) != 2 && len(parts) != 3 {
		return false, "runtime-config invalid key " + key
	}
	group, version := parts[0], parts[1]
	if !s.registered(m, group, "") {
		return false, "unknown api groups " + group
	}
	if len(parts) == 3 && m < resourcesSince && (group != "extensions" || version != "v1beta1") {
		return true, "" // ignored with a warning
	}
	if !s.registered(m, group, version) {
		return false, fmt.Sprintf("group version %s/%s that has not been registered", group, version)
	}
	if _, err := strconv.ParseBool(value); value != "" && err != nil {
		return false, fmt.Sprintf("invalid value of %s: %s", key, value)
	}
	if len(parts) == 3 && m >= resourcesSince && strings.ToLower(parts[2]) != parts[2] {
		return false, fmt.Sprintf("invalid key %s: resource is always lowercase plural", key)
	}
	return true, ""
}

// RefusedEntry is an entry of --runtime-config that ends a start.
type RefusedEntry struct{ Entry, Why string }

// RuntimeConfigs judges the whole value of --runtime-config, entries separated
// by commas.
func (s *Set) RuntimeConfigs(value string, m release.Minor) []RefusedEntry {
	var refused []RefusedEntry
	last := map[string]string{}
	for entry := range strings.SplitSeq(value, ",") {
		if strings.TrimSpace(entry) == "" {
			continue
		}
		key, _, _ := strings.Cut(entry, "=")
		last[strings.TrimSpace(key)] = strings.TrimSpace(entry)
		if ok, why := s.RuntimeConfig(entry, m); !ok {
			refused = append(refused, RefusedEntry{strings.TrimSpace(entry), why})
		}
	}
	if len(last) == 1 && last["api/all"] == "api/all=false" {
		refused = append(refused, RefusedEntry{"api/all=false", "invalid key with only api/all=false"})
	}
	return refused
}

// discoveryGroup is what aggregated discovery answers in: its types are in a
// scheme of their own (k8s.io/apiserver pkg/endpoints/discovery/aggregated, 0.26
// on), and real servers refuse it here.
const discoveryGroup = "apidiscovery.k8s.io"

// registered: a minor knows a type of the group and version, or of any version
// of the group.
func (s *Set) registered(m release.Minor, group, version string) bool {
	if group == discoveryGroup {
		return false
	}
	for _, api := range s.apis {
		if api.Group == group && (version == "" || api.Version == version) && api.Registered.Has(m) {
			return true
		}
	}
	return false
}

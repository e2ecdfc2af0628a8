// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"slices"

	"perennial.dev/perennial/internal/release"
)

// AdmissionPlugin is an admission plugin of kube-apiserver, by minor.
type AdmissionPlugin struct {
	Name string
	// Known: it may stand in --enable-admission-plugins and
	// --disable-admission-plugins; where it is not known, it ends the start.
	Known Spans
	// Default: it runs unless it is disabled.
	Default Spans
	Source
}

var admissionDefinition = definition{
	name:     "admission",
	columns:  []string{"plugin", "known", "default", "origin", "citation"},
	keys:     1,
	embedded: &admissionTable,
	clear:    func(s *Set) { s.admission = map[string]AdmissionPlugin{} },
	put:      putAdmission,
}

func putAdmission(s *Set, r *record) error {
	plugin := AdmissionPlugin{Name: r.name("plugin"), Known: r.spans("known"), Default: r.spans("default"), Source: r.source()}
	r.must(len(plugin.Known) > 0, "known in no minor")
	r.must(plugin.Known.cover(plugin.Default), "on by default where it is not known")
	s.admission[plugin.Name] = plugin
	return r.err()
}

func (s *Set) newestPlugin() release.Minor {
	var newest release.Minor
	for _, plugin := range s.admission {
		newest = max(newest, plugin.Known.Last())
	}
	return newest
}

// AdmissionPlugin finds a plugin. Not ok: no measured minor knows it.
func (s *Set) AdmissionPlugin(name string) (AdmissionPlugin, bool) {
	plugin, ok := s.admission[name]
	return plugin, ok
}

// AdmissionPlugins lists the names of those that a minor knows, sorted.
func (s *Set) AdmissionPlugins(m release.Minor) []string {
	var known []string
	for name, plugin := range s.admission {
		if plugin.Known.Has(m) {
			known = append(known, name)
		}
	}
	slices.Sort(known)
	return known
}

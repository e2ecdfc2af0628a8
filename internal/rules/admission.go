// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"errors"
	"fmt"
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

var admissionColumns = []string{"plugin", "known", "default", "origin", "citation"}

func (s *Set) readAdmission(text []byte) error {
	plugins := map[string]AdmissionPlugin{}
	asOf, err := readTable(text, admissionColumns, func(f []string) error {
		plugin := AdmissionPlugin{Name: f[0]}
		var errs [3]error
		plugin.Known, errs[0] = parseSpans(f[1])
		plugin.Default, errs[1] = parseSpans(f[2])
		plugin.Source, errs[2] = parseSource(f[3], f[4])
		if err := errors.Join(errs[:]...); err != nil {
			return fmt.Errorf("%s: %w", f[0], err)
		}
		if _, twice := plugins[plugin.Name]; twice || plugin.Name == "" || len(plugin.Known) == 0 || !plugin.Known.cover(plugin.Default) {
			return fmt.Errorf("%s: without a name, there twice, known nowhere, or on where it is not known", f[0])
		}
		plugins[plugin.Name] = plugin
		return nil
	})
	if err != nil {
		return err
	}
	s.note(asOf)
	s.admission = plugins
	return nil
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

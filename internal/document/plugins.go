// SPDX-License-Identifier: Apache-2.0

package document

import (
	"bytes"
	"encoding/json"
	"regexp"

	"perennial.dev/perennial/internal/fact"
)

// holdsPlugins says whether an object is a configuration of admission that may
// hold those of plugins, each of which could be a file of its own as well.
func holdsPlugins(o object) bool {
	group, _ := splitVersion(o.apiVersion)
	return o.kind == "AdmissionConfiguration" && (group == "apiserver.config.k8s.io" || group == "apiserver.k8s.io")
}

// plugins emits the configurations that an AdmissionConfiguration holds, which
// was emitted as whole.
func (r *reader) plugins(o object, whole fact.Object) {
	var admission struct {
		Plugins []struct {
			Configuration struct {
				APIVersion string `json:"apiVersion"`
				Kind       string `json:"kind"`
			} `json:"configuration"`
		} `json:"plugins"`
	}
	if json.Unmarshal(o.json(), &admission) != nil {
		return
	}
	said := versionsSaid(o.text)
	own := said.take(o.apiVersion, 0)
	for _, p := range admission.Plugins {
		if p.Configuration.APIVersion == "" || p.Configuration.Kind == "" {
			continue
		}
		r.emit(fact.Object{
			APIVersion: fact.Text(p.Configuration.APIVersion), Type: fact.Text(p.Configuration.Kind),
			File: whole.File, Line: whole.Line - own + said.take(p.Configuration.APIVersion, own),
		})
	}
}

var versionSaid = regexp.MustCompile(`apiVersion["']?[ \t]*:[ \t]*["']?([^\s"',}]+)`)

// said are the lines of a text that say an apiVersion, from 0, by what they say.
type said map[string][]int

func versionsSaid(text []byte) said {
	all := said{}
	line, counted := 0, 0
	for _, at := range versionSaid.FindAllSubmatchIndex(text, -1) {
		line += bytes.Count(text[counted:at[0]], []byte("\n"))
		counted = at[0]
		version := string(text[at[2]:at[3]])
		all[version] = append(all[version], line)
	}
	return all
}

// take gives the line of the first that says a version, and forgets it: the next
// object that has it is another one.
func (s said) take(version string, otherwise int) int {
	lines := s[version]
	if len(lines) == 0 {
		return otherwise
	}
	s[version] = lines[1:]
	return lines[0]
}

// SPDX-License-Identifier: Apache-2.0

// Package upstream finds the released sources of Kubernetes and reads Go in
// them. The sources are the Go modules of one version per minor, downloaded by
// the Go command; nothing in them is compiled or run.
package upstream

import (
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

//go:embed releases.csv
var releasesTable string

// Release is the version of a minor that is measured.
type Release struct {
	Minor int // 37 for 1.37
	Patch int
	// Others are modules of another patch, where the proxy or the checksum
	// database lacks this one: module path to version.
	Others map[string]string
}

// Releases are the measured versions, oldest first.
func Releases() ([]Release, error) {
	table := csv.NewReader(strings.NewReader(releasesTable))
	table.Comment = '#'
	records, err := table.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("reading releases.csv: %w", err)
	}
	var releases []Release
	for _, record := range records[1:] {
		release, err := parseRelease(record)
		if err != nil {
			return nil, fmt.Errorf("reading releases.csv: %s: %w", record[0], err)
		}
		releases = append(releases, release)
	}
	return releases, nil
}

func parseRelease(record []string) (Release, error) {
	major, rest, _ := strings.Cut(record[0], ".")
	minor, patch, _ := strings.Cut(rest, ".")
	r := Release{Others: map[string]string{}}
	var err error
	if r.Minor, err = strconv.Atoi(minor); err != nil {
		return Release{}, err
	}
	if r.Patch, err = strconv.Atoi(patch); err != nil || major != "1" {
		return Release{}, errors.New("want a form like 1.37.0")
	}
	for other := range strings.FieldsSeq(record[1]) {
		module, version, ok := strings.Cut(other, "@")
		if !ok {
			return Release{}, fmt.Errorf("%q is no module@version", other)
		}
		r.Others[module] = version
	}
	return r, nil
}

// String prints the version as 1.37.0.
func (r Release) String() string { return fmt.Sprintf("1.%d.%d", r.Minor, r.Patch) }

const mainModule = "k8s.io/kubernetes"

// Version is that of a module, "" where there is none of this release.
func (r Release) Version(module string) string {
	if other, ok := r.Others[module]; ok {
		return strings.TrimSuffix(other, "none")
	}
	if module == mainModule {
		return fmt.Sprintf("v1.%d.%d", r.Minor, r.Patch)
	}
	return fmt.Sprintf("v0.%d.%d", r.Minor, r.Patch)
}

// modules are all that is read of a release.
var modules = []string{
	mainModule,
	"k8s.io/api",
	"k8s.io/apiextensions-apiserver",
	"k8s.io/apiserver",
	"k8s.io/client-go",
	"k8s.io/cloud-provider",
	"k8s.io/component-base",
	"k8s.io/controller-manager",
	"k8s.io/kube-aggregator",
}

// Tree is the unpacked source of a release.
type Tree struct {
	Release Release
	dirs    map[string]string // by module
	parsed  map[string]*Package
}

// Download has the Go command fetch the modules of a release into its cache.
func Download(r Release) (*Tree, error) {
	args := []string{"mod", "download", "-json"}
	for _, module := range modules {
		if version := r.Version(module); version != "" {
			args = append(args, module+"@"+version)
		}
	}
	// The Go command fails, too, when one module of many does; what it prints
	// says which.
	out, runErr := exec.Command("go", args...).Output()
	tree := &Tree{Release: r, dirs: map[string]string{}, parsed: map[string]*Package{}}
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for decoder.More() {
		var module struct{ Path, Dir, Error string }
		if err := decoder.Decode(&module); err != nil {
			return nil, fmt.Errorf("reading the output of go mod download: %w", err)
		}
		if module.Error != "" {
			return nil, fmt.Errorf("downloading Kubernetes %s: %s", r, module.Error)
		}
		tree.dirs[module.Path] = module.Dir
	}
	if runErr != nil {
		return nil, fmt.Errorf("downloading Kubernetes %s: %w", r, runErr)
	}
	return tree, nil
}

// Dir is the directory of an import path or module; not ok for what is not
// part of the tree.
func (t *Tree) Dir(importPath string) (dir string, ok bool) {
	module, inside, ok := t.split(importPath)
	if !ok {
		return "", false
	}
	return filepath.Join(t.dirs[module], filepath.FromSlash(inside)), true
}

// Cite is the citation of a file, given as import path and file name.
func (t *Tree) Cite(importPath, file string) string {
	module, inside, _ := t.split(importPath)
	if inside != "" {
		inside += "/"
	}
	return module + "@" + t.Release.Version(module) + ":" + inside + file
}

func (t *Tree) split(importPath string) (module, inside string, ok bool) {
	for candidate := range t.dirs {
		if importPath == candidate {
			return candidate, "", true
		}
		if rest, ok := strings.CutPrefix(importPath, candidate+"/"); ok {
			return candidate, rest, true
		}
	}
	return "", "", false
}

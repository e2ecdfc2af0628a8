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
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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
	"k8s.io/csi-translation-lib",
	"k8s.io/kube-aggregator",
	"k8s.io/kube-proxy",
	"k8s.io/kube-scheduler",
	"k8s.io/kubelet",
	"k8s.io/pod-security-admission",
}

// required are modules that Kubernetes' own go.mod has the version of.
var required = []string{"github.com/google/cadvisor", "github.com/google/cadvisor/lib", "k8s.io/klog/v2"}

// Tree is the unpacked source of a release.
type Tree struct {
	Release  Release
	dirs     map[string]string // by module
	versions map[string]string // by module
	parsed   map[string]*Package
}

// Download has the Go command fetch the modules of a release into its cache.
func Download(r Release) (*Tree, error) {
	tree := &Tree{Release: r, dirs: map[string]string{}, versions: map[string]string{}, parsed: map[string]*Package{}}
	for _, module := range modules {
		if version := r.Version(module); version != "" {
			tree.versions[module] = version
		}
	}
	if err := tree.download(); err != nil {
		return nil, err
	}
	goMod, err := os.ReadFile(filepath.Join(tree.dirs[mainModule], "go.mod"))
	if err != nil {
		return nil, fmt.Errorf("reading what Kubernetes %s requires: %w", r, err)
	}
	for _, module := range required {
		form := regexp.MustCompile(`(?m)^\s+` + regexp.QuoteMeta(module) + ` (v\S+)`)
		if found := form.FindSubmatch(goMod); found != nil {
			tree.versions[module] = string(found[1])
		}
	}
	return tree, tree.download()
}

// Modules reads modules that are no part of a Kubernetes release, as
// path@version.
func Modules(paths ...string) (*Tree, error) {
	tree := &Tree{dirs: map[string]string{}, versions: map[string]string{}, parsed: map[string]*Package{}}
	for _, path := range paths {
		module, version, _ := strings.Cut(path, "@")
		tree.versions[module] = version
	}
	return tree, tree.download()
}

// download fetches the modules that have no directory yet.
func (t *Tree) download() error {
	args := []string{"mod", "download", "-json"}
	for _, module := range slices.Sorted(maps.Keys(t.versions)) {
		if t.dirs[module] == "" {
			args = append(args, module+"@"+t.versions[module])
		}
	}
	// The Go command fails, too, when one module of many does; what it prints
	// says which.
	out, runErr := exec.Command("go", args...).Output()
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for decoder.More() {
		var module struct{ Path, Dir, Error string }
		if err := decoder.Decode(&module); err != nil {
			return fmt.Errorf("reading the output of go mod download: %w", err)
		}
		if module.Error != "" {
			return fmt.Errorf("downloading modules of Kubernetes %s: %s", t.Release, module.Error)
		}
		t.dirs[module.Path] = module.Dir
	}
	if runErr != nil {
		return fmt.Errorf("downloading modules of Kubernetes %s: %w", t.Release, runErr)
	}
	return nil
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
	return module + "@" + t.versions[module] + ":" + inside + file
}

func (t *Tree) split(importPath string) (module, inside string, ok bool) {
	for candidate := range t.dirs {
		rest, found := strings.CutPrefix(importPath, candidate)
		// Of modules within modules the inner one has it.
		if found && (rest == "" || rest[0] == '/') && len(candidate) >= len(module) {
			module, inside, ok = candidate, strings.TrimPrefix(rest, "/"), true
		}
	}
	return module, inside, ok
}

// Choose gives the releases of minors: comma-separated numbers such as 36,37, all or
// none. It fails for a minor without a release.
func Choose(releases []Release, minors string) ([]Release, error) {
	switch minors {
	case "all":
		return releases, nil
	case "none":
		return nil, nil
	}
	var chosen []Release
	for text := range strings.SplitSeq(minors, ",") {
		minor, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("reading -minors: %w", err)
		}
		i := slices.IndexFunc(releases, func(r Release) bool { return r.Minor == minor })
		if i < 0 {
			return nil, fmt.Errorf("reading -minors: releases.csv has no 1.%d", minor)
		}
		chosen = append(chosen, releases[i])
	}
	return chosen, nil
}

// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/release"
)

// The tables are read from sources; real components decide. What they took is
// kept in testdata: nothing may be missed, and nothing said that is not so.
func TestTheTablesEqualWhatRealComponentsTake(t *testing.T) {
	files, err := filepath.Glob("testdata/flags/*.txt")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	s, compared := load(t), 0
	for _, file := range files {
		minor, err := release.ParseMinor(strings.TrimSuffix(filepath.Base(file), ".txt"))
		if err != nil {
			t.Fatal(err)
		}
		for component, taken := range readFlags(t, file) {
			var known []string
			for _, flag := range flagsOf(s, component, minor) {
				known = append(known, flag.Name)
			}
			compared += len(known)
			missed, extra := difference(taken, known), difference(known, taken)
			if len(missed) > 0 || len(extra) > 0 {
				t.Errorf("%s %s: missed %v, and does not take %v", component, minor, missed, extra)
			}
		}
	}
	if compared < 3000 {
		t.Errorf("only %d flags were compared", compared)
	}
}

func readFlags(t *testing.T, file string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	taken := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if component, names, ok := strings.Cut(line, ": "); ok && !strings.HasPrefix(line, "#") {
			taken[component] = strings.Fields(names)
		}
	}
	return taken
}

// flagsOf are the flags that a component of a minor takes.
func flagsOf(s *Set, component string, m release.Minor) []Flag {
	var known []Flag
	for name, flag := range s.flags {
		if name.component == component && flag.Known.Has(m) {
			known = append(known, *flag)
		}
	}
	return known
}

func difference(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(name string) bool { return slices.Contains(b, name) })
}

var shown = regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z0-9-]+)`)

// With PERENNIAL_COMPONENTS set to a directory VERSION/COMPONENT, such as those
// that the lab builds, their help is asked.
func TestTheTablesKnowWhatComponentsShow(t *testing.T) {
	dir := os.Getenv("PERENNIAL_COMPONENTS")
	if dir == "" {
		t.Skip("PERENNIAL_COMPONENTS names no directory of real components")
	}
	programs, err := filepath.Glob(filepath.Join(dir, "*", "kube*"))
	if err != nil || len(programs) == 0 {
		t.Fatalf("no programs in %s: %v", dir, err)
	}
	s := load(t)
	for _, program := range programs {
		component := filepath.Base(program)
		minor, err := release.ParseMinor(filepath.Base(filepath.Dir(program)))
		if err != nil {
			t.Fatal(err)
		}
		if component == "kubeadm" || component == "kubectl" || component == "kube-proxy" { // see testdata/flags
			continue
		}
		help, err := exec.Command(program, "--help").CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v", program, err)
		}
		var shows, known []string
		for _, found := range shown.FindAllStringSubmatch(string(help), -1) {
			shows = append(shows, found[1])
		}
		for _, flag := range flagsOf(s, component, minor) {
			if !flag.Hidden.Has(minor) {
				known = append(known, flag.Name)
			}
		}
		missed, extra := difference(shows, known), difference(known, shows)
		if len(missed) > 0 || len(extra) > 0 {
			t.Errorf("%s %s: missed %v, and does not show %v", component, minor, missed, extra)
		}
	}
}

func TestFlag(t *testing.T) {
	s := load(t)
	for _, c := range []struct {
		component, name string
		last            release.Minor
	}{
		{"kubelet", "boot-id-file", 36},
		{"kubelet", "container-runtime", 26},
		{"kubelet", "pod-infra-container-image", 34},
		{"kube-controller-manager", "pod-eviction-timeout", 26},
		{"kube-apiserver", "cloud-provider", 32},
		{"kube-proxy", "proxy-port-range", 30},
		{"kube-scheduler", "lock-object-name", 27},
	} {
		flag, ok := s.Flag(c.component, c.name)
		if !ok || flag.Known.Last() != c.last || flag.Removed.Minor != c.last+1 || flag.Removed.Origin != release.Measured {
			t.Errorf("%s --%s is %+v, want it until %s", c.component, c.name, flag, c.last)
		}
	}
	if _, ok := s.Flag("kubelet", "no-such-flag"); ok {
		t.Error("--no-such-flag is known")
	}
	if flag, _ := s.Flag("kubelet", "max-pods"); flag.Deprecated.IsZero() || flag.Notice == "" {
		t.Errorf("--max-pods of the kubelet is %+v, and belongs into its configuration file", flag)
	}
}

func TestDefaults(t *testing.T) {
	s := load(t)
	was, _ := s.Default("kubelet", "failCgroupV1", 34)
	is, ok := s.Default("kubelet", "failCgroupV1", 35)
	if !ok || was.Value != "false" || is.Value != "true" {
		t.Errorf("failCgroupV1 is %q by default in 1.34, and %q in 1.35", was.Value, is.Value)
	}
	if flag, _ := s.Flag("kube-apiserver", "enable-logs-handler"); len(flag.Defaults) == 0 {
		t.Errorf("--enable-logs-handler has no default: %+v", flag)
	}
}

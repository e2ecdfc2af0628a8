// SPDX-License-Identifier: Apache-2.0

package upgrade_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
	"perennial.dev/perennial/internal/upgrade"
)

// answer is what a real component said to one setting when it was started.
type answer struct {
	sort, value string // gate, flag, admission or runtime-config
	refused     bool
}

// arg is the setting on a command line.
func (a answer) arg() string {
	switch a.sort {
	case "gate":
		return "--feature-gates=" + a.value
	case "admission":
		return "--enable-admission-plugins=" + a.value
	case "runtime-config":
		return "--runtime-config=" + a.value
	}
	return "--" + a.value
}

// The answers were recorded from real components (see TestRecordAnswers); this
// compares every one of them with the verdict. A file is named by the version
// and the component.
func TestAnswersOfRealParsers(t *testing.T) {
	set := load(t)
	files, err := filepath.Glob("testdata/parsers/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no answers are recorded (%v)", err)
	}
	total := map[string]int{}
	for _, file := range files {
		version, component, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".txt"), "-")
		minor, err := release.ParseMinor(version)
		if err != nil {
			t.Fatal(err)
		}
		answers := readAnswers(t, file)
		refused := verdicts(set, minor, component, answers)
		for i, a := range answers {
			if !known(set, minor, component, a) {
				continue
			}
			total[a.sort]++
			if a.refused != refused[i] {
				t.Errorf("%s %s %s: refused %t, the verdict is %t", component, version, a.arg(), a.refused, refused[i])
			}
		}
	}
	t.Logf("compared: %v", total)
}

// cadvisor are flags that a package of the kubelet puts into the lab's program.
var cadvisor = []string{"boot-id-file", "machine-id-file"}

// known leaves out flags that no table knows, as what was asked for to be
// refused, and flags and gates that another component in the same program has brought: the lab's is one
// program of all components.
func known(set *rules.Set, m release.Minor, component string, a answer) bool {
	if a.sort == "flag" {
		_, ok := set.Flag(component, a.value) // what no minor knows is a vendor's own
		return ok && !(component == "kube-proxy" && !a.refused && slices.Contains(cadvisor, a.value))
	}
	name, _, _ := strings.Cut(a.value, "=")
	_, own := set.Gate(component, name, m)
	return a.sort != "gate" || own || a.refused || !slices.ContainsFunc([]string{"kube-apiserver", "kube-controller-manager", "kubelet"}, func(other string) bool {
		_, others := set.Gate(other, name, m)
		return others
	})
}

func readAnswers(t *testing.T, file string) []answer {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []answer
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 3 && words[0] != "#" {
			all = append(all, answer{words[0], words[1], words[2] == "refused"})
		}
	}
	return all
}

// verdicts judges each setting by itself, as one of a node of its own. What the
// minor before does not matter: a cluster of any age is asked about.
func verdicts(set *rules.Set, m release.Minor, component string, answers []answer) []bool {
	j := upgrade.New(set, rules.Way{To: m})
	for i, a := range answers {
		j.Node(layout.Layout{Node: fmt.Sprint("n", i), Components: []layout.Component{{Name: component, Manifest: "x", Args: []string{component, a.arg()}}}})
	}
	blocked := map[string]bool{}
	for _, f := range j.Findings() {
		// A flag's name was asked about, not what its value "true" does.
		value := f.Code == finding.AdmissionPluginRemoved || f.Code == finding.RuntimeConfigRefused
		i, err := strconv.Atoi(strings.TrimPrefix(f.ID.Node(), "n"))
		if err == nil && f.Impact == finding.Blocks && !(value && answers[i].sort == "flag") {
			blocked[f.ID.Node()] = true
		}
	}
	refused := make([]bool, len(answers))
	for i := range answers {
		refused[i] = blocked[fact.NodeID(fmt.Sprint("n", i), "x").Node()]
	}
	return refused
}

// TestRecordAnswers asks real components, built from Kubernetes' modules, and
// writes down what they say. PARSERS is "VERSION=DIRECTORY ...", with the
// programs in the directory as cmd/lab build leaves them. What is thought to be
// taken is asked for all at once, in one process, and one by one only if that is
// refused; what is thought to be refused costs a process each, so that of gates
// every nth is asked for.
func TestRecordAnswers(t *testing.T) {
	if os.Getenv("PARSERS") == "" {
		t.Skip("set PARSERS to ask real components")
	}
	set := load(t)
	for _, pair := range strings.Fields(os.Getenv("PARSERS")) {
		version, dir, _ := strings.Cut(pair, "=")
		minor, err := release.ParseMinor(version)
		if err != nil {
			t.Fatal(err)
		}
		for _, component := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"} {
			if _, err := os.Stat(filepath.Join(dir, component)); err != nil {
				continue // a lab without nodes has no kubelet
			}
			p := parser{t: t, program: filepath.Join(dir, component), component: component, home: t.TempDir()}
			if os.Getenv("ONLY_FLAGS") != "" { // the rest was recorded before
				was := readAnswers(t, fmt.Sprintf("testdata/parsers/%s-%s.txt", version, component))
				was = slices.DeleteFunc(was, func(a answer) bool { return a.sort == "flag" })
				write(t, version, component, append(was, p.flags(set)...))
				continue
			}
			answers := append(p.gates(set, minor), p.flags(set)...)
			if component == "kube-apiserver" {
				answers = append(answers, p.admission(set)...)
				answers = append(answers, p.runtimeConfig(set, minor)...)
			}
			write(t, version, component, answers)
		}
	}
}

func write(t *testing.T, version, component string, answers []answer) {
	t.Helper()
	var lines []string
	for _, a := range answers {
		lines = append(lines, fmt.Sprintf("%s %s %s", a.sort, a.value, map[bool]string{true: "refused", false: "ok"}[a.refused]))
	}
	slices.Sort(lines)
	head := fmt.Sprintf("# SPDX-License-Identifier: Apache-2.0\n# What %s v%s, built from its modules, said to each setting.\n", component, version)
	text := head + strings.Join(slices.Compact(lines), "\n") + "\n"
	if err := os.WriteFile(fmt.Sprintf("testdata/parsers/%s-%s.txt", version, component), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s %s: %d answers", component, version, len(lines))
}

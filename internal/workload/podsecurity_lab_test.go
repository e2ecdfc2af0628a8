// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/release"
)

// TestLabPodSecurity compares verdicts about generated pods with those of real
// API servers, asked to create each pod without doing it. It runs where
// PERENNIAL_LAB names the lab's program and LAB_TEST_VERSIONS the versions.
func TestLabPodSecurity(t *testing.T) {
	versions := os.Getenv("LAB_TEST_VERSIONS")
	if versions == "" || os.Getenv("PERENNIAL_LAB") == "" {
		t.Skip("needs a lab: set PERENNIAL_LAB and LAB_TEST_VERSIONS")
	}
	for version := range strings.SplitSeq(versions, ",") {
		t.Run(version, func(t *testing.T) {
			s := server{t: t, name: fmt.Sprintf("podsecurity-%d-%d", os.Getpid(), time.Now().UnixNano()%1e6)}
			t.Cleanup(func() { s.lab("down", "--name", s.name) })
			s.lab("up", "--name", s.name, "--version", version)
			minor, err := release.ParseMinor(version)
			if err != nil {
				t.Fatal(err)
			}
			s.compare(minor)
		})
	}
}

// server is an API server of the lab.
type server struct {
	t    *testing.T
	name string
}

func (s server) lab(args ...string) {
	s.t.Helper()
	if out, err := exec.Command(os.Getenv("PERENNIAL_LAB"), args...).CombinedOutput(); err != nil {
		s.t.Fatalf("lab %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (s server) kubectl(args ...string) (out, errs string) {
	var o, e bytes.Buffer
	cmd := exec.Command(os.Getenv("PERENNIAL_LAB"), append([]string{"exec", "--name", s.name, "--", "kubectl"}, args...)...)
	cmd.Stdout, cmd.Stderr = &o, &e
	_ = cmd.Run() // that some pods are refused is what is asked
	return o.String(), e.String()
}

func (s server) compare(minor release.Minor) {
	t := s.t
	pods := generate()
	file := filepath.Join(t.TempDir(), "pods.json")
	list, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": pods})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, list, 0o600); err != nil {
		t.Fatal(err)
	}
	a := newAdmission(known(t), minor, minor)
	equal := 0
	for l, level := range levels {
		allows := s.ask(string(level), minor, file)
		for _, p := range pods {
			ours := admitted(t, a, p)[0][l]
			theirs, answered := allows[p.Name]
			switch {
			case !answered:
				t.Errorf("%s %s: no answer about %s", minor, level, p.Name)
			case theirs != (ours == 0):
				text, _ := json.Marshal(p)
				t.Errorf("%s %s: %s is admitted: %v, and we say it is forbidden by %v\n%s", minor, level, p.Name, theirs, a.names(ours), text)
			default:
				equal++
			}
		}
	}
	t.Logf("%s: %d of %d verdicts are equal (%d pods, %d levels)", minor, equal, len(levels)*len(pods), len(pods), len(levels))
}

var violates = regexp.MustCompile(`pods "(p[0-9]+)" is forbidden: violates PodSecurity`)

// ask creates the pods in a namespace that enforces a level, without doing it,
// and returns which were admitted.
func (s server) ask(level string, minor release.Minor, file string) map[string]bool {
	t := s.t
	namespace := "enforces-" + level
	s.kubectl("create", "namespace", namespace)
	s.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce="+level, "pod-security.kubernetes.io/enforce-version=v"+minor.String())
	for range 120 { // a controller makes it, and no pod is admitted without
		if out, _ := s.kubectl("get", "serviceaccount", "default", "-n", namespace, "-o", "name"); strings.Contains(out, "default") {
			break
		}
		time.Sleep(500 * time.Millisecond)
	}
	out, errs := s.kubectl("create", "--dry-run=server", "--validate=false", "-n", namespace, "-o", "name", "-f", file)
	allows := map[string]bool{}
	for name := range strings.FieldsSeq(out) {
		allows[strings.TrimPrefix(name, "pod/")] = true
	}
	for line := range strings.Lines(errs) {
		if match := violates.FindStringSubmatch(line); match != nil {
			allows[match[1]] = false
		} else if !strings.HasPrefix(line, "Warning:") {
			t.Errorf("%s %s: %s", minor, level, strings.TrimSpace(line))
		}
	}
	return allows
}

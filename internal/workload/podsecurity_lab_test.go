// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/testlab"
)

// TestLabPodSecurity compares verdicts about generated pods with those of real
// API servers, asked to create each pod without doing it.
func TestLabPodSecurity(t *testing.T) {
	testlab.Each(t, func(p *testlab.Plane) {
		minor, err := release.ParseMinor(p.Version)
		if err != nil {
			p.Fatal(err)
		}
		server{p}.compare(minor)
	})
}

// server is an API server of the lab.
type server struct{ *testlab.Plane }

// kubectl returns what it prints. That it fails is what is asked, for some pods.
func (s server) kubectl(args ...string) (out, errs string) {
	out, errs, _ = s.Try("exec", append([]string{"--", "kubectl"}, args...)...)
	return out, errs
}

func (s server) compare(minor release.Minor) {
	t := s.T
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
	t := s.T
	namespace := "enforces-" + level
	s.kubectl("create", "namespace", namespace)
	s.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce="+level, "pod-security.kubernetes.io/enforce-version=v"+minor.String())
	s.awaitServiceAccount(namespace)
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

// awaitServiceAccount waits for the account that a controller makes: no pod is
// admitted without.
func (s server) awaitServiceAccount(namespace string) {
	for range 120 {
		if out, _ := s.kubectl("get", "serviceaccount", "default", "-n", namespace, "-o", "name"); strings.Contains(out, "default") {
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
	s.Fatalf("no service account in %s", namespace)
}

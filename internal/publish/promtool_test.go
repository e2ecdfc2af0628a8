// SPDX-License-Identifier: Apache-2.0

package publish_test

import (
	"bytes"
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/publish"
)

const (
	repository = "../.."
	rulesDir   = repository + "/deploy/prometheus"
)

// promtool is Prometheus' own checker. Where CI=true it is fetched if need be, and
// a machine without it fails; elsewhere nothing is fetched by a test.
func promtool(t *testing.T) string {
	t.Helper()
	ci := os.Getenv("CI") == "true"
	find := exec.Command(filepath.Join(repository, "hack/promtool"))
	if !ci {
		find.Args = append(find.Args, "--cached")
	}
	out, err := find.Output()
	if err == nil {
		return strings.TrimSpace(string(out))
	}
	reason := err.Error()
	if failed := new(exec.ExitError); errors.As(err, &failed) {
		reason = strings.TrimSpace(string(failed.Stderr))
	}
	if ci {
		t.Fatal(reason)
	}
	t.Skip(reason)
	return ""
}

// check runs promtool, which says nothing of metrics that it has nothing against.
func check(t *testing.T, input string, args ...string) string {
	t.Helper()
	cmd := exec.Command(promtool(t), args...)
	cmd.Dir, cmd.Stdin = rulesDir, strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

type well struct{}

func (well) Live() error  { return nil }
func (well) Ready() error { return nil }

// TestPromtoolMetrics checks what is written into a textfile and what is served,
// that of the process and of the Go runtime as well.
func TestPromtoolMetrics(t *testing.T) {
	var file bytes.Buffer
	if err := full().WriteText(&file); err != nil {
		t.Fatal(err)
	}
	server, err := publish.NewServer(full(), well{})
	if err != nil {
		t.Fatal(err)
	}
	served := httptest.NewRecorder()
	server.ServeHTTP(served, httptest.NewRequest("GET", "/metrics", nil))
	if !strings.HasPrefix(served.Body.String(), "# HELP go_") || !strings.Contains(served.Body.String(), file.String()) {
		t.Errorf("what is served is not what is written, and more:\n%s", served.Body)
	}
	for name, text := range map[string]string{"file": file.String(), "served": served.Body.String()} {
		if out := check(t, text, "check", "metrics"); out != "" {
			t.Errorf("%s: %s", name, out)
		}
		if out := check(t, text, "check", "metrics", "--extended"); !strings.Contains(out, "perennial_verdict") {
			t.Errorf("%s: promtool does not read it: %s", name, out)
		}
	}
}

func TestPromtoolRules(t *testing.T) {
	if out := check(t, "", "check", "rules", "perennial.rules.yaml"); !strings.Contains(out, "SUCCESS") || strings.Contains(out, "duplicate") {
		t.Errorf("%s", out)
	}
	if out := check(t, "", "test", "rules", "perennial.rules_test.yaml"); !strings.Contains(out, "SUCCESS") {
		t.Errorf("%s", out)
	}
}

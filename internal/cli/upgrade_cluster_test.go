// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/cli"
	"perennial.dev/perennial/internal/schema"
	"perennial.dev/perennial/internal/timeline"
)

// oldWriter answers as an API server of a version with one CronJob that somebody
// wrote in batch/v1beta1. What real servers answer is source's to test; here
// only whether the command asks them and judges each by its own version.
func oldWriter(t *testing.T, version string) (url string) {
	t.Helper()
	answers := map[string]string{
		"/version":       fmt.Sprintf(`{"gitVersion": %q}`, version),
		"/api":           `{"kind": "APIVersions", "versions": []}`,
		"/apis":          `{"kind": "APIGroupList", "groups": [{"name": "batch", "versions": [{"groupVersion": "batch/v1", "version": "v1"}], "preferredVersion": {"groupVersion": "batch/v1", "version": "v1"}}]}`,
		"/apis/batch/v1": `{"kind": "APIResourceList", "groupVersion": "batch/v1", "resources": [{"name": "cronjobs", "kind": "CronJob", "namespaced": true, "verbs": ["list", "get"]}]}`,
		"/apis/batch/v1/cronjobs": `{"kind": "CronJobList", "apiVersion": "batch/v1", "metadata": {"resourceVersion": "1"}, "items": [{"metadata": {"name": "backup", "namespace": "shop",
			"managedFields": [{"manager": "deployer", "operation": "Update", "apiVersion": "batch/v1beta1", "time": "2026-11-01T00:00:00Z"}]},
			"spec": {"schedule": "0 3 * * *", "timeZone": "UTC"}}]}`,
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := answers[r.URL.Path]
		w.Header().Set("Content-Type", "application/json")
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			body = `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}`
		}
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// contexts writes a kubeconfig with one context for each server.
func contexts(t *testing.T, servers map[string]string) string {
	t.Helper()
	var clusters, all []string
	for name, url := range servers {
		clusters = append(clusters, fmt.Sprintf(`{"name": %q, "cluster": {"server": %q}}`, name, url))
		all = append(all, fmt.Sprintf(`{"name": %q, "context": {"cluster": %q, "user": "u"}}`, name, name))
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "clusters": [%s], "contexts": [%s], "users": [{"name": "u", "user": {}}], "current-context": "old"}`,
		strings.Join(clusters, ","), strings.Join(all, ","))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func asked(t *testing.T, args ...string) (code int, out, problems string) {
	t.Helper()
	var o, e bytes.Buffer
	code = cli.Main(t.Context(), args, cli.Streams{In: strings.NewReader(""), Out: &o, Err: &e, Now: time.Now, Getenv: os.Getenv})
	return code, o.String(), e.String()
}

func TestUpgradeOfClusters(t *testing.T) {
	config := contexts(t, map[string]string{"old": oldWriter(t, "v1.24.17"), "new": oldWriter(t, "v1.36.2")})

	// The current context of the file.
	code, out, problems := asked(t, "check", "--to", "1.37", "--kubeconfig", config, "-o", "json")
	var one timeline.Timeline
	if err := json.Unmarshal([]byte(out), &one); err != nil {
		t.Fatalf("exit code %d: %v: %s", code, err, problems)
	}
	if one.Upgrade == nil || one.Upgrade.From != "1.24" || one.Upgrade.FromBy != "the API server runs v1.24.17" || len(one.Upgrade.Hops) != 13 {
		t.Errorf("the way is %+v", one.Upgrade)
	}
	item := one.Items[0]
	if item.ID != "cluster/CronJob/shop/backup" || item.Code != "APIRemoved" || item.End.Version != "1.25" || !item.Counts {
		t.Errorf("the first item is %+v", item)
	}
	if one.Scope.Counts.Objects != 1 || one.Scope.Server == "" {
		t.Errorf("the scope is %+v", one.Scope)
	}

	// Each cluster is judged by its own version.
	code, out, problems = asked(t, "check", "--to", "1.37", "--kubeconfig", config, "--context", "new", "--context", "old", "-o", "json")
	var list struct {
		Kind  string
		Items []timeline.Timeline
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil || list.Kind != "TimelineList" || len(list.Items) != 2 {
		t.Fatalf("exit code %d: %v: %s %.300s", code, err, problems, out)
	}
	schema.Read(t, "TimelineList").Follows(t, "check", []byte(out))
	if refused := schema.Read(t, "TimelineList").Accepts(map[string]any{"apiVersion": "perennial.dev/v1alpha1", "kind": "TimelineList", "items": []any{map[string]any{}}}); refused == nil {
		t.Error("the schema of lists does not hold their items to that of timelines")
	}
	if list.Items[0].Cluster != "new" || list.Items[0].Upgrade.From != "1.36" || list.Items[0].Upgrade.FirstBreak != "" {
		t.Errorf("the newer cluster: %+v", list.Items[0].Upgrade)
	}
	if list.Items[1].Cluster != "old" || list.Items[1].Upgrade.FirstBreak != "1.25" {
		t.Errorf("the older cluster: %+v", list.Items[1].Upgrade)
	}
	if want := timeline.WorstExit(list.Items[0].ExitCode, list.Items[1].ExitCode); code != want {
		t.Errorf("exit code %d, want %d", code, want)
	}
	for _, format := range []string{"table", "wide", "yaml", "sarif", "junit"} {
		if _, out, _ := asked(t, "check", "--to", "1.37", "--kubeconfig", config, "--context", "new", "--context", "old", "-o", format); !strings.Contains(out, "backup") {
			t.Errorf("-o %s does not name the CronJob:\n%s", format, out)
		}
	}

	// One that is there already, among others, is no mistake; alone it is.
	_, out, problems = asked(t, "check", "--to", "1.36", "--kubeconfig", config, "--context", "new", "--context", "old")
	if !strings.Contains(out, "1.36 is reached: the API server runs v1.36.2") || !strings.Contains(out, "On the way from 1.24 to 1.36") {
		t.Errorf("%s\n%s", out, problems)
	}
	code, _, problems = asked(t, "check", "--to", "1.36", "--kubeconfig", config, "--context", "new")
	if code != timeline.ExitUsage || !strings.Contains(problems, "1.36 is where the upgrade begins (the API server runs v1.36.2)") {
		t.Errorf("exit code %d: %s", code, problems)
	}
	code, _, problems = asked(t, "check", "--to", "1.37", "--kubeconfig", config, "--context", "nobody's")
	if code != timeline.ExitFailed || !strings.Contains(problems, "the context nobody's") {
		t.Errorf("exit code %d: %s", code, problems)
	}
}

// A cluster that does not answer is not seen, and that is no success.
func TestUpgradeOfAClusterThatDoesNotAnswer(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	url := s.URL
	s.Close()
	code, out, problems := asked(t, "check", "--to", "1.37", "--kubeconfig", contexts(t, map[string]string{"old": url}), "-o", "json")
	var tl timeline.Timeline
	if err := json.Unmarshal([]byte(out), &tl); err != nil {
		t.Fatalf("exit code %d: %v: %s", code, err, problems)
	}
	if code != timeline.ExitUnseen || len(tl.Unseen) == 0 || !tl.Upgrade.FromMissing {
		t.Errorf("exit code %d, not seen: %v, %+v", code, tl.Unseen, tl.Upgrade)
	}
	schema.Read(t, "Timeline").Follows(t, "check", []byte(out))
}

// SPDX-License-Identifier: Apache-2.0

package prepare

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/workload"
)

// answers are what an API server says of a dry run that enforces a level, by
// "NAMESPACE LEVEL": a status code, and the words of a refusal or of a warning. Of a
// level that there is not it says what a server says that acts by the labels.
type answers map[string]struct {
	code int
	says string
}

func (a answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	refuse := func(code int, reason, says string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"message":%q,"code":%d}`, reason, says, code)
	}
	text, err := io.ReadAll(r.Body)
	var change struct {
		Metadata struct {
			Labels map[string]string `json:"labels"`
		} `json:"metadata"`
	}
	if err == nil && r.Method == http.MethodPatch {
		err = json.Unmarshal(text, &change)
	}
	level := change.Metadata.Labels[workload.PodSecurityLabels[0]]
	answer, ok := a[name+" "+level]
	switch {
	case err != nil || r.Method == http.MethodPatch && r.URL.Query().Get("dryRun") != "All":
		refuse(http.StatusBadRequest, "BadRequest", fmt.Sprintf("%s %s: %v", r.Method, r.URL, err))
		return
	case ok && answer.code == http.StatusOK:
		w.Header().Add("Warning", fmt.Sprintf("299 - %q", answer.says))
	case ok:
		refuse(answer.code, map[int]string{403: "Forbidden", 404: "NotFound", 422: "Invalid", 429: "TooManyRequests"}[answer.code], answer.says)
		return
	case level == "none-such":
		refuse(http.StatusUnprocessableEntity, "Invalid", "must be one of privileged, baseline, restricted")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"metadata":{"name":%q,"uid":"u","resourceVersion":"1"}}`, name)
}

// serves answers as an API server, and returns the kubeconfig that leads there.
func serves(t *testing.T, answers http.Handler) (conf string) {
	t.Helper()
	server := httptest.NewServer(answers)
	t.Cleanup(server.Close)
	conf = filepath.Join(t.TempDir(), "conf")
	text := fmt.Sprintf(`{"kind": "Config", "apiVersion": "v1", "current-context": "c",
		"contexts": [{"name": "c", "context": {"cluster": "k"}}], "clusters": [{"name": "k", "cluster": {"server": %q}}]}`, server.URL)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return conf
}

// rehearsed asks the server what it says of namespaces at their levels.
func (a answers) rehearsed(t *testing.T, spaces ...workload.Space) ([]plan.Labelled, error) {
	t.Helper()
	client, err := kube.OpenContext(kube.Context{Kubeconfig: serves(t, a)}, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for i := range spaces {
		spaces[i].UID, spaces[i].Workloads = "u", 1
	}
	return rehearseAll(t.Context(), client, plan.LabelOptions{Version: "latest"}, spaces)
}

// What refuses the change of one namespace, whichever comes first, is told of that
// one and keeps no other from its labels.
func TestRehearsed(t *testing.T) {
	const denied = `admission webhook "x" denied the request: closed`
	all, err := answers{
		"closed none-such":      {http.StatusForbidden, denied},
		"gone none-such":        {http.StatusNotFound, "not found"},
		"host privileged":       {http.StatusForbidden, denied},
		"host baseline":         {http.StatusOK, "pod a: hostPath"},
		"told restricted":       {http.StatusOK, "pod b: runAsNonRoot"},
		"left restricted":       {http.StatusNotFound, "not found"},
		"unsilenced privileged": {http.StatusOK, "privileged is not liked here"},
	}.rehearsed(t, workload.Space{Name: "closed", Level: "baseline"}, workload.Space{Name: "gone", Level: "baseline"},
		workload.Space{Name: "host", Level: "baseline"}, workload.Space{Name: "told", Level: "restricted"},
		workload.Space{Name: "left", Level: "restricted"}, workload.Space{Name: "unsilenced", Level: "privileged"})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		level, refused string
		denied, gone   bool
	}{
		{"baseline", "", true, false}, {"baseline", "", false, true}, {"privileged", "pod a: hostPath", true, false},
		{"baseline", "pod b: runAsNonRoot", false, false}, {"restricted", "", false, true}, {"privileged", "", false, false},
	} {
		got := all[i]
		if got.Level != want.level || strings.Join(got.Refused, "; ") != want.refused || strings.Contains(got.Denied, denied) != want.denied || got.Gone != want.gone {
			t.Errorf("%s: %+v, want %+v", got.Name, got, want)
		}
	}
}

// What is no word on the namespace ends the preparation: nothing is left out of it
// because the server was busy.
func TestRehearsedByABusyServer(t *testing.T) {
	all, err := answers{"one restricted": {http.StatusTooManyRequests, "too many requests"}}.rehearsed(t, workload.Space{Name: "one", Level: "restricted"})
	if !kube.Busy(err) {
		t.Errorf("%+v, %v", all, err)
	}
}

// A policy that refuses a level that there is not says nothing of Pod Security, which
// may be switched off.
func TestSwitchedOffBehindAPolicy(t *testing.T) {
	all, err := answers{
		"closed none-such": {http.StatusUnprocessableEntity, "ValidatingAdmissionPolicy 'x' with binding 'x' denied request: closed"},
		"open none-such":   {http.StatusOK, "nothing"},
	}.rehearsed(t, workload.Space{Name: "closed", Level: "baseline"}, workload.Space{Name: "open", Level: "baseline"})
	if err == nil || !strings.Contains(err.Error(), "its Pod Security admission is switched off") {
		t.Errorf("%+v, %v", all, err)
	}
}

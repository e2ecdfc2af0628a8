// SPDX-License-Identifier: Apache-2.0

package prepare

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/plan"
)

// planned plans for one CronJob, on a server with a controller manager's pod or
// without.
func planned(t *testing.T, schedule, pod string) (plan.Plan, error) {
	t.Helper()
	says := map[string]string{
		"/api/v1/namespaces/kube-system":      `{"metadata":{"name":"kube-system","uid":"c"}}`,
		"/version":                            `{"gitVersion":"v1.37.0"}`,
		"/api":                                `{"versions":[]}`,
		"/apis":                               `{"items":[{"metadata":{"name":"batch"},"versions":[{"version":"v1","resources":[{"resource":"cronjobs","responseKind":{"kind":"CronJob"},"scope":"Namespaced","verbs":["list"]}]}]}]}`,
		"/apis/batch/v1/cronjobs":             fmt.Sprintf(`{"items":[{"metadata":{"name":"job","namespace":"shop","uid":"u"},"spec":{"schedule":%q}}]}`, schedule),
		"/api/v1/namespaces/kube-system/pods": fmt.Sprintf(`{"items":[%s]}`, pod),
	}
	conf := serves(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if says[r.URL.Path] == "" {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprint(w, says[r.URL.Path])
	}))
	b, err := Open(Options{State: t.TempDir(), Version: "test", Now: func() time.Time { return time.Date(2027, 1, 15, 12, 0, 0, 0, time.UTC) }})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	return b.PlanCronJobs(t.Context(), CronJobs{At: kube.Context{Kubeconfig: conf}})
}

// The controller manager's zone is found out for what runs every so many minutes,
// too, and has to be known only for what runs at an hour.
func TestZoneOfTheControllerManager(t *testing.T) {
	const kolkata = `{"metadata":{"name":"kcm"},"spec":{"containers":[{"name":"kube-controller-manager","env":[{"name":"TZ","value":"Asia/Kolkata"}]}]}}`
	for name, c := range map[string]struct {
		schedule, pod string
		steps         int
		says          string // in the plan's notes
		refused       bool
	}{
		"half an hour away":            {"0 * * * *", kolkata, 1, "read in Asia/Kolkata now", false},
		"at an hour":                   {"0 2 * * *", kolkata, 1, "read in Asia/Kolkata now", false},
		"nobody knows":                 {"0 * * * *", "", 0, "kube-system has no pod", false},
		"nobody knows which hour":      {"0 2 * * *", "", 0, "", true},
		"has one, and nobody is asked": {"TZ=Asia/Tokyo 0 2 * * *", "", 1, "", false},
	} {
		p, err := planned(t, c.schedule, c.pod)
		if (err != nil) != c.refused || err != nil && !strings.Contains(err.Error(), "kube-system has no pod") {
			t.Errorf("%s: %v", name, err)
		}
		if notes := fmt.Sprint(p.Notes); len(p.Steps) != c.steps || !strings.Contains(notes, c.says) || c.says == "" && len(p.Notes) > 0 {
			t.Errorf("%s: %d steps, %s", name, len(p.Steps), notes)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/workload"
)

// Ten schedules in five time zones: around midnight, in the hours that are
// skipped and doubled, on the days of the week.
var (
	cronSchedules = []string{
		"30 2 * * *", "0 2 * * *", "0 3 * * *", "30 1 * * *", "0 0 * * *", "0 1 * * 0",
		"*/20 1-3 * * *", "45 */7 * * *", "@daily", "0 2,3 * * 6,0",
	}
	cronZones = []string{"", "Europe/London", "Europe/Helsinki", "Atlantic/Azores", "Etc/UTC"}
	// cronWindows begin the evening before the clocks of all these zones but the
	// last change.
	cronWindows = []time.Time{time.Date(2027, 3, 27, 18, 0, 0, 0, time.UTC), time.Date(2027, 10, 30, 18, 0, 0, 0, time.UTC)}
)

// controllerZone is that of the controller manager, for those without any.
const controllerZone = "Europe/Berlin"

// crons is a control plane whose clock is moved from run to run.
type crons struct {
	*plane
	client *kube.Client
	jobs   []workload.Cron
	touch  int
	// windows counts those that were begun.
	windows int
	asks    *http.Client
	metrics string // of the controller manager
}

// TestCronJobsRunWhenReckoned holds what is said of the next runs against the
// Jobs that the real controller manager makes, over both changes of the clocks of
// a year: each run in its minute, and none in between.
func TestCronJobsRunWhenReckoned(t *testing.T) {
	for _, version := range versions(t) {
		if minor, err := release.ParseMinor(version); err != nil || !workload.TimeZoneServed(minor) {
			continue
		}
		t.Run(version, func(t *testing.T) {
			t.Setenv("TZ", controllerZone) // of the lab's programs
			c := &crons{plane: up(t, version, "--cert-life", "3650d")}
			c.certified()
			c.counts()
			client, err := kube.OpenContext(kube.Context{Kubeconfig: filepath.Join(c.KubernetesDir, "admin.conf")}, "test")
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			c.client = client
			for _, start := range cronWindows {
				c.window(start)
			}
		})
	}
}

// certified has the controller manager ask with its certificate alone: the tokens of
// its controllers end with each jump of the clock, and what they wait for then took
// most of the test.
func (c *crons) certified() {
	c.Helper()
	if out, ok := c.Kubectl("create", "clusterrolebinding", "certified", "--clusterrole=cluster-admin", "--user=system:kube-controller-manager"); !ok {
		c.Fatal(out)
	}
	c.set(map[string][]string{"kube-controller-manager": {"--use-service-account-credentials=false"}})
}

var lookedAt = regexp.MustCompile(`(?m)^workqueue_work_duration_seconds_count\{name="cronjob"\} (\S+)$`)

// looked is how often the controller has looked at a CronJob, by its own count.
func (c *crons) looked() int {
	c.Helper()
	answer, err := c.asks.Get(c.metrics)
	if err != nil {
		c.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		c.Fatal(err)
	}
	found := lookedAt.FindSubmatch(text)
	if answer.StatusCode != http.StatusOK {
		c.Fatalf("asking the controller manager for its counts: %s", answer.Status)
	}
	if found == nil {
		return 0 // it does not lead yet
	}
	count, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		c.Fatal(err)
	}
	return int(count)
}

var controllerPort = regexp.MustCompile(`--secure-port=(\d+)`)

// counts finds out how the controller manager is asked for its counts.
func (c *crons) counts() {
	c.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(c.KubernetesDir, "admin.conf"))
	if err != nil {
		c.Fatal(err)
	}
	config.TLSClientConfig.CAData, config.Insecure = nil, true // its certificate is one that it made for itself
	if c.asks, err = rest.HTTPClientFor(config); err != nil {
		c.Fatal(err)
	}
	port := controllerPort.FindSubmatch(c.Read("manifests/kube-controller-manager.yaml"))
	if port == nil {
		c.Fatal("the controller manager has no port")
	}
	c.metrics = "https://127.0.0.1:" + string(port[1]) + "/metrics"
}

func (c *crons) window(start time.Time) {
	c.Helper()
	c.Do("clock", start.Format(time.RFC3339))
	c.make()
	expected := map[string]map[string]bool{} // the names of Jobs, by the CronJob's
	at := map[time.Time][]workload.Cron{}
	for _, cron := range c.jobs {
		expected[cron.Name] = map[string]bool{}
		zone, err := time.LoadLocation(controllerZone)
		if err != nil {
			c.Fatal(err)
		}
		runs, err := cron.Runs(start.Add(time.Minute), 5, zone)
		if err != nil {
			c.Fatal(err)
		}
		for _, run := range runs {
			expected[cron.Name][jobName(cron, run)] = true
			at[run.UTC()] = append(at[run.UTC()], cron)
		}
	}
	for _, run := range slices.SortedFunc(maps.Keys(at), time.Time.Compare) {
		c.Do("clock", run.Add(-20*time.Second).Format(time.RFC3339))
		looked := c.looked()
		c.remind(at[run])
		for deadline := time.Now().Add(time.Minute); c.looked() < looked+len(at[run]); time.Sleep(10 * time.Millisecond) { // and has nothing to do
			if time.Now().After(deadline) {
				c.Fatalf("the controller manager has not looked at %d CronJobs", len(at[run]))
			}
		}
		c.Do("clock", run.Add(time.Second).Format(time.RFC3339))
		c.remind(at[run])
		for _, cron := range at[run] {
			c.await(cron, jobName(cron, run))
		}
	}
	made := c.made()
	runs := 0
	for name, want := range expected {
		runs += len(want)
		wanted := slices.Sorted(maps.Keys(want)) // in the order of time
		got := slices.Sorted(maps.Keys(made[name]))
		// The clock went on for other jobs after the last run of this one.
		got = slices.DeleteFunc(got, func(job string) bool { return job > wanted[len(wanted)-1] })
		if !slices.Equal(got, wanted) {
			c.Errorf("%s: the controller manager made %v, we reckoned %v", name, got, wanted)
		}
	}
	c.Logf("from %s: %d schedules, %d runs at %d instants", start.Format(time.DateOnly), len(expected), runs, len(at))
}

// jobName is how the controller manager names the Job of a run (1.37.0:
// pkg/controller/cronjob/cronjob_controllerv2.go getJobName).
func jobName(cron workload.Cron, run time.Time) string {
	return fmt.Sprintf("%s-%d", cron.Name, run.Unix()/60)
}

// make makes the CronJobs, by names of their own in each window, in place of those of
// the window before; their Jobs stay. These are suspended: pods are of no interest.
func (c *crons) make() {
	c.Helper()
	if out, ok := c.Kubectl("delete", "cronjobs", "--all", "-n", "default", "--cascade=orphan"); !ok {
		c.Fatal(out)
	}
	c.windows, c.jobs = c.windows+1, nil
	var manifest strings.Builder
	for z, zone := range cronZones {
		for s, schedule := range cronSchedules {
			cron := workload.Cron{Name: fmt.Sprintf("c%d-%d-%d", c.windows, z, s), Namespace: "default", Schedule: schedule}
			line := ""
			if zone != "" {
				cron.TimeZone = &zone
				line = "\n  timeZone: " + zone
			}
			fmt.Fprintf(&manifest, "---\napiVersion: batch/v1\nkind: CronJob\nmetadata: {name: %s, namespace: default}\nspec:\n  schedule: %q%s\n  jobTemplate: {spec: {suspend: true, template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}}\n", cron.Name, schedule, line)
			c.jobs = append(c.jobs, cron)
		}
	}
	c.Apply(manifest.String())
}

var batchJobs = kube.Resource{Group: "batch", Version: "v1", Name: "jobs", Kind: "Job"}

// remind changes the CronJobs, so that the controller looks at them now: its
// timers do not jump with the clock.
func (c *crons) remind(crons []workload.Cron) {
	c.Helper()
	c.touch++
	for _, cron := range crons {
		named := kube.Named{Resource: kube.Resource{Group: "batch", Version: "v1", Name: "cronjobs", Kind: "CronJob"}, Namespace: "default", ObjectName: cron.Name}
		if _, err := c.client.Patch(c.Context(), named, fmt.Appendf(nil, `{"metadata":{"annotations":{"touched":"%d"}}}`, c.touch), false); err != nil {
			c.Fatal(err)
		}
	}
}

// await waits for a Job.
func (c *crons) await(cron workload.Cron, name string) {
	c.Helper()
	for try := range 600 {
		job, err := c.client.Object(c.Context(), kube.Named{Resource: batchJobs, Namespace: "default", ObjectName: name})
		if err != nil {
			c.Fatal(err)
		}
		if job != nil {
			return
		}
		if try%50 == 49 {
			c.remind([]workload.Cron{cron})
		}
		time.Sleep(20 * time.Millisecond)
	}
	c.Errorf("%s (%q): no Job %s", cron.Name, cron.Schedule, name)
}

// made are the names of the Jobs, by the CronJob's.
func (c *crons) made() map[string]map[string]bool {
	c.Helper()
	all := map[string]map[string]bool{}
	err := c.client.List(c.Context(), kube.Listing{Resource: batchJobs, Namespace: "default"}, func(item json.RawMessage) error {
		var job struct {
			Metadata struct {
				Name            string `json:"name"`
				OwnerReferences []struct {
					Name string `json:"name"`
				} `json:"ownerReferences"`
			} `json:"metadata"`
		}
		if err := json.Unmarshal(item, &job); err != nil {
			return err
		}
		if len(job.Metadata.OwnerReferences) == 0 { // of the window before
			return nil
		}
		owner := job.Metadata.OwnerReferences[0].Name
		if all[owner] == nil {
			all[owner] = map[string]bool{}
		}
		all[owner][job.Metadata.Name] = true
		return nil
	})
	if err != nil {
		c.Fatal(err)
	}
	return all
}

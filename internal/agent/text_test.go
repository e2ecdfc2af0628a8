// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/policy"
)

var update = flag.Bool("update", false, "write the golden files")

// fixture is a status with all that one may have.
func fixture() Status {
	return Status{
		APIVersion: finding.APIVersion, Kind: StatusKind, Version: "1.2.3", Node: madeNode, Since: noon.Add(-day), At: noon, Looked: noon.Add(-time.Second), Every: plan.Span{Duration: 5 * time.Minute},
		Settings: SettingsStatus{Act: true, Digest: "sha256:" + strings.Repeat("01", 32), Since: noon.Add(-2 * day), Error: "reading the settings /etc/perennial/config.yaml: line 7, column 3: agent.when.zone: no such zone"},
		Stopped:  &Stop{At: noon.Add(-time.Hour), Reason: "renew apiserver: step 1 could not be proven: the port\x1b[31m answers nothing", Plan: "20270811-110000-abcd", Next: "perennial history show PLAN tells what was done; perennial agent resume goes on"},
		Approval: &Approval{At: noon, Until: noon.Add(time.Hour), IDs: []string{"apiserver", "cp1/etcd-peer"}, Used: []fact.ID{"cp1/etcd-peer"}},
		Doing:    "renew etcd-peer",
		Next: []Next{
			{What: "renew cp1/etcd-peer", ID: "cp1/etcd-peer", Due: noon.Add(-day), End: noon.Add(80 * day), At: noon.Add(14 * time.Hour), Why: "the next window opens then"},
			{What: "renew cp1/apiserver", ID: "cp1/apiserver", Due: noon.Add(10 * day), End: noon.Add(100 * day), At: noon.Add(10 * day)},
			{What: "restart kube-controller-manager", ID: "cp1/controller-manager.conf", At: noon, Why: "nothing is changed since 2027-08-11T11:00:00Z"},
			{What: "renew cp1/admin.conf", ID: "cp1/admin.conf", Due: noon.Add(-day), End: noon.Add(89 * day), Why: "the settings leave it alone"},
		},
		Person: []Person{
			{Code: LineStopped, ID: "cp1/agent", Why: "nothing is changed since 2027-08-11T11:00:00Z: a step could not be proven", Next: "perennial agent resume goes on"},
			{Code: "CAExpires", ID: "cp1/ca", Why: "the CA ends", Next: "perennial explain CAExpires"},
		},
		Refusals: map[string]Refusal{"renew": {Code: Busy, Why: "process 7 is at work", Next: "let it end", Since: noon.Add(-time.Hour), Last: noon, Again: noon.Add(time.Hour), Tries: 4, Several: true}},
		Last:     &Change{Plan: "20270811-110000-abcd", What: "renew apiserver", Result: journal.Failed, Ended: noon.Add(-time.Hour), Why: "step 1 could not be proven"},
		Headline: "This cluster stops working on 2027-10-30 (in 80 days): etcd's peer certificate expires.", Verdict: policy.Due, ExitCode: 10,
	}
}

func TestStatusGoldens(t *testing.T) {
	quiet := fixture()
	quiet.Doing = ""
	quiet.Stopped, quiet.Approval, quiet.Person, quiet.Refusals, quiet.Settings.Error, quiet.Next = nil, nil, []Person{}, nil, "", fixture().Next[:2]
	quiet.Last = &Change{Plan: "20270811-110000-abcd", What: "renew apiserver", Result: journal.Done, Ended: noon.Add(-time.Hour)}
	first := Status{Node: madeNode, Looked: noon, Every: quiet.Every, Headline: "Nothing that stops working was found."}
	working := quiet
	working.Doing = "renew etcd-peer"
	for name, c := range map[string]struct {
		status Status
		now    time.Time
	}{
		"all.txt":     {fixture(), noon},
		"quiet.txt":   {quiet, noon},
		"first.txt":   {first, noon},
		"working.txt": {working, noon},
		"silent.txt":  {quiet, noon.Add(time.Hour)},
	} {
		var got bytes.Buffer
		if err := c.status.Write(&got, c.now); err != nil {
			t.Fatal(err)
		}
		compareGolden(t, name, got.Bytes())
	}
	body, err := json.MarshalIndent(fixture(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	compareGolden(t, "status.json", append(body, '\n'))
}

func compareGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; if the new one is right, run go test ./internal/agent -update\ngot:\n%s", path, got)
	}
	if bytes.ContainsRune(got, 0x1b) {
		t.Errorf("%s has a control character", name)
	}
}

func TestExit(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Status)
		after  time.Duration
		want   int
	}{
		"what the timeline says":                 {func(s *Status) { s.Person, s.Stopped = nil, nil }, 0, 10},
		"overdue":                                {func(s *Status) { s.Person, s.Stopped, s.ExitCode = nil, nil, 11 }, 0, 11},
		"unseen":                                 {func(s *Status) { s.Person, s.Stopped, s.ExitCode = nil, nil, 12 }, 0, 12},
		"a person":                               {func(s *Status) { s.Stopped = nil }, 0, 13},
		"a person, and overdue":                  {func(s *Status) { s.Stopped, s.ExitCode = nil, 11 }, 0, 13},
		"stopped":                                {func(s *Status) { s.Person = nil }, 0, 13},
		"just not silent":                        {func(s *Status) { s.Person, s.Stopped = nil, nil }, 55 * time.Minute, 10},
		"silent":                                 {func(*Status) {}, time.Hour, 1},
		"just not silent, where it looks seldom": {func(s *Status) { s.Person, s.Stopped, s.Every = nil, nil, plan.Span{Duration: 6 * time.Hour} }, 17 * time.Hour, 10},
		"silent, where it looks seldom":          {func(s *Status) { s.Every.Duration = 6 * time.Hour }, 18*time.Hour + time.Minute, 1},
	} {
		s := fixture()
		c.change(&s)
		if got := s.Exit(noon.Add(c.after)); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestCodes(t *testing.T) {
	for _, c := range Codes {
		if c.Means == "" || c.Next == "" || !strings.HasSuffix(c.Means, ".") {
			t.Errorf("%+v", c)
		}
		if got := Explain(c.Code); got != c {
			t.Errorf("%s cannot be asked for", c.Code)
		}
	}
	if got := Explain("CAExpires"); got.Next != "perennial explain CAExpires" {
		t.Errorf("%+v", got)
	}
}

// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/testnode"
	"perennial.dev/perennial/internal/timeline"
)

// recorded is the record of a healthy node, by lines.
func recorded(t *testing.T, n *testnode.Node) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "record.jsonl")
	if r := run(t, "check", "--config", settings(t), "--root", n.Root, "--record", file); r.exit != timeline.ExitOK {
		t.Fatalf("exit code %d: %s", r.exit, r.errors)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.SplitAfter(string(data), "\n")
}

func temporary(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A record or a settings file that cannot be used is refused as a whole, with
// its name, the place and a next step: half of it would give a wrong report.
func TestRefusedFiles(t *testing.T) {
	lines := recorded(t, testnode.New(t, testnode.Options{}))
	whole := strings.Join(lines, "")
	config := "apiVersion: " + finding.APIVersion + "\nkind: Config\n"
	for _, c := range []struct {
		name, flag, text string
		says             []string
	}{
		{"truncated record", "--replay", whole[:len(whole)*2/3], []string{"reading a record: line ", "unexpected EOF", "hint: "}},
		{"record without a line of its middle", "--replay", lines[0] + lines[1][:len(lines[1])/2] + "\n" + lines[2], []string{"line "}},
		{"record of a newer version", "--replay", strings.Replace(whole, `"record":1`, `"record":7`, 1), []string{"format version 7 is not known", "up to 1"}},
		{"record without a version", "--replay", strings.Replace(whole, `"record":1`, `"recorder":1`, 1), []string{"format version 0"}},
		{"record with an unknown kind", "--replay", strings.Replace(whole, `"kind":"Manifest"`, `"kind":"\u001b[31mPlan"`, 1), []string{`unknown kind of fact "\\x1b[31mPlan"`}},
		{"record that is no JSON", "--replay", "apiVersion: v1\n", []string{"line 1", "hint: "}},
		{"empty record", "--replay", "", []string{"line 1"}},
		{"record with a certificate that is none", "--replay", regexp.MustCompile(`"certs":\["[^"]*"`).ReplaceAllString(whole, `"certs":["AAAA"`), []string{"recorded certificate"}},
		{"record with a key in it", "--replay", string(testnode.Block("EC PRIVATE KEY", []byte("private"))), []string{"line 1"}},
		{"settings with an unknown field", "--config", config + "due:\n  renewd: {}\n", []string{`line 4, column 3: due: unknown field "renewd"`}},
		{"settings with an unknown field of escape codes", "--config", config + "\"\\e[31m\": 1\n", []string{`unknown field`}},
		{"settings that are no YAML", "--config", config + "due: [\n", []string{"reading the settings"}},
		{"settings of another program", "--config", "apiVersion: v1\nkind: Config\nusers: []\n", []string{"reading the settings"}},
		{"empty settings", "--config", "", []string{"empty"}},
		{"settings that accept an unknown code", "--config", config + "accepted: [{code: Nothing, id: '*', reason: r, until: 2030-01-01}]\n", []string{`"Nothing" is no code`}},
		{"calendar that is none", "--releases", "hello\n", []string{"reading the release calendar"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := temporary(t, c.text)
			args := []string{"check", c.flag, file}
			if c.flag != "--config" {
				args = append(args, "--config", settings(t))
			}
			if c.flag != "--replay" {
				args = append(args, "--replay", temporary(t, whole))
			}
			r := run(t, args...)
			if r.exit != timeline.ExitFailed || r.out != "" {
				t.Errorf("exit code %d with the report %q, want 1 and none", r.exit, r.out)
			}
			unsafe(t, "standard error", r.errors)
			for _, s := range append(c.says, file) {
				if !strings.Contains(r.errors, s) {
					t.Errorf("standard error does not say %q: %s", s, r.errors)
				}
			}
		})
	}
}

// clocked is a record as it would be had the node's clock been elsewhere.
func clocked(t *testing.T, n *testnode.Node, at time.Time) string {
	t.Helper()
	stamp, err := json.Marshal(at)
	if err != nil {
		t.Fatal(err)
	}
	whole := strings.Join(recorded(t, n), "")
	for _, field := range []string{"now", "observed"} {
		whole = regexp.MustCompile(`"`+field+`":"[^"]*"`).ReplaceAllLiteralString(whole, `"`+field+`":`+string(stamp))
	}
	return temporary(t, whole)
}

func TestClockFarBack(t *testing.T) {
	n := testnode.New(t, testnode.Options{})
	record := clocked(t, n, testnode.Start.AddDate(-20, 0, 0))
	r := run(t, "check", "--config", settings(t), "--replay", record, "-o", "json")
	var seen timeline.Timeline
	if err := json.Unmarshal([]byte(r.out), &seen); err != nil {
		t.Fatal(err, r.errors)
	}
	items, _ := summary(seen)
	for _, want := range []string{"cp1/clock ClockSuspect", "cp1/apiserver CertificateNotYetValid", "cp1/ca CertificateNotYetValid"} {
		if !slices.Contains(items, want) {
			t.Errorf("missing: %s", want)
		}
	}
	if r.exit != timeline.ExitOverdue {
		t.Errorf("exit code %d, want 11", r.exit)
	}
	if !strings.Contains(seen.Headline, "clock") {
		t.Errorf("the headline does not name the clock, on which all else depends: %s", seen.Headline)
	}
}

func TestClockFarAhead(t *testing.T) {
	n := testnode.New(t, testnode.Options{})
	record := clocked(t, n, testnode.Start.AddDate(70, 0, 0))
	r := run(t, "check", "--config", settings(t), "--replay", record, "-o", "json")
	var seen timeline.Timeline
	if err := json.Unmarshal([]byte(r.out), &seen); err != nil {
		t.Fatal(err, r.errors)
	}
	for _, i := range seen.Items {
		if i.Code == finding.CertificateExpires && i.Verdict != "overdue" {
			t.Errorf("%s is %s seventy years later", i.ID, i.Verdict)
		}
	}
	items, _ := summary(seen)
	if !slices.Contains(items, "perennial/releases CalendarStale") {
		t.Error("the release calendar counts as fresh seventy years later")
	}
	if r.exit != timeline.ExitOverdue {
		t.Errorf("exit code %d, want 11", r.exit)
	}
}

// Without rights the report comes all the same, and says of each file that it
// could not be looked at and how it could.
func TestUnreadable(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	n := testnode.New(t, testnode.Options{})
	n.Write("/etc/hostname", 0o644, []byte("cp1\n"))
	mkdir(t, n.Path(pki+"/closed"))
	if err := os.Chmod(n.Path(pki+"/closed"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{n.Root, filepath.Dir(n.Root)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Args = []string{"perennial", "check", "--root", n.Root, "-o", "json"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.Output()
	if err == nil {
		t.Fatal("exit code 0, want 12")
	}
	var seen timeline.Timeline
	if jsonErr := json.Unmarshal(out, &seen); jsonErr != nil {
		t.Fatal(err, jsonErr)
	}
	if code := cmd.ProcessState.ExitCode(); code != timeline.ExitUnseen || seen.ExitCode != code {
		t.Errorf("exit code %d, the report says %d, want 12", code, seen.ExitCode)
	}
	items, unseen := summary(seen)
	for _, want := range []string{"cp1/apiserver CertificateExpires", "cp1/etcd-server CertificateExpires", "cp1/ca CAExpires", "cp1/front-proxy-client CertificateExpires"} {
		if !slices.Contains(items, want) {
			t.Errorf("a certificate that everybody may read is missing: %s", want)
		}
	}
	for _, want := range []string{"apiserver.key", "etcd/server.key", "sa.key", "closed"} {
		if !slices.Contains(unseen, "Denied "+pki+"/"+want) {
			t.Errorf("not said to be unseen: %s", want)
		}
	}
	for _, u := range seen.Unseen {
		if u.Why == "Denied" && u.Hint != "run as root" {
			t.Errorf("%s: hint %q", u.What, u.Hint)
		}
	}
}

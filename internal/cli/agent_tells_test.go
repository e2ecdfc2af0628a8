// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"perennial.dev/perennial/internal/install"
	"perennial.dev/perennial/internal/timeline"
)

// kept is a file that the agent keeps for others, and which one it is.
type kept struct {
	text  string
	inode uint64
}

func keptIn(t *testing.T, name string) kept {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode() != 0o644 {
		t.Fatalf("%s: %v, mode %v: others are to read it", name, err, info.Mode())
	}
	return kept{string(text), info.Sys().(*syscall.Stat_t).Ino}
}

// event is the API server's certificate in a calendar: which event, of which edition,
// and when.
func (k kept) event(t *testing.T) (uid, edition, at string) {
	t.Helper()
	for event := range strings.SplitSeq(k.text, "BEGIN:VEVENT") {
		unfolded := strings.ReplaceAll(event, "\r\n ", "")
		if !strings.Contains(unfolded, `\ncp1/apiserver CertificateExpires`) {
			continue
		}
		property := func(name string) string {
			m := regexp.MustCompile(`\r\n` + name + `[:;]([^\r]*)\r\n`).FindStringSubmatch(unfolded)
			if m == nil {
				t.Fatalf("no %s in %s", name, unfolded)
			}
			return m[1]
		}
		if !strings.Contains(unfolded, "BEGIN:VALARM") {
			t.Errorf("it has no alarm: %s", unfolded)
		}
		return property("UID"), property("SEQUENCE"), property("DTSTART")
	}
	t.Fatalf("no event of cp1/apiserver in\n%s", k.text)
	return "", "", ""
}

// The files for the node exporter and for calendars follow what is seen: a calendar
// that says the same stays as it is, and a renewal moves the event that was there.
func TestAgentKeepsFilesForOthers(t *testing.T) {
	s := siteOf(t, shortLived)
	dir := t.TempDir()
	metrics, calendar := filepath.Join(dir, "perennial.prom"), filepath.Join(dir, "deadlines.ics")
	tells := fmt.Sprintf(`spread: 0s, listen: "", textfile: %s, calendar: %s}`+"\n", metrics, calendar)
	s.look(timeline.ExitNeedsPerson, nil, allDue+"agent: {"+tells)
	before := keptIn(t, calendar)
	uid, edition, at := before.event(t)
	seen := keptIn(t, metrics)
	for _, want := range []string{install.MetricsBegin, `perennial_verdict{code="CertificateExpires",id="cp1/apiserver",node="cp1",verdict="due"} 1`, "perennial_acts 0"} {
		if !strings.Contains(seen.text, want) {
			t.Errorf("the metrics have no %s:\n%s", want, seen.text)
		}
	}

	s.look(timeline.ExitNeedsPerson, nil, allDue+"agent: {"+tells)
	if again := keptIn(t, calendar); again != before {
		t.Errorf("nothing has changed, and the calendar was written anew:\n%s", again.text)
	}
	if again := keptIn(t, metrics); again.inode == seen.inode {
		t.Error("the metrics are those of the look before")
	}

	time.Sleep(time.Second) // editions are numbered by it
	s.look(timeline.ExitNeedsPerson, []string{"renew"}, allDue+"agent: {act: true, "+tells)
	after := keptIn(t, calendar)
	if now, later, moved := after.event(t); now != uid || later <= edition || len(later) != len(edition) || moved <= at {
		t.Errorf("the event %s of edition %s at %s is, after a renewal, %s of %s at %s", uid, edition, at, now, later, moved)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left beside them: %v, %v", left, err)
	}
}

// A log for systemd's journal says how urgent each line is and leaves the time to it;
// any other log has the time.
func TestAgentLogsForTheJournal(t *testing.T) {
	for name, c := range map[string]struct {
		ours bool
		line *regexp.Regexp
	}{
		"the journal":                      {true, regexp.MustCompile(`^<[346]>level=(ERROR|WARN|INFO) msg=`)},
		"what a service of another starts": {false, regexp.MustCompile(`^time=\S+ level=\w+ msg=`)},
	} {
		t.Run(name, func(t *testing.T) {
			s := siteOf(t, shortLived)
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer read.Close()
			var pipe syscall.Stat_t
			if err := syscall.Fstat(int(write.Fd()), &pipe); err != nil {
				t.Fatal(err)
			}
			if !c.ours {
				pipe.Ino++
			}
			cmd := s.command(append([]string{"agent", "run", "--once"}, s.settle(allDue)...)...)
			cmd.Env = append(os.Environ(), fmt.Sprintf("JOURNAL_STREAM=%d:%d", pipe.Dev, pipe.Ino))
			cmd.Stderr = write
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			write.Close()
			log, err := io.ReadAll(read)
			_ = cmd.Wait() // the exit code is the verdict
			if err != nil {
				t.Fatal(err)
			}
			urgent := 0
			for line := range strings.Lines(string(log)) {
				if !c.line.MatchString(line) {
					t.Errorf("%q", line)
				}
				if strings.HasPrefix(line, "<4>level=WARN") {
					urgent++
				}
			}
			if bytes.Count(log, []byte("level=WARN")) == 0 || c.ours != (urgent > 0) {
				t.Errorf("%d warnings as such in\n%s", urgent, log)
			}
		})
	}
}

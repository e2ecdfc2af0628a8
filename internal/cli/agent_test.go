// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"perennial.dev/perennial/internal/agent"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/testnode"
	"perennial.dev/perennial/internal/timeline"
)

// shortLived is a node whose certificates have lived for an hour of two, and by
// allDue are due.
var shortLived = testnode.Options{Key: "ed25519", Life: 2 * time.Hour}

const allDue = `apiVersion: perennial.dev/v1alpha1
kind: Config
due:
  renewed: {left: 60%}
`

// acting lets the agent change what is due, at once.
const acting = allDue + `agent: {act: true, spread: 0s, listen: ""}
`

// settle writes settings and returns the flags that name them, and an identity
// that is not there.
func (s *site) settle(settings string) []string {
	s.t.Helper()
	name := filepath.Join(filepath.Dir(s.lock), "config.yaml")
	if err := os.WriteFile(name, []byte(settings), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return []string{"--config", name, "--identity", s.Path("/etc/perennial/agent.conf")}
}

// look runs the agent for one look.
func (s *site) look(code int, words []string, settings string) {
	s.t.Helper()
	s.expect(code, words, append([]string{"agent", "run", "--once"}, s.settle(settings)...)...)
}

func (s *site) status() agent.Status {
	s.t.Helper()
	var status agent.Status
	out, _ := s.command("agent", "status", "-o", "json").Output() // the exit code is the verdict
	if err := json.Unmarshal(out, &status); err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
	return status
}

// As it is installed the agent changes nothing; told to act it renews what is due,
// once, and says so.
func TestAgent(t *testing.T) {
	s := siteOf(t, shortLived)
	s.expect(timeline.ExitFailed, []string{"no agent has looked", "agent install"}, "agent", "status")
	s.expect(timeline.ExitFailed, []string{"no agent has looked"}, "agent", "approve")
	s.expect(timeline.ExitFailed, []string{"has not stopped"}, "agent", "resume")
	s.expect(timeline.ExitOK, nil, "agent", "finish")

	before := files(t, s.Root)
	s.look(timeline.ExitNeedsPerson, nil, allDue)
	if !maps.Equal(files(t, s.Root), before) {
		t.Error("it has changed something, and was told to look only")
	}
	s.expect(timeline.ExitNeedsPerson, []string{"the agent looks and tells", "act: true"}, "agent", "status")

	s.look(timeline.ExitNeedsPerson, []string{"renew"}, acting)
	st := s.status()
	if st.Last == nil || st.Last.Result != journal.Done || !st.Settings.Act {
		t.Fatalf("%+v", st)
	}
	for _, p := range st.Person { // the node is made so
		if p.Code != "SANMissing" && p.Code != "FileMissing" {
			t.Errorf("a person is needed: %+v", p)
		}
	}
	renewed := 0
	after := files(t, s.Root)
	for name, old := range before {
		if after[name] != old {
			renewed++
		}
	}
	if renewed < 10 {
		t.Errorf("%d files were renewed", renewed)
	}
	out := s.expect(timeline.ExitOK, []string{"done"}, "history")
	s.look(timeline.ExitNeedsPerson, nil, acting)
	if again := s.expect(timeline.ExitOK, nil, "history"); again != out {
		t.Errorf("what was renewed and is due by its age at once was renewed again:\n%s", again)
	}
}

// What stands in the way is told, nothing is changed, and it goes on looking.
func TestAgentIsKeptFromActing(t *testing.T) {
	for name, c := range map[string]struct {
		arrange  func(*site) (undo func())
		settings string
		words    []string // of the status
	}{
		"by settings that cannot be read": {settings: "apiVersion: perennial.dev/v1alpha1\nkind: Config\nagent: {act: ja}\n", words: []string{"line 3", "act"}},
		"by another program": {settings: acting, words: []string{"is at work on this machine"}, arrange: func(s *site) func() {
			lock, err := host.AcquireLock(s.lock, "renew", time.Now())
			if err != nil {
				s.t.Fatal(err)
			}
			return func() { _ = lock.Release() }
		}},
		"by a damaged journal": {settings: acting, words: []string{"journal", "damaged"}, arrange: func(s *site) func() {
			s.expect(timeline.ExitOK, nil, "renew", "admin.conf", "--yes")
			data, err := os.ReadFile(s.journal())
			if err != nil {
				s.t.Fatal(err)
			}
			data[len(data)/2] ^= 1
			if err := os.WriteFile(s.journal(), data, 0o600); err != nil {
				s.t.Fatal(err)
			}
			return func() {}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := siteOf(t, shortLived)
			undo := func() {}
			if c.arrange != nil {
				undo = c.arrange(s)
			}
			defer undo()
			before := files(t, s.Root)
			out, _ := s.run(append([]string{"agent", "run", "--once"}, s.settle(c.settings)...)...)
			status, _ := s.run("agent", "status")
			for _, w := range c.words {
				if !strings.Contains(status, w) {
					t.Errorf("the status does not say %q:\n%s\n%s", w, status, out)
				}
			}
			if !maps.Equal(files(t, s.Root), before) {
				t.Error("something was changed")
			}
			if s.status().Looked.IsZero() {
				t.Error("it has not looked")
			}
		})
	}
}

// Where the state cannot be written, or the certificates cannot be replaced, nothing
// is begun; it looks on, and acts when it can again.
func TestAgentOnBrokenDisks(t *testing.T) {
	if !mounted(t) {
		return
	}
	for name, c := range map[string]struct {
		damage func(*site) (mend func())
		words  []string // of the log
	}{
		"a full disk": {words: []string{"KiB are free"}, damage: func(s *site) func() {
			if err := os.MkdirAll(s.state, 0o700); err != nil {
				s.t.Fatal(err)
			}
			mount(s.t, "tmpfs", s.state, "tmpfs", 0, "mode=0700,size=256k")
			return func() { mount(s.t, "", s.state, "tmpfs", unix.MS_REMOUNT, "size=32m") }
		}},
		"certificates on a read-only file system": {words: []string{"read-only file system"}, damage: func(s *site) func() {
			dir := s.Path("/etc/kubernetes")
			mount(s.t, dir, dir, "", unix.MS_BIND, "")
			mount(s.t, "", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
			return func() {
				if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
					s.t.Fatal(err)
				}
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := siteOf(t, shortLived)
			mend := c.damage(s)
			t.Cleanup(func() { _ = unix.Unmount(s.state, unix.MNT_DETACH) })
			before := files(t, s.Root)
			s.look(timeline.ExitNeedsPerson, c.words, acting)
			if !maps.Equal(files(t, s.Root), before) {
				t.Error("something was changed")
			}
			if st := s.status(); st.Looked.IsZero() || st.Last != nil || st.Stopped != nil {
				t.Errorf("it has not looked on: %+v", st)
			}
			mend()
			s.expect(timeline.ExitOK, []string{"all that is due"}, "agent", "approve") // or it tries again later
			s.look(timeline.ExitNeedsPerson, nil, acting)
			if last := s.status().Last; last == nil || last.Result != journal.Done {
				t.Errorf("it does not act again: %+v, %+v", last, s.status().Refusals)
			}
		})
	}
}

// Who else may write where a file for others lies leads it nowhere, and settings that
// others may write are not obeyed.
func TestAgentTrustsNobody(t *testing.T) {
	s := siteOf(t, shortLived)
	dir := t.TempDir()
	key := s.Path("/etc/kubernetes/pki/ca.key")
	if err := os.Symlink(key, filepath.Join(dir, "perennial.prom")); err != nil {
		t.Fatal(err)
	}
	secret, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	telling := allDue + `agent: {act: true, spread: 0s, listen: "", textfile: ` + filepath.Join(dir, "perennial.prom") + "}\n"
	s.look(timeline.ExitNeedsPerson, []string{"was not written by this program"}, telling)
	if !s.needed(agent.FileUnwritable) {
		t.Errorf("nobody is told that the metrics are not there: %+v", s.status().Person)
	}
	if now, err := os.ReadFile(key); err != nil || !bytes.Equal(now, secret) {
		t.Fatalf("the CA's key was replaced: %v", err)
	}

	s = siteOf(t, shortLived)
	before := files(t, s.Root)
	flags := s.settle(acting)
	if err := os.Chmod(flags[1], 0o664); err != nil {
		t.Fatal(err)
	}
	s.expect(timeline.ExitNeedsPerson, []string{"others may write to it", "chmod go-w"}, append([]string{"agent", "run", "--once"}, flags...)...)
	if !maps.Equal(files(t, s.Root), before) {
		t.Error("it has obeyed settings that others may write")
	}
}

// Of two agents one acts, and the other tells who does.
func TestTwoAgents(t *testing.T) {
	s := siteOf(t, shortLived)
	flags := s.settle(acting)
	var both [2]*exec.Cmd
	for i := range both {
		both[i] = s.command(append([]string{"agent", "run", "--once"}, flags...)...)
		if err := both[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, one := range both {
		_ = one.Wait() // the exit code is the verdict
	}
	if out := s.expect(timeline.ExitOK, nil, "history"); strings.Count(out, "done") != 1 || strings.Contains(out, "cut off") || strings.Contains(out, "failed") {
		t.Errorf("%s", out)
	}
	if st := s.status(); st.Stopped != nil {
		t.Errorf("%+v", st.Stopped)
	}
}

// An approval is for what is to be done, and a question about anything else names
// the next step.
func TestAgentIsAsked(t *testing.T) {
	s := siteOf(t, shortLived)
	s.look(timeline.ExitNeedsPerson, nil, allDue)
	st := s.status()
	if len(st.Next) == 0 || slices.ContainsFunc(st.Next, func(n agent.Next) bool { return n.Why == "" }) {
		t.Errorf("nothing says why it is not done now: %+v", st.Next)
	}
	s.expect(timeline.ExitFailed, []string{"act: true", "agent status"}, "agent", "approve", "admin.conf")

	waiting := allDue + `agent: {act: true, reserve: never, listen: "", windows: [{days: [` + s.lookedOn() + `], start: "00:00", length: 1m}]}` + "\n"
	s.look(timeline.ExitNeedsPerson, nil, waiting)
	if last := s.status().Last; last != nil {
		t.Fatalf("it has not waited for the window: %+v", last)
	}
	s.expect(timeline.ExitFailed, []string{"nothing of that name", "agent status"}, "agent", "approve", "nobody")
	s.expect(timeline.ExitOK, []string{"approved until", "admin.conf"}, "agent", "approve", "admin.conf")
	s.look(timeline.ExitNeedsPerson, nil, waiting)
	if last := s.status().Last; last == nil || last.Result != journal.Done || !strings.Contains(last.What, "admin.conf") || strings.Contains(last.What, "apiserver") {
		t.Errorf("what was approved, and no more, is done: %+v", last)
	}
}

// lookedOn is a day of the week that is neither today nor tomorrow.
func (s *site) lookedOn() string {
	return s.status().Looked.AddDate(0, 0, 3).Weekday().String()[:3]
}

// Metrics and health are served while it runs; a port that is taken is told with
// who has it, and is no reason to end.
func TestAgentServes(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := siteOf(t, shortLived)
	cmd := s.command(append([]string{"agent", "run"}, s.settle(allDue+`agent: {every: 10s, listen: "`+taken.Addr().String()+`"}`+"\n")...)...)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	lines := bufio.NewScanner(said)
	expect := func(text string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), text) {
				return
			}
		}
		t.Fatalf("it does not say %q", text)
	}
	expect("metrics are not served")

	free := strings.Replace(taken.Addr().String(), "127.0.0.1", "127.0.0.3", 1)
	s.settle(allDue + `agent: {every: 10s, listen: "` + free + `"}` + "\n")
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/metrics": "perennial_end_timestamp_seconds{", "/healthz": "ok", "/readyz": "ok"} {
		if got := s.get("http://" + free + path); !strings.Contains(got, want) {
			t.Errorf("%s: it does not say %q:\n%s", path, want, got)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	expect("msg=ended")
}

// get asks until it is answered.
func (s *site) get(url string) string {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		answer, err := http.Get(url)
		if err == nil {
			body, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err == nil && answer.StatusCode == http.StatusOK {
				return string(body)
			}
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s does not answer: %v", url, err)
		}
	}
}

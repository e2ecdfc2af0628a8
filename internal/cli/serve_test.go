// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cli_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"perennial.dev/perennial/internal/testnode"
)

// serving is perennial serve at work.
type serving struct {
	t       *testing.T
	cmd     *exec.Cmd
	address string
	lines   chan string
}

var servedAt = regexp.MustCompile(`^serving (http://127\.0\.0\.1:\d+/) until it is ended`)

func serve(t *testing.T, args ...string) *serving {
	t.Helper()
	cmd := product(t, append([]string{"serve", "--listen", "127.0.0.1:0", "--every", "5s"}, args...)...)
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &serving{t: t, cmd: cmd, lines: make(chan string, 100)}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.lines)
		for all := bufio.NewScanner(pipe); all.Scan(); {
			s.lines <- all.Text()
		}
	}()
	for line := range s.lines {
		if m := servedAt.FindStringSubmatch(line); m != nil {
			s.address = m[1]
			return s
		}
	}
	t.Fatalf("it does not serve: %v", cmd.Wait())
	return nil
}

func (s *serving) get(path, host string) (int, string, http.Header) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.address+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if host != "" {
		r.Host = host
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer.StatusCode, string(body), answer.Header
}

type stateOfPage struct{ Version, Seen, Failed string }

func (s *serving) state() (v stateOfPage) {
	s.t.Helper()
	_, body, _ := s.get("version", "")
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		s.t.Fatal(err)
	}
	return v
}

// until waits for what the next looks bring.
func (s *serving) until(what string, is func(stateOfPage) bool) stateOfPage {
	s.t.Helper()
	for range 600 {
		if v := s.state(); is(v) {
			return v
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.t.Fatalf("%s: never", what)
	return stateOfPage{}
}

// end ends it as a terminal or a service manager does.
func (s *serving) end(by os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(by); err != nil {
		s.t.Fatal(err)
	}
	for range s.lines { // to the end
	}
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("ended by %s: %v", by, err)
	}
}

func TestServeShowsWhatChanges(t *testing.T) {
	n := testnode.New(t, testnode.Options{Key: "ed25519"})
	p := serve(t, "--root", n.Root)
	first := p.state()
	status, page, head := p.get("", "")
	if status != http.StatusOK || !strings.Contains(page, `data-version="`+first.Version+`"`) || !strings.Contains(page, "<code>cp1/apiserver</code>") {
		t.Fatalf("%d, %.200s", status, page)
	}
	if policy := head.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || !strings.Contains(policy, "connect-src 'self'") || !strings.HasSuffix(policy, "; frame-ancestors 'none'") {
		t.Errorf("the policy is %q", policy)
	}
	if status, body, _ := p.get("", "evil.example"); status != http.StatusMisdirectedRequest || strings.Contains(body, "cp1") {
		t.Errorf("a rebound name gets %d: %.80s", status, body)
	}
	if strings.Contains(page, "FileMissing") {
		t.Fatal("something is missing from the start")
	}
	if err := os.Remove(n.Path("/etc/kubernetes/pki/front-proxy-client.crt")); err != nil {
		t.Fatal(err)
	}
	p.until("another look", func(v stateOfPage) bool { return v.Version != first.Version })
	next := p.state()
	p.until("a look after the change", func(v stateOfPage) bool { return v.Version != next.Version })
	if _, page, _ = p.get("", ""); !strings.Contains(page, "FileMissing") {
		t.Error("the page does not say what is missing now")
	}
	p.end(syscall.SIGTERM)
}

// TestServeKeepsWhatItSawWhenALookFails takes away what is looked at.
func TestServeKeepsWhatItSawWhenALookFails(t *testing.T) {
	record, err := os.ReadFile(fixture)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "node.jsonl")
	if err := os.WriteFile(name, record, 0o600); err != nil {
		t.Fatal(err)
	}
	p := serve(t, "--replay", name)
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	v := p.until("a look that fails", func(v stateOfPage) bool { return v.Failed != "" })
	if !strings.Contains(v.Failed, "no such file") || v.Seen != "2026-11-22T08:00:00Z" {
		t.Errorf("the state is %+v", v)
	}
	_, page, _ := p.get("", "")
	for _, want := range []string{"The last look failed: opening the record: ", "<code>cp1/apiserver-loopback</code>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if err := os.WriteFile(name, record, 0o600); err != nil {
		t.Fatal(err)
	}
	p.until("a look that does not fail any more", func(v stateOfPage) bool { return v.Failed == "" })
	p.end(os.Interrupt)
}

// TestServeTellsHistoryAndAgent serves a node on which an agent has looked and a
// plan was done.
func TestServeTellsHistoryAndAgent(t *testing.T) {
	s := siteOf(t, testnode.Options{Key: "ed25519"})
	if out, err := s.command("renew", "admin.conf", "--yes").CombinedOutput(); err != nil {
		if code, ok := err.(*exec.ExitError); !ok || code.ExitCode() < 10 {
			t.Fatalf("%v: %s", err, out)
		}
	}
	once := product(t, "agent", "run", "--once", "--kubernetes-dir", s.Path("/etc/kubernetes"), "--state", s.state, "--lock", s.lock)
	out, err := once.CombinedOutput()
	if code, ok := err.(*exec.ExitError); err != nil && (!ok || code.ExitCode() < 10) {
		t.Fatalf("%v: %s", err, out)
	}
	p := serve(t, "--kubernetes-dir", s.Path("/etc/kubernetes"), "--state", s.state)
	_, page, _ := p.get("", "")
	for _, want := range []string{"What was changed here", "admin.conf", "What the agent does next", "The agent of cp1 looks and tells."} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	p.end(os.Interrupt)
}

// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cli_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// nobody is somebody who is not root.
const nobody = 65534

// shown runs check --open as a user with a browser of the test's own, which notes
// what it was given.
func shown(t *testing.T, browser string) (stderr string, noted func() string) {
	t.Helper()
	dir := t.TempDir()
	record, err := os.ReadFile(fixture)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	node := write("node.jsonl", string(record), 0o644)
	write("xdg-open", "#!/bin/sh\n"+browser, 0o755)
	note := write("note", "", 0o600)
	if err := os.Chmod(note, 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "check", "--exit-zero", "--replay", node, "--open")
	cmd.Args[0] = "perennial"
	cmd.Env = []string{"PATH=" + dir + ":/usr/bin:/bin", "DISPLAY=:99", "TMPDIR=" + dir, "NOTE=" + note, "HOME=" + dir}
	if os.Geteuid() == 0 {
		for path := dir; path != os.TempDir() && path != "/"; path = filepath.Dir(path) {
			if err := os.Chmod(path, 0o777); err != nil { // he has to come by
				t.Fatal(err)
			}
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, &problems)
	}
	if !strings.HasPrefix(out.String(), "Looked at cp1") {
		t.Errorf("the report is not on standard output: %q", out.String())
	}
	return problems.String(), func() string {
		for range 100 {
			if text, err := os.ReadFile(note); err == nil && len(text) > 0 {
				return strings.TrimSpace(string(text))
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Fatal("the browser was never started")
		return ""
	}
}

var pageAt = regexp.MustCompile(`the page is (\S+/perennial-\d+/timeline\.html)`)

func TestOpenStartsABrowser(t *testing.T) {
	problems, noted := shown(t, `echo "$# $1" >"$NOTE"`)
	m := pageAt.FindStringSubmatch(problems)
	if m == nil || strings.Contains(problems, "not opened") {
		t.Fatalf("it says %q", problems)
	}
	if got := noted(); got != "1 "+m[1] {
		t.Errorf("the browser was given %q, want %s", got, m[1])
	}
	info, err := os.Stat(m[1])
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("the page: %v, %v", info, err)
	}
	if info, err = os.Stat(filepath.Dir(m[1])); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("its directory: %v, %v", info, err)
	}
	page, err := os.ReadFile(m[1])
	if err != nil || !bytes.HasPrefix(page, []byte("<!DOCTYPE html>")) || !bytes.Contains(page, []byte("cp1/apiserver-loopback")) {
		t.Errorf("the page is %.80q, %v", page, err)
	}
}

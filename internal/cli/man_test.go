// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestManualPages lets man itself format every page, with all its warnings.
func TestManualPages(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SOURCE_DATE_EPOCH", "1795996800")
	cmd := product(t, "man", dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil || len(pages) < 15 {
		t.Fatalf("%d pages: %v", len(pages), err)
	}
	first := map[string][]byte{}
	for _, page := range pages {
		body, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		first[page] = body
		if !bytes.Contains(body, []byte(" 1 2026-11-30 ")) {
			t.Errorf("%s is not of the day that SOURCE_DATE_EPOCH names: %.80s", page, body)
		}
	}
	if out, err := product(t, "man", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for page, body := range first {
		if again, err := os.ReadFile(page); err != nil || !bytes.Equal(again, body) {
			t.Errorf("%s is another one when it is made again: %v", page, err)
		}
	}
	if help := run(t, "--help").out; strings.Contains(help, "man ") {
		t.Errorf("help names the hidden command:\n%s", help)
	}
	check := string(first[filepath.Join(dir, "perennial-check.1")])
	for _, want := range []string{".SH EXIT STATUS", `\fB\-o\fR, \fB\-\-output\fR \fIformat\fR`, ".BR perennial (1)"} {
		if !strings.Contains(check, want) {
			t.Errorf("perennial-check.1 has no %q", want)
		}
	}
	lint(t, pages)
}

// lint formats pages with man, or checks them with mandoc, where there is one.
func lint(t *testing.T, pages []string) {
	t.Helper()
	man, err := exec.LookPath("man")
	if err != nil {
		t.Skip("there is no man")
	}
	for _, page := range pages {
		cmd := exec.Command(man, "--warnings", "-E", "UTF-8", "-l", page)
		cmd.Env = append(os.Environ(), "MANWIDTH=80", "LC_ALL=C.UTF-8", "MANPAGER=cat")
		var out, warnings bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &warnings
		if err := cmd.Run(); err != nil {
			t.Skipf("man formats nothing here: %v %s", err, warnings.String())
		}
		if warnings.Len() > 0 {
			t.Errorf("%s: %s", filepath.Base(page), &warnings)
		}
		if text := out.String(); strings.Contains(text, "minimized") {
			t.Skip("man was taken out of this system")
		} else if !strings.Contains(text, "SYNOPSIS") || !strings.Contains(text, "perennial") {
			t.Errorf("%s formats to\n%.300s", filepath.Base(page), text)
		}
	}
	if mandoc, err := exec.LookPath("mandoc"); err == nil {
		if out, err := exec.Command(mandoc, append([]string{"-Tlint", "-Wwarning"}, pages...)...).CombinedOutput(); err != nil {
			t.Errorf("mandoc: %v\n%s", err, out)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The linker's own work is read, from a program that is built as Kubernetes
// builds kubectl: stripped, and without a trace of the flags.
func TestLinkedVersion(t *testing.T) {
	dir := t.TempDir()
	writeText(t, filepath.Join(dir, "go.mod"), "module example.com/kubectl\n\ngo 1.24\n")
	writeText(t, filepath.Join(dir, "main.go"), `package main

var gitVersion, gitCommit string

func main() { println(gitVersion, gitCommit, "v1.19.0 is in the source") }
`)
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w -X main.gitVersion=v1.30.4+vendor.1 -X main.gitCommit=0123456789abcdef", "-o", "kubectl", ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got, err := LinkedVersion(t.Context(), filepath.Join(dir, "kubectl"))
	if err != nil || got != "v1.30.4+vendor.1" {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestLinkedVersionIsNoGuess(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ text, want, problem string }{
		"script":                                {"#!/bin/sh\nexec microk8s kubectl v1.30.0 \"$@\"\n", "", "does not hold the one version"},
		"empty":                                 {"", "", "does not hold the one version"},
		"twice":                                 {"\x00v1.30.1\x00\x00v1.30.1\x00", "v1.30.1", ""},
		"two":                                   {"\x00v1.30.1\x00\x00v1.29.0\x00", "", "several versions: v1.30.1, v1.29.0"},
		"no version":                            {"\x00v1.30\x00\x00v1.x.1\x00\x00v1.30.1 and more\x00" + "\x00v1.30.1" + strings.Repeat("1", 100) + "\x00", "", "does not hold"},
		"not ended":                             {"\x00v1.30.1", "", "does not hold"},
		"over the edge of what is read at once": {strings.Repeat("x", programChunk-4) + "\x00v1.31.7\x00" + strings.Repeat("y", programChunk), "v1.31.7", ""},
	} {
		path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		writeText(t, path, c.text)
		got, err := LinkedVersion(t.Context(), path)
		if got != c.want || (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := LinkedVersion(t.Context(), dir); err == nil {
		t.Error("a directory has a version")
	}
	for edge := programChunk - 20; edge < programChunk+20; edge++ {
		text := append(bytes.Repeat([]byte{'x'}, edge), "\x00v1.31.7\x00"...)
		if got, err := linkedVersion(t.Context(), bytes.NewReader(append(text, bytes.Repeat([]byte{0}, programChunk)...))); got != "v1.31.7" {
			t.Errorf("at %d: %q, %v", edge, got, err)
		}
	}
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

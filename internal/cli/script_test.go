// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"perennial.dev/perennial/internal/cli"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/source"
	"perennial.dev/perennial/internal/testnode"
	"perennial.dev/perennial/internal/timeline"
)

// fixture is a record of a running node with dates that do not move. It is
// kept, so that it also says whether old records stay readable.
const fixture = "testdata/node.jsonl"

// fixed is when the node of the fixture was looked at.
var fixed = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

// TestScripts runs testdata/script. $NODE is the root of a healthy node that is
// an hour old, node.jsonl the fixture: the same a running one, with a
// controller manager that was not restarted after a renewal.
func TestScripts(t *testing.T) {
	if *update {
		writeFixture(t)
	}
	record, err := os.ReadFile(fixture)
	if err != nil {
		t.Fatal(err)
	}
	node := testnode.New(t, testnode.Options{})
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: *update, RequireExplicitExec: true, RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		Setup: func(e *testscript.Env) error {
			e.Setenv("NODE", node.Root)
			e.Setenv("TERM", "xterm")
			return os.WriteFile(filepath.Join(e.WorkDir, "node.jsonl"), record, 0o600)
		},
	})
}

// exits runs a command that has to end with an exit code: exits 10 perennial check
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ...")
	}
	code := 0
	err := ts.Exec(args[1], args[2:]...)
	if ended, ok := err.(*exec.ExitError); ok {
		code = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

func writeFixture(t *testing.T) {
	start := testnode.Start
	testnode.Start = fixed.Add(-time.Hour)
	defer func() { testnode.Start = start }()
	n := testnode.New(t, testnode.Options{})
	rec, _ := source.Survey(t.Context(), fact.Scope{Root: n.Root, KubernetesDir: layout.DefaultKubernetesDir}, source.Options{})
	rec.Tool, rec.Observed, rec.Scope.Root = "perennial 0.1.0", fixed, "/"
	for i, f := range rec.Facts {
		switch f := f.(type) {
		case fact.File:
			f.Meta = still(f.Meta)
			rec.Facts[i] = f
		case fact.Manifest:
			f.Meta = still(f.Meta)
			rec.Facts[i] = f
		case fact.Node:
			rec.Facts[i] = fact.Node{Hostname: "cp1", Root: "/", Now: fixed, Addresses: []string{"192.0.2.10"}}
		}
	}
	rec.Facts = append(rec.Facts, atWork(n, rec.Facts)...)
	var out bytes.Buffer
	if err := rec.Write(&out); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(fixture, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// still is what a file system says, without what changes from run to run.
func still(m fact.Meta) fact.Meta {
	return fact.Meta{Mode: m.Mode, Size: m.Size, ModTime: fixed.Add(-time.Hour), Target: m.Target}
}

// atWork are the processes of the node and what its ports serve.
func atWork(n *testnode.Node, seen []fact.Fact) (facts []fact.Fact) {
	for i, f := range seen {
		m, ok := f.(fact.Manifest)
		if !ok {
			continue
		}
		started := fixed.Add(-30 * time.Minute)
		if m.Name == layout.ControllerManager {
			started = fixed.Add(-2 * time.Hour)
		}
		facts = append(facts, fact.Process{PID: 1000 + i, Start: started, Args: m.Containers[0].Args})
	}
	loopback := n.Sign(nil, testnode.Leaf{Name: layout.LoopbackSNI + "@1", DNS: []string{layout.LoopbackSNI},
		Start: fixed.Add(-90 * time.Minute), End: fixed.Add(-90*time.Minute).AddDate(0, 0, 1096)})
	const endpoint = "127.0.0.1:6443"
	for _, f := range seen {
		if f, ok := f.(fact.File); ok && f.Path == pki+"/apiserver.crt" {
			facts = append(facts, fact.Served{Endpoint: endpoint, Certs: f.Certs, Protocol: "TLS 1.3", At: fixed})
		}
	}
	return append(facts,
		fact.Served{Endpoint: endpoint, SNI: layout.LoopbackSNI, Certs: []fact.Cert{{Certificate: loopback.Cert}}, Protocol: "TLS 1.3", At: fixed},
		fact.Version{Endpoint: endpoint, Git: "v1.37.0"})
}

// An interrupted look ends with its own code and without half a report.
func TestInterrupted(t *testing.T) {
	n := testnode.New(t, testnode.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errors bytes.Buffer
	code := cli.Main(ctx, []string{"check", "--root", n.Root}, cli.Streams{Out: &out, Err: &errors, Now: time.Now, Getenv: os.Getenv})
	if code != timeline.ExitInterrupted || out.Len() > 0 || errors.Len() > 0 {
		t.Errorf("exit code %d, output %q, errors %q", code, out.String(), errors.String())
	}
}

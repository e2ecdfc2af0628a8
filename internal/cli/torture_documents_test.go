// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cli_test

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/yaml"

	"perennial.dev/perennial/internal/schema"
	"perennial.dev/perennial/internal/timeline"
)

// inEveryFormat calls a command that prints a document in each of its formats, and
// holds what comes out to be safe, and what it is.
func inEveryFormat(t *testing.T, kind string, exit int, args ...string) (document string) {
	t.Helper()
	for _, format := range []string{"table", "json", "yaml"} {
		got := run(t, slices.Concat(args[:2], []string{"-o", format}, args[2:])...)
		what := strings.Join(args[:2], " ") + " -o " + format
		if got.exit != exit && exit >= 0 {
			t.Fatalf("%s: exit code %d, want %d: %s", what, got.exit, exit, got.errors)
		}
		unsafe(t, what, got.out)
		unsafe(t, what+", standard error", got.errors)
		onlyLines(t, got.out)
		switch format {
		case "json":
			document = got.out
			schema.Read(t, kind).Follows(t, what, []byte(got.out))
		case "yaml":
			converted, err := yaml.YAMLToJSONStrict([]byte(got.out))
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			schema.Read(t, kind).Follows(t, what, converted)
		}
	}
	return document
}

// rewritten is the archive that a kubelet took, with other JSON in it, unpacked.
func rewritten(t *testing.T, name string, change func(entry string, document map[string]any)) string {
	t.Helper()
	packed, err := os.Open("../checkpoint/testdata/containerd.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	z, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w, r := tar.NewWriter(out), tar.NewReader(z)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Name == "config.dump" || h.Name == "spec.dump" {
			var document map[string]any
			if err := json.Unmarshal(body, &document); err != nil {
				t.Fatal(err)
			}
			change(h.Name, document)
			if body, err = json.Marshal(document); err != nil {
				t.Fatal(err)
			}
			h.Size = int64(len(body))
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestATortureArchiveInEveryFormat shows an archive in which every name is hostile to
// each command about archives, and lists it by a hostile name.
func TestATortureArchiveInEveryFormat(t *testing.T) {
	archive := rewritten(t, "x"+strings.ReplaceAll(injection, "/", "")+".tar", func(entry string, d map[string]any) {
		if entry == "config.dump" {
			for _, name := range []string{"id", "name", "rootfsImage", "rootfsImageRef", "rootfsImageName", "runtime"} {
				d[name] = torture
			}
			// The year 10000 in UTC, which no document can say.
			d["createdTime"], d["checkpointedTime"] = "9999-12-31T23:59:59.5-23:59", "2026-11-22T10:30:00.987654321+02:00"
			return
		}
		a := d["annotations"].(map[string]any)
		for name := range a {
			a[name] = torture
		}
		p := d["process"].(map[string]any)
		p["args"], p["cwd"] = []string{torture, "--password", torture, "--token=" + torture}, torture
		p["env"] = append([]string{torture + "=x", "PASSWORD" + torture + "=" + torture}, make([]string, 10_000)...)
		d["mounts"] = []map[string]any{{"destination": torture, "type": "bind", "source": "/secrets/" + torture, "options": []string{torture, "ro"}}}
	})
	document := inEveryFormat(t, "Checkpoint", 0, "checkpoint", "inspect", archive)
	var d struct {
		Pod, Image, Container, Created, Checkpointed string
		Command                                      []string
		Environment                                  []struct{ Name string }
	}
	if err := json.Unmarshal([]byte(document), &d); err != nil {
		t.Fatal(err)
	}
	if d.Pod != torture || d.Image != torture || d.Container != torture || d.Command[0] != torture || d.Environment[0].Name != torture[:strings.Index(torture, "=")] || len(d.Environment) < 10_000 {
		t.Errorf("names do not decode to themselves, or some of %d variables are missing: %q, %q", len(d.Environment), d.Pod, d.Environment[0].Name)
	}
	if d.Created != "" || d.Checkpointed != "2026-11-22T08:30:00Z" {
		t.Errorf("created %q, taken %q", d.Created, d.Checkpointed)
	}
	inEveryFormat(t, "CheckpointVerification", -1, "checkpoint", "verify", archive)
	inEveryFormat(t, "CheckpointAdvice", 0, "checkpoint", "restore", archive, "--runtime", "containerd")

	// Its name in the kubelet's directory is anybody's who may write there, and so
	// is its time.
	far := unix.Timespec{Sec: time.Date(20_000, 1, 1, 0, 0, 0, 0, time.UTC).Unix()}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, archive, []unix.Timespec{far, far}, 0); err != nil {
		t.Fatal(err)
	}
	hostile := filepath.Join(filepath.Dir(archive), "checkpoint-"+"a\x1b[2J\u202e_b-c-9999-12-31T23:59:59-23:59.tar")
	if err := os.WriteFile(hostile, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	list := inEveryFormat(t, "CheckpointList", 0, "checkpoint", "list", "--dir", filepath.Dir(archive))
	var l struct{ Archives []struct{ Path string } }
	if err := json.Unmarshal([]byte(list), &l); err != nil || len(l.Archives) != 2 {
		t.Errorf("%v\n%s", err, list)
	}
}

// TestTorturePreferencesInEveryFormat checks and explains preferences in which every
// name is hostile.
func TestTorturePreferencesInEveryFormat(t *testing.T) {
	text := strings.ReplaceAll(beta+`aliases:
- {name: TORTURE, command: get, prependArgs: [TORTURE], appendArgs: [TORTURE], options: [{name: TORTURE, default: TORTURE}, {name: output, default: TORTURE}]}
- {name: getn, command: get, prependArgs: [TORTURE], appendArgs: [TORTURE], options: [{name: output, default: TORTURE}, {name: namespace, default: TORTURE}]}
- {name: b, command: TORTURE}
defaults:
- {command: TORTURE, options: [{name: TORTURE, default: TORTURE}]}
- {command: get, options: [{name: TORTURE, default: TORTURE}, {name: selector, default: TORTURE}]}
`, "TORTURE", strconv.QuoteToASCII(torture)) // its escapes are YAML's, too
	file := filepath.Join(t.TempDir(), "k"+strings.ReplaceAll(injection, "/", ""))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	check := inEveryFormat(t, "KubercCheck", timeline.ExitOverdue, "kuberc", "check", "--kubectl", "1.37", file)
	if !strings.Contains(check, `\u001b[31mred`) {
		t.Errorf("no problem names the alias:\n%s", check)
	}
	explained := inEveryFormat(t, "KubercExplanation", timeline.ExitOverdue, "kuberc", "explain", "--kubectl", "1.37", "-f", file, "--", "kubectl", "get", torture)
	var e struct{ Args []string }
	if err := json.Unmarshal([]byte(explained), &e); err != nil {
		t.Fatal(err)
	}
	got := run(t, "kuberc", "check", "--kubectl", "1.37", "--convert", file)
	unsafe(t, "kuberc check --convert", got.out)
	unsafe(t, "kuberc check --convert, standard error", got.errors)
}

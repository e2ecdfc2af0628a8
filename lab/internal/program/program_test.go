// SPDX-License-Identifier: Apache-2.0

package program

import (
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/modfile"
)

func TestParseVersion(t *testing.T) {
	for in, want := range map[string]string{"1.37.0": "1.37.0", "v1.32.2": "1.32.2"} {
		if got, err := ParseVersion(in); err != nil || got != want {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
	}
	for _, bad := range []string{"", "1.37", "latest", "2.0.0", "1.37.0-rc.1", "1.37.0/../.."} {
		if got, err := ParseVersion(bad); err == nil {
			t.Errorf("%q: got %q, want an error", bad, got)
		}
	}
	if got := Minor("1.25.16"); got != 25 {
		t.Errorf("got minor %d", got)
	}
}

const theirMod = `module k8s.io/kubernetes

go 1.25.0

godebug default=go1.25

require (
	go.etcd.io/etcd/client/v3 v3.6.4
	k8s.io/api v0.0.0
	k8s.io/klog/v2 v2.130.1
)

require go.etcd.io/etcd/server/v3 v3.6.4 // indirect

replace (
	github.com/pinned/thing => github.com/pinned/thing v1.2.3
	go.etcd.io/etcd/server/v3 => go.etcd.io/etcd/server/v3 v3.6.4
	k8s.io/api => ./staging/src/k8s.io/api
	k8s.io/kubectl => ./staging/src/k8s.io/kubectl
)
`

func TestMakeGoMod(t *testing.T) {
	path := filepath.Join(t.TempDir(), "go.mod")
	if err := os.WriteFile(path, []byte(theirMod), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ wanted, linked string }{{"v3.6.5", "v3.6.5"}, {"v3.5.0", "v3.6.4"}} {
		data, etcd, err := makeGoMod(path, "1.34.4", c.wanted)
		if err != nil {
			t.Fatal(err)
		}
		if etcd != c.linked {
			t.Errorf("etcd %s wanted: got %s, want %s", c.wanted, etcd, c.linked)
		}
		ours, err := modfile.Parse("go.mod", data, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		got := map[string]string{}
		for _, r := range ours.Replace {
			got[r.Old.Path] = r.New.Path + "@" + r.New.Version
		}
		want := map[string]string{
			"github.com/pinned/thing": "github.com/pinned/thing@v1.2.3",
			"k8s.io/api":              "k8s.io/api@v0.34.4",
			"k8s.io/kubectl":          "k8s.io/kubectl@v0.34.4",
		}
		if len(got) != len(want) {
			t.Errorf("replaced %v, want %v", got, want)
		}
		for path, to := range want {
			if got[path] != to {
				t.Errorf("%s: replaced by %q, want %q", path, got[path], to)
			}
		}
		if ours.Go.Version != "1.25.0" || len(ours.Godebug) != 1 || ours.Godebug[0].Value != "go1.25" {
			t.Errorf("the language version or the GODEBUG settings are not Kubernetes': %s", data)
		}
	}
}

func TestRenameMain(t *testing.T) {
	const source = "// main is\npackage main // main\n\nfunc helper() { main() }\n\nfunc main() {}\n\nfunc (t T) main() {}\n"
	got, err := renameMain([]byte(strings.Replace(source, "{ main() }", "{}", 1)), "kubescheduler")
	if err != nil {
		t.Fatal(err)
	}
	const want = "// main is\npackage kubescheduler // main\n\nfunc helper() {}\n\nfunc Main() {}\n\nfunc (t T) main() {}\n"
	if string(got) != want {
		t.Errorf("got\n%s", got)
	}
}

func TestMovedKubeadm(t *testing.T) {
	const source = `// Package constants is.
package constants

import "k8s.io/kubernetes/cmd/kubeadm/app/util"

const (
	// KubernetesDir is fixed.
	KubernetesDir = "/etc/kubernetes"
	// ManifestsSubDirName stays.
	ManifestsSubDirName = "manifests"
	DefaultEtcdDataDir = "/var/lib/etcd"
	Other = "/etc/kubernetes-other"
)

var _ = util.X
`
	got, err := movedKubeadm([]byte(source))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.ParseFile(token.NewFileSet(), "", got, 0); err != nil {
		t.Fatalf("%v\n%s", err, got)
	}
	for _, want := range []string{
		`var KubernetesDir = labroot.Path("/etc/kubernetes")`, `var DefaultEtcdDataDir = labroot.Path("/var/lib/etcd")`,
		`Other = "/etc/kubernetes-other"`, `import "perennial.dev/lab-program/kubeadm/app/util"`, `import "perennial.dev/lab-program/labroot"`,
	} {
		if strings.Count(string(got), want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, got)
		}
	}
	if strings.Contains(string(got), kubeadmPath) {
		t.Errorf("an import still leads to the released kubeadm:\n%s", got)
	}
}

func TestProgress(t *testing.T) {
	p := &progress{w: io.Discard, title: "building Kubernetes 1.37.10 (go1.26.10)", start: time.Now().Add(-59*time.Minute - 59*time.Second)}
	lines := func(text string) []string { return followLines(strings.NewReader(text), p) }
	lines("go: downloading a v1\ngo: downloading b v1\n")
	if got := p.line(); !strings.Contains(got, "2 modules fetched") {
		t.Error(got)
	}
	p.compiling(2844)
	complaints := lines("fmt\nk8s.io/api\n# k8s.io/broken\n./x.go:1:1: undefined: y\ngo: downloading c v1\n")
	if got := p.line(); !strings.Contains(got, "2 of up to 2844 packages") {
		t.Error(got)
	}
	if got := strings.Join(complaints, "|"); got != "# k8s.io/broken|./x.go:1:1: undefined: y" {
		t.Errorf("the compiler's complaints are %q", got)
	}
	p.count = 2844
	if got := p.line(); len(got) > 80 {
		t.Errorf("%d columns: %s", len(got), got)
	}
	lines("perennial.dev/lab-program\n")
	if got := p.line(); !strings.Contains(got, "linking") {
		t.Error(got)
	}
}

// Instrumentation of two releases does not compile into one program.
func TestAlignTelemetry(t *testing.T) {
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "go.mod")
		if err := os.WriteFile(path, []byte("module m\n\ngo 1.22\n"+text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const grpc, http = instrumentation + "google.golang.org/grpc/otelgrpc", instrumentation + "net/http/otelhttp"
	for etcd, want := range map[string]string{"v0.46.0": "v0.46.0", "v0.35.0": "", "v0.25.0": ""} {
		theirs := write("require " + grpc + " v0.35.0\nrequire " + http + " v0.35.1 // indirect\n")
		data, err := alignTelemetry([]byte("module ours\n"), theirs, write("require "+grpc+" "+etcd+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{grpc, http} {
			if lifted := strings.Contains(string(data), path+" "+want); want != "" && !lifted || want == "" && strings.Contains(string(data), path) {
				t.Errorf("etcd %s: the result is\n%s", etcd, data)
			}
		}
	}
}

func TestPatchBefore(t *testing.T) {
	for version, want := range map[string]string{"v3.5.24": "v3.5.23", "v3.5.10": "v3.5.9", "v3.6.1": "v3.6.0", "v3.6.0": "", "v3.7.0-rc.0": "", "v3.7.0-alpha": ""} {
		if got, ok := patchBefore(version); ok != (want != "") || got != want {
			t.Errorf("before %s: %q, %v", version, got, ok)
		}
	}
}

func TestPinsTelemetry(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("module x\n"+content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	etcd := file("etcd", "require go.opentelemetry.io/otel v1.0.1\n")
	for kube, want := range map[string]bool{
		"replace go.opentelemetry.io/otel => go.opentelemetry.io/otel v0.20.0\n": true,
		"replace go.opentelemetry.io/otel => go.opentelemetry.io/otel v1.0.1\n":  false,
		"require go.opentelemetry.io/otel v0.20.0\n":                             false,
	} {
		if got, err := pinsTelemetry(file("kube", kube), etcd); err != nil || got != want {
			t.Errorf("%q: %v, %v", kube, got, err)
		}
	}
}

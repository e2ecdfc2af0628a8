// SPDX-License-Identifier: Apache-2.0

package program

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

const (
	kubernetes = "k8s.io/kubernetes"
	etcdServer = "go.etcd.io/etcd/server/v3"
	etcdctl    = "go.etcd.io/etcd/etcdctl/v3"
	generated  = "perennial.dev/lab-program"
	// generation is raised by hand when this file changes what it writes.
	generation = "1"
)

// component is one main package that becomes a part of the program.
type component struct {
	name   string // the argv[0] it answers to
	module string
	dir    string // of its main package inside the module
}

var components = []component{
	{"kube-apiserver", kubernetes, "cmd/kube-apiserver"},
	{"kube-controller-manager", kubernetes, "cmd/kube-controller-manager"},
	{"kube-scheduler", kubernetes, "cmd/kube-scheduler"},
	{"kubeadm", kubernetes, "cmd/kubeadm"},
	{"kubectl", kubernetes, "cmd/kubectl"},
	{"etcd", etcdServer, "."},
	{"etcdctl", etcdctl, "."},
	{"kubelet", kubernetes, "cmd/kubelet"},
	{"kube-proxy", kubernetes, "cmd/kube-proxy"},
}

//go:embed main.go.txt
var mainTemplate string

//go:embed labroot.go.txt
var labrootSource string

// Package is the component's package name in the generated module.
func (c component) Package() string { return strings.ReplaceAll(c.name, "-", "") }

// Name is for the template.
func (c component) Name() string { return c.name }

// writeModule generates the Go module of one Kubernetes version into dir.
func writeModule(ctx context.Context, version, dir string) error {
	kube, err := download(ctx, kubernetes, "v"+version)
	if err != nil {
		return err
	}
	etcd, err := etcdVersion(kube.Dir)
	if err != nil {
		return err
	}
	goMod, etcd, err := makeGoMod(kube.GoMod, version, etcd)
	if err != nil {
		return err
	}
	server, err := download(ctx, etcdServer, etcd)
	if err != nil {
		return err
	}
	if pinned, err := pinsTelemetry(kube.GoMod, server.GoMod); err != nil {
		return err
	} else if pinned {
		if goMod, etcd, err = makeGoMod(kube.GoMod, version, ""); err != nil {
			return err
		}
		if server, err = download(ctx, etcdServer, etcd); err != nil {
			return err
		}
	}
	client, err := downloadOrOlder(ctx, etcdctl, etcd)
	if err != nil {
		return err
	}
	goMod = fmt.Appendf(goMod, "require %s %s\n", etcdctl, client.Version)
	sources := map[string]string{kubernetes: kube.Dir, etcdServer: server.Dir, etcdctl: client.Dir}
	for _, m := range []module{server, client} {
		if goMod, err = alignTelemetry(goMod, kube.GoMod, m.GoMod); err != nil {
			return err
		}
	}
	// Kubernetes' own sums vouch for most of what is fetched.
	goSum, err := os.ReadFile(filepath.Join(kube.Dir, "go.sum"))
	if err != nil {
		return err
	}
	files := map[string][]byte{"go.mod": goMod, "go.sum": goSum, "labroot/labroot.go": []byte(labrootSource)}
	var main bytes.Buffer
	if err := template.Must(template.New("main").Parse(mainTemplate)).Execute(&main, components); err != nil {
		return err
	}
	files["main.go"] = main.Bytes()
	for name, content := range files {
		if err := writeFile(filepath.Join(dir, name), content); err != nil {
			return err
		}
	}
	if err := copyKubeadm(filepath.Join(kube.Dir, "cmd/kubeadm"), filepath.Join(dir, "kubeadm")); err != nil {
		return err
	}
	for _, c := range components {
		if c.name == "kubeadm" {
			continue // its main package came with the copy
		}
		if err := copyMain(filepath.Join(sources[c.module], c.dir), filepath.Join(dir, c.Package()), c.Package()); err != nil {
			return err
		}
	}
	return nil
}

var etcdVersionPattern = regexp.MustCompile(`\bDefaultEtcdVersion = "(\d+\.\d+\.\d+)-\d+"`)

// etcdVersion is the version that this Kubernetes' kubeadm deploys.
func etcdVersion(kubeDir string) (string, error) {
	path := filepath.Join(kubeDir, "cmd/kubeadm/app/constants/constants.go")
	source, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	m := etcdVersionPattern.FindSubmatch(source)
	if m == nil {
		return "", fmt.Errorf("reading the etcd version in %s: no DefaultEtcdVersion", path)
	}
	return "v" + string(m[1]), nil
}

// makeGoMod derives the generated module's go.mod from Kubernetes' own: the
// same language version, GODEBUG settings and pins, with the staging modules
// replaced by their released versions. It returns the etcd version too, since
// the one that Kubernetes is linked with may be newer than wanted.
func makeGoMod(kubeGoMod, version, etcd string) ([]byte, string, error) {
	data, err := os.ReadFile(kubeGoMod)
	if err != nil {
		return nil, "", err
	}
	theirs, err := modfile.Parse(kubeGoMod, data, nil)
	if err != nil {
		return nil, "", err
	}
	for _, r := range theirs.Require {
		if r.Mod.Path == etcdServer && semver.Compare(r.Mod.Version, etcd) > 0 {
			etcd = r.Mod.Version
		}
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "module %s\n\ngo %s\n", generated, theirs.Go.Version)
	for _, g := range theirs.Godebug {
		fmt.Fprintf(&out, "godebug %s=%s\n", g.Key, g.Value)
	}
	fmt.Fprintf(&out, "require %s v%s\n", kubernetes, version)
	fmt.Fprintf(&out, "require %s %s\n", etcdServer, etcd)
	staging := "v0." + strings.TrimPrefix(version, "1.")
	for _, r := range theirs.Replace {
		switch {
		case strings.HasPrefix(r.New.Path, "./staging/"):
			fmt.Fprintf(&out, "replace %s => %s %s\n", r.Old.Path, r.Old.Path, staging)
		case strings.HasPrefix(r.Old.Path, "go.etcd.io/etcd/"):
			// A pin of the client's version would hold the server back.
		default:
			fmt.Fprintf(&out, "replace %s %s => %s %s\n", r.Old.Path, r.Old.Version, r.New.Path, r.New.Version)
		}
	}
	// Old versions name the staging modules in requirements only.
	for _, r := range theirs.Require {
		if strings.HasPrefix(r.Mod.Path, "k8s.io/") && r.Mod.Version == "v0.0.0" && !replaced(theirs, r.Mod.Path) {
			fmt.Fprintf(&out, "replace %s => %s %s\n", r.Mod.Path, r.Mod.Path, staging)
		}
	}
	return out.Bytes(), etcd, nil
}

func replaced(f *modfile.File, path string) bool {
	for _, r := range f.Replace {
		if r.Old.Path == path {
			return true
		}
	}
	return false
}

// copyMain turns a main package into an importable one: the package is
// renamed and func main becomes Main. The rest stays as released.
func copyMain(from, to, name string) error {
	p, err := build.Default.ImportDir(from, 0)
	if err != nil {
		return fmt.Errorf("reading the main package %s: %w", from, err)
	}
	for _, file := range p.GoFiles {
		source, err := os.ReadFile(filepath.Join(from, file))
		if err != nil {
			return err
		}
		source, err = renameMain(source, name)
		if err != nil {
			return fmt.Errorf("renaming %s: %w", filepath.Join(from, file), err)
		}
		if err := writeFile(filepath.Join(to, file), source); err != nil {
			return err
		}
	}
	return nil
}

func renameMain(source []byte, name string) ([]byte, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	edits := []edit{{files.Position(file.Name.Pos()).Offset, len("main"), name}}
	for _, decl := range file.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "main" {
			edits = append(edits, edit{files.Position(fn.Name.Pos()).Offset, len("main"), "Main"})
		}
	}
	return apply(source, edits), nil
}

// edit replaces length bytes at offset.
type edit struct {
	offset, length int
	text           string
}

// apply takes edits in ascending order of offset.
func apply(source []byte, edits []edit) []byte {
	var out []byte
	at := 0
	for _, e := range edits {
		out = append(out, source[at:e.offset]...)
		out = append(out, e.text...)
		at = e.offset + e.length
	}
	return append(out, source[at:]...)
}

func writeFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}

// SPDX-License-Identifier: Apache-2.0

// Package program builds the lab's one multi-call program out of the real
// main packages of kube-apiserver, kube-controller-manager, kube-scheduler,
// kubeadm, kubectl, kubelet, kube-proxy, etcd and etcdctl of one Kubernetes
// version.
//
// Nothing but Go modules is fetched, by the ordinary go command. The result is
// kept in the user's cache directory, by Kubernetes version, Go version and a
// digest of everything that shapes the build, so that it is built once.
package program

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"

	"perennial.dev/perennial/lab/internal/overlay"
)

// Names are the programs inside, each called by the name in argv[0].
func Names() []string {
	var names []string
	for _, c := range components {
		names = append(names, c.name)
	}
	return names
}

// Program is a built multi-call program.
type Program struct {
	Version string // Kubernetes version without "v", such as "1.37.0"
	Dir     string // everything that belongs to this build
}

// Bin is the directory with one symbolic link for each name.
func (p Program) Bin() string { return filepath.Join(p.Dir, "bin") }

// Path is the file to run for one of [Names].
func (p Program) Path(name string) string { return filepath.Join(p.Bin(), name) }

var versionPattern = regexp.MustCompile(`^v?(1)\.(\d+)\.(\d+)$`)

// ParseVersion accepts "1.37.0" and "v1.37.0" and returns the former.
func ParseVersion(s string) (string, error) {
	m := versionPattern.FindStringSubmatch(s)
	if m == nil {
		return "", fmt.Errorf("reading the Kubernetes version %q: want a full one such as 1.37.0", s)
	}
	return strings.TrimPrefix(s, "v"), nil
}

// Minor is the N of 1.N.P.
func Minor(version string) int {
	var minor int
	fmt.Sscanf(version, "1.%d.", &minor)
	return minor
}

// CacheDir is LAB_CACHE, or perennial-lab in the user's cache directory.
func CacheDir() (string, error) {
	if dir := os.Getenv("LAB_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the user's cache directory: %w; set LAB_CACHE", err)
	}
	return filepath.Join(dir, "perennial-lab"), nil
}

// Build returns the program of that version, after building it if the cache
// has none. Progress goes to w, which may be a terminal.
func Build(ctx context.Context, version, cache string, w io.Writer) (Program, error) {
	version, err := ParseVersion(version)
	if err != nil {
		return Program{}, err
	}
	tool, err := findGo(ctx)
	if err != nil {
		return Program{}, err
	}
	p := Program{Version: version, Dir: filepath.Join(cache, "v"+version+"-"+tool.version+"-"+digest(version, tool))}
	if p.complete() {
		return p, nil
	}
	unlock, err := lock(ctx, p.Dir+".lock", w)
	if err != nil {
		return Program{}, err
	}
	defer unlock()
	if p.complete() {
		return p, nil
	}
	if err := p.build(ctx, tool, w); err != nil {
		return Program{}, fmt.Errorf("building Kubernetes %s: %w", version, err)
	}
	return p, nil
}

// complete is judged by the last link made.
func (p Program) complete() bool {
	_, err := os.Stat(p.Path(components[len(components)-1].name))
	return err == nil
}

func (p Program) build(ctx context.Context, tool goTool, w io.Writer) error {
	show := newProgress(w, fmt.Sprintf("building Kubernetes %s (%s)", p.Version, tool.version))
	err := p.buildShown(ctx, tool, show)
	show.finish(err == nil)
	return err
}

func (p Program) buildShown(ctx context.Context, tool goTool, show *progress) error {
	overlayFile, err := overlay.Write(tool.root, tool.version, filepath.Join(p.Dir, "overlay"))
	if err != nil {
		return err
	}
	module := filepath.Join(p.Dir, "module")
	if err := os.RemoveAll(module); err != nil {
		return err
	}
	if err := writeModule(ctx, p.Version, module); err != nil {
		return err
	}
	binary := filepath.Join(p.Dir, "perennial-lab-program")
	if err := compile(ctx, p.Version, module, overlayFile, binary, show); err != nil {
		return err
	}
	return p.link(binary)
}

func (p Program) link(binary string) error {
	if err := os.MkdirAll(p.Bin(), 0o755); err != nil {
		return err
	}
	for _, name := range Names() {
		if err := os.Symlink(filepath.Join("..", filepath.Base(binary)), p.Path(name)); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

// digest names a build by everything of ours that shapes it.
func digest(version string, tool goTool) string {
	h := sha256.New()
	for _, part := range []string{version, tool.version, runtime.GOARCH, overlay.Fingerprint(), mainTemplate, labrootSource,
		strings.Join(buildFlags(version, ""), " "), fmt.Sprint(components), generation} {
		fmt.Fprintf(h, "%d:%s\n", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// lock keeps two builds of one version from racing for the same directory.
func lock(ctx context.Context, path string, w io.Writer) (func(), error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil {
		fmt.Fprintln(w, "waiting for another build of the same version")
		err = flockUntil(ctx, f)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}

func flockUntil(ctx context.Context, f *os.File) error {
	done := make(chan error, 1)
	go func() { done <- syscall.Flock(int(f.Fd()), syscall.LOCK_EX) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

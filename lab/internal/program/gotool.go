// SPDX-License-Identifier: Apache-2.0

package program

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// goTool is the installed go command.
type goTool struct {
	root    string // GOROOT
	version string // such as go1.26.8
}

// goEnv keeps the build independent of the user's settings and workspace. The
// clock is made from the installed Go, so no other toolchain may be chosen.
func goEnv() []string {
	return append(os.Environ(), "GOTOOLCHAIN=local", "GOWORK=off", "GOFLAGS=-mod=mod", "CGO_ENABLED=0", "GO111MODULE=on", "GOOS=linux")
}

func findGo(ctx context.Context) (goTool, error) {
	out, err := runGo(ctx, "", "env", "-json", "GOROOT", "GOVERSION")
	if err != nil {
		return goTool{}, fmt.Errorf("asking the go command for its version: %w", err)
	}
	var env struct{ GOROOT, GOVERSION string }
	if err := json.Unmarshal(out, &env); err != nil {
		return goTool{}, fmt.Errorf("reading the output of go env: %w", err)
	}
	version, _, _ := strings.Cut(env.GOVERSION, " ")
	return goTool{root: env.GOROOT, version: version}, nil
}

// runGo runs the go command in dir and returns its standard output. A failure
// carries what it wrote to standard error.
func runGo(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = goEnv()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("running go %s: %w\n%s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

// module is one downloaded Go module.
type module struct{ Version, Dir, GoMod string }

// download fetches a module into the module cache.
func download(ctx context.Context, path, version string) (module, error) {
	out, err := runGo(ctx, "", "mod", "download", "-json", path+"@"+version)
	var m struct {
		module
		Error string
	}
	if jsonErr := json.Unmarshal(out, &m); jsonErr == nil && m.Error != "" {
		return module{}, fmt.Errorf("downloading %s@%s: %w", path, version, errors.New(m.Error))
	}
	if err != nil {
		return module{}, err
	}
	return m.module, nil
}

// downloadOrOlder takes the newest earlier patch where a proxy has not that very
// one: etcdctl speaks to every server of its minor.
func downloadOrOlder(ctx context.Context, path, version string) (module, error) {
	m, err := download(ctx, path, version)
	for older, ok := patchBefore(version); ok && missing(err); older, ok = patchBefore(older) {
		m, err = download(ctx, path, older)
	}
	return m, err
}

// missing says whether a proxy answered that it has not got a version (the go
// command prints the answer's status).
func missing(err error) bool {
	return err != nil && slices.ContainsFunc([]string{"403 Forbidden", "404 Not Found", "410 Gone"}, func(status string) bool {
		return strings.Contains(err.Error(), status)
	})
}

// patchBefore is "v3.5.23" for "v3.5.24"; not ok for the first one.
func patchBefore(version string) (string, bool) {
	dot := strings.LastIndex(version, ".")
	patch, err := strconv.Atoi(version[dot+1:])
	if err != nil || patch == 0 {
		return "", false
	}
	return version[:dot+1] + strconv.Itoa(patch-1), true
}

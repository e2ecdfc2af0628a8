// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"perennial.dev/perennial/hack/knowledge/upstream"
)

// walk is the program that is built with each kubectl. It is no file of this
// module, which does not require kubectl.
//
//go:embed walk.go.txt
var walk []byte

// measure builds a program with the kubectl of a release and runs it.
func measure(release upstream.Release) ([][]string, error) {
	dir, err := os.MkdirTemp("", "kubectl-walk-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	module := fmt.Sprintf("module walk\n\ngo 1.24\n\nrequire k8s.io/kubectl v0.%d.%d\n", release.Minor, release.Patch)
	for name, text := range map[string][]byte{"go.mod": []byte(module), "main.go": walk} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return nil, err
		}
	}
	if _, err := goIn(dir, "mod", "tidy"); err != nil {
		return nil, err
	}
	out, err := goIn(dir, "run", ".")
	if err != nil {
		return nil, err
	}
	return csv.NewReader(bytes.NewReader(out)).ReadAll()
}

func goIn(dir string, args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	// kubectl must not find the preferences of who runs this.
	cmd.Env = append(os.Environ(), "GOWORK=off", "KUBERC=off", "CGO_ENABLED=0")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("running go %v: %w\n%s", args, err, errs.Bytes())
	}
	return out.Bytes(), nil
}

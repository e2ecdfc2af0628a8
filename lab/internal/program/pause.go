// SPDX-License-Identifier: Apache-2.0

package program

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

//go:embed pause.go.txt
var pauseSource string

// Pause returns the file of the program that runs in a pod's sandbox, after
// building it if the cache has none. It is one of its own, since there is one
// process of it for each pod.
func Pause(ctx context.Context, cache string) (string, error) {
	tool, err := findGo(ctx)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(pauseSource + runtime.GOARCH))
	dir := filepath.Join(cache, "pause-"+tool.version+"-"+hex.EncodeToString(sum[:6]))
	path := filepath.Join(dir, "pause")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	source := filepath.Join(dir, "main.go")
	if err := writeFile(source, []byte(pauseSource)); err != nil {
		return "", err
	}
	part := fmt.Sprintf("%s.%d", path, os.Getpid())
	if _, err := runGo(ctx, dir, "build", "-trimpath", "-ldflags=-s -w", "-o", part, source); err != nil {
		return "", fmt.Errorf("building the pause program: %w", err)
	}
	return path, os.Rename(part, path)
}

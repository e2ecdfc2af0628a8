// SPDX-License-Identifier: Apache-2.0

package program

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// buildFlags are those that shape the program.
func buildFlags(version, overlayFile string) []string {
	minor := fmt.Sprint(Minor(version))
	var sets strings.Builder
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		fmt.Fprintf(&sets, " -X %[1]s.gitVersion=v%[2]s -X %[1]s.gitMajor=1 -X %[1]s.gitMinor=%[3]s -X %[1]s.gitTreeState=clean", pkg, version, minor)
	}
	return []string{"-trimpath", "-buildvcs=false", "-overlay=" + overlayFile,
		// Old minors reach into the standard library's private names.
		"-ldflags=-checklinkname=0 -s -w" + sets.String()}
}

// compile builds the module in dir into the file binary.
func compile(ctx context.Context, version, dir, overlayFile, binary string, show *progress) error {
	total, err := countPackages(ctx, dir, overlayFile, show)
	if err != nil {
		return err
	}
	show.compiling(total)
	part := binary + ".part"
	args := append([]string{"build", "-v", "-o", part}, buildFlags(version, overlayFile)...)
	if _, err := followGo(ctx, dir, show, append(args, ".")...); err != nil {
		return err
	}
	return os.Rename(part, binary)
}

// countPackages resolves all imports, which downloads the modules, and counts
// the packages to compile.
func countPackages(ctx context.Context, dir, overlayFile string, show *progress) (int, error) {
	out, err := followGo(ctx, dir, show, "list", "-deps", "-overlay="+overlayFile, ".")
	return strings.Count(out, "\n"), err
}

// followGo runs the go command in dir, shows its progress, and returns its
// standard output.
func followGo(ctx context.Context, dir string, show *progress, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = goEnv()
	var out strings.Builder
	cmd.Stdout = &out
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("running go %s: %w", args[0], err)
	}
	complaints := followLines(stderr, show)
	if err := cmd.Wait(); err != nil {
		return "", fmt.Errorf("running go %s in %s: %w\n%s", args[0], dir, err, strings.Join(complaints, "\n"))
	}
	return out.String(), nil
}

// followLines counts modules fetched and packages compiled (go build -v), and
// returns the other lines, which are what the go command had to say.
func followLines(r io.Reader, show *progress) []string {
	var others []string
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "go: downloading"), strings.HasPrefix(line, "go: finding"):
			show.fetched()
		case line == generated:
			show.linking()
		case strings.ContainsAny(line, " \t#"):
			others = append(others, line)
		default:
			show.compiled()
		}
	}
	return others
}

// since is the elapsed time as people read it: whole seconds.
func since(start time.Time) time.Duration { return time.Since(start).Round(time.Second) }

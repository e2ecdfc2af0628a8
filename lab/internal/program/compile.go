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
func compile(ctx context.Context, tool goTool, version, dir, overlayFile, binary string, w io.Writer) error {
	flags := buildFlags(version, overlayFile)
	total, err := countPackages(ctx, dir, overlayFile)
	if err != nil {
		return err
	}
	part := binary + ".part"
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build", "-v", "-o", part}, flags...), ".")...)
	cmd.Dir = dir
	cmd.Env = goEnv()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("running go build: %w", err)
	}
	show := newProgress(w, fmt.Sprintf("building Kubernetes %s with %s", version, tool.version), total)
	complaints := followBuild(stderr, show)
	err = cmd.Wait()
	show.finish(err == nil)
	if err != nil {
		return fmt.Errorf("running go build in %s: %w\n%s", dir, err, strings.Join(complaints, "\n"))
	}
	return os.Rename(part, binary)
}

// countPackages resolves all imports, which downloads the modules, and counts
// the packages to compile.
func countPackages(ctx context.Context, dir, overlayFile string) (int, error) {
	out, err := runGo(ctx, dir, "list", "-deps", "-overlay="+overlayFile, ".")
	if err != nil {
		return 0, err
	}
	return strings.Count(string(out), "\n"), nil
}

// followBuild counts the package lines of go build -v and returns the others,
// which are what the compiler had to say.
func followBuild(r io.Reader, show *progress) []string {
	var others []string
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case line == generated:
			show.linking()
		case strings.ContainsAny(line, " \t#"):
			if !strings.HasPrefix(line, "go: downloading") {
				others = append(others, line)
			}
		default:
			show.compiled()
		}
	}
	return others
}

// since is the elapsed time as people read it: whole seconds.
func since(start time.Time) time.Duration { return time.Since(start).Round(time.Second) }

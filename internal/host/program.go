// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"regexp"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// programDirs are where a node's programs are looked for, whatever the looker's
// own PATH is.
var programDirs = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/opt/bin", "/usr/libexec/crio"}

// FindProgram is the path of a program that only root or the looker could have
// written, empty where there is none.
func FindProgram(name string) (string, error) {
	var refused error
	for _, dir := range programDirs {
		at := path.Join(dir, name)
		info, err := os.Stat(at)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			continue
		}
		if err != nil {
			refused = errors.Join(refused, err)
			continue
		}
		var meta fact.Meta
		describe(&meta, info)
		switch {
		case meta.Mode&0o111 == 0:
		case meta.Mode&0o022 != 0 || meta.UID != 0 && meta.UID != os.Geteuid():
			refused = errors.Join(refused, fmt.Errorf("%w: %s: other users may write its file", errNotTrusted, at))
		default:
			return at, nil
		}
	}
	return "", refused
}

// Said is Output with what the program writes of errors, also where it fails.
func Said(ctx context.Context, within time.Duration, most int, program string, args ...string) (string, error) {
	return run(ctx, within, most, true, program, args...)
}

// Output runs a program of FindProgram and returns what it writes. It gets no input
// and little environment, and is ended when it takes longer than within or writes
// more than most bytes.
func Output(ctx context.Context, within time.Duration, most int, program string, args ...string) (string, error) {
	return run(ctx, within, most, false, program, args...)
}

func run(ctx context.Context, within time.Duration, most int, errorsToo bool, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = []string{"PATH=" + strings.Join(programDirs, ":"), "LC_ALL=C"}
	cmd.Dir = "/"
	cmd.WaitDelay = 100 * time.Millisecond
	out := capped{limit: most}
	cmd.Stdout = &out
	if errorsToo {
		cmd.Stderr = &out
	}
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return string(out.data), fmt.Errorf("running %s: %w", program, err)
	}
	return string(out.data), nil
}

// anyVersion is the first thing in the output of a program that looks like one.
var anyVersion = regexp.MustCompile(`\bv?\d+\.\d+(?:\.\d+)?(?:[-+~.][0-9A-Za-z.+~-]*)?`)

// ProgramVersion asks a program for its version with --version.
func ProgramVersion(ctx context.Context, program string) (fact.Text, error) {
	out, err := Output(ctx, versionTime, 4*versionLimit, program, "--version")
	if err != nil {
		return "", err
	}
	v := anyVersion.FindString(out)
	if v == "" {
		return "", fmt.Errorf("running %s: its answer holds no version", program)
	}
	return fact.Text(v), nil
}

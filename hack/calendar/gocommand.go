// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// goCommand asks the module proxy that the Go command is set up for.
type goCommand struct{}

func (goCommand) versions(module string) ([]string, error) {
	out, err := goList("-versions", module)
	if err != nil {
		return nil, err
	}
	return out.Versions, out.failure()
}

func (goCommand) published(module, version string) (time.Time, bool, error) {
	out, err := goList(module + "@" + version)
	if err != nil {
		return time.Time{}, false, err
	}
	if out.missing() {
		return time.Time{}, false, nil
	}
	if err := out.failure(); err != nil {
		return time.Time{}, false, err
	}
	if out.Time == nil {
		return time.Time{}, false, fmt.Errorf("go list gives no time for %s@%s", module, version)
	}
	return *out.Time, true, nil
}

type listed struct {
	Time     *time.Time
	Versions []string
	Error    *struct{ Err string }
}

// missing tells "the proxy does not have it" from "the proxy is out of reach".
func (l listed) missing() bool {
	if l.Error == nil {
		return false
	}
	for _, answer := range []string{"404 Not Found", "410 Gone", "403 Forbidden", "unknown revision", "not found"} {
		if strings.Contains(l.Error.Err, answer) {
			return true
		}
	}
	return false
}

func (l listed) failure() error {
	if l.Error == nil {
		return nil
	}
	return fmt.Errorf("asking the module proxy: %s", l.Error.Err)
}

func goList(args ...string) (listed, error) {
	cmd := exec.Command("go", append([]string{"list", "-m", "-e", "-json"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		return listed{}, fmt.Errorf("running %s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	var out listed
	if err := json.Unmarshal(text, &out); err != nil {
		return listed{}, fmt.Errorf("reading the output of %s: %w", strings.Join(cmd.Args, " "), err)
	}
	return out, nil
}

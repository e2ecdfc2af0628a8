// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/testlab"
	"perennial.dev/perennial/internal/timeline"
)

// clocked is the product built with the lab's clock, which can be moved without
// moving the control plane's.
type clocked struct {
	*workshop
	program, clock string
}

func newClocked(t *testing.T, version string) *clocked {
	t.Helper()
	c := &clocked{workshop: shop(t, version), program: filepath.Join(t.TempDir(), "perennial"), clock: filepath.Join(t.TempDir(), "clock")}
	build := exec.Command("go", "build", "-overlay", filepath.Join(filepath.Dir(testlab.Programs(t, version)), "overlay/overlay.json"), "-o", c.program, "../../cmd/perennial")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building with the lab's clock: %v\n%s", err, out)
	}
	return c
}

// at runs a command with the clock so many years away.
func (c *clocked) at(years int, code int, args ...string) string {
	c.Helper()
	offset := time.Until(time.Now().AddDate(years, 0, 0))
	if err := os.WriteFile(c.clock, binary.NativeEndian.AppendUint64(nil, uint64(offset)), 0o600); err != nil {
		c.Fatal(err)
	}
	args = append(args, "--kubernetes-dir", c.KubernetesDir, "--timeout", "5s")
	if args[0] != "check" {
		args = append(args[:len(args)-2], "--yes", "--state", c.state, "--lock", c.lock)
	}
	cmd := exec.Command(c.program, args...)
	cmd.Env = append(os.Environ(), "PERENNIAL_LAB_CLOCK="+c.clock)
	var all bytes.Buffer
	cmd.Stdout, cmd.Stderr = &all, &all
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		c.Fatalf("perennial %s, %+d years: exit code %d, want %d\n%s", strings.Join(args, " "), years, got, code, &all)
	}
	return all.String()
}

// With a clock two years back nothing is begun, and it is said what is wrong
// and what to do. One that is ahead cannot be found out on one machine: what was
// issued by it is found when it is right again, and taken back.
func TestRenewByAWrongClock(t *testing.T) {
	for _, version := range versions(t)[:1] {
		t.Run(version, func(t *testing.T) {
			c := newClocked(t, version)
			old := inventory(t, c.KubernetesDir)
			pr := c.plane.probe()

			out := c.at(-2, timeline.ExitFailed, "renew", "--all")
			for _, want := range []string{"the clock cannot be right", "is dated", "set the clock right"} {
				if !strings.Contains(out, want) {
					t.Errorf("two years back: it does not say %q:\n%s", want, out)
				}
			}
			if out := c.at(-2, timeline.ExitOverdue, "check"); !strings.Contains(out, "clock") {
				t.Errorf("two years back: check does not name the clock:\n%s", out)
			}
			if changed := differences(old, inventory(t, c.KubernetesDir)); len(changed) > 0 {
				t.Errorf("two years back: %q changed", changed)
			}

			id := idOf(t, c.at(2, timeline.ExitOK, "renew", "admin.conf"))
			if changed := differences(old, inventory(t, c.KubernetesDir)); len(changed) != 1 {
				t.Errorf("two years ahead: %q changed", changed)
			}
			if _, found := item(c.check(), "cp1/admin.conf", finding.CertificateNotYetValid); !found {
				t.Error("with the right clock it is not found that admin.conf is not valid yet")
			}
			for _, command := range [][]string{{"renew", "--all"}, {"undo", id}} {
				if out := c.at(0, timeline.ExitFailed, command...); !strings.Contains(out, "--any-clock") {
					t.Errorf("%q: the next step is not said:\n%s", command, out)
				}
			}
			c.at(0, timeline.ExitOK, "undo", id, "--any-clock")
			if changed := differences(old, inventory(t, c.KubernetesDir)); len(changed) > 0 {
				t.Errorf("taken back: %q changed", changed)
			}
			c.at(0, timeline.ExitOK, "renew", "admin.conf", "--any-clock")
			c.Inside("kubectl", "get", "--raw", "/readyz")
			pr.end(t)
		})
	}
}

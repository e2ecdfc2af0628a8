// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// Booted says whether systemd runs this machine (sd_booted(3)).
func Booted() bool {
	info, err := os.Lstat("/run/systemd/system")
	return err == nil && info.IsDir()
}

// systemctlTime bounds one call: the start of a service waits for its first look.
const systemctlTime = 6 * time.Minute

// Systemctl runs systemctl. Its error has what it said.
func Systemctl(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, systemctlTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "systemctl", append([]string{"--no-ask-password", "--quiet"}, args...)...)
	out := capped{limit: 64 << 10}
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		if said := bytes.TrimSpace(out.data); len(said) > 0 {
			return fmt.Errorf("running systemctl %s: %w: %s", strings.Join(args, " "), err, fact.Text(said))
		}
		return fmt.Errorf("running systemctl %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

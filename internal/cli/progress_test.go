// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cli_test

import (
	"net"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/timeline"
)

// Whoever waits for what does not answer sees for how long, on a terminal only, and
// nothing of it is left.
func TestProgress(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	args := []string{"check", "--config", settings(t), "--endpoint", silent.Addr().String(), "--timeout", "4s"}
	c := newTerminal(t, 80, 24)
	cmd := c.start(nil, args...)
	doing := "looking at " + silent.Addr().String()
	c.until("the progress", shows(doing+", 2 s"))
	lines := c.until("the report", shows("Looked at"))
	ended(t, cmd, timeline.ExitUnseen)
	if strings.Contains(strings.Join(lines, "\n"), doing) {
		t.Errorf("the progress is left:\n%s", strings.Join(lines, "\n"))
	}
	if quiet := run(t, args...); quiet.errors != "" {
		t.Errorf("without a terminal it says %q", quiet.errors)
	}
}

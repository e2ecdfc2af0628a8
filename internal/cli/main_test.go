// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"flag"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"perennial.dev/perennial/internal/cli"
	"perennial.dev/perennial/internal/testnode"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The test binary is also the program: testscript starts it by this name, and
// so do tests that need another process.
func TestMain(m *testing.M) {
	// Nodes are made an hour ago, by the clock that looks at them.
	testnode.Start = time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	program := func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		code := cli.Main(ctx, os.Args[1:], cli.System())
		stop()
		os.Exit(code)
	}
	testscript.Main(m, map[string]func(){
		"perennial": program,
		// By these names kubectl finds it.
		"kubectl-perennial": program, "kubectl_complete-perennial": program,
		// A process of this name is another program at work, until its input ends.
		"kubeadm": func() { _, _ = io.Copy(io.Discard, os.Stdin) },
	})
}

// product is the program as a process of its own.
func product(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Args = append([]string{"perennial"}, args...)
	return cmd
}

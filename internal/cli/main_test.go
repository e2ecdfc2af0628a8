// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"flag"
	"os"
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
	testscript.Main(m, map[string]func(){
		"perennial": func() { os.Exit(cli.Main(context.Background(), os.Args[1:], cli.System())) },
	})
}

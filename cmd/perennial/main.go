// SPDX-License-Identifier: Apache-2.0

// Command perennial finds everything that will stop a self-managed Kubernetes
// cluster.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // maintenance windows have zones, also on machines without the package tzdata

	"perennial.dev/perennial/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, os.Args[1:], cli.System())
	stop()
	os.Exit(code)
}

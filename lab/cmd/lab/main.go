// SPDX-License-Identifier: Apache-2.0

// Command lab runs real Kubernetes control planes as plain local processes,
// without root and without containers, and lets their clocks be moved.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	root := newCommand()
	root.SetArgs(protectStep(os.Args[1:]))
	err := root.ExecuteContext(ctx)
	interrupted := ctx.Err() != nil
	stop()
	if interrupted {
		os.Exit(130)
	}
	var child *exec.ExitError
	if errors.As(err, &child) && child.ExitCode() > 0 && errors.Is(err, errPassedOn) {
		os.Exit(child.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

// protectStep lets `lab clock -2h` be written as it is read: a step back is no
// flag.
func protectStep(args []string) []string {
	clock := slices.Index(args, "clock")
	for i, arg := range args {
		if arg == "--" {
			break
		}
		if clock >= 0 && i > clock && len(arg) > 1 && arg[0] == '-' && arg[1] >= '0' && arg[1] <= '9' {
			return slices.Insert(slices.Clone(args), i, "--")
		}
	}
	return args
}

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "lab",
		Short: "Real Kubernetes control planes as local processes, with a clock that can be moved",
		Long: `lab builds the real Kubernetes control plane of a version from its Go modules
and runs it as plain processes below one directory: no root, no containers.
Several labs can run side by side; --name or LAB_NAME says which is meant.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	name := os.Getenv("LAB_NAME")
	if name == "" {
		name = "default"
	}
	labs := &registry{}
	root.PersistentFlags().StringVar(&labs.name, "name", name, "the lab's name")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		newBuild(), newUp(labs), newDown(labs), newList(labs), newStatus(labs),
		newComponent(labs, "stop", "End a component and keep it stopped"),
		newComponent(labs, "start", "Start a stopped component"),
		newComponent(labs, "restart", "Restart a component"),
		newExec(labs), newEnv(labs), newClock(labs), newCut(labs), newStory(labs), newDemo(), newSupervise(), newNode(labs),
	)
	return root
}

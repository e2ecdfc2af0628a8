// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/lab/internal/program"
)

// errPassedOn marks the failure of a program that has said itself what failed:
// its exit code is passed on, and nothing is printed.
var errPassedOn = errors.New("the program failed")

func newExec(labs *registry) *cobra.Command {
	return &cobra.Command{
		Use: "exec -- PROGRAM [ARGUMENT]...", Short: "Run a program in the lab's environment",
		Long: `Runs one of the lab's own programs (` + strings.Join(program.Names(), ", ") + `)
or any other, with the lab's kubeconfig, clock, directories and etcd endpoint,
in its network if it has one of its own. The exit code is the program's.`,
		Example: "  lab exec -- kubeadm certs check-expiration\n  lab exec -- etcdctl endpoint status",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := labs.open()
			if err != nil {
				return err
			}
			path := args[0]
			if slices.Contains(program.Names(), path) {
				path = filepath.Join(s.Bin(), path)
			}
			child := exec.CommandContext(cmd.Context(), path, args[1:]...)
			child.Args[0] = args[0]
			child.Env = s.Environ()
			child.Stdin, child.Stdout, child.Stderr = os.Stdin, cmd.OutOrStdout(), cmd.ErrOrStderr()
			if child.Dir, err = os.Getwd(); err != nil {
				return err
			}
			if err = startInside(s, child); err == nil {
				err = child.Wait()
			}
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				return fmt.Errorf("%w: %w", errPassedOn, err)
			}
			return err
		},
	}
}

func newEnv(labs *registry) *cobra.Command {
	return &cobra.Command{
		Use: "env", Short: "Print the lab's environment for a shell: eval \"$(lab env)\"", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := labs.open()
			if err != nil {
				return err
			}
			for _, v := range s.Variables() {
				fmt.Fprintf(cmd.OutOrStdout(), "export %s=%s\n", v[0], quote(v[1]))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "export PATH=%s:\"$PATH\"\n", quote(s.Bin()))
			return nil
		},
	}
}

// quote makes one word of a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

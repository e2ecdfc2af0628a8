// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"perennial.dev/perennial/lab/internal/layout"
	"perennial.dev/perennial/lab/internal/program"
	"perennial.dev/perennial/lab/internal/story"
	"perennial.dev/perennial/lab/internal/supervise"
)

func newStory(labs *registry) *cobra.Command {
	past := life(24 * time.Hour)
	cmd := &cobra.Command{
		Use: "story", Short: "Show what breaks when the API server's loopback certificate ends",
		Long: `Asks the lab's API server a few things on day 0, moves the lab's clock past the
end of the server's loopback certificate and asks again, then cuts the server's
connections to itself and asks once more. The exit code is 0 only if the known
failures were seen. The clock stays where it is; "lab clock reset" and
"lab restart kube-apiserver" mend the lab.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := labs.open()
			if err != nil {
				return err
			}
			_, err = tell(cmd.Context(), s, time.Duration(past), cmd.OutOrStdout(), cmd.ErrOrStderr())
			return err
		},
	}
	cmd.Flags().Var(&past, "past", "how far to go beyond the certificate's end")
	return cmd
}

func tell(ctx context.Context, s layout.Settings, past time.Duration, out, notes io.Writer) (story.Ending, error) {
	return story.Tell(ctx, storyLab(s), storyOptions(past, out, notes))
}

func storyLab(s layout.Settings) story.Lab {
	return story.Lab{
		Endpoint: s.Endpoint(), Kubeconfig: s.AdminConf(), Clock: s.Clock(), Minor: program.Minor(s.Version),
		Cut: func() (int, error) { return supervise.Cut(runDir(s), "kube-apiserver") },
	}
}

func storyOptions(past time.Duration, out, notes io.Writer) story.Options {
	return story.Options{Past: past, Colour: colourful(out), Out: out, Notes: notes}
}

// colourful says whether colour is wanted there (https://no-color.org).
func colourful(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(f.Fd()))
}

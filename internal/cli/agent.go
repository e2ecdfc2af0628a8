// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/agent"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/report"
	"perennial.dev/perennial/internal/timeline"
	"perennial.dev/perennial/internal/workbench"
)

// agentOptions say where the agent of a node has its things.
type agentOptions struct {
	changeOptions // of these the places only
	config        string
	identity      string
}

func newAgent(s Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use: "agent", GroupID: "unattended", Short: "Keeps one node alive, for years",
		Long: `Looks, judges, waits for the turn of what is due, changes it, and tells. Until its
settings say act: true it changes nothing. It works with the API away.`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newAgentRun(s), newAgentStatus(s), newAgentApprove(s), newAgentResume(s), newAgentFinish(s), newAgentConfig(s), newAgentInstall(s), newAgentUninstall(s))
	return cmd
}

func (o *agentOptions) addFlags(cmd *cobra.Command) {
	o.addPlaces(cmd)
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "settings `file` (default "+DefaultConfig+", if it is there)")
	f.StringVar(&o.identity, "identity", layout.AgentConfig, "the agent's own kubeconfig `file`")
	_ = cmd.MarkFlagFilename("config")
	_ = cmd.MarkFlagFilename("identity")
}

// machine is the node that the agent keeps.
func (o *agentOptions) machine(s Streams) (*agent.Machine, error) {
	scope, err := (&lookOptions{root: "/", kubernetesDir: o.kubernetesDir}).scope()
	if err != nil {
		return nil, err
	}
	m := &agent.Machine{Scope: scope, Lock: o.lock, Config: DefaultConfig, Version: Version, Tool: tool(), Now: s.Now}
	if o.config != "" {
		m.Config, m.Needed = o.config, true
	}
	for _, place := range []struct {
		to   *string
		from string
	}{{&m.State, o.state}, {&m.Config, m.Config}, {&m.Scope.Identity, o.identity}} {
		if *place.to, err = filepath.Abs(place.from); err != nil {
			return nil, fmt.Errorf("finding %s: %w", place.from, err)
		}
	}
	return m, nil
}

func newAgentStatus(s Streams) *cobra.Command {
	o, output := &agentOptions{}, ""
	cmd := &cobra.Command{
		Use: "status", Short: "What the agent does next, and when, and why not now", Args: cobra.NoArgs,
		Long: `Shows what the agent wrote after its last look: what it does next and when, what
keeps it from doing it now, and for what a person is needed. The exit code is that
of the last look, or 13 where a person is needed, or 1 where no agent has looked for
long.`,
		RunE: func(*cobra.Command, []string) error { return o.status(s, output) },
	}
	o.addFlags(cmd)
	addDocumentFormat(cmd, &output)
	return cmd
}

// errNoAgent says that there is nothing to tell.
var errNoAgent = hinted{errors.New("reading what the agent does: no agent has looked at this node"), "perennial agent install, or perennial agent run"}

func (o *agentOptions) status(s Streams, output string) error {
	m, err := o.machine(s)
	if err != nil {
		return err
	}
	format, err := report.ParseFormat(output, report.Documents...)
	if err != nil {
		return usageError{err}
	}
	status, there, err := agent.ReadStatus(m)
	if err == nil && !there {
		err = errNoAgent
	}
	if err != nil {
		return err
	}
	err = report.Document(s.Out, format, status, func(w io.Writer) error { return status.Write(w, s.Now()) })
	if code := status.Exit(s.Now()); err == nil && code != timeline.ExitOK {
		return exit{code}
	}
	return err
}

func newAgentApprove(s Streams) *cobra.Command {
	o := &agentOptions{}
	cmd := &cobra.Command{
		Use: "approve [NAME...]", Short: "Do what waits now: for its turn, for a window, for permission",
		Long: `Lets the agent do once, at its next look, what waits for its turn, for a maintenance
window or for a permission that its settings do not give, such as an outage: what is
named, or all that is due. It holds for an hour. For what a person is needed for it
does nothing.`,
		RunE: func(_ *cobra.Command, names []string) error { return o.approve(s, names) },
	}
	o.addFlags(cmd)
	return cmd
}

func (o *agentOptions) approve(s Streams, names []string) error {
	m, err := o.machine(s)
	if err != nil {
		return err
	}
	status, there, err := agent.ReadStatus(m)
	switch {
	case err != nil:
		return err
	case !there:
		return errNoAgent
	}
	a, err := agent.Approve(m, status, names, s.Now())
	if err != nil {
		return hinted{err, "perennial agent status shows what comes"}
	}
	what := "all that is due"
	if len(names) > 0 {
		what = fact.Text(strings.Join(names, ", ")).String()
	}
	fmt.Fprintf(s.Out, "approved until %s: %s\n", a.Until.Format(time.RFC3339), what)
	return nil
}

func newAgentResume(s Streams) *cobra.Command {
	o := &agentOptions{}
	cmd := &cobra.Command{
		Use: "resume", Short: "Let the agent change things again, after it has stopped", Args: cobra.NoArgs,
		Long: `After a change that failed or could not be proven the agent changes nothing more
until a person has looked. This says that one has.`,
		RunE: func(*cobra.Command, []string) error {
			m, err := o.machine(s)
			if err != nil {
				return err
			}
			stop, err := agent.Resume(m, s.Now())
			if err != nil {
				return err
			}
			fmt.Fprintf(s.Out, "the agent goes on; it had stopped on %s: %s\n", stop.At.UTC().Format(time.RFC3339), fact.Text(stop.Reason))
			return nil
		},
	}
	o.addFlags(cmd)
	return cmd
}

func newAgentFinish(s Streams) *cobra.Command {
	o := &agentOptions{}
	cmd := &cobra.Command{
		Use: "finish", Short: "Before the kubelet starts: put files in place that a change was cut off at", Args: cobra.NoArgs,
		Long: `Puts in place the files that a change had begun to replace when the machine went
down, so that every component can start from them. It restarts nothing, asks nobody
and waits for nothing; the agent, or the next command that changes something, proves
the change and goes on with it.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.finish(cmd.Context(), s) },
	}
	o.addFlags(cmd)
	return cmd
}

func (o *agentOptions) finish(ctx context.Context, s Streams) error {
	m, err := o.machine(s)
	if err != nil {
		return err
	}
	b, err := workbench.Open(workbench.Options{Scope: m.Scope, State: m.State, Lock: m.Lock, Purpose: "finish at boot", Version: Version, Now: s.Now})
	if err != nil {
		return err
	}
	defer b.Close()
	mended, err := b.Mend(ctx)
	for _, name := range mended {
		fmt.Fprintf(s.Err, "%s is in place\n", fact.Text(name))
	}
	if err != nil {
		complain(s, "perennial: ", err.Error())
		return exit{timeline.ExitNeedsPerson}
	}
	return nil
}

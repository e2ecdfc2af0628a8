// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/lab/internal/clock"
	"perennial.dev/perennial/lab/internal/layout"
	"perennial.dev/perennial/lab/internal/supervise"
)

// labStatus is the JSON of `lab status` and, as a list, of `lab list`.
type labStatus struct {
	layout.Settings
	Kubernetes string             `json:"kubernetesDir"`
	Endpoint   string             `json:"endpoint"`
	Kubeconfig string             `json:"kubeconfig"`
	Running    bool               `json:"running"`
	Time       time.Time          `json:"time"` // what the lab's programs take for now
	Offset     string             `json:"clockOffset"`
	Components []supervise.Status `json:"components"`
}

func statusOf(s layout.Settings) (labStatus, error) {
	st := labStatus{Settings: s, Kubernetes: s.Kubernetes(), Endpoint: s.Endpoint(), Kubeconfig: s.AdminConf()}
	offset, err := clock.Offset(s.Clock())
	if err != nil {
		return st, err
	}
	st.Time, st.Offset = time.Now().Add(offset).UTC().Truncate(time.Second), offset.String()
	st.Components, err = supervise.List(runDir(s))
	if errors.Is(err, supervise.ErrNotRunning) {
		return st, nil
	}
	st.Running = err == nil
	return st, err
}

func newList(r *registry) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "list", Short: "List the labs", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			labs, err := r.all()
			if err != nil {
				return err
			}
			all := []labStatus{}
			for _, s := range labs {
				st, err := statusOf(s)
				if errors.Is(err, fs.ErrNotExist) {
					continue // it was taken down meanwhile
				}
				if err != nil {
					return err
				}
				all = append(all, st)
			}
			return print(cmd.OutOrStdout(), output, all, func(w io.Writer) { listTable(w, all) })
		},
	}
	addOutput(cmd, &output)
	return cmd
}

func newStatus(labs *registry) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "status", Short: "Show one lab and its processes", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := labs.open()
			if err != nil {
				return err
			}
			st, err := statusOf(s)
			if err != nil {
				return err
			}
			return print(cmd.OutOrStdout(), output, st, func(w io.Writer) { statusTable(w, st) })
		},
	}
	addOutput(cmd, &output)
	return cmd
}

func addOutput(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVarP(output, "output", "o", "table", "table or json")
}

func print(w io.Writer, output string, data any, table func(io.Writer)) error {
	switch output {
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(data)
	case "table":
		columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		table(columns)
		return columns.Flush()
	}
	return fmt.Errorf("printing as %q: want table or json", output)
}

func listTable(w io.Writer, all []labStatus) {
	fmt.Fprintln(w, "NAME\tVERSION\tSTATE\tENDPOINT\tTIME\tDIRECTORY")
	for _, st := range all {
		state := "stopped"
		if st.Running {
			state = "running"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", st.Name, st.Version, state, st.Endpoint, st.Time.Format(time.RFC3339), st.Dir)
	}
}

func statusTable(w io.Writer, st labStatus) {
	listTable(w, []labStatus{st})
	fmt.Fprintln(w, "\nCOMPONENT\tSTATE\tPID\tRESTARTS\tSTARTED")
	for _, c := range st.Components {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\n", c.Name, c.State, c.PID, c.Restarts, c.Started.UTC().Format(time.RFC3339))
	}
}

func newComponent(labs *registry, verb, short string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " COMPONENT", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := labs.open()
			if err != nil {
				return err
			}
			do := map[string]func(run, name string) error{"stop": supervise.Stop, "start": supervise.Start, "restart": supervise.Restart}[verb]
			if err := do(runDir(s), args[0]); err != nil {
				return err
			}
			if args[0] == "kube-apiserver" && verb != "stop" {
				return waitReady(cmd.Context(), s, 2*time.Minute)
			}
			return nil
		},
	}
}

func newClock(labs *registry) *cobra.Command {
	return &cobra.Command{
		Use: "clock [+366d | -2h | RFC3339 | reset]", Short: "Show the lab's time, or move it for all of its programs at once",
		Long: `Without an argument: the time that the lab's programs see, and its distance from
the machine's. A step such as +366d, -2h or +1d12h counts from the lab's time;
an instant (RFC 3339, or a date) is set as it is; reset returns to real time.
Timers and timeouts do not jump: only the wall clock does.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := labs.open()
			if err != nil {
				return err
			}
			offset, err := clock.Offset(s.Clock())
			if err != nil {
				return err
			}
			if len(args) == 1 {
				if offset, err = clock.Parse(args[0], time.Now(), offset); err != nil {
					return err
				}
				if err := clock.Set(s.Clock(), offset); err != nil {
					return err
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s (%+.0f s from the machine's clock)\n", time.Now().Add(offset).UTC().Format(time.RFC3339), offset.Seconds())
			return nil
		},
	}
}

func newCut(labs *registry) *cobra.Command {
	return &cobra.Command{
		Use: "cut", Short: "Cut the API server's connections to itself", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := labs.open()
			if err != nil {
				return err
			}
			n, err := supervise.Cut(runDir(s), "kube-apiserver")
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "%d loopback connections of the API server cut\n", n)
			}
			return err
		},
	}
}

// SPDX-License-Identifier: Apache-2.0

package supervise

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// state is on disk so that everything can be ended after the supervisor has
// died without a chance to do it.
type state struct {
	Supervisor Identity            `json:"supervisor"`
	Processes  map[string]Identity `json:"processes"` // by pod name
}

const stateName = "state.json"

func (s *supervisor) saveState() error {
	self, err := Identify(os.Getpid())
	if err != nil {
		return err
	}
	st := state{Supervisor: self, Processes: map[string]Identity{}}
	for _, p := range s.processes {
		if p.running() {
			st.Processes[p.pod.name] = p.identity
		}
	}
	data, err := json.MarshalIndent(st, "", "  ")
	if err != nil || bytes.Equal(data, s.state) {
		return err
	}
	path := filepath.Join(s.Run, stateName)
	if err := os.WriteFile(path+".new", data, 0o644); err != nil {
		return fmt.Errorf("recording the processes: %w", err)
	}
	s.state = data
	return os.Rename(path+".new", path)
}

func readState(run string) (state, error) {
	var st state
	data, err := os.ReadFile(filepath.Join(run, stateName))
	if err != nil {
		return st, fmt.Errorf("reading the record of processes: %w", err)
	}
	if err := json.Unmarshal(data, &st); err != nil {
		return st, fmt.Errorf("reading the record of processes in %s: %w", run, err)
	}
	return st, nil
}

// Supervisor is the process that supervises, or last did, by its record in the
// directory run; without a record it is none.
func Supervisor(run string) Identity {
	st, _ := readState(run)
	return st.Supervisor
}

// End ends the supervisor that uses the directory run and all its processes,
// whatever state they are in. Every process is identified again before it is
// signalled. Without a record there is nothing to end.
func End(run string) error {
	st, err := readState(run)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var failed []error
	if st.Supervisor.Kill(unix.SIGTERM, 4*time.Second) != nil {
		failed = append(failed, st.Supervisor.Kill(unix.SIGKILL, 2*time.Second))
	}
	// They die with the supervisor; this is for the ones that have not yet.
	for _, id := range st.Processes {
		failed = append(failed, id.Kill(unix.SIGKILL, 2*time.Second))
	}
	return errors.Join(failed...)
}

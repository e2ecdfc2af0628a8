// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"fmt"
	"time"
)

// changeLimit is how long one change may take, with all that its proofs wait for,
// until the loop counts as hung.
const changeLimit = time.Hour

// health is what the loop tells of itself.
type health struct {
	turned time.Time // when the loop last came round, by a stopwatch
	every  time.Duration
	looked bool
	valid  bool
	why    string // why the settings are not valid
}

// Live is an error where the loop hangs: it has not come round for longer than the
// time between two looks and a change together.
func (a *Agent) Live() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	since := time.Since(a.health.turned)
	if a.health.turned.IsZero() || since <= a.health.every+changeLimit {
		return nil
	}
	return fmt.Errorf("the loop has not come round for %s", since.Round(time.Second))
}

// Ready is an error until the node was looked at, and while the settings cannot be
// read.
func (a *Agent) Ready() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case !a.health.looked:
		return errors.New("the node was not looked at yet")
	case !a.health.valid:
		return errors.New(a.health.why)
	}
	return nil
}

// report takes in how the loop is.
func (a *Agent) report(change func(*health)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(&a.health)
}

// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"perennial.dev/perennial/internal/policy"
)

// Settings are what the owner has decided.
type Settings struct {
	Policy policy.Policy
	Digest string // of the file, "sha256:<hex>"; empty: there is none
}

// inForce are settings since they were first read: the last valid ones, which outlive
// a run, since the file may be invalid when the next one starts.
type inForce struct {
	Settings
	since time.Time // zero: none were ever valid
	saved bool
}

func (f inForce) known() bool { return !f.since.IsZero() }

// keptSettings is their form in the agent's state.
type keptSettings struct {
	Since    time.Time       `json:"since"`
	Digest   string          `json:"digest,omitempty"`
	Settings json.RawMessage `json:"settings"` // as a settings file
}

// observing are the settings before any could be read.
func observing() inForce {
	p := policy.Default()
	p.Agent.Act = false
	return inForce{Settings: Settings{Policy: p}}
}

// recall reads the settings that an earlier run has left.
func recall(s State) (inForce, error) {
	var kept keptSettings
	there, err := load(s, SettingsFile, &kept)
	if err != nil || !there {
		return observing(), err
	}
	p, err := policy.Parse(kept.Settings)
	if err != nil {
		return observing(), fmt.Errorf("reading the agent's %s: %w", SettingsFile, err)
	}
	return inForce{Settings: Settings{Policy: p, Digest: kept.Digest}, since: kept.Since, saved: true}, nil
}

// keep leaves the settings in force to the next run.
func (f *inForce) keep(s State) error {
	body, err := json.Marshal(f.Policy)
	if err == nil {
		err = save(s, SettingsFile, keptSettings{Since: f.since, Digest: f.Digest, Settings: body})
	}
	f.saved = err == nil
	return err
}

// readSettings reads the settings anew. Those that cannot be read change nothing.
func (a *Agent) readSettings(ctx context.Context) {
	m := &a.memory
	read, err := a.Node.Settings(ctx)
	if ctx.Err() != nil {
		return
	}
	m.invalid = ""
	if err != nil {
		m.invalid = oneLine(err)
	} else {
		a.adopt(read)
	}
	kept := "there are none from before: it only looks"
	if m.settings.known() {
		kept = "those that are in force since " + m.settings.since.Format(time.RFC3339) + " stay"
	}
	a.say(slog.LevelError, unreadable, "", m.invalid, "then", kept)
	a.Publish.SettingsValid(m.invalid == "")
	a.Publish.Acts(m.settings.Policy.Agent.Act)
	a.Publish.Every(m.settings.Policy.Agent.Every)
	a.report(func(h *health) { h.valid, h.why = m.invalid == "", m.invalid })
}

// adopt puts valid settings in force. What they mean may have changed with the
// program, and the machine's time zones, where their file has not.
func (a *Agent) adopt(read Settings) {
	f := &a.memory.settings
	if !f.known() || read.Digest != f.Digest {
		f.since, f.saved = a.now().UTC().Truncate(time.Second), false
		a.Log.Info("settings", "digest", read.Digest, "act", read.Policy.Agent.Act, "every", read.Policy.Agent.Every.String())
	}
	f.saved = f.saved && reflect.DeepEqual(f.Policy, read.Policy)
	f.Settings = read
	if !f.saved {
		// What cannot be written is told with the status, and tried again.
		_ = f.keep(a.Node)
	}
}

// resettled says whether the settings are others than those of the last look, or no
// longer valid, or valid again.
func (a *Agent) resettled(ctx context.Context) bool {
	m := &a.memory
	read, err := a.Node.Settings(ctx)
	if err != nil {
		return ctx.Err() == nil && oneLine(err) != m.invalid
	}
	return m.invalid != "" || read.Digest != m.settings.Digest
}

// SPDX-License-Identifier: Apache-2.0

package execute

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/pki"
	"perennial.dev/perennial/internal/plan"
)

// Event tells a person what happens.
type Event struct {
	Step   plan.Step
	Result journal.Result // empty while it is being done
	Text   string
}

// Runner does plans.
type Runner struct {
	Hands   Hands
	Eyes    Eyes
	Journal Journal
	State   string // directory of backups, on the node
	Rand    io.Reader
	Now     func() time.Time
	Sleep   func(context.Context, time.Duration) error
	Tell    func(Event)
	// Patience is how long a proof is waited for, by predicate.
	Patience map[plan.Predicate]time.Duration
	// Newest is the newest date that is known beside what is looked at, such as
	// the journal's own; a clock that is behind it is not believed either.
	Newest time.Time
	// AnyClock: the clock is believed whatever speaks against it.
	AnyClock bool

	// resuming: a step is being finished that an earlier run may have done.
	resuming bool

	// last is the look that proved the last step: what the next one begins
	// with.
	last *plan.Seen
}

// DefaultPatience is long enough for what each predicate waits for: the API
// server looks at its files each minute, and the kubelet may delay the start of
// a container by five minutes after repeated restarts.
var DefaultPatience = map[plan.Predicate]time.Duration{
	plan.DiskRenewed:     5 * time.Second,
	plan.WireEqualsDisk:  90 * time.Second,
	plan.IdentityCurrent: 6 * time.Minute,
	plan.Restarted:       6 * time.Minute,
	plan.Answers:         6 * time.Minute,
	plan.Ready:           6 * time.Minute,
	plan.LeaseHeld:       time.Minute,
	plan.Reaches:         20 * time.Second,
	plan.LoopbackNew:     20 * time.Second,
	plan.Guarded:         20 * time.Second,
	plan.Unguarded:       20 * time.Second,
	plan.Ended:           3 * time.Minute,
	plan.ObjectHolds:     5 * time.Second,
	plan.ArchiveGone:     5 * time.Second,
}

// StepResult is how one step ended, with the proof in words.
type StepResult struct {
	Number int            `json:"number"`
	Result journal.Result `json:"result"`
	Proof  string         `json:"proof"`
	// Unproven is what a done step did not prove, because what would have
	// shown it did not answer before the step either.
	Unproven string `json:"unproven,omitempty"`
}

// Outcome is how a run ended.
type Outcome struct {
	Plan   string         `json:"plan"`
	Result journal.Result `json:"result"`
	Steps  []StepResult   `json:"steps"`
}

// ErrChanged is a file that is no longer what the plan was made from.
var ErrChanged = errors.New("it has changed since the plan was made")

// ErrReplaced is a file that was changed while a step was being done.
var ErrReplaced = errors.New("it was changed")

// Check says whether the files of a plan are still what it was made from.
func (r *Runner) Check(ctx context.Context, p plan.Plan) error {
	var errs []error
	seen := map[string]bool{}
	for _, s := range p.Steps {
		for _, f := range s.Files {
			if seen[f.Path] {
				continue
			}
			seen[f.Path] = true
			errs = append(errs, r.unchanged(ctx, f.Path, f.Digest))
		}
	}
	return errors.Join(errs...)
}

func (r *Runner) unchanged(ctx context.Context, path, digest string) error {
	now, err := r.Hands.Digest(ctx, path)
	if err != nil {
		return err
	}
	if now != digest {
		return fmt.Errorf("checking %s: %w; plan again", path, ErrChanged)
	}
	return nil
}

// Run does a plan from its first step. It stops at the first step that is not
// proven; the error says what a person has to do, where one is needed.
func (r *Runner) Run(ctx context.Context, p plan.Plan) (Outcome, error) {
	if err := r.Check(ctx, p); err != nil {
		return Outcome{Plan: p.ID, Result: journal.Failed}, err
	}
	if slices.ContainsFunc(p.Steps, dated) {
		if err := r.clock(ctx); err != nil {
			return Outcome{Plan: p.ID, Result: journal.Failed}, err
		}
	}
	body, err := json.Marshal(p)
	if err != nil {
		return Outcome{Plan: p.ID, Result: journal.Failed}, fmt.Errorf("writing the plan into the journal: %w", err)
	}
	if err := r.record(journal.Begin{Plan: p.ID, Content: body, Undoes: p.Undoes}); err != nil {
		return Outcome{Plan: p.ID, Result: journal.Failed}, err
	}
	return r.from(ctx, p, p.Steps, Outcome{Plan: p.ID, Result: journal.Done})
}

// from does the steps that are left. After one that was not done, only those
// follow that take away what was put up.
func (r *Runner) from(ctx context.Context, p plan.Plan, left []plan.Step, out Outcome) (Outcome, error) {
	var problems []error
	for _, s := range left {
		if out.Result != journal.Done && !s.Always {
			continue
		}
		if err := ctx.Err(); err != nil {
			return out, errors.Join(append(problems, interrupted("before", s, err))...)
		}
		r.tell(s, "", "")
		e := r.step(ctx, p, s)
		if problems = append(problems, e.err); e.result == "" {
			return out, errors.Join(problems...)
		}
		if err := r.close(p, s, e, &out); err != nil {
			return out, errors.Join(append(problems, err)...)
		}
	}
	problems = append(problems, r.record(journal.End{Plan: p.ID, Result: out.Result}))
	return out, errors.Join(problems...)
}

// ending is how a step ended. Without a result the journal has an intent
// without an outcome, and the next run looks.
type ending struct {
	result   journal.Result
	proof    string
	unproven string
	err      error
	// unknown: what would have proven it did not answer.
	unknown bool
}

func failed(err error) ending {
	return ending{result: journal.Failed, proof: err.Error(), err: err}
}

// close writes down how a step ended.
func (r *Runner) close(p plan.Plan, s plan.Step, e ending, out *Outcome) error {
	out.Steps = append(out.Steps, StepResult{s.Number, e.result, e.proof, e.unproven})
	if e.result != journal.Done && out.Result == journal.Done {
		out.Result = e.result
	}
	proof := e.proof
	if e.unproven != "" {
		proof += "; not proven: " + e.unproven
	}
	if err := r.record(journal.Outcome{Plan: p.ID, Step: s.Number, Result: e.result, Proof: fact.Text(proof)}); err != nil {
		return err
	}
	r.tell(s, e.result, proof)
	return nil
}

func (r *Runner) record(rec journal.Record) error { return r.Journal.Append(r.Now(), rec) }

func (r *Runner) tell(s plan.Step, result journal.Result, text string) {
	if r.Tell != nil {
		r.Tell(Event{s, result, text})
	}
}

// verb does one kind of step. Changes are prepared before anything is touched;
// act is what is not a change of files.
type verb struct {
	prepare func(*Runner, context.Context, plan.Step) ([]content, error)
	act     func(*Runner, context.Context, plan.Step) error
}

// content is what a file will hold.
type content struct {
	path string
	data []byte
	// access is set where mode and owner are not those of what is there.
	access *Access
	gone   bool // nothing will be there
}

// verbs is the closed table.
var verbs = map[plan.Verb]verb{
	plan.Renew:   {prepare: (*Runner).renewed},
	plan.Create:  {prepare: (*Runner).created},
	plan.Request: {prepare: (*Runner).requested},
	plan.Accept:  {prepare: (*Runner).accepted},
	plan.Refresh: {prepare: (*Runner).refreshed},
	plan.Turn:    {prepare: (*Runner).turned},
	plan.Restore: {prepare: (*Runner).restored},
	plan.Restart: {act: (*Runner).restart},
	plan.Standby: {prepare: (*Runner).standby},
	plan.Guard:   {act: (*Runner).guard},
	plan.Steer:   {act: (*Runner).steer},
	plan.Patch:   {act: (*Runner).patch},
	plan.Delete:  {act: (*Runner).deleted},
}

// step does one step and proves it.
func (r *Runner) step(ctx context.Context, p plan.Plan, s plan.Step) ending {
	v, ok := verbs[s.Verb]
	if !ok {
		return failed(fmt.Errorf("step %d: %q is nothing that this program can do", s.Number, fact.Text(s.Verb)))
	}
	for _, f := range s.Files {
		if f.Written {
			if err := r.unchanged(ctx, f.Path, f.Digest); err != nil {
				return failed(err)
			}
		}
	}
	if err := r.pause(ctx, s); err != nil {
		return ending{err: interrupted("before", s, err)}
	}
	silent, err := r.silent(ctx, s)
	if err != nil {
		return ending{err: interrupted("before", s, err)}
	}
	var contents []content
	if v.prepare != nil {
		if contents, err = v.prepare(r, ctx, s); err != nil {
			return failed(err)
		}
	}
	changes, err := r.stage(ctx, p, s, contents)
	if err != nil {
		return failed(err)
	}
	if err := r.record(journal.Intent{Plan: p.ID, Step: s.Number, Files: changes}); err != nil {
		return ending{err: err}
	}
	if v.act != nil {
		if err := v.act(r, ctx, s); err != nil {
			return r.notActed(ctx, s, err)
		}
	}
	return r.finish(ctx, s, changes, silent)
}

func (r *Runner) notActed(ctx context.Context, s plan.Step, err error) ending {
	switch {
	case ctx.Err() != nil: // it may or may not have had its effect
		return ending{err: interrupted("in", s, err)}
	case errors.Is(err, errStands) || errors.Is(err, errOpen) || s.Bridge != nil && s.Bridge.Off:
		return ending{err: fmt.Errorf("step %d (%s): %w; the next run tries again", s.Number, s.Title, err)}
	}
	return failed(err)
}

func interrupted(where string, s plan.Step, err error) error {
	return fmt.Errorf("interrupted %s step %d (%s); the next run goes on from there: %w", where, s.Number, s.Title, err)
}

// stage writes the backups and the new contents beside each other, so that
// either can be put in place whatever happens.
func (r *Runner) stage(ctx context.Context, p plan.Plan, s plan.Step, contents []content) ([]journal.File, error) {
	var changes []journal.File
	dir := path.Join(r.State, "backup", p.ID, strconv.Itoa(s.Number))
	for i, c := range contents {
		change, err := r.stageOne(ctx, path.Join(dir, strconv.Itoa(i)), s, c)
		if err != nil {
			return nil, err
		}
		changes = append(changes, change)
	}
	return changes, nil
}

// stageOne is stage for one file; name begins the names of its copies. A digest
// is empty where no file was, or will be.
func (r *Runner) stageOne(ctx context.Context, name string, s plan.Step, c content) (journal.File, error) {
	change := journal.File{Path: c.path}
	var err error
	if change.Before, err = r.Hands.Digest(ctx, c.path); err != nil {
		return change, err
	}
	for _, f := range s.Files {
		if f.Path == c.path {
			change.Mode, change.UID, change.GID = f.Mode, f.UID, f.GID
			if f.Digest != change.Before {
				return change, fmt.Errorf("reading %s: %w; plan again", c.path, ErrChanged)
			}
		}
	}
	if c.access != nil {
		change.Mode, change.UID, change.GID = c.access.Mode, c.access.UID, c.access.GID
	}
	if change.Before != "" {
		old, err := r.Hands.Read(ctx, c.path)
		if err != nil {
			return change, err
		}
		if fact.Digest(old) != change.Before {
			return change, fmt.Errorf("reading %s: %w; plan again", c.path, ErrChanged)
		}
		change.Backup = name + ".old"
		if err := r.Hands.Save(ctx, change.Backup, old); err != nil {
			return change, err
		}
	}
	if c.gone {
		return change, nil
	}
	change.After = fact.Digest(c.data)
	// A run that was cut off before its intent made another content.
	change.Staged = name + "-" + change.After[len("sha256:"):][:16] + ".new"
	return change, r.Hands.Save(ctx, change.Staged, c.data)
}

// finish puts the new contents in place, where they are not yet, and proves
// the step. What turns out not to have its effect is taken back.
func (r *Runner) finish(ctx context.Context, s plan.Step, changes []journal.File, silent quiet) ending {
	if err := r.placing(ctx, s, changes); err != nil {
		if crossed(s) {
			return ending{err: err}
		}
		return r.takeBack(ctx, changes, err)
	}
	p := r.prove(ctx, s, silent)
	switch {
	case p.answer == plan.Yes:
		return ending{result: journal.Done, proof: p.why, unproven: p.unproven}
	case ctx.Err() != nil:
		return ending{err: interrupted("while proving", s, ctx.Err())}
	case crossed(s):
		return ending{proof: p.why, err: fmt.Errorf("step %d (%s): %s. %s; the next run looks again", s.Number, s.Title, p.why, held(s))}
	case p.answer == plan.Unknown && s.Bridge == nil && (len(changes) > 0 || s.Object != nil):
		// A change of an object that was closed as failed would not be undone.
		return ending{proof: p.why, err: fmt.Errorf("step %d (%s) was done, and its effect could not be seen: %s; the next run looks again", s.Number, s.Title, p.why)}
	case len(changes) == 0:
		return ending{result: journal.Failed, proof: p.why, unknown: p.answer == plan.Unknown, err: fmt.Errorf("step %d (%s) could not be proven: %s", s.Number, s.Title, p.why)}
	}
	err := fmt.Errorf("step %d (%s) did not have its effect: %s%s", s.Number, s.Title, p.why, instead(s))
	if end, over := r.ended(ctx, changes); over {
		return failed(fmt.Errorf("%w; what was there before has ended on %s and is not put back", err, end.Format(time.RFC3339)))
	}
	return r.takeBack(ctx, changes, err)
}

// ended says whether what a step has replaced is a certificate that has ended:
// no undoing makes that one good.
func (r *Runner) ended(ctx context.Context, changes []journal.File) (time.Time, bool) {
	for _, c := range changes {
		if c.Before == "" {
			continue
		}
		data, err := r.Hands.Read(ctx, c.Backup)
		if err != nil {
			continue
		}
		if leaf, ok := plan.LeafOf(pki.ReadFile(c.Path, data)); ok && !leaf.NotAfter.After(r.Now()) {
			return leaf.NotAfter.UTC(), true
		}
	}
	return time.Time{}, false
}

// placing is place, and for the end of a standby what goes with it.
func (r *Runner) placing(ctx context.Context, s plan.Step, changes []journal.File) error {
	if s.Verb == plan.Standby && s.Bridge.Off {
		return r.drain(ctx, s, changes)
	}
	return r.place(ctx, changes)
}

func (r *Runner) place(ctx context.Context, changes []journal.File) error {
	for _, c := range changes {
		if err := r.putInPlace(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func (r *Runner) putInPlace(ctx context.Context, c journal.File) error {
	now, err := r.Hands.Digest(ctx, c.Path)
	if err != nil || now == c.After {
		return err
	}
	if now != c.Before {
		return fmt.Errorf("replacing %s: %w by another program; nothing was done to it, plan again", c.Path, ErrReplaced)
	}
	if c.After == "" {
		return r.Hands.Remove(ctx, c.Path, c.Before)
	}
	data, err := r.Hands.Read(ctx, c.Staged)
	if err != nil {
		return err
	}
	if fact.Digest(data) != c.After {
		return fmt.Errorf("replacing %s: the prepared content in %s is damaged", c.Path, c.Staged)
	}
	return r.Hands.Restore(ctx, c.Path, data, c.Before, Access{c.Mode, c.UID, c.GID})
}

// takeBack restores what a step has replaced, the last first. What another
// program has put there meanwhile stays.
func (r *Runner) takeBack(ctx context.Context, changes []journal.File, cause error) ending {
	ctx = context.WithoutCancel(ctx) // half a step is worse than a late end
	var problems []error
	theirs := false
	for _, c := range slices.Backward(changes) {
		err := r.putBack(ctx, c)
		switch {
		case errors.Is(err, ErrReplaced):
			theirs = true
		case err != nil:
			problems = append(problems, fmt.Errorf("%w; the old content is in %s", err, c.Backup))
		}
	}
	switch {
	case len(problems) > 0:
		return failed(fmt.Errorf("%w; taking it back failed, too: %w", cause, errors.Join(problems...)))
	case theirs:
		return failed(cause)
	}
	return ending{result: journal.Undone, proof: cause.Error(), err: cause}
}

func (r *Runner) putBack(ctx context.Context, c journal.File) error {
	now, err := r.Hands.Digest(ctx, c.Path)
	switch {
	case err != nil:
		return err
	case now == c.Before:
		return nil
	case now != c.After:
		return ErrReplaced
	case c.Before == "":
		return r.Hands.Remove(ctx, c.Path, c.After)
	}
	data, err := r.Hands.Read(ctx, c.Backup)
	if err != nil {
		return err
	}
	if fact.Digest(data) != c.Before {
		return fmt.Errorf("reading the backup %s: it is damaged", c.Backup)
	}
	return r.Hands.Restore(ctx, c.Path, data, c.After, Access{c.Mode, c.UID, c.GID})
}

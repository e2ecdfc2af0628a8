// SPDX-License-Identifier: Apache-2.0

package execute

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/plan"
)

// ErrRefused is a change that the API server has refused: nothing was done.
var ErrRefused = errors.New("the API server refused it")

// errOpen is a change of which nobody knows whether it was done.
var errOpen = errors.New("it may have been done")

// patchTries is how often an object is read and changed anew because something
// that does not matter here was changed in between, such as its status.
const patchTries = 5

// patch changes the fields of an object, if they are what the plan was made from.
// That they are as they are to be already is what a run that was cut off has
// left.
func (r *Runner) patch(ctx context.Context, s plan.Step) error {
	for try := 1; ; try++ {
		err := r.patchOnce(ctx, s.Object)
		if err == nil || try == patchTries || !errors.Is(err, errConflict) {
			return err
		}
	}
}

var errConflict = fmt.Errorf("%w in the same moment", ErrChanged)

func (r *Runner) patchOnce(ctx context.Context, o *plan.Object) error {
	content, err := r.Hands.Object(ctx, *o)
	switch {
	case errors.Is(err, ErrRefused) && !r.resuming:
		return fmt.Errorf("reading the %s: %w; nothing was done to it", o, err)
	case err != nil:
		return fmt.Errorf("reading the %s: %w: %w", o, errOpen, err)
	}
	is, version, why := o.Stands(content)
	switch is {
	case plan.AsAfter:
		return nil
	case plan.Gone, plan.Changed:
		did := "nothing"
		if r.resuming { // what a run before this one did is not known any more
			did = "nothing more"
		}
		return fmt.Errorf("changing the %s: %w (%s); %s was done to it, plan again", o, ErrChanged, why, did)
	}
	patch, err := o.Merge(version)
	if err != nil {
		return err
	}
	if o.Rehearse {
		warnings, err := r.Hands.Patch(ctx, *o, patch, true)
		warnings = o.Unheard(warnings)
		switch {
		case errors.Is(err, ErrChanged):
			return errConflict
		case err != nil: // whatever it was, nothing is stored
			return fmt.Errorf("rehearsing the change of the %s: %w", o, err)
		case len(warnings) > 0:
			return fmt.Errorf("rehearsing the change of the %s: the API server warns: %s; nothing was done to it", o, fact.Text(strings.Join(warnings, "; ")))
		}
	}
	_, err = r.Hands.Patch(ctx, *o, patch, false)
	switch {
	case errors.Is(err, ErrChanged):
		return errConflict
	case err == nil || errors.Is(err, ErrRefused):
		return err
	}
	return r.patchedAnyway(ctx, o, err)
}

// patchedAnyway looks what came of a change to which there was no answer.
func (r *Runner) patchedAnyway(ctx context.Context, o *plan.Object, cause error) error {
	content, err := r.Hands.Object(ctx, *o)
	if err != nil {
		return fmt.Errorf("changing the %s: %w: %w", o, errOpen, cause)
	}
	if is, _, _ := o.Stands(content); is == plan.AsAfter {
		return nil
	}
	// It may still be on its way, but under a version that it will find changed
	// as soon as anything else is.
	return fmt.Errorf("changing the %s: %w: %w", o, errOpen, cause)
}

// Server is the API of a cluster.
type Server struct{ Client *kube.Client }

var _ API = Server{}

// Object implements API.
func (s Server) Object(ctx context.Context, o plan.Object) (json.RawMessage, error) {
	content, err := s.Client.Object(ctx, named(o))
	if kube.Refused(err) {
		err = fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return content, err
}

// Patch implements API.
func (s Server) Patch(ctx context.Context, o plan.Object, patch []byte, rehearse bool) ([]string, error) {
	warnings, err := s.Client.Patch(ctx, named(o), patch, rehearse)
	switch {
	case kube.Conflict(err):
		err = fmt.Errorf("%w: %w", ErrChanged, err)
	case kube.Refused(err):
		err = fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return warnings, err
}

func named(o plan.Object) kube.Named {
	group, version, ok := strings.Cut(o.APIVersion, "/")
	if !ok {
		group, version = "", o.APIVersion
	}
	return kube.Named{Resource: kube.Resource{Group: group, Version: version, Name: o.Resource, Kind: o.Kind}, Namespace: o.Namespace, ObjectName: o.Name}
}

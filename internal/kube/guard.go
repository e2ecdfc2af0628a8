// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// What can be wrong with the guard.
var (
	// ErrNoPolicies: the server serves no ValidatingAdmissionPolicy in version
	// v1, as before Kubernetes 1.30 (KEP-3488).
	ErrNoPolicies = errors.New("it serves no ValidatingAdmissionPolicy (before Kubernetes 1.30)")
	// ErrGuardInactive: what the guard is there to deny was not denied.
	ErrGuardInactive = errors.New("the guard of the service kubernetes does not act")
	// ErrGuardBlocks: the guard denies what it has to let pass.
	ErrGuardBlocks = errors.New("the guard of the service kubernetes denies what it should let pass")
)

// Presence says whether something is there.
type Presence int

// The answers; the zero one comes with an error that says why.
const (
	Unknown Presence = iota
	Absent
	Present
)

// Guard is the state of the guard in the cluster.
type Guard struct {
	Presence Presence
	// Whole says that both its parts are there, the policy and its binding: one
	// alone does nothing.
	Whole bool
	// Since is when the first of its parts was made, by the server's clock.
	Since time.Time
}

// How long the server may take to act on a policy that it has stored: it reads
// them once a second (apiserver pkg/admission/plugin/policy/generic).
const (
	guardTime  = 15 * time.Second
	guardPause = 200 * time.Millisecond
)

// GuardOn makes the guard, or puts it right where it is there already. It acts
// up to a second later, which GuardProven waits for. Without addresses behind
// the service there is nothing to keep: that is ErrNoEndpoints, and no guard is
// made. Errors may also be ErrNoPolicies and ErrForbidden.
func (c *Client) GuardOn(ctx context.Context) error {
	if err := c.PoliciesServed(ctx); err != nil {
		return err
	}
	if err := c.anyServer(ctx); err != nil {
		return err
	}
	for _, part := range guardParts {
		err := c.put(ctx, part)
		// The controller manager writes their status, in between too.
		for again := 0; again < 5 && (apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err)); again++ {
			err = c.put(ctx, part)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// put makes an object, or replaces it by what it should be. Server-side apply
// would leave in place what others have added.
func (c *Client) put(ctx context.Context, part guardPart) error {
	var there struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
	}
	keep := request{
		about: "to keep the " + part.kind + " " + GuardName, verb: http.MethodPost, path: part.path()[:2],
		query: map[string]string{"fieldManager": "perennial"},
	}
	err := c.get(ctx, "for the "+part.kind+" "+GuardName, &there, part.path()...)
	switch {
	case err == nil:
		keep.verb, keep.path = http.MethodPut, part.path()
	case !apierrors.IsNotFound(err):
		return err
	}
	if keep.body, err = json.Marshal(part.object(there.Metadata.ResourceVersion)); err != nil {
		return err
	}
	return c.do(ctx, keep, nil)
}

// anyServer is ErrNoEndpoints where a guard would keep nothing.
func (c *Client) anyServer(ctx context.Context) error {
	service, err := c.Endpoints(ctx)
	if err == nil && len(service.Servers) == 0 {
		err = fmt.Errorf("asking the API server at %s for the addresses of the service kubernetes: %w, and a guard would keep nothing", c.server, ErrNoEndpoints)
	}
	return err
}

// PoliciesServed is ErrNoPolicies where no guard can be made. It looks into what
// the server says it serves: what is not served and what is not there have the
// same status.
func (c *Client) PoliciesServed(ctx context.Context) error {
	var group struct {
		Resources []struct {
			Name string `json:"name"`
		} `json:"resources"`
	}
	if err := c.get(ctx, "which policies it knows", &group, policyGroup); err != nil {
		return err
	}
	for _, resource := range group.Resources {
		if resource.Name == policyPart.resource {
			return nil
		}
	}
	return fmt.Errorf("asking the API server at %s which policies it knows: %w", c.server, ErrNoPolicies)
}

// GuardProven proves on this server, by requests that it stores nothing of
// (dryRun), that the guard denies emptying the Endpoints and the EndpointSlice
// of the service kubernetes, and that it lets other updates pass. It waits up to
// 15 s for a guard that was just made. Errors: ErrGuardInactive, ErrGuardBlocks,
// ErrNoEndpoints, ErrForbidden where the credential may not even try, or the
// failure of a request.
func (c *Client) GuardProven(ctx context.Context) error {
	if err := c.anyServer(ctx); err != nil {
		return err
	}
	for _, kept := range keptObjects {
		if err := c.deniedInTime(ctx, kept); err != nil {
			return err
		}
		err := c.try(ctx, kept, []byte(`{}`))
		if denied(err) {
			return fmt.Errorf("%w: an update of the %s that changes nothing: %w", ErrGuardBlocks, kept.kind, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// deniedInTime tries to empty an object until that is denied.
func (c *Client) deniedInTime(ctx context.Context, kept keptObject) error {
	within, cancel := context.WithTimeout(ctx, guardTime)
	defer cancel()
	for passed := false; ; passed = true {
		err := c.try(within, kept, kept.emptied)
		switch {
		case denied(err) && strings.Contains(err.Error(), guardMessage):
			return nil
		case denied(err): // its expression failed, and that denies everything
			return fmt.Errorf("%w: %w", ErrGuardBlocks, err)
		case err != nil && (!passed || within.Err() == nil || ctx.Err() != nil):
			return err
		}
		select {
		case <-within.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("asking the API server at %s to empty the %s of the service kubernetes, without doing it: %w: that was not denied (is ValidatingAdmissionPolicy in its --disable-admission-plugins?)", c.server, kept.kind, ErrGuardInactive)
		case <-time.After(guardPause):
		}
	}
}

// try patches an object without storing what comes out.
func (c *Client) try(ctx context.Context, kept keptObject, patch []byte) error {
	return c.do(ctx, request{
		about: "for a dry run of an update of the " + kept.kind + " kubernetes", verb: http.MethodPatch, path: kept.path, body: patch,
		header: map[string]string{"Content-Type": "application/merge-patch+json"},
		query:  map[string]string{"dryRun": "All", "fieldManager": "perennial"},
	}, nil)
}

// denied says that the guard denied a request, and nothing else did: the server
// names the policy, with these words (apiserver
// pkg/admission/plugin/policy/validating/dispatcher.go, 1.30 to 1.37).
func denied(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && strings.Contains(status.Status().Message, "ValidatingAdmissionPolicy '"+GuardName+"' with binding '"+GuardName+"' denied request")
}

// GuardOff removes the guard. That it is not there is fine.
func (c *Client) GuardOff(ctx context.Context) error {
	for _, part := range slices.Backward(guardParts) {
		err := c.do(ctx, request{about: "to remove the " + part.kind + " " + GuardName, verb: http.MethodDelete, path: part.path()}, nil)
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// GuardState looks for the guard. A server that knows no such policies has none.
func (c *Client) GuardState(ctx context.Context) (Guard, error) {
	state := Guard{Presence: Absent}
	found := 0
	for _, part := range guardParts {
		var object struct {
			Metadata struct {
				Created time.Time `json:"creationTimestamp"`
			} `json:"metadata"`
		}
		err := c.get(ctx, "for the "+part.kind+" "+GuardName, &object, part.path()...)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return Guard{}, err
		}
		found++
		if created := object.Metadata.Created; state.Since.IsZero() || created.Before(state.Since) {
			state.Since = created
		}
	}
	if found > 0 {
		state.Presence, state.Whole = Present, found == len(guardParts)
	}
	return state, nil
}

// String is a word for the state.
func (p Presence) String() string {
	switch p {
	case Absent:
		return "absent"
	case Present:
		return "present"
	}
	return "unknown"
}

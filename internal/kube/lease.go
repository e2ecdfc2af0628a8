// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"perennial.dev/perennial/internal/fact"
)

// microTime is how the API writes the times of leases.
const microTime = "2006-01-02T15:04:05.000000Z07:00"

func leasePath(name string) []string {
	return []string{"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases", name}
}

// Lease asks who leads: kube-controller-manager and kube-scheduler each have a
// lease of their name (k8s.io/component-base config, LeaderElectionConfiguration).
func (c *Client) Lease(ctx context.Context, name string) (fact.Lease, error) {
	var answer struct {
		Spec struct {
			Holder  fact.Text `json:"holderIdentity"`
			Renewed time.Time `json:"renewTime"`
		} `json:"spec"`
	}
	if err := c.get(ctx, "for the lease "+name, &answer, leasePath(name)...); err != nil {
		return fact.Lease{}, err
	}
	return fact.Lease{Name: name, Holder: answer.Spec.Holder, Renewed: answer.Spec.Renewed}, nil
}

// ErrHeld says that somebody else holds a lease than the one whose it was.
var ErrHeld = errors.New("somebody else holds it")

// ReleaseLease gives up a lease in the name of a holder that has ended, as that
// would have done (client-go tools/leaderelection, release): the next one need not
// wait until it runs out. It does nothing, with ErrHeld, where another one has it,
// or gets it meanwhile: what was read is compared by its version when it is written.
func (c *Client) ReleaseLease(ctx context.Context, name string, holder fact.Text, now time.Time) error {
	about := "to release the lease " + name
	var lease map[string]any
	if err := c.get(ctx, "for the lease "+name, &lease, leasePath(name)...); err != nil {
		return err
	}
	spec, ok := lease["spec"].(map[string]any)
	if ok && (spec["holderIdentity"] == nil || spec["holderIdentity"] == "") {
		return nil // its holder has done so itself
	}
	if !ok || spec["holderIdentity"] != string(holder) {
		return fmt.Errorf("asking the API server at %s %s: %w", c.server, about, ErrHeld)
	}
	at := now.UTC().Format(microTime)
	spec["holderIdentity"], spec["leaseDurationSeconds"], spec["renewTime"], spec["acquireTime"] = "", 1, at, at
	body, err := json.Marshal(lease)
	if err != nil {
		return err
	}
	err = c.do(ctx, request{about: about, verb: http.MethodPut, path: leasePath(name), body: body, header: map[string]string{"Content-Type": "application/json"}}, nil)
	if apierrors.IsConflict(err) {
		return fmt.Errorf("asking the API server at %s %s: %w", c.server, about, ErrHeld)
	}
	return err
}

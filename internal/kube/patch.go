// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"perennial.dev/perennial/internal/fact"
)

// fieldManager is under whose name the fields that this program changes are
// recorded in the objects.
const fieldManager = "perennial"

// Named is one object.
type Named struct {
	Resource
	Namespace, ObjectName string
}

func (n Named) path() []string { return append(n.Resource.path(n.Namespace), n.ObjectName) }

func (n Named) String() string {
	name := n.ObjectName
	if n.Namespace != "" {
		name = n.Namespace + "/" + name
	}
	return fact.Text(n.Resource.String() + " " + name).String()
}

// Object reads one object; nil where there is none.
func (c *Client) Object(ctx context.Context, n Named) (json.RawMessage, error) {
	var object json.RawMessage
	err := c.get(ctx, "for "+n.String(), &object, n.path()...)
	if NotFound(err) {
		return nil, nil
	}
	return object, err
}

// Patch changes an object by a JSON merge patch and returns what the server
// warns of. A dry run goes the same way and is not stored. A patch that names a
// resourceVersion is refused for any other: Conflict tells.
func (c *Client) Patch(ctx context.Context, n Named, patch []byte, dryRun bool) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	r := request{
		about: "to change " + n.String(), verb: http.MethodPatch, path: n.path(), body: patch,
		header: map[string]string{"Content-Type": "application/merge-patch+json"},
		query:  map[string]string{"fieldManager": fieldManager},
	}
	if dryRun {
		r.about = "what it says of a change of " + n.String()
		r.query["dryRun"] = "All"
	}
	result := c.build(r).Do(ctx)
	var warnings []string
	for _, w := range result.Warnings() {
		warnings = append(warnings, w.Text)
	}
	if err := result.Error(); err != nil {
		return warnings, c.failed(ctx, r.about, err)
	}
	return warnings, nil
}

// Conflict says whether the object was changed since it was read.
func Conflict(err error) bool { return apierrors.IsConflict(err) }

// Invalid says whether the server itself does not take a value: policies and
// webhooks may answer as if it did not.
func Invalid(err error) bool { return apierrors.IsInvalid(err) && !admissionSays(err) }

// Refused says whether the server has answered, and did nothing. Any other
// failure leaves open what it has done. A webhook that does not answer is the
// server's own failure, and comes before anything is stored.
func Refused(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	code := status.Status().Code
	return code >= http.StatusBadRequest && code < http.StatusInternalServerError || strings.Contains(status.Status().Message, "failed calling webhook ")
}

// admissionSays says whether admission has refused what the credential has the right to:
// webhooks and policies may answer as if it had not (1.37.0:
// apiserver/pkg/admission/plugin/webhook/errors/statuserror.go,
// apiserver/pkg/admission/plugin/policy/validating/plugin.go), and so does the
// quota (apiserver/pkg/admission/plugin/resourcequota/controller.go).
func admissionSays(err error) bool {
	text := err.Error()
	for _, sign := range []string{"denied the request", "denied request:", "exceeded quota:"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

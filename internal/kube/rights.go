// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"net/http"

	"perennial.dev/perennial/internal/fact"
)

// Access is something that one may have the right to: a verb on a resource of
// the API, or on one of its parts.
type Access struct {
	Verb        string `json:"verb"`
	Group       string `json:"group,omitempty"`
	Resource    string `json:"resource"`
	Subresource string `json:"subresource,omitempty"`
}

// String is the access as a role names it: get nodes/proxy.
func (a Access) String() string {
	resource := Resource{Group: a.Group, Name: a.Resource}.String()
	if a.Subresource != "" {
		resource += "/" + a.Subresource
	}
	return a.Verb + " " + resource
}

// May asks the server whether it would allow an access, without trying it. Every
// authenticated user may ask (the role system:basic-user).
func (c *Client) May(ctx context.Context, access Access) (bool, error) {
	body, err := json.Marshal(map[string]any{
		"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
		"spec": map[string]any{"resourceAttributes": access},
	})
	if err != nil {
		return false, err
	}
	var answer struct {
		Status struct {
			Allowed bool `json:"allowed"`
		} `json:"status"`
	}
	err = c.do(ctx, request{
		about: "whether it allows " + fact.Text(access.String()).String(), verb: http.MethodPost,
		path: []string{"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"},
		body: body, header: map[string]string{"Content-Type": "application/json"},
	}, &answer)
	return answer.Status.Allowed, err
}

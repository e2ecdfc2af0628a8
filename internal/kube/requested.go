// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"net/http"

	"perennial.dev/perennial/internal/fact"
)

// requestedDeprecated counts nothing: it is 1 as soon as one request for a
// deprecated API has come since the process began (apiserver
// pkg/endpoints/metrics/metrics.go; stable since 1.22, alpha since 1.19).
const requestedDeprecated = "apiserver_requested_deprecated_apis"

// Requested reads from the server's metrics which deprecated APIs were asked for
// since the process began. Who asked is not in there: Kubernetes' own
// controllers ask for every resource in the version that the server prefers, and
// so does a list of everything.
func (c *Client) Requested(ctx context.Context, each func(fact.Requested)) error {
	const about = "for its metrics"
	ctx, cancel := context.WithTimeout(ctx, DefaultPatience.Page)
	defer cancel()
	ask := request{verb: http.MethodGet, path: []string{"/metrics"}, header: map[string]string{"Accept": "text/plain;version=0.0.4"}}
	body, err := c.build(ask).MaxRetries(2).Stream(ctx)
	if err != nil {
		return c.failed(ctx, about, err)
	}
	defer body.Close()
	whole := false
	err = scanMetrics(body, []string{requestedDeprecated, processStart}, func(m metric) {
		if m.name == processStart {
			whole = true
			return
		}
		if m.value == 0 {
			return
		}
		each(fact.Requested{
			Endpoint: c.server, Group: fact.Text(m.labels["group"]), Version: fact.Text(m.labels["version"]),
			Resource: fact.Text(m.labels["resource"]), Subresource: fact.Text(m.labels["subresource"]),
			RemovedIn: fact.Text(m.labels["removed_release"]),
		})
	})
	if err == nil && !whole {
		err = errors.New("these are not the metrics of an API server, or not all of them")
	}
	if err != nil {
		return c.failed(ctx, about, err)
	}
	return nil
}

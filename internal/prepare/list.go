// SPDX-License-Identifier: Apache-2.0

package prepare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/workbench"
)

// rightsFile is where the rights of the preparations stand.
const rightsFile = "docs/rights/prepare.yaml"

// version is the minor of an API server.
func version(ctx context.Context, c *kube.Client) (release.Minor, error) {
	v, err := c.Version(ctx)
	if err != nil {
		return 0, err
	}
	m, err := release.ParseMinor(string(v.Git))
	if err != nil {
		return 0, fmt.Errorf("asking the API server at %s for its version: %q is none", c.Server(), v.Git.String())
	}
	return m, nil
}

// makers are the kinds that pods are made from, by group and kind.
var makers = []string{"/ReplicationController", "/PodTemplate", "apps/Deployment", "apps/ReplicaSet", "apps/DaemonSet", "apps/StatefulSet", "batch/CronJob", "batch/Job"}

// listing lists objects kind by kind, in the order of the kinds. Any kind that
// cannot be listed ends it: half of what runs would be taken for all.
type listing struct {
	client *kube.Client
	served kube.Served
}

func newListing(ctx context.Context, c *kube.Client) (listing, error) {
	served, err := c.Discover(ctx)
	return listing{c, served}, err
}

// each shows every object of some kinds. A kind that the server does not serve
// has none.
func (l listing) each(ctx context.Context, see func(fact.Object) error, kinds ...string) error {
	for _, kind := range kinds {
		i := slices.IndexFunc(l.served.Preferred(), func(r kube.Resource) bool { return r.Group+"/"+r.Kind == kind && r.Lists() })
		if i < 0 {
			continue
		}
		r := l.served.Preferred()[i]
		err := l.client.List(ctx, kube.Listing{Resource: r}, func(item json.RawMessage) error {
			var n struct {
				Metadata struct {
					Namespace fact.Text `json:"namespace"`
					Name      fact.Text `json:"name"`
				} `json:"metadata"`
			}
			if err := json.Unmarshal(item, &n); err != nil {
				return fmt.Errorf("reading %s of %s: one of them is no object", r, l.client.Server())
			}
			o := fact.Object{APIVersion: fact.Text(r.APIVersion()), Type: fact.Text(r.Kind), Namespace: n.Metadata.Namespace, Name: n.Metadata.Name, Content: item}
			if err := see(o); err != nil {
				return fmt.Errorf("reading %s of %s: %s: %w", r, l.client.Server(), fact.ObjectID(o), err)
			}
			return nil
		})
		if errors.Is(err, kube.ErrForbidden) {
			err = workbench.Hint(err, "what it has to list stands in "+rightsFile)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"

	"perennial.dev/perennial/internal/bridge"
	"perennial.dev/perennial/internal/etcd"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/plan"
)

// etcdClient reads the node's own credentials for its member.
func (b *bench) etcdClient(seen plan.Seen) (*etcd.Client, error) {
	all, err := plan.Etcds(seen)
	errs := []error{err}
	for _, access := range all {
		client, err := bridge.OpenEtcd(b.Disk, access)
		if err == nil {
			return client, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// spare says whether the cluster keeps its quorum without this member. With one
// member there is nothing to spare: whoever is not asked has to accept the
// outage beforehand.
func spare(ctx context.Context, c *etcd.Client, accept, asked bool) (members int, err error) {
	all, err := c.Members(ctx)
	if err != nil {
		return 0, err
	}
	if err := c.Healthy(ctx); err != nil {
		return 0, fmt.Errorf("the member of this node is not well, and a restart is no cure that is known to help: %w", err)
	}
	if len(all) == 1 {
		if !accept && !asked {
			return 1, hinted{errors.New("restarting etcd: it is the only member, so the API answers no writes for 2 to 5 seconds"), "add --accept-outage if that may be now"}
		}
		return 1, nil
	}
	well, problems := 0, []error{}
	for _, m := range all {
		if m.Learner {
			continue
		}
		if err := healthy(ctx, c, m); err != nil {
			problems = append(problems, err)
			continue
		}
		well++
	}
	if well-1 < etcd.Quorum(all) && !accept {
		return len(all), hinted{errors.Join(append([]error{fmt.Errorf("restarting etcd: %d members are well and %d are needed, so without this one the cluster has no quorum", well, etcd.Quorum(all))}, problems...)...),
			"see to the other members first, or add --accept-outage"}
	}
	return len(all), nil
}

// healthy asks a member at any of its addresses.
func healthy(ctx context.Context, c *etcd.Client, m etcd.Member) error {
	errs := []error{fmt.Errorf("asking etcd's member %s: it has no address", fact.Text(m.Name))}
	for _, raw := range m.ClientURLs {
		u, err := url.Parse(raw)
		if err != nil {
			continue
		}
		if err = c.At(u.Host).Healthy(ctx); err == nil {
			return nil
		}
		errs[0] = err
	}
	return errs[0]
}

// snapshot saves etcd's data beside the journal, so that a member that does not
// come back can be restored.
func (b *bench) snapshot(ctx context.Context, c *etcd.Client, id string) error {
	name := path.Join(b.State, "snapshot", id+".db")
	var size int64
	err := b.Disk.SaveStream(name, func(to io.Writer) (err error) {
		size, err = c.Snapshot(ctx, to)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(b.streams.Err, "etcd's data are saved in %s (%d KiB)\n", name, size>>10)
	return nil
}

// etcdFirst is what goes before the restart of etcd, and what is asked after.
func (o *restartOptions) etcdFirst(ctx context.Context, b *bench, seen plan.Seen, id string) (members int, err error) {
	c, err := b.etcdClient(seen)
	if err != nil {
		return 0, err
	}
	if members, err = spare(ctx, c, o.acceptOutage, !o.yes); err != nil || o.dryRun {
		return members, err
	}
	o.first = func(ctx context.Context) error { return b.snapshot(ctx, c, id) }
	o.last = func(ctx context.Context) error {
		all, err := c.Members(ctx)
		if err == nil {
			err = c.Healthy(ctx)
		}
		if err != nil {
			return fmt.Errorf("etcd was restarted and answers, but is not well: %w", err)
		}
		fmt.Fprintf(b.streams.Err, "etcd knows its members (%d) and has a leader\n", len(all))
		return nil
	}
	return members, nil
}

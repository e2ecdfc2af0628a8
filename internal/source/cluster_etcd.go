// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"errors"

	"perennial.dev/perennial/internal/etcd"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
)

// EtcdName is what an Unseen of etcd names as its source.
const EtcdName = "etcd"

// Etcd asks all members of etcd, from the one that the client asks, for their
// version, alarms and the hash of their keys, and pushes a fact.EtcdMember each.
// It reads only, with the node's own client certificate: any that etcd's CA has
// signed will do.
func Etcd(ctx context.Context, client *etcd.Client, emit func(fact.Fact), unseen func(fact.Unseen)) {
	say := func(what fact.Text, err error) {
		u := fact.Unseen{Source: EtcdName, What: what, Why: host.Why(err), Detail: fact.Text(err.Error())}
		if errors.Is(ctx.Err(), context.Canceled) {
			u.Why, u.Detail = fact.Canceled, notLooked
		}
		unseen(u)
	}
	found, err := client.Compare(ctx)
	if err != nil {
		say("the members of etcd", err)
		return
	}
	for _, m := range found.Members {
		emit(m)
	}
	for _, m := range found.Missing {
		say("the etcd member "+m.Name, m.Err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"perennial.dev/perennial/internal/etcd"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/plan"
)

// reader reads files of the node.
type reader interface {
	ReadFile(name string, limit int64) ([]byte, error)
}

// OpenEtcd makes a client of etcd with the node's own credentials.
func OpenEtcd(files reader, e plan.Etcd) (*etcd.Client, error) {
	var pem [3][]byte
	for i, name := range []string{e.Cert, e.Key, e.CA} {
		var err error
		if pem[i], err = files.ReadFile(name, host.FileLimit); err != nil {
			return nil, err
		}
	}
	return etcd.New(e.Endpoint, pem[0], pem[1], pem[2])
}

func lease(files reader, e *plan.Etcd) (*etcd.Client, etcd.APIServer, error) {
	if e == nil {
		return nil, etcd.APIServer{}, errors.New("guarding by etcd: the plan does not say how to ask it")
	}
	address, err := netip.ParseAddr(e.Address)
	if err != nil {
		return nil, etcd.APIServer{}, fmt.Errorf("guarding by etcd: the API server's own address is not known: %w", err)
	}
	client, err := OpenEtcd(files, *e)
	return client, etcd.APIServer{Prefix: e.Prefix, Address: address}, err
}

// spare is how long a held address must still last to be counted on.
const spare = time.Minute

// LookLease looks whether the API server's address is held in etcd.
func LookLease(ctx context.Context, files reader, e *plan.Etcd) (fact.Guard, error) {
	guard := fact.Guard{Way: string(plan.GuardLease), Place: "a second entry below masterleases in etcd"}
	client, server, err := lease(files, e)
	if err != nil {
		return guard, err
	}
	held, err := client.AddressHeld(ctx, server)
	guard.Present, guard.Active = held.Present, held.Present && held.Left > spare
	return guard, err
}

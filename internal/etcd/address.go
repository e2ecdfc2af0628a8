// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"time"

	"perennial.dev/perennial/internal/finding"
)

// DefaultPrefix is kube-apiserver's --etcd-prefix unless it is set.
const DefaultPrefix = "/registry"

// HoldTime is how long a held address stays after the last HoldAddress.
const HoldTime = 300 * time.Second

// What goes wrong in ways that the caller may want to tell apart.
var (
	// ErrNoAddress: the API server has no key for its address.
	ErrNoAddress = errors.New("the API server keeps no address of its own there")
	// ErrSealed: the value is encrypted, and bound to its key.
	ErrSealed = errors.New("what the API server keeps there is encrypted, and cannot stand under a second key")
)

// APIServer is where one API server says that it is there: the key
// PREFIX/masterleases/ADDRESS, which it writes every 10 s with a life of 15 s and
// deletes when it stops. The addresses of the service kubernetes are those in the
// values of all keys below PREFIX/masterleases (Kubernetes
// pkg/controlplane/reconcilers/lease.go, the same in 1.25, 1.29 and 1.37), with
// --endpoint-reconciler-type=lease, the default.
type APIServer struct {
	Prefix  string     // its --etcd-prefix; DefaultPrefix if empty
	Address netip.Addr // its --advertise-address
}

func (s APIServer) key(name string) []byte {
	prefix := s.Prefix
	if prefix == "" {
		prefix = DefaultPrefix
	}
	return []byte(path.Join("/", prefix, "masterleases", name))
}

func (s APIServer) own() []byte { return s.key(s.Address.Unmap().String()) }

// held is the second key. Nothing reads the names of these keys.
func (s APIServer) held() []byte { return s.key("endpoints-guard." + finding.Group) }

// Held is the state of a held address.
type Held struct {
	Present bool
	// Left is how long it stays unless it is held again.
	Left time.Duration
	// Own says that the API server's own key is there: the held one is not
	// needed any more.
	Own bool
}

// HoldAddress writes what the API server keeps under its address under a second
// key, for HoldTime, or makes an address that is held already last as long
// again. While it is there the service kubernetes does not become empty when the
// server stops. It is for servers that know no ValidatingAdmissionPolicy (before
// 1.30), since it goes past the API; one that stops empties the service since
// 1.28 (kubernetes/kubernetes#116685), before that there is nothing to hold.
//
// While both keys are there the server writes the same addresses into the service
// every 10 s, and says so in its log.
func (c *Client) HoldAddress(ctx context.Context, s APIServer) error {
	value, err := c.value(ctx, s.own())
	if err != nil {
		return err
	}
	held, err := c.value(ctx, s.held())
	if err != nil {
		return err
	}
	if held != nil && held.Lease != 0 {
		if left, err := c.keepAlive(ctx, held.Lease); err == nil && left > 0 {
			return nil
		}
	}
	if value == nil {
		return fmt.Errorf("asking etcd at %s for %s: %w", c.endpoint, s.own(), ErrNoAddress)
	}
	if !plainObject(value.Value) {
		return fmt.Errorf("asking etcd at %s for %s: %w", c.endpoint, s.own(), ErrSealed)
	}
	lease, err := c.grant(ctx, HoldTime)
	if err != nil {
		return err
	}
	return c.call(ctx, "/v3/kv/put", map[string]any{"key": s.held(), "value": value.Value, "lease": fmt.Sprint(lease)}, &struct{}{})
}

// plainObject knows the two encodings that the API server stores without
// encryption: protobuf in its envelope, and JSON. Encryption at rest binds a
// value to its key (apiserver pkg/storage/value/encrypt).
func plainObject(value []byte) bool {
	return bytes.HasPrefix(value, []byte("k8s\x00")) || bytes.HasPrefix(value, []byte("{"))
}

// ReleaseAddress removes the second key once the API server's own one is there;
// before that it is ErrNoAddress and nothing is removed. That no address is held
// is fine.
func (c *Client) ReleaseAddress(ctx context.Context, s APIServer) error {
	state, err := c.AddressHeld(ctx, s)
	if err != nil || !state.Present {
		return err
	}
	var answer struct {
		Succeeded bool `json:"succeeded"`
	}
	err = c.call(ctx, "/v3/kv/txn", map[string]any{
		"compare": []map[string]any{{"key": s.own(), "target": "VERSION", "result": "GREATER", "version": "0"}},
		"success": []map[string]any{{"request_delete_range": map[string]any{"key": s.held()}}},
	}, &answer)
	if err == nil && !answer.Succeeded {
		err = fmt.Errorf("removing %s from etcd at %s: %w yet", s.held(), c.endpoint, ErrNoAddress)
	}
	return err
}

// AddressHeld looks for the second key.
func (c *Client) AddressHeld(ctx context.Context, s APIServer) (Held, error) {
	own, err := c.value(ctx, s.own())
	if err != nil {
		return Held{}, err
	}
	held, err := c.value(ctx, s.held())
	if err != nil || held == nil {
		return Held{Own: own != nil}, err
	}
	left, err := c.left(ctx, held.Lease)
	return Held{Present: true, Left: left, Own: own != nil}, err
}

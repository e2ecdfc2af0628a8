// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"fmt"
	"time"
)

// keyValue is one key of etcd. Keys and values are bytes, which JSON carries as
// base64, and 64-bit numbers are strings (etcd api/mvccpb/kv.proto).
type keyValue struct {
	Value []byte `json:"value"`
	Lease int64  `json:"lease,string"` // 0 is none
}

// value reads a key; nil is none.
func (c *Client) value(ctx context.Context, key []byte) (*keyValue, error) {
	var answer struct {
		Kvs []keyValue `json:"kvs"`
	}
	if err := c.call(ctx, "/v3/kv/range", map[string]any{"key": key}, &answer); err != nil {
		return nil, err
	}
	if len(answer.Kvs) == 0 {
		return nil, nil
	}
	return &answer.Kvs[0], nil
}

// lease is an answer about a lease; its TTL is in seconds, and not there when it
// is 0.
type lease struct {
	ID  int64 `json:"ID,string"`
	TTL int64 `json:"TTL,string"`
}

func (c *Client) grant(ctx context.Context, life time.Duration) (id int64, err error) {
	var answer lease
	if err := c.call(ctx, "/v3/lease/grant", map[string]any{"TTL": seconds(life)}, &answer); err != nil {
		return 0, err
	}
	if answer.ID == 0 {
		return 0, fmt.Errorf("asking etcd at %s for a lease: it grants none", c.endpoint)
	}
	return answer.ID, nil
}

// keepAlive begins a lease's life anew; 0 is a lease that has ended.
func (c *Client) keepAlive(ctx context.Context, id int64) (left time.Duration, err error) {
	var answer struct {
		Result lease `json:"result"`
	}
	err = c.call(ctx, "/v3/lease/keepalive", map[string]any{"ID": fmt.Sprint(id)}, &answer)
	return time.Duration(answer.Result.TTL) * time.Second, err
}

// left is what remains of a lease's life; 0 is one that has ended.
func (c *Client) left(ctx context.Context, id int64) (time.Duration, error) {
	var answer lease
	err := c.call(ctx, "/v3/lease/timetolive", map[string]any{"ID": fmt.Sprint(id)}, &answer)
	return max(0, time.Duration(answer.TTL)*time.Second), err
}

func seconds(d time.Duration) string { return fmt.Sprint(int64(d / time.Second)) }

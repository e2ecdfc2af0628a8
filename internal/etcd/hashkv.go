// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"

	"perennial.dev/perennial/internal/fact"
)

// hashKV asks for the hash of all keys at a revision as etcd's own clients do,
// past the gateway. Those of etcd up to 3.5.6, which have the faults for which
// members are compared, do not pass the question on: their path for it is that of
// another one (api/etcdserverpb/rpc.proto, 3.5.6 and 3.5.15).
func (c *Client) hashKV(ctx context.Context, revision int64) (hash uint32, compacted int64, err error) {
	request := binary.AppendUvarint([]byte{1<<3 | varint}, uint64(revision))
	answer, err := c.remote(ctx, "/etcdserverpb.Maintenance/HashKV", request)
	if err != nil {
		return 0, 0, fmt.Errorf("asking etcd at %s: %w", c.endpoint, err)
	}
	fields, err := varints(answer)
	if err != nil {
		return 0, 0, fmt.Errorf("asking etcd at %s: reading its answer: %w", c.endpoint, err)
	}
	return uint32(fields[2]), int64(fields[3]), nil
}

// frameHead is the length of what stands before a message of gRPC: whether it is
// compressed, and its length (gRPC over HTTP2, PROTOCOL-HTTP2.md).
const frameHead = 5

// remote calls a procedure that has one message each way.
func (c *Client) remote(ctx context.Context, path string, message []byte) ([]byte, error) {
	frame := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+c.endpoint+path, bytes.NewReader(frame))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/grpc")
	r.Header.Set("Te", "trailers")
	transport, ok := c.http.Transport.(*http.Transport)
	if !ok {
		return nil, errors.New("this client cannot speak HTTP/2")
	}
	transport = transport.Clone()
	transport.ForceAttemptHTTP2 = true
	defer transport.CloseIdleConnections()
	answer, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, answerLimit))
	if err != nil {
		return nil, err
	}
	status := cmp.Or(answer.Trailer.Get("Grpc-Status"), answer.Header.Get("Grpc-Status"))
	switch {
	case status != "" && status != "0":
		return nil, fmt.Errorf("it refuses: %s", fact.Text(cmp.Or(answer.Trailer.Get("Grpc-Message"), answer.Header.Get("Grpc-Message"))))
	case answer.StatusCode != http.StatusOK || status == "":
		return nil, fmt.Errorf("it answers %s, and not as gRPC does", answer.Status)
	case len(body) < frameHead || body[0] != 0 || int(binary.BigEndian.Uint32(body[1:])) != len(body)-frameHead:
		return nil, errors.New("its answer is no message")
	}
	return body[frameHead:], nil
}

// The types of fields in a protobuf message (protobuf.dev, Encoding).
const (
	varint = 0
	fixed8 = 1
	sized  = 2
	fixed4 = 5
)

var errMessage = errors.New("it is no protobuf message")

// varints are a message's fields that are numbers, by the number of the field.
func varints(message []byte) (map[uint64]uint64, error) {
	fields := map[uint64]uint64{}
	next := func() (uint64, bool) {
		v, n := binary.Uvarint(message)
		message = message[max(n, 0):]
		return v, n > 0
	}
	skip := func(n uint64) bool {
		if n > uint64(len(message)) {
			return false
		}
		message = message[n:]
		return true
	}
	for len(message) > 0 {
		key, ok := next()
		value := uint64(0)
		switch {
		case !ok:
		case key&7 == varint:
			value, ok = next()
			fields[key>>3] = value
		case key&7 == sized:
			if value, ok = next(); ok {
				ok = skip(value)
			}
		case key&7 == fixed8:
			ok = skip(8)
		case key&7 == fixed4:
			ok = skip(4)
		default:
			ok = false
		}
		if !ok {
			return nil, errMessage
		}
	}
	return fields, nil
}

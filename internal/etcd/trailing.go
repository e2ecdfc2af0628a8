// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"bytes"
	"crypto/sha256"
	"hash"
)

// trailing sums all but the last 32 bytes of a stream, which are the sum.
type trailing struct {
	hash hash.Hash
	last []byte
	size int64
}

func (t *trailing) add(data []byte) {
	t.size += int64(len(data))
	all := append(t.last, data...)
	cut := max(0, len(all)-sha256.Size)
	t.hash.Write(all[:cut])
	t.last = bytes.Clone(all[cut:])
}

// holds says whether the sum is right. The data are whole pages of 512 bytes or
// more, so that a stream without a sum is not taken for one with a wrong sum.
func (t *trailing) holds() bool {
	return t.size > sha256.Size && t.size%512 == sha256.Size && bytes.Equal(t.hash.Sum(nil), t.last)
}

// Quorum is how many of the voting members have to be there.
func Quorum(members []Member) int {
	voters := 0
	for _, m := range members {
		if !m.Learner {
			voters++
		}
	}
	return voters/2 + 1
}

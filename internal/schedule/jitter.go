// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Jitter is by how much later than it could a node does something, so that nodes
// with the same settings do not do it at once: always the same for the same
// names, and spread evenly from 0 to just below the given time.
func Jitter(node, what string, spread time.Duration) time.Duration {
	if spread <= 0 {
		return 0
	}
	sum := sha256.Sum256([]byte(node + "\x00" + what))
	return time.Duration(binary.BigEndian.Uint64(sum[:8]) % uint64(spread))
}

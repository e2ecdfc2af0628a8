// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"crypto/sha256"
	"testing"
)

// A snapshot's checksum is found whatever the parts it comes in, and one that
// is cut off or changed is not taken for whole.
func TestTrailing(t *testing.T) {
	data := make([]byte, 4096)
	for i := range data {
		data[i] = byte(i * 7)
	}
	sum := sha256.Sum256(data)
	whole := append(data, sum[:]...)
	changed := append([]byte{1}, whole[1:]...)
	for name, c := range map[string]struct {
		text []byte
		want bool
	}{"whole": {whole, true}, "changed": {changed, false}, "without its sum": {data, false}, "cut off": {whole[:4000], false}, "nothing": {nil, false}, "only a sum": {whole[:32], false}} {
		for _, part := range []int{1, 31, 32, 33, 1000, 5000} {
			s := &trailing{hash: sha256.New()}
			for rest := c.text; len(rest) > 0; {
				n := min(part, len(rest))
				s.add(rest[:n])
				rest = rest[n:]
			}
			if s.holds() != c.want {
				t.Errorf("%s in parts of %d: %v", name, part, s.holds())
			}
		}
	}
}

func TestQuorum(t *testing.T) {
	for members, want := range map[int]int{1: 1, 2: 2, 3: 2, 4: 3, 5: 3} {
		if got := Quorum(append(make([]Member, members), Member{Learner: true})); got != want {
			t.Errorf("of %d: %d, want %d", members, got, want)
		}
	}
}

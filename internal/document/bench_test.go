// SPDX-License-Identifier: Apache-2.0

package document

import (
	"bytes"
	"testing"

	"perennial.dev/perennial/internal/fact"
)

// BenchmarkRead reads the files in testdata over and over, without content and
// with that of all kinds that are judged.
func BenchmarkRead(b *testing.B) {
	var text []byte
	for _, file := range whole(b) {
		text = append(append(text, "---\n"...), file...)
	}
	text = bytes.Repeat(text, 1+(4<<20)/len(text))
	for _, c := range []struct {
		name string
		want Want
	}{
		{"kinds", Want{Kind: func(_, _ string) bool { return false }}},
		{"content", Want{}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			var r Reader
			n := 0
			for b.Loop() {
				r.Read("f", text, c.want, func(fact.Object) { n++ }, func(fact.Unseen) {})
			}
			if n == 0 {
				b.Fatal("nothing found")
			}
		})
	}
}

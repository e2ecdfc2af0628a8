// SPDX-License-Identifier: Apache-2.0

package document

// Words makes a function for Want.ContentIf that says whether one of the words
// occurs in a text, in one pass over it however many words there are. Each has
// two bytes at least.
func Words(words ...string) func(kind string, text []byte) bool {
	var begins [1 << 16]bool
	byPair := map[uint16][]string{}
	for _, w := range words {
		pair := uint16(w[0])<<8 | uint16(w[1])
		begins[pair] = true
		byPair[pair] = append(byPair[pair], w)
	}
	return func(_ string, text []byte) bool {
		pair := uint16(0)
		for i, c := range text {
			if pair = pair<<8 | uint16(c); !begins[pair] || i == 0 {
				continue
			}
			rest := text[i-1:]
			for _, w := range byPair[pair] {
				if len(rest) >= len(w) && string(rest[:len(w)]) == w {
					return true
				}
			}
		}
		return false
	}
}

// SPDX-License-Identifier: Apache-2.0

package unit

import (
	"bytes"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// A unit begins with who wrote it and with a digest of what follows, so that one
// that somebody has edited is known for that.
const (
	written = "# Written by `perennial agent install`. Put changes into a drop-in: systemctl edit NAME.\n"
	digest  = "# Digest of the lines below: "
)

func sign(body []byte) []byte {
	return []byte(written + digest + fact.Digest(body) + "\n\n" + string(body))
}

// Origin is who wrote a unit.
type Origin int

// The origins.
const (
	Foreign Origin = iota // another program, or a person
	Edited                // this program, and then somebody else
	Ours                  // this program, of whatever version
)

// OriginOf says who wrote what a unit's file holds.
func OriginOf(text []byte) Origin {
	rest, ok := bytes.CutPrefix(text, []byte(written+digest))
	if !ok {
		return Foreign
	}
	sum, body, ok := strings.Cut(string(rest), "\n\n")
	if !ok || fact.Digest([]byte(body)) != sum {
		return Edited
	}
	return Ours
}

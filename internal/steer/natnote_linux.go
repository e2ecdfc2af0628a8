// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"fmt"
	"net/netip"
	"strings"
)

// natNote is what a rule of NAT says of itself in its comment, for people and
// for State.
type natNote struct {
	port, to   uint16
	at         netip.Addr // invalid: every address
	remoteOnly bool
}

const (
	noteFormat = "port %d to %d at %s"
	noteEvery  = "every-address"
	noteRemote = " from elsewhere"
	noteKeeper = "keeps what is established translated"
)

func (n natNote) String() string {
	at := noteEvery
	if n.at.IsValid() {
		at = n.at.String()
	}
	text := fmt.Sprintf(noteFormat, n.port, n.to, at)
	if n.remoteOnly {
		text += noteRemote
	}
	return text
}

func parseNote(text string) (natNote, error) {
	var n natNote
	var at string
	text, n.remoteOnly = strings.CutSuffix(text, noteRemote)
	if _, err := fmt.Sscanf(text, noteFormat, &n.port, &n.to, &at); err != nil {
		return natNote{}, err
	}
	if at == noteEvery {
		return n, nil
	}
	var err error
	n.at, err = netip.ParseAddr(at)
	return n, err
}

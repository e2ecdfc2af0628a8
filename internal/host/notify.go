// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"net"
)

// States that a service tells its manager (sd_notify(3)).
const (
	Ready = "READY=1"    // it has begun its work
	Alive = "WATCHDOG=1" // it goes on with it; its absence is why the manager starts it again
)

// Notify tells the service manager a state, by one datagram to the socket that
// $NOTIFY_SOCKET names: a path, or @ and an abstract name. Where it names none,
// nobody wants to know.
func Notify(socket, state string) error {
	if socket == "" {
		return nil
	}
	to, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("telling the service manager %s: %w", state, err)
	}
	defer to.Close()
	if _, err := to.Write([]byte(state)); err != nil {
		return fmt.Errorf("telling the service manager %s: %w", state, err)
	}
	return nil
}

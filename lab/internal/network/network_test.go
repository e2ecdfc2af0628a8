// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"net"
	"os"
	"testing"
	"time"
)

func TestAddressesDiffer(t *testing.T) {
	var others []Host
	seen := map[string]bool{bridgeAddress: true}
	for i := range hosts {
		name := fmt.Sprintf("cp%d", i)
		address, err := ChooseAddress(name, others)
		if err != nil {
			t.Fatal(err)
		}
		if seen[address] {
			t.Fatalf("%s got %s, which is taken", name, address)
		}
		seen[address] = true
		others = append(others, Host{name, address})
		if again, _ := ChooseAddress(name, others); again != address {
			t.Errorf("%s made again gets %s, before %s", name, again, address)
		}
	}
	if address, err := ChooseAddress("one-too-many", others); err == nil {
		t.Errorf("all are taken, got %s", address)
	}
}

// What listens inside is reached from the machine by the address, and nothing of
// it is left afterwards.
func TestAttach(t *testing.T) {
	i := Interface{Netns: fmt.Sprintf("perennial-test-%d", os.Getpid()), Link: Link("pt", t.Name()), Address: block + "254"}
	if _, err := LookPath("ip"); err != nil || os.Geteuid() != 0 {
		t.Skip("needs root and iproute2")
	}
	t.Cleanup(func() {
		if err := i.Detach(); err != nil || i.There() {
			t.Errorf("it is still there (%v)", err)
		}
		if err := i.Detach(); err != nil {
			t.Errorf("detaching again: %v", err)
		}
	})
	if err := i.Attach(); err != nil {
		t.Skipf("this machine allows no network namespaces: %v", err)
	}
	var listener net.Listener
	err := In(i.Netns, func() (err error) {
		listener, err = net.Listen("tcp", i.Address+":6443")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.DialTimeout("tcp", listener.Addr().String(), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if other, err := net.Listen("tcp", i.Address+":6443"); err == nil {
		other.Close()
		t.Error("the address is the machine's own, too")
	}
}

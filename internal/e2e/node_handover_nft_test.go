// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/timeline"
)

// Where the firewall lets the standby's port pass, nftables hands the API server
// over, too: from the worker no request fails.
func TestNodeHandoverTranslated(t *testing.T) {
	for _, version := range nodeVersions(t) {
		t.Run(version, func(t *testing.T) {
			n := newNode(t, version, "--firewall=6443,6444")
			n.lab("worker", "--name", n.Name)
			n.readStatus()
			n.untilPods()
			clean, before := n.traces(), n.servedLoopback()
			p := n.startBystanders()
			h := n.beginHandover("--steer", "nftables")
			tables := ""
			if h.until(recorded("outcome", 3)) {
				tables = n.run("nft", "list", "ruleset")
			}
			if err := h.end(); err != nil {
				t.Fatalf("%v\n%s", err, &h.errs)
			}
			if !strings.Contains(tables, "table ip perennial") || !strings.Contains(tables, "dnat to :6444") {
				t.Errorf("nothing translates while the standby serves:\n%s", tables)
			}
			time.Sleep(2 * time.Second)
			p.stopAsking()
			n.assertNotFelt("restart kube-apiserver --steer nftables, the firewall open for the standby", p)
			n.assertReplaced(before)
			n.assertNothingLeft(clean)
			n.translatedKilled(clean)
		})
	}
}

// translatedKilled kills the program while new connections are translated.
func (n *realNode) translatedKilled(clean string) {
	n.t.Helper()
	n.forgetRestarts()
	n.killed(holding(0), []string{"restart", "kube-scheduler", "--yes"}, clean, "--steer", "nftables")
}

// Where the firewall opens the API server's own port only, nftables is refused
// before anything is touched, though the node itself would see nothing wrong.
func TestNodeHandoverTranslationRefused(t *testing.T) {
	for _, version := range nodeVersions(t) {
		t.Run(version, func(t *testing.T) {
			n := newNode(t, version, "--firewall=6443")
			n.lab("worker", "--name", n.Name)
			n.readStatus()
			n.untilPods()
			clean, before := n.traces(), n.servedLoopback()
			p := n.startBystanders()
			args := []string{"restart", "kube-apiserver", "--yes", "--handover", "--quick", "--steer", "nftables"}
			out, errs, err := n.perennial(args...)
			for _, want := range []string{"the node's firewall does not let port 6444 pass", "--accept-outage"} {
				if !strings.Contains(errs, want) {
					t.Errorf("it does not say %q:\n%s", want, errs)
				}
			}
			if !strings.Contains(out, "NodeFirewall") || exitCode(err) != timeline.ExitFailed {
				t.Errorf("%v\n%s", err, out)
			}
			p.stopAsking()
			n.assertNotFelt("restart kube-apiserver --steer nftables, the firewall closed for the standby: refused", p)
			if now := n.servedLoopback(); !now.Equal(before) {
				t.Error("the API server was restarted")
			}
			if _, err := os.Stat(n.inside(nodeJournal)); err == nil {
				t.Error("something was begun")
			}
			n.assertNothingLeft(clean)
			said := n.finish(append(args, "--accept-outage")...)
			n.assertReplaced(before)
			if strings.Contains(said, "standby") {
				t.Errorf("restarted in place with a standby:\n%s", said)
			}
			n.assertNothingLeft(clean)
		})
	}
}

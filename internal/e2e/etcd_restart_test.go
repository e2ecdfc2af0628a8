// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The only member of etcd is restarted when the outage was accepted, after a
// snapshot of a real etcd whose checksum holds, and the API answers again.
func TestRestartOfTheOnlyEtcd(t *testing.T) {
	for _, version := range versions(t) {
		t.Run(version, func(t *testing.T) {
			p, state := up(t, version), t.TempDir()
			args := []string{"restart", "etcd", "--yes", "--kubernetes-dir", p.KubernetesDir, "--state", state, "--lock", filepath.Join(state, "lock")}
			if _, errs, code := p.perennial(args...); code != 1 || !strings.Contains(errs, "it is the only member") {
				t.Fatalf("exit %d: %s", code, errs)
			}
			if saved, _ := filepath.Glob(filepath.Join(state, "snapshot", "*")); len(saved) != 0 {
				t.Errorf("refused, and yet saved %v", saved)
			}
			_, errs, code := p.perennial(append(args, "--accept-outage")...)
			if code != 0 || !strings.Contains(errs, "etcd knows its members (1) and has a leader") {
				t.Fatalf("exit %d: %s", code, errs)
			}
			saved, _ := filepath.Glob(filepath.Join(state, "snapshot", "*.db"))
			if len(saved) != 1 {
				t.Fatalf("saved %v", saved)
			}
			if info, err := os.Stat(saved[0]); err != nil || info.Mode() != 0o600 || info.Size() < 100_000 {
				t.Errorf("%s: %+v, %v", saved[0], info, err)
			}
			p.Inside("kubectl", "create", "namespace", "after-the-restart")
		})
	}
}

// SPDX-License-Identifier: Apache-2.0

package credential_test

import (
	"slices"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/testnode"
)

// What else renews is said, wherever it lies and whatever calls it; what only
// speaks of renewing is nothing.
func TestOtherRenewer(t *testing.T) {
	n := testnode.New(t, testnode.Options{})
	n.Write("/etc/systemd/system/k8s-certs-renew.timer", 0o644, []byte("[Timer]\nOnCalendar=Mon *-*-1,2,3,4,5,6,7 03:00:00\n"))
	n.Write("/etc/systemd/system/k8s-certs-renew.service", 0o644, []byte("[Service]\nType=oneshot\nExecStart=/usr/local/bin/k8s-certs-renew.sh\n"))
	n.Write("/etc/systemd/system/backup.timer", 0o644, []byte("[Timer]\nOnCalendar=daily\n"))
	n.Write("/etc/systemd/system/backup.service", 0o644, []byte("[Service]\nExecStart=/usr/local/bin/backup.sh\n"))
	n.Write("/usr/local/bin/backup.sh", 0o755, []byte("#!/bin/sh\n# after kubeadm certs renew, copy them\ncp -r /etc/kubernetes /backup\n"))
	n.Write("/etc/cron.d/site", 0o644, []byte("0 4 1 * * root TOKEN=secret /opt/site/certs.sh --all\n"))
	n.Write("/opt/site/certs.sh", 0o755, []byte("#!/bin/sh\nexec kubeadm certs renew  all\n"))
	n.Write("/etc/kubernetes.old-20250101/admin.conf", 0o600, []byte("x"))
	findings := judge(t, n)
	want := []string{"cp1/k8s-certs-renew.timer OtherRenewer", "cp1/kubernetes.old-20250101 OtherRenewer", "cp1/site OtherRenewer"}
	if got := faults(findings); !slices.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
	timer := find(t, findings, "cp1/k8s-certs-renew.timer", finding.OtherRenewer)
	if timer.Class != finding.Notice || !strings.Contains(timer.Effect, "four control-plane pods") || timer.Fix != "let one of the two renew: systemctl disable --now k8s-certs-renew.timer" {
		t.Errorf("%+v", timer)
	}
	cron := find(t, findings, "cp1/site", finding.OtherRenewer)
	if cron.Evidence.Path != "/etc/cron.d/site" || !slices.Equal(cron.Evidence.Notes, []fact.Text{"kubeadm certs renew"}) {
		t.Errorf("%+v", cron.Evidence)
	}
}

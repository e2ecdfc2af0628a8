// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/timeline"
)

// What perennial has renewed, kubeadm accepts: it lists every credential with
// its new end, and its upgrade runs over it, with and without renewing again.
func TestNodeUpgradesWhatWasRenewed(t *testing.T) {
	for _, version := range nodeVersions(t) {
		t.Run(version, func(t *testing.T) {
			n := newNode(t, version)
			time.Sleep(2 * time.Second) // processes and files must differ by more than the second in which nothing is said
			n.run(os.Getenv("PERENNIAL_BIN"), "renew", "--all", "--yes")
			n.acceptedByKubeadm(n.check())
			images := imagesAreThere(t)
			const any = "--ignore-preflight-errors=all" // no registry, little memory
			for _, c := range []struct {
				said string // by kubeadm, when it ends well
				args []string
			}{
				{"You can now apply the upgrade|Awesome, you're up-to-date|" + regexp.QuoteMeta(version), []string{"plan", "v" + version, any}},
				{"control plane instance for this node was successfully u|node phase was successful|kubelet configuration", []string{"node", "--certificate-renewal=false", any}},
				{"SUCCESS", []string{"apply", "v" + version, "--yes", "--force", any}},
			} {
				start := time.Now()
				out, errs, err := n.try(append([]string{"exec", "--name", n.Name, "--", "sh", "-c", `PATH=$0:$PATH exec kubeadm upgrade "$@"`, images}, c.args...)...)
				if err != nil {
					t.Fatalf("kubeadm upgrade %s: %v\n%s%s", strings.Join(c.args, " "), err, out, errs)
				}
				if ok, _ := regexp.MatchString(c.said, out); !ok {
					t.Errorf("kubeadm upgrade %s does not say %q:\n%s", strings.Join(c.args, " "), c.said, out)
				}
				t.Logf("kubeadm upgrade %s: %.0f s", strings.Join(c.args, " "), time.Since(start).Seconds())
			}
			tl := n.until("all serve and use what kubeadm renewed", func(tl timeline.Timeline) bool {
				stale := len(withCode(tl, finding.ServedCertificateStale)) + len(withCode(tl, finding.ClientIdentityStale))
				return stale == 0 && tl.Scope.Counts.Processes == 5 && len(tl.Unseen) == 0
			})
			n.assertFound(tl)
			n.assertNothingWrong(tl)
			n.acceptedByKubeadm(tl)
		})
	}
}

func (n *realNode) acceptedByKubeadm(tl timeline.Timeline) {
	n.t.Helper()
	names := kubeadmNames
	if minor(n.Version) >= 29 {
		names = append(names[:len(names):len(names)], "super-admin.conf")
	}
	acceptedByKubeadm(n.t, n.run("kubeadm", "certs", "check-expiration"), tl, n.Name, names)
}

// imagesAreThere is a directory with the answer to what kubeadm before 1.32 asks
// of crictl, which Debian does not have: whether its images were pulled.
func imagesAreThere(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "crictl"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

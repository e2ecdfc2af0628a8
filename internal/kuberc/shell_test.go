// SPDX-License-Identifier: Apache-2.0

package kuberc

import (
	"os/exec"
	"testing"
)

func shell(t *testing.T, line string) string {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("needs bash")
	}
	out, err := exec.Command(bash, "-c", line).Output()
	if err != nil {
		t.Fatalf("bash -c %q: %v", line, err)
	}
	return string(out)
}

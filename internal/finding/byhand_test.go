// SPDX-License-Identifier: Apache-2.0

package finding_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/finding"
)

func TestEveryCodeHasAWayByHand(t *testing.T) {
	for i, info := range finding.Codes {
		if i >= len(finding.Hands) || finding.Hands[i].Code != info.Code {
			t.Fatalf("the number %d of the ways by hand is not that of %s", i+1, info.Code)
		}
		if h := finding.Hands[i]; h.See == "" || h.Do == "" {
			t.Errorf("%s: how it is seen or what is done is not said", info.Code)
		}
		if _, err := os.Stat("../../" + finding.Runbook(info.Code)); err != nil {
			t.Error(err)
		}
	}
	if len(finding.Hands) != len(finding.Codes) {
		t.Errorf("%d ways for %d codes", len(finding.Hands), len(finding.Codes))
	}
}

// TestWaysByHandAreShell lets shells read every line. What is done by it nobody tries
// here.
func TestWaysByHandAreShell(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	for _, h := range finding.Hands {
		for name, text := range map[string]string{"see": h.See, "do": h.Do, "help": h.Help} {
			if strings.ContainsAny(text, "\t") || strings.HasPrefix(text, "\n") || strings.HasSuffix(text, "\n") {
				t.Errorf("%s, %s: it has tabs, or empty lines around it", h.Code, name)
			}
			cmd := exec.Command(bash, "-n", "-u")
			cmd.Stdin = strings.NewReader(text + "\n")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s, %s: %v\n%s\n%s", h.Code, name, err, out, text)
			}
		}
	}
}

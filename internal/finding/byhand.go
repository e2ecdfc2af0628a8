// SPDX-License-Identifier: Apache-2.0

package finding

import "slices"

// Hand is how a finding is seen and taken away with what every cluster has, and how
// with this program. All are lines for a shell on the node that the finding is about;
// words in capitals stand for what the finding names.
type Hand struct {
	Code Code
	See  string // how it is seen without this program
	Do   string // how it is taken away without this program
	Help string // with this program; empty: it only shows it
}

// Hands is the one table of ways by hand, in the order of Codes.
var Hands = slices.Concat(keepingHands, upgradeHands, workloadHands)

// ByHand finds the way for a code.
func ByHand(code Code) (Hand, bool) {
	for _, h := range Hands {
		if h.Code == code {
			return h, true
		}
	}
	return Hand{}, false
}

// Runbook is the page about a code, below the documentation's root.
func Runbook(code Code) string { return "docs/runbooks/" + string(code) + ".md" }

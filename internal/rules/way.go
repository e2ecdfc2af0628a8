// SPDX-License-Identifier: Apache-2.0

package rules

import "perennial.dev/perennial/internal/release"

// Way is an upgrade, one minor at a time.
type Way struct {
	// From is the minor that runs now; zero where nobody said and none was
	// seen: then everything that To lacks counts, as for a cluster of any age.
	From release.Minor
	To   release.Minor
}

// Hops are the minors on the way, the first one after From to To; To alone
// where From is not known.
func (w Way) Hops() []release.Minor {
	var hops []release.Minor
	for m := w.first(); m <= w.To; m++ {
		hops = append(hops, m)
	}
	return hops
}

func (w Way) first() release.Minor {
	if w.From == 0 {
		return w.To
	}
	return w.From + 1
}

// Reaches says whether a minor is on the way, or before it where From is not
// known.
func (w Way) Reaches(m release.Minor) bool { return m > w.From && m <= w.To }

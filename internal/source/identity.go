// SPDX-License-Identifier: Apache-2.0

package source

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// identity is what makes two facts the same sight, and their order.
type identity struct {
	rank  int    // of the kind, in the order in which they are found
	place string // a path or an endpoint
	pid   int
	more  string // what else tells two sights of one place apart
}

func (a identity) compare(b identity) int {
	return cmp.Or(
		cmp.Compare(a.rank, b.rank),
		cmp.Compare(a.place, b.place),
		cmp.Compare(a.pid, b.pid),
		cmp.Compare(a.more, b.more),
	)
}

var kindOrder = []fact.Kind{
	fact.KindNode, fact.KindManifest, fact.KindProcess, fact.KindKubeletConfig, fact.KindFile,
	fact.KindView, fact.KindListing, fact.KindServed, fact.KindVersion, fact.KindRenewer,
	fact.KindReady, fact.KindSteering, fact.KindGuard, fact.KindHeld, fact.KindUnfinished, fact.KindLease,
	fact.KindPlatform, fact.KindConfigDocument,
}

func identify(f fact.Fact) identity {
	id := identity{rank: slices.Index(kindOrder, f.Kind())}
	switch f := f.(type) {
	case fact.Manifest:
		id.place = f.Path
	case fact.Process:
		id.pid = f.PID
	case fact.KubeletConfig:
		id.place = f.Path
	case fact.ConfigDocument:
		id.place, id.pid, id.more = f.Path, f.Line, f.Component+" "+f.Flag+" "+string(f.Type)
	case fact.File:
		id.place = f.Path
	case fact.View:
		id.place, id.pid = f.Path, f.PID
	case fact.Listing:
		id.place = f.Dir
	case fact.Served:
		id.place, id.more = f.Endpoint, string(f.SNI)+" "+chainKey(f.Certs)
	case fact.Renewer:
		id.place = f.Path
	case fact.Ready:
		id.place = f.Endpoint
	case fact.Steering:
		id.place = f.Place
	case fact.Guard:
		id.place = f.Place
	case fact.Unfinished:
		id.place = f.Plan
	case fact.Lease:
		id.place = f.Name
	case fact.Held:
		id.pid = f.PID
	case fact.Version:
		id.place, id.pid = f.Endpoint, f.PID
	}
	return id
}

// chainKey orders the chains of one port by when they became valid.
func chainKey(certs []fact.Cert) string {
	if len(certs) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%020d", certs[0].NotBefore.Unix())
	for _, c := range certs {
		b.WriteString(" " + c.Fingerprint())
	}
	return b.String()
}

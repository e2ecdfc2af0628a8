// SPDX-License-Identifier: Apache-2.0

// Package release knows Kubernetes releases: which there are, until when each
// is supported, what upstream's support rules say about those not yet decided,
// and what follows for a cluster that has to move one minor at a time.
//
// The knowledge is data, embedded from data/*.csv, with an as-of date per table
// and an origin and a citation per date. hack/calendar writes the calendar: it
// measures release and patch dates on the released Go modules and takes what
// upstream announced from a table kept by hand. A newer table can be merged
// from a file, so nothing here needs the network.
//
// Dates are days, held as midnight UTC. A day that ends support is the last
// supported day. The package is pure: the time comes in as an argument.
package release

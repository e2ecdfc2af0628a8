// SPDX-License-Identifier: Apache-2.0

// Package publish gives what was judged to other programs: to Prometheus as
// metrics, and to whoever watches the process as health checks.
//
// Numbers are absolute: an end is an instant and not the time that is left, so
// that what is scraped late is still right. No path, serial, fingerprint or name
// from a certificate is a label.
//
// What is served is read-only and for this machine alone: Server listens on
// loopback addresses and on no others.
package publish

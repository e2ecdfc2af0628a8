// SPDX-License-Identifier: Apache-2.0

// Package publish gives what was judged to other programs: to Prometheus as
// metrics.
//
// Numbers are absolute: an end is an instant and not the time that is left, so
// that what is scraped late is still right. No path, serial, fingerprint or name
// from a certificate is a label.
package publish

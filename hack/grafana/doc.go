// SPDX-License-Identifier: Apache-2.0

// Package grafana has no code but tests: the TypeScript compiler compares the dashboard
// with the types that Grafana publishes of its dashboards, panels and queries, those of
// the oldest Grafana that the dashboard is for and of a new one. A field that Grafana
// does not know, one that is missing and a value of another kind are errors. That it
// looks right only Grafana can show; that its queries give something is tested in
// internal/publish.
package grafana

// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"encoding/json"
	"fmt"
	"io"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
)

// EnvelopeOf describes a look by what it has seen. The tool stays empty: a
// record says who made the record, not who judges it.
func EnvelopeOf(r fact.Record) Envelope {
	scope := Scope{
		Root:          r.Scope.Root,
		KubernetesDir: r.Scope.KubernetesDir,
		Endpoints:     r.Scope.Endpoints,
	}
	certs, answered := map[string]bool{}, map[string]bool{}
	note := func(all ...fact.Cert) {
		for _, c := range all {
			certs[string(c.Raw)] = true
		}
	}
	for _, f := range r.Facts {
		switch f := f.(type) {
		case fact.Node:
			scope.Node = f.Hostname
		case fact.File:
			if !f.Missing {
				scope.Counts.Files++
			}
			note(f.Certs...)
			if k := f.Kubeconfig; k != nil {
				for _, c := range k.Clusters {
					note(c.CAs...)
				}
				for _, u := range k.Users {
					note(u.Certs...)
				}
			}
		case fact.Process:
			scope.Counts.Processes++
		case fact.Served:
			answered[f.Endpoint] = true
			note(f.Certs...)
		}
	}
	scope.Counts.Certificates = len(certs)
	scope.Counts.Endpoints = len(answered)
	scope.Counts.Unseen = len(r.Unseen)
	return Envelope{ObservedAt: r.Observed, Note: r.Note, Scope: scope}
}

// Read reads a timeline that was saved as JSON. Fields that a newer program
// has added are left out.
func Read(r io.Reader) (Timeline, error) {
	var t Timeline
	if err := json.NewDecoder(r).Decode(&t); err != nil {
		return t, fmt.Errorf("reading a timeline: %w", err)
	}
	if t.APIVersion != finding.APIVersion || t.Kind != Kind {
		return t, fmt.Errorf("reading a timeline: want apiVersion %s and kind %s, not %q and %q",
			finding.APIVersion, Kind, fact.Text(t.APIVersion), fact.Text(t.Kind))
	}
	return t, nil
}

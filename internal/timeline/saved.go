// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
)

// ReadAll reads what was saved as JSON: one timeline, or those of several clusters.
func ReadAll(r io.Reader) ([]Timeline, error) {
	var saved json.RawMessage
	var list struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Items      []json.RawMessage `json:"items"`
	}
	if err := json.NewDecoder(r).Decode(&saved); err != nil {
		return nil, fmt.Errorf("reading a timeline: %w", err)
	}
	if err := json.Unmarshal(saved, &list); err != nil {
		return nil, fmt.Errorf("reading a timeline: %w", err)
	}
	if list.Kind != Kind+"List" {
		t, err := Read(bytes.NewReader(saved))
		return []Timeline{t}, err
	}
	if list.APIVersion != finding.APIVersion {
		return nil, fmt.Errorf("reading timelines: want apiVersion %s, not %q", finding.APIVersion, fact.Text(list.APIVersion))
	}
	var all []Timeline
	for _, item := range list.Items {
		t, err := Read(bytes.NewReader(item))
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

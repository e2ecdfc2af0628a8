// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"perennial.dev/perennial/internal/agent"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/schema"
	"perennial.dev/perennial/internal/timeline"
)

func TestTimelinesGolden(t *testing.T) {
	north, south := fixture(), upgraded(t)
	north.Cluster, south.Cluster = "north", "south"
	golden(t, "timelines.json", renderAll(t, FormatJSON, north, south))
}

func renderAll(t *testing.T, f Format, all ...timeline.Timeline) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Timelines(&b, f, all, Options{}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestReleasedDocumentsAreRead reads what programs of earlier days have written and
// writes it again: every field has to be there, with the same value. A field that is
// renamed, taken away or read otherwise is missing then. New ones may be added.
func TestReleasedDocumentsAreRead(t *testing.T) {
	files, err := filepath.Glob("testdata/released/*/*.json")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d documents: %v", len(files), err)
	}
	for _, name := range files {
		t.Run(name, func(t *testing.T) {
			body, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			again := rewritten(t, body)
			var was, is any
			if err := json.Unmarshal(body, &was); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(again, &is); err != nil {
				t.Fatal(err)
			}
			for _, lost := range missing("", was, is) {
				t.Error(lost)
			}
		})
	}
}

// rewritten is a document, read and written by this program.
func rewritten(t *testing.T, body []byte) []byte {
	t.Helper()
	var kind struct{ Kind string }
	if err := json.Unmarshal(body, &kind); err != nil {
		t.Fatal(err)
	}
	// Who has today's schema can still read what was saved then.
	if err := schema.Read(t, kind.Kind).Accepts(schema.Value(t, body)); err != nil {
		t.Error(err)
	}
	var b bytes.Buffer
	var err error
	switch kind.Kind {
	case "Timeline", "TimelineList":
		var all []timeline.Timeline
		if all, err = timeline.ReadAll(bytes.NewReader(body)); err == nil {
			err = Timelines(&b, FormatJSON, all, Options{})
		}
		for _, f := range ours() { // a reader of today shows it in every way
			if len(renderAll(t, f, all...)) == 0 {
				t.Errorf("as %s it is empty", f)
			}
		}
	case "History":
		var h History
		if err = json.Unmarshal(body, &h); err == nil {
			err = WriteHistory(&b, FormatJSON, h, false, Options{})
		}
	case "Plan":
		var p plan.Plan
		if err = json.Unmarshal(body, &p); err == nil {
			err = Plan(&b, FormatJSON, p, Options{})
		}
	case "Config":
		var p policy.Policy
		if p, err = policy.Parse(body); err == nil {
			body, err = json.Marshal(p)
		}
		b.Write(body)
	case "AgentStatus":
		var s agent.Status
		if err = json.Unmarshal(body, &s); err == nil {
			body, err = json.Marshal(s)
		}
		b.Write(body)
	default:
		return body // the program only writes it
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// missing are the fields and values of one document that another does not have.
func missing(at string, was, is any) []string {
	switch was := was.(type) {
	case map[string]any:
		is, _ := is.(map[string]any)
		var lost []string
		for _, name := range slices.Sorted(maps.Keys(was)) {
			if value, there := is[name]; there {
				lost = append(lost, missing(at+"."+name, was[name], value)...)
			} else {
				lost = append(lost, at+"."+name+" is gone")
			}
		}
		return lost
	case []any:
		is, _ := is.([]any)
		if len(was) != len(is) {
			return []string{fmt.Sprintf("%s had %d elements and has %d", at, len(was), len(is))}
		}
		var lost []string
		for n := range was {
			lost = append(lost, missing(fmt.Sprintf("%s[%d]", at, n), was[n], is[n])...)
		}
		return lost
	}
	if !reflect.DeepEqual(was, is) {
		return []string{fmt.Sprintf("%s was %v and is %v", at, was, is)}
	}
	return nil
}

// A comparison that finds nothing would pass the test above.
func TestMissing(t *testing.T) {
	for _, c := range []struct {
		was, is string
		want    int
	}{
		{`{"a": 1, "b": [{"c": 2}]}`, `{"a": 1, "b": [{"c": 2, "d": 3}], "e": 4}`, 0},
		{`{"a": 1}`, `{"b": 1}`, 1},
		{`{"a": 1}`, `{"a": 2}`, 1},
		{`{"a": [1, 2]}`, `{"a": [1]}`, 1},
		{`{"a": {"b": 1}}`, `{"a": 1}`, 1},
	} {
		var was, is any
		if err := json.Unmarshal([]byte(c.was), &was); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(c.is), &is); err != nil {
			t.Fatal(err)
		}
		if got := missing("", was, is); len(got) != c.want {
			t.Errorf("%s and %s: %q", c.was, c.is, got)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"errors"
	"io/fs"
	"reflect"
	"slices"
	"testing"
	"time"

	"perennial.dev/perennial/internal/crashdisk"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/journal"
)

// inMemory is a disk with one file, for tests that open it a hundred thousand
// times.
type inMemory struct {
	data []byte
	// fail, if set, is what Append returns after a part of the data.
	fail error
	part int
}

func (m *inMemory) ReadFile(string, int64) ([]byte, error) {
	if m.data == nil {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(m.data), nil
}

func (m *inMemory) MakeDir(string) error { return nil }

func (m *inMemory) WritePrivate(_ string, data []byte) error {
	m.data = slices.Clone(data)
	return nil
}

func (m *inMemory) Replace(_ string, data []byte, before string) error {
	if got := fact.Digest(m.data); got != before {
		return &host.ChangedError{Want: before, Got: got}
	}
	m.data = slices.Clone(data)
	return nil
}

func (m *inMemory) Append(_ string, data []byte) error {
	if m.fail != nil {
		m.data = append(m.data, data[:m.part]...)
		return m.fail
	}
	m.data = append(m.data, data...)
	return nil
}

// After an append that failed half-way, the next one writes the file anew.
func TestAppendAfterAFailure(t *testing.T) {
	full := errors.New("no space left on device")
	for part := range 40 {
		m := &inMemory{}
		j := open(t, m)
		fill(t, j, begin("p1"))
		m.fail, m.part = full, part
		if err := j.Append(start, intent("p1", 1)); !errors.Is(err, full) {
			t.Fatal(err)
		}
		if len(j.Records()) != 1 || len(j.Unfinished()[0].Steps) != 0 {
			t.Errorf("a record that failed counts: %+v", j.Records())
		}
		m.fail = nil
		fill(t, j, intent("p1", 2), outcome("p1", 2, journal.Done))
		want := []journal.Record{begin("p1"), intent("p1", 2), outcome("p1", 2, journal.Done)}
		if again := open(t, m); !reflect.DeepEqual(told(again), want) || again.Torn() != nil {
			t.Errorf("part %d: %+v", part, told(again))
		}
	}
}

// Whatever a power failure leaves can be read, holds every record whose Append
// had returned, holds none that was never given, and can be added to.
func TestPowerFailures(t *testing.T) {
	root := t.TempDir()
	recording, err := crashdisk.Record(root)
	if err != nil {
		t.Fatal(err)
	}
	files, err := host.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	d := host.NewDisk(files, recording.Around)
	j := open(t, d)
	durable := map[int]int{} // primitives done → records that are durable
	for i, r := range whole {
		fill(t, j, r)
		durable[recording.Len()] = i + 1
	}
	states, torn := 0, 0
	promised := 0
	for s := range recording.States() {
		promised = max(promised, durable[s.Ops])
		dir := t.TempDir()
		if err := s.Materialise(dir); err != nil {
			t.Fatal(err)
		}
		d := disk(t, dir)
		left := open(t, d)
		got := told(left)
		if len(got) < promised || len(got) > promised+1 || !reflect.DeepEqual(got, slices.Clone(whole[:len(got):len(got)])) && len(got) > 0 {
			t.Fatalf("%v: %d records of %d promised\n%s", s, len(got), promised, s.Describe())
		}
		if left.Torn() != nil {
			torn++
		}
		fill(t, left, journal.Note{Text: "started again"})
		if again := open(t, d); len(again.Records()) != len(got)+1 || again.Torn() != nil {
			t.Errorf("%v: added to, it has %d records of %d", s, len(again.Records()), len(got)+1)
		}
		states++
	}
	if promised != len(whole) || torn == 0 {
		t.Errorf("%d states, %d torn, %d records promised", states, torn, promised)
	}
	t.Logf("%d primitives, %d states, %d of them torn", recording.Len(), states, torn)
}

// The same for what rewrites the file: taking away a torn end, and pruning.
func TestPowerFailuresOfRewriting(t *testing.T) {
	for what, change := range map[string]func(j *journal.Journal) error{
		"taking away a torn end": func(j *journal.Journal) error { return j.Append(start, journal.Note{Text: "more"}) },
		"pruning": func(j *journal.Journal) error {
			_, err := j.Prune(journal.Policy{}, start.Add(1000*time.Hour))
			return err
		},
	} {
		root := t.TempDir()
		d := disk(t, root)
		fill(t, open(t, d), whole...)
		if err := d.Append(dir+"/"+journal.Name, []byte(`{"sum":"00`)); err != nil {
			t.Fatal(err)
		}
		recording, err := crashdisk.Record(root)
		if err != nil {
			t.Fatal(err)
		}
		files, err := host.Open(root)
		if err != nil {
			t.Fatal(err)
		}
		defer files.Close()
		j := open(t, host.NewDisk(files, recording.Around))
		before := told(j)
		if err := change(j); err != nil {
			t.Fatal(err)
		}
		after := told(j)
		var old, renewed int
		for s := range recording.States() {
			dir := t.TempDir()
			if err := s.Materialise(dir); err != nil {
				t.Fatal(err)
			}
			switch got := told(open(t, disk(t, dir))); {
			case reflect.DeepEqual(got, before):
				old++
			case reflect.DeepEqual(got, after):
				renewed++
			default:
				t.Errorf("%s, %v: %d records", what, s, len(got))
			}
		}
		if old == 0 || renewed == 0 {
			t.Errorf("%s: %d states before, %d after", what, old, renewed)
		}
	}
}

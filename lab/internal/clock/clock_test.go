// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

const day = 24 * time.Hour

func TestParse(t *testing.T) {
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		instruction   string
		current, want time.Duration
	}{
		{"+366d", 0, 366 * day},
		{"+366d", day, 367 * day},
		{"-2h", 0, -2 * time.Hour},
		{"+1d12h", 0, 36 * time.Hour},
		{"-1d1h", day, -time.Hour},
		{"reset", 99 * day, 0},
		{"2027-11-22T08:00:00Z", 5 * day, 365 * day},
		{"2026-11-23", 5 * day, 16 * time.Hour},
	} {
		got, err := Parse(c.instruction, now, c.current)
		if err != nil || got != c.want {
			t.Errorf("%q from %v: got %v, %v; want %v", c.instruction, c.current, got, err, c.want)
		}
	}
	for _, bad := range []string{"", "tomorrow", "366d", "+", "+d", "+3x", "+99999999999d", "9999-01-01", "+80000d", "-30000d"} {
		if got, err := Parse(bad, now, 0); err == nil {
			t.Errorf("%q: got %v, want an error", bad, got)
		}
	}
}

func TestSetWritesInPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clock")
	if err := Create(path); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if before.Size() != 8 {
		t.Errorf("the control file has %d bytes", before.Size())
	}
	for _, offset := range []time.Duration{366 * day, -2 * time.Hour, 0} {
		if err := Set(path, offset); err != nil {
			t.Fatal(err)
		}
		if got, err := Offset(path); err != nil || got != offset {
			t.Errorf("got %v, %v; want %v", got, err, offset)
		}
	}
	after, err := os.Stat(path)
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("the file was replaced: programs that have it mapped would not move (%v)", err)
	}
}

func TestCreateKeepsAClock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clock")
	if err := Create(path); err != nil {
		t.Fatal(err)
	}
	if err := Set(path, day); err != nil {
		t.Fatal(err)
	}
	if err := Create(path); err != nil {
		t.Fatal(err)
	}
	if got, _ := Offset(path); got != day {
		t.Errorf("creating again set the clock to %v", got)
	}
	if err := Set(filepath.Join(t.TempDir(), "none"), day); err == nil {
		t.Error("setting a clock that is not there made one")
	}
}

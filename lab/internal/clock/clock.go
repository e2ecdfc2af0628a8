// SPDX-License-Identifier: Apache-2.0

// Package clock holds a lab's control file: the offset, in nanoseconds, between
// the wall clock of the machine and that of every program in the lab.
package clock

import (
	"encoding/binary"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"time"
)

// Variable is the environment variable that names the control file; the
// overlay in package time reads it once, when a program starts.
const Variable = "PERENNIAL_LAB_CLOCK"

// farthest keeps the clock where package time can hold a monotonic reading
// beside it (33 bits of seconds, until 2157).
var farthest = time.Date(2150, 1, 1, 0, 0, 0, 0, time.UTC)

// Create writes a control file with no offset, unless there is one.
func Create(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if os.IsExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("creating the lab's clock: %w", err)
	}
	defer f.Close()
	_, err = f.Write(make([]byte, 8))
	return err
}

// Offset reads the control file.
func Offset(path string) (time.Duration, error) {
	b, err := os.ReadFile(path)
	if err == nil && len(b) != 8 {
		err = fmt.Errorf("it has %d bytes, not 8", len(b))
	}
	if err != nil {
		return 0, fmt.Errorf("reading the lab's clock %s: %w", path, err)
	}
	return time.Duration(binary.NativeEndian.Uint64(b)), nil
}

// Set changes the offset for all running programs of the lab at once. It
// writes in place, because they have the file mapped: a renamed file would
// move nobody.
func Set(path string, offset time.Duration) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("setting the lab's clock: %w", err)
	}
	defer f.Close()
	if _, err := f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(offset)), 0); err != nil {
		return fmt.Errorf("setting the lab's clock %s: %w", path, err)
	}
	return nil
}

var daysPattern = regexp.MustCompile(`^([+-])(\d+)d(.*)$`)

// Parse returns the offset that a person asked for. The instruction is
// "reset", a step from where the lab's clock stands now (such as +366d, -2h or
// +1d12h; a day has 24 hours), or an instant in RFC 3339 or a date. now is
// the machine's time, current the lab's offset.
func Parse(instruction string, now time.Time, current time.Duration) (time.Duration, error) {
	offset, err := parse(instruction, now, current)
	if err != nil {
		return 0, err
	}
	if now.Add(offset).After(farthest) || now.Add(offset).Unix() < 0 {
		return 0, fmt.Errorf("setting the lab's clock by %q: want an instant between 1970 and %d", instruction, farthest.Year())
	}
	return offset, nil
}

func parse(instruction string, now time.Time, current time.Duration) (time.Duration, error) {
	if instruction == "reset" {
		return 0, nil
	}
	if len(instruction) > 0 && (instruction[0] == '+' || instruction[0] == '-') {
		step, err := ParseDuration(instruction)
		return current + step, err
	}
	for _, format := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(format, instruction); err == nil {
			return t.Sub(now), nil
		}
	}
	return 0, fmt.Errorf("reading the clock setting %q: want a step such as +366d or -2h, an RFC 3339 instant, or reset", instruction)
}

// ParseDuration reads Go's durations with an optional leading number of days.
func ParseDuration(s string) (time.Duration, error) {
	signed := s
	if len(s) > 0 && s[0] != '+' && s[0] != '-' {
		signed = "+" + s
	}
	var days time.Duration
	if m := daysPattern.FindStringSubmatch(signed); m != nil {
		n, err := strconv.Atoi(m[2])
		if err != nil || n > 365*200 {
			return 0, fmt.Errorf("reading the duration %q: too many days", s)
		}
		days = time.Duration(n) * 24 * time.Hour
		if m[1] == "-" {
			days = -days
		}
		if m[3] == "" {
			return days, nil
		}
		signed = m[1] + m[3]
	}
	rest, err := time.ParseDuration(signed)
	if err != nil {
		return 0, fmt.Errorf("reading the duration %q: want one such as 20m, 8760h or 366d", s)
	}
	return days + rest, nil
}

// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Format is the version of the format that this program writes, and the newest
// that it reads. It is in the first line.
const Format = 1

// A line is a JSON object that begins with its checksum: the first 16 hex
// digits of the SHA-256 of all that follows the comma after it, up to the end
// of the line.
const (
	sumStart  = `{"sum":"`
	sumDigits = 16
	sumEnd    = `",`
)

// line is what is in a line beside its checksum.
type line struct {
	Seq    int             `json:"seq"`
	At     time.Time       `json:"at"`
	Kind   kind            `json:"kind"`
	Record json.RawMessage `json:"record"`
}

// header is what is in the first line.
type header struct {
	Journal int `json:"journal"`
}

// seal encodes a line with its checksum and its end.
func seal(content any) ([]byte, error) {
	body, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	body = body[1:] // its bracket is in sumStart
	return fmt.Appendf(nil, "%s%s%s%s\n", sumStart, checksum(body), sumEnd, body), nil
}

func checksum(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:sumDigits/2])
}

var errChecksum = errors.New("its checksum does not fit")

// intact says whether a line, without its end, is as it was written.
func intact(text []byte) bool {
	rest, ok := bytes.CutPrefix(text, []byte(sumStart))
	if !ok || len(rest) < sumDigits {
		return false
	}
	sum, rest := rest[:sumDigits], rest[sumDigits:]
	body, ok := bytes.CutPrefix(rest, []byte(sumEnd))
	return ok && string(sum) == checksum(body)
}

// NewerError says that the journal was written by a newer program.
type NewerError struct {
	Path   string
	Format int
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("reading %s: it has the format %d, and this program knows formats up to %d; nothing was changed, use the program that wrote it", e.Path, e.Format, Format)
}

// DamagedError says that a record was changed after it was written.
type DamagedError struct {
	Path string
	Line int // from 1
	Err  error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("reading %s: line %d is damaged: %v; nothing was changed. Look at the disk, then move the file away: "+
		"changes begin a new journal, and those in the old one are no longer resumed or undone by this program", e.Path, e.Line, e.Err)
}

func (e *DamagedError) Unwrap() error { return e.Err }

// Torn says that the journal's last record was not written whole, because the
// machine or the program ended meanwhile. Its writer was never told that it
// was durable, so nothing was done on the strength of it.
type Torn struct {
	Line  int // from 1
	Bytes int // how much of it is there
}

func (t Torn) String() string {
	return fmt.Sprintf("the last record (line %d) was cut off after %d bytes and does not count", t.Line, t.Bytes)
}

// contents is what a journal's file holds.
type contents struct {
	entries []Entry
	torn    *Torn
	// ragged says that the next record cannot simply be added at the end.
	ragged bool
}

// read reads a journal's file. Only its end may be incomplete.
func read(name string, data []byte) (contents, error) {
	first, rest, whole := bytes.Cut(data, []byte("\n"))
	if err := readHeader(name, first, whole); err != nil {
		return contents{}, err
	}
	var c contents
	for n := 2; len(rest) > 0; n++ {
		var text []byte
		text, rest, whole = bytes.Cut(rest, []byte("\n"))
		entry, err := readEntry(text, n-1)
		switch {
		case err == nil:
			c.entries = append(c.entries, entry)
			c.ragged = !whole
		case len(rest) == 0 && errors.Is(err, errChecksum) && cutOff(text, whole):
			c.torn, c.ragged = &Torn{Line: n, Bytes: len(text)}, true
		default:
			return contents{}, &DamagedError{Path: name, Line: n, Err: err}
		}
	}
	return c, nil
}

// cutOff tells a last line that was not written whole from one that was changed
// later. Either its end is missing, or blocks of it never reached the disk:
// those read as zeros, which JSON has none of. A single flipped bit makes no
// two of them.
func cutOff(text []byte, whole bool) bool {
	return !whole || bytes.Contains(text, []byte{0, 0})
}

func readHeader(name string, first []byte, whole bool) error {
	damaged := func(err error) error { return &DamagedError{Path: name, Line: 1, Err: err} }
	var h header
	if err := json.Unmarshal(first, &h); err != nil {
		return damaged(errors.New("it does not tell the format"))
	}
	switch {
	case h.Journal > Format: // its checksum may be of another kind
		return &NewerError{Path: name, Format: h.Journal}
	case !whole || !intact(first):
		return damaged(errChecksum)
	case h.Journal < 1:
		return damaged(errors.New("it does not tell the format"))
	}
	return nil
}

func readEntry(text []byte, seq int) (Entry, error) {
	if !intact(text) {
		return Entry{}, errChecksum
	}
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return Entry{}, err
	}
	if l.Seq != seq {
		return Entry{}, fmt.Errorf("it is record %d where record %d belongs", l.Seq, seq)
	}
	record, err := l.Kind.parse(l.Record)
	if err != nil {
		return Entry{}, err
	}
	if record == nil {
		return Entry{}, fmt.Errorf("it is of the kind %q, which this program does not know", l.Kind)
	}
	return Entry{Seq: l.Seq, At: l.At, Record: record, line: l}, nil
}

// SPDX-License-Identifier: Apache-2.0

// Package journal keeps the record of what is changed on a node: what was
// intended, durable before it is done, and what became of it. From it a run
// that was cut off is resumed, a change is undone, and the history is told.
//
// It is one file of JSON lines, to which lines are only added. Each has a
// checksum and a number, so that damage is found and never taken for history:
// a journal that is damaged anywhere but at its very end is refused.
//
// One process at a time may change a journal, and the journal does not see to
// that: take the machine's lock first. Reading needs no lock; the end may then
// be a record that somebody is just writing.
package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// Files is what the journal needs of a disk. Whatever returns without an error
// is durable. Failing to find a file is fs.ErrNotExist.
type Files interface {
	ReadFile(name string, limit int64) ([]byte, error)
	// MakeDir makes a directory for the program's own user, unless it exists.
	MakeDir(name string) error
	// WritePrivate makes a new file for the program's own user, whole or not
	// at all.
	WritePrivate(name string, data []byte) error
	// Replace changes a file that has a digest, whole or not at all.
	Replace(name string, data []byte, before string) error
	// Append adds to a file. After an error, any part may have been added.
	Append(name string, data []byte) error
}

// Name is that of the journal's file in its directory.
const Name = "journal.jsonl"

// sizeLimit is that of the file, in bytes. A renewal of everything takes some
// tens of KiB.
const sizeLimit = 64 << 20

// Journal is an open journal. It is not safe for concurrent use.
type Journal struct {
	files   Files
	dir     string
	exists  bool
	size    int
	entries []Entry
	history history
	torn    *Torn
	// ragged says that something that does not count may stand at the end of
	// the file, so that it has to be written again before anything is added.
	ragged bool
}

// Open reads the journal in a directory of which it is the only user. It
// changes nothing: where there is no journal, Append begins one. A *NewerError
// or a *DamagedError is a journal that must not be added to.
func Open(dir string, files Files) (*Journal, error) {
	j := &Journal{files: files, dir: dir}
	data, err := files.ReadFile(j.path(), sizeLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return j, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	c, err := read(j.path(), data)
	if err != nil {
		return nil, err
	}
	for _, e := range c.entries {
		if err := j.history.admit(e.Record); err != nil {
			return nil, &DamagedError{Path: j.path(), Line: e.Seq + 1, Err: err}
		}
		j.history.add(e)
	}
	j.exists, j.size, j.entries, j.torn, j.ragged = true, len(data), c.entries, c.torn, c.ragged
	return j, nil
}

func (j *Journal) path() string { return path.Join(j.dir, Name) }

// Torn is what Open found cut off at the end, or nil. The next Append takes it
// away.
func (j *Journal) Torn() *Torn { return j.torn }

// Records are all entries, in order.
func (j *Journal) Records() []Entry { return slices.Clone(j.entries) }

// Plans are all plans, in the order in which they began.
func (j *Journal) Plans() []Plan { return j.plans(func(*Plan) bool { return true }) }

// Unfinished are the plans that have begun and not ended, in the order in which
// they began. Plan.Open has their steps without an outcome.
func (j *Journal) Unfinished() []Plan { return j.plans(func(p *Plan) bool { return p.Result == "" }) }

func (j *Journal) plans(wanted func(*Plan) bool) []Plan {
	var out []Plan
	for _, p := range j.history {
		if wanted(p) {
			copied := *p
			copied.Steps = slices.Clone(p.Steps)
			for i := range copied.Steps {
				copied.Steps[i].Tries = slices.Clone(copied.Steps[i].Tries)
			}
			copied.Notes = slices.Clone(p.Notes)
			out = append(out, copied)
		}
	}
	return out
}

// Append adds a record and returns when it is durable. A record that cannot
// follow those before it is refused, and so is one that holds a private key in
// PEM. After any other error the record does not count, though a program that
// opens the journal before the next Append may see it.
func (j *Journal) Append(at time.Time, r Record) error {
	if err := j.append(at, r); err != nil {
		return fmt.Errorf("writing the journal's record %d (%s): %w", len(j.entries)+1, r.kind(), err)
	}
	return nil
}

func (j *Journal) append(at time.Time, r Record) error {
	if err := j.history.admit(r); err != nil {
		return err
	}
	entry, err := newEntry(len(j.entries)+1, at, r)
	if err != nil {
		return err
	}
	text, err := seal(entry.line)
	if err != nil {
		return err
	}
	if j.size+len(text) > sizeLimit {
		return fmt.Errorf("%s would be larger than %d MiB; prune the history", j.path(), sizeLimit>>20)
	}
	if err := j.write(entry, text); err != nil {
		j.ragged = true
		return err
	}
	j.entries = append(j.entries, entry)
	j.history.add(entry)
	return nil
}

// write makes a line durable. Where the file's end is in doubt, it is written
// anew as a whole: after a failed fsync, a second one that succeeds says
// nothing of what the first one lost.
func (j *Journal) write(entry Entry, text []byte) error {
	if !j.exists || j.ragged {
		return j.rewrite(append(slices.Clone(j.entries), entry))
	}
	if err := j.files.Append(j.path(), text); err != nil {
		return err
	}
	j.size += len(text)
	return nil
}

// rewrite makes the file hold exactly these entries.
func (j *Journal) rewrite(entries []Entry) error {
	text, err := seal(header{Journal: Format})
	if err != nil {
		return err
	}
	for _, e := range entries {
		one, err := seal(e.line)
		if err != nil {
			return err
		}
		text = append(text, one...)
	}
	if err := j.replace(text); err != nil {
		return err
	}
	j.exists, j.ragged, j.size = true, false, len(text)
	return nil
}

func (j *Journal) replace(text []byte) error {
	present, err := j.files.ReadFile(j.path(), sizeLimit+1<<20)
	switch {
	case err == nil && !j.exists && !j.ragged:
		return fmt.Errorf("%s was made by another program meanwhile", j.path())
	case err == nil:
		return j.files.Replace(j.path(), text, fact.Digest(present))
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case j.exists:
		return fmt.Errorf("%s has been removed", j.path())
	}
	if err := j.files.MakeDir(j.dir); err != nil {
		return err
	}
	return j.files.WritePrivate(j.path(), text)
}

func newEntry(seq int, at time.Time, r Record) (Entry, error) {
	raw, err := json.Marshal(r)
	if err != nil {
		return Entry{}, err
	}
	if err := refuseKeys(raw); err != nil {
		return Entry{}, err
	}
	// What is kept in memory is what a reader gets.
	read, err := r.kind().parse(raw)
	if err != nil {
		return Entry{}, err
	}
	l := line{Seq: seq, At: at.UTC().Round(0), Kind: r.kind(), Record: raw}
	return Entry{Seq: seq, At: l.At, Record: read, line: l}, nil
}

// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/journal"
)

const dir = "/var/lib/perennial/journal"

var start = time.Date(2026, 5, 6, 7, 8, 9, 123456789, time.FixedZone("", 3600))

// disk is a real directory as the root of a node.
func disk(t *testing.T, root string) *host.Disk {
	t.Helper()
	files, err := host.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { files.Close() })
	return host.NewDisk(files, nil)
}

func open(t *testing.T, files journal.Files) *journal.Journal {
	t.Helper()
	j, err := journal.Open(dir, files)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func begin(id string) journal.Begin {
	return journal.Begin{Plan: id, Content: json.RawMessage(`{"id":"` + id + `","steps":[1,2]}`)}
}

func intent(id string, step int) journal.Intent {
	return journal.Intent{Plan: id, Step: step, Files: []journal.File{{
		Path: "/etc/kubernetes/pki/apiserver.crt", Before: "sha256:00", After: "sha256:11", Backup: fmt.Sprintf("/backup/%s/%d", id, step), Mode: 0o640, UID: 1, GID: 2,
	}}}
}

func outcome(id string, step int, r journal.Result) journal.Outcome {
	return journal.Outcome{Plan: id, Step: step, Result: r, Proof: "served by \u202e10.0.0.1:6443\n"}
}

// whole is a plan that ran without a fault, and one that was cut off.
var whole = []journal.Record{
	begin("p1"), intent("p1", 1), outcome("p1", 1, journal.Done),
	journal.Note{Plan: "p1", Text: "the clock is <slow>"},
	outcome("p1", 2, journal.Skipped), journal.End{Plan: "p1", Result: journal.Done},
	journal.Note{Text: "nothing in particular"},
	begin("p2"), intent("p2", 1), outcome("p2", 1, journal.Failed), intent("p2", 1), outcome("p2", 1, journal.Done), intent("p2", 2),
}

func fill(t *testing.T, j *journal.Journal, records ...journal.Record) {
	t.Helper()
	for _, r := range records {
		n := len(j.Records())
		if err := j.Append(start.Add(time.Duration(n)*time.Minute), r); err != nil {
			t.Fatal(err)
		}
	}
}

// told are the records of a journal alone.
func told(j *journal.Journal) []journal.Record {
	var out []journal.Record
	for _, e := range j.Records() {
		out = append(out, e.Record)
	}
	return out
}

func file(root string) string { return filepath.Join(root, dir, journal.Name) }

func contents(t *testing.T, root string) []byte {
	t.Helper()
	data, err := os.ReadFile(file(root))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRecordsComeBack(t *testing.T) {
	root := t.TempDir()
	d := disk(t, root)
	j := open(t, d)
	if _, err := os.Stat(filepath.Join(root, "var")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opening made something: %v", err)
	}
	fill(t, j, whole...)
	for name, mode := range map[string]fs.FileMode{dir: 0o700, dir + "/" + journal.Name: 0o600} {
		if info, err := os.Stat(filepath.Join(root, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	again := open(t, d)
	if again.Torn() != nil {
		t.Errorf("torn: %v", again.Torn())
	}
	if !reflect.DeepEqual(told(again), whole) {
		t.Errorf("%+v", told(again))
	}
	for i, e := range again.Records() {
		if at := start.Add(time.Duration(i) * time.Minute); e.Seq != i+1 || !e.At.Equal(at) || e.At.Location() != time.UTC {
			t.Errorf("record %d: %d, %v", i+1, e.Seq, e.At)
		}
	}
	if !reflect.DeepEqual(again.Plans(), j.Plans()) || !reflect.DeepEqual(again.Records(), j.Records()) {
		t.Errorf("read again it differs:\n%+v\n%+v", again.Plans(), j.Plans())
	}
	// One more after it was read differs in nothing from one without.
	fill(t, again, outcome("p2", 2, journal.Undone))
	j = open(t, d)
	fill(t, j, journal.End{Plan: "p2", Result: journal.Undone})
	if len(j.Unfinished()) != 0 || len(j.Records()) != len(whole)+2 {
		t.Errorf("%+v", j.Unfinished())
	}
}

func TestPlansAndUnfinished(t *testing.T) {
	j := open(t, disk(t, t.TempDir()))
	fill(t, j, whole...)
	plans := j.Plans()
	if len(plans) != 2 || plans[0].ID != "p1" || plans[0].Result != journal.Done || !plans[0].Ended.Equal(start.Add(5*time.Minute)) || plans[0].Notes[0] != "the clock is <slow>" {
		t.Fatalf("%+v", plans)
	}
	if s := plans[0].Steps; len(s) != 2 || s[1].Last().Intent != nil || s[1].Last().Outcome.Result != journal.Skipped || s[0].Last().Outcome.Result != journal.Done {
		t.Errorf("%+v", s)
	}
	var content struct{ ID string }
	if err := json.Unmarshal(plans[1].Content, &content); err != nil || content.ID != "p2" {
		t.Errorf("%s, %v", plans[1].Content, err)
	}
	unfinished := j.Unfinished()
	if len(unfinished) != 1 || unfinished[0].ID != "p2" || !unfinished[0].Ended.IsZero() {
		t.Fatalf("%+v", unfinished)
	}
	steps := unfinished[0].Open()
	if len(steps) != 1 || steps[0].Number != 2 || steps[0].Last().Intent.Files[0].Mode != 0o640 {
		t.Errorf("%+v", steps)
	}
	if tries := unfinished[0].Steps[0].Tries; len(tries) != 2 || tries[0].Outcome.Result != journal.Failed || tries[1].Outcome.Result != journal.Done {
		t.Errorf("%+v", tries)
	}
	// What is handed out is a copy.
	unfinished[0].Steps[0].Tries[0] = journal.Try{}
	if j.Unfinished()[0].Steps[0].Tries[0].Intent == nil {
		t.Error("the journal was changed from outside")
	}
}

func TestUndo(t *testing.T) {
	j := open(t, disk(t, t.TempDir()))
	fill(t, j, begin("p1"), journal.End{Plan: "p1", Result: journal.Done})
	undo := begin("u1")
	undo.Undoes = "p1"
	fill(t, j, undo)
	if p := j.Plans(); p[0].UndoneBy != "" || p[1].Undoes != "p1" {
		t.Errorf("%+v", p)
	}
	fill(t, j, journal.End{Plan: "u1", Result: journal.Done})
	if p := j.Plans(); p[0].UndoneBy != "u1" {
		t.Errorf("%+v", p)
	}
}

// What a plan does is told in order, or not at all.
func TestAppendRefuses(t *testing.T) {
	root := t.TempDir()
	d := disk(t, root)
	j := open(t, d)
	fill(t, j, begin("p1"), intent("p1", 1), begin("p2"), journal.End{Plan: "p2", Result: journal.Failed})
	before := contents(t, root)
	for says, r := range map[string]journal.Record{
		"a plan without an ID":                         begin(""),
		`plan "p1" has begun before`:                   begin("p1"),
		`plan "p2" has begun before`:                   begin("p2"),
		`plan "p3" has not begun`:                      intent("p3", 1),
		`plan "p4" has not begun`:                      journal.Note{Plan: "p4"},
		`plan "p2" has ended`:                          intent("p2", 1),
		"steps count from 1":                           intent("p1", 0),
		`step 1 of plan "p1" has begun and has no`:     intent("p1", 1),
		`step 2 of plan "p1" is done without having`:   outcome("p1", 2, journal.Done),
		`"perhaps" is no result`:                       outcome("p1", 1, "perhaps"),
		`nothing is known of the outcome of step 1`:    journal.End{Plan: "p1", Result: journal.Done},
		`error calling MarshalJSON for type json.RawM`: journal.Begin{Plan: "p5", Content: json.RawMessage("{")},
	} {
		err := j.Append(start, r)
		if err == nil || !strings.HasPrefix(err.Error(), "writing the journal's record 5 (") || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	if err := j.Append(time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC), outcome("p1", 1, journal.Done)); err == nil {
		t.Error("a time that JSON cannot hold was taken")
	}
	if !bytes.Equal(contents(t, root), before) {
		t.Error("the file has changed")
	}
	fill(t, j, outcome("p1", 1, journal.Failed), intent("p1", 1))
}

// A torn end is found, reported, and taken away when the next record is added.
func TestTornAtEveryByte(t *testing.T) {
	root := t.TempDir()
	d := disk(t, root)
	fill(t, open(t, d), whole...)
	data := contents(t, root)
	last := bytes.LastIndexByte(data[:len(data)-1], '\n') + 1
	for cut := last; cut < len(data); cut++ {
		for _, rest := range [][]byte{nil, make([]byte, len(data)-cut), append(make([]byte, max(2, len(data)-cut)), '\n')} {
			tornAt(t, root, d, data, cut, rest)
		}
	}
}

// tornAt gives the journal an end that is cut off, with something of no
// meaning after it.
func tornAt(t *testing.T, root string, d *host.Disk, data []byte, cut int, rest []byte) {
	t.Helper()
	last := bytes.LastIndexByte(data[:len(data)-1], '\n') + 1
	broken := slices.Concat(data[:cut], rest)
	if err := os.WriteFile(file(root), broken, 0o600); err != nil {
		t.Fatal(err)
	}
	j := open(t, d)
	want := whole[:len(whole)-1]
	complete := cut == len(data)-1 && rest == nil // only the end of the line is missing
	if complete {
		want = whole
	}
	if !reflect.DeepEqual(told(j), want) {
		t.Fatalf("cut at %d: %d records", cut, len(told(j)))
	}
	if torn := cut > last && !complete || rest != nil; torn != (j.Torn() != nil) {
		t.Errorf("cut at %d: torn %v", cut, j.Torn())
	} else if torn && (j.Torn().Line != len(whole)+1 || !strings.Contains(j.Torn().String(), "cut off")) {
		t.Errorf("cut at %d: %v", cut, j.Torn())
	}
	if !bytes.Equal(contents(t, root), broken) {
		t.Errorf("cut at %d: opening changed the file", cut)
	}
	note := journal.Note{Text: "after"}
	fill(t, j, note)
	j = open(t, d)
	if j.Torn() != nil || !reflect.DeepEqual(told(j), append(slices.Clone(want), journal.Record(note))) {
		t.Errorf("cut at %d: added to, it has %d records, torn %v", cut, len(told(j)), j.Torn())
	}
}

// Every single flipped bit is found. Only in the end of the last line it cannot
// be told from a line that was cut off there, and that one is whole.
func TestEveryFlippedBit(t *testing.T) {
	root := t.TempDir()
	d := disk(t, root)
	fill(t, open(t, d), whole...)
	data := contents(t, root)
	last := bytes.LastIndexByte(data[:len(data)-1], '\n') + 1
	memory := &inMemory{}
	for at := range data {
		for bit := range 8 {
			memory.data = bytes.Clone(data)
			memory.data[at] ^= 1 << bit
			j, err := journal.Open(dir, memory)
			if at == len(data)-1 {
				if err != nil || j.Torn() == nil {
					t.Errorf("bit %d of the last byte: %v", bit, err)
				}
				continue
			}
			var damaged *journal.DamagedError
			var newer *journal.NewerError
			inHeader := at < bytes.IndexByte(data, '\n')
			switch {
			case errors.As(err, &damaged):
				line := bytes.Count(data[:at], []byte("\n")) + 1
				if damaged.Line != line || !strings.Contains(err.Error(), fmt.Sprintf("journal.jsonl: line %d is damaged: ", line)) {
					t.Errorf("bit %d of byte %d, in line %d: %v", bit, at, line, err)
				}
			case inHeader && errors.As(err, &newer):
			default:
				t.Errorf("bit %d of byte %d (the last record begins at %d): %v", bit, at, last, err)
			}
		}
	}
}

// A damaged journal is not added to, whatever else is wrong with it.
func TestDamageIsRefused(t *testing.T) {
	root := t.TempDir()
	d := disk(t, root)
	fill(t, open(t, d), whole...)
	data := contents(t, root)
	lines := bytes.SplitAfter(data, []byte("\n"))
	join := func(l ...[]byte) []byte { return slices.Concat(l...) }
	for what, c := range map[string]struct {
		data []byte
		line int
	}{
		"empty":               {nil, 1},
		"no header":           {join(lines[1:]...), 1},
		"half a header":       {lines[0][:10], 1},
		"header without end":  {lines[0][:len(lines[0])-1], 1},
		"a line is missing":   {join(lines[0], lines[1], join(lines[3:]...)), 3},
		"a line twice":        {join(lines[0], lines[1], lines[1], join(lines[2:]...)), 3},
		"two lines swapped":   {join(lines[0], lines[2], lines[1], join(lines[3:]...)), 2},
		"an empty line":       {join(lines[0], []byte("\n"), join(lines[1:]...)), 2},
		"zeros in the middle": {join(lines[0], make([]byte, 512), join(lines[1:]...)), 2},
		"cut off in between":  {join(lines[0], lines[1][:20], []byte("\n"), join(lines[2:]...)), 2},
		"something else":      {[]byte("#!/bin/sh\n"), 1},
	} {
		if err := os.WriteFile(file(root), c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := journal.Open(dir, d)
		var damaged *journal.DamagedError
		if !errors.As(err, &damaged) || damaged.Line != c.line || !strings.Contains(err.Error(), "nothing was changed") {
			t.Errorf("%s: %v", what, err)
		}
		if !bytes.Equal(contents(t, root), c.data) {
			t.Errorf("%s: the file has changed", what)
		}
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	for _, header := range []string{`{"sum":"0011223344556677","journal":2}`, `{"journal":3,"checksum":"of another kind"}`} {
		_, err := journal.Open(dir, &inMemory{data: []byte(header + "\nwhatever is in it\n")})
		var newer *journal.NewerError
		if !errors.As(err, &newer) || newer.Format < 2 || !strings.Contains(err.Error(), "use the program that wrote it") {
			t.Errorf("%s: %v", header, err)
		}
	}
}

func TestPrivateKeysAreRefused(t *testing.T) {
	const block = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----\n"
	const cert = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
	memory := &inMemory{}
	j := open(t, memory)
	fill(t, j, begin("p1"), intent("p1", 1))
	raw := func(v any) json.RawMessage {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	kubeconfig := "users:\n- user:\n    client-key-data: " + strings.Trim(string(raw([]byte(block))), `"`) + "\n"
	before := bytes.Clone(memory.data)
	for what, r := range map[string]journal.Record{
		"as text":         journal.Note{Text: block},
		"after another":   journal.Note{Text: "proof: " + cert + block},
		"PKCS #8":         outcomeOf("-----BEGIN PRIVATE KEY-----"),
		"encrypted":       outcomeOf("-----BEGIN ENCRYPTED PRIVATE KEY-----"),
		"OpenSSH":         outcomeOf("-----BEGIN OPENSSH PRIVATE KEY-----"),
		"in a plan":       journal.Begin{Plan: "p2", Content: raw(map[string]any{"a": []string{"b", block}})},
		"as a JSON key":   journal.Begin{Plan: "p2", Content: raw(map[string]int{block: 1})},
		"escaped":         journal.Begin{Plan: "p2", Content: json.RawMessage(`"\u002d\u002d\u002d\u002d\u002dBEGIN RSA PRIVATE\u0020KEY-----"`)},
		"as bytes":        journal.Begin{Plan: "p2", Content: raw([]byte(cert + block))},
		"in a kubeconfig": journal.Begin{Plan: "p2", Content: raw(kubeconfig)},
		"as bytes of it":  journal.Begin{Plan: "p2", Content: raw([]byte(block))},
	} {
		if err := j.Append(start, r); err == nil || !strings.Contains(err.Error(), "private key") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if !bytes.Equal(memory.data, before) {
		t.Error("something was written")
	}
	for _, harmless := range []string{cert, "the private key of apiserver matches", "-----BEGIN PUBLIC KEY-----", string(raw([]byte(cert)))} {
		fill(t, j, journal.Note{Text: "x" + fromString(harmless)})
	}
	fill(t, j, journal.Begin{Plan: "p3", Content: json.RawMessage(`{"large":1e999}`)})
}

func TestGoneAndForeignFiles(t *testing.T) {
	root := t.TempDir()
	d := disk(t, root)
	one, two := open(t, d), open(t, d)
	fill(t, one, begin("p1"))
	if err := two.Append(start, begin("p2")); err == nil || !strings.Contains(err.Error(), "made by another program") {
		t.Errorf("a journal that somebody made meanwhile: %v", err)
	}
	if err := os.Remove(file(root)); err != nil {
		t.Fatal(err)
	}
	if err := one.Append(start, begin("p3")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a journal that is gone: %v", err)
	}
	if err := one.Append(start, begin("p3")); err == nil || !strings.Contains(err.Error(), "has been removed") {
		t.Errorf("again: %v", err)
	}
	if err := os.Mkdir(file(root), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := journal.Open(dir, d); err == nil || !strings.HasPrefix(err.Error(), "reading the journal: reading "+dir) {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	memory := &inMemory{}
	j, err := journal.Open(dir, memory)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{})
	for i, r := range whole {
		if err := j.Append(start.Add(time.Duration(i)), r); err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.Clone(memory.data))
		f.Add(bytes.Clone(memory.data[:len(memory.data)-i]))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		memory := &inMemory{data: data}
		j, err := journal.Open(dir, memory)
		if err != nil {
			return
		}
		// What was read can be added to, and is the same when it is read again.
		before := j.Records()
		if err := j.Append(start, journal.Note{Text: "added"}); err != nil {
			t.Fatal(err)
		}
		again, err := journal.Open(dir, memory)
		if err != nil || again.Torn() != nil {
			t.Fatalf("%v, torn %v", err, again.Torn())
		}
		after := again.Records()
		if len(after) != len(before)+1 || len(before) > 0 && !reflect.DeepEqual(after[:len(before)], before) {
			t.Fatalf("%+v became %+v", before, after)
		}
	})
}

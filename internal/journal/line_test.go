// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"testing"
	"time"
)

// oneFile is a disk that holds a file and gives back what it was given.
type oneFile struct{ data []byte }

func (f *oneFile) ReadFile(string, int64) ([]byte, error)     { return f.data, nil }
func (f *oneFile) MakeDir(string) error                       { return nil }
func (f *oneFile) WritePrivate(string, []byte) error          { return fs.ErrExist }
func (f *oneFile) Replace(_ string, d []byte, _ string) error { f.data = d; return nil }
func (f *oneFile) Append(_ string, d []byte) error            { f.data = append(f.data, d...); return nil }

// Behind its checksum a line may hold anything, if somebody wrote it on
// purpose. FuzzRead never gets there.
func FuzzSealedLines(f *testing.F) {
	f.Add([]byte(`"seq":1,"at":"2026-01-02T03:04:05Z","kind":"begin","record":{"plan":"p","content":{}}}` + "\n" +
		`"seq":2,"at":"2026-01-02T03:04:05Z","kind":"intent","record":{"plan":"p","step":1,"files":[{"path":"/f","mode":384}]}}` + "\n" +
		`"seq":3,"at":"2026-01-02T03:04:05Z","kind":"outcome","record":{"plan":"p","step":1,"result":"done","proof":"x"}}` + "\n" +
		`"seq":4,"at":"2026-01-02T03:04:05Z","kind":"end","record":{"plan":"p","result":"done"}}`))
	f.Add([]byte(`"seq":1,"at":"2026-01-02T03:04:05+07:00","kind":"note","record":{"text":"<a>\u202e"}}`))
	f.Add([]byte(`"seq":1,"kind":"begin","record":{"plan":"p","undoes":"p"}}` + "\n" + `"seq":2,"kind":"end","record":{"plan":"p","result":"done"}}`))
	f.Add([]byte(`"seq":1,"kind":"surprise","record":null}`))
	f.Add([]byte(`"seq":1,"kind":"note","record":null}`))
	f.Fuzz(func(t *testing.T, bodies []byte) {
		data, err := seal(header{Journal: Format})
		if err != nil {
			t.Fatal(err)
		}
		for body := range bytes.SplitSeq(bodies, []byte("\n")) {
			data = fmt.Appendf(data, "%s%s%s%s\n", sumStart, checksum(body), sumEnd, body)
		}
		disk := &oneFile{data: data}
		j, err := Open("/", disk)
		var damaged *DamagedError
		if err != nil {
			if !errors.As(err, &damaged) || damaged.Line < 2 {
				t.Fatal(err)
			}
			return
		}
		plans := j.Plans()
		now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		if err := j.Append(now, Note{Text: "added"}); err != nil {
			t.Fatal(err)
		}
		if _, err := j.Prune(Policy{Keep: 1}, now); err != nil {
			t.Fatal(err)
		}
		left := j.Plans()
		if again, err := Open("/", disk); err != nil || !reflect.DeepEqual(again.Plans(), left) || len(left) > len(plans) {
			t.Fatalf("%v: %+v became %+v", err, plans, left)
		}
	})
}

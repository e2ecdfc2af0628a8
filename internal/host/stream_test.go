// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestSaveStream(t *testing.T) {
	root := t.TempDir()
	files, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	d := NewDisk(files, nil)
	fill := func(to io.Writer) error {
		for range 3 {
			if _, err := io.WriteString(to, "part"); err != nil {
				return err
			}
		}
		return nil
	}
	if err := d.SaveStream("/state/snapshot/a.db", fill); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(root, "state/snapshot/a.db"))
	if err != nil || string(data) != "partpartpart" {
		t.Errorf("%q, %v", data, err)
	}
	if info, err := os.Stat(filepath.Join(root, "state/snapshot/a.db")); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := d.SaveStream("/state/snapshot/a.db", fill); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second time: %v", err)
	}
	broken := errors.New("broken off")
	if err := d.SaveStream("/state/snapshot/b.db", func(to io.Writer) error { io.WriteString(to, "x"); return broken }); !errors.Is(err, broken) {
		t.Errorf("broken off: %v", err)
	}
	left, err := os.ReadDir(filepath.Join(root, "state/snapshot"))
	if err != nil || len(left) != 1 {
		t.Errorf("left %v, %v", left, err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// Lock is the one lock of a machine under which anything is changed. The
// kernel releases it when the process ends, however it ends.
type Lock struct{ file *os.File }

// Holder is who has a lock, as it wrote into the lock's file.
type Holder struct {
	PID     int       // 0: it has not yet written
	Purpose fact.Text // the command, half a sentence
	Since   time.Time
}

// HeldError says that another process has the lock.
type HeldError struct {
	Path   string
	Holder Holder
}

func (e *HeldError) Error() string {
	if e.Holder.PID == 0 {
		return fmt.Sprintf("locking %s: another process is at work on this machine; wait for it to end", e.Path)
	}
	return fmt.Sprintf("locking %s: process %d is at work on this machine since %s (%s); wait for it to end",
		e.Path, e.Holder.PID, e.Holder.Since.Format(time.RFC3339), e.Holder.Purpose)
}

var errReplaced = errors.New("the lock's file was replaced while it was opened")

// AcquireLock takes the lock at a path of the running machine, or says at once
// who has it: a *HeldError. The file and its directory are made if they are
// missing; the file stays when the lock is released, since removing it would
// let two processes lock two files of the same name.
func AcquireLock(name, purpose string, now time.Time) (*Lock, error) {
	const tries = 5 // a directory that is cleaned again and again is no lock
	for range tries {
		file, err := openLock(name)
		if err != nil {
			return nil, failed("locking", name, err)
		}
		err = flock(file)
		switch {
		case errors.Is(err, errLocked):
			held := &HeldError{Path: name, Holder: readHolder(file)}
			file.Close()
			return nil, held
		case err == nil:
			err = samePath(file, name)
		}
		if err == nil {
			err = writeHolder(file, Holder{PID: os.Getpid(), Purpose: fact.Text(purpose), Since: now})
		}
		if err == nil {
			return &Lock{file}, nil
		}
		file.Close()
		if !errors.Is(err, errReplaced) {
			return nil, failed("locking", name, err)
		}
	}
	return nil, failed("locking", name, errReplaced)
}

// Release gives the lock up.
func (l *Lock) Release() error {
	// The next one may be asked who holds the lock before it has written.
	return errors.Join(l.file.Truncate(0), l.file.Close())
}

// samePath says whether the opened file is still the one of that name: a
// cleaner may have removed it between opening and locking.
func samePath(file *os.File, name string) error {
	opened, err := file.Stat()
	if err != nil {
		return err
	}
	if named, err := os.Lstat(name); err != nil || !os.SameFile(opened, named) {
		return errReplaced
	}
	return nil
}

func writeHolder(file *os.File, h Holder) error {
	line := fmt.Sprintf("%d %s %s\n", h.PID, h.Since.UTC().Format(time.RFC3339), strings.ReplaceAll(string(h.Purpose), "\n", " "))
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(line), 0)
	return err
}

// readHolder reads what the holder wrote; what cannot be read says nothing.
func readHolder(file *os.File) Holder {
	data, err := io.ReadAll(io.NewSectionReader(file, 0, 4<<10))
	if err != nil {
		return Holder{}
	}
	pid, rest, _ := strings.Cut(strings.TrimSuffix(string(data), "\n"), " ")
	since, purpose, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(pid)
	when, bad := time.Parse(time.RFC3339, since)
	if err != nil || bad != nil || n <= 0 {
		return Holder{}
	}
	return Holder{PID: n, Purpose: fact.Text(purpose), Since: when}
}

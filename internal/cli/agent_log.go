// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"syscall"
)

// logHandler writes lines of key=value. systemd's journal notes the time itself, and
// learns from the line how urgent it is.
func logHandler(s Streams) slog.Handler {
	if !s.toJournal() {
		return slog.NewTextHandler(s.Err, nil)
	}
	return slog.NewTextHandler(ranked{s.Err}, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})
}

// toJournal says whether Err leads to systemd's journal. The variable alone does not:
// whatever a service starts has it, too (systemd.exec(5), $JOURNAL_STREAM).
func (s Streams) toJournal() bool {
	file, is := s.Err.(*os.File)
	if !is {
		return false
	}
	info, err := file.Stat()
	if err != nil {
		return false
	}
	of, is := info.Sys().(*syscall.Stat_t)
	return is && s.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", of.Dev, of.Ino)
}

// ranked begins each line with its priority (sd-daemon(3)), so that journalctl -p
// finds what is urgent.
type ranked struct{ to io.Writer }

// Write gets one line at a time, which begins with its level.
func (r ranked) Write(line []byte) (int, error) {
	rank := "<6>"
	switch {
	case bytes.HasPrefix(line, []byte("level=ERROR")):
		rank = "<3>"
	case bytes.HasPrefix(line, []byte("level=WARN")):
		rank = "<4>"
	}
	if _, err := r.to.Write(append([]byte(rank), line...)); err != nil {
		return 0, err
	}
	return len(line), nil
}

// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"

	"perennial.dev/perennial/internal/timeline"
)

// savedReport is how a report that was saved as JSON begins. A record begins
// otherwise.
var savedReport = regexp.MustCompile(`^\s*\{\s*"apiVersion"`)

// saved reads the timelines of a report that was saved as JSON, where --replay names
// one. It is judged already, so it is shown as it was.
func (o *checkOptions) saved(s *Streams) (all []timeline.Timeline, is bool, err error) {
	if o.replay == "" {
		return nil, false, nil
	}
	from := s.In
	if o.replay != "-" {
		f, err := os.Open(o.replay)
		if err != nil {
			return nil, false, fmt.Errorf("opening the record: %w", err)
		}
		defer f.Close()
		from = f
	}
	buffered := bufio.NewReader(from)
	head, err := buffered.Peek(256)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, fmt.Errorf("reading the record: %w", err)
	}
	if !savedReport.Match(head) {
		if o.replay == "-" {
			s.In = buffered
		}
		return nil, false, nil
	}
	if o.at+o.to+o.due+o.dueCA+o.support+o.record != "" || len(o.accept) > 0 {
		return nil, true, usageError{hinted{errors.New("a saved report is judged already: leave out --at, --to, --accept, --due-within, --ca-due-within, --support and --record"),
			"perennial check --record FILE saves what can be judged again"}}
	}
	if all, err = timeline.ReadAll(buffered); err != nil {
		err = fmt.Errorf("%s: %w", o.replay, err)
	}
	return all, true, err
}

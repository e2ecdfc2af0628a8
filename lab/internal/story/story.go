// SPDX-License-Identifier: Apache-2.0

// Package story lets a lab's API server outlive its loopback certificate, and
// shows what then happens: nothing, as long as its connections to itself stay
// open; and once they are cut, a server that reports itself ready, answers
// what it knows, and no longer learns anything.
package story

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"perennial.dev/perennial/lab/internal/api"
	"perennial.dev/perennial/lab/internal/clock"
)

// Lab is the running lab that the story happens to.
type Lab struct {
	Endpoint   string // host:port of the API server
	Kubeconfig string // of an administrator
	Clock      string // control file
	Minor      int    // of Kubernetes 1.N
	Cut        func() (int, error)
}

// Options shape how the story is told.
type Options struct {
	Past   time.Duration // how far beyond the loopback certificate's end
	Colour bool
	Out    io.Writer // the table
	Notes  io.Writer // what is being done
}

// Ending is what was seen.
type Ending struct {
	LoopbackEnd time.Time
	Columns     []Column
	Message     string // the API server's words when it first failed
	// OwnCheck is what the server's own check of the certificate says past the
	// end, as a line of /livez?verbose; empty before Kubernetes 1.36.
	OwnCheck string
}

// Column is one moment of the story.
type Column struct {
	Title [2]string // two lines
	Codes []Codes   // by row
}

// ownCheck is the name of that check. It compares readings of the monotonic
// clock (k8s.io/apiserver pkg/server/options/serving_with_loopback.go, 1.36:
// the instant to compare with comes from clock.Now().Add), so it sees how long
// the process has run, and no clock that is set or jumps.
const ownCheck = "loopback-serving-certificate"

// Tell runs the story and prints its table. The error is not nil when it could
// not be told or when what was seen differs from what is known of the version.
func Tell(ctx context.Context, lab Lab, o Options) (Ending, error) {
	var ending Ending
	loopback, err := api.Loopback(ctx, lab.Endpoint)
	if err != nil {
		return ending, err
	}
	ending.LoopbackEnd = loopback.NotAfter
	offset, err := clock.Offset(lab.Clock)
	if err != nil {
		return ending, err
	}
	start := time.Now().Add(offset)
	if !start.Before(loopback.NotAfter) {
		return ending, fmt.Errorf("telling the story: the lab's clock is past the loopback certificate's end already; first run `lab clock reset` and `lab restart kube-apiserver`")
	}
	if err := tell(ctx, lab, o, &ending, start, offset); err != nil {
		return ending, err
	}
	ending.print(o)
	return ending, ending.check(lab.Minor)
}

func tell(ctx context.Context, lab Lab, o Options, ending *Ending, start time.Time, offset time.Duration) error {
	then := ending.LoopbackEnd.Add(o.Past)
	client, err := lab.clientUntil(then)
	if err != nil {
		return err
	}
	defer client.Forget()
	patience := longPatience
	moment := func(n int, title ...string) error {
		a := &asker{client: client, moment: momentName(start, n), patience: patience}
		return ending.add(ctx, a, [2]string(title))
	}
	fmt.Fprintf(o.Notes, "asking the API server on day 0\n")
	asked := time.Now()
	if err := moment(0, "day 0", start.UTC().Format(time.DateOnly)); err != nil {
		return err
	}
	// A refusal counts as one when it lasts several times as long as all of
	// this took while all was well.
	patience = max(5*time.Second, 3*time.Since(asked))

	day := dayOf(start, then)
	fmt.Fprintf(o.Notes, "moving the lab's clock to %s, %v past the loopback certificate's end\n", then.UTC().Format(time.RFC3339), o.Past)
	if err := clock.Set(lab.Clock, offset+then.Sub(start)); err != nil {
		return err
	}
	if err := moment(1, day, "connected"); err != nil {
		return err
	}
	n, err := lab.Cut()
	if err != nil {
		return err
	}
	fmt.Fprintf(o.Notes, "cutting the API server's connections to itself (%d)\n", n)
	if err := moment(2, day, "cut"); err != nil {
		return err
	}
	ending.OwnCheck, err = readOwnCheck(ctx, client)
	return err
}

// longPatience is for an effect that is expected.
const longPatience = 20 * time.Second

// clientUntil is an administrator whose certificate is good beyond an instant.
func (l Lab) clientUntil(then time.Time) (*api.Client, error) {
	client, err := api.FromKubeconfig(l.Kubeconfig)
	if err != nil {
		return nil, err
	}
	if client.End().Before(then) {
		return nil, fmt.Errorf("telling the story: the client certificate in %s ends on %s, before the story does; make the lab with --cert-life 3650d",
			l.Kubeconfig, client.End().UTC().Format(time.DateOnly))
	}
	return client, nil
}

// momentName is one that the lab has not seen: objects are called by it.
func momentName(start time.Time, n int) string {
	return strconv.FormatInt(start.Unix()%1e6, 36) + strconv.Itoa(n)
}

func dayOf(start, then time.Time) string {
	return fmt.Sprintf("day %d", int(math.Ceil(then.Sub(start).Hours()/24)))
}

// add asks everything once, and keeps the answers as a column. What waits for
// an effect waits beside the others.
func (e *Ending) add(ctx context.Context, a *asker, title [2]string) error {
	column := Column{Title: title, Codes: make([]Codes, len(rows))}
	askers, errs := make([]asker, len(rows)), make([]error, len(rows))
	var waiting sync.WaitGroup
	for i, r := range rows {
		askers[i] = *a
		ask := func() { column.Codes[i], errs[i] = r.ask(&askers[i], ctx) }
		if r.waits {
			waiting.Go(ask)
		} else {
			ask()
		}
	}
	waiting.Wait()
	for i, r := range rows {
		if errs[i] != nil {
			return fmt.Errorf("%s: %w", r.title, errs[i])
		}
		if said := askers[i].messages; len(said) > 0 && e.Message == "" {
			e.Message = said[0]
		}
	}
	e.Columns = append(e.Columns, column)
	return nil
}

func readOwnCheck(ctx context.Context, client *api.Client) (string, error) {
	answer, err := client.Do(ctx, http.MethodGet, "/livez?verbose", nil)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(answer.Body)) {
		if strings.Contains(line, ownCheck) {
			return strings.TrimSpace(line), nil
		}
	}
	return "", nil
}

// check compares what was seen with what is known.
func (e *Ending) check(minor int) error {
	var differences []string
	for i, column := range e.Columns {
		for j, r := range rows {
			want := []Codes{r.well}
			if i == 2 {
				want = r.past(minor)
			}
			if !among(column.Codes[j], want) {
				differences = append(differences, fmt.Sprintf("%s, %s: %s gave %s, not %v", column.Title[0], column.Title[1], r.title, column.Codes[j], want[0]))
			}
		}
	}
	if len(differences) > 0 {
		return fmt.Errorf("the story went otherwise:\n  %s", strings.Join(differences, "\n  "))
	}
	return nil
}

func among(codes Codes, all []Codes) bool {
	return slices.ContainsFunc(all, func(c Codes) bool { return slices.Equal(c, codes) })
}

const red, plain = "\x1b[31m", "\x1b[0m"

// print writes the table, at most 80 columns wide.
func (e *Ending) print(o Options) {
	line := func(title string, cells []string, paint func(int) bool) {
		fmt.Fprintf(o.Out, "%-28s", title)
		for i, cell := range cells {
			text := fmt.Sprintf("  %-13s", cell)
			if o.Colour && paint(i) {
				text = red + text + plain
			}
			fmt.Fprint(o.Out, text)
		}
		fmt.Fprintln(o.Out)
	}
	for part := range 2 {
		var titles []string
		for _, c := range e.Columns {
			titles = append(titles, c.Title[part])
		}
		line("", titles, func(int) bool { return false })
	}
	for j, r := range rows {
		var cells []string
		for _, c := range e.Columns {
			cell := c.Codes[j].String()
			if !slices.Equal(c.Codes[j], r.well) {
				cell += " !"
			}
			cells = append(cells, cell)
		}
		line(r.title, cells, func(i int) bool { return strings.HasSuffix(cells[i], "!") })
	}
	if e.Message != "" {
		fmt.Fprintf(o.Out, "\nIn the API server's words:\n%s\n", wrap(e.Message, 78))
	}
	if e.OwnCheck != "" {
		fmt.Fprintf(o.Out, "\nIts own check of that certificate counts how long the server has run, not what\nthe clock says, so it does not see the jump:\n  %s\n", e.OwnCheck)
	}
}

// wrap breaks text between words, indented by two.
func wrap(text string, width int) string {
	var lines []string
	line := " "
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > width && line != " " {
			lines, line = append(lines, line), " "
		}
		line += " " + word
	}
	return strings.Join(append(lines, line), "\n")
}

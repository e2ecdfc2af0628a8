// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cli_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"perennial.dev/perennial/internal/testnode"
	"perennial.dev/perennial/internal/timeline"
)

// terminal is a pseudo terminal, and what stands on it.
type terminal struct {
	t            *testing.T
	ours, theirs *os.File

	mu     sync.Mutex
	rows   map[int][]rune
	line   int
	column int
	raw    []byte // everything that was written
	modes  map[string]bool
}

func newTerminal(t *testing.T, width, height int) *terminal {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { ours.Close() })
	if err := unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { theirs.Close() })
	c := &terminal{t: t, ours: ours, theirs: theirs, rows: map[int][]rune{}, modes: map[string]bool{}}
	c.resize(width, height)
	go c.read()
	return c
}

// resize changes the size; the kernel tells the programs of the terminal.
func (c *terminal) resize(width, height int) {
	c.t.Helper()
	if err := unix.IoctlSetWinsize(int(c.ours.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(height), Col: uint16(width)}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *terminal) settings() unix.Termios {
	c.t.Helper()
	s, err := unix.IoctlGetTermios(int(c.theirs.Fd()), unix.TCGETS)
	if err != nil {
		c.t.Fatal(err)
	}
	return *s
}

// start runs the program with this as its terminal.
func (c *terminal) start(environment []string, args ...string) *exec.Cmd {
	c.t.Helper()
	cmd := product(c.t, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.theirs, c.theirs, c.theirs
	cmd.Env = append(append(os.Environ(), "TERM=xterm-256color", "NO_COLOR="), environment...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	return cmd
}

func (c *terminal) press(keys string) {
	c.t.Helper()
	if _, err := c.ours.WriteString(keys); err != nil {
		c.t.Fatal(err)
	}
}

// read understands what the program writes, as far as it may write it: anything else
// fails.
func (c *terminal) read() {
	in := bufio.NewReader(c.ours)
	for {
		r, _, err := in.ReadRune()
		if err != nil {
			return
		}
		c.mu.Lock()
		c.raw = utf8.AppendRune(c.raw, r)
		switch r {
		case '\x1b':
			c.control(in)
		case '\n':
			c.line++
		case '\r':
			c.column = 0
		default:
			row := c.rows[c.line]
			for len(row) <= c.column {
				row = append(row, ' ')
			}
			row[c.column] = r
			c.rows[c.line] = row
			c.column++
		}
		c.mu.Unlock()
	}
}

func (c *terminal) control(in *bufio.Reader) {
	sequence := ""
	for {
		b, err := in.ReadByte()
		if err != nil {
			return
		}
		c.raw = append(c.raw, b)
		sequence += string(b)
		if len(sequence) > 1 && (b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z') {
			break
		}
	}
	last, arguments := sequence[len(sequence)-1], strings.Trim(sequence[1:len(sequence)-1], "?")
	switch last {
	case 'H':
		line, column, _ := strings.Cut(arguments, ";")
		c.line, _ = strconv.Atoi(line)
		c.column, _ = strconv.Atoi(column)
		c.line, c.column = c.line-1, c.column-1
	case 'K':
		c.rows[c.line] = c.rows[c.line][:min(len(c.rows[c.line]), c.column)]
	case 'J':
		c.rows = map[int][]rune{}
	case 'h', 'l':
		c.modes[arguments] = last == 'h'
	case 'm':
	default:
		c.t.Errorf("the program writes the control sequence %q", sequence)
	}
}

// lines are what is on the screen.
func (c *terminal) lines() (all []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := range 200 {
		all = append(all, strings.TrimRight(string(c.rows[n]), " "))
	}
	for len(all) > 0 && all[len(all)-1] == "" {
		all = all[:len(all)-1]
	}
	return all
}

func (c *terminal) written() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.raw)
}

// until waits for a screen.
func (c *terminal) until(what string, is func(lines []string) bool) []string {
	c.t.Helper()
	for end := time.Now().Add(hangs); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if lines := c.lines(); is(lines) {
			return lines
		}
	}
	c.t.Fatalf("%s does not come:\n%s", what, strings.Join(c.lines(), "\n"))
	return nil
}

func shows(word string) func([]string) bool {
	return func(lines []string) bool { return strings.Contains(strings.Join(lines, "\n"), word) }
}

func fitting(width, height int) func([]string) bool {
	return func(lines []string) bool {
		return len(lines) == height && !slices.ContainsFunc(lines, func(l string) bool { return utf8.RuneCountInString(l) > width })
	}
}

func ended(t *testing.T, cmd *exec.Cmd, want int) {
	t.Helper()
	err := cmd.Wait()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		t.Errorf("exit code %d, want %d", got, want)
	}
}

// TestWatchOnATerminal looks at what a person sees: a report that follows what
// happens and the size of the window, that leaves alone what has not changed, and a
// terminal that is afterwards as it was.
func TestWatchOnATerminal(t *testing.T) {
	n := testnode.New(t, testnode.Options{Key: "ed25519"})
	c := newTerminal(t, 100, 30)
	before := c.settings()
	cmd := c.start(nil, "check", "--config", settings(t), "--root", n.Root, "--watch", "--interval", "1s")
	lines := c.until("the report", shows("CREDENTIAL"))
	c.until("a screen of 100 columns", fitting(100, 30))
	if !strings.Contains(lines[len(lines)-1], "q ends") || !c.modes["1049"] || c.modes["25"] {
		t.Errorf("the last line is %q, the modes %v", lines[len(lines)-1], c.modes)
	}
	c.mu.Lock()
	colourful := colours.Match(c.raw)
	c.mu.Unlock()
	if !colourful {
		t.Error("it has no colours")
	}

	// Nothing changes but the time of the look.
	was := lines[len(lines)-1]
	later := func(lines []string) bool { return len(lines) > 0 && lines[len(lines)-1] != was }
	c.until("another look", later)
	quiet := c.written()
	was = c.lines()[len(c.lines())-1]
	c.until("one more look", later)
	if wrote := c.written() - quiet; wrote > 200 {
		t.Errorf("%d bytes for a look that saw nothing new", wrote)
	}

	for _, size := range [][2]int{{40, 20}, {200, 60}, {60, 12}, {1, 1}, {40, 24}} {
		c.resize(size[0], size[1])
		if size[0] > 20 {
			c.until(fmt.Sprintf("a screen of %d x %d", size[0], size[1]), fitting(size[0], size[1]))
		}
	}
	if err := os.Chmod(n.Path(pki+"/etcd/server.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	c.until("the change", shows("KeyReadable"))
	c.press("G")
	c.until("the end of the report", shows("explain"))
	c.press("\x1b[H")
	c.until("its beginning", shows("Looked at"))
	c.press("q")
	ended(t, cmd, timeline.ExitDue)
	c.left(before)
}

// left wants the terminal as it was.
func (c *terminal) left(before unix.Termios) {
	c.t.Helper()
	if after := c.settings(); after != before {
		c.t.Errorf("the terminal's settings were\n%+v\nand are\n%+v", before, after)
	}
	for end := time.Now().Add(hangs); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		c.mu.Lock()
		good := !c.modes["1049"] && c.modes["25"] && c.modes["7"] && !c.modes["2026"]
		c.mu.Unlock()
		if good {
			return
		}
	}
	c.t.Errorf("the terminal is left with the modes %v", c.modes)
}

var colours = regexp.MustCompile(`\x1b\[[0-9;]*m`)

func TestWatchIsInterrupted(t *testing.T) {
	n := testnode.New(t, testnode.Options{Key: "ed25519"})
	for name, end := range map[string]func(*terminal, *exec.Cmd){
		"Ctrl-C":  func(c *terminal, _ *exec.Cmd) { c.press("\x03") },
		"SIGTERM": func(_ *terminal, cmd *exec.Cmd) { _ = cmd.Process.Signal(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newTerminal(t, 80, 24)
			before := c.settings()
			cmd := c.start([]string{"NO_COLOR=1"}, "check", "--config", settings(t), "--root", n.Root, "-w")
			c.until("the report", shows("CREDENTIAL"))
			end(c, cmd)
			ended(t, cmd, timeline.ExitInterrupted)
			c.left(before)
			if colours.Match(c.raw) {
				t.Error("it has colours")
			}
		})
	}
}

// Where there is no terminal, each change is a report of its own.
func TestWatchWithoutATerminal(t *testing.T) {
	n := testnode.New(t, testnode.Options{Key: "ed25519"})
	cmd := product(t, "check", "--config", settings(t), "--root", n.Root, "-w", "--interval", "1s", "-o", "yaml")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	reports := make(chan string)
	go func() {
		defer close(reports)
		var report strings.Builder
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if lines.Text() == "verdict: ok" || lines.Text() == "verdict: due" { // the last line
				reports <- report.String() + lines.Text()
				report.Reset()
				continue
			}
			report.WriteString(lines.Text() + "\n")
		}
	}()
	first := <-reports
	if !strings.HasPrefix(first, "apiVersion:") || !strings.HasSuffix(first, "verdict: ok") {
		t.Errorf("the first report is\n%.300s", first)
	}
	select {
	case again := <-reports:
		t.Errorf("nothing has changed, and it says\n%.300s", again)
	case <-time.After(2500 * time.Millisecond): // two looks or more
	}
	if err := os.Chmod(n.Path(pki+"/etcd/server.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	second := <-reports
	if !strings.HasPrefix(second, "---\napiVersion:") || !strings.Contains(second, "KeyReadable") {
		t.Errorf("the second report is\n%.300s", second)
	}
	_ = cmd.Process.Signal(syscall.SIGINT)
	for range reports {
	}
	ended(t, cmd, timeline.ExitInterrupted)
}

func TestWhatCannotBeWatched(t *testing.T) {
	for _, args := range [][]string{
		{"-o", "sarif"}, {"-o", "prometheus"}, {"--interval", "10ms"}, {"--replay", "x"}, {"--record", "x"}, {"--to", "1.37", "-f", "-"},
	} {
		if got := run(t, append([]string{"check", "-w"}, args...)...); got.exit != timeline.ExitUsage || got.out != "" {
			t.Errorf("check -w %q: exit code %d: %s", args, got.exit, got.errors)
		}
	}
}

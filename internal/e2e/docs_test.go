// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"perennial.dev/perennial/internal/docs"
	"perennial.dev/perennial/internal/fact"
)

// TestDocs runs every command line of the pages, in their order, on one control plane
// in the places of a node: /etc/kubernetes, /var/lib, /run and what else a command
// writes to are this test's own, and what a page leaves open is put in from the tables
// beside it. What takes a real node, or a whole run of CI, is named with the test that
// runs the same. There is no third way: a command in neither place fails.
func TestDocs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: the commands are run in the places of a node")
	}
	if out, err := exec.Command("unshare", "--mount", "true").CombinedOutput(); err != nil {
		t.Skipf("needs a mount namespace, which this machine does not allow: %s", out)
	}
	for _, version := range versions(t) {
		if minor(version) >= upgradedTo {
			t.Logf("%s is left out: the pages look at the way to 1.%d", version, upgradedTo)
			continue
		}
		t.Run(version, func(t *testing.T) {
			g := newGuide(up(t, version))
			all, err := docs.Commands(os.DirFS(repository))
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range all {
				g.follow(c, all)
			}
			g.end()
		})
		return
	}
	t.Skip("needs a control plane of a minor before those that the pages lead to")
}

const (
	repository = "../.."
	upgradedTo = 37
)

// guide follows the pages.
type guide struct {
	*machine
	work  string // where the commands are run
	disk  string // what /mnt is
	plans []string
	dirs  int
	known map[string]bool   // lines that were followed
	shell map[string]string // what a page's lines before have set up, by page
	late  []docs.Command    // what takes the control plane away

	ending                 bool
	ran, elsewhere, spoken int
}

// follow runs a command line, unless the same was run before or is run elsewhere.
func (g *guide) follow(c docs.Command, all []docs.Command) {
	g.Helper()
	if !c.Inline && sets.MatchString(c.Text) {
		g.shell[c.Page] += g.fill(c.Text, "", rule{put: ofTheLab}) + "\n"
	}
	if !slices.ContainsFunc(c.Calls, ours) {
		return
	}
	line := plain(c.Text)
	if g.known[line] && g.shell[c.Page] == "" { // in one shell each line may find something else
		return
	}
	e, is := elsewhere[line]
	if !is && c.Inline && begun(line, all) {
		g.spoken++
		return
	}
	g.known[line] = true
	switch {
	case is:
		g.elsewhere++
		if err := e.runs(c.Calls[0]); err != nil {
			g.Errorf("%s:%d: %s: %v", c.Page, c.Line, c.Text, err)
		}
	default:
		g.ran++
		g.run(c, line)
	}
}

// sets is a line that changes the shell for those behind it.
var sets = regexp.MustCompile(`^(?:export|eval|cd) `)

// ours leaves out the scripts of bench/, which measure for hours.
func ours(c docs.Call) bool {
	return c.Program == docs.Perennial || c.Program == docs.Plugin || c.Program == docs.Make || c.Program == docs.Lab
}

var (
	rights   = regexp.MustCompile(`\bsudo `)
	built    = regexp.MustCompile(`(^|[ (])bin/(perennial|lab)\b`)
	distance = regexp.MustCompile(` {2,}`)
)

// plain is a line by which it is known again.
func plain(text string) string {
	return distance.ReplaceAllString(built.ReplaceAllString(rights.ReplaceAllString(text, ""), "$1$2"), " ")
}

// begun says whether a sentence only names what another line begins with: then that
// line is what is run.
func begun(line string, all []docs.Command) bool {
	return !alone[line] && slices.ContainsFunc(all, func(c docs.Command) bool {
		return strings.HasPrefix(plain(c.Text), line+" ")
	})
}

// trouble is what no command may say.
var trouble = regexp.MustCompile(`panic:|goroutine \d+ \[|unknown (?:command|flag|shorthand)|not found in PATH|command not found`)

// open is what nobody has put in: a word in capitals, a minor without its number.
var open = regexp.MustCompile(`(?:^|[ =/])(?:[A-Z]{2,}(?:\.tar)?)(?: |$)|1\.N`)

func (g *guide) run(c docs.Command, line string) {
	g.Helper()
	r := ruleOf(c, line)
	if r.last && !g.ending {
		g.late = append(g.late, c)
		return
	}
	text := g.fill(c.Text, line, r)
	if m := open.FindString(text); m != "" {
		g.Errorf("%s:%d: %s: what is %q? Say it in the table", c.Page, c.Line, c.Text, m)
		return
	}
	if r.before != nil {
		r.before(g)
	}
	start := time.Now()
	said, code := g.typed(g.shell[c.Page]+text, r.until)
	if took := time.Since(start); took > 2*time.Second {
		g.Logf("%s:%d: %s took %s", c.Page, c.Line, c.Text, took.Round(100*time.Millisecond))
	}
	if want := r.codes(line); !slices.Contains(want, code) {
		g.Errorf("%s:%d: %s: exit code %d, want one of %v\n%s", c.Page, c.Line, text, code, want, fact.Text(last(said)))
	}
	if m := trouble.FindString(said); m != "" {
		g.Errorf("%s:%d: %s: it says %q:\n%s", c.Page, c.Line, text, m, fact.Text(last(said)))
	}
	if !strings.Contains(said, r.says) {
		g.Errorf("%s:%d: %s: it does not say %q:\n%s", c.Page, c.Line, text, r.says, fact.Text(last(said)))
	}
	if m := toldOf.FindStringSubmatch(said); m != nil && !strings.Contains(text, " --state ") {
		g.plans = append(g.plans, m[1])
	}
}

// toldOf is the plan that was done.
var toldOf = regexp.MustCompile(`perennial history show (\S+) tells what; perennial undo`)

func last(said string) string {
	const enough = 1500
	if len(said) > enough {
		return "..." + said[len(said)-enough:]
	}
	return said
}

// fill puts in what the page leaves open, and says yes where it is asked.
func (g *guide) fill(text, line string, r rule) string {
	g.Helper()
	for _, p := range slices.Concat(r.put, everywhere) {
		text = p.what.ReplaceAllStringFunc(text, func(string) string { return p.by(g) })
	}
	if asks.MatchString(line) && !answered.MatchString(line) {
		text += " --yes"
	}
	return text + r.further
}

var (
	asks     = regexp.MustCompile(`^perennial (?:renew|restart|undo|prepare (?:podsecurity|cronjobs)|agent (?:un)?install|checkpoint (?:create|prune))\b`)
	answered = regexp.MustCompile(` (?:--yes|-y|--dry-run)\b`)
)

const guideScript = `set -e
for at in /etc /run /var/lib /usr/share /mnt; do mount --bind "$0$at" $at; done
mount --bind "$0/bin" /usr/local/bin
mount --bind "$1" /etc/kubernetes
mount --bind "$2" /mnt/disk
cd "$0/desk"
exec bash -c "$3"
`

// typed runs a line in a shell, and returns what it said and its exit code. What does
// not end by itself is interrupted once it has said something.
func (g *guide) typed(line, until string) (string, int) {
	g.Helper()
	ctx, cancel := context.WithTimeout(g.Context(), 5*time.Minute)
	defer cancel()
	var out syncBuffer
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "sh", "-c", guideScript, g.dir, g.KubernetesDir, g.disk, "set -o pipefail\n"+line)
	cmd.Stdout, cmd.Stderr, cmd.Env = &out, &out, g.environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		g.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	var err error
	for waiting := true; waiting; {
		select {
		case err = <-done:
			waiting = false
		case <-time.After(20 * time.Millisecond):
			if until != "" && strings.Contains(out.String(), until) {
				until = ""
				_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
			}
		}
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		g.Fatalf("%s: %v\n%s", line, err, out.String())
	}
	if ctx.Err() != nil {
		g.Errorf("%s: it does not end", line)
	}
	if until != "" {
		g.Errorf("%s: it ends before it says %q", line, until)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

func (g *guide) environment() []string {
	return []string{
		"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:" + os.Getenv("PATH"), "HOME=" + g.dir + "/home", "TMPDIR=" + g.dir + "/tmp", "TERM=dumb", "TZ=UTC", "LANG=C.UTF-8",
		"LAB_NAME=" + g.Lab, "LAB_CACHE=" + labCache(g.T), "SOURCE_DATE_EPOCH=1795392000",
	}
}

func labCache(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("LAB_CACHE"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "perennial-lab")
}

// end holds the tables to the pages: nothing stays in them that no page says any more.
func (g *guide) end() {
	g.Helper()
	g.ending = true
	for _, c := range g.late {
		g.run(c, plain(c.Text))
	}
	for line := range elsewhere {
		if !g.known[line] {
			g.Errorf("the table of what is run elsewhere has %q, which no page says", line)
		}
	}
	for _, r := range rules {
		if !r.used(g.known) {
			g.Errorf("the table has a rule for %q, which no page says", r.line)
		}
	}
	g.Logf("%d command lines were run, %d are run elsewhere, %d are only spoken of", g.ran, g.elsewhere, g.spoken)
	if g.ran < 100 {
		g.Error("so few were run that some are overlooked")
	}
}

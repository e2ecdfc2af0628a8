// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/page"
)

// asPage writes a report as a page.
func asPage(w io.Writer, o output) error { return page.Write(w, o.all, page.Options{}) }

// opener shows a report as a page in the user's browser, too.
type opener struct{ open bool }

func (o *opener) addFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.open, "open", false, "also write it as a page to a private file, and open that in a browser (as root: say where it lies)")
}

// show writes the page to a file that nobody else can read and opens it.
func (o *opener) show(ctx context.Context, s Streams, out output) error {
	if !o.open {
		return nil
	}
	name, err := privatePage(out)
	if err != nil {
		return err
	}
	d := desktop{system: runtime.GOOS, uid: os.Geteuid(), getenv: s.Getenv, find: exec.LookPath}
	program, why := d.browser()
	if why == "" {
		why = launch(ctx, launchTimeout, program, name)
	}
	if why == "" {
		fmt.Fprintf(s.Err, "the page is %s\n", fact.Text(name))
		return nil
	}
	host, err := os.Hostname()
	if err != nil {
		host = "HOST"
	}
	fmt.Fprintf(s.Err, "the page is %s; it was not opened: %s\nhint: %s\n", fact.Text(name), fact.Text(why), fact.Text(d.copying(name, host)))
	return nil
}

// privatePage writes the page into a new directory of its own.
func privatePage(out output) (string, error) {
	dir, err := os.MkdirTemp("", "perennial-") // for its owner alone
	if err != nil {
		return "", fmt.Errorf("making a place for the page: %w", err)
	}
	name := filepath.Join(dir, "timeline.html")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		err = errors.Join(asPage(f, out), f.Close())
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("writing the page to %s: %w", name, err), os.RemoveAll(dir))
	}
	return name, nil
}

// desktop is what there is to show a page with.
type desktop struct {
	system string // as Go calls it
	uid    int
	getenv func(string) string
	find   func(program string) (string, error)
}

// browser is the program that opens a page, or why there is none. Root's browser
// would run what it shows with root's rights, and leave root's files behind.
func (d desktop) browser() (program, why string) {
	if d.uid == 0 {
		return "", "no browser is started as root"
	}
	name := "xdg-open"
	switch {
	case d.system == "darwin":
		name = "open"
	case d.getenv("DISPLAY") == "" && d.getenv("WAYLAND_DISPLAY") == "":
		return "", "there is no display here (DISPLAY and WAYLAND_DISPLAY are not set)"
	}
	program, err := d.find(name)
	if err != nil {
		return "", name + " is not installed"
	}
	return program, ""
}

// copying is how the page comes to where somebody can look at it.
func (d desktop) copying(name, host string) string {
	name, host = word(name), word(host)
	switch user := d.getenv("SUDO_USER"); {
	case d.uid == 0 && user != "" && user != "root" && d.getenv("SSH_CONNECTION") == "":
		return fmt.Sprintf("sudo install -m 0600 -o %s %s perennial.html, and open that", word(user), name)
	case d.uid == 0:
		return fmt.Sprintf("where the browser is: ssh %s sudo cat %s >perennial.html", host, name)
	}
	return fmt.Sprintf("where the browser is: scp %s:%s perennial.html", host, name)
}

// word makes one word of a shell of what comes from the environment.
func word(s string) string {
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("/._-", r):
		default:
			return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
		}
	}
	return s
}

// launchTimeout is how long a browser may take to say that it cannot: one that is not
// running yet does not end before it is closed.
const launchTimeout = 2 * time.Second

// launch starts a program that shows something, in a session of its own so that it
// stays when the terminal goes. It returns why that failed.
func launch(ctx context.Context, patience time.Duration, program, target string) string {
	cmd := exec.Command(program, target)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err.Error()
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			return filepath.Base(program) + ": " + err.Error()
		}
	case <-time.After(patience):
	case <-ctx.Done():
	}
	return ""
}

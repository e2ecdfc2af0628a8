// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestBrowserOfADesktop(t *testing.T) {
	found := func(name string) (string, error) { return "/usr/bin/" + name, nil }
	none := func(string) (string, error) { return "", errors.New("not found") }
	for _, c := range []struct {
		name         string
		d            desktop
		env          map[string]string
		program, why string
	}{
		{"a Linux desktop", desktop{system: "linux", uid: 1000, find: found}, map[string]string{"DISPLAY": ":0"}, "/usr/bin/xdg-open", ""},
		{"Wayland alone", desktop{system: "linux", uid: 1000, find: found}, map[string]string{"WAYLAND_DISPLAY": "wayland-0"}, "/usr/bin/xdg-open", ""},
		{"a Mac", desktop{system: "darwin", uid: 501, find: found}, nil, "/usr/bin/open", ""},
		{"root on a desktop", desktop{system: "linux", find: found}, map[string]string{"DISPLAY": ":0"}, "", "no browser is started as root"},
		{"root on a Mac", desktop{system: "darwin", find: found}, nil, "", "no browser is started as root"},
		{"a server", desktop{system: "linux", uid: 1000, find: found}, nil, "", "there is no display here"},
		{"nothing installed", desktop{system: "linux", uid: 1000, find: none}, map[string]string{"DISPLAY": ":0"}, "", "xdg-open is not installed"},
	} {
		c.d.getenv = func(name string) string { return c.env[name] }
		if program, why := c.d.browser(); program != c.program || !strings.HasPrefix(why, c.why) || (why == "") != (c.why == "") {
			t.Errorf("%s: %q, %q; want %q, %q", c.name, program, why, c.program, c.why)
		}
	}
}

func TestCopyingThePage(t *testing.T) {
	const name = "/tmp/perennial-1/timeline.html"
	for _, c := range []struct {
		uid        int
		env        map[string]string
		name, want string
	}{
		{0, nil, name, "where the browser is: ssh cp1 sudo cat /tmp/perennial-1/timeline.html >perennial.html"},
		{0, map[string]string{"SUDO_USER": "alice"}, name, "sudo install -m 0600 -o alice /tmp/perennial-1/timeline.html perennial.html, and open that"},
		{0, map[string]string{"SUDO_USER": "alice; reboot"}, name, "sudo install -m 0600 -o 'alice; reboot' /tmp/perennial-1/timeline.html perennial.html, and open that"},
		{0, map[string]string{"SUDO_USER": "alice", "SSH_CONNECTION": "x"}, name, "where the browser is: ssh cp1 sudo cat /tmp/perennial-1/timeline.html >perennial.html"},
		{0, map[string]string{"SUDO_USER": "root"}, name, "where the browser is: ssh cp1 sudo cat /tmp/perennial-1/timeline.html >perennial.html"},
		{1000, nil, name, "where the browser is: scp cp1:/tmp/perennial-1/timeline.html perennial.html"},
		{1000, nil, "/tmp/a b/t.html", "where the browser is: scp cp1:'/tmp/a b/t.html' perennial.html"},
	} {
		d := desktop{uid: c.uid, getenv: func(name string) string { return c.env[name] }}
		if got := d.copying(c.name, "cp1"); got != c.want {
			t.Errorf("%d %v: %s, want %s", c.uid, c.env, got, c.want)
		}
	}
}

func TestLaunch(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "xdg-open")
	for _, c := range []struct{ script, why string }{{"exit 3", "xdg-open: exit status 3"}, {"exit 0", ""}} {
		if err := os.WriteFile(program, []byte("#!/bin/sh\n"+c.script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if why := launch(t.Context(), time.Hour, program, "x"); why != c.why {
			t.Errorf("%s: %q, want %q", c.script, why, c.why)
		}
	}
	if why := launch(t.Context(), time.Hour, filepath.Join(dir, "missing"), "x"); !strings.Contains(why, "no such file") {
		t.Errorf("a program that is not there: %q", why)
	}
	// One that goes on is left alone.
	if err := os.WriteFile(program, []byte("#!/bin/sh\nread line <"+fifo(t, dir)+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if why := launch(t.Context(), 0, program, "x"); why != "" {
		t.Errorf("one that goes on: %q", why)
	}
}

// fifo is something to read from that says nothing until the test ends.
func fifo(t *testing.T, dir string) string {
	name := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // lets the reader go; it may not have come yet
		if f, err := os.OpenFile(name, os.O_RDWR, 0); err == nil {
			_, _ = f.WriteString("end\n")
			t.Cleanup(func() { _ = f.Close() })
		}
	})
	return name
}

// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
)

// Each bad input is the right fact or the right Unseen. A want is required
// here: a flag names the file.
func TestBadFiles(t *testing.T) {
	m := newMachine(t)
	cert, key := m.pair("good")
	for _, c := range []struct {
		name    string
		make    func(p string)
		why     fact.Why // of an Unseen; empty where a File is wanted
		missing bool
		problem string
		certs   int
	}{
		{name: "good", make: write(cert), certs: 1},
		{name: "several", make: write(cert + key + cert), certs: 2},
		{name: "text around", make: write("subject=x\r\n" + strings.ReplaceAll(cert, "\n", "\r\n") + "\r\nend"), certs: 1},
		{name: "empty", make: write(""), problem: "empty"},
		{name: "truncated", make: write(cert[:len(cert)/2]), problem: "block 1"},
		{name: "one of two truncated", make: write(cert + cert[:len(cert)/2]), certs: 1, problem: "block 2"},
		{name: "text", make: write("hello\n"), problem: "no PEM block"},
		{name: "zeros", make: write(strings.Repeat("\x00", 4096)), problem: "no PEM block"},
		{name: "not a certificate", make: write("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), problem: "not a certificate"},
		{name: "many", make: write(strings.Repeat(cert, 10_000)), certs: 1000},
		{name: "broken kubeconfig", make: write("kind: Config\nusers: [\nclusters: {\n"), problem: ""},
		{name: "directory", make: func(p string) { must(t, os.Mkdir(p, 0o755)) }, problem: "is a directory"},
		{name: "pipe", make: func(p string) { must(t, syscall.Mkfifo(p, 0o644)) }, problem: "named pipe"},
		{name: "socket", make: func(p string) {
			l, err := net.Listen("unix", p)
			must(t, err)
			t.Cleanup(func() { l.Close() })
		}, problem: "socket"},
		{name: "device", make: func(p string) {
			if err := syscall.Mknod(p, syscall.S_IFCHR|0o666, 1<<8|5); err != nil {
				must(t, syscall.Mkfifo(p, 0o644)) // only root makes devices
			}
		}, problem: ", not a file"},
		{name: "loop", make: func(p string) { must(t, os.Symlink("loop", p)) }, problem: "symbolic links"},
		{name: "dangling", make: func(p string) { must(t, os.Symlink("/gone", p)) }, missing: true},
		{name: "absent", make: func(string) {}, missing: true},
		{name: "below a file", make: func(p string) {}, missing: true},
		{name: "sparse", make: func(p string) { write("")(p); must(t, os.Truncate(p, 100<<20)) }, why: fact.TooLarge},
		{name: "not UTF-8 \xff\xfe\x1b[31m", make: write(cert), certs: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.make(m.path(c.name))
			path := "/" + c.name
			if c.name == "below a file" {
				path = "/good/below"
			}
			facts, unseen := look(t.Context(), named(t, "files"), m.scope(layout.Want{Verb: layout.LookFile, Path: path, Required: true}))
			if len(facts)+len(unseen) != 1 {
				t.Fatalf("%+v, %+v", facts, unseen)
			}
			if len(unseen) == 1 {
				if u := unseen[0]; u.Why != c.why || string(u.What) != path {
					t.Errorf("%+v", u)
				}
				return
			}
			f := facts[0].(fact.File)
			if c.why != "" || f.Missing != c.missing || len(f.Certs) != c.certs || !strings.Contains(string(f.Problem), c.problem) {
				t.Errorf("missing %v, %d certificates, problem %q", f.Missing, len(f.Certs), f.Problem)
			}
			if clean := c.certs > 0 && c.problem == ""; clean && f.Omitted == 0 && f.Problem != "" || !clean && !c.missing && f.Problem == "" {
				t.Errorf("problem %q", f.Problem)
			}
			if f.Path != path || c.name == "dangling" && f.Meta.Target != "/gone" {
				t.Errorf("%+v", f)
			}
		})
	}
}

func write(content string) func(string) {
	return func(p string) {
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			panic(err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What only its name made interesting is nothing when it is no credential, and
// something when it is a broken one.
func TestSweptFiles(t *testing.T) {
	m := newMachine(t)
	cert, key := m.pair("swept")
	for name, c := range map[string]struct {
		content string
		want    bool
	}{
		"cert.crt":      {cert, true},
		"key.pem":       {key, true},
		"admin.conf":    {m.kubeconfig("admin"), true},
		"truncated.crt": {cert[:len(cert)-40], true},
		"broken.conf":   {"kind: Config\nusers: [\n", true},
		"sysctl.conf":   {"net.ipv4.ip_forward = 1\n", false},
		"empty.crt":     {"", false},
		"indented.conf": {"data: |\n  -----BEGIN CERTIFICATE-----\n  AAAA\n", false},
	} {
		m.put(name, c.content)
		facts, unseen := look(t.Context(), named(t, "files"), m.scope(layout.Want{Verb: layout.LookFile, Path: "/" + name, Sweep: true}))
		if len(unseen) != 0 || (len(facts) == 1) != c.want {
			t.Errorf("%s: %v, %v", name, facts, unseen)
		}
	}
}

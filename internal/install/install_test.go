// SPDX-License-Identifier: Apache-2.0

package install_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/install"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/pki"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/testnode"
	"perennial.dev/perennial/internal/unit"
	"perennial.dev/perennial/internal/workbench"
)

// site is a made node with the program in its place, and systemd's directory.
type site struct {
	*testnode.Node
	*testing.T
	install.Options
}

func newSite(t *testing.T, o testnode.Options) *site {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: what is installed belongs to it")
	}
	n := testnode.New(t, o)
	s := &site{Node: n, T: t, Options: install.Options{
		Root: n.Root, KubernetesDir: layout.DefaultKubernetesDir, Program: install.Program, Form: unit.Daemon, Systemd: true,
		Now: func() time.Time { return testnode.Start.Add(time.Hour) }, Rand: rand.Reader,
	}}
	if err := os.Chmod(n.Root, 0o755); err != nil {
		t.Fatal(err)
	}
	n.Write(install.Program, 0o755, []byte("#!/bin/sh\n"))
	for _, dir := range []string{unit.Dir, "/run", "/var/lib"} {
		if err := os.MkdirAll(n.Path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *site) plan() *install.Installation {
	s.T.Helper()
	todo, err := install.Plan(context.Background(), s.Options)
	if err != nil {
		s.Fatal(err)
	}
	return todo
}

func (s *site) does(todo *install.Installation) {
	s.T.Helper()
	if err := todo.Do(context.Background(), s.Options, func(install.Item) {}); err != nil {
		s.Fatal(err)
	}
}

func (s *site) removes(purge bool) {
	s.T.Helper()
	todo, err := install.PlanRemoval(context.Background(), install.RemoveOptions{Options: s.Options, Purge: purge})
	if err != nil {
		s.Fatal(err)
	}
	s.does(todo)
}

// tree is everything in the root, with its mode and content.
func (s *site) tree() map[string]string {
	s.T.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(s.Node.Root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content := ""
		if d.Type().IsRegular() {
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			content = fact.Digest(data)
		}
		all[strings.TrimPrefix(name, s.Node.Root)] = info.Mode().String() + " " + content
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
	return all
}

// added are the paths that one tree has beyond another.
func added(before, after map[string]string) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if before[name] != after[name] {
			names = append(names, strings.Fields(after[name])[0]+" "+name)
		}
	}
	return names
}

// What is installed, nothing beyond it; installing again changes nothing; and what
// is taken away leaves what was there before.
func TestInstallAndUninstall(t *testing.T) {
	s := newSite(t, testnode.Options{})
	before := s.tree()
	s.does(s.plan())
	var got []string
	for _, name := range added(before, s.tree()) {
		if !strings.Contains(name, "/var/lib/perennial/") {
			got = append(got, name)
		}
	}
	want := []string{
		"drwxr-xr-x /etc/perennial", "-rw------- /etc/perennial/agent.conf", "-rw-r--r-- /etc/perennial/config.yaml",
		"-rw-r--r-- /etc/systemd/system/perennial-agent.service", "-rw-r--r-- /etc/systemd/system/perennial-finish.service",
		"drwx------ /run/perennial", "-rw------- /run/perennial/lock", "drwx------ /var/lib/perennial",
	}
	if !slices.Equal(got, want) {
		t.Errorf("installed\n%s", strings.Join(got, "\n"))
	}
	installed := s.tree()
	for _, i := range s.plan().Items {
		if i.Do != install.Keep && i.Do != install.Later {
			t.Errorf("again: %s %s", i.Do, i.What)
		}
	}
	s.does(s.plan())
	if again := added(installed, s.tree()); len(again) > 0 {
		t.Errorf("installing again changed %v", again)
	}
	link(t, s, "multi-user.target.wants", unit.AgentName)
	link(t, s, "multi-user.target.wants", unit.EndName)
	s.removes(false)
	if left := s.tree(); left[install.Settings] == "" || left[workbench.DefaultState] == "" || left[layout.AgentConfig] != "" {
		t.Errorf("without --purge, there is %v", added(before, left))
	}
	for range 2 {
		s.removes(true)
	}
	if err := os.Remove(s.Path(unit.Dir + "/multi-user.target.wants")); err != nil {
		t.Error(err) // a link was left
	}
	if left := added(before, s.tree()); len(left) > 0 || len(s.tree()) != len(before) {
		t.Errorf("left behind: %v", left)
	}
}

func link(t *testing.T, s *site, wants, name string) {
	t.Helper()
	dir := s.Path(unit.Dir + "/" + wants)
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.Symlink(unit.Dir+"/"+name, filepath.Join(dir, name))); err != nil {
		t.Fatal(err)
	}
}

// The identity is what the roles are bound to.
func TestIdentity(t *testing.T) {
	s := newSite(t, testnode.Options{})
	s.does(s.plan())
	conf, problem := pki.ReadKubeconfig(s.Node.Read(layout.AgentConfig), install.Etc)
	if problem != "" || len(conf.Users) != 1 || len(conf.Users[0].Certs) != 1 {
		t.Fatalf("%+v, %s", conf, problem)
	}
	leaf := conf.Users[0].Certs[0]
	if leaf.Subject.CommonName != "perennial:agent:cp1" || !slices.Equal(leaf.Subject.Organization, []string{pki.AgentGroup}) || conf.Clusters[0].Server != "https://192.0.2.10:6443" {
		t.Errorf("%v %v", leaf.Subject, conf.Clusters[0])
	}
	if !pki.Issued(fact.Cert{Certificate: s.CAs["ca"].Cert}, leaf) || !pki.KeyMatches(*conf.Users[0].Key, leaf) {
		t.Error("the cluster's CA has not signed it, or its key is another's")
	}
}

// A CA that is elsewhere signs a request; what it signed is put in place by
// installing again.
func TestExternalCA(t *testing.T) {
	s := newSite(t, testnode.Options{})
	s.Node.Remove(s.Dir + "/ca.key")
	todo := s.plan()
	if !slices.ContainsFunc(todo.Notes, func(n fact.Text) bool { return strings.Contains(string(n), "kubectl certificate approve") }) {
		t.Errorf("it does not say how it is signed: %q", todo.Notes)
	}
	s.does(todo)
	block, _ := pem.Decode(s.Node.Read(install.Requests + "/perennial-agent.conf.csr"))
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.Path(layout.AgentConfig)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is an identity that nobody signed: %v", err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: request.Subject, NotBefore: testnode.Start, NotAfter: testnode.Start.AddDate(0, 6, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, s.CAs["ca"].Cert, request.PublicKey, s.CAs["ca"].Key)
	if err != nil {
		t.Fatal(err)
	}
	s.WritePEM(install.Requests+"/perennial-agent.conf.crt", 0o644, "CERTIFICATE", der)
	s.does(s.plan())
	conf, problem := pki.ReadKubeconfig(s.Node.Read(layout.AgentConfig), install.Etc)
	if problem != "" || !pki.KeyMatches(*conf.Users[0].Key, conf.Users[0].Certs[0]) {
		t.Errorf("%s", problem)
	}
}

// Units that somebody else wrote or edited stay as they are, unless they are meant.
func TestEditedUnits(t *testing.T) {
	s := newSite(t, testnode.Options{})
	s.does(s.plan())
	at := unit.Dir + "/" + unit.AgentName
	s.Edit(at, "MemoryMax=512M", "MemoryMax=1G")
	_, err := install.Plan(t.Context(), s.Options)
	_, removing := install.PlanRemoval(t.Context(), install.RemoveOptions{Options: s.Options})
	for _, err := range []error{err, removing} {
		if err == nil || !strings.Contains(err.Error(), at) {
			t.Errorf("%v", err)
		}
	}
	s.Force = true
	s.does(s.plan())
	if strings.Contains(string(s.Node.Read(at)), "1G") {
		t.Error("--force has left it")
	}
}

// Of two forms one is installed.
func TestForms(t *testing.T) {
	s := newSite(t, testnode.Options{})
	units := func() (names []string) {
		entries, err := os.ReadDir(s.Path(unit.Dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	for range 2 {
		s.Form = unit.Timer
		s.does(s.plan())
		if got := units(); !slices.Equal(got, []string{unit.TimerName, unit.EndName, unit.LookName}) {
			t.Errorf("with a timer: %v", got)
		}
		s.Form = unit.Daemon
		s.does(s.plan())
		if got := units(); !slices.Equal(got, []string{unit.AgentName, unit.EndName}) {
			t.Errorf("as a daemon: %v", got)
		}
	}
}

// What systemd is told, by a systemctl that writes it down.
func TestSystemctl(t *testing.T) {
	s := newSite(t, testnode.Options{})
	bin, log := t.TempDir(), filepath.Join(t.TempDir(), "log")
	// It knows nothing of what is gone and has not failed.
	if err := os.WriteFile(filepath.Join(bin, "systemctl"), []byte("#!/bin/sh\nshift 2\necho \"$*\" >> "+log+"\n[ $1 != reset-failed ]\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	s.Running = true
	said := func() []string {
		t.Helper()
		data, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(log); err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(data)), "\n")
	}
	for _, c := range []struct {
		do   func()
		want []string
	}{
		{func() { s.does(s.plan()) }, []string{"daemon-reload", "enable perennial-finish.service perennial-agent.service", "restart perennial-agent.service"}},
		{func() { s.does(s.plan()) }, []string{"enable --now perennial-agent.service"}},
		{func() { s.Form = unit.Timer; s.does(s.plan()) }, []string{"disable --now perennial-agent.service", "daemon-reload",
			"enable perennial-finish.service perennial-agent.timer", "restart perennial-agent.timer", "reset-failed perennial-agent.service"}},
		{func() { s.removes(true) }, []string{"stop perennial-agent.timer perennial-look.service perennial-finish.service",
			"disable perennial-agent.timer perennial-finish.service", "daemon-reload", "reset-failed perennial-agent.timer perennial-look.service perennial-finish.service"}},
	} {
		c.do()
		if got := said(); !slices.Equal(got, c.want) {
			t.Errorf("it told systemd %q, want %q", got, c.want)
		}
	}
}

// The units, and what has to run in their place, look where the node has its files.
func TestAnotherDirectory(t *testing.T) {
	for _, systemd := range []bool{true, false} {
		s := newSite(t, testnode.Options{Worker: true})
		if err := errors.Join(os.MkdirAll(s.Path("/srv"), 0o755), os.Rename(s.Path(s.KubernetesDir), s.Path("/srv/k8s"))); err != nil {
			t.Fatal(err)
		}
		s.KubernetesDir, s.Systemd = "/srv/k8s/", systemd
		todo := s.plan()
		said := ""
		for _, n := range todo.Notes {
			said += string(n) + "\n"
		}
		for _, i := range todo.Items {
			said += i.Content
		}
		for _, command := range []string{"agent finish", "agent run"} {
			found := false
			for line := range strings.Lines(said) {
				if !strings.Contains(line, command) {
					continue
				}
				found = true
				if !strings.Contains(line, " --kubernetes-dir /srv/k8s") && !strings.Contains(line, " --kubernetes-dir '/srv/k8s'") {
					t.Errorf("systemd %v: it does not name the directory: %s", systemd, line)
				}
			}
			if !found {
				t.Errorf("systemd %v: nothing runs %q:\n%s", systemd, command, said)
			}
		}
	}
}

// What somebody has put beside the units is theirs, and it is said that it stays.
func TestDropIns(t *testing.T) {
	s := newSite(t, testnode.Options{})
	s.does(s.plan())
	own := unit.Dir + "/" + unit.AgentName + ".d/override.conf"
	s.Write(own, 0o644, []byte("[Service]\nNice=5\n"))
	todo, err := install.PlanRemoval(t.Context(), install.RemoveOptions{Options: s.Options, Purge: true})
	if err != nil || !slices.ContainsFunc(todo.Notes, func(n fact.Text) bool { return strings.Contains(string(n), filepath.Dir(own)+" stays") }) {
		t.Errorf("%v, %q", err, todo.Notes)
	}
	s.does(todo)
	if s.tree()[own] == "" {
		t.Error("it is gone")
	}
}

func TestWithoutSystemd(t *testing.T) {
	s := newSite(t, testnode.Options{})
	s.Systemd = false
	todo := s.plan()
	s.does(todo)
	if left, err := os.ReadDir(s.Path(unit.Dir)); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
	var text strings.Builder
	for _, n := range todo.Notes {
		text.WriteString(string(n) + "\n")
	}
	for _, want := range []string{install.Program + " agent finish", install.Program + " agent run", "OpenRC", "runit", "cron"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, &text)
		}
	}
}

// A program that others can replace would be theirs to run as root.
func TestProgramOfOthers(t *testing.T) {
	s := newSite(t, testnode.Options{})
	if err := os.Chmod(filepath.Dir(s.Path(install.Program)), 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := install.Plan(t.Context(), s.Options); err == nil || !strings.Contains(err.Error(), "/usr/local/bin/") {
		t.Errorf("%v", err)
	}
	s.Options.Program = "/opt/none"
	if _, err := install.Plan(t.Context(), s.Options); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// A worker has no API server, and its agent no identity for one.
func TestWorker(t *testing.T) {
	s := newSite(t, testnode.Options{Worker: true})
	todo := s.plan()
	s.does(todo)
	for _, i := range todo.Items {
		if strings.Contains(string(i.What), "agent.conf") || strings.Contains(string(i.What), "Role") {
			t.Errorf("%s %s", i.Do, i.What)
		}
	}
}

// What was cut off is finished before the agent goes, which would finish it.
func TestUninstallKeepsUnfinished(t *testing.T) {
	s := newSite(t, testnode.Options{})
	s.does(s.plan())
	journal := workbench.DefaultState + "/journal/journal.jsonl"
	lines := strings.SplitAfter(string(s.Node.Read(journal)), "\n")
	s.Node.Write(journal, 0o600, []byte(strings.Join(lines[:len(lines)-2], ""))) // without the end
	for _, purge := range []bool{false, true} {
		o := install.RemoveOptions{Options: s.Options, Purge: purge}
		if _, err := install.PlanRemoval(t.Context(), o); err == nil || !strings.Contains(err.Error(), "was cut off") {
			t.Errorf("purge %v: %v", purge, err)
		}
		o.Force = true
		if _, err := install.PlanRemoval(t.Context(), o); err != nil {
			t.Errorf("purge %v: %v", purge, err)
		}
	}
}

// Of the files that are kept for others it says where none can be written, and takes
// away those that the agent has written.
func TestFilesForOthers(t *testing.T) {
	s := newSite(t, testnode.Options{})
	const metrics, calendar = "/var/lib/node_exporter/perennial.prom", "/srv/www/deadlines.ics"
	s.Write(install.Settings, 0o644, []byte("apiVersion: perennial.dev/v1alpha1\nkind: Config\nagent: {textfile: "+metrics+", calendar: "+calendar+"}\n"))
	s.Write(metrics, 0o644, []byte(install.MetricsBegin+"verdict\n"))
	dir := filepath.Dir(s.Path(metrics))
	for _, c := range []struct {
		uid, gid int
		mode     os.FileMode
		said     string
	}{
		{12345, 12345, 0o755, "belongs to user 12345 (mode 0755)"}, {0, 0, 0o755, ""}, {12345, 0, 0o775, ""}, {12345, 12345, 0o777, ""}, {0, 0, 0o555, "belongs to user 0 (mode 0555)"}, {12345, 0, 0o755, "belongs to user 12345"},
	} {
		if err := errors.Join(os.Chown(dir, c.uid, c.gid), os.Chmod(dir, c.mode)); err != nil {
			t.Fatal(err)
		}
		notes := ""
		for _, n := range s.plan().Notes {
			notes += string(n) + "\n"
		}
		if !strings.Contains(notes, "/srv/www is not there") || strings.Contains(notes, "belongs to user") != (c.said != "") || !strings.Contains(notes, c.said) {
			t.Errorf("%+v: %s", c, notes)
		}
	}
	s.does(s.plan())
	s.Write(calendar, 0o644, []byte("somebody's own\n"))
	s.Write(unit.Cache+"/deadlines.ics", 0o644, []byte(install.CalendarBegin+"\n"))
	s.removes(false)
	left := s.tree()
	if left[metrics] != "" || left[unit.Cache] != "" || left[calendar] == "" {
		t.Errorf("metrics %q, %s %q, calendar %q", left[metrics], unit.Cache, left[unit.Cache], left[calendar])
	}
}

// What belongs to other users, and what the settings name, is what the units grant.
func TestGrants(t *testing.T) {
	s := newSite(t, testnode.Options{})
	s.Write("/home/anna/.kube/config", 0o600, s.Node.Read("/etc/kubernetes/admin.conf"))
	for _, name := range []string{s.Dir + "/etcd/server.crt", s.Dir + "/etcd/server.key"} {
		if err := os.Chown(s.Path(name), 12345, 12345); err != nil {
			t.Fatal(err)
		}
	}
	s.Write(install.Settings, 0o644, []byte("apiVersion: perennial.dev/v1alpha1\nkind: Config\ncopies: [/home/anna/.kube/config]\nagent: {textfile: /var/lib/node_exporter/perennial.prom}\n"))
	s.does(s.plan())
	text := string(s.Node.Read(unit.Dir + "/" + unit.AgentName))
	for _, want := range []string{"CAP_CHOWN CAP_DAC_OVERRIDE", "BindPaths=-/home/anna/.kube\n", "ReadWritePaths=-/var/lib/node_exporter\n", "ReadWritePaths=-/var/lib/kubelet/pki\n", "ReadWritePaths=-/etc/kubernetes\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

var commented = regexp.MustCompile(`(?m)^  # ((?:- |  )?[a-zA-Z{]+[:}].*|- \{.*)$`)

// The settings that a node begins with are the defaults, and what they show as
// comments can be used as it stands.
func TestDefaultSettings(t *testing.T) {
	p, err := policy.Parse(install.DefaultSettings)
	if err != nil || !reflect.DeepEqual(p, policy.Default()) {
		t.Errorf("%v; %+v", err, p)
	}
	all := commented.ReplaceAllString(string(install.DefaultSettings), "  $1")
	p, err = policy.Parse([]byte(all))
	if err != nil || len(p.Agent.When.Windows) != 1 || len(p.Agent.When.Never) != 1 || p.Agent.Textfile == "" || p.Agent.Calendar == "" || len(p.Agent.Leave) != 1 {
		t.Errorf("%v; %+v\n%s", err, p.Agent, all)
	}
}

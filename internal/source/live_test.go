// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/source"
)

// TestMain lets the test's own program play a kubelet.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "kubelet" {
		os.Exit(m.Run())
	}
	if len(os.Args) > 1 && os.Args[1] == "--version" {
		io.WriteString(os.Stdout, "Kubernetes v1.37.0\n")
		return
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// runKubelet runs until the test ends and returns the PID.
func runKubelet(m *machine, args ...string) int {
	m.t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = append([]string{"/usr/bin/kubelet"}, args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

// serveTLS serves a version with a certificate of the machine.
func (m *machine) serveTLS() string {
	m.t.Helper()
	cert, key := m.pair("served")
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		m.t.Fatal(err)
	}
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `{"gitVersion":"v1.37.0"}`)
		}),
		ErrorLog: log.New(io.Discard, "", 0),
	}
	l := tls.NewListener(listen(m.t), &tls.Config{Certificates: []tls.Certificate{pair}})
	var group sync.WaitGroup
	group.Go(func() { _ = server.Serve(l) })
	m.t.Cleanup(func() { server.Close(); group.Wait() })
	return l.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// silent accepts connections, through the kernel's queue, and says nothing.
func silent(t *testing.T) string { return listen(t).Addr().String() }

func refused(t *testing.T) string {
	l := listen(t)
	l.Close()
	return l.Addr().String()
}

func TestKubelet(t *testing.T) {
	m := newMachine(t)
	pid := runKubelet(m, "--config=/var/lib/kubelet/config.yaml")
	scope := m.scope(layout.Want{Verb: layout.LookProcesses})
	scope.FS = openRoot(t)
	facts, _ := look(t.Context(), named(t, "processes"), scope)
	i := slices.IndexFunc(facts, func(f fact.Fact) bool { return f.(fact.Process).PID == pid })
	if i < 0 || facts[i].(fact.Process).Args[1] != "--config=/var/lib/kubelet/config.yaml" {
		t.Errorf("process %d is not among %v", pid, facts)
	}
	scope.Wants = []layout.Want{{Verb: layout.LookProgram, PID: pid}}
	facts, unseen := look(t.Context(), named(t, "programs"), scope)
	if len(unseen) > 0 || len(facts) != 1 || facts[0] != (fact.Version{PID: pid, Git: "v1.37.0"}) {
		t.Errorf("the version: %v, not seen %v", facts, unseen)
	}
}

func TestProcessesOfAnotherMachine(t *testing.T) {
	m := newMachine(t)
	facts, unseen := look(t.Context(), named(t, "processes"), m.scope(layout.Want{Verb: layout.LookProcesses}))
	if len(facts) != 0 || len(unseen) != 1 || unseen[0].Why != fact.Unsupported {
		t.Errorf("%v, %v", facts, unseen)
	}
}

func TestViewTellsWhichIdentityAProcessSees(t *testing.T) {
	m := newMachine(t)
	cert, key := m.pair("client")
	m.put("client.pem", cert+key)
	files := named(t, "files")
	view := func(name string, pid int) ([]fact.Fact, []fact.Unseen) {
		return look(t.Context(), files, m.scope(layout.Want{Verb: layout.LookView, PID: pid, Path: "/on/the/host", Inside: m.path(name)}))
	}
	for _, name := range []string{"etc/kubernetes/scheduler.conf", "client.pem"} {
		facts, unseen := view(name, os.Getpid())
		if len(facts) != 1 || len(unseen) != 0 {
			t.Fatalf("%s: %v, %v", name, facts, unseen)
		}
		v := facts[0].(fact.View)
		if v.Path != "/on/the/host" || v.PID != os.Getpid() || v.Inode == 0 || v.ModTime.IsZero() || !strings.HasPrefix(v.Fingerprint, "sha256:") {
			t.Errorf("%s: %+v", name, v)
		}
	}
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	for name, pid := range map[string]int{"nothing": os.Getpid(), "client.pem": cmd.Process.Pid} {
		if facts, unseen := view(name, pid); len(facts)+len(unseen) != 0 {
			t.Errorf("%s of %d: %v, %v", name, pid, facts, unseen)
		}
	}
	if _, unseen := view("etc", os.Getpid()); len(unseen) != 1 || unseen[0].Why != fact.Malformed {
		t.Errorf("a directory: %v", unseen)
	}
}

func TestWireSaysWhyItSawNothing(t *testing.T) {
	m := newMachine(t)
	for endpoint, why := range map[string]fact.Why{refused(t): fact.Unreachable, silent(t): fact.Timeout} {
		for _, verb := range []layout.Verb{layout.LookHandshake, layout.LookVersion, layout.LookFleet} {
			scope := m.scope(layout.Want{Verb: verb, Endpoint: endpoint, SNI: layout.LoopbackSNI, Local: true})
			if why == fact.Timeout {
				scope.Timeouts = source.DefaultTimeouts
			}
			facts, unseen := look(t.Context(), named(t, "wire"), scope)
			if len(facts) != 0 || len(unseen) != 1 || unseen[0].Why != why || string(unseen[0].What) != endpoint {
				t.Errorf("%s: %v, %+v", verb, facts, unseen)
			}
		}
	}
}

func TestFleetTellsOfWhatItMissed(t *testing.T) {
	m := newMachine(t)
	scope := m.scope(layout.Want{Verb: layout.LookFleet, Endpoint: m.serveTLS(), SNI: layout.LoopbackSNI})
	facts, unseen := look(t.Context(), named(t, "wire"), scope)
	if len(facts) != 2 || len(unseen) != 0 {
		t.Errorf("%v, %v", facts, unseen)
	}
	leaf := facts[1].(fact.Served).Certs[0]
	if block, _ := pem.Decode(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})); block == nil || leaf.Subject.CommonName != "served" {
		t.Errorf("%v", leaf.Subject)
	}
}

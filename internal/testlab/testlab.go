// SPDX-License-Identifier: Apache-2.0

// Package testlab starts control planes of the lab for tests. They run where
// PERENNIAL_LAB names the lab's program and LAB_TEST_VERSIONS the versions of
// Kubernetes, as `make test` does; elsewhere they are skipped.
package testlab

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// Plane is a running control plane of the lab, in one test.
type Plane struct {
	*testing.T
	Lab     string // its name
	Version string
	Status
}

// Status is what the lab's program tells of it.
type Status struct {
	Dir           string `json:"dir"`
	KubernetesDir string `json:"kubernetesDir"`
	Endpoint      string `json:"endpoint"` // host:port of the API server
	Ports         struct {
		Etcd int `json:"etcdClient"`
	} `json:"ports"`
	Components []Component `json:"components"`
}

// Component is one of its processes.
type Component struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
}

// Versions are those to test. Without them, without the lab's program or without
// one of the further variables of the environment the test is skipped.
func Versions(t *testing.T, further ...string) []string {
	t.Helper()
	for _, name := range append([]string{"PERENNIAL_LAB", "LAB_TEST_VERSIONS"}, further...) {
		if os.Getenv(name) == "" {
			t.Skipf("needs a lab: run `make test`; %s is not set", name)
		}
	}
	return strings.Split(os.Getenv("LAB_TEST_VERSIONS"), ",")
}

// Each runs a test on one control plane of each version.
func Each(t *testing.T, test func(*Plane)) {
	for _, version := range Versions(t) {
		t.Run(version, func(t *testing.T) { test(Up(t, version)) })
	}
}

// labs counts the labs of this process, for their names.
var labs atomic.Int64

// Up starts a control plane, by more flags of `lab up`, and takes it down when
// the test ends.
func Up(t *testing.T, version string, flags ...string) *Plane {
	t.Helper()
	program := strings.TrimSuffix(filepath.Base(os.Args[0]), ".test")
	p := &Plane{T: t, Version: version, Lab: fmt.Sprintf("%s-%d-%d", program, os.Getpid(), labs.Add(1))}
	t.Cleanup(func() { p.Do("down") })
	p.Do("up", append([]string{"--version", version}, flags...)...)
	p.Refresh()
	return p
}

// Refresh reads its status anew.
func (p *Plane) Refresh() {
	p.Helper()
	if err := json.Unmarshal([]byte(p.Do("status", "-o", "json")), &p.Status); err != nil {
		p.Fatalf("reading the lab's status: %v", err)
	}
}

// Part runs a part of the test by a name of its own, on the same control plane.
func (p *Plane) Part(name string, test func(*Plane)) {
	p.Run(name, func(t *testing.T) {
		part := *p
		part.T = t
		test(&part)
	})
}

// Do runs a command of the lab's program on it and returns what that prints.
func (p *Plane) Do(command string, args ...string) string {
	p.Helper()
	out, errs, err := p.Try(command, args...)
	if err != nil {
		p.Fatalf("lab %s %s: %v\n%s%s", command, strings.Join(args, " "), err, out, errs)
	}
	return out
}

// Try is Do for what may fail.
func (p *Plane) Try(command string, args ...string) (string, string, error) {
	return run(append([]string{command, "--name", p.Lab}, args...)...)
}

// Programs is the directory of a version's components.
func Programs(t *testing.T, version string) string {
	t.Helper()
	out, errs, err := run("build", "--version", version)
	if err != nil {
		t.Fatalf("lab build: %v\n%s", err, errs)
	}
	return strings.TrimSpace(out)
}

func run(args ...string) (string, string, error) {
	var out, errs bytes.Buffer
	cmd := exec.Command(os.Getenv("PERENNIAL_LAB"), args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	return out.String(), errs.String(), err
}

// Inside runs a program of the lab's version, such as kubeadm, with the control
// plane's files in place.
func (p *Plane) Inside(args ...string) string {
	p.Helper()
	return p.Do("exec", append([]string{"--"}, args...)...)
}

// Kubectl runs the kubectl of the lab's version and returns what it prints, and
// whether it succeeded. In tests it is the other client, that knows nothing of
// ours.
func (p *Plane) Kubectl(args ...string) (string, bool) {
	p.Helper()
	out, errs, err := p.Try("exec", append([]string{"--", "kubectl"}, args...)...)
	return out + errs, err == nil
}

// Apply makes objects from YAML.
func (p *Plane) Apply(manifest string) {
	p.Helper()
	file := filepath.Join(p.TempDir(), "objects.yaml")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		p.Fatal(err)
	}
	if out, ok := p.Kubectl("apply", "-f", file); !ok {
		p.Fatalf("kubectl apply: %s", out)
	}
}

// Read reads one of its files, below the Kubernetes directory.
func (p *Plane) Read(name string) []byte {
	p.Helper()
	data, err := os.ReadFile(filepath.Join(p.KubernetesDir, name))
	if err != nil {
		p.Fatal(err)
	}
	return data
}

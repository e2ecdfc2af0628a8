// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// These tests ask real API servers, of control planes of the lab. They run where
// PERENNIAL_LAB names the lab's program and LAB_TEST_VERSIONS the versions.

// plane is a control plane of the lab.
type plane struct {
	t             *testing.T
	name, version string
	KubernetesDir string `json:"kubernetesDir"`
	Endpoint      string `json:"endpoint"`
}

// TestLab makes one control plane for each version, and what stops its server
// comes last.
func TestLab(t *testing.T) {
	versions := os.Getenv("LAB_TEST_VERSIONS")
	if versions == "" || os.Getenv("PERENNIAL_LAB") == "" {
		t.Skip("needs a lab: set PERENNIAL_LAB and LAB_TEST_VERSIONS")
	}
	for version := range strings.SplitSeq(versions, ",") {
		t.Run(version, func(t *testing.T) {
			p := &plane{t: t, version: version, name: fmt.Sprintf("kube-%d-%d", os.Getpid(), time.Now().UnixNano()%1e6)}
			t.Cleanup(func() { p.lab("down", "--name", p.name) })
			p.lab("up", "--name", p.name, "--version", version)
			if err := json.Unmarshal([]byte(p.lab("status", "--name", p.name, "-o", "json")), p); err != nil {
				t.Fatal(err)
			}
			p.part("sessions", testSessions)
			p.part("endpoints", testEndpoints)
			p.part("kube-proxy", testKubeProxyReplacement)
			p.part("leases", testLeases)
			p.part("guard", testGuard)
		})
	}
}

func (p *plane) part(name string, test func(*plane)) {
	p.t.Run(name, func(t *testing.T) {
		part := *p
		part.t = t
		test(&part)
	})
}

func (p *plane) lab(args ...string) string {
	p.t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(os.Getenv("PERENNIAL_LAB"), args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		p.t.Fatalf("lab %s: %v\n%s%s", strings.Join(args, " "), err, &out, &errs)
	}
	return out.String()
}

// kubectl runs the kubectl of the lab's version and returns what it prints, and
// whether it succeeded. Here it is the other client, that knows nothing of ours.
func (p *plane) kubectl(args ...string) (string, bool) {
	p.t.Helper()
	args = append([]string{"exec", "--name", p.name, "--", "kubectl"}, args...)
	out, err := exec.Command(os.Getenv("PERENNIAL_LAB"), args...).CombinedOutput()
	return string(out), err == nil
}

// apply makes objects from YAML.
func (p *plane) apply(manifest string) {
	p.t.Helper()
	file := filepath.Join(p.t.TempDir(), "objects.yaml")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if out, ok := p.kubectl("apply", "-f", file); !ok {
		p.t.Fatalf("kubectl apply: %s", out)
	}
}

// as reads one of the control plane's own kubeconfigs.
func (p *plane) as(name string) Kubeconfig {
	p.t.Helper()
	file := filepath.Join(p.KubernetesDir, name)
	data, err := os.ReadFile(file)
	if err != nil {
		p.t.Fatal(err)
	}
	return Kubeconfig{Path: file, Data: data, ReadFile: os.ReadFile}
}

// client asks with one of the control plane's own kubeconfigs.
func (p *plane) client(name string) *Client {
	p.t.Helper()
	c, err := Open(p.Endpoint, p.as(name), "test")
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(c.Close)
	return c
}

func (p *plane) is(least string) bool { return minor(p.version) >= minor(least) }

func minor(version string) (n int) {
	fmt.Sscanf(version, "1.%d", &n)
	return n
}

// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/workload"
)

// twoNamespaces have a template each that passes baseline.
const twoNamespaces = `apiVersion: v1
kind: Namespace
metadata: {name: one}
---
apiVersion: v1
kind: Namespace
metadata: {name: two}
---
apiVersion: v1
kind: PodTemplate
metadata: {name: t, namespace: one}
template: {spec: {containers: [{name: c, image: x}]}}
---
apiVersion: v1
kind: PodTemplate
metadata: {name: t, namespace: two}
template: {spec: {containers: [{name: c, image: x}]}}
`

// TestPrepareCutOff kills perennial in each step of a plan; the next run finishes
// it, but for what somebody has changed meanwhile.
func TestPrepareCutOff(t *testing.T) {
	for _, version := range versions(t) {
		if minor, err := release.ParseMinor(version); err != nil || !workload.PodSecurityServed(minor) {
			continue
		}
		t.Run(version, func(t *testing.T) {
			p := up(t, version)
			p.Apply(twoNamespaces)
			before, finished := p.securityLabels(), 0
			for step := 1; step <= 4; step++ {
				state := t.TempDir()
				p.killed(state, step)
				_, errs := p.prepare(state, 0, "podsecurity", "--yes")
				if strings.Contains(errs, "finishing the plan") { // else it was done before it was killed
					finished++
				}
				p.labelled("one", "two")
				p.undoAll(state)
				if after := p.securityLabels(); !maps.EqualFunc(after, before, maps.Equal) {
					t.Errorf("killed in step %d, finished and undone, the labels are %v; they were %v", step, after, before)
				}
			}
			if finished == 0 {
				t.Error("no plan was cut off")
			}
			p.refusesOthers()
		})
	}
}

// killed runs a preparation and kills it when it tells of a step. The kubeconfig
// with which it ran is gone afterwards.
func (p *plane) killed(state string, step int) {
	p.Helper()
	conf := filepath.Join(p.TempDir(), "then.conf")
	if err := os.WriteFile(conf, p.Read("admin.conf"), 0o600); err != nil {
		p.Fatal(err)
	}
	defer os.Remove(conf)
	cmd := exec.Command(os.Getenv("PERENNIAL_BIN"), "prepare", "podsecurity", "--yes", "--kubeconfig", conf, "--state", state)
	errs, err := cmd.StderrPipe()
	if err != nil {
		p.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.Fatal(err)
	}
	told := false
	for lines := bufio.NewScanner(errs); lines.Scan() && !told; {
		told = strings.HasPrefix(strings.TrimSpace(lines.Text()), fmt.Sprint(step)+"  ")
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if !told {
		p.Fatalf("it told of no step %d", step)
	}
}

// labelled wants all six labels.
func (p *plane) labelled(namespaces ...string) {
	p.Helper()
	labels := p.securityLabels()
	for _, ns := range namespaces {
		for _, name := range workload.PodSecurityLabels {
			if labels[ns][name] == "" {
				p.Errorf("%s has no label %s: %v", ns, name, labels[ns])
			}
		}
	}
}

var planOfHistory = regexp.MustCompile(`(?m)^(\d{8}-\d{6}-\w{4}) .* done$`)

// undoAll takes back every plan of a journal.
func (p *plane) undoAll(state string) {
	p.Helper()
	out, errs, code := p.perennial("history", "--state", state)
	if code != 0 {
		p.Fatalf("history: %s", errs)
	}
	plans := planOfHistory.FindAllStringSubmatch(out, -1)
	if len(plans) == 0 {
		p.Fatalf("the history has no plan that was done:\n%s", out)
	}
	for _, found := range plans {
		p.undoesHere(state, found[1], 0)
	}
}

// refusesOthers changes a label between the kill and the next run, which leaves
// it alone and says so.
func (p *plane) refusesOthers() {
	p.Helper()
	state := p.TempDir()
	p.killed(state, 1)
	if out, ok := p.Kubectl("label", "--overwrite", "namespace", "two", workload.PodSecurityLabels[0]+"=privileged"); !ok {
		p.Fatal(out)
	}
	_, errs, code := p.perennial("prepare", "podsecurity", "--yes", "--kubeconfig", filepath.Join(p.KubernetesDir, "admin.conf"), "--state", state)
	if code != 13 || !strings.Contains(errs, "changed since the plan was made") || !strings.Contains(errs, "namespace two") {
		p.Errorf("a label that somebody changed meanwhile: exit code %d\n%s", code, errs)
	}
	if got := p.securityLabels()["two"][workload.PodSecurityLabels[0]]; got != "privileged" {
		p.Errorf("somebody's label was overwritten: %s", got)
	}
	if _, errs := p.prepare(state, 0, "podsecurity", "--yes"); strings.Contains(errs, "finishing") {
		p.Errorf("the plan that was refused is not closed:\n%s", errs)
	}
}

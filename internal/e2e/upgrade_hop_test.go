// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/testlab"
	"perennial.dev/perennial/internal/timeline"
)

// components are those of a control plane, each behind the one that it needs.
var components = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}

// withFlags are those for which a hop has flags, those that others need last:
// leaders end when they cannot renew their leases for as long as a start is watched.
func (h hop) withFlags() []string {
	var names []string
	for _, component := range slices.Backward(components) {
		if len(h.flags[component]) > 0 {
			names = append(names, component)
		}
	}
	return names
}

// What an upgrade breaks is found before it, all of it and nothing else; the
// components of the next minor do not start with it, and start when the fixes
// that were named are applied.
func TestUpgradeHops(t *testing.T) {
	chosen := testlab.Versions(t, "PERENNIAL_BIN")
	for _, h := range hops {
		t.Run(h.from+" to "+h.to, func(t *testing.T) {
			if !slices.Contains(chosen, h.from) || !slices.Contains(chosen, h.to) {
				t.Skipf("needs %s and %s in LAB_TEST_VERSIONS", h.from, h.to)
			}
			p := up(t, h.from)
			p.write(h.files)
			p.set(h.flags)
			p.seed(h)
			before := p.check("--to", h.to)
			if got := runsInto(before); !slices.Equal(got, h.want) {
				t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(h.want, "\n"))
			}
			for _, component := range h.withFlags() {
				if said, started := p.starts(component, h.to); started {
					t.Errorf("%s %s starts with all that was found\n%s", component, h.to, said)
				}
			}
			for _, resource := range h.delete {
				if out, ok := p.Kubectl("delete", resource); !ok {
					t.Errorf("deleting %s: %s", resource, out)
				}
			}
			p.write(h.mendedFiles)
			p.set(h.mended)
			for _, component := range h.withFlags() {
				if said, started := p.starts(component, h.to); !started {
					t.Errorf("%s %s does not start with the fixes applied\n%s", component, h.to, said)
				}
			}
		})
	}
}

// runsInto is all that does something to the upgrade, as "ID CODE". Whether the
// machine's control groups are too old is its own matter.
func runsInto(t timeline.Timeline) []string {
	var all []string
	for _, i := range t.Items {
		if i.Impact != "" && i.Impact != finding.Hint && i.Code != finding.CgroupTooOld {
			all = append(all, string(i.ID)+" "+string(i.Code))
		}
	}
	slices.Sort(all)
	return all
}

// write makes files below the Kubernetes directory.
func (p *plane) write(files map[string]string) {
	p.Helper()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(p.KubernetesDir, name), []byte(p.inDir(content)), 0o600); err != nil {
			p.Fatal(err)
		}
	}
}

// inDir puts the Kubernetes directory in its place.
func (p *plane) inDir(text string) string { return strings.ReplaceAll(text, "DIR", p.KubernetesDir) }

// seed makes the objects of a hop and sends its requests.
func (p *plane) seed(h hop) {
	p.Helper()
	if h.objects != "" {
		p.Apply(h.objects)
	}
	for path, body := range h.requests {
		file := filepath.Join(p.TempDir(), "body.json")
		if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
			p.Fatal(err)
		}
		if out, ok := p.Kubectl("create", "--raw", path, "-f", file); !ok {
			p.Fatalf("posting to %s: %s", path, out)
		}
	}
}

// set gives components further flags, beside those that kubeadm gave them, in
// place of those of an earlier call.
func (p *plane) set(flags map[string][]string) {
	p.Helper()
	for _, component := range components {
		dir := filepath.Join(p.KubernetesDir, "manifests")
		file, original := filepath.Join(dir, component+".yaml"), filepath.Join(dir, "."+component+".original")
		data, err := os.ReadFile(original)
		if errors.Is(err, fs.ErrNotExist) && len(flags[component]) == 0 {
			continue
		}
		if errors.Is(err, fs.ErrNotExist) {
			data = p.Read("manifests/" + component + ".yaml")
			err = os.WriteFile(original, data, 0o600)
		}
		if err != nil {
			p.Fatal(err)
		}
		var pod map[string]any
		if err := yaml.Unmarshal(data, &pod); err != nil {
			p.Fatal(err)
		}
		container := pod["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)
		command := container["command"].([]any)
		for _, flag := range flags[component] {
			name, _, _ := strings.Cut(flag, "=")
			flag = p.inDir(flag)
			command = slices.DeleteFunc(command, func(arg any) bool { return strings.HasPrefix(arg.(string), name+"=") })
			command = append(command, flag)
		}
		container["command"] = command
		if data, err = yaml.Marshal(pod); err != nil {
			p.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			p.Fatal(err)
		}
		p.Do("restart", component)
	}
	p.Refresh()
}

// starts says whether a version's component starts with the flags of the
// manifest, on a port of its own, and lives for a while.
func (p *plane) starts(component, version string) (string, bool) {
	p.Helper()
	var pod struct {
		Spec struct {
			Containers []struct{ Command []string }
		}
	}
	if err := yaml.Unmarshal(p.Read("manifests/"+component+".yaml"), &pod); err != nil {
		p.Fatal(err)
	}
	args := pod.Spec.Containers[0].Command
	p.Do("stop", component)
	defer p.Do("start", component)
	args = p.onCopy(args)
	const long = 15 * time.Second
	ctx, cancel := context.WithTimeout(p.Context(), long)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(testlab.Programs(p.T, version), component), args[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		p.Fatal(err)
	}
	err := cmd.Wait()
	said := out.String()
	if len(said) > 2000 {
		said = said[len(said)-2000:]
	}
	return fmt.Sprintf("%v: %s", err, said), ctx.Err() != nil
}

// onCopy lets etcd run on a copy of its data: one of an older series does not
// take back what a newer one has had.
func (p *plane) onCopy(args []string) []string {
	p.Helper()
	const flag = "--data-dir="
	args = slices.Clone(args)
	for i, arg := range args {
		if data, ok := strings.CutPrefix(arg, flag); ok {
			dir := filepath.Join(p.TempDir(), "data")
			if err := os.CopyFS(dir, os.DirFS(data)); err != nil {
				p.Fatal(err)
			}
			if err := os.Chmod(dir, 0o700); err != nil {
				p.Fatal(err)
			}
			args[i] = flag + dir
		}
	}
	return args
}

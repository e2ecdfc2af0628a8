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

// hop is an upgrade by one minor with one of each thing that it breaks.
type hop struct {
	from, to string
	// flags are set for components; those of mended are what is left of them
	// when the fixes were applied. Both are accepted by from, and only mended by to.
	flags, mended map[string][]string
	objects       string   // applied before the check
	want          []string // "ID CODE" of everything that blocks, breaks or changes
	delete        []string // resources to take away, as the fixes say
}

var hops = []hop{
	{
		from: "1.36.3", to: "1.37.0",
		flags: map[string][]string{
			"kube-apiserver": {
				"--feature-gates=SidecarContainers=true,HPAConfigurableTolerance=false,GenericWorkload=true",
				"--runtime-config=networking.k8s.io/v1beta1=true,scheduling.k8s.io/v1alpha2=true,storage.k8s.io/v1beta1=true",
				"--enable-admission-plugins=NodeRestriction,JobValidation",
			},
			// Its controller takes the finalizer away of a PodGroup that is deleted.
			"kube-controller-manager": {"--concurrent-service-syncs=2", "--feature-gates=JobSuccessPolicy=true,GenericWorkload=true"},
			"kube-scheduler":          {"--feature-gates=SchedulerQueueingHints=true"},
		},
		mended: map[string][]string{
			"kube-apiserver": {"--runtime-config=networking.k8s.io/v1beta1=true,storage.k8s.io/v1beta1=true", "--enable-admission-plugins=NodeRestriction"},
		},
		objects: `apiVersion: networking.k8s.io/v1beta1
kind: ServiceCIDR
metadata: {name: more}
spec: {cidrs: [10.200.0.0/16]}
---
apiVersion: storage.k8s.io/v1beta1
kind: VolumeAttributesClass
metadata: {name: gold}
driverName: example.com
parameters: {tier: gold}
---
apiVersion: scheduling.k8s.io/v1alpha2
kind: PodGroup
metadata: {name: group, namespace: default}
spec: {schedulingPolicy: {basic: {}}}
`,
		want: []string{
			"cluster/PodGroup/default/group StoredVersionRemoved",
			"cluster/ServiceCIDR/-/more APIRemoved",
			"cluster/VolumeAttributesClass/-/gold APIRemoved",
			"cluster/api/-/servicecidrs.v1beta1.networking.k8s.io APIRemoved", // kubectl asked for them
			"cluster/api/-/volumeattributesclasses.v1beta1.storage.k8s.io APIRemoved",
			"cp1/gate-defaults-1.37 GateDefault",
			"cp1/kube-apiserver-admission-JobValidation AdmissionPluginRemoved",
			"cp1/kube-apiserver-gate-HPAConfigurableTolerance GateLocked",
			"cp1/kube-apiserver-gate-SidecarContainers GateRemoved",
			"cp1/kube-apiserver-runtime-config-scheduling.k8s.io.v1alpha2 RuntimeConfigRefused",
			"cp1/kube-controller-manager-flag-concurrent-service-syncs FlagRemoved",
			"cp1/kube-controller-manager-gate-JobSuccessPolicy GateRemoved",
			"cp1/kube-scheduler-gate-SchedulerQueueingHints GateRemoved",
		},
		delete: []string{"podgroups.scheduling.k8s.io/group"},
	},
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
			p.set(h.flags)
			p.Apply(h.objects)
			before := p.check("--to", h.to)
			if got := runsInto(before); !slices.Equal(got, h.want) {
				t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(h.want, "\n"))
			}
			for component := range h.flags {
				if said, started := p.starts(component, h.to); started {
					t.Errorf("%s %s starts with all that was found\n%s", component, h.to, said)
				}
			}
			for _, resource := range h.delete {
				if out, ok := p.Kubectl("delete", resource); !ok {
					t.Errorf("deleting %s: %s", resource, out)
				}
			}
			p.set(h.mended)
			for component := range h.flags {
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

// set gives components further flags, beside those that kubeadm gave them, in
// place of those of an earlier call.
func (p *plane) set(flags map[string][]string) {
	p.Helper()
	for _, component := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		dir := filepath.Join(p.KubernetesDir, "manifests")
		file, original := filepath.Join(dir, component+".yaml"), filepath.Join(dir, "."+component+".original")
		data, err := os.ReadFile(original)
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

// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/prepare"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/workload"
)

const prepared = `apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: default}
spec: {schedule: 30 2 * * *, jobTemplate: {spec: {suspend: true, template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: often, namespace: default}
spec: {schedule: '*/5 * * * *', jobTemplate: {spec: {suspend: true, template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: data}
spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], awsElasticBlockStore: {volumeID: vol-0123456789abcdef0, fsType: ext4}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: old}
spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], rbd: {monitors: ['10.0.0.1:6789'], image: i}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
provisioner: kubernetes.io/aws-ebs
parameters: {type: gp2, fsType: ext4}
allowedTopologies: [{matchLabelExpressions: [{key: failure-domain.beta.kubernetes.io/zone, values: [eu-central-1a]}]}]
---
apiVersion: v1
kind: PodTemplate
metadata: {name: inline, namespace: default}
template: {spec: {volumes: [{name: cache, gcePersistentDisk: {pdName: disk-1}}], containers: [{name: c, image: x}]}}
---
apiVersion: v1
kind: PodTemplate
metadata: {name: other, namespace: default}
template: {spec: {volumes: [{name: cache, gcePersistentDisk: {pdName: disk-3}}], containers: [{name: c, image: x}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: inline, namespace: default}
spec:
  replicas: 0
  selector: {matchLabels: {app: inline}}
  template:
    metadata: {labels: {app: inline}}
    spec: {volumes: [{name: cache, gcePersistentDisk: {pdName: disk-2}}], containers: [{name: c, image: x}]}
`

// CronJobs get a time zone and lose it again; volumes become files that a real
// API server takes in their place.
func TestPrepare(t *testing.T) {
	for _, version := range versions(t) {
		if minor, err := release.ParseMinor(version); err != nil || !workload.TimeZoneServed(minor) {
			continue
		}
		t.Run(version, func(t *testing.T) {
			p := up(t, version)
			p.Apply(prepared)
			p.zones()
			p.volumes()
			p.cutOff()
		})
	}
}

func (p *plane) zone() string {
	p.Helper()
	out, ok := p.Kubectl("get", "cronjobs", "nightly", "often", "-o", `jsonpath={range .items[*]}{.metadata.name}={.spec.timeZone} {end}`)
	if !ok {
		p.Fatal(out)
	}
	return strings.TrimSpace(out)
}

func (p *plane) zones() {
	p.Helper()
	state := p.TempDir()
	// The lab has no pods of its own components: the zone is asked for, and
	// nothing is changed.
	if _, errs := p.prepare(state, 1, "cronjobs", "--yes"); !strings.Contains(errs, "say it with --controller-zone") {
		p.Errorf("it does not ask for the zone:\n%s", errs)
	}
	if _, errs := p.prepare(state, 1, "cronjobs", "default/none", "--yes"); !strings.Contains(errs, "there is no CronJob") {
		p.Errorf("a job that there is not:\n%s", errs)
	}
	if got := p.zone(); got != "nightly= often=" {
		p.Errorf("a refused command has set %s", got)
	}
	out, errs := p.prepare(state, 0, "cronjobs", "--controller-zone", "Europe/Berlin", "--yes")
	if got := p.zone(); got != "nightly=Europe/Berlin often=" || !strings.Contains(out, "they are the same for two years") || !strings.Contains(out, "clocks change on") {
		p.Errorf("the zones are %s\n%s", got, out)
	}
	p.undoes(state, p.planned(errs), 0)
	if got := p.zone(); got != "nightly= often=" {
		p.Errorf("undone, the zones are %s", got)
	}
	p.belied(state)
}

// belied says a zone in which the real controller manager did not start a job.
func (p *plane) belied(state string) {
	p.Helper()
	if out, ok := p.Kubectl("patch", "cronjob", "nightly", "--subresource=status", "--type=merge", "-p", `{"status":{"lastScheduleTime":"2026-11-01T02:30:00Z"}}`); !ok {
		p.Fatal(out)
	}
	last := ""
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Second) { // it makes up for what was missed
		last, _ = p.Kubectl("get", "cronjob", "nightly", "-o", "jsonpath={.status.lastScheduleTime}")
		if last != "2026-11-01T02:30:00Z" && strings.HasSuffix(last, "T02:30:00Z") {
			break
		}
		if time.Now().After(deadline) {
			p.Fatalf("the controller manager has started nothing: %q", last)
		}
	}
	if _, errs := p.prepare(state, 1, "cronjobs", "--controller-zone", "Europe/Berlin", "--yes"); !strings.Contains(errs, "was started for "+last+", when it is not due there") {
		p.Errorf("a zone that the last run belies:\n%s", errs)
	}
	p.prepare(state, 0, "cronjobs", "--controller-zone", "Etc/UTC", "--dry-run")
}

func (p *plane) volumes() {
	p.Helper()
	dir := filepath.Join(p.TempDir(), "vols")
	out, errs, code := p.perennial("prepare", "volumes", dir, "--kubeconfig", filepath.Join(p.KubernetesDir, "admin.conf"))
	if code != 0 || !strings.Contains(out, "6 uses of in-tree volumes; 1 of them nothing translates") {
		p.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	p.keepsNoCache()
	order, err := os.ReadFile(filepath.Join(dir, prepare.OrderFile))
	if err != nil {
		p.Fatal(err)
	}
	for _, says := range []string{"`ebs.csi.aws.com`, before 1.25", "PersistentVolume old (`rbd`), before 1.31", "PodTemplate default/inline, volume cache"} {
		if !strings.Contains(string(order), says) {
			p.Errorf("the order of work does not say %q:\n%s", says, order)
		}
	}
	for _, object := range []string{"pv/data", "storageclass/fast"} {
		if out, ok := p.Kubectl("delete", object); !ok {
			p.Fatal(out)
		}
	}
	for _, file := range []string{
		"persistentvolumes/data.yaml", "storageclasses/fast.yaml",
		"inline/default-inline-cache.yaml", "inline/default-inline-cache-deployment.yaml", "inline/default-other-cache.yaml",
	} {
		if out, ok := p.Kubectl("create", "-f", filepath.Join(dir, file)); !ok {
			p.Errorf("the API server does not take %s: %s", file, out)
		}
	}
	got, _ := p.Kubectl("get", "pv", "data", "default-inline-cache", "-o", "jsonpath={.items[*].spec.csi.driver}")
	if got != "ebs.csi.aws.com pd.csi.storage.gke.io" {
		p.Errorf("the drivers are %q", got)
	}
	// Each is for a claim of its own.
	got, _ = p.Kubectl("get", "pv", "default-inline-cache", "default-inline-cache-deployment", "default-other-cache", "-o", "jsonpath={.items[*].spec.claimRef.name}")
	if got != "inline-cache inline-cache-deployment other-cache" {
		p.Errorf("the claims are %q", got)
	}
}

// keepsNoCache finds nothing written where kubectl keeps what it has discovered.
func (p *plane) keepsNoCache() {
	p.Helper()
	home, cache := p.TempDir(), p.TempDir()
	cmd := exec.Command(os.Getenv("PERENNIAL_BIN"), "prepare", "volumes", filepath.Join(p.TempDir(), "vols"), "--kubeconfig", filepath.Join(p.KubernetesDir, "admin.conf"))
	cmd.Env = append(os.Environ(), "HOME="+home, "KUBECACHEDIR="+cache)
	if out, err := cmd.CombinedOutput(); err != nil {
		p.Fatalf("%v: %s", err, out)
	}
	for _, dir := range []string{home, cache} {
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			p.Errorf("%v was written, %v", entries, err)
		}
	}
}

// cutOff kills perennial while it writes many files: there is nothing where they are
// to be, and the next run leaves all of them and nothing else.
func (p *plane) cutOff() {
	p.Helper()
	const many = 150
	var volumes strings.Builder
	for i := range many {
		fmt.Fprintf(&volumes, "---\napiVersion: v1\nkind: PersistentVolume\nmetadata: {name: many-%d}\nspec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], awsElasticBlockStore: {volumeID: vol-%d}}\n", i, i)
	}
	p.Apply(volumes.String())
	dir := filepath.Join(p.TempDir(), "vols")
	args := []string{"prepare", "volumes", dir, "--kubeconfig", filepath.Join(p.KubernetesDir, "admin.conf")}
	written := func(at string) int {
		files, err := filepath.Glob(filepath.Join(at, "persistentvolumes", "many-*.yaml"))
		if err != nil {
			p.Fatal(err)
		}
		return len(files)
	}
	beside := filepath.Join(filepath.Dir(dir), ".perennial-vols")
	for _, files := range []int{1, 20, 70} {
		for try := 1; !p.killedAt(func() bool { return written(beside) >= files }, args...); try++ {
			if err := os.RemoveAll(dir); err != nil || try == 20 {
				p.Fatalf("it has ended before it was killed, %d times: %v", try, err)
			}
		}
		if entries, err := os.ReadDir(dir); err == nil {
			p.Fatalf("killed with %d files or more, it holds %v", files, entries)
		}
		p.Logf("killed with %d of %d files", written(beside), many)
	}
	if out, errs, code := p.perennial(args...); code != 0 || written(dir) != many {
		p.Fatalf("exit code %d, %d files\n%s%s", code, written(dir), out, errs)
	}
	if entries, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(entries) != 1 {
		p.Errorf("beside it: %v, %v", entries, err)
	}
}

// killedAt runs perennial and kills it as soon as something is so; not where it
// ends before.
func (p *plane) killedAt(so func() bool, args ...string) bool {
	p.Helper()
	cmd := exec.Command(os.Getenv("PERENNIAL_BIN"), args...)
	if err := cmd.Start(); err != nil {
		p.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	for ; !so(); time.Sleep(100 * time.Microsecond) {
		select {
		case <-ended:
			return false
		default:
		}
	}
	_ = cmd.Process.Kill()
	<-ended
	return cmd.ProcessState.ExitCode() < 0
}

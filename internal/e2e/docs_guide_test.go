// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"compress/gzip"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"time"

	"sigs.k8s.io/yaml"

	"perennial.dev/perennial/internal/agent"
	"perennial.dev/perennial/internal/testlab"
	"perennial.dev/perennial/internal/testnode"
)

// newGuide puts what pages speak of where they say that it is.
func newGuide(p *plane) *guide {
	p.Helper()
	g := &guide{machine: newMachine(p), known: map[string]bool{}, shell: map[string]string{}}
	g.work, g.disk = g.dir+"/desk", testnode.New(p, testnode.Options{}).Root
	for _, dir := range []string{
		"/desk/manifests", "/desk/examples", "/home/.kube", "/var/lib/kubelet", "/tmp", "/mnt/disk", "/etc/perennial", "/srv",
		"/usr/share/bash-completion/completions", "/usr/share/zsh/site-functions", "/usr/share/fish/vendor_completions.d",
	} {
		g.must(os.MkdirAll(g.dir+dir, 0o755))
	}
	for name, program := range standIns {
		g.put("/bin/"+name, "#!/bin/sh\n"+program+"\n", 0o755)
	}
	g.must(os.Symlink(g.dir+"/bin", g.work+"/bin"))
	g.must(os.Symlink("bin/perennial", g.work+"/perennial")) // as on a node to which it was copied
	g.must(os.Symlink("perennial", g.dir+"/bin/kubectl-perennial"))
	g.must(os.Symlink(os.Getenv("PERENNIAL_LAB"), g.dir+"/bin/lab"))
	g.must(os.Symlink(filepath.Join(testlab.Programs(p.T, p.Version), "kubectl"), g.dir+"/bin/kubectl"))
	for name, text := range spokenOf {
		g.put(name, text, 0o644)
	}
	g.copied("examples/recorded-node.jsonl", "/desk/examples/recorded-node.jsonl")
	g.copied("internal/release/data/releases.csv", "/desk/releases.csv")
	g.Cleanup(func() {
		own := *g.Plane
		own.Lab = g.second()
		_, _, _ = own.Try("down") // where a page has made it, and not come to its end
	})
	g.contexts()
	g.archives()
	g.populate()
	if said, code := g.typed("perennial rules list gates -o csv >rules.csv", ""); code != 0 {
		g.Fatal(said)
	}
	return g
}

func (g *guide) must(err error) {
	g.Helper()
	if err != nil {
		g.Fatal(err)
	}
}

func (g *guide) put(name, text string, mode os.FileMode) {
	g.Helper()
	g.must(os.WriteFile(g.dir+name, []byte(text), mode))
}

func (g *guide) copied(from, to string) {
	g.Helper()
	data, err := os.ReadFile(filepath.Join(repository, from))
	g.must(err)
	g.put(to, string(data), 0o644)
}

// standIns are programs that pages call beside ours, and that are not what is tested.
var standIns = map[string]string{
	"sudo": `while [ "${1#-}" != "$1" ]; do shift; done; exec "$@"`,
	"ssh":  `while [ "$1" != cp1 ]; do shift; done; shift; exec "$@"`,
	"helm": `cat manifests/cronjob.yaml`,
	// No container runtime runs here, and ctr waits for one.
	"ctr": `echo "no container runtime runs here" >&2; exit 1`,
}

// spokenOf are the files that pages speak of.
var spokenOf = map[string]string{
	"/desk/manifests/cronjob.yaml": `apiVersion: batch/v1beta1
kind: CronJob
metadata: {name: nightly, namespace: shop}
spec: {schedule: 30 2 * * *, jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}}}
`,
	"/desk/old.yaml": `apiVersion: batch/v1beta1
kind: CronJob
metadata: {name: nightly, namespace: shop}
spec: {schedule: 30 2 * * *, jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}}}
`,
	"/var/lib/kubelet/config.yaml": "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nrotateCertificates: true\n",
	"/desk/new.yaml":               settings,
	"/home/.kube/kuberc":           preferences,
	"/desk/team.kuberc":            preferences,
	"/desk/old.kuberc":             "apiVersion: kubectl.config.k8s.io/v1alpha1\nkind: Preference\naliases:\n- {name: getn, command: get, prependArgs: [nodes]}\n",
}

// settings leave the machine's ports alone, which may be taken.
const settings = "apiVersion: perennial.dev/v1alpha1\nkind: Config\nagent: {act: true, listen: none}\n"

const preferences = `apiVersion: kubectl.config.k8s.io/v1beta1
kind: Preference
aliases:
- {name: getn, command: get, prependArgs: [nodes], options: [{name: output, default: wide}]}
defaults:
- {command: get, options: [{name: show-labels, default: "true"}]}
`

// inTheCluster is what pages speak of in a cluster.
const inTheCluster = `apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: shop}
spec: {schedule: 30 2 * * *, jobTemplate: {spec: {suspend: true, template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: data}
spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], awsElasticBlockStore: {volumeID: vol-0123456789abcdef0, fsType: ext4}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {replicas: 0, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: x}]}}}
---
# The controller manager's pod, as a kubelet shows it: it has no variable TZ.
apiVersion: v1
kind: Pod
metadata: {name: kube-controller-manager-cp1, namespace: kube-system, labels: {component: kube-controller-manager, tier: control-plane}}
spec: {nodeName: cp1, automountServiceAccountToken: false, containers: [{name: kube-controller-manager, image: x}]}
`

// populate makes the objects. The service accounts come a moment after the namespaces.
func (g *guide) populate() {
	g.Helper()
	g.put("/tmp/objects.yaml", inTheCluster, 0o600)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		out, ok := g.Kubectl("apply", "-f", g.dir+"/tmp/objects.yaml")
		if ok {
			return
		}
		if time.Now().After(deadline) {
			g.Fatal(out)
		}
	}
}

// servingEnd is the end of the API server's certificate, as a log line has it.
func (g *guide) servingEnd() string {
	g.Helper()
	block, _ := pem.Decode(g.Read("pki/apiserver.crt"))
	if block == nil {
		g.Fatal("apiserver.crt is no PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	g.must(err)
	return cert.NotAfter.UTC().Format(time.RFC3339)
}

// contexts writes a kubeconfig with the names that pages use, all of the same cluster.
func (g *guide) contexts() {
	g.Helper()
	var config map[string]any
	g.must(yaml.Unmarshal(g.Read("admin.conf"), &config))
	contexts := config["contexts"].([]any)
	for _, name := range []string{"prod", "production", "staging"} {
		contexts = append(contexts, map[string]any{"name": name, "context": contexts[0].(map[string]any)["context"]})
	}
	config["contexts"] = contexts
	data, err := yaml.Marshal(config)
	g.must(err)
	g.put("/home/.kube/config", string(data), 0o600)
}

// archives puts checkpoints into the kubelet's directory: the one that containerd wrote,
// and one that is old.
func (g *guide) archives() {
	g.Helper()
	f, err := os.Open(filepath.Join(repository, "internal/checkpoint/testdata/containerd.tar.gz"))
	g.must(err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	g.must(err)
	data, err := io.ReadAll(z)
	g.must(err)
	const dir = "/var/lib/kubelet/checkpoints/"
	g.must(os.MkdirAll(g.dir+dir, 0o700))
	for _, name := range []string{
		"checkpoint-web-0_shop-app-2026-11-23T00:20:56Z.tar", "checkpoint-web-0_shop-app-2026-11-23T00:24:21Z.tar",
		"checkpoint-web_default-app-2026-11-22T08:00:00Z.tar", "checkpoint-old_shop-app-2026-10-01T08:00:00Z.tar",
	} {
		g.put(dir+name, string(data), 0o600)
	}
	old := time.Now().AddDate(0, 0, -40)
	g.must(os.Chtimes(g.dir+dir+"checkpoint-old_shop-app-2026-10-01T08:00:00Z.tar", old, old))
	g.put("/desk/evidence.tar", string(data), 0o600)
}

// second is the name of a page's own lab.
func (g *guide) second() string { return g.Lab + "-own" }

// settle gives the agent its settings, also after what has removed them.
func (g *guide) settle() { g.settled(settings) }

func (g *guide) settled(text string) {
	g.Helper()
	g.must(os.MkdirAll(g.dir+"/etc/perennial", 0o755))
	g.put("/etc/perennial/config.yaml", text, 0o644)
}

// look is what the agent's unit does before somebody asks for its status.
func (g *guide) look() {
	g.Helper()
	g.settle()
	g.typed("perennial agent run --once", "")
}

// makeWait makes an agent for which everything is due, and whose window is far away.
func (g *guide) makeWait() {
	g.Helper()
	day := time.Now().UTC().AddDate(0, 0, 3).Weekday().String()[:3]
	g.settled("apiVersion: perennial.dev/v1alpha1\nkind: Config\ndue: {renewed: {left: 100%, atMost: 3650d}}\n" +
		"agent: {act: true, listen: none, reserve: never, windows: [{days: [" + day + `], start: "00:00", length: 1m}]}` + "\n")
	g.typed("perennial agent run --once", "")
}

// stopAgent makes an agent that changes nothing until a person has looked.
func (g *guide) stopAgent() {
	g.Helper()
	stop, err := json.Marshal(agent.Stop{At: time.Now(), Reason: "a step could not be proven", Plan: "20261123-005201-oz4g"})
	g.must(err)
	g.look()
	at, err := filepath.Glob(g.dir + "/var/lib/perennial/*/" + agent.StatusFile)
	if err != nil || len(at) != 1 {
		g.Fatalf("the agent's state: %q, %v", at, err)
	}
	g.must(os.WriteFile(filepath.Join(filepath.Dir(at[0]), agent.StoppedFile), stop, 0o600))
}

// forgetRestarts lets the next restart be the first: a kubelet would wait longer and
// longer, and so does the lab.
func (g *guide) forgetRestarts() {
	g.Helper()
	for _, component := range []string{"kube-scheduler", "kube-controller-manager"} {
		g.Do("start", component)
	}
}

// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"perennial.dev/perennial/lab/internal/program"
	"perennial.dev/perennial/lab/internal/supervise"
)

// Settings are everything a node was made from, and what has to be removed.
type Settings struct {
	Name     string             `json:"name"` // of the node, and its host name
	Dir      string             `json:"dir"`  // on the machine
	Version  string             `json:"version"`
	Program  string             `json:"program"` // directory of the built program
	Pause    string             `json:"pause"`   // the file of the pause program
	CertLife time.Duration      `json:"certLifeNanoseconds"`
	CALife   time.Duration      `json:"caLifeNanoseconds"`
	Address  string             `json:"address"`            // reached from the machine, too
	Firewall []int              `json:"firewall,omitempty"` // TCP ports let in from outside; none: all
	Worker   *Worker            `json:"worker,omitempty"`
	Holder   supervise.Identity `json:"holder"`
	Made     bool               `json:"made"` // false until kubeadm has ended
}

// Names that follow from the node's name.
func (s Settings) Netns() string  { return "perennial-" + s.Name }
func (s Settings) Cgroup() string { return "perennial-lab-" + s.Name }

// Places on the machine.
func (s Settings) Logs() string       { return filepath.Join(s.Dir, "log") }
func (s Settings) Kubernetes() string { return filepath.Join(s.Dir, "etc/kubernetes") }
func (s Settings) AdminConf() string  { return filepath.Join(s.Kubernetes(), "admin.conf") }
func (s Settings) Endpoint() string   { return "https://" + s.Address + ":6443" }
func (s Settings) bin() string        { return program.Program{Dir: s.Program}.Bin() }
func settingsFile(dir string) string  { return filepath.Join(dir, "node.json") }

// Running says whether the node's holder lives.
func (s Settings) Running() bool { return s.Holder.Alive() }

// Places inside the node.
const (
	insideDir      = "/run/lab/node"    // the node's directory
	insideProgram  = "/run/lab/program" // the built program
	insideBin      = insideProgram + "/bin"
	criSocket      = "/run/containerd/containerd.sock"
	kubeletDir     = "/var/lib/kubelet"
	kubeletConfig  = kubeletDir + "/config.yaml"
	kubeadmFile    = "kubeadm.yaml"
	containerdFile = "containerd.toml"
)

// Load reads the settings of the node in dir; [os.ErrNotExist] when there is
// none.
func Load(dir string) (Settings, error) {
	var s Settings
	data, err := os.ReadFile(settingsFile(dir))
	if err != nil {
		return s, fmt.Errorf("reading the node's settings: %w", err)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("reading the node's settings %s: %w", settingsFile(dir), err)
	}
	return s, nil
}

// Save writes the settings at once or not at all: without them nobody knows
// what to end.
func (s Settings) Save() error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	part := settingsFile(s.Dir) + ".part"
	if err := os.WriteFile(part, append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(part, settingsFile(s.Dir))
}

// Variables are what a program in the node runs with.
func (s Settings) Variables() [][2]string {
	etcd := "/etc/kubernetes/pki/etcd/"
	return [][2]string{
		{"LAB_NODE", s.Name},
		{"PATH", insideBin + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		{"KUBECONFIG", "/etc/kubernetes/admin.conf"},
		{"KUBECACHEDIR", "/run/lab/kubectl"}, // the machine's home directories are the node's
		{"CONTAINERD_NAMESPACE", "k8s.io"},
		{"ETCDCTL_API", "3"},
		{"ETCDCTL_ENDPOINTS", "https://127.0.0.1:2379"},
		{"ETCDCTL_CACERT", etcd + "ca.crt"},
		{"ETCDCTL_CERT", etcd + "healthcheck-client.crt"},
		{"ETCDCTL_KEY", etcd + "healthcheck-client.key"},
	}
}

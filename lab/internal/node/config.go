// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"

	"perennial.dev/perennial/lab/internal/layout"
	"perennial.dev/perennial/lab/internal/program"
)

// imageRepository is where kubeadm looks for images; nothing is ever fetched
// from it.
const imageRepository = "docker.io/lab"

// containerdConfig is of version 2, which containerd 1.6 and later read. The
// paths are inside the node. The score of the out-of-memory killer cannot be
// lowered where that capability is missing, as in many virtual machines.
const containerdConfig = `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "` + criSocket + `"
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "%s"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
`

func (s Settings) writeContainerdConfig(pauseTag string) error {
	return os.WriteFile(filepath.Join(s.Dir, containerdFile), fmt.Appendf(nil, containerdConfig, pauseTag), 0o644)
}

func (s Settings) writeKubeadmConfig() error {
	var out bytes.Buffer
	for _, document := range []map[string]any{s.initConfiguration(), s.clusterConfiguration(), s.kubeletConfiguration()} {
		data, err := yaml.Marshal(document)
		if err != nil {
			return err
		}
		fmt.Fprintf(&out, "---\n%s", data)
	}
	return os.WriteFile(filepath.Join(s.Dir, kubeadmFile), out.Bytes(), 0o644)
}

// v1beta4 of kubeadm's configuration came with Kubernetes 1.31.
func (s Settings) v1beta4() bool { return program.Minor(s.Version) >= 31 }

func (s Settings) apiVersion() string {
	if s.v1beta4() {
		return "kubeadm.k8s.io/v1beta4"
	}
	return "kubeadm.k8s.io/v1beta3"
}

func (s Settings) initConfiguration() map[string]any {
	var extra any = map[string]string{"node-ip": s.Address}
	if s.v1beta4() {
		extra = []map[string]string{{"name": "node-ip", "value": s.Address}}
	}
	return map[string]any{
		"apiVersion":       s.apiVersion(),
		"kind":             "InitConfiguration",
		"localAPIEndpoint": map[string]any{"advertiseAddress": s.Address, "bindPort": 6443},
		"nodeRegistration": map[string]any{
			"name": s.Name, "criSocket": "unix://" + criSocket, "imagePullPolicy": "Never", "kubeletExtraArgs": extra,
		},
	}
}

func (s Settings) clusterConfiguration() map[string]any {
	config := map[string]any{
		"apiVersion":        s.apiVersion(),
		"kind":              "ClusterConfiguration",
		"kubernetesVersion": "v" + s.Version,
		"clusterName":       s.Name,
		"imageRepository":   imageRepository,
	}
	if s.CertLife != layout.DefaultCertLife {
		config["certificateValidityPeriod"] = s.CertLife.String()
		// The kubelet's own certificates are signed by the controller manager.
		config["controllerManager"] = map[string]any{
			"extraArgs": []map[string]string{{"name": "cluster-signing-duration", "value": s.CertLife.String()}},
		}
	}
	if s.CALife != layout.DefaultCALife {
		config["caCertificateValidityPeriod"] = s.CALife.String()
	}
	return config
}

// kubeletConfiguration keeps the kubelet from judging the machine: how full
// its disk is, and whether it swaps, says nothing about the node.
func (s Settings) kubeletConfiguration() map[string]any {
	config := map[string]any{
		"apiVersion":                  "kubelet.config.k8s.io/v1beta1",
		"kind":                        "KubeletConfiguration",
		"failSwapOn":                  false,
		"cgroupDriver":                "cgroupfs",
		"cgroupRoot":                  "/" + s.Cgroup(),
		"evictionHard":                map[string]string{"nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%"},
		"imageGCHighThresholdPercent": 100,
	}
	if program.Minor(s.Version) >= 31 {
		config["failCgroupV1"] = false
	}
	return config
}

// checkLives refuses what the version's kubeadm cannot make.
func (s Settings) checkLives() error {
	if !s.v1beta4() && (s.CertLife != layout.DefaultCertLife || s.CALife != layout.DefaultCALife) {
		return fmt.Errorf("making certificates of another life: kubeadm 1.%d knows one only (1.31 and later know others)", program.Minor(s.Version))
	}
	return nil
}

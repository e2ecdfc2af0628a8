// SPDX-License-Identifier: Apache-2.0

package layout

import "path"

// DefaultKubeletRoot is where a kubelet keeps what it needs, unless its --root-dir
// says otherwise (cmd/kubelet/app/options/options.go).
const DefaultKubeletRoot = "/var/lib/kubelet"

// checkpoints is the directory into which the kubelet lets the runtime write
// checkpoints of containers (pkg/kubelet/kubelet_getters.go getCheckpointsDir). That
// at kubeadm's place belongs to the cluster at kubeadm's place.
func (d *discovery) checkpoints() string {
	if d.Scope.Checkpoints != "" {
		return d.Scope.Checkpoints
	}
	k, _ := d.Component(Kubelet)
	switch dir := k.file("root-dir"); {
	case dir != "":
		return path.Join(dir, "checkpoints")
	case d.KubernetesDir == DefaultKubernetesDir:
		return path.Join(DefaultKubeletRoot, "checkpoints")
	}
	return ""
}

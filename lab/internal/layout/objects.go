// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

// Register writes into the running API server what kubeadm init and the
// kubelet would have: the administrators' binding, the bootstrap roles, the
// node, the API server's mirror pod and kubeadm's configuration. Without the
// last three, `kubeadm certs` falls back to its defaults.
func (s Settings) Register() error {
	if err := s.bindAdministrators(); err != nil {
		return err
	}
	objects, err := s.nodeObjects()
	if err != nil {
		return err
	}
	if _, err := s.Kubectl(objects, "apply", "--validate=false", "-f", "-"); err != nil {
		return err
	}
	// A kubeconfig is named so that kubeadm uses the address in it: with its
	// default it would turn to the advertised one.
	admin := []string{"--config", s.kubeadmFile(), "--kubeconfig", s.bootstrapConf()}
	for _, phase := range [][]string{{"upload-config", "all"}, {"bootstrap-token", "--skip-token-print"}} {
		args := append([]string{"init", "phase"}, phase...)
		if _, err := s.Kubeadm(append(args, admin...)...); err != nil {
			return err
		}
	}
	return nil
}

// bootstrapConf may do anything from the first moment: super-admin.conf since
// 1.29, admin.conf before.
func (s Settings) bootstrapConf() string {
	super := filepath.Join(s.Kubernetes(), "super-admin.conf")
	if _, err := os.Stat(super); err == nil {
		return super
	}
	return s.AdminConf()
}

// bindAdministrators makes the binding of kubeadm init (app/phases/kubeconfig
// EnsureAdminClusterRoleBinding, 1.29) that lets admin.conf work.
func (s Settings) bindAdministrators() error {
	if s.bootstrapConf() == s.AdminConf() {
		return nil
	}
	const name = "kubeadm:cluster-admins"
	_, err := s.Kubectl(nil, "--kubeconfig", s.bootstrapConf(), "create", "clusterrolebinding", name, "--clusterrole=cluster-admin", "--group="+name)
	return err
}

// nodeObjects are the node and the API server's mirror pod, with the
// annotations in which kubeadm looks for its socket and address.
func (s Settings) nodeObjects() ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(s.Manifests(), "kube-apiserver.yaml"))
	if err != nil {
		return nil, err
	}
	var pod map[string]any
	if err := yaml.Unmarshal(data, &pod); err != nil {
		return nil, fmt.Errorf("reading the API server's manifest: %w", err)
	}
	metadata, spec := pod["metadata"].(map[string]any), pod["spec"].(map[string]any)
	metadata["name"] = "kube-apiserver-" + s.Node
	annotations := metadata["annotations"].(map[string]any)
	annotations["kubernetes.io/config.mirror"] = "lab"
	annotations["kubernetes.io/config.source"] = "file"
	spec["nodeName"] = s.Node
	node := map[string]any{
		"apiVersion": "v1",
		"kind":       "Node",
		"metadata": map[string]any{
			"name": s.Node,
			"labels": map[string]string{
				"kubernetes.io/hostname":                                  s.Node,
				"kubernetes.io/os":                                        "linux",
				"node-role.kubernetes.io/control-plane":                   "",
				"node.kubernetes.io/exclude-from-external-load-balancers": "",
			},
			"annotations": map[string]string{"kubeadm.alpha.kubernetes.io/cri-socket": criSocket},
		},
		"spec": map[string]any{"taints": []any{
			map[string]string{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},
		}},
	}
	return json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": []any{node, pod}})
}

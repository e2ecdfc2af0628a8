// SPDX-License-Identifier: Apache-2.0

package document

import (
	"slices"
	"strings"
)

// Judged is a kind whose content is judged, in any version of these groups.
type Judged struct {
	Kind   string
	Groups []string
}

// Contents is the one table of kinds whose content is judged, by kind. A kind
// of the same name in another group, such as Volcano's Job, is not meant.
var Contents = []Judged{
	{"CSIDriver", []string{"storage.k8s.io"}},
	{"CSINode", []string{"storage.k8s.io"}},
	{"ClusterConfiguration", []string{"kubeadm.k8s.io"}},
	{"ClusterRole", []string{"rbac.authorization.k8s.io"}},
	{"CronJob", []string{"batch"}},
	{"CustomResourceDefinition", []string{"apiextensions.k8s.io"}},
	{"DaemonSet", []string{"apps", "extensions"}},
	{"Deployment", []string{"apps", "extensions"}},
	{"InitConfiguration", []string{"kubeadm.k8s.io"}},
	{"Job", []string{"batch"}},
	{"JoinConfiguration", []string{"kubeadm.k8s.io"}},
	{"KubeProxyConfiguration", []string{"kubeproxy.config.k8s.io"}},
	{"KubeletConfiguration", []string{"kubelet.config.k8s.io"}},
	{"MutatingWebhookConfiguration", []string{"admissionregistration.k8s.io"}},
	{"Namespace", []string{""}},
	{"Node", []string{""}},
	{"PersistentVolume", []string{""}},
	{"PersistentVolumeClaim", []string{""}},
	{"Pod", []string{""}},
	{"PodSecurityPolicy", []string{"policy", "extensions"}},
	{"PodTemplate", []string{""}},
	{"ReplicaSet", []string{"apps", "extensions"}},
	{"ReplicationController", []string{""}},
	{"StatefulSet", []string{"apps"}},
	{"StorageClass", []string{"storage.k8s.io"}},
	{"ValidatingWebhookConfiguration", []string{"admissionregistration.k8s.io"}},
}

// HasContent says whether the content of such objects is judged.
func HasContent(apiVersion, kind string) bool {
	i, ok := slices.BinarySearchFunc(Contents, kind, func(j Judged, kind string) int { return strings.Compare(j.Kind, kind) })
	if !ok {
		return false
	}
	group, _ := splitVersion(apiVersion)
	return slices.Contains(Contents[i].Groups, group)
}

// splitVersion splits an apiVersion into group and version.
func splitVersion(apiVersion string) (group, version string) {
	group, version, ok := strings.Cut(apiVersion, "/")
	if !ok {
		return "", apiVersion
	}
	return group, version
}

// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/release"
)

// kubectl is one that somebody may ask the cluster with.
type kubectl struct {
	path  string
	minor release.Minor
}

// Kubectl takes in where a kubectl is and its version, as "v1.37.2". What is no
// version is left out.
func (j *Judge) Kubectl(path, version string) {
	if minor, err := release.ParseMinor(version); err == nil {
		j.kubectls = append(j.kubectls, kubectl{path, minor})
	}
}

func (j *Judge) seeNode(o fact.Object) error {
	var node struct {
		Metadata meta              `json:"metadata"`
		Status   corev1.NodeStatus `json:"status"`
	}
	if err := read(o, &node); err != nil {
		return err
	}
	if o.File != "" {
		return nil
	}
	j.volumes.looked = true
	o.Content, o.Uses = nil, nil
	info := node.Status.NodeInfo
	kubelet, err := release.ParseMinor(info.KubeletVersion)
	if err == nil {
		if hop, lags := j.lags(kubelet); lags {
			j.found = append(j.found, kubeletTooOld(o, kubelet, hop))
		}
		if hop, refuses := j.kubeadmRefuses(kubelet); refuses {
			j.found = append(j.found, kubeletRefused(o, kubelet, hop))
		}
	}
	if r, why, ok := j.runtimeEnds(info.ContainerRuntimeVersion, dockershim(node.Metadata, kubelet)); ok {
		f := about(o, finding.RuntimeTooOld, finding.Blocks, r)
		f.ID = fact.NodeID(string(o.Name), "kubelet-platform-runtime") // as where the machine itself was looked at
		j.found = append(j.found, runtimeTooOld(f, info.ContainerRuntimeVersion, why))
	}
	j.users.node(o.Name, node.Status)
	return nil
}

// lags finds the first hop whose API server does not support a kubelet or
// kube-proxy of a minor. One that keeps up with the cluster is taken to do so on
// the way.
func (j *Judge) lags(m release.Minor) (release.Minor, bool) {
	if j.way.From > 0 && m >= j.way.From {
		return 0, false
	}
	for _, hop := range j.way.Hops() {
		if int(hop-m) > release.KubeletSkew(hop) {
			return hop, true
		}
	}
	return 0, false
}

func skewRule(hop release.Minor) rule { return rule{hop, changes()[kubeletSkew].Source} }

func kubeletTooOld(o fact.Object, kubelet, hop release.Minor) finding.Finding {
	least := hop - release.Minor(release.KubeletSkew(hop))
	f := about(o, finding.KubeletTooOld, finding.Blocks, skewRule(hop))
	f.Effect = fmt.Sprintf("the kubelet %s of the node %s is too old for an API server %s, which supports %s and newer", kubelet, o.Name, hop, least)
	f.Fix = fmt.Sprintf("kubectl drain %s --ignore-daemonsets, then install kubelet %s or newer, but none newer than the API server, and kubectl uncordon %s", o.Name, least, o.Name)
	f.Evidence.Version = fact.Text(kubelet.String())
	return f
}

// kubeadmRefuses finds the first hop whose kubeadm does not upgrade a cluster
// with a kubelet of a minor that its API server supports.
func (j *Judge) kubeadmRefuses(m release.Minor) (release.Minor, bool) {
	if j.way.From == 0 || m >= j.way.From {
		return 0, false
	}
	for _, hop := range j.way.Hops() {
		if !changes()[kubeadmKubeletSkew].In(hop) && hop-m > 1 {
			return hop, int(hop-m) <= release.KubeletSkew(hop)
		}
	}
	return 0, false
}

func kubeletRefused(o fact.Object, kubelet, hop release.Minor) finding.Finding {
	f := about(o, finding.KubeletTooOld, finding.Blocks, rule{hop, changes()[kubeadmKubeletSkew].Source})
	f.Effect = fmt.Sprintf("kubeadm %s refuses to upgrade while the node %s has the kubelet %s: up to 1.28 it takes kubelets of one minor before only, although the API server supports older ones", hop, o.Name, kubelet)
	f.Fix = fmt.Sprintf("kubectl drain %s --ignore-daemonsets, then install kubelet %s, and kubectl uncordon %s; or kubeadm upgrade apply --force", o.Name, hop-1, o.Name)
	f.Evidence.Version = fact.Text(kubelet.String())
	return f
}

// dockershim reports that a node's docker is the one that the kubelet itself had
// code for.
func dockershim(m meta, kubelet release.Minor) bool {
	socket := m.Annotations["kubeadm.alpha.kubernetes.io/cri-socket"]
	return kubelet < changes()[dockershimGone].Minor && !strings.Contains(socket, "cri-dockerd")
}

// runtimeEnds says with which hop a runtime can no longer be used.
func (j *Judge) runtimeEnds(runtime string, dockershim bool) (rule, string, bool) {
	name, version, _ := strings.Cut(runtime, "://")
	var c change
	var why string
	switch {
	case name == "docker" && dockershim:
		c, why = dockershimGone, "the kubelet has no code for docker any more: move to containerd 1.6 or newer, or install cri-dockerd"
	case name == "containerd" && before(version, 1, 6):
		c, why = criV1, "the kubelet speaks CRI v1 only: update to containerd 1.6 or newer"
	case name == "containerd" && before(version, 2, 0), name == "cri-o" && before(version, 1, 28):
		c, why = criRuntimeConfig, "the kubelet asks the runtime for its cgroup driver and is to have no other way: update to containerd 2.0 or CRI-O 1.28"
	default:
		return rule{}, "", false
	}
	row, ok := j.bites(c)
	return rule{row.Minor, row.Source}, why, ok
}

func runtimeTooOld(f finding.Finding, runtime, why string) finding.Finding {
	needs, fix, _ := strings.Cut(why, ": ")
	f.Effect = fmt.Sprintf("the kubelet of %s does not work with %s: %s", f.End.Version, fact.Text(runtime), needs)
	f.Fix = fix
	f.Evidence.Version = fact.Text(runtime)
	return f
}

// before compares the first two numbers of a version; what cannot be read is not
// before anything.
func before(version string, major, minor int) bool {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) < 2 {
		return false
	}
	first, err1 := strconv.Atoi(parts[0])
	second, err2 := strconv.Atoi(parts[1])
	return err1 == nil && err2 == nil && (first < major || first == major && second < minor)
}

// kubectlFindings is one finding about all that are too old, by the oldest.
func (j *Judge) kubectlFindings() []finding.Finding {
	all := slices.SortedFunc(slices.Values(j.kubectls), func(a, b kubectl) int {
		return cmp.Or(cmp.Compare(a.minor, b.minor), cmp.Compare(a.path, b.path))
	})
	hops := j.way.Hops()
	if len(all) == 0 || len(hops) == 0 || all[0].minor >= hops[len(hops)-1]-1 {
		return nil
	}
	oldest := all[0]
	hop := max(hops[0], oldest.minor+2)
	f := aboutMachine("perennial", "kubectl", finding.KubectlTooOld, finding.Hint, skewRule(hop))
	f.Effect = fmt.Sprintf("kubectl %s is too old for an API server %s: it supports one minor older and one newer than itself", oldest.minor, hop)
	f.Fix = "install kubectl " + hop.String()
	f.Evidence.Path, f.Evidence.Version = oldest.path, fact.Text(oldest.minor.String())
	for _, k := range all {
		if k.minor < hops[len(hops)-1]-1 {
			note(&f, k.path+" is kubectl "+k.minor.String())
		}
	}
	return []finding.Finding{f}
}

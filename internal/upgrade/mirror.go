// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
)

// mirrorAnnotation is on what a kubelet shows of its static pods in the API
// (k8s.io/api v0.37.0, core/v1 MirrorPodAnnotationKey).
const mirrorAnnotation = "kubernetes.io/config.mirror"

// mirror takes in a static pod of a control plane as its kubelet shows it: its
// command line is that of the manifest on a node which may be another one than
// this.
func (j *Judge) mirror(o fact.Object) {
	if o.File != "" || o.Type != "Pod" || o.Namespace != "kube-system" || !bytes.Contains(o.Content, []byte(mirrorAnnotation)) {
		return
	}
	var pod struct {
		Metadata struct {
			Annotations map[string]string `json:"annotations"`
		} `json:"metadata"`
		Spec struct {
			NodeName   string `json:"nodeName"`
			Containers []struct {
				Name    string    `json:"name"`
				Image   fact.Text `json:"image"`
				Command []string  `json:"command"`
				Args    []string  `json:"args"`
			} `json:"containers"`
		} `json:"spec"`
	}
	if json.Unmarshal(o.Content, &pod) != nil || pod.Metadata.Annotations[mirrorAnnotation] == "" || pod.Spec.NodeName == "" {
		return // what is no pod was told by who judges pods
	}
	if strings.HasPrefix(string(o.Name), layout.APIServerStandby) {
		return // it goes before the upgrade
	}
	l := j.mirrored[pod.Spec.NodeName]
	l.Node = pod.Spec.NodeName
	for _, c := range pod.Spec.Containers {
		args := slices.Concat(c.Command, c.Args)
		name, ok := layout.ComponentOf(args)
		if !ok {
			name = c.Name
		}
		one := layout.Component{Name: name, Image: c.Image, Args: args, Manifest: fact.Text("the manifest of " + name + " on the node " + l.Node).String()}
		one.Flags = one.Given()
		l.Components = append(l.Components, one)
	}
	j.mirrored[l.Node] = l
}

// mirrors judges the static pods of the nodes that were not looked at.
func (j *Judge) mirrors() []finding.Finding {
	var found []finding.Finding
	var all []unit
	byKubeadm := slices.ContainsFunc(j.mine, func(f fact.Fact) bool {
		d, ok := f.(fact.ConfigDocument)
		return ok && d.Component == kubeadm
	})
	for _, name := range slices.Sorted(maps.Keys(j.mirrored)) {
		if slices.ContainsFunc(j.nodes, func(l layout.Layout) bool { return l.Node == name }) {
			continue
		}
		l := j.mirrored[name]
		units := j.units(l, false)
		for _, u := range units {
			if byKubeadm {
				u.place = u.manifest + " and from extraArgs in the ConfigMap kube-system/kubeadm-config"
			}
			found = append(found, j.unit(u)...)
		}
		found = append(found, j.etcd(l)...)
		all = append(all, units...)
	}
	if len(j.nodes) == 0 { // what is new by default is so on all nodes
		found = append(found, j.gateDefaults("cluster", all)...)
	}
	return found
}

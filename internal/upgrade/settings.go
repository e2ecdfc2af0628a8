// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"encoding/json"
	"strings"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/rules"
)

// settingKinds are the kinds of objects that hold components' settings, by the
// component that reads them.
var settingKinds = map[fact.Text]string{
	"ClusterConfiguration": kubeadm, "InitConfiguration": kubeadm, "JoinConfiguration": kubeadm, "KubeProxyConfiguration": kubeProxy, "KubeletConfiguration": layout.Kubelet,
}

// settings judges a document, or a ConfigMap's content, that holds components'
// settings: it is from there that kubeadm writes them anew.
func (j *Judge) settings(o fact.Object) []finding.Finding {
	component := settingKinds[o.Type]
	group, _, _ := strings.Cut(string(o.APIVersion), "/")
	if component == "" || group != settingGroups[component] {
		return nil
	}
	var found []finding.Finding
	for _, u := range readSettings(o, component) {
		found = append(found, j.unit(u)...)
		if u.component == layout.Etcd {
			found = append(found, j.etcdSettings(u)...)
		}
	}
	return in(o, found)
}

// in says of findings which object they are about.
func in(o fact.Object, found []finding.Finding) []finding.Finding {
	for i := range found {
		found[i].File, found[i].Line = o.File, o.Line
		found[i].Object = &finding.Object{APIVersion: o.APIVersion, Kind: o.Type, Namespace: o.Namespace, Name: o.Name}
	}
	return found
}

var settingGroups = map[string]string{
	kubeadm: "kubeadm.k8s.io", kubeProxy: "kubeproxy.config.k8s.io", layout.Kubelet: "kubelet.config.k8s.io",
}

// etcdSettings judges the etcd that kubeadm is told to run. One of another image
// stays what it is, also when kubeadm's own would be a newer one.
func (j *Judge) etcdSettings(u unit) []finding.Finding {
	version, err := rules.ParseEtcdVersion(u.tag)
	shipped, ok := j.rules.EtcdShipped(j.way.From)
	var found []finding.Finding
	switch {
	case err == nil:
		found = j.etcdFaults(u, version)
	case u.tag == "" && ok:
		version = shipped.Version
		found = j.etcdFlags(u, version)
	}
	if len(u.flags[checkFlag]) > 0 { // otherwise kubeadm sets it
		found = append(found, j.etcdCheck(u, version)...)
	}
	return found
}

// kubeadmConfiguration is what matters of kubeadm's documents, v1beta1 to v1: of a
// cluster, and of a node, with the kubelet's flags.
type kubeadmConfiguration struct {
	FeatureGates                            map[string]any `json:"featureGates"`
	APIServer, ControllerManager, Scheduler struct {
		ExtraArgs extraArgs `json:"extraArgs"`
	}
	Etcd struct {
		Local struct {
			ImageTag  string    `json:"imageTag"`
			ExtraArgs extraArgs `json:"extraArgs"`
		} `json:"local"`
	} `json:"etcd"`
	NodeRegistration struct {
		KubeletExtraArgs extraArgs `json:"kubeletExtraArgs"`
	} `json:"nodeRegistration"`
}

// extraArgs are flags: an object up to v1beta3, a list of names and values from
// v1beta4 on (cmd/kubeadm/app/apis/kubeadm/v1beta4/types.go, 1.31).
type extraArgs struct{ layout.Flags }

// UnmarshalJSON reads both forms; any other is no flags.
func (e *extraArgs) UnmarshalJSON(data []byte) error {
	e.Flags = layout.Flags{}
	var object map[string]string
	if json.Unmarshal(data, &object) == nil {
		for name, value := range object {
			e.Flags[name] = []string{value}
		}
		return nil
	}
	var list []struct{ Name, Value string }
	if json.Unmarshal(data, &list) == nil {
		for _, arg := range list {
			e.Flags[arg.Name] = append(e.Flags[arg.Name], arg.Value)
		}
	}
	return nil
}

func readSettings(o fact.Object, component string) []unit {
	id, place := string(fact.ObjectID(o)), settingsPlace(o)
	if component == kubeadm {
		return readKubeadm(o, id, place)
	}
	var c struct {
		FeatureGates map[string]any `json:"featureGates"`
	}
	if o.File == "" || json.Unmarshal(o.Content, &c) != nil {
		return nil
	}
	return []unit{{component: component, id: id + "/" + component, gates: readGates(c.FeatureGates, place)}}
}

// readGates are those of a configuration file that say true or false.
func readGates(all map[string]any, place string) []gate {
	gates := map[string]bool{}
	for name, value := range all {
		if on, ok := value.(bool); ok {
			gates[name] = on
		}
	}
	return sorted(gates, place)
}

func readKubeadm(o fact.Object, id, place string) []unit {
	var c kubeadmConfiguration
	if json.Unmarshal(o.Content, &c) != nil {
		return nil
	}
	var all []unit
	if o.File != "" && len(c.FeatureGates) > 0 { // of what a cluster keeps a ConfigDocument tells
		all = append(all, unit{component: kubeadm, id: id + "/" + kubeadm, gates: readGates(c.FeatureGates, place)})
	}
	for _, part := range []struct {
		component, field, tag string
		args                  extraArgs
	}{
		{layout.APIServer, "apiServer.extraArgs", "", c.APIServer.ExtraArgs}, {layout.ControllerManager, "controllerManager.extraArgs", "", c.ControllerManager.ExtraArgs},
		{layout.Scheduler, "scheduler.extraArgs", "", c.Scheduler.ExtraArgs}, {layout.Etcd, "etcd.local.extraArgs", c.Etcd.Local.ImageTag, c.Etcd.Local.ExtraArgs},
		{layout.Kubelet, "nodeRegistration.kubeletExtraArgs", "", c.NodeRegistration.KubeletExtraArgs},
	} {
		if len(part.args.Flags) > 0 || part.tag != "" {
			all = append(all, unit{component: part.component, id: id + "/" + part.component, flags: part.args.Flags, gates: flagGates(part.args.Flags),
				manifest: place, place: part.field + " in " + place, partial: true, tag: part.tag})
		}
	}
	return all
}

// settingsPlace is where a person finds it.
func settingsPlace(o fact.Object) string {
	if o.File != "" {
		return o.File
	}
	return "the ConfigMap " + string(o.Namespace) + "/" + string(o.Name)
}

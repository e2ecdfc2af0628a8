// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"encoding/json"
	"path"
	"regexp"

	"sigs.k8s.io/yaml"

	"perennial.dev/perennial/internal/fact"
)

// pod is what matters of a v1.Pod in a manifest.
type pod struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	Spec struct {
		Containers []struct {
			Name         string   `json:"name"`
			Image        string   `json:"image"`
			Command      []string `json:"command"`
			Args         []string `json:"args"`
			VolumeMounts []struct {
				Name      string `json:"name"`
				MountPath string `json:"mountPath"`
				SubPath   string `json:"subPath"`
			} `json:"volumeMounts"`
		} `json:"containers"`
		Volumes []struct {
			Name     string `json:"name"`
			HostPath *struct {
				Path string `json:"path"`
				Type string `json:"type"`
			} `json:"hostPath"`
		} `json:"volumes"`
	} `json:"spec"`
}

// ParseManifest reads a static pod's manifest, YAML or JSON. What cannot be
// understood becomes the fact's Problem.
func ParseManifest(file string, meta fact.Meta, data []byte) fact.Manifest {
	m := fact.Manifest{Path: file, Meta: meta, Digest: fact.Digest(data)}
	var p pod
	if err := yaml.Unmarshal(data, &p); err != nil {
		m.Problem = fact.Text("it is no YAML of a pod" + whereIn(err))
		return m
	}
	if p.Kind != "Pod" {
		m.Problem = "it is no Pod"
		return m
	}
	if len(p.Spec.Containers) == 0 {
		m.Problem = "it is a Pod without containers"
		return m
	}
	m.Name, m.Namespace = fact.Text(p.Metadata.Name), fact.Text(p.Metadata.Namespace)
	volumes := map[string]int{}
	for i, v := range p.Spec.Volumes {
		volumes[v.Name] = i
	}
	for _, c := range p.Spec.Containers {
		m.Containers = append(m.Containers, fact.Container{
			Name: fact.Text(c.Name), Image: fact.Text(c.Image),
			Args: append(append([]string{}, c.Command...), c.Args...),
		})
		for _, vm := range c.VolumeMounts {
			i, ok := volumes[vm.Name]
			if !ok || p.Spec.Volumes[i].HostPath == nil {
				continue
			}
			host := p.Spec.Volumes[i].HostPath
			m.Mounts = append(m.Mounts, fact.Mount{
				Container: fact.Text(c.Name), Type: host.Type,
				HostPath: path.Join(host.Path, vm.SubPath), Path: path.Clean(vm.MountPath),
			})
		}
	}
	return m
}

// kubeletConfiguration is what matters of kubelet.config.k8s.io/v1beta1.
type kubeletConfiguration struct {
	Kind               string `json:"kind"`
	StaticPodPath      string `json:"staticPodPath"`
	TLSCertFile        string `json:"tlsCertFile"`
	TLSPrivateKeyFile  string `json:"tlsPrivateKeyFile"`
	RotateCertificates bool   `json:"rotateCertificates"`
	ServerTLSBootstrap bool   `json:"serverTLSBootstrap"`
	Address            string `json:"address"`
	Port               int    `json:"port"`
	ClusterDomain      string `json:"clusterDomain"`
	// These are read leniently: what a later minor makes of them is not to
	// hide the rest.
	FeatureGates   json.RawMessage `json:"featureGates"`
	FailCgroupV1   any             `json:"failCgroupV1"`
	Authentication struct {
		X509 struct {
			ClientCAFile string `json:"clientCAFile"`
		} `json:"x509"`
	} `json:"authentication"`
}

// ParseKubeletConfig reads a KubeletConfiguration file.
func ParseKubeletConfig(file string, data []byte) fact.KubeletConfig {
	k := fact.KubeletConfig{Path: file}
	var c kubeletConfiguration
	if err := yaml.Unmarshal(data, &c); err != nil {
		k.Problem = fact.Text("it is no YAML of a KubeletConfiguration" + whereIn(err))
		return k
	}
	if c.Kind != "KubeletConfiguration" {
		k.Problem = "it is no KubeletConfiguration"
		return k
	}
	k = fact.KubeletConfig{
		Path: file, StaticPodPath: c.StaticPodPath, ClientCAFile: c.Authentication.X509.ClientCAFile,
		TLSCertFile: c.TLSCertFile, TLSKeyFile: c.TLSPrivateKeyFile,
		RotateCertificates: c.RotateCertificates, ServerTLSBootstrap: c.ServerTLSBootstrap,
		Address: c.Address, Port: c.Port, ClusterDomain: c.ClusterDomain,
		Gates: readGates(c.FeatureGates),
	}
	if fails, ok := c.FailCgroupV1.(bool); ok {
		k.FailCgroupV1 = &fails
	}
	return k
}

var yamlLine = regexp.MustCompile(`line \d+`)

// whereIn keeps the line of a YAML error and drops the rest: it may quote the
// file, and a file may hold secrets.
func whereIn(err error) string {
	if where := yamlLine.FindString(err.Error()); where != "" {
		return " (" + where + ")"
	}
	return ""
}

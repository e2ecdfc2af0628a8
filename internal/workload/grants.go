// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"perennial.dev/perennial/internal/fact"
)

// grants are what a PodSecurityPolicy allows, and what the pods that it admitted
// use of it.
type grants struct {
	shown   bool
	allowed allowances
	used    map[string]bool
	pods    few
}

// allowances are the fields of a PodSecurityPolicy by which it grants something.
type allowances struct {
	Privileged            bool     `json:"privileged"`
	HostNetwork           bool     `json:"hostNetwork"`
	HostPID               bool     `json:"hostPID"`
	HostIPC               bool     `json:"hostIPC"`
	HostPorts             []any    `json:"hostPorts"`
	AllowedCapabilities   []string `json:"allowedCapabilities"`
	Volumes               []string `json:"volumes"`
	AllowedUnsafeSysctls  []string `json:"allowedUnsafeSysctls"`
	AllowedProcMountTypes []string `json:"allowedProcMountTypes"`
	AllowPrivilege        *bool    `json:"allowPrivilegeEscalation"`
}

func (p *policies) see(o fact.Object) error {
	var content struct {
		Spec allowances `json:"spec"`
	}
	if err := read(o, &content); err != nil {
		return err
	}
	g := p.granted[string(o.Name)]
	if g == nil {
		g = &grants{}
		p.granted[string(o.Name)] = g
	}
	g.shown, g.allowed = true, content.Spec
	return nil
}

// harmless are the volumes that Pod Security's level restricted allows
// (pod-security-admission v0.37.0 policy/check_restrictedVolumes.go).
var harmless = []string{"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret"}

// use notes what a pod needs of what a policy may grant.
func (g *grants) use(o fact.Object, pod template) {
	g.pods.add(o.Namespace.String() + "/" + o.Name.String())
	if g.used == nil {
		g.used = map[string]bool{}
	}
	spec := pod.Spec
	needs := map[string]bool{"hostNetwork": spec.HostNetwork, "hostPID": spec.HostPID, "hostIPC": spec.HostIPC}
	if spec.SecurityContext != nil {
		for _, s := range spec.SecurityContext.Sysctls {
			needs["sysctl "+s.Name] = true
		}
	}
	for i := range spec.Volumes {
		needs["volume "+volumeField(&spec.Volumes[i])] = true
	}
	eachContainer(&spec, func(c *corev1.Container) {
		for _, port := range c.Ports {
			needs["hostPorts"] = needs["hostPorts"] || port.HostPort != 0
		}
		s := c.SecurityContext
		if s == nil {
			needs["allowPrivilegeEscalation"] = true // by default
			return
		}
		needs["privileged"] = needs["privileged"] || s.Privileged != nil && *s.Privileged
		needs["procMount"] = needs["procMount"] || s.ProcMount != nil && *s.ProcMount != corev1.DefaultProcMount
		needs["allowPrivilegeEscalation"] = needs["allowPrivilegeEscalation"] || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation
		if s.Capabilities != nil {
			for _, name := range s.Capabilities.Add {
				needs["capability "+string(name)] = true
			}
		}
	})
	maps.DeleteFunc(needs, func(_ string, needed bool) bool { return !needed })
	maps.Copy(g.used, needs)
}

// volumeField is the name of the field that says what a volume is.
func volumeField(v *corev1.Volume) string {
	s := v.VolumeSource
	switch {
	case s.HostPath != nil:
		return "hostPath"
	case s.NFS != nil:
		return "nfs"
	case s.ISCSI != nil:
		return "iscsi"
	case s.FC != nil:
		return "fc"
	}
	return sourceField(v)
}

// excess is what is granted and not used by any pod that was admitted.
func (g *grants) excess() []string {
	if !g.shown {
		return nil
	}
	var all []string
	unused := func(granted bool, name string) {
		if granted && !g.used[name] {
			all = append(all, fact.Text(name).String())
		}
	}
	a := g.allowed
	unused(a.Privileged, "privileged")
	unused(a.HostNetwork, "hostNetwork")
	unused(a.HostPID, "hostPID")
	unused(a.HostIPC, "hostIPC")
	unused(len(a.HostPorts) > 0, "hostPorts")
	unused(a.AllowPrivilege == nil || *a.AllowPrivilege, "allowPrivilegeEscalation")
	for _, name := range a.AllowedCapabilities {
		if name == "*" {
			unused(!g.any("capability "), "capability *")
			continue
		}
		unused(true, "capability "+name)
	}
	for _, name := range a.AllowedUnsafeSysctls {
		unused(!strings.HasSuffix(name, "*") || !g.any("sysctl "+strings.TrimSuffix(name, "*")), "sysctl "+name)
	}
	for _, name := range a.Volumes {
		if name == "*" {
			beyond := slices.ContainsFunc(slices.Collect(maps.Keys(g.used)), func(u string) bool {
				volume, is := strings.CutPrefix(u, "volume ")
				return is && volume != "" && !slices.Contains(harmless, volume)
			})
			unused(!beyond, "volume *")
			continue
		}
		unused(!slices.Contains(harmless, name), "volume "+name)
	}
	unused(slices.Contains(a.AllowedProcMountTypes, string(corev1.UnmaskedProcMount)), "procMount")
	return all
}

func (g *grants) any(prefix string) bool {
	for name := range g.used {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

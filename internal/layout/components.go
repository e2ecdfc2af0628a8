// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// DefaultKubernetesDir is kubeadm's (cmd/kubeadm/app/constants, KubernetesDir).
const DefaultKubernetesDir = "/etc/kubernetes"

// identityFlags are those whose files tell two clusters on one machine apart.
var identityFlags = []string{"tls-cert-file", "kubeconfig", "data-dir", "cert-file", "etcd-certfile", "config"}

// findKubernetesDir takes the scope's directory, unless it is kubeadm's
// default, nothing is there, and a running component says where its kubeconfig
// lies.
func (d *discovery) findKubernetesDir() {
	if d.Scope.KubernetesDir == "" {
		return
	}
	d.KubernetesDir = path.Clean(d.Scope.KubernetesDir)
	if d.KubernetesDir != DefaultKubernetesDir {
		return
	}
	for _, l := range d.listings {
		if l.Dir == DefaultKubernetesDir {
			return
		}
	}
	for _, p := range d.processes {
		name, rest := component(unwrap(p.Args))
		if p.Foreign || name == "" {
			continue
		}
		if conf := ParseFlags(rest).Get("kubeconfig"); name != Kubelet && path.IsAbs(conf) {
			d.KubernetesDir = path.Dir(conf)
			return
		}
	}
}

func (d *discovery) findComponents() {
	for _, m := range d.manifests {
		mounts := map[fact.Text][]fact.Mount{}
		for _, mount := range m.Mounts {
			mounts[mount.Container] = append(mounts[mount.Container], mount)
		}
		for _, c := range m.Containers {
			d.Components = append(d.Components, fromManifest(m, c, mounts[c.Name]))
		}
	}
	for _, p := range d.processes {
		if !p.Foreign {
			d.place(p)
		}
	}
	for _, p := range d.processes {
		if p.Foreign {
			d.placeForeign(p)
		}
	}
}

// placeForeign takes a process of another user only for what a manifest
// explains to the letter (kubeadm's rootless static pods): anybody may call a
// program kube-apiserver and name files for it.
func (d *discovery) placeForeign(p fact.Process) {
	name, rest := component(unwrap(p.Args))
	if name == "" {
		return
	}
	flags := ParseFlags(rest)
	if c := d.startedFrom(name, flags); c != nil && sameFlags(c.Flags, flags) {
		c.Process = &p
		return
	}
	if !d.belongs(name, p, flags) {
		return
	}
	d.Unseen = append(d.Unseen, fact.Unseen{
		Source: "processes", What: fact.Text(fmt.Sprintf("%s (pid %d)", name, p.PID)), Why: fact.Unsupported,
		Detail: "it belongs neither to root nor to the user who looks, and no manifest explains it",
		Hint:   "look as the user that it belongs to, if it is part of the cluster",
	})
}

func fromManifest(m fact.Manifest, c fact.Container, mounts []fact.Mount) Component {
	args := unwrap(c.Args)
	comp := Component{Name: c.Name.String(), Manifest: m.Path, Image: c.Image, Args: c.Args, Mounts: mounts}
	if len(args) > 0 {
		name, rest := component(args)
		switch {
		case name == APIServer && m.Name == APIServerStandby:
			comp.Name = APIServerStandby
		case name != "":
			comp.Name = name
		}
		comp.Flags = ParseFlags(rest)
	}
	return comp
}

// place puts a process where it belongs: to the manifest that it was started
// from, to this cluster without a manifest (a systemd unit), or nowhere.
func (d *discovery) place(p fact.Process) {
	args := unwrap(p.Args)
	if len(args) == 0 {
		return
	}
	name, rest := component(args)
	if name == "" {
		d.placeDerived(p)
		return
	}
	flags := ParseFlags(rest)
	if name == Etcd {
		addEnvironment(flags, p.Env)
	}
	if c := d.startedFrom(name, flags); c != nil {
		c.Process, c.Edited = &p, !sameFlags(c.Flags, flags)
		return
	}
	if !d.belongs(name, p, flags) {
		return
	}
	if d.leftStandby(name, flags) {
		d.Components = append(d.Components, Component{Name: APIServerStandby, Flags: flags, Process: &p})
		return
	}
	for _, c := range d.Components {
		if c.Name == name {
			d.Unseen = append(d.Unseen, fact.Unseen{
				Source: "processes", Why: fact.Unsupported,
				What:   fact.Text(fmt.Sprintf("a second %s (pid %d)", name, p.PID)),
				Detail: "it uses other files than the first; only one cluster is looked at",
				Hint:   "look at the other one with --kubernetes-dir",
			})
			return
		}
	}
	d.Components = append(d.Components, Component{Name: name, Flags: flags, Process: &p})
}

// startedFrom finds the manifest that a process was started from: the one with
// its flags, else one with its files, edited since. A standby has the files of
// the API server beside it and its own port.
func (d *discovery) startedFrom(name string, flags Flags) *Component {
	edited := -1
	for i := range d.Components {
		c := &d.Components[i]
		standby := name == APIServer && c.Name == APIServerStandby
		if c.Name != name && !standby || c.Manifest == "" || c.Process != nil {
			continue
		}
		if sameFlags(c.Flags, flags) {
			return c
		}
		if edited < 0 && !standby && sameIdentity(c.Flags, flags) && !isStandby(flags, c.Flags) {
			edited = i
		}
	}
	if edited < 0 {
		return nil
	}
	return &d.Components[edited]
}

// isStandby says whether an API server runs as a standby of another one does.
func isStandby(flags, main Flags) bool {
	return flags.Get("endpoint-reconciler-type") == "none" && flags.Get("secure-port") != main.Get("secure-port")
}

// leftStandby says whether a process is a standby whose manifest is gone: it is
// ending, or nobody ends it.
func (d *discovery) leftStandby(name string, flags Flags) bool {
	return name == APIServer && slices.ContainsFunc(d.Components, func(c Component) bool {
		return c.Name == APIServer && isStandby(flags, c.Flags) && sameIdentity(flags, c.Flags)
	})
}

// belongs says whether a process that no manifest explains is this cluster's:
// one of its flags names a file below the Kubernetes directory; or, on a node
// with kubeadm's directory, there is no other cluster it could be of.
func (d *discovery) belongs(name string, p fact.Process, flags Flags) bool {
	dir := strings.TrimSuffix(d.KubernetesDir, "/") + "/"
	for _, values := range flags {
		for _, value := range values {
			if strings.HasPrefix(value, dir) {
				return true
			}
		}
	}
	if d.KubernetesDir != DefaultKubernetesDir || p.Contained {
		return false
	}
	return !slices.ContainsFunc(d.Components, func(c Component) bool { return c.Name == name && c.Manifest != "" })
}

func sameFlags(a, b Flags) bool {
	if len(a) != len(b) {
		return false
	}
	for name, values := range a {
		if !slices.Equal(values, b[name]) {
			return false
		}
	}
	return true
}

func sameIdentity(a, b Flags) bool {
	same := false
	for _, name := range identityFlags {
		x, y := a.Get(name), b.Get(name)
		if x == "" && y == "" {
			continue
		}
		if x != y {
			return false
		}
		same = true
	}
	return same
}

// addEnvironment adds etcd's settings by environment variable (kubespray's
// units use them); a flag on the command line wins, as in etcd.
func addEnvironment(flags Flags, env []string) {
	for _, pair := range env {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || !strings.HasPrefix(name, "ETCD_") {
			continue
		}
		flag := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, "ETCD_")), "_", "-")
		if _, set := flags[flag]; !set {
			flags[flag] = []string{value}
		}
	}
}

// onHost turns a path inside the component's container into the host's. A
// path that no mount covers is taken as it is: the component runs on the host,
// or in a container with the same paths.
func (c Component) onHost(inside string) string {
	if inside == "" || !path.IsAbs(inside) {
		return ""
	}
	inside = path.Clean(inside)
	best, host := "", inside
	for _, m := range c.Mounts {
		if len(m.Path) <= len(best) {
			continue
		}
		if inside == m.Path {
			best, host = m.Path, path.Clean(m.HostPath)
		} else if strings.HasPrefix(inside, strings.TrimSuffix(m.Path, "/")+"/") {
			best, host = m.Path, path.Join(m.HostPath, strings.TrimPrefix(inside, m.Path))
		}
	}
	return host
}

// file is the host path that a flag names.
func (c Component) file(flag string) string { return c.onHost(c.Flags.Get(flag)) }

func (c Component) pid() int {
	if c.Process == nil {
		return 0
	}
	return c.Process.PID
}

// findNode finds the node's name: what the kubelet was told, what its client
// certificate says, what etcd was told, the host's name. What cannot be the
// name of a node is passed over.
func (d *discovery) findNode() {
	var names []string
	if k, ok := d.Component(Kubelet); ok {
		names = append(names, strings.ToLower(k.Flags.Get("hostname-override")))
	}
	if name, ok := strings.CutPrefix(d.kubeletCommonName(), "system:node:"); ok {
		names = append(names, name)
	}
	if e, ok := d.Component(Etcd); ok && e.Manifest != "" {
		names = append(names, e.Flags.Get("name"))
	}
	told := len(names)
	names = append(names, strings.ToLower(string(d.node.Hostname)), "node")
	i := slices.IndexFunc(names, nodeName)
	d.Node, d.NodeGuessed = names[i], i >= told
}

// nodeName says whether a name is a DNS subdomain (RFC 1123), as the names of nodes
// are (k8s.io/apimachinery pkg/api/validation, ValidateNodeName).
func nodeName(name string) bool { return len(name) <= 253 && subdomain.MatchString(name) }

// subdomain leaves the length to its user: a pattern that counts is large, and every
// command would wait for it.
var subdomain = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)

func (d *discovery) kubeletCommonName() string {
	f, ok := d.files[d.kubeletKubeconfig()]
	if !ok || f.Kubeconfig == nil {
		return ""
	}
	for _, u := range f.Kubeconfig.Users {
		certs := u.Certs
		if u.CertFile != "" {
			certs = d.files[u.CertFile].Certs
		}
		if u.Current && len(certs) > 0 {
			return certs[0].Subject.CommonName
		}
	}
	return ""
}

func (d *discovery) kubeletKubeconfig() string {
	if k, ok := d.Component(Kubelet); ok && k.Flags.Get("kubeconfig") != "" {
		return k.file("kubeconfig")
	}
	return path.Join(d.KubernetesDir, "kubelet.conf")
}

// ImageVersion is the version that an image's tag names ("v1.37.0"), empty
// where the tag is none.
func ImageVersion(image fact.Text) fact.Text {
	name, _, _ := strings.Cut(string(image), "@")
	_, tag, ok := strings.Cut(path.Base(name), ":")
	if !ok || len(tag) < 2 || tag[0] != 'v' || tag[1] < '0' || tag[1] > '9' {
		return ""
	}
	return fact.Text(tag)
}

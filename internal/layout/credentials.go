// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

func (d *discovery) findCredentials() {
	d.completeKubelet()
	for _, c := range claims {
		d.apply(c)
	}
	d.applyExtraServing()
	d.applyMounted()
	for _, p := range places {
		d.applyPlace(p)
	}
	d.applyIdentities()
	d.sweep()
	d.findKeys()
	d.describeUse()
	slices.SortFunc(d.Credentials, func(a, b Credential) int { return strings.Compare(string(a.ID), string(b.ID)) })
}

func (d *discovery) components(name string) []Component {
	var all []Component
	for _, c := range d.Components {
		if c.Name == name {
			all = append(all, c)
		}
	}
	return all
}

// apply adds what a claim's flags name to the credentials.
func (d *discovery) apply(c claim) {
	for _, comp := range d.components(c.component) {
		d.absolute(comp.Flags.Get(c.cert))
		d.absolute(comp.Flags.Get(c.key))
		paths := hostPaths(comp, c.cert)
		if c.cert == "" { // a key without a certificate
			d.claimKey(c, comp)
			continue
		}
		for i, p := range paths {
			cred := Credential{ID: d.id(c.name), Role: c.role, Path: p, Peer: c.peer, OnlyHere: c.onlyHere}
			if i == 0 && c.key != "" {
				cred.Key = comp.file(c.key)
			}
			if i > 0 || d.taken(cred.ID, p) {
				cred.ID = d.id(comp.Name + "-" + c.cert + suffix(i))
			}
			for _, ref := range c.trust {
				if files := d.trusted(ref); len(files) > 0 {
					cred.Trust = files
					break
				}
			}
			d.add(cred, Consumer{comp.Name, c.cert, comp.pid()})
		}
	}
}

func suffix(i int) string {
	if i == 0 {
		return ""
	}
	return "-" + string(rune('1'+min(i, 8)))
}

func hostPaths(comp Component, flag string) []string {
	values := comp.Flags[flag]
	if len(values) > 1 && flag != "service-account-key-file" { // the last one counts
		values = values[len(values)-1:]
	}
	var paths []string
	for _, v := range values {
		if p := comp.onHost(v); p != "" {
			paths = append(paths, p)
		}
	}
	return paths
}

func (d *discovery) claimKey(c claim, comp Component) {
	key := comp.file(c.key)
	if key == "" {
		return
	}
	for i := range d.Credentials {
		cred := &d.Credentials[i]
		if cred.Key == key || (cred.ID == d.id(c.name) && cred.Key == "") {
			cred.Key = key
			cred.Consumers = append(cred.Consumers, Consumer{comp.Name, c.key, comp.pid()})
			return
		}
	}
	d.add(Credential{ID: d.id(c.name), Role: c.role, Path: key, Key: key}, Consumer{comp.Name, c.key, comp.pid()})
}

// taken says that another file already has this name.
func (d *discovery) taken(id fact.ID, p string) bool {
	path, ok := d.byID[id]
	return ok && path != p
}

// free is a name that no other file has: the one asked for, or that one with
// a number.
func (d *discovery) free(id fact.ID) fact.ID {
	free := id
	for _, used := d.byID[free]; used; _, used = d.byID[free] {
		d.alike[id]++
		free = id + fact.ID("-"+strconv.Itoa(d.alike[id]+1))
	}
	return free
}

// add adds a credential, or its consumer to the one that has the same file.
func (d *discovery) add(cred Credential, consumers ...Consumer) {
	if i, ok := d.byPath[cred.Path]; ok {
		old := &d.Credentials[i]
		if old.Key == "" {
			old.Key = cred.Key
		}
		old.Consumers = append(old.Consumers, consumers...)
		return
	}
	cred.ID, cred.Consumers = d.free(cred.ID), consumers
	d.byPath[cred.Path], d.byID[cred.ID] = len(d.Credentials), cred.Path
	d.Credentials = append(d.Credentials, cred)
}

// trusted are the files that a flag names. It is asked once the flags of all
// components are known.
func (d *discovery) trusted(ref flagRef) []string {
	if files, ok := d.trust[ref]; ok {
		return files
	}
	files, seen := []string{}, map[string]bool{}
	for _, comp := range d.components(ref.component) {
		if p := comp.file(ref.flag); p != "" && !seen[p] {
			files, seen[p] = append(files, p), true
		}
	}
	d.trust[ref] = files
	return files
}

func (d *discovery) id(name string) fact.ID { return fact.NodeID(d.Node, name) }

// completeKubelet turns the kubelet's configuration file into flags where no
// flag says otherwise, so that claims need not know of it. (Flags win, see
// cmd/kubelet/app/server.go of Kubernetes 1.37.)
func (d *discovery) completeKubelet() {
	i := slices.IndexFunc(d.Components, func(c Component) bool { return c.Name == Kubelet })
	if i < 0 {
		if !d.hasKubelet() {
			return
		}
		d.Components = append(d.Components, Component{Name: Kubelet})
		i = len(d.Components) - 1
	}
	k := &d.Components[i]
	flags := Flags{}
	for name, values := range k.Flags {
		flags[name] = values
	}
	set := func(name, value string) {
		if value != "" && flags.Get(name) == "" {
			flags[name] = []string{value}
		}
	}
	set("kubeconfig", d.kubeletKubeconfig())
	certDir := flags.Get("cert-dir")
	if certDir == "" {
		certDir = "/var/lib/kubelet/pki"
	}
	// The machine's own kubelet is none of a cluster's that lies elsewhere.
	if d.KubernetesDir == DefaultKubernetesDir || !d.running() || k.Process != nil {
		d.KubeletClient = path.Join(certDir, "kubelet-client-current.pem")
	}
	if cfg := d.kubelet; cfg != nil {
		set("client-ca-file", cfg.ClientCAFile)
		set("tls-cert-file", cfg.TLSCertFile)
		set("tls-private-key-file", cfg.TLSKeyFile)
		if cfg.RotateCertificates {
			set("rotate-certificates", "true")
		}
		if cfg.ServerTLSBootstrap {
			set("tls-cert-file", path.Join(certDir, "kubelet-server-current.pem"))
			set("tls-private-key-file", path.Join(certDir, "kubelet-server-current.pem"))
		}
	}
	if k.Process != nil || d.kubelet != nil {
		d.selfMade = flags.Get("tls-cert-file") == "" && flags.Get("tls-private-key-file") == ""
		set("tls-cert-file", path.Join(certDir, "kubelet.crt"))
		set("tls-private-key-file", path.Join(certDir, "kubelet.key"))
	}
	k.Flags = flags
}

// hasKubelet says that this file system is a node's, although no kubelet runs.
func (d *discovery) hasKubelet() bool {
	_, conf := d.files[d.kubeletKubeconfig()]
	return conf && !d.files[d.kubeletKubeconfig()].Missing || d.kubelet != nil
}

// applyExtraServing adds the API server's certificates for further names.
func (d *discovery) applyExtraServing() {
	for _, comp := range d.components(APIServer) {
		for i, value := range comp.Flags["tls-sni-cert-key"] {
			pair, _, _ := strings.Cut(value, ":")
			cert, key, _ := strings.Cut(pair, ",")
			if p := comp.onHost(cert); p != "" {
				d.add(Credential{ID: d.id("apiserver-sni" + suffix(i)), Role: Serving, Path: p, Key: comp.onHost(key)},
					Consumer{comp.Name, "tls-sni-cert-key", comp.pid()})
			}
		}
	}
}

// applyMounted finds the kubeconfigs that other static pods mount (kube-vip
// and load balancers beside it mount admin.conf).
func (d *discovery) applyMounted() {
	for _, comp := range d.Components {
		if slices.Contains(known, comp.Name) {
			continue
		}
		for _, m := range comp.Mounts {
			if !isKubeconfigMount(m) {
				continue
			}
			name := path.Base(m.HostPath)
			d.add(Credential{ID: d.id(name), Role: Kubeconfig, Path: m.HostPath, Trust: d.trusted(flagRef{APIServer, "client-ca-file"})},
				Consumer{Component: comp.Name, PID: comp.pid()})
		}
	}
}

// certDir is where this cluster's certificates lie.
func (d *discovery) certDir() string {
	for _, ref := range []flagRef{{APIServer, "client-ca-file"}, {Kubelet, "client-ca-file"}} {
		if files := d.trusted(ref); len(files) > 0 {
			return path.Dir(files[0])
		}
	}
	return path.Join(d.KubernetesDir, "pki")
}

func (d *discovery) applyPlace(p place) {
	at := path.Join(d.certDir(), p.file)
	if rest, ok := strings.CutPrefix(p.file, "../"); ok {
		at = path.Join(d.KubernetesDir, rest)
	}
	if f, ok := d.files[at]; !ok || f.Missing || d.taken(d.id(p.name), at) {
		return
	}
	cred := Credential{ID: d.id(p.name), Role: p.role, Path: at}
	if p.trust != "" {
		cred.Trust = []string{path.Join(d.certDir(), p.trust)}
	}
	if p.role == Serving {
		cred.OnlyHere = strings.HasPrefix(p.name, "etcd-")
	}
	d.add(cred)
}

// sweep adds every file with a certificate, a key or a kubeconfig that was
// found by listing and that nothing names.
func (d *discovery) sweep() {
	used := map[string]bool{}
	for _, c := range d.Credentials {
		used[c.Path], used[c.Key] = true, true
		if strings.HasSuffix(c.Path, ".crt") {
			used[strings.TrimSuffix(c.Path, ".crt")+".key"] = true
		}
		for _, p := range d.references(c.Path) {
			used[p] = true
		}
	}
	for _, l := range d.listings {
		for _, p := range l.Files {
			f, seen := d.files[p]
			if used[p] || !seen || f.Missing {
				continue
			}
			if len(f.Certs) == 0 && f.Kubeconfig == nil && (len(f.Keys) == 0 || d.besideCert(p)) && f.Problem == "" {
				continue
			}
			used[p] = true
			name := strings.TrimPrefix(strings.TrimPrefix(p, d.KubernetesDir), "/")
			d.add(Credential{ID: d.id(name), Role: Unclaimed, Path: p})
		}
	}
}

// besideCert says that a key lies beside a certificate of the same name, with
// which it is looked at.
func (d *discovery) besideCert(p string) bool {
	f, ok := d.files[strings.TrimSuffix(p, path.Ext(p))+".crt"]
	return ok && len(f.Certs) > 0
}

// references are the files that a kubeconfig names.
func (d *discovery) references(p string) []string {
	f, ok := d.files[p]
	if !ok || f.Kubeconfig == nil {
		return nil
	}
	var paths []string
	for _, u := range f.Kubeconfig.Users {
		paths = append(paths, u.CertFile, u.KeyFile)
	}
	for _, c := range f.Kubeconfig.Clusters {
		paths = append(paths, c.CAFile)
	}
	return slices.DeleteFunc(paths, func(s string) bool { return s == "" })
}

// findKeys finds the private key beside a certificate whose key no flag names.
func (d *discovery) findKeys() {
	for i := range d.Credentials {
		c := &d.Credentials[i]
		if c.Key != "" || c.Role == Kubeconfig {
			continue
		}
		key := strings.TrimSuffix(c.Path, path.Ext(c.Path)) + ".key"
		if f, ok := d.files[key]; ok && !f.Missing && len(f.Keys) > 0 {
			c.Key = key
		}
	}
}

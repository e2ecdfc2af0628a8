// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"path"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// findWants says what to look at. The list holds all rounds; the caller leaves
// out what it has served.
func (d *discovery) findWants() {
	if d.Scope.Root != "" {
		d.wantNode()
	}
	for _, c := range d.Credentials {
		if c.Role == Unclaimed {
			continue
		}
		named := len(c.Consumers) > 0 && !d.optional(c)
		d.want(Want{Verb: LookFile, Path: c.Path, Required: named})
		if c.Key != "" {
			d.want(Want{Verb: LookFile, Path: c.Key, Required: named})
		}
		for _, t := range c.Trust {
			d.want(Want{Verb: LookFile, Path: t, Required: true})
		}
		for _, p := range d.references(c.Path) {
			d.want(Want{Verb: LookFile, Path: p, Required: true})
		}
	}
	d.wantConfigs()
	d.wantRequests()
	d.wantCopies()
	d.wantRenewers()
	d.wantDerived()
	d.wantViews()
	d.wantSweep()
	d.wantWire()
	for _, e := range d.Scope.Endpoints {
		d.want(Want{Verb: LookHandshake, Endpoint: e})
		d.want(Want{Verb: LookFleet, Endpoint: e, SNI: LoopbackSNI})
		d.want(Want{Verb: LookVersion, Endpoint: e})
	}
}

// LoopbackSNI is the server name that makes kube-apiserver show its in-memory
// loopback certificate (k8s.io/apiserver pkg/server/config_selfclient.go,
// LoopbackClientServerNameOverride).
const LoopbackSNI = "apiserver-loopback-client"

func (d *discovery) want(w Want) {
	if w.Verb.ofPath() {
		if !d.absolute(w.Path) {
			return
		}
		w.Path = path.Clean(w.Path)
	}
	if !d.wanted[w] {
		d.wanted[w] = true
		d.Wants = append(d.Wants, w)
	}
}

// absolute says whether a path can be looked at. Where a relative one leads
// depends on the working directory of the process that reads it.
func (d *discovery) absolute(p string) bool {
	if p != "" && !path.IsAbs(p) && !d.relative[p] {
		d.relative[p] = true
		d.Unseen = append(d.Unseen, fact.Unseen{Source: "files", What: fact.Text(p), Why: fact.Unsupported,
			Detail: "a flag or a file names it by a relative path, which depends on a working directory"})
	}
	return path.IsAbs(p)
}

// optional names what a component is configured to use but makes itself.
func (d *discovery) optional(c Credential) bool {
	return c.ID == d.id("kubelet")
}

func (d *discovery) wantNode() {
	d.want(Want{Verb: LookNode})
	d.want(Want{Verb: LookPlatform})
	if d.running() {
		d.want(Want{Verb: LookProcesses})
	}
	if d.running() && d.Scope.State != "" {
		d.want(Want{Verb: LookJournal, Path: path.Join(d.Scope.State, "journal")})
	}
	if k, ok := d.Component(Kubelet); ok && k.Process != nil && path.Base(k.Process.Args[0]) == Kubelet {
		d.want(Want{Verb: LookProgram, PID: k.Process.PID}) // not through a wrapper: a shell's version is none of the kubelet's
	}
	config, named, manifests := "", false, d.KubernetesDir+"/manifests"
	if d.KubernetesDir == DefaultKubernetesDir {
		config = "/var/lib/kubelet/config.yaml"
	}
	if k, ok := d.Component(Kubelet); ok {
		if f := k.file("config"); f != "" {
			config, named = f, true
		}
		if f := k.file("pod-manifest-path"); f != "" {
			manifests = f
		}
	}
	if d.kubelet != nil && d.kubelet.StaticPodPath != "" {
		manifests = d.kubelet.StaticPodPath
	}
	if config != "" {
		d.want(Want{Verb: LookKubelet, Path: config, Required: named})
	}
	d.want(Want{Verb: LookManifests, Path: manifests})
	if dir := d.checkpoints(); dir != "" {
		d.want(Want{Verb: LookArchives, Path: dir})
	}
	d.want(Want{Verb: LookListing, Path: d.KubernetesDir})
	d.want(Want{Verb: LookFile, Path: d.kubeletKubeconfig()})
	if d.KubeletClient != "" {
		d.want(Want{Verb: LookFile, Path: d.KubeletClient})
	}
	d.wantIdentities()
}

// wantCopies looks where kubeadm tells people to copy admin.conf to, and where
// the settings say. Users' homes belong to the cluster at kubeadm's place.
func (d *discovery) wantCopies() {
	if d.Scope.Root != "" && (d.Scope.KubernetesDir == DefaultKubernetesDir || !d.running()) {
		d.want(Want{Verb: LookCopies, Path: "/root/.kube/config"})
		d.want(Want{Verb: LookCopies, Path: "/home/*/.kube/config"})
	}
	for _, p := range d.Scope.Copies {
		d.want(Want{Verb: LookCopies, Path: p, Required: true})
	}
}

// wantRequests looks, for each credential, at the signing request, at what was
// signed for it, and at a key that was made for it.
func (d *discovery) wantRequests() {
	if d.Scope.RequestDir == "" {
		return
	}
	var names []string
	for _, c := range d.Credentials {
		if c.Role != Unclaimed {
			names = append(names, c.ID.Name())
		}
	}
	for _, p := range places {
		names = append(names, p.name)
	}
	for _, name := range append(names, AgentName) {
		for _, end := range []string{RequestEnd, SignedEnd, NewKeyEnd} {
			d.want(Want{Verb: LookFile, Path: path.Join(d.Scope.RequestDir, name+end)})
		}
	}
}

// The endings of the files in a directory of signing requests, behind the
// credential's name.
const (
	RequestEnd = ".csr"
	SignedEnd  = ".crt"
	NewKeyEnd  = ".key"
)

// wantViews looks at single files through the eyes of the processes that read
// them.
func (d *discovery) wantViews() {
	for _, c := range d.Credentials {
		if c.Role != Kubeconfig {
			continue
		}
		for _, u := range c.Consumers {
			if u.PID == 0 {
				continue
			}
			if comp, ok := d.Component(u.Component); ok {
				inside := comp.inside(c.Path)
				if u.Flag != "" {
					inside = comp.Flags.Get(u.Flag)
				}
				d.want(Want{Verb: LookView, PID: u.PID, Path: c.Path, Inside: inside})
			}
		}
	}
}

// credentialFiles are the endings that a sweep reads.
var credentialFiles = []string{".crt", ".pem", ".key", ".pub", ".conf", ".kubeconfig", ".cert", ".cer"}

func (d *discovery) wantSweep() {
	for _, ref := range []flagRef{{APIServer, "tls-cert-file"}, {Etcd, "cert-file"}} {
		for _, f := range d.trusted(ref) {
			dir := f[:strings.LastIndexByte(f, '/')+1]
			if inside(dir, d.KubernetesDir) || inside(dir, "/etc/ssl/certs") || inside(dir, "/usr") || inside(dir, "/etc/pki") || strings.Count(dir, "/") < 3 {
				continue
			}
			d.want(Want{Verb: LookListing, Path: strings.TrimSuffix(dir, "/")})
		}
	}
	for _, l := range d.listings {
		for _, p := range l.Files {
			if slices.ContainsFunc(credentialFiles, func(end string) bool { return strings.HasSuffix(p, end) }) {
				d.want(Want{Verb: LookFile, Path: p, Sweep: true})
			}
		}
	}
}

func inside(p, dir string) bool { return strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/") }

func (d *discovery) wantWire() {
	for _, p := range d.Ports {
		d.want(Want{Verb: LookHandshake, Endpoint: p.Endpoint, Local: !p.Remote})
		if p.Component == APIServer {
			d.want(Want{Verb: LookHandshake, Endpoint: p.Endpoint, SNI: LoopbackSNI, Local: true})
			d.want(Want{Verb: LookVersion, Endpoint: p.Endpoint, Local: true})
		}
		if path := healthPaths[p.Component]; path != "" && d.Scope.Changing {
			d.want(Want{Verb: LookReady, Endpoint: p.Endpoint, Inside: path, Local: true})
		}
	}
	if _, two := d.Component(APIServerStandby); two || d.bridged {
		d.wantAnswers()
	}
	d.wantBridge()
}

// healthPaths are where components tell anonymous clients whether they are well
// (--authorization-always-allow-paths, and the ClusterRole
// system:public-info-viewer).
var healthPaths = map[string]string{APIServer: "/readyz", APIServerStandby: "/readyz", ControllerManager: "/healthz", Scheduler: "/healthz"}

// wantLeases looks who leads, of those that are about to be restarted perhaps.
func (d *discovery) wantLeases(conf, endpoint string) {
	for _, name := range []string{ControllerManager, Scheduler} {
		if c, ok := d.Component(name); ok && d.Scope.Changing && c.Elects() {
			d.want(Want{Verb: LookLease, Path: conf, Endpoint: endpoint, Inside: name, Local: true})
		}
	}
}

// Elects says whether a component runs only while it holds its lease.
func (c Component) Elects() bool {
	return (c.Name == ControllerManager || c.Name == Scheduler) && c.Flags.Get("leader-elect") != "false"
}

// wantBridge looks at what a handover puts up beside the standby, which may have
// been left behind.
func (d *discovery) wantBridge() {
	api, ok := d.Component(APIServer)
	if !ok || !d.running() {
		return
	}
	d.want(Want{Verb: LookSteering})
	for _, name := range []string{APIServer, APIServerStandby} {
		if c, ok := d.Component(name); ok && c.Process != nil {
			d.want(Want{Verb: LookHeld, PID: c.Process.PID, Endpoint: api.port()})
		}
	}
	conf, ok := d.Administrator()
	_, two := d.Component(APIServerStandby)
	for _, p := range d.Ports {
		if ok && (two || d.bridged || d.Scope.Changing) && (p.Component == APIServer || p.Component == APIServerStandby) && d.shown[p.Endpoint] {
			d.want(Want{Verb: LookGuard, Path: conf, Endpoint: p.Endpoint, Local: true, Required: two})
			d.wantLeases(conf, p.Endpoint)
			return
		}
	}
}

// wantAnswers looks which of two API servers answers where, and which is ready;
// also where one has gone and left the other to be proven to answer again.
func (d *discovery) wantAnswers() {
	for _, p := range d.Ports {
		if p.Component == APIServer || p.Component == APIServerStandby {
			d.want(Want{Verb: LookHandshake, Endpoint: p.Endpoint, SNI: LoopbackSNI, Local: true})
			d.want(Want{Verb: LookReady, Endpoint: p.Endpoint, Inside: healthPaths[p.Component], Local: true})
		}
	}
	for _, e := range d.Reached {
		d.want(Want{Verb: LookHandshake, Endpoint: e, SNI: LoopbackSNI, Local: true})
	}
}

// SPDX-License-Identifier: Apache-2.0

package layout

// flagRef is a flag of a component.
type flagRef struct{ component, flag string }

// claim says that a flag of a component names a credential. The names are
// kubeadm's (cmd/kubeadm/app/constants; `kubeadm certs check-expiration`).
type claim struct {
	name      string
	component string
	cert, key string // flags
	role      Role
	trust     []flagRef // who verifies it with what, best knowledge first
	peer      bool
	onlyHere  bool
}

// claims is read in order: where two flags name the same file, the first names
// the credential.
var claims = []claim{
	{name: "ca", component: APIServer, cert: "client-ca-file", role: Authority},
	{name: "etcd-ca", component: APIServer, cert: "etcd-cafile", role: Authority},
	{name: "front-proxy-ca", component: APIServer, cert: "requestheader-client-ca-file", role: Authority},
	{name: "kubelet-ca", component: APIServer, cert: "kubelet-certificate-authority", role: Authority},
	{name: "oidc-ca", component: APIServer, cert: "oidc-ca-file", role: Authority},
	{name: "apiserver", component: APIServer, cert: "tls-cert-file", key: "tls-private-key-file", role: Serving,
		trust: []flagRef{{ControllerManager, "root-ca-file"}, {APIServer, "client-ca-file"}}},
	{name: "apiserver-kubelet-client", component: APIServer, cert: "kubelet-client-certificate", key: "kubelet-client-key", role: Client,
		trust: []flagRef{{Kubelet, "client-ca-file"}, {APIServer, "client-ca-file"}}},
	{name: "apiserver-etcd-client", component: APIServer, cert: "etcd-certfile", key: "etcd-keyfile", role: Client,
		trust: []flagRef{{Etcd, "trusted-ca-file"}, {APIServer, "etcd-cafile"}}},
	{name: "front-proxy-client", component: APIServer, cert: "proxy-client-cert-file", key: "proxy-client-key-file", role: Client,
		trust: []flagRef{{APIServer, "requestheader-client-ca-file"}}},
	{name: "sa", component: APIServer, cert: "service-account-key-file", key: "service-account-signing-key-file", role: Signing},

	{name: "etcd-ca", component: Etcd, cert: "trusted-ca-file", role: Authority},
	{name: "etcd-peer-ca", component: Etcd, cert: "peer-trusted-ca-file", role: Authority},
	{name: "etcd-server", component: Etcd, cert: "cert-file", key: "key-file", role: Serving, onlyHere: true,
		trust: []flagRef{{APIServer, "etcd-cafile"}, {Etcd, "trusted-ca-file"}}},
	{name: "etcd-peer", component: Etcd, cert: "peer-cert-file", key: "peer-key-file", role: Serving, peer: true, onlyHere: true,
		trust: []flagRef{{Etcd, "peer-trusted-ca-file"}}},

	{name: "controller-manager.conf", component: ControllerManager, cert: "kubeconfig", role: Kubeconfig,
		trust: []flagRef{{APIServer, "client-ca-file"}}},
	{name: "controller-manager-authentication.conf", component: ControllerManager, cert: "authentication-kubeconfig", role: Kubeconfig,
		trust: []flagRef{{APIServer, "client-ca-file"}}},
	{name: "controller-manager-authorization.conf", component: ControllerManager, cert: "authorization-kubeconfig", role: Kubeconfig,
		trust: []flagRef{{APIServer, "client-ca-file"}}},
	{name: "ca", component: ControllerManager, cert: "root-ca-file", role: Authority},
	{name: "ca", component: ControllerManager, cert: "cluster-signing-cert-file", key: "cluster-signing-key-file", role: Authority},
	{name: "ca", component: ControllerManager, cert: "client-ca-file", role: Authority},
	{name: "front-proxy-ca", component: ControllerManager, cert: "requestheader-client-ca-file", role: Authority},
	{name: "sa", component: ControllerManager, key: "service-account-private-key-file", role: Signing},
	{name: "controller-manager", component: ControllerManager, cert: "tls-cert-file", key: "tls-private-key-file", role: Serving},

	{name: "scheduler.conf", component: Scheduler, cert: "kubeconfig", role: Kubeconfig,
		trust: []flagRef{{APIServer, "client-ca-file"}}},
	{name: "scheduler-authentication.conf", component: Scheduler, cert: "authentication-kubeconfig", role: Kubeconfig,
		trust: []flagRef{{APIServer, "client-ca-file"}}},
	{name: "scheduler-authorization.conf", component: Scheduler, cert: "authorization-kubeconfig", role: Kubeconfig,
		trust: []flagRef{{APIServer, "client-ca-file"}}},
	{name: "ca", component: Scheduler, cert: "client-ca-file", role: Authority},
	{name: "scheduler", component: Scheduler, cert: "tls-cert-file", key: "tls-private-key-file", role: Serving},

	{name: "kubelet.conf", component: Kubelet, cert: "kubeconfig", role: Kubeconfig, onlyHere: true,
		trust: []flagRef{{APIServer, "client-ca-file"}}},
	{name: "ca", component: Kubelet, cert: "client-ca-file", role: Authority},
	{name: "kubelet", component: Kubelet, cert: "tls-cert-file", key: "tls-private-key-file", role: Serving},
}

// place is a credential that kubeadm puts at a fixed place and that no flag of
// a running component names.
type place struct {
	file  string // below the certificate directory; "../" for the Kubernetes directory
	name  string
	role  Role
	trust string // below the certificate directory
}

// places is kubeadm's layout (1.25 to 1.37, cmd/kubeadm/app/constants). It is
// what is known about a file found in a directory that no flag names: all of
// it on a node whose manifests are gone, little on one that runs.
var places = []place{
	{"ca.crt", "ca", Authority, ""},
	{"front-proxy-ca.crt", "front-proxy-ca", Authority, ""},
	{"etcd/ca.crt", "etcd-ca", Authority, ""},
	{"apiserver.crt", "apiserver", Serving, "ca.crt"},
	{"apiserver-kubelet-client.crt", "apiserver-kubelet-client", Client, "ca.crt"},
	{"apiserver-etcd-client.crt", "apiserver-etcd-client", Client, "etcd/ca.crt"},
	{"front-proxy-client.crt", "front-proxy-client", Client, "front-proxy-ca.crt"},
	{"etcd/server.crt", "etcd-server", Serving, "etcd/ca.crt"},
	{"etcd/peer.crt", "etcd-peer", Serving, "etcd/ca.crt"},
	{"etcd/healthcheck-client.crt", "etcd-healthcheck-client", Client, "etcd/ca.crt"},
	{"sa.pub", "sa", Signing, ""},
	{"../admin.conf", "admin.conf", Kubeconfig, "ca.crt"},
	{"../super-admin.conf", "super-admin.conf", Kubeconfig, "ca.crt"},
	{"../controller-manager.conf", "controller-manager.conf", Kubeconfig, "ca.crt"},
	{"../scheduler.conf", "scheduler.conf", Kubeconfig, "ca.crt"},
	{"../kubelet.conf", "kubelet.conf", Kubeconfig, "ca.crt"},
}

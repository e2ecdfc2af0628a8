// SPDX-License-Identifier: Apache-2.0

package testnode

import (
	"fmt"
	"strings"
)

// manifests writes the static pods with the flags that kubeadm 1.37 gives them,
// as far as they matter here.
func (n *Node) manifests() {
	k, p := "/etc/kubernetes", n.Dir
	n.Pod("kube-apiserver", []string{
		"--advertise-address=192.0.2.10", "--client-ca-file=" + p + "/ca.crt", "--etcd-cafile=" + p + "/etcd/ca.crt",
		"--etcd-certfile=" + p + "/apiserver-etcd-client.crt", "--etcd-keyfile=" + p + "/apiserver-etcd-client.key",
		"--etcd-servers=" + n.etcdServers(), "--kubelet-client-certificate=" + p + "/apiserver-kubelet-client.crt",
		"--kubelet-client-key=" + p + "/apiserver-kubelet-client.key", "--proxy-client-cert-file=" + p + "/front-proxy-client.crt",
		"--proxy-client-key-file=" + p + "/front-proxy-client.key", "--requestheader-client-ca-file=" + p + "/front-proxy-ca.crt",
		"--secure-port=6443", "--service-account-key-file=" + p + "/sa.pub", "--service-account-signing-key-file=" + p + "/sa.key",
		"--service-cluster-ip-range=10.96.0.0/12", "--tls-cert-file=" + p + "/apiserver.crt", "--tls-private-key-file=" + p + "/apiserver.key",
	}, p)
	n.Pod("kube-controller-manager", []string{
		"--authentication-kubeconfig=" + k + "/controller-manager.conf", "--authorization-kubeconfig=" + k + "/controller-manager.conf",
		"--bind-address=127.0.0.1", "--client-ca-file=" + p + "/ca.crt", "--cluster-signing-cert-file=" + p + "/ca.crt", "--cluster-signing-key-file=" + p + "/ca.key",
		"--kubeconfig=" + k + "/controller-manager.conf", "--requestheader-client-ca-file=" + p + "/front-proxy-ca.crt", "--root-ca-file=" + p + "/ca.crt",
		"--service-account-private-key-file=" + p + "/sa.key",
	}, p, k+"/controller-manager.conf")
	n.Pod("kube-scheduler", []string{
		"--authentication-kubeconfig=" + k + "/scheduler.conf", "--authorization-kubeconfig=" + k + "/scheduler.conf",
		"--bind-address=127.0.0.1", "--kubeconfig=" + k + "/scheduler.conf",
	}, k+"/scheduler.conf")
	if !n.opts.External {
		n.Pod("etcd", []string{
			"--advertise-client-urls=https://192.0.2.10:2379", "--cert-file=" + p + "/etcd/server.crt", "--data-dir=/var/lib/etcd",
			"--initial-advertise-peer-urls=https://192.0.2.10:2380", "--key-file=" + p + "/etcd/server.key",
			"--listen-client-urls=https://127.0.0.1:2379,https://192.0.2.10:2379", "--listen-peer-urls=https://192.0.2.10:2380",
			"--name=" + n.Name, "--peer-cert-file=" + p + "/etcd/peer.crt", "--peer-key-file=" + p + "/etcd/peer.key",
			"--peer-trusted-ca-file=" + p + "/etcd/ca.crt", "--trusted-ca-file=" + p + "/etcd/ca.crt",
		}, p+"/etcd")
	}
}

func (n *Node) etcdServers() string {
	if n.opts.External {
		return "https://192.0.2.20:2379"
	}
	return "https://127.0.0.1:2379"
}

// Pod writes a static pod's manifest; mounts are host paths mounted at the
// same place.
func (n *Node) Pod(name string, args []string, mounts ...string) {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: v1\nkind: Pod\nmetadata:\n  name: %[1]s\n  namespace: kube-system\nspec:\n  hostNetwork: true\n  containers:\n  - name: %[1]s\n    image: registry.k8s.io/%[1]s:%[2]s\n    command:\n    - %[1]s\n", name, n.opts.Version)
	for _, a := range args {
		fmt.Fprintf(&b, "    - %s\n", a)
	}
	b.WriteString("    volumeMounts:\n")
	for i, m := range mounts {
		fmt.Fprintf(&b, "    - {name: v%d, mountPath: %s, readOnly: true}\n", i, m)
	}
	b.WriteString("  volumes:\n")
	for i, m := range mounts {
		kind := "DirectoryOrCreate"
		if strings.HasSuffix(m, ".conf") {
			kind = "FileOrCreate"
		}
		fmt.Fprintf(&b, "  - {name: v%d, hostPath: {path: %s, type: %s}}\n", i, m, kind)
	}
	n.Write("/etc/kubernetes/manifests/"+name+".yaml", 0o600, []byte(b.String()))
}

// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/testnode"
)

const (
	scheduler = "/etc/kubernetes/scheduler.conf"
	manifests = "/etc/kubernetes/manifests/"
)

// write is a change that gives a file another content.
func write(file, text string) func(*testing.T, *testnode.Node) {
	return func(_ *testing.T, n *testnode.Node) { n.Write(file, 0o600, []byte(text)) }
}

func edit(file, old, text string) func(*testing.T, *testnode.Node) {
	return func(_ *testing.T, n *testnode.Node) { n.Edit(file, old, text) }
}

// hostileKubeconfigs change the scheduler's.
func hostileKubeconfigs() []bad {
	lost := []string{"cp1/scheduler.conf CertificateExpires"}
	broken := []string{"cp1/scheduler.conf FileMalformed"}
	token := "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]\n" +
		"clusters: [{name: c, cluster: {server: \"https://192.0.2.10:6443\"}}]\nusers: [{name: u, user: {token: hush-hush}}]\n"
	return []bad{
		{name: "several users and contexts", change: func(_ *testing.T, n *testnode.Node) {
			other := n.Kubeconfig(n.CAs["ca"].Cert, n.Sign(n.CAs["ca"], testnode.Leaf{Name: "bob", Usage: forClients, End: testnode.Start}), "bob")
			merged := string(n.Read(scheduler))
			merged = strings.Replace(merged, "users:\n", "users:\n"+section(string(other), "users:\n", ""), 1)
			merged = strings.Replace(merged, "contexts:\n", "contexts:\n"+section(string(other), "contexts:\n", "current-context"), 1)
			n.Write(scheduler, 0o600, []byte(merged))
		}, want: []string{"cp1/scheduler.conf/bob CertificateExpires"}},
		{name: "no current context", gone: lost, want: append(broken, "cp1/scheduler.conf/system:kube-scheduler CertificateExpires"), exit: 11, change: func(_ *testing.T, n *testnode.Node) {
			lines := bytes.SplitAfter(n.Read(scheduler), []byte("\n"))
			var kept []byte
			for _, l := range lines {
				if !bytes.HasPrefix(l, []byte("current-context")) {
					kept = append(kept, l...)
				}
			}
			n.Write(scheduler, 0o600, kept)
		}},
		{name: "current context that names nothing", change: edit(scheduler, "current-context: system:kube-scheduler@kubernetes", "current-context: \x1b[31mnowhere"),
			gone: lost, want: broken, exit: 11},
		{name: "token only", change: write(scheduler, token), gone: lost, never: []string{"hush-hush"}},
		{name: "embedded data that is no base64", change: edit(scheduler, "client-certificate-data: ", "client-certificate-data: '@@@' #"), gone: lost, want: broken, exit: 11},
		{name: "embedded data that is plain PEM", change: func(_ *testing.T, n *testnode.Node) {
			n.Edit(scheduler, "client-key-data: ", "client-key-data: '-----BEGIN EC PRIVATE KEY-----' #")
		}, want: broken, exit: 11},
		{name: "a list", change: write(scheduler, "- a\n- b\n"), gone: lost, want: broken, exit: 11, says: []string{"it is no kubeconfig"}},
		{name: "a number", change: write(scheduler, "42\n"), gone: lost, want: broken, exit: 11, says: []string{"it is no kubeconfig"}},
		{name: "an alias bomb", change: write(scheduler, bomb()), gone: lost, want: broken, exit: 11},
		{name: "deep nesting", change: write(scheduler, "kind: Config\nusers: "+strings.Repeat("[", 50_000)), gone: lost, want: broken, exit: 11},
		{name: "a million entries", change: write(scheduler, "kind: Config\nusers:\n"+strings.Repeat("- {name: a}\n", 400_000)), gone: lost, want: broken, exit: 11},
		{name: "certificate file that is not there", change: func(_ *testing.T, n *testnode.Node) {
			n.Remove("/var/lib/kubelet/pki/kubelet-client-2026.pem")
		}, gone: []string{"cp1/kubelet.conf CertificateExpires"}, want: []string{"cp1/kubelet.conf FileMissing"}, exit: 11},
		{name: "certificate without its key", change: edit(scheduler, "client-key-data", "no-key-data"), want: broken, exit: 11},
		{name: "server that is no URL", change: edit(scheduler, "https://192.0.2.10:6443", "https://[::1%25\\x1b]:/%zz")},
		{name: "reference to itself", change: func(_ *testing.T, n *testnode.Node) {
			n.Edit(scheduler, "client-certificate-data: ", "client-certificate: scheduler.conf #")
		}, gone: lost, want: broken, exit: 11},
		{name: "reference to a device", change: func(_ *testing.T, n *testnode.Node) {
			n.Edit(scheduler, "client-certificate-data: ", "client-certificate: /dev/zero #")
		}, gone: lost, want: []string{"cp1/scheduler.conf FileMissing"}, exit: 11},
	}
}

// section is a part of a text between two marks.
func section(text, from, to string) string {
	_, rest, _ := strings.Cut(text, from)
	if to != "" {
		rest, _, _ = strings.Cut(rest, to)
	}
	return rest
}

func bomb() string {
	var b strings.Builder
	b.WriteString("kind: Config\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := range 12 {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 10), ","))
	}
	return b.String() + "users: *a12\n"
}

// numbered are the names of many files that are missing and would be called alike.
func numbered(id string, count int) []string {
	all := []string{id + " FileMissing"}
	for i := 2; i <= count; i++ {
		all = append(all, fmt.Sprintf("%s-%d FileMissing", id, i))
	}
	return all
}

// hostileManifests change static pods and the kubelet's settings.
func hostileManifests() []bad {
	file := manifests + "kube-scheduler.yaml"
	broken, lost := []string{"cp1/kube-scheduler.yaml FileMalformed"}, []string{"cp1/scheduler.conf CertificateExpires"}
	kubelet, settings := []string{"cp1/kubelet CertificateExpires"}, []string{"cp1/kubelet-config FileMalformed"}
	return []bad{
		{name: "no YAML", change: write(file, "kind: [Pod\nmetadata: secret-value"), want: broken, exit: 11, never: []string{"secret-value"}},
		{name: "a List", change: func(_ *testing.T, n *testnode.Node) {
			n.Write(file, 0o600, []byte("apiVersion: v1\nkind: List\nitems: []\n"))
		}, want: broken, exit: 11},
		{name: "a Deployment", change: edit(file, "kind: Pod", "kind: Deployment"), want: broken, exit: 11},
		{name: "empty", change: write(file, ""), want: broken, exit: 11},
		{name: "binary", change: write(file, "\x00\x01\x02\xff\xfe\x1b[31m"), want: broken, exit: 11},
		{name: "a pod that is a list", change: write(file, "- kind: Pod\n"), want: broken, exit: 11},
		{name: "10,000 containers", change: func(_ *testing.T, n *testnode.Node) {
			n.Write(file, 0o600, []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n"+
				strings.Repeat("  - {name: kube-scheduler, command: [kube-scheduler, --kubeconfig=/etc/kubernetes/scheduler.conf]}\n", 10_000)))
		}},
		{name: "2,000 different containers", change: func(_ *testing.T, n *testnode.Node) {
			var b strings.Builder
			b.WriteString("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n")
			for i := range 2000 {
				fmt.Fprintf(&b, "  - {name: c%d, command: [kube-scheduler, --kubeconfig=/etc/kubernetes/scheduler-%d.conf]}\n", i, i)
			}
			n.Write(file, 0o600, []byte(b.String()))
		}, gone: lost, want: append(numbered("cp1/kube-scheduler-kubeconfig", 1999), "cp1/scheduler.conf FileMissing", "cp1/scheduler.conf-2 CertificateExpires"), exit: 11},
		{name: "a copy beside it", change: func(_ *testing.T, n *testnode.Node) {
			n.Write(manifests+"kube-apiserver.yaml.bak", 0o600, n.Read(manifests+"kube-apiserver.yaml"))
		}, want: []string{"cp1/kube-apiserver.yaml.bak ManifestDuplicate"}, exit: 11},
		{name: "flags with escape codes and without values", change: func(_ *testing.T, n *testnode.Node) {
			n.Edit(file, "- --bind-address=127.0.0.1", "- \"--\\e[31m=\\u202e\"\n    - \"-\"\n    - \"--\"\n    - \"--=\"\n    - --tls-cert-file\n    - \"--tls-private-key-file=/\\e[31m\"")
		}, unseen: []string{"Unsupported true"}, exit: 12, never: injected},
		{name: "container name with escape codes", never: injected, change: func(_ *testing.T, n *testnode.Node) {
			n.Edit(file, "  - name: kube-scheduler\n", "  - name: \"\\e[31m\\u202e\"\n")
		}},
		{name: "a file of 17 MB", change: func(_ *testing.T, n *testnode.Node) {
			n.Write(file, 0o600, bytes.Repeat([]byte("#\n"), 17<<19))
		}, unseen: []string{"TooLarge " + file}, exit: 12},
		{name: "a directory of manifests in it", change: func(t *testing.T, n *testnode.Node) { mkdir(t, n.Path(manifests+"old")) }},
		{name: "the directory is a file", change: func(_ *testing.T, n *testnode.Node) {
			n.Remove(manifests)
			n.Write(strings.TrimSuffix(manifests, "/"), 0o600, []byte("kind: Pod\n"))
		}, gone: []string{"cp1/release SupportEnds"}, want: []string{"cp1/manifests FileMalformed"}, exit: 11},
		{name: "kubelet configuration that is broken", change: write("/var/lib/kubelet/config.yaml", "kind: KubeletConfiguration\nport: [}\n"),
			gone: kubelet, want: settings, exit: 11},
		{name: "kubelet configuration of another kind", change: write("/var/lib/kubelet/config.yaml", "kind: Pod\n"), gone: kubelet, want: settings, exit: 11},
		{name: "kubelet configuration with values of other types", change: edit("/var/lib/kubelet/config.yaml", "rotateCertificates: true", "rotateCertificates: {a: [b]}"), gone: kubelet, want: settings, exit: 11},
		{name: "kubelet configuration that is a directory", change: func(t *testing.T, n *testnode.Node) {
			n.Remove("/var/lib/kubelet/config.yaml")
			mkdir(t, n.Path("/var/lib/kubelet/config.yaml"))
		}, gone: kubelet, want: settings, exit: 11},
		{name: "kubelet configuration that is not there", change: func(t *testing.T, n *testnode.Node) {
			n.Remove("/var/lib/kubelet/config.yaml")
		}, gone: kubelet},
		{name: "a manifest that is an alias bomb", change: write(file, bomb()), want: broken, exit: 11},
		{name: "a manifest of deep nesting", change: write(file, "kind: Pod\nspec: "+strings.Repeat("[", 50_000)), want: broken, exit: 11},
		{name: "a pod without containers", change: write(file, "kind: Pod\nmetadata: {name: a}\n"), want: broken, exit: 11},
		{name: "relative paths in flags", change: func(_ *testing.T, n *testnode.Node) {
			n.Edit(manifests+"kube-apiserver.yaml", "--tls-cert-file=/etc/kubernetes/pki/apiserver.crt", "--tls-cert-file=../../apiserver.crt")
		}, unseen: []string{"Unsupported ../../apiserver.crt"}, exit: 12},
	}
}

// SPDX-License-Identifier: Apache-2.0

package layout_test

import (
	"encoding/json"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
)

func seedManifests(f *testing.F) {
	for _, s := range []string{
		pod, "", "kind: Pod\n", "kind: [Pod", "kind: List\nitems: []\n", "\x00\xff", "- a\n- b\n",
		"kind: Pod\nspec: {containers: [{name: etcd, command: [etcd, -cert-file, /a]}], volumes: [{name: a, hostPath: {}}]}\n",
		"kind: Pod\nspec: {containers: [{name: sh, command: [sh, -c, 'exec kubelet --config=/c']}]}\n",
		`{"kind":"Pod","spec":{"containers":[{"name":"kube-apiserver","command":["kube-apiserver","--client-ca-file=../../a"],"volumeMounts":[{"name":"v","mountPath":"//","subPath":"../.."}]}],"volumes":[{"name":"v","hostPath":{"path":"relative"}}]}}`,
		"a: &a [x,x]\nb: &b [*a,*a]\nkind: *b\n",
		"kind: KubeletConfiguration\nport: 10250\nauthentication: {x509: {clientCAFile: /a}}\n",
		"kind: KubeletConfiguration\nport: -1\ntlsCertFile: a\nstaticPodPath: b\nserverTLSBootstrap: true\n",
	} {
		f.Add([]byte(s))
	}
}

// problem wants one sentence that quotes nothing of what was read.
func problem(t *testing.T, p fact.Text) {
	t.Helper()
	if len(p) > 100 || strings.ContainsAny(string(p), "\n\"'`") || p.String() != string(p) {
		t.Fatalf("the problem is no plain sentence: %q", string(p))
	}
}

// again wants a fact to survive a record.
func again[F fact.Fact](t *testing.T, f F) {
	t.Helper()
	body, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var back F
	if err := json.Unmarshal(body, &back); err != nil {
		t.Fatal(err)
	}
	body2, err := json.Marshal(back)
	if err != nil || string(body) != string(body2) {
		t.Fatalf("a record changes it\n was %s\n is  %s", body, body2)
	}
}

func FuzzParseManifest(f *testing.F) {
	seedManifests(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		m := layout.ParseManifest("/m/a.yaml", fact.Meta{Mode: 0o600}, data)
		problem(t, m.Problem)
		if (m.Problem == "") != (len(m.Containers) > 0) || m.Path != "/m/a.yaml" || m.Meta.Mode != 0o600 {
			t.Fatalf("%+v", m)
		}
		for _, mount := range m.Mounts {
			if !slices.ContainsFunc(m.Containers, func(c fact.Container) bool { return c.Name == mount.Container }) {
				t.Fatalf("a mount of no container: %+v", mount)
			}
		}
		again(t, m)
		sane(t, m)
	})
}

func FuzzParseKubeletConfig(f *testing.F) {
	seedManifests(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		k := layout.ParseKubeletConfig("/k.yaml", data)
		problem(t, k.Problem)
		if k.Problem != "" && !reflect.DeepEqual(k, fact.KubeletConfig{Path: "/k.yaml", Problem: k.Problem}) {
			t.Fatalf("one with a problem has content: %+v", k)
		}
		again(t, k)
		sane(t, k)
	})
}

func FuzzCommandLine(f *testing.F) {
	for _, args := range [][]string{
		{"kube-apiserver", "--tls-cert-file=/a", "--tls-private-key-file", "/b", "--client-ca-file=/c", "--secure-port=1", "--bind-address=::"},
		{"kube-apiserver", "--tls-sni-cert-key=/a,/b:x", "--etcd-servers=https://[::1%25]:1,:,//", "--service-cluster-ip-range=fd00::/108,0.0.0.0/0"},
		{"kube-controller-manager", "--kubeconfig=/a/../b", "--service-account-private-key-file=/k", "--root-ca-file=//"},
		{"etcd", "-cert-file", "/a", "--listen-client-urls=https://0.0.0.0:2379", "--listen-peer-urls", "https://:2380"},
		{"kubelet", "--config", "x", "--hostname-override=../..", "--cert-dir=", "--kubeconfig=relative", "--pod-manifest-path=/"},
		{"sh", "-c", "exec kube-scheduler --kubeconfig='/a b' \"--x\" > /dev/null"},
		{"/go-runner", "--", "hyperkube", "kubelet", "--=", "-", "--"},
		{""}, {"\xff", "\x1b"}, {"env"},
	} {
		f.Add(strings.Join(args, "\x00"), "ETCD_CERT_FILE=/e\x00ETCD_=\x00=\x00ETCD_LISTEN_CLIENT_URLS=https://a:1")
	}
	f.Fuzz(func(t *testing.T, line, environment string) {
		args := strings.Split(line, "\x00")
		name, ok := layout.ComponentOf(args)
		if ok != (name != "") || ok && !slices.Contains([]string{layout.APIServer, layout.ControllerManager, layout.Scheduler, layout.Etcd, layout.Kubelet}, name) {
			t.Fatalf("%q, %v", name, ok)
		}
		values := 0
		for flag, all := range layout.ParseFlags(args) {
			if flag == "" || len(all) == 0 || strings.ContainsAny(flag, "=_") {
				t.Fatalf("flag %q with %q", flag, all)
			}
			values += len(all)
		}
		if values > len(args) {
			t.Fatalf("%d values of %d arguments", values, len(args))
		}
		p := fact.Process{PID: 7, Args: args, Env: strings.Split(environment, "\x00")}
		sane(t, p)
		sane(t, manifest(args, fact.Mount{Path: "/a", HostPath: "/b"}), p)
	})
}

// sane wants of every layout: found again from the same facts, which stay as
// they are; IDs that are unique, printable and of one node; paths to look at
// that are absolute, and each want once; and that looking comes to an end.
func sane(t *testing.T, facts ...fact.Fact) {
	t.Helper()
	before, err := json.Marshal(facts)
	if err != nil {
		t.Fatal(err)
	}
	for _, scope := range []fact.Scope{running, mounted} {
		l := layout.Discover(scope, facts)
		if !reflect.DeepEqual(l, layout.Discover(scope, facts)) {
			t.Fatal("the same facts gave another layout")
		}
		names(t, l)
		wants(t, l)
		settle(t, scope, slices.Clone(facts))
	}
	if after, err := json.Marshal(facts); err != nil || string(before) != string(after) {
		t.Fatal("the facts were changed")
	}
}

func names(t *testing.T, l layout.Layout) {
	t.Helper()
	seen := map[fact.ID]bool{}
	for i, c := range l.Credentials {
		if seen[c.ID] || c.ID.Node() != l.Node || c.ID.Name() == "" {
			t.Fatalf("the ID %q of the node %q", string(c.ID), l.Node)
		}
		if fact.Text(c.ID).String() != string(c.ID) {
			t.Fatalf("the ID %q is not printable", string(c.ID))
		}
		if i > 0 && l.Credentials[i-1].ID > c.ID {
			t.Fatal("the credentials are not sorted")
		}
		if c.Role == "" || c.Path == "" {
			t.Fatalf("%+v", c)
		}
		seen[c.ID] = true
	}
}

func wants(t *testing.T, l layout.Layout) {
	t.Helper()
	seen := map[layout.Want]bool{}
	for _, w := range l.Wants {
		switch w.Verb {
		case layout.LookFile, layout.LookManifests, layout.LookKubelet, layout.LookListing:
			if !path.IsAbs(w.Path) || path.Clean(w.Path) != w.Path {
				t.Fatalf("to look at: %+v", w)
			}
		case layout.LookHandshake, layout.LookVersion:
			if w.Endpoint == "" {
				t.Fatalf("to look at: %+v", w)
			}
		}
		if seen[w] {
			t.Fatalf("wanted twice: %+v", w)
		}
		seen[w] = true
	}
}

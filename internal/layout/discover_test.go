// SPDX-License-Identifier: Apache-2.0

package layout_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/testnode"
)

var (
	running = fact.Scope{Root: "/", KubernetesDir: layout.DefaultKubernetesDir}
	mounted = fact.Scope{Root: "/mnt", KubernetesDir: layout.DefaultKubernetesDir}
)

// manifest is a static pod with one container.
func manifest(args []string, mounts ...fact.Mount) fact.Manifest {
	name := fact.Text(args[0])
	for i := range mounts {
		mounts[i].Container = name
	}
	return fact.Manifest{Path: "/etc/kubernetes/manifests/" + args[0] + ".yaml", Name: name,
		Containers: []fact.Container{{Name: name, Args: args}}, Mounts: mounts}
}

func process(pid int, args ...string) fact.Process {
	return fact.Process{PID: pid, Start: time.Unix(1_800_000_000, 0), Args: args}
}

// credential finds one, or fails.
func credential(t *testing.T, l layout.Layout, id fact.ID) layout.Credential {
	t.Helper()
	c, ok := l.ByID(id)
	if !ok {
		t.Fatalf("no %s in %v", id, ids(l))
	}
	return c
}

func ids(l layout.Layout) (all []string) {
	for _, c := range l.Credentials {
		all = append(all, string(c.ID))
	}
	return all
}

func endpoints(l layout.Layout) (all []string) {
	for _, p := range l.Ports {
		all = append(all, p.Component+" "+p.Endpoint)
	}
	return all
}

func TestMountsTranslatePaths(t *testing.T) {
	l := layout.Discover(mounted, []fact.Fact{manifest(
		[]string{"kube-apiserver", "--tls-cert-file=/certs/serving/apiserver.crt", "--tls-private-key-file=/certs/serving/apiserver.key",
			"--client-ca-file=/ca.crt", "--etcd-cafile=/certs-of-etcd/ca.crt", "--oidc-ca-file=relative.crt"},
		fact.Mount{Path: "/certs", HostPath: "/opt/site"},
		fact.Mount{Path: "/certs/serving", HostPath: "/opt/serving"}, // the longer path wins
		fact.Mount{Path: "/ca.crt", HostPath: "/opt/other-name.crt"},
	)})
	got := credential(t, l, "node/apiserver")
	if got.Path != "/opt/serving/apiserver.crt" || got.Key != "/opt/serving/apiserver.key" {
		t.Errorf("apiserver: %s, %s", got.Path, got.Key)
	}
	if got := credential(t, l, "node/ca").Path; got != "/opt/other-name.crt" {
		t.Errorf("a single mounted file: %s", got)
	}
	// A mount's path is no prefix of another name, and without a mount the
	// host's path is meant.
	if got := credential(t, l, "node/etcd-ca").Path; got != "/certs-of-etcd/ca.crt" {
		t.Errorf("without a mount: %s", got)
	}
	if slices.Contains(ids(l), "node/oidc-ca") {
		t.Error("a relative path depends on a working directory that is not known")
	}
}

func TestRootMount(t *testing.T) {
	l := layout.Discover(mounted, []fact.Fact{manifest([]string{"kube-apiserver", "--client-ca-file=/host/../host/ca.crt"}, fact.Mount{Path: "/", HostPath: "/srv"})})
	if got := credential(t, l, "node/ca").Path; got != "/srv/host/ca.crt" {
		t.Errorf("got %s", got)
	}
}

// kubespray runs etcd by systemd, with its settings in the environment.
func TestEtcdBySystemd(t *testing.T) {
	etcd := process(7, "/usr/local/bin/etcd")
	etcd.Env = []string{"ETCD_CERT_FILE=/etc/ssl/etcd/ssl/member-cp1.pem", "ETCD_KEY_FILE=/etc/ssl/etcd/ssl/member-cp1-key.pem",
		"ETCD_TRUSTED_CA_FILE=/etc/ssl/etcd/ssl/ca.pem", "ETCD_PEER_CERT_FILE=/etc/ssl/etcd/ssl/member-cp1.pem",
		"ETCD_LISTEN_CLIENT_URLS=https://127.0.0.1:2379,https://10.0.0.1:2379", "ETCD_NAME=etcd1", "PATH=/bin", "ETCD_", "ETCD_X"}
	l := layout.Discover(running, []fact.Fact{etcd})
	got := credential(t, l, "node/etcd-server")
	if got.Path != "/etc/ssl/etcd/ssl/member-cp1.pem" || got.Key != "/etc/ssl/etcd/ssl/member-cp1-key.pem" || got.Consumers[0].PID != 7 {
		t.Errorf("%+v", got)
	}
	if !slices.Equal(got.Trust, []string{"/etc/ssl/etcd/ssl/ca.pem"}) {
		t.Errorf("trust: %v", got.Trust)
	}
	if !slices.Contains(endpoints(l), "etcd 127.0.0.1:2379") {
		t.Errorf("ports: %v", endpoints(l))
	}
	flagged := etcd
	flagged.Args = []string{"etcd", "-cert-file=/flag.pem"}
	if got := credential(t, layout.Discover(running, []fact.Fact{flagged}), "node/etcd-server").Path; got != "/flag.pem" {
		t.Errorf("a flag wins over the environment, got %s", got)
	}
}

func TestProcessAndManifest(t *testing.T) {
	args := []string{"kube-scheduler", "--kubeconfig=/etc/kubernetes/scheduler.conf", "--bind-address=127.0.0.1"}
	for _, c := range []struct {
		name    string
		process []string
		pid     int
		edited  bool
	}{
		{"the same", args, 5, false},
		{"another order and form", []string{"/usr/local/bin/kube-scheduler", "-bind-address", "127.0.0.1", "--kubeconfig", "/etc/kubernetes/scheduler.conf"}, 5, false},
		{"the manifest was edited since", append(slices.Clone(args), "--v=4"), 5, true},
		{"another cluster's", []string{"kube-scheduler", "--kubeconfig=/srv/other/scheduler.conf"}, 0, false},
		{"another program", []string{"kube-proxy"}, 0, false},
	} {
		l := layout.Discover(running, []fact.Fact{manifest(args), process(5, c.process...)})
		comp, _ := l.Component("kube-scheduler")
		pid := 0
		if comp.Process != nil {
			pid = comp.Process.PID
		}
		if pid != c.pid || comp.Edited != c.edited {
			t.Errorf("%s: pid %d, edited %v; want %d, %v", c.name, pid, comp.Edited, c.pid, c.edited)
		}
	}
}

func TestTwoClusters(t *testing.T) {
	one := []string{"kube-apiserver", "--tls-cert-file=/etc/kubernetes/pki/apiserver.crt", "--secure-port=6443"}
	two := []string{"kube-apiserver", "--tls-cert-file=/srv/two/pki/apiserver.crt", "--secure-port=7443"}
	facts := []fact.Fact{process(1, one...), process(2, two...)}

	l := layout.Discover(running, append([]fact.Fact{manifest(one)}, facts...))
	if got := endpoints(l); !slices.Equal(got, []string{"kube-apiserver 127.0.0.1:6443"}) {
		t.Errorf("with the default directory: %v", got)
	}
	l = layout.Discover(fact.Scope{Root: "/", KubernetesDir: "/srv/two/"}, facts)
	if got := endpoints(l); !slices.Equal(got, []string{"kube-apiserver 127.0.0.1:7443"}) {
		t.Errorf("with the other one's directory: %v", got)
	}
	// Two of one cluster's directory, and no manifest to tell them apart.
	l = layout.Discover(running, []fact.Fact{process(1, one...), process(2, append(one, "--v=2")...)})
	if len(l.Unseen) != 1 || !strings.Contains(string(l.Unseen[0].What), "pid 2") {
		t.Errorf("the second is neither looked at nor said to be unseen: %+v", l.Unseen)
	}
}

// Where nothing lies at kubeadm's place, the running components say where.
func TestKubernetesDirByProcess(t *testing.T) {
	scheduler := process(3, "kube-scheduler", "--kubeconfig=/opt/k8s/conf/scheduler.conf")
	kubelet := process(4, "kubelet", "--kubeconfig=/var/lib/kubelet/kubeconfig")
	l := layout.Discover(running, []fact.Fact{kubelet, scheduler})
	if l.KubernetesDir != "/opt/k8s/conf" {
		t.Errorf("got %s", l.KubernetesDir)
	}
	l = layout.Discover(running, []fact.Fact{fact.Listing{Dir: "/etc/kubernetes"}, scheduler})
	if l.KubernetesDir != "/etc/kubernetes" {
		t.Errorf("kubeadm's directory is there, and %s is taken", l.KubernetesDir)
	}
	l = layout.Discover(fact.Scope{Root: "/", KubernetesDir: "/x"}, []fact.Fact{scheduler})
	if l.KubernetesDir != "/x" {
		t.Errorf("what was asked for is replaced by %s", l.KubernetesDir)
	}
}

func TestExternalEtcd(t *testing.T) {
	l := layout.Discover(running, []fact.Fact{
		fact.Node{Hostname: "cp1", Root: "/", Addresses: []string{"10.0.0.1"}},
		manifest([]string{"kube-apiserver", "--etcd-servers=https://10.0.0.7:2379,https://etcd8.example,http://10.0.0.9:2379,https://10.0.0.1:2379"}),
	})
	var remote []string
	for _, p := range l.Ports {
		if p.Remote {
			remote = append(remote, p.Endpoint)
		}
	}
	if want := []string{"10.0.0.7:2379", "etcd8.example:2379"}; !slices.Equal(remote, want) {
		t.Errorf("got %v, want %v: neither this machine's own nor one without TLS", remote, want)
	}
	for _, w := range l.Wants {
		if w.Endpoint == "10.0.0.7:2379" && w.Local {
			t.Error("a remote etcd is dialled with a local machine's patience")
		}
	}
}

// kube-vip and load balancers beside it mount admin.conf and no flag names it.
func TestMountedKubeconfig(t *testing.T) {
	vip := manifest([]string{"/kube-vip", "manager"}, fact.Mount{Path: "/etc/kubernetes/admin.conf", HostPath: "/etc/kubernetes/super-admin.conf"})
	vip.Containers[0].Name, vip.Mounts[0].Container = "kube-vip", "kube-vip"
	l := layout.Discover(mounted, []fact.Fact{manifest([]string{"kube-apiserver", "--client-ca-file=/etc/kubernetes/pki/ca.crt"}), vip})
	got := credential(t, l, "node/super-admin.conf")
	if got.Role != layout.Kubeconfig || got.Path != "/etc/kubernetes/super-admin.conf" || got.Consumers[0].Component != "kube-vip" {
		t.Errorf("%+v", got)
	}
	if !slices.Equal(got.Trust, []string{"/etc/kubernetes/pki/ca.crt"}) {
		t.Errorf("trust: %v", got.Trust)
	}
}

func TestFilesThatWouldShareAName(t *testing.T) {
	l := layout.Discover(mounted, []fact.Fact{
		manifest([]string{"kube-apiserver", "--client-ca-file=/a/ca.crt"}),
		manifest([]string{"kube-controller-manager", "--client-ca-file=/b/ca.crt", "--root-ca-file=/c/ca.crt"}),
		manifest([]string{"kube-scheduler", "--client-ca-file=/d/ca.crt"}),
	})
	paths := map[fact.ID]string{}
	for _, c := range l.Credentials {
		if other, twice := paths[c.ID]; twice {
			t.Errorf("%s is the name of %s and of %s", c.ID, other, c.Path)
		}
		paths[c.ID] = c.Path
	}
	if paths["node/ca"] != "/a/ca.crt" || len(paths) != 4 {
		t.Errorf("got %v", paths)
	}
}

func TestServiceAccountKeys(t *testing.T) {
	l := layout.Discover(mounted, []fact.Fact{
		manifest([]string{"kube-apiserver", "--service-account-key-file=/p/new.pub", "--service-account-key-file=/p/old.pub", "--service-account-signing-key-file=/p/new.key"}),
		manifest([]string{"kube-controller-manager", "--service-account-private-key-file=/p/new.key"}),
	})
	if got := credential(t, l, "node/sa"); got.Path != "/p/new.pub" || got.Key != "/p/new.key" || len(got.Consumers) != 2 {
		t.Errorf("%+v", got)
	}
	if got := credential(t, l, "node/kube-apiserver-service-account-key-file-2"); got.Path != "/p/old.pub" || got.Key != "" {
		t.Errorf("a key that is only trusted any more: %+v", got)
	}
}

func TestExtraServing(t *testing.T) {
	l := layout.Discover(mounted, []fact.Fact{manifest([]string{"kube-apiserver",
		"--tls-sni-cert-key=/p/a.crt,/p/a.key:*.example.org,example.org", "--tls-sni-cert-key=/p/b.crt,/p/b.key", "--tls-sni-cert-key=nonsense"})})
	for id, want := range map[fact.ID]string{"node/apiserver-sni": "/p/a.crt /p/a.key", "node/apiserver-sni-2": "/p/b.crt /p/b.key"} {
		if got := credential(t, l, id); got.Path+" "+got.Key != want {
			t.Errorf("%s: %+v", id, got)
		}
	}
}

// factsOf are all facts of a written node, as one look would bring them.
func factsOf(n *testnode.Node) []fact.Fact {
	facts := []fact.Fact{fact.Node{Hostname: "host", Root: "/"},
		layout.ParseKubeletConfig("/var/lib/kubelet/config.yaml", n.Read("/var/lib/kubelet/config.yaml"))}
	for i, name := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"} {
		file := "/etc/kubernetes/manifests/" + name + ".yaml"
		m := layout.ParseManifest(file, fact.Meta{}, n.Read(file))
		facts = append(facts, m, process(100+i, m.Containers[0].Args...))
	}
	return facts
}

func TestDiscoverIsPure(t *testing.T) {
	facts := factsOf(testnode.New(t, testnode.Options{}))
	before, err := json.Marshal(facts)
	if err != nil {
		t.Fatal(err)
	}
	first := layout.Discover(running, facts)
	if again := layout.Discover(running, facts); !reflect.DeepEqual(first, again) {
		t.Error("the same facts gave another layout")
	}
	backwards := slices.Clone(facts)
	slices.Reverse(backwards)
	if got := ids(layout.Discover(running, backwards)); !slices.Equal(got, ids(first)) {
		t.Errorf("the order of the facts changes the names\n got %v\nwant %v", got, ids(first))
	}
	after, err := json.Marshal(facts)
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Error("the facts were changed")
	}
}

// Facts that answer the wants lead to an end, and the answers to nothing else
// than was asked for in all.
func TestDiscoverConverges(t *testing.T) {
	scope := running
	facts, rounds := settle(t, scope, factsOf(testnode.New(t, testnode.Options{})))
	if rounds > 5 {
		t.Errorf("%d rounds", rounds)
	}
	l := layout.Discover(scope, facts)
	for _, want := range []string{"cp1/apiserver", "cp1/etcd-server", "cp1/kubelet.conf", "cp1/scheduler.conf", "cp1/sa"} {
		if !slices.Contains(ids(l), want) {
			t.Errorf("no %s in %v", want, ids(l))
		}
	}
}

// settle answers every want with a file that is missing, until nothing new is
// wanted.
func settle(t *testing.T, scope fact.Scope, facts []fact.Fact) ([]fact.Fact, int) {
	t.Helper()
	served := map[layout.Want]bool{}
	for round := 0; ; round++ {
		if round > 20 {
			t.Fatal("there is always more to look at")
		}
		fresh := 0
		for _, w := range layout.Discover(scope, facts).Wants {
			if served[w] {
				continue
			}
			served[w] = true
			fresh++
			if w.Verb == layout.LookFile && w.Required {
				facts = append(facts, fact.File{Path: w.Path, Missing: true})
			}
		}
		if fresh == 0 {
			return facts, round
		}
	}
}

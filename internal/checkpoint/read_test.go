// SPDX-License-Identifier: Apache-2.0

package checkpoint_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/checkpoint"
	"perennial.dev/perennial/internal/fact"
)

func TestReadTellsWhatIsInAnArchive(t *testing.T) {
	d, err := read(t, packed(t, whole(t)...), checkpoint.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	want := checkpoint.Description{
		APIVersion: "perennial.dev/v1alpha1", Kind: "Checkpoint", Entries: 13, Images: 7, Memory: 8030, RootDiff: 700, Content: d.Content,
		Manager: checkpoint.Containerd, Namespace: "shop", Pod: "web-0", Container: "app", ContainerID: "abc",
		Image: "docker.io/lab/shop:1", ImageRef: "sha256:0123", Runtime: "io.containerd.runc.v2", Created: at.Add(-time.Hour), Checkpointed: at,
		CRIU: "3.17.1", Kernel: "6.1.0-13-amd64", Arch: "amd64", Features: []string{"avx", "avx512f", "pku"}, Cgroup: 1,
		Command:   []fact.Text{"/bin/shop", "--listen=:8080", "--db-password", "REDACTED", "--api-token=REDACTED", "REDACTED"},
		Directory: "/srv", User: "1000:1001", OpenFiles: 1,
		Environment: []checkpoint.Variable{{Name: "PATH", Bytes: 4}, {Name: "DB_PASSWORD", Bytes: 7}, {Name: "SESSION", Bytes: len(token)}, {Name: "TOKEN_FILE", Bytes: 10}, {Name: "EMPTY_TOKEN"}},
		Mounts: []checkpoint.Mount{
			{Path: "/proc", Type: "proc", Source: "proc"},
			{Path: "/var/run/secrets/kubernetes.io/serviceaccount", Type: "bind", Source: "/var/lib/kubelet/pods/u/volumes/kubernetes.io~projected/kube-api-access-x", ReadOnly: true},
			{Path: "/etc/shop", Type: "bind", Source: "/var/lib/kubelet/pods/u/volumes/kubernetes.io~secret/shop"},
		},
		Processes: []checkpoint.Process{{PID: 1, Threads: 2, Name: "shop"}},
		Sockets: []checkpoint.Socket{
			{Kind: "tcp", State: "established", Local: "10.0.0.11:41000", Remote: "10.0.0.20:5432"},
			{Kind: "tcp", State: "listening", Local: "0.0.0.0:8080"},
			{Kind: "unix", State: "listening", Local: "@shop"},
		},
		Secrets: d.Secrets,
	}
	if !reflect.DeepEqual(*d, want) {
		t.Errorf("got  %+v\nwant %+v", *d, want)
	}
	var places []string
	for _, s := range d.Secrets {
		places = append(places, string(s.Where))
	}
	if want := []string{"argument 3 of the command", "argument 4 of the command", "argument 5 of the command", "variable DB_PASSWORD", "variable SESSION",
		"mount /var/run/secrets/kubernetes.io/serviceaccount", "mount /etc/shop"}; !slices.Equal(places, want) {
		t.Errorf("secrets in %q, want %q", places, want)
	}
	if n := d.Established(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// No value of the container's may be in what is published, whatever is asked for.
func TestNoValueLeavesThePackage(t *testing.T) {
	archive := packed(t, whole(t)...)
	d, err := checkpoint.Read(t.Context(), bytes.NewReader(archive), checkpoint.Options{Limits: checkpoint.DefaultLimits, Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hunter", token, "BEGIN EC"} {
		if !bytes.Contains(archive, []byte(secret)) {
			t.Fatalf("the archive does not hold %q", secret)
		}
		if bytes.Contains(body, []byte(secret)) {
			t.Errorf("%q is in %s", secret, body)
		}
	}
	if !bytes.Contains(body, []byte("private keys in PEM, seen 1 times")) {
		t.Errorf("the key in the memory was not counted: %s", body)
	}
}

// A needle on the border of two pieces of memory is counted, and once.
func TestMemoryIsLookedThroughAcrossPieces(t *testing.T) {
	for _, at := range []int{0, 1<<20 - 7, 1 << 20, 2<<20 - 1, 3<<20 - 20} {
		memory := make([]byte, 3<<20)
		copy(memory[min(at, len(memory)-20):], "PRIVATE KEY-----")
		entries := without(whole(t), "checkpoint/pages-1.img", file("checkpoint/pages-1.img", string(memory)))
		d, err := checkpoint.Read(t.Context(), bytes.NewReader(packed(t, entries...)), checkpoint.Options{Limits: checkpoint.DefaultLimits, Memory: true})
		if err != nil {
			t.Fatal(err)
		}
		if last := d.Secrets[len(d.Secrets)-1]; last.Why != "private keys in PEM, seen 1 times" && !slices.ContainsFunc(d.Secrets, func(s checkpoint.Secret) bool { return s.Why == "private keys in PEM, seen 1 times" }) {
			t.Errorf("at %d: %v", at, d.Secrets)
		}
	}
}

func TestWhoWroteIt(t *testing.T) {
	for name, c := range map[string]struct {
		annotations map[string]string
		manager     checkpoint.Manager
		of          string
	}{
		"CRI-O": {map[string]string{"io.container.manager": "cri-o", "io.kubernetes.cri-o.Metadata": `{"name":"app","attempt":1}`, "io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.name": "web-0"},
			checkpoint.CRIO, "shop/web-0/app"},
		"CRI-O with broken metadata": {map[string]string{"io.container.manager": "cri-o", "io.kubernetes.cri-o.Metadata": `{`, "io.kubernetes.container.name": "app"}, checkpoint.CRIO, "//app"},
		"containerd":                 {byContainerd, checkpoint.Containerd, "shop/web-0/app"},
		"podman":                     {map[string]string{"io.container.manager": "libpod"}, checkpoint.Podman, "//k8s_app"},
		"nobody":                     {nil, checkpoint.Nobody, "//k8s_app"},
	} {
		d, err := read(t, packed(t, without(whole(t), "spec.dump", file("spec.dump", spec(t, c.annotations)))...), checkpoint.DefaultLimits)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := string(d.Namespace + "/" + d.Pod + "/" + d.Container); d.Manager != c.manager || got != c.of {
			t.Errorf("%s: %s of %s", name, got, d.Manager)
		}
	}
}

// The order of the entries, directories that are named with a dot, gzip, and a
// stream that cannot seek make no difference.
func TestTheSameArchiveInOtherForms(t *testing.T) {
	first, err := read(t, packed(t, whole(t)...), tight())
	if err != nil {
		t.Fatal(err)
	}
	dotted := whole(t)
	for i := range dotted {
		dotted[i].Name = "./" + dotted[i].Name
	}
	turned := whole(t)
	slices.Reverse(turned)
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write(packed(t, whole(t)...)); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]io.Reader{
		"dotted": bytes.NewReader(packed(t, append([]entry{dir("./")}, dotted...)...)), "turned": bytes.NewReader(packed(t, turned...)),
		"gzip": &zipped, "stream": io.MultiReader(bytes.NewReader(packed(t, whole(t)...))),
	} {
		d, err := checkpoint.Read(t.Context(), in, checkpoint.Options{Limits: tight()})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		d.Compressed, d.Entries = false, first.Entries
		if d.Container = first.Container; !reflect.DeepEqual(d, first) {
			t.Errorf("%s: %+v\nwant %+v", name, d, first)
		}
	}
}

func TestReadingEndsWhenItIsCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := checkpoint.Read(ctx, bytes.NewReader(packed(t, whole(t)...)), checkpoint.Options{Limits: tight()}); err != context.Canceled {
		t.Errorf("%v", err)
	}
}

func TestSecretNames(t *testing.T) {
	for name, want := range map[string]bool{
		"PASSWORD": true, "DB_PASSWORD": true, "PGPASSWORD": true, "API_KEY": true, "apiToken": false, "AUTH_TOKEN": true, "AWS_SECRET_ACCESS_KEY": true, "MYSQL_ROOT_PASSWORD": true,
		"TOKEN_FILE": false, "SECRET_NAME": false, "PASSAGE": false, "COMPASS": false, "KEYBOARD": false, "PATH": false, "SECRETARY": false, "passphrase": true, "client-secret": true,
	} {
		entries := without(whole(t), "spec.dump", file("spec.dump", encoded(t, map[string]any{"process": map[string]any{"env": []string{name + "=x"}}})))
		d, err := read(t, packed(t, entries...), tight())
		if err != nil {
			t.Fatal(err)
		}
		if got := len(d.Secrets) > 0; got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 5 << 30: "5.0 GiB"} {
		if got := checkpoint.Bytes(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	if !strings.Contains(checkpoint.Age(50*time.Hour), "2 days") {
		t.Error(checkpoint.Age(50 * time.Hour))
	}
}

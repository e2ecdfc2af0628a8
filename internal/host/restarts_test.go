// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/layout"
)

func TestRuns(t *testing.T) {
	dir := t.TempDir()
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	write := func(name, first string, last time.Time) {
		t.Helper()
		p := filepath.Join(dir, "pods", name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(first), 0o640); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(p, last, last); err != nil {
			t.Fatal(err)
		}
	}
	const pod = "kube-system_kube-apiserver-cp1_"
	write(pod+"old/kube-apiserver/41.log", "2026-11-01T00:00:00Z stderr F old\n", noon.Add(-time.Hour))
	write(pod+"new/kube-apiserver/9.log", "2026-11-22T11:00:00.123456789+02:00 stderr F I1122 starting\nmore\n", noon.Add(-2*time.Minute))
	write(pod+"new/kube-apiserver/10.log", "2026-11-22T11:59:30Z stderr F I1122\n", noon)
	write(pod+"new/kube-apiserver/9.log.20261122-110000.gz", "x", noon)
	write(pod+"new/kube-apiserver/note.log", "x", noon)
	write(pod+"new/other/3.log", "x", noon)
	write("kube-system_kube-apiserver-cp10_x/kube-apiserver/77.log", "x", noon.Add(time.Hour))
	write("kube-system_kube-apiserver-standby-cp1_x/kube-apiserver/0.log", "{\"log\":\"docker's\"}\n", noon)
	write("empty_pod_x/c/0.log", "", noon)

	root, err := host.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	want := []layout.Run{
		{Number: 9, Start: time.Date(2026, 11, 22, 9, 0, 0, 123456789, time.UTC), End: noon.Add(-2 * time.Minute)},
		{Number: 10, Start: noon.Add(-30 * time.Second)},
	}
	for _, c := range []struct {
		namespace, pod, container string
		want                      []layout.Run
	}{
		{"kube-system", "kube-apiserver-cp1", "kube-apiserver", want},
		{"kube-system", "kube-apiserver-standby-cp1", "kube-apiserver", []layout.Run{{}}},
		{"empty", "pod", "c", []layout.Run{{}}},
		{"kube-system", "kube-apiserver-cp2", "kube-apiserver", nil},
		{"kube-system", "kube-apiserver-cp1", "gone", nil},
	} {
		got, err := root.Runs(context.Background(), "/pods", c.namespace, c.pod, c.container)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v\nwant %+v", c.pod, got, err, c.want)
		}
	}
	for _, c := range [][4]string{{"/gone", "a", "b", "c"}, {"/pods", "a/..", "b", "c"}, {"/pods", "a", "b", ".."}, {"/pods", "a", "b", ""}} {
		if got, err := root.Runs(context.Background(), c[0], c[1], c[2], c[3]); err == nil {
			t.Errorf("%q: %+v", c, got)
		}
	}
}

// Docker keeps the logs elsewhere and leaves links.
func TestRunsBehindLinks(t *testing.T) {
	dir := t.TempDir()
	pod := filepath.Join(dir, "pods", "n_p_u", "c")
	if err := os.MkdirAll(pod, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "real.log"), []byte("2026-11-22T11:00:00Z x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"0.log": "/gone", "1.log": "/real.log"} {
		if err := os.Symlink(to, filepath.Join(pod, name)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := host.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	got, err := root.Runs(context.Background(), "/pods", "n", "p", "c")
	if want := []layout.Run{{Number: 1, Start: time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC)}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

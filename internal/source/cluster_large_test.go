// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/source"
	"perennial.dev/perennial/internal/testlab"
)

// The variables by which bench/objects runs what follows.
const (
	objectsVariable = "LAB_OBJECTS"              // how many
	programVariable = "PERENNIAL"                // measured as well, where it is set
	largeVariable   = "PERENNIAL_TEST_LARGE"     // the kubeconfig, in the process that is measured
	oldVersion      = "extensions.example/v1old" // in every hundredth object
)

// TestLabObjects looks at a cluster with very many objects, in a process of its
// own, and prints how long that took and how much memory.
func TestLabObjects(t *testing.T) {
	if kubeconfig := os.Getenv(largeVariable); kubeconfig != "" {
		lookAtLarge(t, kubeconfig)
		return
	}
	version := testlab.Versions(t, objectsVariable)[0]
	n, err := strconv.Atoi(os.Getenv(objectsVariable))
	if err != nil {
		t.Fatal(err)
	}
	p := testlab.Up(t, version)
	start := time.Now()
	fill(p, n)
	t.Logf("%d ConfigMaps written to etcd in %s", n, time.Since(start).Round(time.Second))
	p.Do("restart", "kube-apiserver") // or its cache has them only after their events
	admin := filepath.Join(p.KubernetesDir, "admin.conf")
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(time.Second) {
		out, ok := p.Kubectl("get", "--raw", "/api/v1/configmaps?limit=1")
		if ok && strings.Contains(out, "remainingItemCount") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the API server does not tell of them: %v, %.2000s", ok, out)
		}
	}
	for run := range 3 {
		cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), largeVariable+"="+admin)
		out := measure(t, cmd)
		if want := fmt.Sprintf("%d objects used in %s", n/100, oldVersion); !strings.Contains(out, want) {
			t.Fatalf("run %d: want %q in\n%s", run, want, out)
		}
	}
	if program := os.Getenv(programVariable); program != "" {
		measure(t, exec.Command(program, "check", "--kubeconfig", admin, "--to", "1.38", "-o", "json"))
	}
}

// measure runs a program, and prints its wall time and the most memory that it
// had.
func measure(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	start := time.Now()
	out, err := cmd.CombinedOutput()
	wall := time.Since(start)
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok || cmd.ProcessState.ExitCode() < 0 {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	load, _ := os.ReadFile("/proc/loadavg")
	t.Logf("%s: %.1f s of wall time, %.1f s of CPU, %d MiB at most; load %s", filepath.Base(cmd.Args[0]), wall.Seconds(),
		(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), usage.Maxrss>>10, strings.TrimSpace(string(load)))
	return string(out)
}

func lookAtLarge(t *testing.T, kubeconfig string) {
	client, err := kube.OpenContext(kube.Context{Kubeconfig: kubeconfig}, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	old := 0
	source.Cluster(t.Context(), client, source.ClusterOptions{}, func(f fact.Fact) {
		o, ok := f.(fact.Object)
		if !ok {
			return
		}
		for _, u := range o.Uses {
			if u.APIVersion == oldVersion {
				old++
			}
		}
	}, func(u fact.Unseen) { t.Logf("%+v", u) })
	t.Logf("%d objects used in %s", old, oldVersion)
}

// fill writes ConfigMaps of two kilobytes to etcd, as the API server stores
// JSON, a hundred in a transaction.
func fill(p *testlab.Plane, n int) {
	pair, err := tls.X509KeyPair(p.Read("pki/etcd/healthcheck-client.crt"), p.Read("pki/etcd/healthcheck-client.key"))
	if err != nil {
		p.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(p.Read("pki/etcd/ca.crt"))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots}}}
	for from := 0; from < n; from += 100 {
		var puts []map[string]any
		for i := from; i < min(n, from+100); i++ {
			puts = append(puts, map[string]any{"request_put": map[string][]byte{
				"key": fmt.Appendf(nil, "/registry/configmaps/ns-%03d/settings-%06d", i%300, i), "value": configMap(i),
			}})
		}
		body, err := json.Marshal(map[string]any{"success": puts})
		if err != nil {
			p.Fatal(err)
		}
		answer, err := client.Post(fmt.Sprintf("https://127.0.0.1:%d/v3/kv/txn", p.Ports.Etcd), "application/json", bytes.NewReader(body))
		if err != nil {
			p.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			p.Fatalf("writing to etcd: %s", answer.Status)
		}
	}
}

// configMap has what kubectl apply and a controller leave behind.
func configMap(i int) []byte {
	version := "v1"
	if i%100 == 0 {
		version = oldVersion
	}
	data := map[string]string{"application.yaml": strings.Repeat("setting: value\n", 30)}
	applied, _ := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]string{"name": "settings"}, "data": data})
	fields := map[string]any{"f:data": map[string]any{".": map[string]any{}, "f:application.yaml": map[string]any{}},
		"f:metadata": map[string]any{"f:annotations": map[string]any{".": map[string]any{}, "f:kubectl.kubernetes.io/last-applied-configuration": map[string]any{}}}}
	text, _ := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "data": data,
		"metadata": map[string]any{
			"name": fmt.Sprintf("settings-%06d", i), "namespace": fmt.Sprintf("ns-%03d", i%300), "uid": fmt.Sprintf("00000000-0000-4000-8000-%012d", i),
			"creationTimestamp": "2026-01-02T03:04:05Z", "annotations": map[string]string{"kubectl.kubernetes.io/last-applied-configuration": string(applied)},
			"managedFields": []map[string]any{
				{"manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": version, "time": "2026-01-02T03:04:05Z", "fieldsType": "FieldsV1", "fieldsV1": fields},
				{"manager": "a-controller", "operation": "Update", "apiVersion": "v1", "time": "2026-02-02T03:04:05Z", "fieldsType": "FieldsV1", "fieldsV1": fields},
			},
		},
	})
	return text
}

// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"perennial.dev/perennial/internal/kube"
)

// kubeletAnswers are what kubelets and API servers answer, word for word
// (pkg/kubelet/server/server.go of 1.37.0, github.com/emicklei/go-restful/v3, what
// gRPC says of a service without the method).
var kubeletAnswers = []struct {
	name   string
	code   int
	body   string
	object bool // an API server's own answer
	want   error
	says   string
}{
	{"the gate is off", 404, "404: Page Not Found", false, kube.ErrCheckpointOff, "the kubelet takes no checkpoints"},
	{"an old kubelet", 404, "404 page not found\n", false, kube.ErrCheckpointOff, ""},
	{"no pod", 404, "pod does not exist", false, nil, "pod does not exist"},
	{"no container", 404, "container app does not exist", false, nil, "container app does not exist"},
	{"containerd 1.6", 500, `checkpointing of shop/web-0/app failed (rpc error: code = Unimplemented desc = method CheckpointContainer not implemented)`, false, kube.ErrCheckpointRuntime, ""},
	{"CRI-O without it", 500, `checkpointing of shop/web-0/app failed (rpc error: code = Unknown desc = checkpoint/restore support not available)`, false, kube.ErrCheckpointRuntime, ""},
	{"no CRIU", 500, `checkpointing of shop/web-0/app failed (rpc error: code = Unknown desc = failed to checkpoint container "x": criu binary not found in shim path or system PATH)`, false, kube.ErrCheckpointCRIU, ""},
	{"something else", 500, `checkpointing of shop/web-0/app failed (rpc error: code = Unknown desc = no space left on device)`, false, nil, "no space left on device"},
	{"the kubelet refuses", 403, `Forbidden (user=kube-apiserver-kubelet-client, verb=create, resource=nodes, subresource(s)=[checkpoint])`, false, kube.ErrCheckpointKubelet, ""},
	{"the API server refuses", 403, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","message":"nodes \"cp1\" is forbidden: User \"ann\" cannot create resource \"nodes/proxy\"","code":403}`, true, kube.ErrForbidden, "nodes/proxy"},
	{"an answer that hides its end", 500, "\x1b[2Jcriu\u202e", false, kube.ErrCheckpointCRIU, `\x1b[2J`},
}

// opened is a client for a server that answers with a handler.
func opened(t *testing.T, handle http.HandlerFunc) *kube.Client {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	conf := filepath.Join(t.TempDir(), "config")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters:\n- name: a\n  cluster: {server: %q}\ncontexts:\n- name: a\n  context: {cluster: a, user: a}\nusers:\n- name: a\n  user: {}\n", s.URL)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := kube.OpenContext(kube.Context{Kubeconfig: conf}, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestWhatIsInTheWayOfACheckpoint(t *testing.T) {
	for _, a := range kubeletAnswers {
		var asked atomic.Int32
		c := opened(t, func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			if r.Method != "POST" || r.URL.Path != "/api/v1/nodes/cp1/proxy/checkpoint/shop/web-0/app" || r.URL.Query().Get("timeout") != "90" {
				t.Errorf("%s: %s %s", a.name, r.Method, r.URL)
			}
			if a.object {
				w.Header().Set("Content-Type", "application/json")
			}
			w.WriteHeader(a.code)
			_, _ = w.Write([]byte(a.body))
		})
		paths, err := c.Checkpoint(t.Context(), "cp1", "shop", "web-0", "app", 90*time.Second)
		if err == nil || paths != nil || a.want != nil && !errors.Is(err, a.want) || !strings.Contains(err.Error(), a.says) || strings.ContainsAny(err.Error(), "\x1b\u202e") {
			t.Errorf("%s: %v, %q", a.name, paths, err)
		}
		for _, other := range []error{kube.ErrCheckpointOff, kube.ErrCheckpointRuntime, kube.ErrCheckpointCRIU, kube.ErrCheckpointKubelet} {
			if other != a.want && errors.Is(err, other) {
				t.Errorf("%s: %v is also %v", a.name, err, other)
			}
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("%s: asked %d times", a.name, n)
		}
	}
}

// A server that says to come again is not asked again: nobody knows what was done.
func TestACheckpointIsAskedForOnce(t *testing.T) {
	var asked atomic.Int32
	c := opened(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	if _, err := c.Checkpoint(t.Context(), "cp1", "shop", "web-0", "app", time.Second); err == nil || asked.Load() != 1 {
		t.Errorf("asked %d times: %v", asked.Load(), err)
	}
}

func TestWhereTheArchiveIs(t *testing.T) {
	for body, want := range map[string]string{
		`{"items":["/var/lib/kubelet/checkpoints/x.tar"]}`: "/var/lib/kubelet/checkpoints/x.tar",
		`{"items":[]}`: "", `done`: "", ``: "",
	} {
		c := opened(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) })
		paths, err := c.Checkpoint(t.Context(), "cp1", "shop", "web-0", "app", time.Second)
		if want == "" && err == nil || want != "" && (err != nil || len(paths) != 1 || paths[0] != want) {
			t.Errorf("%q: %v, %v", body, paths, err)
		}
	}
}

func TestPod(t *testing.T) {
	c := opened(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path != "/api/v1/namespaces/shop/pods/web-0" {
			w.WriteHeader(404)
			_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404})
			return
		}
		_, _ = w.Write([]byte(`{"metadata":{"uid":"u"},"spec":{"nodeName":"cp1"},"status":{"phase":"Running","containerStatuses":[{"name":"app","state":{"running":{}}},{"name":"old","state":{"terminated":{}}}],"initContainerStatuses":[{"name":"init","state":{"terminated":{}}}]}}`))
	})
	p, err := c.Pod(t.Context(), "shop", "web-0")
	if err != nil || p.Node != "cp1" || strings.Join(p.Running, " ") != "app" || strings.Join(p.Stopped, " ") != "old init" {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := c.Pod(t.Context(), "shop", "none"); p != nil || err != nil {
		t.Errorf("%+v, %v", p, err)
	}
}

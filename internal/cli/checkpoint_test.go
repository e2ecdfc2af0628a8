// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// said runs the program, and wants an exit code.
func said(t *testing.T, code int, args ...string) (out, errs string) {
	t.Helper()
	cmd := product(t, args...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	_ = cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("%v: exit code %d, want %d\n%s%s", args, got, code, &o, &e)
	}
	return o.String(), e.String()
}

// checkpoints makes a directory of checkpoints with archives that are so many hours
// old, and returns the paths.
func checkpoints(t *testing.T, hours ...int) (dir string, paths []string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "checkpoints")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, h := range hours {
		at := time.Now().Add(-time.Duration(h) * time.Hour).UTC()
		path := filepath.Join(dir, "checkpoint-web-0_shop-app-"+at.Format(time.RFC3339)+".tar")
		if err := os.WriteFile(path, bytes.Repeat([]byte("m"), 1000), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return dir, paths
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// Bad input: a clear error, usage where it is one, and nothing is changed.
func TestBadInputForCheckpoints(t *testing.T) {
	dir, _ := checkpoints(t, 100, 50)
	state := filepath.Join(t.TempDir(), "state")
	garbage := filepath.Join(t.TempDir(), "garbage.tar")
	if err := os.WriteFile(garbage, []byte("this is none"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "pipe")
	if err := os.Mkdir(link, 0o700); err != nil {
		t.Fatal(err)
	}
	before := names(t, dir)
	prune := []string{"checkpoint", "prune", "--dir", dir, "--state", state, "--lock", filepath.Join(state, "lock"), "--yes"}
	for _, c := range []struct {
		code int
		args []string
		says string
	}{
		{2, []string{"checkpoint", "nonsense"}, `unknown command "nonsense"`},
		{2, []string{"checkpoint", "create"}, "give one pod"},
		{2, []string{"checkpoint", "create", "a", "b"}, "give one pod"},
		{2, []string{"checkpoint", "create", "../nodes"}, "the pod's name"},
		{2, []string{"checkpoint", "create", "web", "-n", "a/b"}, "the namespace's name"},
		{2, []string{"checkpoint", "create", "web", "--timeout", "1ms"}, "less than a second"},
		{1, []string{"checkpoint", "create", "web", "--kubeconfig", "/nonexistent"}, "/nonexistent"},
		{2, []string{"checkpoint", "list", "--dir", "relative"}, "no absolute path"},
		{1, []string{"checkpoint", "list", "--dir", "/nonexistent"}, "no such file"},
		{2, []string{"checkpoint", "list", "-o", "html"}, "unknown output format"},
		{2, []string{"checkpoint", "inspect"}, "give one archive"},
		{1, []string{"checkpoint", "inspect", "/nonexistent.tar"}, "no such file"},
		{1, []string{"checkpoint", "inspect", garbage}, "ends too early"},
		{1, []string{"checkpoint", "inspect", link}, "is a directory, not a file"},
		{1, []string{"checkpoint", "inspect", "/dev/null"}, "is a device"},
		{2, []string{"checkpoint", "verify"}, "give one archive"},
		{1, []string{"checkpoint", "verify", garbage}, "the archive is refused"},
		{2, []string{"checkpoint", "restore"}, "give one archive"},
		{2, []string{"checkpoint", "restore", garbage, "--runtime", "docker"}, "want containerd or cri-o"},
		{2, []string{"checkpoint", "restore", garbage, "--name", "Upper/Case"}, "want a name with a tag"},
		{1, []string{"checkpoint", "restore", garbage, "--to", filepath.Join(dir, "image.tar")}, "the archive is refused"},
		{2, prune, "nothing says which archives go"},
		{2, append(slices.Clone(prune), "--older-than", "yesterday"), "--older-than"},
		{2, append(slices.Clone(prune), "--older-than", "-3d"), "--older-than"},
		{2, append(slices.Clone(prune), "--keep", "-1"), "--keep"},
		{2, append(slices.Clone(prune), "--max-share", "5"), "--max-share"},
		{2, append(slices.Clone(prune), "--max-share", "NaN%"), "--max-share"},
		{2, append(slices.Clone(prune), "--max-share", "0%"), "--max-share"},
		{2, append(slices.Clone(prune), "--max-size", "9999999Ti"), "--max-size"},
		{2, append(slices.Clone(prune), "--max-size", "-1Gi"), "--max-size"},
		{2, append(slices.Clone(prune), "--keep", "1", "--dir", "x"), "no absolute path"},
		{2, append(slices.DeleteFunc(slices.Clone(prune), func(a string) bool { return a == "--yes" }), "--keep", "1"), "no terminal to ask on"},
	} {
		out, errs := said(t, c.code, c.args...)
		if !strings.Contains(errs, c.says) || c.code == 1 && out != "" {
			t.Errorf("%v: want %q in\n%s%s", c.args, c.says, out, errs)
		}
	}
	if after := names(t, dir); !slices.Equal(before, after) {
		t.Errorf("something was changed: %v, %v", before, after)
	}
}

func TestListShowsWhoMayRead(t *testing.T) {
	dir, paths := checkpoints(t, 100, 1)
	if err := os.Chmod(paths[0], 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/shadow", filepath.Join(dir, "checkpoint-a_b-c-2026-11-22T08:00:00Z.tar")); err != nil {
		t.Fatal(err)
	}
	out, _ := said(t, 0, "checkpoint", "list", "--dir", dir)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 5 || !strings.Contains(lines[0], "2 archives, 2.0 KiB") || !strings.Contains(lines[4], "4 days") || !strings.Contains(lines[4], "0644") || !strings.Contains(lines[4], "its owner") {
		t.Errorf("%s", out) // the directory lets nobody in
	}
	body, _ := said(t, 0, "checkpoint", "list", "--dir", dir, "-o", "json")
	var list struct {
		Total    int64
		Others   int
		Archives []struct{ Pod, Mode, Readable string }
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil || list.Total != 2000 || list.Others != 1 || len(list.Archives) != 2 || list.Archives[1].Pod != "web-0" || list.Archives[1].Mode != "0644" {
		t.Errorf("%v %s", err, body)
	}
}

func TestPruneIsPlannedDoneProvenAndRemembered(t *testing.T) {
	dir, paths := checkpoints(t, 100, 50, 2)
	other := filepath.Join(dir, "evidence.tar")
	if err := os.WriteFile(other, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(t.TempDir(), "state")
	args := []string{"checkpoint", "prune", "--dir", dir, "--state", state, "--lock", filepath.Join(t.TempDir(), "lock")}
	out, _ := said(t, 0, append(args, "--keep", "1", "--dry-run")...)
	if !strings.Contains(out, "2 archives to remove") || !strings.Contains(out, "1 other file ") || len(names(t, dir)) != 4 {
		t.Fatalf("%s\n%v", out, names(t, dir))
	}
	if _, errs := said(t, 0, append(args, "--keep", "1", "--yes")...); !strings.Contains(errs, "2 steps done and proven") || strings.Contains(errs, "takes it back") {
		t.Fatalf("%s", errs)
	}
	if got, want := names(t, dir), []string{filepath.Base(paths[2]), "evidence.tar"}; !slices.Equal(got, want) {
		t.Fatalf("%v, want %v", got, want)
	}
	history, _ := said(t, 0, "history", "--state", state)
	fields := strings.Fields(strings.Split(history, "\n")[1])
	shown, _ := said(t, 0, "history", "show", fields[0], "--state", state)
	if !strings.Contains(shown, filepath.Base(paths[0])+" is gone") || !strings.Contains(shown, "done") {
		t.Errorf("%s\n%s", history, shown)
	}
	// What is gone stays gone: there is nothing to take back.
	_, errs := said(t, 0, "undo", fields[0], "--yes", "--state", state, "--lock", filepath.Join(t.TempDir(), "lock"))
	if len(names(t, dir)) != 2 {
		t.Errorf("%s", errs)
	}
	if out, _ := said(t, 0, append(args, "--max-size", "1Gi", "--yes")...); !strings.Contains(out, "Nothing to do") {
		t.Errorf("%s", out)
	}
}

// pods is an API server with one pod, whose kubelet answers in a way.
func pods(t *testing.T, containers string, kubelet http.HandlerFunc) (kubeconfig string, asked *atomic.Int32) {
	t.Helper()
	asked = &atomic.Int32{}
	mux := http.NewServeMux()
	json := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, body)
		}
	}
	mux.HandleFunc("GET /api/v1/namespaces/shop/pods/web-0", json(`{"metadata":{"uid":"u"},"spec":{"nodeName":"cp7"},"status":{"phase":"Running","containerStatuses":[`+containers+`]}}`))
	mux.HandleFunc("GET /api/v1/nodes/cp7", json(`{"status":{"nodeInfo":{"kubeletVersion":"v1.28.15","containerRuntimeVersion":"containerd://1.6.20"}}}`))
	mux.HandleFunc("POST /api/v1/nodes/cp7/proxy/checkpoint/shop/web-0/app", func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		kubelet(w, r)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(404)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	kubeconfig = filepath.Join(t.TempDir(), "config")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters:\n- name: a\n  cluster: {server: %q}\ncontexts:\n- name: a\n  context: {cluster: a, user: a}\nusers:\n- name: a\n  user: {}\n", s.URL)
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return kubeconfig, asked
}

const hasOne, hadOne = `{"name":"app","state":{"running":{}}}`, `{"name":"old","state":{"terminated":{}}}`

func TestCreateSaysWhatIsInTheWay(t *testing.T) {
	answer := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			fmt.Fprint(w, body)
		}
	}
	fine := answer(200, `{"items":["/var/lib/kubelet/checkpoints/checkpoint-web-0_shop-app-2026-11-22T08:00:00Z.tar"]}`)
	for name, c := range map[string]struct {
		containers string
		kubelet    http.HandlerFunc
		args       []string
		code       int
		asked      int32
		says       []string
	}{
		"it is taken":           {hasOne, fine, []string{"--yes"}, 0, 1, []string{"/var/lib/kubelet/checkpoints/checkpoint-web-0_shop-app", "every secret of the process", "on the node cp7"}},
		"a dry run":             {hasOne, fine, []string{"--dry-run"}, 0, 0, []string{"The kubelet of cp7 freezes the container app"}},
		"nobody to ask":         {hasOne, fine, nil, 2, 0, []string{"no terminal to ask on"}},
		"the gate is off":       {hasOne, answer(404, "404: Page Not Found"), []string{"--yes"}, 1, 1, []string{"the kubelet takes no checkpoints", "kubelet of 1.28, where the feature gate is off by default", "ContainerCheckpoint: true"}},
		"the runtime":           {hasOne, answer(500, "failed (rpc error: code = Unimplemented desc = method CheckpointContainer not implemented)"), []string{"--yes"}, 1, 1, []string{"cp7 runs containerd://1.6.20", "containerd 2.0"}},
		"no CRIU":               {hasOne, answer(500, "criu binary not found"), []string{"--yes"}, 1, 1, []string{"install CRIU 3.16"}},
		"the kubelet refuses":   {hasOne, answer(403, "Forbidden (user=kube-apiserver-kubelet-client)"), []string{"--yes"}, 1, 1, []string{"create nodes/checkpoint"}},
		"several that run":      {hasOne + "," + strings.Replace(hasOne, "app", "log", 1), fine, []string{"--yes"}, 2, 0, []string{"several of its containers run", "-c: app, log"}},
		"one of several":        {hasOne + "," + strings.Replace(hasOne, "app", "log", 1), fine, []string{"--yes", "-c", "app", "--timeout", "5m"}, 0, 1, nil},
		"no such container":     {hasOne, fine, []string{"--yes", "-c", "none"}, 1, 0, []string{`it has no container "none"`, "it has app"}},
		"one that does not run": {hasOne + "," + hadOne, fine, []string{"--yes", "-c", "old"}, 1, 0, []string{"does not run"}},
		"none that runs":        {hadOne, fine, []string{"--yes"}, 1, 0, []string{"none of its containers runs"}},
		"no such pod":           {hasOne, fine, []string{"--yes", "-n", "other"}, 1, 0, []string{"there is no such pod"}},
	} {
		conf, asked := pods(t, c.containers, c.kubelet)
		args := append([]string{"checkpoint", "create", "web-0", "--kubeconfig", conf}, c.args...)
		if !slices.Contains(c.args, "-n") {
			args = append(args, "-n", "shop")
		}
		out, errs := said(t, c.code, args...)
		for _, w := range c.says {
			if !strings.Contains(out+errs, w) {
				t.Errorf("%s: no %q in\n%s%s", name, w, out, errs)
			}
		}
		if asked.Load() != c.asked || c.code != 0 && out != "" {
			t.Errorf("%s: asked %d times, %q", name, asked.Load(), out)
		}
	}
}

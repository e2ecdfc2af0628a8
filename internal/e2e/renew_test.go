// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/timeline"
)

// workshop is a control plane with the places of what is changed on it.
type workshop struct {
	*plane
	state, lock string
}

func shop(t *testing.T, version string, args ...string) *workshop {
	t.Helper()
	p := up(t, version, args...)
	return &workshop{plane: p, state: filepath.Join(t.TempDir(), "state"), lock: filepath.Join(t.TempDir(), "lock")}
}

// change runs a changing command that has to end with an exit code.
func (w *workshop) change(code int, args ...string) string {
	w.Helper()
	args = append(args, "--yes", "--kubernetes-dir", w.KubernetesDir, "--state", w.state, "--lock", w.lock)
	start := time.Now()
	out, errs, got := w.perennial(args...)
	w.Logf("perennial %s: exit code %d after %s", strings.Join(args[:2], " "), got, time.Since(start).Round(100*time.Millisecond))
	if got != code {
		w.Fatalf("perennial %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, out, errs)
	}
	return out + errs
}

var undoID = regexp.MustCompile(`perennial undo (\S+)`)

func idOf(t *testing.T, out string) string {
	t.Helper()
	m := undoID.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no plan is named:\n%s", out)
	}
	return m[1]
}

// clean says that nothing lingers and nothing is broken.
func (w *workshop) clean() {
	w.Helper()
	tl := w.until("nothing lingers", func(tl timeline.Timeline) bool {
		return len(withCode(tl, finding.ServedCertificateStale)) == 0 && tl.Scope.Counts.Processes == 4 && len(tl.Unseen) == 0
	})
	for _, i := range tl.Items {
		if i.Verdict != policy.OK && i.Class != finding.Notice {
			w.Errorf("%s %s: %s %s", i.ID, i.Code, i.Verdict, i.Reason)
		}
	}
}

// inventory is all of a directory's files: content, mode and owner.
func inventory(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(name)
		stat := info.Sys().(*syscall.Stat_t)
		all[name] = fmt.Sprintf("%v %d:%d %s", info.Mode(), stat.Uid, stat.Gid, data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func differences(a, b map[string]string) []string {
	var names []string
	for name := range a {
		if a[name] != b[name] {
			names = append(names, name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			names = append(names, name)
		}
	}
	return names
}

// probe asks the API server for its readiness on new connections, until it is
// ended.
type probe struct {
	stop     chan struct{}
	done     sync.WaitGroup
	asked    int
	failures []string
}

func (p *plane) probe() *probe {
	pr := &probe{stop: make(chan struct{})}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	pr.done.Go(func() {
		for {
			select {
			case <-pr.stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
			pr.asked++
			if err := ready(client, "https://"+p.Endpoint+"/readyz"); err != nil {
				pr.failures = append(pr.failures, fmt.Sprintf("%s: %v", time.Now().Format("15:04:05.000"), err))
			}
		}
	})
	return pr
}

func ready(client *http.Client, url string) error {
	r, err := client.Get(url)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", r.Status, body)
	}
	return err
}

// end ends a probe and fails where a request has failed.
func (pr *probe) end(t *testing.T) {
	t.Helper()
	close(pr.stop)
	pr.done.Wait()
	t.Logf("%d of %d requests on new connections failed", len(pr.failures), pr.asked)
	if len(pr.failures) > 0 || pr.asked == 0 {
		t.Errorf("%d of %d requests failed: %q", len(pr.failures), pr.asked, pr.failures)
	}
}

// Everything is renewed and proven while the API answers, and taken back with
// the same bytes, modes and owners; unless something was changed since.
func TestRenewAll(t *testing.T) {
	for _, version := range versions(t) {
		t.Run(version, func(t *testing.T) {
			w := shop(t, version)
			old := inventory(t, w.KubernetesDir)
			pr := w.plane.probe()
			time.Sleep(2 * time.Second) // processes and files must differ by more than the second in which nothing is said
			out := w.change(timeline.ExitOK, "renew", "--all")
			if strings.Contains(out, "not proven") || !strings.Contains(out, "steps done and proven") {
				t.Errorf("not all was proven:\n%s", out)
			}
			w.clean()
			names := kubeadmNames
			if minor(version) >= 29 {
				names = append(names[:len(names):len(names)], "super-admin.conf")
			}
			acceptedByKubeadm(t, w.Inside("kubeadm", "certs", "check-expiration"), w.check(), "cp1", names)
			w.Inside("kubectl", "get", "--raw", "/readyz")

			time.Sleep(2 * time.Second)
			id := idOf(t, out)
			touched := filepath.Join(w.KubernetesDir, "admin.conf")
			data, err := os.ReadFile(touched)
			if err != nil {
				t.Fatal(err)
			}
			write := func(data []byte) {
				if err := os.WriteFile(touched, data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write(append(data, "# mine\n"...))
			renewed := inventory(t, w.KubernetesDir)
			if out := w.change(timeline.ExitFailed, "undo", id); !strings.Contains(out, "admin.conf was changed since") {
				t.Errorf("it does not say what was changed:\n%s", out)
			}
			if changed := differences(renewed, inventory(t, w.KubernetesDir)); len(changed) > 0 {
				t.Errorf("a refused undo has changed %q", changed)
			}
			write(data)
			w.change(timeline.ExitOK, "undo", id)
			if changed := differences(old, inventory(t, w.KubernetesDir)); len(changed) > 0 {
				t.Errorf("not as before: %q", changed)
			}
			w.clean()
			pr.end(t)
		})
	}
}

// With the API server down all files are renewed, and what could not be proven
// is said; it then starts with what was renewed.
func TestRenewWithoutServer(t *testing.T) {
	for _, version := range versions(t) {
		t.Run(version, func(t *testing.T) {
			w := shop(t, version)
			w.Do("stop", "kube-apiserver")
			out := w.change(timeline.ExitOK, "renew", "--all")
			if !strings.Contains(out, "not proven: "+w.Endpoint+" did not answer") || !strings.Contains(out, "not proven in all") {
				t.Errorf("it does not say what was not proven:\n%s", out)
			}
			w.Do("start", "kube-apiserver")
			w.clean()
			w.Inside("kubectl", "get", "--raw", "/readyz")
		})
	}
}

// A control plane on which everything has ended comes back by one command.
func TestRenewExpired(t *testing.T) {
	for _, version := range versions(t) {
		t.Run(version, func(t *testing.T) {
			w := shop(t, version, "--cert-life", "100s")
			tl := w.check()
			i, ok := item(tl, "cp1/apiserver", finding.CertificateExpires)
			if !ok {
				t.Fatal("the API server's certificate is not on the timeline")
			}
			time.Sleep(time.Until(i.End.Date.Add(5 * time.Second)))
			if tl := w.check(); tl.ExitCode != timeline.ExitOverdue {
				t.Fatalf("exit code %d before", tl.ExitCode)
			}
			out := w.change(timeline.ExitOK, "renew", "--all", "--validity", "365d")
			id := idOf(t, out)
			w.clean()
			w.Inside("kubectl", "get", "--raw", "/readyz")
			w.Inside("kubectl", "get", "namespaces")
			renewed := inventory(t, w.KubernetesDir)
			if out := w.change(timeline.ExitFailed, "undo", id); !strings.Contains(out, "an ended certificate is not put back") {
				t.Errorf("undo:\n%s", out)
			}
			if changed := differences(renewed, inventory(t, w.KubernetesDir)); len(changed) > 0 {
				t.Errorf("a refused undo has changed %q", changed)
			}
		})
	}
}

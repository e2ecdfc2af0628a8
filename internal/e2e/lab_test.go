// SPDX-License-Identifier: Apache-2.0

// Package e2e tests the built program against real control planes of the lab.
// It only has tests. They run where PERENNIAL_LAB names the lab's program,
// PERENNIAL_BIN the product's, and LAB_TEST_VERSIONS the versions, as `make
// test` does; elsewhere they are skipped.
package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/testlab"
	"perennial.dev/perennial/internal/timeline"
)

// versions are those to test.
func versions(t *testing.T) []string {
	t.Helper()
	return testlab.Versions(t, "PERENNIAL_BIN")
}

// plane is a running control plane of the lab.
type plane struct{ *testlab.Plane }

// up starts a control plane and takes it down when the test ends.
func up(t *testing.T, version string, flags ...string) *plane {
	t.Helper()
	return &plane{testlab.Up(t, version, flags...)}
}

// perennial runs the product and returns its output and exit code.
func (p *plane) perennial(args ...string) (string, string, int) {
	p.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(os.Getenv("PERENNIAL_BIN"), args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.Fatalf("perennial %s: %v", strings.Join(args, " "), err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// check runs `perennial check` on the control plane and reads its JSON. Ports
// get more time than on a node of their own: builds may keep this machine busy.
func (p *plane) check(args ...string) timeline.Timeline {
	p.Helper()
	out, errs, code := p.perennial(append([]string{"check", "--kubernetes-dir", p.KubernetesDir, "-o", "json", "--timeout", "5s"}, args...)...)
	tl, err := timeline.Read(strings.NewReader(out))
	if err != nil {
		p.Fatalf("exit %d: %v\n%s", code, err, errs)
	}
	if code != tl.ExitCode {
		p.Errorf("exit code %d, the JSON says %d", code, tl.ExitCode)
	}
	return tl
}

func item(tl timeline.Timeline, id fact.ID, code finding.Code) (timeline.Item, bool) {
	for _, i := range tl.Items {
		if i.ID == id && i.Code == code {
			return i, true
		}
	}
	return timeline.Item{}, false
}

// withCode lists the IDs that have a code.
func withCode(tl timeline.Timeline, code finding.Code) []string {
	ids := []string{}
	for _, i := range tl.Items {
		if i.Code == code {
			ids = append(ids, string(i.ID))
		}
	}
	return ids
}

func openssl(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("needs openssl, as the independent reader of certificates")
	}
	return path
}

func walk(t *testing.T, dir string, each func(path string, data []byte)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil {
			each(path, data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

var expirationRow = regexp.MustCompile(`(?m)^([a-z][\w.\-]*) +(\w{3} \d\d, \d{4} \d\d:\d\d UTC) +\d+[yd] `)

// acceptedByKubeadm compares what `kubeadm certs check-expiration` prints with
// what was seen, end by end: nothing may be invalid, missing or external.
func acceptedByKubeadm(t *testing.T, table string, tl timeline.Timeline, node string, names []string) {
	t.Helper()
	for _, wrong := range []string{"<invalid>", "MISSING", "!"} {
		if strings.Contains(table, wrong) {
			t.Errorf("kubeadm says %q:\n%s", wrong, table)
		}
	}
	rows := map[string]string{}
	for _, m := range expirationRow.FindAllStringSubmatch(table, -1) {
		rows[m[1]] = m[2]
	}
	for _, name := range names {
		i, ok := item(tl, fact.NodeID(node, name), finding.CertificateExpires)
		if !ok {
			t.Errorf("%s is not on the timeline", name)
			continue
		}
		if end := i.End.Date.UTC().Format("Jan 02, 2006 15:04 UTC"); rows[name] != end {
			t.Errorf("%s ends %s, kubeadm says %q:\n%s", name, end, rows[name], table)
		}
	}
}

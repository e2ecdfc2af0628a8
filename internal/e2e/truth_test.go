// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/timeline"
)

// Every certificate that an independent walk finds, on disk and on the wire,
// must be in the JSON with the end that openssl reads from it.
func TestEveryEndEqualsOpenSSL(t *testing.T) {
	for _, version := range versions(t) {
		t.Run(version, func(t *testing.T) {
			ssl := openssl(t)
			p := up(t, version)
			tl := p.check()
			known := ends(tl)
			count := 0
			compare := func(where string, pem []byte) {
				print, end := readCertificate(t, ssl, pem)
				count++
				if got, ok := known[print]; !ok {
					t.Errorf("%s: %s is not in the JSON", where, print)
				} else if !got.Equal(end) {
					t.Errorf("%s: the JSON says %s, openssl %s", where, got, end)
				}
			}
			walk(t, p.KubernetesDir, func(path string, data []byte) {
				for _, pem := range certificatesIn(t, data) {
					compare(path, pem)
				}
			})
			onDisk := count
			for _, s := range served(tl) {
				compare(s.Endpoint, handshake(t, ssl, s.Endpoint, string(s.SNI)))
			}
			t.Logf("%d certificates on disk and %d served, all equal", onDisk, count-onDisk)
			if onDisk < 18 || count-onDisk < 5 { // 1.25 has no super-admin.conf
				t.Errorf("the walk found %d on disk and %d served: too few to show anything", onDisk, count-onDisk)
			}
		})
	}
}

// ends are the ends in the JSON by fingerprint, of what lies on disk and what
// is served. A CA inside a kubeconfig is the one in the CA's file.
func ends(tl timeline.Timeline) map[string]time.Time {
	known := map[string]time.Time{}
	for _, i := range tl.Items {
		for _, e := range i.Evidence {
			if c := e.Certificate; c != nil {
				known[c.Fingerprint] = c.NotAfter
			}
			for _, s := range e.Served {
				known[s.Fingerprint] = s.NotAfter
			}
		}
	}
	return known
}

func served(tl timeline.Timeline) []finding.Served {
	seen := map[string]bool{}
	var all []finding.Served
	for _, i := range tl.Items {
		for _, e := range i.Evidence {
			for _, s := range e.Served {
				if key := s.Endpoint + string(s.SNI); !seen[key] {
					seen[key] = true
					all = append(all, s)
				}
			}
		}
	}
	return all
}

var (
	pemBlock = regexp.MustCompile(`(?s)-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?`)
	embedded = regexp.MustCompile(`(?:certificate-authority|client-certificate)-data: (\S+)`)
)

func certificatesIn(t *testing.T, data []byte) [][]byte {
	t.Helper()
	all := pemBlock.FindAll(data, -1)
	for _, m := range embedded.FindAllSubmatch(data, -1) {
		pem, err := base64.StdEncoding.DecodeString(string(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, pemBlock.FindAll(pem, -1)...)
	}
	return all
}

// readCertificate reads fingerprint and end with openssl.
func readCertificate(t *testing.T, ssl string, pem []byte) (string, time.Time) {
	t.Helper()
	cmd := exec.Command(ssl, "x509", "-noout", "-enddate", "-fingerprint", "-sha256")
	cmd.Stdin = bytes.NewReader(pem)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("openssl x509: %v\n%s", err, out)
	}
	var print string
	var end time.Time
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch {
		case name == "notAfter":
			if end, err = time.Parse("Jan _2 15:04:05 2006 MST", value); err != nil {
				t.Fatal(err)
			}
		case strings.HasSuffix(strings.ToLower(name), "fingerprint"):
			print = "sha256:" + strings.ToLower(strings.ReplaceAll(value, ":", ""))
		}
	}
	return print, end
}

func handshake(t *testing.T, ssl, endpoint, sni string) []byte {
	t.Helper()
	args := []string{"s_client", "-connect", endpoint}
	if sni != "" {
		args = append(args, "-servername", sni)
	} else {
		args = append(args, "-noservername")
	}
	out, _ := exec.Command(ssl, args...).CombinedOutput() // its exit code tells of the verification, which is not asked for
	pem := pemBlock.Find(out)
	if pem == nil {
		t.Fatalf("openssl s_client %s %s: no certificate\n%s", endpoint, sni, out)
	}
	return pem
}

// Everything that this version's kubeadm lists must be listed too.
func TestListsWhatKubeadmLists(t *testing.T) {
	row := regexp.MustCompile(`(?m)^([a-z][a-z.\-]+)\s+(\w{3} \d\d, \d{4} \d\d:\d\d UTC|!MISSING!)`)
	for _, version := range versions(t) {
		t.Run(version, func(t *testing.T) {
			p := up(t, version)
			tl := p.check()
			rows := row.FindAllStringSubmatch(p.Inside("kubeadm", "certs", "check-expiration"), -1)
			for _, m := range rows {
				if m[2] == "!MISSING!" {
					continue
				}
				code := finding.CertificateExpires
				if strings.HasSuffix(m[1], "ca") {
					code = finding.CAExpires
				}
				i, ok := item(tl, fact.NodeID("cp1", m[1]), code)
				if !ok {
					t.Errorf("kubeadm lists %s, the JSON does not", m[1])
				} else if got := i.End.Date.Format("Jan 02, 2006 15:04 MST"); got != m[2] {
					t.Errorf("%s: the JSON says %s, kubeadm %s", m[1], got, m[2])
				}
			}
			t.Logf("kubeadm %s lists %d, all found with the same end", version, len(rows))
			if len(rows) < 13 {
				t.Errorf("kubeadm lists only %d", len(rows))
			}
		})
	}
}

// The loopback certificate lives one year up to 1.32 and three since 1.33, and
// from outside, without files and credentials, it is seen too.
func TestLoopback(t *testing.T) {
	for _, version := range versions(t) {
		t.Run(version, func(t *testing.T) {
			p := up(t, version)
			want := 365 * 24 * time.Hour
			if minor(version) >= 33 {
				want = 1096 * 24 * time.Hour
			}
			inside, ok := item(p.check(), "cp1/apiserver-loopback", finding.LoopbackExpires)
			if !ok {
				t.Fatal("the loopback certificate is not on the timeline")
			}
			out, errs, _ := p.perennial("check", "--endpoint", p.Endpoint, "-o", "json")
			tl, err := timeline.Read(strings.NewReader(out))
			if err != nil {
				t.Fatalf("%v\n%s", err, errs)
			}
			outside, ok := item(tl, fact.NodeID(p.Endpoint, "apiserver-loopback"), finding.LoopbackExpires)
			if !ok {
				t.Fatalf("the loopback certificate is not seen from outside: %s", out)
			}
			for name, i := range map[string]timeline.Item{"inside": inside, "outside": outside} {
				c := i.Evidence[0].Certificate
				if life := c.NotAfter.Sub(c.NotBefore); life != want || i.End.Basis != finding.Measured {
					t.Errorf("%s: the life is %s (%s), want %s measured", name, life, i.End.Basis, want)
				}
			}
			if string(outside.Evidence[0].Version) != "v"+version {
				t.Errorf("the version seen from outside is %q", outside.Evidence[0].Version)
			}
		})
	}
}

func minor(version string) int {
	var n int
	if _, err := fmt.Sscanf(version, "1.%d.", &n); err != nil {
		panic(err)
	}
	return n
}

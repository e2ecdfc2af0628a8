// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestStartTime(t *testing.T) {
	rest := " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4321 20 21\n"
	for line, want := range map[string]time.Duration{
		"7 (etcd)" + rest:                        43210 * time.Millisecond,
		"7 (a) R 1 2 (b\nc)" + rest:              43210 * time.Millisecond,
		"7 (\xff)" + rest:                        43210 * time.Millisecond,
		"":                                       -1,
		"7 (etcd":                                -1,
		"7 (etcd) S 1 2":                         -1,
		"7 (etcd) S" + strings.Repeat(" x", 30):  -1,
		"7 (etcd) S" + strings.Repeat(" -1", 30): -1,
		"7 (etcd) S" + strings.Repeat(" 9223372036854775807", 30): -1,
	} {
		got, err := startTime([]byte(line))
		if want < 0 && err == nil || want >= 0 && (err != nil || got != want) {
			t.Errorf("%q: %v, %v", line, got, err)
		}
	}
}

func TestKubeletVersionText(t *testing.T) {
	for out, want := range map[string]string{
		"Kubernetes v1.37.0\n":           "v1.37.0",
		"Kubernetes v1.28.2+k3s1\n":      "v1.28.2+k3s1",
		"Kubernetes v1.30.1-gke.15+b2\n": "v1.30.1-gke.15+b2",
		"Kubernetes v1.37.0\nmore":       "v1.37.0",
		"Kubernetes v1.37\n":             "",
		"Kubernetes v1.37.0\x1b[31m\n":   "",
		"Kubernetes v1.37.0-\x1b[31m\n":  "",
		"Kubernetes v1.37.99999999\n":    "",
		"GNU bash, version 5.2.15\n":     "",
		"":                               "",
	} {
		got, err := kubeletVersion([]byte(out))
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", out, got, err)
		}
	}
}

func FuzzCommandLine(f *testing.F) {
	for _, seed := range []string{"", "\x00", "a", "a\x00", "a\x00\x00", "kubelet\x00--x=\xff\n\x00", "title without end"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		args := splitArgs(line)
		if len(line) == 0 {
			if args != nil {
				t.Fatalf("%q", args)
			}
			return
		}
		again := []byte(strings.Join(args, "\x00"))
		if !bytes.Equal(again, line) && !bytes.Equal(append(again, 0), line) {
			t.Fatalf("%q became %q", line, args)
		}
	})
}

func FuzzStartTime(f *testing.F) {
	f.Add([]byte("7 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4321"))
	f.Fuzz(func(t *testing.T, line []byte) {
		if d, err := startTime(line); err == nil && d < 0 {
			t.Fatalf("%q: %v", line, d)
		}
	})
}

// Of a process's environment only what etcd is told of files and addresses is
// kept: the rest may hold secrets.
func TestEtcdSettings(t *testing.T) {
	got := etcdSettings([]byte("PATH=/bin\x00ETCD_CERT_FILE=/c\x00ETCD_PASSWORD=hunter2\x00ETCD_NAME=a\x00AWS_SECRET_FILE=/s\x00ETCD_LISTEN_CLIENT_URLS=https://10.0.0.1:2379\x00"))
	want := []string{"ETCD_CERT_FILE=/c", "ETCD_LISTEN_CLIENT_URLS=https://10.0.0.1:2379", "ETCD_NAME=a"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// SPDX-License-Identifier: Apache-2.0

package checkpoint_test

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"perennial.dev/perennial/internal/checkpoint"
)

// entry is an entry of an archive that a test makes.
type entry struct {
	tar.Header
	body string
}

func file(name, body string) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: int64(len(body))}, body}
}

func dir(name string) entry {
	return entry{tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o700}, ""}
}

// packed writes an archive as a runtime does.
func packed(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if e.Typeflag != tar.TypeXGlobalHeader {
			e.ModTime = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
		}
		if err := w.WriteHeader(&e.Header); err != nil {
			t.Fatalf("%s: %v", e.Name, err)
		}
		if _, err := w.Write([]byte(e.body)); err != nil {
			t.Fatalf("%s: %v", e.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// raw writes a header that no writer would write: change changes its block before
// its checksum is made.
func raw(t testing.TB, h tar.Header, change func(block []byte)) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := tar.NewWriter(&b).WriteHeader(&h); err != nil {
		t.Fatal(err)
	}
	block := b.Bytes()[:512]
	change(block)
	copy(block[148:156], "        ")
	sum := 0
	for _, c := range block {
		sum += int(c)
	}
	copy(block[148:156], []byte{byte('0' + sum>>15&7), byte('0' + sum>>12&7), byte('0' + sum>>9&7), byte('0' + sum>>6&7), byte('0' + sum>>3&7), byte('0' + sum&7), 0, ' '})
	return block
}

// image writes an image of CRIU.
func image(magic uint32, messages ...[]byte) string {
	b := binary.LittleEndian.AppendUint32(nil, 0x54564319)
	b = binary.LittleEndian.AppendUint32(b, magic)
	for _, m := range messages {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(m)))
		b = append(b, m...)
	}
	return string(b)
}

// message writes a message; values are numbers, texts and messages.
func message(fields ...any) []byte {
	var b []byte
	for i := 0; i < len(fields); i += 2 {
		number := protowire.Number(fields[i].(int))
		switch v := fields[i+1].(type) {
		case int:
			b = protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), uint64(v))
		case string:
			b = protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), []byte(v))
		case []byte:
			b = protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), v)
		}
	}
	return b
}

const (
	magicInventory = 0x58313116
	magicFiles     = 0x56303138
	magicPstree    = 0x50273030
	magicCore      = 0x55053847
	magicCgroup    = 0x59383330
)

// token is a secret of the checkpointed process. It must not leave the package.
const token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"

func encoded(t testing.TB, v any) string {
	t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func spec(t testing.TB, annotations map[string]string) string {
	return encoded(t, map[string]any{
		"ociVersion": "1.2.0",
		"process": map[string]any{
			"args": []string{"/bin/shop", "--listen=:8080", "--db-password", "hunter2", "--api-token=" + token, "postgres://shop:hunter3@db/shop"},
			"env":  []string{"PATH=/bin", "DB_PASSWORD=hunter4", "SESSION=" + token, "TOKEN_FILE=/run/token", "EMPTY_TOKEN="},
			"cwd":  "/srv", "user": map[string]int{"uid": 1000, "gid": 1001},
		},
		"mounts": []map[string]any{
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/var/run/secrets/kubernetes.io/serviceaccount", "type": "bind", "source": "/var/lib/kubelet/pods/u/volumes/kubernetes.io~projected/kube-api-access-x", "options": []string{"rbind", "ro"}},
			{"destination": "/etc/shop", "type": "bind", "source": "/var/lib/kubelet/pods/u/volumes/kubernetes.io~secret/shop"},
		},
		"annotations": annotations,
	})
}

var byContainerd = map[string]string{"io.kubernetes.cri.container-name": "app", "io.kubernetes.cri.sandbox-namespace": "shop", "io.kubernetes.cri.sandbox-name": "web-0"}

// whole is an archive as containerd writes it, by its entries' names.
func whole(t testing.TB) []entry {
	t.Helper()
	listening := message(1, 1, 2, 10, 3, 2, 4, 1, 5, 6, 6, 10, 7, 8080, 8, 0, 11, 0)
	connected := message(1, 2, 2, 11, 3, 2, 4, 1, 5, 6, 6, 1, 7, 41000, 8, 5432, 11, 0x0b00000a, 12, 0x1400000a)
	local := message(1, 3, 2, 12, 3, 1, 4, 10, 11, "\x00shop")
	return []entry{
		dir("checkpoint/"),
		file("checkpoint/inventory.img", image(magicInventory, message(1, 2))),
		file("checkpoint/pstree.img", image(magicPstree, message(1, 1, 2, 0, 3, 1, 4, 1, 5, 1, 5, 7))),
		file("checkpoint/core-1.img", image(magicCore, message(1, 1, 2, message(3, message(13, message(1, 1|2|4|0xe0|1<<9))), 3, message(6, "shop")))),
		file("checkpoint/core-7.img", image(magicCore, message(1, 1))),
		file("checkpoint/files.img", image(magicFiles, message(1, 1, 2, 9, 3, message(1, 9, 6, "/srv/x")), message(1, 4, 2, 1, 4, listening), message(1, 4, 2, 2, 4, connected), message(1, 5, 2, 3, 16, local))),
		file("checkpoint/cgroup.img", image(magicCgroup, message(1, message(1, 1, 2, message(1, "memory", 2, "/kubepods"))))),
		file("checkpoint/pages-1.img", strings.Repeat("\x00", 5000)+"-----BEGIN EC PRIVATE KEY-----"+strings.Repeat("\x00", 3000)),
		file("config.dump", encoded(t, map[string]any{
			"id": "abc", "name": "k8s_app", "rootfsImage": "docker.io/lab/shop:1", "rootfsImageRef": "sha256:0123", "rootfsImageName": "docker.io/lab/shop:1",
			"runtime": "io.containerd.runc.v2", "createdTime": "2026-11-22T07:00:00Z", "checkpointedTime": "2026-11-22T08:00:00Z",
		})),
		file("dump.log", "(00.000000) Version: 3.17.1 (gitid 0)\n(00.000012) Running on cp1 Linux 6.1.0-13-amd64 #1 SMP x86_64\n(00.1) more\n"),
		file("rootfs-diff.tar", strings.Repeat("d", 700)),
		file("spec.dump", spec(t, byContainerd)),
		file("status.dump", "{}"),
	}
}

// without leaves out entries, and puts others at the end.
func without(all []entry, name string, others ...entry) (some []entry) {
	for _, e := range all {
		if e.Name != name {
			some = append(some, e)
		}
	}
	return append(some, others...)
}

// tight are limits that a small archive reaches.
func tight() checkpoint.Limits {
	l := checkpoint.DefaultLimits
	l.Entries, l.Bytes, l.Unpacked, l.Document, l.Message, l.Messages, l.Things, l.Names = 50, 1<<20, 1<<20, 64<<10, 64<<10, 1000, 100, 8<<10
	return l
}

func read(t testing.TB, archive []byte, l checkpoint.Limits) (*checkpoint.Description, error) {
	t.Helper()
	return checkpoint.Read(t.Context(), bytes.NewReader(archive), checkpoint.Options{Limits: l})
}

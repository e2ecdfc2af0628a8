// SPDX-License-Identifier: Apache-2.0

package checkpoint_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/checkpoint"
	"perennial.dev/perennial/internal/fact"
)

// hostile is an archive that is to be refused, and what of the reason has to be
// told.
type hostile struct {
	name  string
	bytes []byte
	why   string
}

// odd is an entry that no runtime writes.
func odd(kind byte, name, target string) entry {
	return entry{tar.Header{Typeflag: kind, Name: name, Linkname: target, Mode: 0o777}, ""}
}

// hostiles are the archives; each is whole but for one thing.
func hostiles(t testing.TB) []hostile {
	good := whole(t)
	with := func(more ...entry) []byte { return packed(t, append(good[:len(good):len(good)], more...)...) }
	instead := func(name, body string) []byte { return packed(t, without(good, name, file(name, body))...) }
	plain := packed(t, good...)
	zipped := func(data []byte) []byte {
		var b bytes.Buffer
		w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
		_, _ = w.Write(data)
		_ = w.Close()
		return b.Bytes()
	}
	negative := raw(t, tar.Header{Typeflag: tar.TypeReg, Name: "x"}, func(b []byte) { copy(b[124:136], bytes.Repeat([]byte{0xff}, 12)) })
	device := raw(t, tar.Header{Typeflag: tar.TypeReg, Name: "checkpoint/x"}, func(b []byte) { b[156] = 'V' })
	huge := raw(t, tar.Header{Typeflag: tar.TypeReg, Name: "checkpoint/pages-9.img"}, func(b []byte) { copy(b[124:136], "77777777777\x00") })
	return []hostile{
		{"a path that leads out", with(file("../../etc/cron.d/x", "x")), "leads out of the archive"},
		{"a path that leads out in its middle", with(file("checkpoint/../../x.img", "x")), "leads out of the archive"},
		{"an absolute path", with(file("/etc/shadow", "x")), "absolute name"},
		{"a path with backslashes", with(file(`..\..\x`, "x")), "backslash"},
		{"a symbolic link out", with(odd(tar.TypeSymlink, "checkpoint/parent", "/etc")), "a symbolic link"},
		{"a symbolic link in place of a document", packed(t, without(good, "spec.dump", odd(tar.TypeSymlink, "spec.dump", "/etc/kubernetes/admin.conf"))...), "a symbolic link"},
		{"a hard link", with(odd(tar.TypeLink, "checkpoint/x.img", "config.dump")), "a hard link"},
		{"a block device", with(odd(tar.TypeBlock, "checkpoint/sda", "")), "a device"},
		{"a character device", with(odd(tar.TypeChar, "checkpoint/mem", "")), "a device"},
		{"a named pipe", with(odd(tar.TypeFifo, "status.dump.1", "")), "a named pipe"},
		{"an entry of a type that there is not", append(device, plain...), "of the unknown type"},
		{"a header for all others", packed(t, append([]entry{{tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "x"}}, ""}}, good...)...), "a header for all others"},
		{"an old sparse file", append(sparseHeader(t), plain...), "a sparse file"},
		{"a new sparse file", append(sparseRecords(t), plain...), "a sparse file"},
		{"a file twice", with(file("config.dump", "{}")), "is there twice"},
		{"a file twice under two spellings", with(file("./checkpoint//files.img", "x")), "is there twice"},
		{"a file that is a directory, too", with(dir("config.dump/")), "is a directory and a file"},
		{"a directory that is a file, too", packed(t, append([]entry{dir("config.dump/")}, good...)...), "is a directory and a file"},
		{"a file below a file", with(file("spec.dump/x", "x")), "lies below a file"},
		{"a name that is no UTF-8", with(file("checkpoint/\xff\xfe.img", "x")), "no UTF-8"},
		{"a name that turns the line around", with(file("checkpoint/\u202egmi.1-segap", "x")), "cannot be seen"},
		{"a name with an escape sequence", with(file("checkpoint/\x1b[2J.img", "x")), "cannot be seen"},
		{"a name of 4 KiB", with(file("checkpoint/"+strings.Repeat("n", 4<<10), "x")), "more than 1024 bytes"},
		{"long names of many entries", with(many(20, strings.Repeat("n", 900))...), "makes the names longer than"},
		{"a thousand directories deep", with(file(strings.Repeat("d/", 500)+"x", "x")), "nested too deeply"},
		{"more entries than a checkpoint has", with(many(60, "x")...), "more than 50 entries"},
		{"contents larger than the limit", with(file("checkpoint/pages-2.img", strings.Repeat("x", 2<<20))), "makes the contents larger"},
		{"a size of 8 GiB with nothing behind it", append(bytes.Clone(plain[:len(plain)-1024]), huge...), "makes the contents larger"},
		{"a negative size", append(negative, plain...), "cannot be understood"},
		{"a wrong checksum", changed(plain, 150), "cannot be understood"},
		{"an archive that is cut off", plain[:len(plain)/2], "cut off"},
		{"an archive that is cut off between two entries", plain[:len(plain)-1024], "its end is missing"},
		{"an archive behind its end", append(bytes.Clone(plain), plain...), "something follows its end"},
		{"nothing", nil, "it is empty"},
		{"zeros", make([]byte, 4096), "holds nothing"},
		{"something else", []byte(strings.Repeat("this is no archive of tar ", 100)), "cannot be understood"},
		{"a bomb", zipped(packed(t, append(good[:len(good):len(good)], file("checkpoint/pages-2.img", strings.Repeat("\x00", 900<<10)), file("checkpoint/pages-3.img", strings.Repeat("\x00", 900<<10)))...)), "than"},
		{"a bomb of one header", zipped(append(bytes.Clone(plain[:len(plain)-1024]), make([]byte, 4<<20)...)), "than"},
		{"gzip that is cut off", zipped(plain)[:200], "cut off"},
		{"gzip that is damaged", changed(zipped(plain), 300), "the archive is refused"},
		{"zstd", append([]byte{0x28, 0xb5, 0x2f, 0xfd}, plain...), "compressed with zstd"},
		{"no checkpoint of a container", packed(t, file("readme", "x")), "no config.dump"},
		{"no images", packed(t, file("config.dump", "{}"), file("spec.dump", "{}")), "no images of CRIU"},
		{"a document of 128 KiB", instead("config.dump", `{"id":"`+strings.Repeat("x", 128<<10)+`"}`), "is larger than"},
		{"a document that is nested without end", instead("spec.dump", `{"x":`+strings.Repeat("[", 20_000)), "cannot be understood"},
		{"a document that is none", instead("spec.dump", "[1,2]"), "no JSON object"},
		{"a document of the wrong types", instead("config.dump", `{"id":7}`), "cannot be understood"},
		{"more mounts than a container has", instead("spec.dump", `{"mounts":[`+strings.Repeat(`{},`, 200)+`{}]}`), "more than 100 mounts"},
		{"an image with another magic number", instead("checkpoint/files.img", image(0xdeadbeef)), "its magic number is 0xdeadbeef"},
		{"an image that is too short", instead("checkpoint/pstree.img", "abc"), "middle of a number"},
		{"a message larger than its image", instead("checkpoint/files.img", image(magicFiles)+"\xff\xff\xff\x7f"), "has a message of"},
		{"a message larger than the limit", instead("checkpoint/cgroup.img", image(magicCgroup, make([]byte, 100<<10))), "has a message of"},
		{"messages without end", instead("checkpoint/files.img", image(magicFiles)+strings.Repeat("\x00\x00\x00\x00", 2000)), "more than 1000 messages"},
		{"a message that is none", instead("checkpoint/pstree.img", image(magicPstree, bytes.Repeat([]byte{0xff}, 20))), "cannot be understood"},
		{"a message that ends in a number", instead("checkpoint/core-1.img", image(magicCore, []byte{0x08, 0x80})), "cannot be understood"},
		{"an address of a hundred words", instead("checkpoint/files.img", image(magicFiles, message(1, 4, 4, message(11, bytes.Repeat([]byte{1}, 100))))), "cannot be understood"},
		{"more processes than a container has", instead("checkpoint/pstree.img", image(magicPstree, repeated(message(1, 1), 200)...)), "more than 100 processes"},
		{"a machine that there is not", instead("checkpoint/core-1.img", image(magicCore, message(1, 99))), "unknown architecture"},
	}
}

func many(n int, name string) (all []entry) {
	for i := range n {
		all = append(all, file(fmt.Sprintf("checkpoint/%s-%d.img", name, i), ""))
	}
	return all
}

func repeated(m []byte, n int) (all [][]byte) {
	for range n {
		all = append(all, m)
	}
	return all
}

func changed(data []byte, at int) []byte {
	data = bytes.Clone(data)
	data[at] ^= 0x55
	return data
}

// sparseHeader is an old sparse file of GNU tar: 8 GiB of nothing.
func sparseHeader(t testing.TB) []byte {
	return raw(t, tar.Header{Typeflag: tar.TypeReg, Name: "checkpoint/pages-7.img", Format: tar.FormatGNU}, func(b []byte) {
		b[156] = 'S'
		copy(b[386:398], "00000000000\x00")
		copy(b[398:410], "00000000000\x00")
		copy(b[483:495], "77777777777\x00")
	})
}

// sparseRecords is a newer one, which says so in records of its own.
func sparseRecords(t testing.TB) []byte {
	t.Helper()
	var records string
	for _, r := range []string{"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=checkpoint/pages-7.img", "GNU.sparse.realsize=8589934592"} {
		records += fmt.Sprintf("%d %s\n", len(r)+4, r)
	}
	var b bytes.Buffer
	b.Write(raw(t, tar.Header{Typeflag: tar.TypeReg, Name: "PaxHeaders/x", Size: int64(len(records))}, func(block []byte) { block[156] = 'x' }))
	b.WriteString(records + strings.Repeat("\x00", 512-len(records)%512))
	body := "1\n0\n1\n"
	b.Write(raw(t, tar.Header{Typeflag: tar.TypeReg, Name: "GNUSparseFile/x", Size: 512}, func([]byte) {}))
	b.WriteString(body + strings.Repeat("\x00", 512-len(body)))
	return b.Bytes()
}

func TestHostileArchivesAreRefused(t *testing.T) {
	all := hostiles(t)
	if len(all) < 30 {
		t.Fatalf("%d archives", len(all))
	}
	if _, err := read(t, packed(t, whole(t)...), tight()); err != nil {
		t.Fatalf("the archive from which they are made is refused itself: %v", err)
	}
	for _, h := range all {
		t.Run(h.name, func(t *testing.T) {
			for _, in := range []io.Reader{bytes.NewReader(h.bytes), io.MultiReader(bytes.NewReader(h.bytes))} {
				d, err := checkpoint.Read(t.Context(), in, checkpoint.Options{Limits: tight(), Memory: true})
				var refused *checkpoint.Refused
				if d != nil || !errors.As(err, &refused) || !strings.Contains(err.Error(), h.why) {
					t.Fatalf("got %v, %v; want a refusal with %q", d, err, h.why)
				}
				if text := err.Error(); len(text) > 400 || fact.Text(text).String() != text {
					t.Errorf("the error is too long, or not safe to print: %q", text)
				}
			}
		})
	}
}

// What an archive says of sizes must not decide how much is allocated.
func TestReadingCostsLittleMemory(t *testing.T) {
	claims := image(magicFiles) + string(binary.LittleEndian.AppendUint32(nil, 3<<30))
	for name, archive := range map[string][]byte{
		"an archive of 64 MiB": packed(t, without(whole(t), "checkpoint/pages-1.img", file("checkpoint/pages-1.img", strings.Repeat("x", 64<<20)))...),
		"a message of 3 GiB":   packed(t, without(whole(t), "checkpoint/files.img", file("checkpoint/files.img", claims))...),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = read(t, archive, checkpoint.DefaultLimits)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
			t.Errorf("%s: %d MiB were allocated", name, used>>20)
		}
	}
}

// FuzzArchive holds the reader to what it promises for any bytes: it ends, it does not
// panic, and what it describes can be printed.
func FuzzArchive(f *testing.F) {
	f.Add(packed(f, whole(f)...))
	for _, h := range hostiles(f) {
		if len(h.bytes) < 64<<10 {
			f.Add(h.bytes)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := checkpoint.Read(t.Context(), bytes.NewReader(data), checkpoint.Options{Limits: tight(), Memory: true})
		if (d == nil) == (err == nil) {
			t.Fatalf("%v, %v", d, err)
		}
		var refused *checkpoint.Refused
		if err != nil && !errors.As(err, &refused) {
			t.Fatalf("%v is no refusal", err)
		}
		if d != nil {
			_ = encoded(t, d)
			_ = checkpoint.Verify(d, checkpoint.Node{})
			_ = checkpoint.Advise(d, checkpoint.CRIO, "x:1", "")
		}
	})
}

// FuzzImage is FuzzArchive for the contents of one image.
func FuzzImage(f *testing.F) {
	for _, e := range whole(f) {
		if strings.HasPrefix(e.Name, "checkpoint/") {
			f.Add(e.Name, []byte(e.body))
		}
	}
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		if fact.Text(name).String() != name || !strings.HasPrefix(name, "checkpoint/") || len(name) > 90 || len(data) > 1<<16 {
			return
		}
		entries := without(whole(t), name, file(name, string(data)))
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, e := range entries {
			if w.WriteHeader(&e.Header) != nil {
				return
			}
			_, _ = io.WriteString(w, e.body)
		}
		_ = w.Close()
		_, err := checkpoint.Read(t.Context(), &b, checkpoint.Options{Limits: tight()})
		var refused *checkpoint.Refused
		if err != nil && !errors.As(err, &refused) {
			t.Fatalf("%v is no refusal", err)
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"perennial.dev/perennial/internal/document"
	"perennial.dev/perennial/internal/fact"
)

// documentsIn looks at paths below dir and tells a line for each object and
// each Unseen, paths relative to dir.
func documentsIn(ctx context.Context, dir string, recursive bool, stdin io.Reader, paths ...string) []string {
	var out []string
	relative := func(s string) string { return strings.TrimPrefix(s, dir+"/") }
	for i, path := range paths {
		if path != "-" && !isURL(path) {
			paths[i] = strings.TrimSuffix(dir+"/"+path, "/.")
		}
	}
	Documents(ctx, paths, recursive, stdin, document.Want{}, func(o fact.Object) {
		out = append(out, fmt.Sprintf("%s:%d %s", relative(o.File), o.Line, string(o.Name)))
	}, func(u fact.Unseen) {
		out = append(out, fmt.Sprintf("%s %s: %s", relative(string(u.What)), u.Why, string(u.Detail)))
	})
	return out
}

// Large files that hold many objects each do not wait for each other.
func TestSeveralLargeDocuments(t *testing.T) {
	var b strings.Builder
	for i := range 6000 {
		fmt.Fprintf(&b, "%s  labels: {a: %s}\n---\n", pod("p"+strconv.Itoa(i)), strings.Repeat("x", 1000))
	}
	files := map[string]string{}
	for i := range 4 {
		files[fmt.Sprintf("%d-small.yaml", i)] = pod("small")
		files[fmt.Sprintf("%d-large.yaml", i)] = b.String()
	}
	dir := tree(t, files)
	for range 2 {
		if got := documentsIn(t.Context(), dir, false, nil, "."); len(got) != 4*6001 || got[0] != "0-large.yaml:1 p0" || got[6000] != "0-small.yaml:1 small" {
			t.Fatalf("%d objects: %q", len(got), got[:min(len(got), 3)])
		}
	}
}

func pod(name string) string {
	return "apiVersion: v1\nkind: Pod\nmetadata:\n  name: " + name + "\n"
}

// tree writes files, links (-> target) and directories (no content).
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		p := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(p), 0o755)
		if target, link := strings.CutPrefix(text, "-> "); err == nil && link {
			err = os.Symlink(target, p)
		} else if err == nil {
			err = os.WriteFile(p, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n %s\nwant\n %s", strings.Join(got, "\n "), strings.Join(want, "\n "))
	}
}

func TestDocumentsAsKubectlNamesThem(t *testing.T) {
	dir := tree(t, map[string]string{
		"a/b.yaml": pod("b"), "a/a.yml": pod("a"), "a/c.json": `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"c"}}`,
		"a/d.txt": pod("d"), "a/e.YAML": pod("e"), "a/sub/f.yaml": "# f\n" + pod("f"), "a/sub/g.txt": pod("g"), "named.txt": pod("named"),
		"empty/x.txt": pod("x"),
	})
	ctx := t.Context()
	wantLines(t, documentsIn(ctx, dir, false, nil, "a"), "a/a.yml:1 a", "a/b.yaml:1 b", "a/c.json:1 c")
	wantLines(t, documentsIn(ctx, dir, true, nil, "a"), "a/a.yml:1 a", "a/b.yaml:1 b", "a/c.json:1 c", "a/sub/f.yaml:2 f")
	wantLines(t, documentsIn(ctx, dir, false, nil, "named.txt", "a/b.yaml"), "named.txt:1 named", "a/b.yaml:1 b")
	wantLines(t, documentsIn(ctx, dir, false, nil, "a/*.y*ml"), "a/a.yml:1 a", "a/b.yaml:1 b")
	wantLines(t, documentsIn(ctx, dir, false, strings.NewReader("\n"+pod("in")), "-", "a/b.yaml"), "-:2 in", "a/b.yaml:1 b")
	wantLines(t, documentsIn(ctx, dir, false, nil, "empty"), "empty Unsupported: holds no .json, .yaml or .yml file")
	wantLines(t, documentsIn(ctx, dir, false, nil, "missing", "a/b.yaml"), "missing Failed: no such file or directory", "a/b.yaml:1 b")
	wantLines(t, documentsIn(ctx, dir, false, nil, "https://example.com/a.yaml"), "https://example.com/a.yaml Unsupported: nothing is fetched from the network")
}

func TestDocumentsThatAreNone(t *testing.T) {
	dir := tree(t, map[string]string{
		"a.yaml": pod("a"), "binary.yaml": "\x7FELF\x00\x01", "dangling.yaml": "-> nowhere", "link.yaml": "-> elsewhere/a.txt", "elsewhere/a.txt": pod("linked"),
		"loop.yaml": "-> loop.yaml", "loop": "-> .", "sub/up": "-> ..", "sub/z.yaml": pod("z"), "inside": "-> sub", "outside": "-> /proc/self",
		"template.yaml": "a: {{ b }}\n", "z.yaml": pod("last"),
	})
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo.yaml"), 0o644); err != nil {
		t.Fatal(err)
	}
	large, err := os.Create(filepath.Join(dir, "large.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer large.Close()
	if err := large.Truncate(DocumentLimit + 1); err != nil {
		t.Fatal(err)
	}
	wantLines(t, documentsIn(t.Context(), dir, true, nil, "."),
		"a.yaml:1 a",
		"binary.yaml:1 Malformed: is no text",
		"dangling.yaml Failed: no such file or directory",
		"fifo.yaml Malformed: is a named pipe, not a file",
		"large.yaml TooLarge: is larger than 65536 KiB",
		"link.yaml:1 linked",
		"loop Malformed: is a link back to a directory above it",
		"loop.yaml Malformed: too many levels of symbolic links",
		"outside Unsupported: is a link to a directory outside of the listed one",
		"sub/up Malformed: is a link back to a directory above it",
		"sub/z.yaml:1 z",
		"template.yaml:1 Unsupported: is a template, which has to be rendered first",
		"z.yaml:1 last",
	)
	wantLines(t, documentsIn(t.Context(), dir, false, nil, "fifo.yaml", "z.yaml"), "fifo.yaml Malformed: is a named pipe to which nobody writes", "z.yaml:1 last")
	got := []string{}
	Documents(t.Context(), []string{"/dev/zero", "/dev/tty"}, false, nil, document.Want{}, func(fact.Object) {}, func(u fact.Unseen) { got = append(got, string(u.Detail)) })
	wantLines(t, got, "is a device, not a file", "is a device, not a file")
}

func TestDocumentsInADirectoryThatIsLocked(t *testing.T) {
	dir := tree(t, map[string]string{"a/x.yaml": pod("x"), "b.yaml": pod("b"), "c.yaml": pod("c")})
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	for _, name := range []string{"a", "b.yaml"} {
		p := filepath.Join(dir, name)
		if err := os.Chmod(p, 0); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(p, 0o755)
	}
	wantLines(t, documentsIn(t.Context(), dir, true, nil, "."),
		"a Denied: permission denied", "b.yaml Denied: permission denied", "c.yaml:1 c")
}

// A shell gives a command's output as a file: <(helm template .).
func TestDocumentsThroughAPipe(t *testing.T) {
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		io.WriteString(to, pod("a")+"---\n")
		io.WriteString(to, pod("b"))
		to.Close()
	}()
	defer from.Close()
	wantLines(t, documentsIn(t.Context(), "", false, nil, "dev/fd/"+strconv.Itoa(int(from.Fd()))), fmt.Sprintf("dev/fd/%d:1 a", from.Fd()), fmt.Sprintf("dev/fd/%d:6 b", from.Fd()))
}

// What is read ends with its context, also where a pipe never does, and what
// was not looked at is said.
func TestDocumentsThatEndEarly(t *testing.T) {
	dir := tree(t, map[string]string{"a.yaml": pod("a"), "b.yaml": pod("b")})
	stuck, to := io.Pipe()
	defer to.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var got []string
	Documents(ctx, []string{dir + "/a.yaml", "-", dir + "/b.yaml"}, false, stuck, document.Want{}, func(o fact.Object) {
		got = append(got, string(o.Name))
		cancel()
	}, func(u fact.Unseen) { got = append(got, strings.TrimPrefix(string(u.What), dir+"/")+" "+string(u.Why)) })
	if len(got) < 3 || got[0] != "a" || got[len(got)-1] != "b.yaml Canceled" || !slices.Contains(got, "- Canceled") {
		t.Errorf("got %q", got)
	}
}

// Many files come in their order, however many readers there are.
func TestDocumentsInOrder(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	files := map[string]string{}
	var want []string
	for i := range 300 {
		name := fmt.Sprintf("%03d.yaml", i)
		var text strings.Builder
		for k := range 1 + i*7%40 {
			object := fmt.Sprintf("%d-%d", i, k)
			want = append(want, fmt.Sprintf("d/%s:%d %s", name, k*5+1, object))
			text.WriteString(pod(object) + "---\n")
		}
		files["d/"+name] = text.String()
	}
	wantLines(t, documentsIn(t.Context(), tree(t, files), false, nil, "d"), want...)
}

// One line of JSON of 10 MB, a bomb of aliases that would fill any memory, files
// of nothing but brackets and of a hundred thousand broken documents are passed
// over, and what stands beside them is found.
func TestDocumentsBesideBadInput(t *testing.T) {
	var list bytes.Buffer
	list.WriteString(`{"apiVersion":"v1","kind":"List","items":[`)
	n := 0
	for ; list.Len() < 10<<20; n++ {
		fmt.Fprintf(&list, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c%d"},"data":{"x":%q}},`, n, strings.Repeat("apiVersion: v9\n", 20))
	}
	list.WriteString(`{"apiVersion":"extensions/v1beta1","kind":"Ingress","metadata":{"name":"last"}}]}`)
	bomb := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 12; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10), ","))
	}
	dir := tree(t, map[string]string{
		"d/a.json": list.String(), "d/b.yaml": bomb, "d/c.yaml": strings.Repeat("[", 8<<20), "d/d.yaml": "a: " + strings.Repeat("[a,", 4<<20),
		"d/e.yaml": strings.Repeat("{{\n---\n", 100_000), "d/f.json": strings.Repeat(`{"items":[`, 100_000), "d/z.yaml": pod("z"),
	})
	got := documentsIn(t.Context(), dir, false, nil, "d")
	if objects := len(got); objects < n+3 || got[n] != "d/a.json:1 last" {
		t.Fatalf("found %d", objects)
	}
	rest := got[n+1:]
	wantLines(t, append(slices.Clone(rest[:4]), rest[len(rest)-3:]...),
		"d/b.yaml:1 Malformed: has aliases that grow beyond any use",
		"d/c.yaml:1 TooLarge: is too large for what it is written like",
		"d/d.yaml:1 TooLarge: is too large for what it is written like",
		"d/e.yaml:1 Unsupported: is a template, which has to be rendered first",
		"d/e.yaml Malformed: 99900 more documents in it cannot be understood",
		"d/f.json:1 Malformed: is no YAML: exceeded max depth of 10000",
		"d/z.yaml:1 z")
}

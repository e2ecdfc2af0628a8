// SPDX-License-Identifier: Apache-2.0

// Package overlay writes the build overlay that lets a lab move the wall clock
// of every program in it, and of nothing else on the machine.
//
// The programs of Kubernetes and etcd read the wall clock through time.Now
// only. The overlay adds one line to it: when the variable
// [clock.Variable] names a control file, the offset in that file (a signed
// 64-bit number of nanoseconds in the machine's byte order) is added. Monotonic
// readings, timers, sleeps and deadlines stay real.
//
// The changed source is made from the installed Go when the program is built,
// so there is no copy of Go's source here to grow old; a Go whose source has
// no longer the expected place is refused with [ErrNoPlace].
package overlay

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
)

//go:embed fakewall.go.txt
var added []byte

const hook = "\n\tif labOffset != nil {\n\t\tsec, nsec = labWall(sec, nsec)\n\t}"

// ErrNoPlace says that time.Now of the installed Go does not look as expected.
var ErrNoPlace = errors.New("time.Now does not begin with `sec, nsec, mono := runtimeNow()`")

// Fingerprint changes when programs built with an older overlay must be built
// again.
func Fingerprint() string {
	sum := sha256.Sum256(append([]byte(hook), added...))
	return hex.EncodeToString(sum[:])
}

// Write generates the overlay for the Go installed at goroot into dir and
// returns the path of the JSON file for `go build -overlay`. goVersion is for
// the error message only.
func Write(goroot, goVersion, dir string) (string, error) {
	original := filepath.Join(goroot, "src", "time", "time.go")
	source, err := os.ReadFile(original)
	if err != nil {
		return "", fmt.Errorf("reading the installed Go's clock: %w", err)
	}
	hooked, err := insertHook(source)
	if err != nil {
		return "", fmt.Errorf("making the lab's clock from %s of %s: %w; build the lab with another Go version", original, goVersion, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	replace := map[string]string{}
	for name, content := range map[string][]byte{"time.go": hooked, "zz_lab.go": added} {
		written := filepath.Join(dir, name)
		if err := os.WriteFile(written, content, 0o644); err != nil {
			return "", err
		}
		replace[filepath.Join(goroot, "src", "time", name)] = written
	}
	index, err := json.MarshalIndent(map[string]any{"Replace": replace}, "", "\t")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, index, 0o644)
}

// insertHook puts the hook behind the statement of time.Now that reads the
// runtime's clock.
func insertHook(source []byte) ([]byte, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "time.go", source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Recv != nil || fn.Name.Name != "Now" || fn.Body == nil || len(fn.Body.List) == 0 {
			continue
		}
		if !readsRuntimeClock(fn.Body.List[0]) {
			return nil, ErrNoPlace
		}
		at := files.Position(fn.Body.List[0].End()).Offset
		hooked := append([]byte{}, source[:at]...)
		hooked = append(hooked, hook...)
		return append(hooked, source[at:]...), nil
	}
	return nil, ErrNoPlace
}

func readsRuntimeClock(statement ast.Stmt) bool {
	assign, ok := statement.(*ast.AssignStmt)
	if !ok || assign.Tok != token.DEFINE || len(assign.Lhs) != 3 || len(assign.Rhs) != 1 {
		return false
	}
	for i, want := range []string{"sec", "nsec", "mono"} {
		if name, ok := assign.Lhs[i].(*ast.Ident); !ok || name.Name != want {
			return false
		}
	}
	call, ok := assign.Rhs[0].(*ast.CallExpr)
	if !ok || len(call.Args) != 0 {
		return false
	}
	name, ok := call.Fun.(*ast.Ident)
	return ok && name.Name == "runtimeNow"
}

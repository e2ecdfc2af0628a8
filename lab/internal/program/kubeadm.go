// SPDX-License-Identifier: Apache-2.0

package program

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const kubeadmPath = kubernetes + "/cmd/kubeadm"

// ownedDirs are what kubeadm holds as constants and a lab has of its own.
var ownedDirs = []string{"/etc/kubernetes", "/var/lib/etcd", "/var/lib/kubelet"}

// copyKubeadm copies kubeadm's packages into the generated module, because its
// directories are constants (cmd/kubeadm/app/constants, every version up to
// 1.37): there they become variables below PERENNIAL_LAB_ROOT. Without that
// kubeadm would work on the machine's own /etc/kubernetes. The code is
// otherwise as released.
func copyKubeadm(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if source, err = movedKubeadm(source); err != nil {
			return fmt.Errorf("adapting %s: %w", path, err)
		}
		if filepath.Dir(below) == "." {
			if source, err = renameMain(source, "kubeadm"); err != nil {
				return err
			}
		}
		return writeFile(filepath.Join(to, below), source)
	})
}

// movedKubeadm adapts one file: import paths, and constants that hold one of
// the owned directories.
func movedKubeadm(source []byte) ([]byte, error) {
	source = bytes.ReplaceAll(source, []byte(`"`+kubeadmPath), []byte(`"`+generated+"/kubeadm"))
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", source, parser.SkipObjectResolution|parser.ParseComments)
	if err != nil {
		return nil, err
	}
	var edits []edit
	var variables strings.Builder
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST || !group.Lparen.IsValid() {
			continue
		}
		for _, spec := range group.Specs {
			name, value, ok := ownedConstant(spec.(*ast.ValueSpec))
			if !ok {
				continue
			}
			at := files.Position(spec.Pos()).Offset
			edits = append(edits, edit{at, files.Position(spec.End()).Offset - at, ""})
			fmt.Fprintf(&variables, "\nvar %s = labroot.Path(%s)\n", name, value)
		}
	}
	if len(edits) == 0 {
		return source, nil
	}
	imported := edit{files.Position(file.Name.End()).Offset, 0, "\n\nimport \"" + generated + "/labroot\"\n"}
	source = apply(source, append([]edit{imported}, edits...))
	return append(source, variables.String()...), nil
}

func ownedConstant(spec *ast.ValueSpec) (name, value string, ok bool) {
	if len(spec.Names) != 1 || len(spec.Values) != 1 || spec.Type != nil {
		return "", "", false
	}
	literal, ok := spec.Values[0].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", "", false
	}
	path, err := strconv.Unquote(literal.Value)
	if err != nil {
		return "", "", false
	}
	for _, dir := range ownedDirs {
		if path == dir || strings.HasPrefix(path, dir+"/") {
			return spec.Names[0].Name, literal.Value, true
		}
	}
	return "", "", false
}

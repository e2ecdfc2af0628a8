// SPDX-License-Identifier: Apache-2.0

package floors

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
)

// MaxLines is the length of a source file, tests excepted.
const MaxLines = 500

// License is the text that each source file carries in its first lines.
const License = "SPDX-License-Identifier: Apache-2.0"

// Ban is something that must not stand in some files, and why.
type Ban struct {
	Name   string
	What   string // what is banned, half a sentence
	Reason string
	Where  string // the packages it holds for, for the docs
	Find   func(Package, *File) []Hit
}

// Bans is the one table of bans.
var Bans = []Ban{
	{"imports", "importing a package of the same or a higher floor", "imports go down only, so that what judges cannot reach what looks and what looks cannot reach what renders",
		"all packages; those of floors 0, 1 and 5 may import within their floor", upwards},
	{"modules", "a module from outside that the package's row does not name", "each dependency is a decision that somebody has to keep up with",
		"all packages of the program", strangers},
	{"beside", "importing the product's internal packages", "the lab and the generators must not agree with the product by sharing its code: what one gets wrong the other has to notice",
		"the modules lab and hack", productFromBeside},
	{"machine", "os, os/exec, syscall, path/filepath, log, and writing to log/slog", "the same facts must give the same findings on every machine: what the machine says comes in as facts",
		"floors 0 and 1", machine},
	{"network", "net and what is below it, but for net/netip and net/url", "a judgement that asks the network cannot be replayed from a record",
		"floors 0 and 1", network},
	{"client-go", "k8s.io/client-go", "it reads files, the environment and the clock by itself",
		"all packages of the program but internal/kube", clientGo},
	{"clock", "time.Now and what else reads the clock or waits", "the time comes in as an argument: a timeline is judged at any instant, and a test needs no waiting",
		"floors 0 and 1", clock},
	{"chance", "math/rand and crypto/rand", "chance makes a judgement that cannot be repeated",
		"floors 0 and 1", chance},
	{"verify", "x509.VerifyOptions without CurrentTime or Roots", "without them verifying reads the clock and the system's own trust store",
		"all packages of the program", verifyOptions},
	{"cobra", "cobra and pflag", "how a command is called is no business of what it does",
		"all packages of the program but internal/cli and cmd/perennial", cobraBelow},
	{"exit", "os.Exit and log.Fatal", "they end the program past every deferred call; errors are returned, and main alone turns them into an exit code",
		"all packages of the program but cmd/perennial", exits},
	{"group", "the API group's name as a literal", "the group is written in internal/finding/group.go and nowhere else, so that labels, annotations and JSON cannot drift apart",
		"all packages of the program", groupLiteral},
	{"init", "init functions", "work at import time hides the order and cannot return an error; lists are written out where they are used",
		"all packages of the program", initFuncs},
	{"blank", "blank imports, but for embed, and for time/tzdata in cmd/perennial", "an import for its side effect is an init function in disguise; these two are data",
		"all packages of the program", blankImports},
	{"dot", "dot imports", "a name without its package hides where it comes from, from the reader and from these checks",
		"all packages", dotImports},
	{"flag", "package flag", "its flags are global; a command's options are a struct",
		"all packages of the program", flagPackage},
	{"grab-bag", "packages called util, common, helpers, types or manager", "such a name says nothing about what belongs there, so everything ends up there",
		"all packages", grabBags},
	{"length", fmt.Sprintf("files of more than %d lines", MaxLines), "a file that long holds more than one idea",
		"all packages; tests excepted", tooLong},
	{"license", "files without a licence line", "a file that is copied out of the repository must still say under what terms",
		"all packages", unlicensed},
}

// Violation is a hit of a ban.
type Violation struct {
	File string
	Hit
	Ban Ban
}

func (v Violation) String() string {
	return fmt.Sprintf("%s:%d: %s: %s (%s)", v.File, v.Line, v.Hit.What, v.Ban.Reason, v.Ban.Name)
}

// Check holds a file to all bans.
func Check(p Package, f *File) []Violation {
	var out []Violation
	for _, b := range Bans {
		for _, h := range b.Find(p, f) {
			out = append(out, Violation{File: f.Name, Hit: h, Ban: b})
		}
	}
	return out
}

// internalTo gives the directory of a package of the product.
func internalTo(importPath string) (dir string, ok bool) {
	dir, ok = strings.CutPrefix(importPath, Module+"/")
	return dir, ok && within(dir, "internal", "cmd")
}

func upwards(p Package, f *File) []Hit {
	if f.Test || p.Floor == Beside {
		return nil
	}
	return f.imports(func(path string) bool {
		dir, ours := internalTo(path)
		if !ours {
			return false
		}
		to, known := Lookup(dir)
		return !known || to.Floor > p.Floor || to.Floor == p.Floor && !p.floor().Together
	})
}

// strangers tells modules from the standard library by the dot in their first
// element.
func strangers(p Package, f *File) []Hit {
	if f.Test || !p.product() {
		return nil
	}
	return f.imports(func(path string) bool {
		first, _, _ := strings.Cut(path, "/")
		return strings.Contains(first, ".") && !within(path, Module) && !within(path, p.May...)
	})
}

func productFromBeside(p Package, f *File) []Hit {
	if p.Floor != Beside {
		return nil
	}
	return f.imports(func(path string) bool {
		_, ours := internalTo(path)
		return ours
	})
}

// machine lets log/slog pass, whose types say how a value is logged, but not
// what writes to a log.
func machine(p Package, f *File) []Hit {
	hits := pureImports(p, f, "os", "io/ioutil", "syscall", "golang.org/x/sys", "log", "path/filepath", "runtime/debug")
	hits = slices.DeleteFunc(hits, func(h Hit) bool { return h.What == "import of log/slog" })
	if f.Test || !p.pure() {
		return nil
	}
	for _, level := range []string{"Debug", "Info", "Warn", "Error", "Log"} {
		hits = append(hits, f.uses("log/slog", level, level+"Context", level+"Attrs")...)
	}
	return append(hits, f.uses("log/slog", "Default", "New", "With")...)
}

func network(p Package, f *File) []Hit {
	return slices.DeleteFunc(pureImports(p, f, "net"), func(h Hit) bool {
		return h.What == "import of net/netip" || h.What == "import of net/url"
	})
}

func chance(p Package, f *File) []Hit { return pureImports(p, f, "math/rand", "crypto/rand") }

func pureImports(p Package, f *File, banned ...string) []Hit {
	if f.Test || !p.pure() {
		return nil
	}
	return f.imports(func(path string) bool { return within(path, banned...) })
}

func clientGo(p Package, f *File) []Hit {
	if f.Test || !p.product() || p.Dir == "internal/kube" {
		return nil
	}
	return f.imports(func(path string) bool { return within(path, "k8s.io/client-go") })
}

func clock(p Package, f *File) []Hit {
	if f.Test || !p.pure() {
		return nil
	}
	return f.uses("time", "Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer")
}

func cobraBelow(p Package, f *File) []Hit {
	if f.Test || !p.product() || p.Dir == "internal/cli" || p.Dir == "cmd/perennial" {
		return nil
	}
	return f.imports(func(path string) bool { return within(path, cobra, "github.com/spf13/pflag") })
}

func exits(p Package, f *File) []Hit {
	if f.Test || !p.product() || p.Dir == "cmd/perennial" {
		return nil
	}
	return append(f.uses("os", "Exit"), f.uses("log", "Fatal", "Fatalf", "Fatalln")...)
}

// groupLiteral looks for the group in string literals. The module's path
// begins with the same name.
func groupLiteral(p Package, f *File) []Hit {
	if f.Test || !p.product() || f.Name == "internal/finding/group.go" {
		return nil
	}
	var hits []Hit
	ast.Inspect(f.Syntax, func(n ast.Node) bool {
		if _, ok := n.(*ast.ImportSpec); ok {
			return false
		}
		lit, ok := n.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return true
		}
		text, _ := strconv.Unquote(lit.Value) // the parser has accepted it
		if strings.Contains(strings.ReplaceAll(text, Module, ""), path.Dir(Module)) {
			hits = append(hits, f.hit(lit, lit.Value))
		}
		return true
	})
	return hits
}

func initFuncs(p Package, f *File) []Hit {
	if f.Test || !p.product() {
		return nil
	}
	var hits []Hit
	for _, d := range f.Syntax.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			hits = append(hits, f.hit(fn, "func init"))
		}
	}
	return hits
}

func blankImports(p Package, f *File) []Hit {
	if f.Test || !p.product() {
		return nil
	}
	return slices.DeleteFunc(f.importsNamed("_"), func(h Hit) bool {
		return h.What == `import of embed as "_"` || // go:embed asks for it
			p.Dir == "cmd/perennial" && h.What == `import of time/tzdata as "_"` // for machines without time zones
	})
}

func dotImports(_ Package, f *File) []Hit { return f.importsNamed(".") }

func (f *File) importsNamed(name string) []Hit {
	var hits []Hit
	for _, s := range f.Syntax.Imports {
		if s.Name != nil && s.Name.Name == name {
			hits = append(hits, f.hit(s, fmt.Sprintf("import of %s as %q", importPath(s), name)))
		}
	}
	return hits
}

func flagPackage(p Package, f *File) []Hit {
	if f.Test || !p.product() {
		return nil
	}
	return f.imports(func(path string) bool { return path == "flag" })
}

func grabBags(p Package, f *File) []Hit {
	banned := []string{"util", "utils", "common", "helper", "helpers", "type", "types", "manager"}
	name := strings.TrimSuffix(f.Syntax.Name.Name, "_test")
	if !slices.Contains(banned, name) && !slices.Contains(banned, path.Base(p.Dir)) {
		return nil
	}
	return []Hit{f.hit(f.Syntax.Name, "package "+name)}
}

func tooLong(_ Package, f *File) []Hit {
	if n := f.lines(); !f.Test && n > MaxLines {
		return []Hit{{Line: n, What: fmt.Sprintf("%d lines", n)}}
	}
	return nil
}

func unlicensed(_ Package, f *File) []Hit {
	if Licensed(f.Source) {
		return nil
	}
	return []Hit{{Line: 1, What: "no line " + License}}
}

// Licensed says whether a source file, Go or other, carries the licence line
// in its first line, or in the second where the first is needed by the system.
func Licensed(source []byte) bool {
	first, rest, _ := strings.Cut(string(source), "\n")
	if strings.HasPrefix(first, "#!") {
		first, _, _ = strings.Cut(rest, "\n")
	}
	return first == "// "+License || first == "# "+License
}

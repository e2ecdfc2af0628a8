// SPDX-License-Identifier: Apache-2.0

package floors

import (
	"slices"
	"strings"
	"testing"
)

// planted is a violation of a ban, and the nearest thing that is none.
type planted struct {
	ban          string
	pkg          string // the directory of both; Beside when it is not in the table
	name         string // of the file, when it matters
	guilty, good string // what follows the package clause, but for license and grab-bag
	found        string // what the message has to name
}

const floor1, floor2, floor3 = "internal/timeline", "internal/host", "internal/report"

var plants = []planted{
	{ban: "imports", pkg: floor1, guilty: `import "perennial.dev/perennial/internal/host"`, good: `import "perennial.dev/perennial/internal/policy"`, found: "internal/host"},
	{ban: "imports", pkg: "internal/fact", guilty: `import "perennial.dev/perennial/internal/pki"`, good: `import "perennial.dev/perennial/internal/finding"`, found: "internal/pki"},
	{ban: "imports", pkg: floor2, guilty: `import "perennial.dev/perennial/internal/wire"`, good: `import "perennial.dev/perennial/internal/pki"`, found: "internal/wire"},
	{ban: "imports", pkg: floor3, guilty: `import "perennial.dev/perennial/internal/source"`, good: `import "perennial.dev/perennial/internal/timeline"`, found: "internal/source"},
	{ban: "imports", pkg: "internal/cli", guilty: `import "perennial.dev/perennial/internal/floors"`, good: `import "perennial.dev/perennial/internal/source"`, found: "internal/floors"},
	{ban: "imports", pkg: floor1, guilty: `import "perennial.dev/perennial/internal/nowhere"`, found: "internal/nowhere"},
	{ban: "modules", pkg: floor1, guilty: `import "github.com/some/thing"`, good: `import "encoding/json"`, found: "github.com/some/thing"},
	{ban: "modules", pkg: "internal/policy", guilty: `import "sigs.k8s.io/yaml"`, good: `import "go.yaml.in/yaml/v3"`, found: "sigs.k8s.io/yaml"},
	{ban: "beside", pkg: "lab/internal/clock", guilty: `import "perennial.dev/perennial/internal/fact"`, good: `import "perennial.dev/perennial/lab/internal/layout"`, found: "internal/fact"},
	{ban: "machine", pkg: floor1, guilty: `import "os"`, good: `import "path"`, found: "import of os"},
	{ban: "machine", pkg: floor1, guilty: `import "os/exec"`, found: "import of os/exec"},
	{ban: "machine", pkg: floor1, guilty: `import "path/filepath"`, found: "import of path/filepath"},
	{ban: "machine", pkg: floor1, guilty: "import \"log/slog\"\nfunc f() { slog.Info(\"x\") }", good: "import \"log/slog\"\nvar v = slog.StringValue(\"redacted\")", found: "log/slog.Info"},
	{ban: "network", pkg: floor1, guilty: `import "net"`, good: `import ("net/netip"; "net/url")`, found: "import of net"},
	{ban: "network", pkg: floor1, guilty: `import "net/http"`, found: "import of net/http"},
	{ban: "client-go", pkg: floor3, guilty: `import "k8s.io/client-go/kubernetes"`, good: `import "io"`, found: "k8s.io/client-go"},
	{ban: "client-go", pkg: "internal/kube", good: `import "k8s.io/client-go/rest"`},
	{ban: "modules", pkg: "internal/kube", guilty: `import "k8s.io/api/core/v1"`, good: `import "k8s.io/client-go/rest"`, found: "k8s.io/api/core/v1"},
	{ban: "clock", pkg: floor1, guilty: "import \"time\"\nvar t = time.Now()", good: "import \"time\"\nvar t = time.Unix(0, 0)", found: "time.Now"},
	{ban: "clock", pkg: floor1, guilty: "import \"time\"\nvar d = time.Since(time.Time{})", good: "import \"time\"\nvar d = time.Hour", found: "time.Since"},
	{ban: "clock", pkg: floor1, guilty: "import \"time\"\nvar d = time.Until(time.Time{})", found: "time.Until"},
	{ban: "clock", pkg: floor1, guilty: "import tempus \"time\"\nvar now = tempus.Now", good: "type clock struct{ Now int }\nvar time clock\nvar now = time.Now", found: "time.Now"},
	{ban: "chance", pkg: floor1, guilty: `import "math/rand/v2"`, good: `import "math"`, found: "math/rand/v2"},
	{ban: "chance", pkg: floor1, guilty: `import "crypto/rand"`, good: `import "crypto/sha256"`, found: "crypto/rand"},
	{ban: "verify", pkg: floor1, guilty: "import \"crypto/x509\"\nvar o = x509.VerifyOptions{Roots: roots}", good: "import \"crypto/x509\"\nvar o = x509.VerifyOptions{Roots: roots, CurrentTime: at}", found: "without CurrentTime"},
	{ban: "verify", pkg: floor2, guilty: "import \"crypto/x509\"\nvar o = x509.VerifyOptions{Roots: nil, CurrentTime: at}", found: "without Roots"},
	{ban: "verify", pkg: floor1, guilty: "import \"crypto/x509\"\nvar o = []x509.VerifyOptions{{Roots: roots}}", good: "import \"crypto/x509\"\nvar o = []x509.VerifyOptions{{Roots: roots, CurrentTime: at}}", found: "without CurrentTime"},
	{ban: "verify", pkg: floor1, guilty: "import \"crypto/x509\"\nvar o x509.VerifyOptions", good: "import \"crypto/x509\"\nfunc f(o x509.VerifyOptions) {}", found: "without a value"},
	{ban: "verify", pkg: floor1, guilty: "import \"crypto/x509\"\nvar o = new(x509.VerifyOptions)", good: "import \"crypto/x509\"\nvar o = new(x509.Certificate)", found: "made by new"},
	{ban: "cobra", pkg: floor3, guilty: `import "github.com/spf13/cobra"`, found: "spf13/cobra"},
	{ban: "cobra", pkg: "internal/cli", good: `import "github.com/spf13/cobra"`},
	{ban: "exit", pkg: "internal/cli", guilty: "import \"os\"\nfunc f() { os.Exit(1) }", good: "import \"os\"\nvar args = os.Args", found: "os.Exit"},
	{ban: "exit", pkg: "internal/cli", guilty: "import \"log\"\nfunc f() { log.Fatalf(``) }", good: "import \"log\"\nfunc f() { log.Print(``) }", found: "log.Fatalf"},
	{ban: "exit", pkg: "cmd/perennial", good: "import \"os\"\nfunc f() { os.Exit(1) }"},
	{ban: "group", pkg: floor3, guilty: `const version = "perennial.dev/v1alpha1"`, good: `import "perennial.dev/perennial/internal/fact"`, found: "perennial.dev/v1alpha1"},
	{ban: "group", pkg: "internal/finding", guilty: `const label = "renewed.perennial.dev"`, good: `const home = "https://perennial.invalid"`, found: "renewed.perennial.dev"},
	{ban: "group", pkg: "internal/finding", name: "internal/finding/group.go", good: `const Group = "perennial.dev"`},
	{ban: "init", pkg: floor3, guilty: "func init() {}", good: "type list struct{}\nfunc (list) init() {}", found: "func init"},
	{ban: "blank", pkg: floor3, guilty: `import _ "time/tzdata"`, good: `import _ "embed"`, found: "time/tzdata"},
	{ban: "blank", pkg: "cmd/perennial", guilty: `import _ "net/http/pprof"`, good: `import _ "time/tzdata"`, found: "net/http/pprof"},
	{ban: "dot", pkg: floor3, guilty: `import . "strings"`, good: `import s "strings"`, found: "strings"},
	{ban: "flag", pkg: "internal/cli", guilty: `import "flag"`, good: `import "fmt"`, found: "import of flag"},
	{ban: "length", pkg: floor3, guilty: strings.Repeat("\n", MaxLines), good: strings.Repeat("\n", MaxLines-20), found: "lines"},
}

// bindTests are the bans that hold for test files too; those of plants only.
var bindTests = []string{"beside", "dot"}

func TestPlantedViolations(t *testing.T) {
	tested := map[string]bool{"license": true, "grab-bag": true}
	for _, p := range plants {
		tested[p.ban] = true
		t.Run(p.ban+"/"+p.found, func(t *testing.T) { p.test(t) })
	}
	for _, b := range Bans {
		if !tested[b.Name] {
			t.Errorf("ban %s has no planted violation", b.Name)
		}
	}
}

func (p planted) test(t *testing.T) {
	name := p.name
	if name == "" {
		name = p.pkg + "/planted.go"
	}
	head := "// " + License + "\n\npackage planted\n\n"
	if p.guilty != "" {
		caught(t, p.ban, p.pkg, name, head+p.guilty, p.found)
		if slices.Contains(bindTests, p.ban) {
			caught(t, p.ban, p.pkg, p.pkg+"/planted_test.go", head+p.guilty, p.found)
		} else {
			passes(t, p.ban, p.pkg, p.pkg+"/planted_test.go", head+p.guilty)
		}
	}
	if p.good != "" {
		passes(t, p.ban, p.pkg, name, head+p.good)
	}
}

// caught asserts that the ban, and its reason, are told.
func caught(t *testing.T, ban, pkg, name, source, found string) {
	t.Helper()
	for _, v := range violations(t, pkg, name, source) {
		message := v.String()
		if v.Ban.Name == ban && strings.Contains(message, found) && strings.Contains(message, v.Ban.Reason) && v.Ban.Reason != "" {
			return
		}
	}
	t.Errorf("ban %s did not catch %q in %s", ban, found, name)
}

// passes asserts that the ban does not hold for the source.
func passes(t *testing.T, ban, pkg, name, source string) {
	t.Helper()
	for _, v := range violations(t, pkg, name, source) {
		if v.Ban.Name == ban {
			t.Errorf("ban %s caught what it should not: %s", ban, v)
		}
	}
}

func violations(t *testing.T, pkg, name, source string) []Violation {
	t.Helper()
	p, known := Lookup(pkg)
	if !known {
		p = Package{Floor: Beside, Dir: pkg}
	}
	f, err := Parse(name, []byte(source))
	if err != nil {
		t.Fatalf("parsing what was planted: %v", err)
	}
	return Check(p, f)
}

func TestPlantedLicense(t *testing.T) {
	caught(t, "license", floor3, "internal/report/x.go", "package report\n", License)
	caught(t, "license", floor3, "internal/report/x.go", "// Package report is late.\n\n// "+License+"\npackage report\n", License)
	passes(t, "license", floor3, "internal/report/x.go", "// "+License+"\n\npackage report\n")
	if !Licensed([]byte("#!/usr/bin/env bash\n# " + License + "\nset -eu\n")) {
		t.Error("a script's licence line after its first line was not seen")
	}
}

func TestPlantedGrabBag(t *testing.T) {
	for _, name := range []string{"util", "common", "helpers", "types", "manager"} {
		caught(t, "grab-bag", "internal/"+name, "internal/"+name+"/x.go", "// "+License+"\n\npackage "+name+"\n", "package "+name)
	}
	passes(t, "grab-bag", floor3, "internal/report/x.go", "// "+License+"\n\npackage report\n")
}

// TestEveryPurePackage makes sure that no floor escapes by a wrong number.
func TestEveryPurePackage(t *testing.T) {
	source := "// " + License + "\n\npackage planted\n\nimport \"time\"\n\nvar t = time.Now()\n"
	for _, p := range Packages {
		want := p.Floor == 0 || p.Floor == 1
		got := len(violations(t, p.Dir, p.Dir+"/planted.go", source)) > 0
		if got != want {
			t.Errorf("%s on floor %d: reading the clock is caught: %v, want %v", p.Dir, p.Floor, got, want)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"regexp"
	"strconv"
	"strings"

	"perennial.dev/perennial/internal/docs"
)

// witness is who runs a command that is not run here: a test of a package, or a file
// that says so, of CI or of what was measured.
type witness struct {
	in   string // a directory with tests, or a file, below the repository
	says string // the test's name, or what the file has to match
}

// elsewhere is what takes a real node, or a whole run of the tests.
var elsewhere = map[string]witness{
	"make build":     {"Makefile", `(?m)^test-lab: build `},
	"make test":      {".ci/run", `(?m)^part test make test$`},
	"make demo":      {".ci/run", `(?m)^part demo make demo$`},
	"make demo-down": {".ci/run", `(?m)^part demo-down make demo-down$`},
	"make lab":       {"Makefile", `(?m)^labs: lab$`},
	"make matrix":    {"bench/matrix/1.32.2.txt", `(?m)^--- PASS: TestRenewAll `},

	"make demo LAB_VERSION=1.32.2":                               {"lab/cmd/lab", "TestDemo"},
	"make e2e NODE_VERSIONS=1.37.0 NODE_TESTS='^TestNodeAgent$'": {"Makefile", `(?m)^\t\$\(CI_NODES\) .* -test\.run '\^TestNodeAgent\$\$'$`},

	"perennial restart kube-apiserver":            {"internal/e2e", "TestNodeHandover"},
	"perennial restart kube-apiserver --quick":    {"internal/e2e", "TestNodeHandover"},
	"perennial restart kube-apiserver --clean-up": {"internal/e2e", "TestNodeHandoverKilled"},

	"perennial checkpoint create POD -n NAMESPACE -c CONTAINER":     {"internal/cli", "TestCreateSaysWhatIsInTheWay"},
	"perennial checkpoint create web-0 -n shop --yes":               {"internal/cli", "TestCreateSaysWhatIsInTheWay"},
	"perennial checkpoint create web-0":                             {"internal/e2e", "TestNodeCheckpoint"},
	"perennial checkpoint create web-0 -n shop -c app --timeout 5m": {"internal/cli", "TestCreateSaysWhatIsInTheWay"},

	"perennial prepare podsecurity --to 1.25 --patches patches --yes": {"internal/e2e", "TestFromPodSecurityPolicies"},
	"lab node up --name cp1 --version 1.32.2":                         {"lab/cmd/lab", "TestNodes"},
	"lab node exec --name cp1 -- kubectl get pods -A":                 {"lab/cmd/lab", "TestNodes"},
	"lab node exec --name cp1 -- perennial check":                     {"lab/cmd/lab", "TestNodes"},
	"lab node reboot --name cp1":                                      {"internal/e2e", "TestNodeAgent"},
	"lab node status --name cp1 -o json":                              {"lab/cmd/lab", "TestNodes"},
	"lab node worker --name cp1":                                      {"lab/cmd/lab", "TestNodes"},
	"lab node down --name cp1":                                        {"lab/cmd/lab", "TestNodes"},
	"lab node status -o json":                                         {"lab/cmd/lab", "TestNodes"},
	"lab node up --firewall":                                          {"lab/cmd/lab", "TestNodes"},
}

// filling is what is put into a line.
type filling struct {
	what *regexp.Regexp
	by   func(*guide) string
}

func as(what, by string) filling {
	return filling{regexp.MustCompile(what), func(*guide) string { return by }}
}

// everywhere stands for the same on all pages.
var everywhere = []filling{
	{regexp.MustCompile(`(?:10\.0\.0\.1|cp1\.example\.com):6443`), func(g *guide) string { return g.Endpoint }},
	{regexp.MustCompile(`\bPLAN\b|\b\d{8}-\d{6}-[a-z0-9]{4}\b`), (*guide).plan},
	{regexp.MustCompile(`\bDIRECTORY\b`), (*guide).directory},
	// Of a log line that speaks of a certificate of this control plane.
	{regexp.MustCompile(`2023-12-03T03:37:19Z`), (*guide).servingEnd},
	as(`1\.N\b`, "1.37"),
	as(`\bARCHIVE\b`, "evidence.tar"),
	as(`\bCOMPONENT\b`, "kube-scheduler"),
	as(`\bCODE\b`, "CertificateExpires"),
	as(`--context NAME\b`, "--context production"),
	as(`\bNAME\b`, "apiserver"),
	as(`\bTABLE\b`, "gates"),
	as(`\bVERSION\b`, "1.37"),
	as(`\bDIR\b`, "manifests"),
	as(`--releases FILE\b`, "--releases releases.csv"),
	as(`\bFILE\b`, "rules.csv"),
	{regexp.MustCompile(`NODE:6443`), func(g *guide) string { return g.Endpoint }},
	{regexp.MustCompile(`\b(?:IMAGE|image)\.tar\b`), (*guide).file},
	as(`\bNODE\b`, "cp1"),
	as(`\bCONTEXT\b`, "production"),
	as(`\bCHART\b`, "chart"),
	as(`/root/`, "~/"),
}

// plan is the last one that was done.
func (g *guide) plan() string {
	if len(g.plans) == 0 {
		g.Fatal("no plan was done yet")
	}
	return g.plans[len(g.plans)-1]
}

// directory is one that there is not yet.
func (g *guide) directory() string {
	g.dirs++
	return "new-" + strconv.Itoa(g.dirs)
}

// file is one that there is not yet.
func (g *guide) file() string { return g.directory() + ".tar" }

// rule is for the lines that begin so, the first that fits.
type rule struct {
	line    string
	code    []int     // that the pages speak of, instead of 0
	says    string    // what the command must say
	until   string    // it does not end by itself, but has done what it is for when it has said this
	put     []filling // instead of what stands for the same elsewhere
	further string    // arguments for this machine
	before  func(*guide)
	last    bool // when all else was run
}

// found are the exit codes of what was found, as docs/exit-codes.md has them.
var found = []int{0, 10, 11, 12}

// interrupted are those of what is ended by who has started it.
var interrupted = []int{0, 130}

var rules = []rule{
	{line: "perennial check --record FILE", code: found, put: []filling{as(`FILE`, "seen.jsonl")}},
	{line: "perennial check --replay FILE", code: found, put: []filling{as(`FILE`, "seen.jsonl")}},
	{line: "perennial check -w", code: interrupted, until: "CREDENTIAL"},
	{line: "perennial check", code: found},
	{line: "kubectl perennial check", code: found},
	{line: "perennial serve", code: interrupted, until: "serving http://127.0.0.1:", further: " --listen 127.0.0.1:0"},
	{line: "perennial agent run", code: interrupted, until: "msg=looked", before: (*guide).settle},
	{line: "perennial agent run --once", code: found, before: (*guide).settle},
	{line: "perennial agent status", code: found, before: (*guide).look},
	{line: "perennial agent approve", says: "approved until", before: (*guide).makeWait},
	{line: "perennial agent resume", before: (*guide).stopAgent},
	{line: "perennial restart", before: (*guide).forgetRestarts},
	{line: "perennial renew", before: (*guide).forgetRestarts},
	{line: "perennial kuberc check", code: []int{0, 10, 11}},
	{line: "perennial checkpoint verify", code: []int{0, 10, 12}},
	{line: "lab", put: ofTheLab},
	{line: "lab down", put: ofTheLab, last: true},
}

// ofTheLab are names and versions: a page's own lab stands beside the shared one.
var ofTheLab = []filling{
	{regexp.MustCompile(`--name [a-z0-9-]+`), func(g *guide) string { return "--name " + g.second() }},
	{regexp.MustCompile(`--version [0-9.]+`), func(g *guide) string { return "--version " + g.Version }},
}

// ruleOf is the longest that fits the line, or the first call in it.
func ruleOf(c docs.Command, line string) rule {
	call := c.Calls[0].Program + " " + strings.Join(c.Calls[0].Args, " ")
	best := rule{}
	for _, r := range rules {
		if (r.fits(line) || r.fits(call)) && len(r.line) > len(best.line) {
			best = r
		}
	}
	return best
}

func (r rule) fits(line string) bool { return line == r.line || strings.HasPrefix(line, r.line+" ") }

func (r rule) codes(line string) []int {
	if len(r.code) == 0 || strings.Contains(line, "--exit-zero") {
		return []int{0}
	}
	return r.code
}

func (r rule) used(known map[string]bool) bool {
	for line := range known {
		if r.fits(line) {
			return true
		}
	}
	return false
}

// alone are lines that are run as they are, although others begin with the same.
var alone = map[string]bool{}

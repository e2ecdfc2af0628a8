// SPDX-License-Identifier: Apache-2.0

// Package floors is the one table of the product's packages: the floor each
// stands on, what it may import, and what is banned where, with the reason. Its
// tests hold every package to the table; docs/architecture.md is drawn from it.
//
// It is no part of the program: nothing but tests imports it.
package floors

// Module is the product's Go module.
const Module = "perennial.dev/perennial"

// Floors above the product's own, for what is no part of the program.
const (
	// Tests is the floor of packages that only tests use.
	Tests = 9
	// Beside is the floor of the packages of other modules in the repository.
	Beside = -1
)

// Floor is a set of packages that see the same floors below them.
type Floor struct {
	Number int
	Line   string // what its packages have in common
	// Pure says that the result of its packages follows from their arguments
	// alone.
	Pure bool
	// Together says that its packages may import each other.
	Together bool
}

// Floors is the table of floors, from the bottom.
var Floors = []Floor{
	{Number: 0, Line: "words: what was seen, what follows", Pure: true, Together: true},
	{Number: 1, Line: "judgement: facts in, findings out", Pure: true, Together: true},
	{Number: 2, Line: "eyes: the only packages that touch the machine and the network"},
	{Number: 3, Line: "looks and reports"},
	{Number: 4, Line: "work: from a look to a plan that is done", Together: true},
	{Number: 5, Line: "wiring", Together: true},
	{Number: Tests, Line: "tests", Together: true},
}

// Package is a row of the table.
type Package struct {
	Floor int
	Dir   string // below the module's root
	Line  string
	// May lists what it may import beyond lower floors and the standard
	// library: modules from outside, by the prefix of their import paths.
	May []string
}

// Packages is the table of packages, from the bottom, sorted within a floor.
var Packages = []Package{
	{Floor: 0, Dir: "internal/fact", Line: "the closed set of things seen, and the record that holds them"},
	{Floor: 0, Dir: "internal/finding", Line: "what follows from facts; the one table of codes"},

	{Floor: 1, Dir: "docs/rights", Line: "what the agents may ask an API server for: the roles as people read them"},
	{Floor: 1, Dir: "internal/checkpoint", Line: "archives of checkpointed containers: what is in them, who could restore them, which go", May: []string{protowire}},
	{Floor: 1, Dir: "internal/credential", Line: "joins file, wire and identity into findings; how each component reloads, as data"},
	{Floor: 1, Dir: "internal/document", Line: "the Kubernetes objects in a file, with their lines; who uses an object in which API version", May: []string{yamlNodes}},
	{Floor: 1, Dir: "internal/kuberc", Line: "people's preferences for kubectl: what they make of a command line, what is wrong with them; kubectl's commands and flags, embedded", May: []string{yamlNodes}},
	{Floor: 1, Dir: "internal/layout", Line: "discovery: what runs here → credentials, their consumers, ports, what to look at next", May: []string{yaml}},
	{Floor: 1, Dir: "internal/leftover", Line: "what was left when a change was cut off"},
	{Floor: 1, Dir: "internal/pki", Line: "PEM, kubeconfigs, chains, matching keys; keys are kept as their public side", May: []string{yaml, yamlParser}},
	{Floor: 1, Dir: "internal/plan", Line: "what is due → steps as data, with what they change, what proves them, what is felt"},
	{Floor: 1, Dir: "internal/policy", Line: "when a finding is due, for whom, what its owner accepts; the settings file", May: []string{yamlNodes}},
	{Floor: 1, Dir: "internal/release", Line: "the release calendar: support ends, skew, upgrade paths; from embedded tables"},
	{Floor: 1, Dir: "internal/rules", Line: "what each minor serves and refuses: API kinds, feature gates, admission plugins; from embedded tables"},
	{Floor: 1, Dir: "internal/schedule", Line: "maintenance windows, days off, zones and clock changes; by how much nodes keep apart"},
	{Floor: 1, Dir: "internal/support", Line: "when the support of the running releases ends"},
	{Floor: 1, Dir: "internal/timeline", Line: "merge, judge at one instant, sort; headline, worst verdict, exit codes"},
	{Floor: 1, Dir: "internal/unit", Line: "the systemd units of the agent, and what each of its features needs of the machine"},
	{Floor: 1, Dir: "internal/upgrade", Line: "what an upgrade takes from components and API clients"},
	{Floor: 1, Dir: "internal/workload", Line: "what an upgrade does to what runs in the cluster, and to etcd", May: []string{"k8s.io/api", apimachinery, "k8s.io/pod-security-admission", "k8s.io/csi-translation-lib", "github.com/robfig/cron/v3", klog, yaml}},

	{Floor: 2, Dir: "internal/etcd", Line: "asks etcd for its members and their health, takes a snapshot, holds an API server's address; with the node's own certificate"},
	{Floor: 2, Dir: "internal/host", Line: "files below a root, /proc, the node's clock; the only writer, the lock, the end of a process", May: []string{"golang.org/x/sys/unix"}},
	{Floor: 2, Dir: "internal/journal", Line: "the record of what is changed: intended, done, proven; checked line by line"},
	{Floor: 2, Dir: "internal/kube", Line: "asks an API server: lists what a cluster holds page by page, open sessions, the service kubernetes; guards that service's endpoints", May: []string{clientGoModule, apimachinery, klog}},
	{Floor: 2, Dir: "internal/steer", Line: "new connections to another listener (sk_lookup, nftables), established ones held for a moment", May: []string{"golang.org/x/sys/unix", "github.com/cilium/ebpf", "github.com/google/nftables", "github.com/vishvananda/netlink", "github.com/vishvananda/netns"}},
	{Floor: 2, Dir: "internal/wire", Line: "TLS handshakes without credentials, GET /version"},

	{Floor: 3, Dir: "internal/bridge", Line: "what a handover of the API server stands on and puts up: finds out whether one is possible here, does it to the kernel and the API"},
	{Floor: 3, Dir: "internal/execute", Line: "does a plan: check, journal, back up, do, prove, close; resumes what was cut off"},
	{Floor: 3, Dir: "internal/page", Line: "renders timelines as one HTML page that needs nothing else"},
	{Floor: 3, Dir: "internal/publish", Line: "metrics for Prometheus, health checks; served on loopback addresses alone", May: []string{"github.com/prometheus/client_golang", "github.com/prometheus/common", "golang.org/x/net/netutil"}},
	{Floor: 3, Dir: "internal/report", Line: "renders a timeline for people and programs, and as a calendar", May: []string{yaml, "github.com/arran4/golang-ical"}},
	{Floor: 3, Dir: "internal/source", Line: "one look per file, one explicit list; pushes facts and what could not be seen"},

	{Floor: 4, Dir: "internal/agent", Line: "the loop that keeps a node alive: look, judge, wait for its turn, act, tell"},
	{Floor: 4, Dir: "internal/install", Line: "puts the agent on a node and takes it away again: identity, rights, settings, units"},
	{Floor: 4, Dir: "internal/prepare", Line: "changes the objects of a cluster before an upgrade, as the person who asks: a plan, a journal, a proof"},
	{Floor: 4, Dir: "internal/workbench", Line: "what changes a node: the lock, the journal, eyes and hands together; decides how the API server is replaced"},

	{Floor: 5, Dir: "cmd/perennial", Line: "main: arguments, streams and the exit code"},
	{Floor: 5, Dir: "internal/cli", Line: "the commands", May: []string{cobra, pflag, "golang.org/x/term"}},

	{Floor: Tests, Dir: "internal/crashdisk", Line: "what a disk may hold after a power failure, from a record of what was done to it"},
	{Floor: Tests, Dir: "internal/docs", Line: "reads the commands in the pages; generates parts of the pages and compares them"},
	{Floor: Tests, Dir: "internal/e2e", Line: "tests the built program on real control planes of the lab"},
	{Floor: Tests, Dir: "internal/floors", Line: "this table, and what holds the packages to it"},
	{Floor: Tests, Dir: "internal/sandbox", Line: "tests the program with the rights that the agent's unit grants, and with fewer"},
	{Floor: Tests, Dir: "internal/schema", Line: "holds documents and types to the published JSON Schemas"},
	{Floor: Tests, Dir: "internal/testlab", Line: "starts control planes of the lab"},
	{Floor: Tests, Dir: "internal/testnode", Line: "writes a kubeadm node with real certificates into a directory"},
}

const (
	yaml       = "sigs.k8s.io/yaml"
	yamlParser = "go.yaml.in/yaml/v2"
	yamlNodes  = "go.yaml.in/yaml/v3"
	cobra      = "github.com/spf13/cobra"
	protowire  = "google.golang.org/protobuf/encoding/protowire"
	pflag      = "github.com/spf13/pflag" // of which cobra's commands are made

	clientGoModule = "k8s.io/client-go"
	apimachinery   = "k8s.io/apimachinery"
	klog           = "k8s.io/klog/v2"
)

// Lookup finds a package by its directory below the module's root.
func Lookup(dir string) (Package, bool) {
	for _, p := range Packages {
		if p.Dir == dir {
			return p, true
		}
	}
	return Package{}, false
}

// floor finds the row of a package's floor; the zero Floor for one beside.
func (p Package) floor() Floor {
	for _, f := range Floors {
		if f.Number == p.Floor {
			return f
		}
	}
	return Floor{}
}

// pure says whether the package stands on a pure floor.
func (p Package) pure() bool { return p.floor().Pure }

// product says whether the package is a part of the program.
func (p Package) product() bool { return p.Floor != Tests && p.Floor != Beside }

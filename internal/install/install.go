// SPDX-License-Identifier: Apache-2.0

// Package install puts the agent on a node and takes it away again: an identity of
// its own, its rights in the cluster, its settings and its units. What it will do is
// a list that is shown before anything is done.
package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/docs/rights"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/source"
	"perennial.dev/perennial/internal/unit"
	"perennial.dev/perennial/internal/workbench"
)

// Program is where the units expect the program, unless something else is said.
const Program = "/usr/local/bin/perennial"

// The places on the node.
const (
	Etc      = "/etc/perennial"
	Settings = Etc + "/config.yaml"
	Requests = Etc + "/requests" // signing requests, where the CA's key is elsewhere
)

// What the files begin with that the agent keeps for others. A file that begins
// otherwise is somebody else's, and left alone.
const (
	MetricsBegin  = "# HELP perennial_"
	CalendarBegin = "BEGIN:VCALENDAR"
)

// Options say where and how.
type Options struct {
	Root          string // a file system; "/" for the running machine
	KubernetesDir string
	Program       string
	Form          unit.Form
	// Systemd: its units are written. Running: and systemd runs this machine.
	Systemd, Running bool
	// Force: units that somebody else has written or edited are replaced.
	Force   bool
	Version string // the program's own
	Now     func() time.Time
	Rand    io.Reader
}

// Verb is what is done.
type Verb string

// The verbs.
const (
	Write  Verb = "write"
	Keep   Verb = "keep" // it is there already, and is as it should be
	Make   Verb = "make" // a credential, as a plan of its own
	Apply  Verb = "apply"
	Remove Verb = "remove"
	Run    Verb = "run"
	Later  Verb = "later" // by a person
)

// Item is a part of an installation.
type Item struct {
	Do      Verb      `json:"do"`
	What    fact.Text `json:"what"` // a path, an object or a command
	Why     fact.Text `json:"why,omitempty"`
	Mode    string    `json:"mode,omitempty"`
	Content string    `json:"content,omitempty"`

	before string // digest of the file that is there
	args   []string
	// mayFail: what it says when it fails is of no use to anybody.
	mayFail bool
	tree    bool
}

// Installation is everything that will be done, in this order.
type Installation struct {
	APIVersion string      `json:"apiVersion"`
	Kind       string      `json:"kind"` // Installation or Removal
	Node       fact.Text   `json:"node,omitempty"`
	Items      []Item      `json:"items"`
	Notes      []fact.Text `json:"notes,omitempty"`

	identity *plan.Plan // that makes the agent's kubeconfig
	roles    []kube.Role
	purge    bool
}

// site is a node that is being looked at, or changed.
type site struct {
	Options
	files    *host.FS
	disk     *host.Disk
	settings policy.Policy
	fresh    bool // there are no settings yet
	seen     plan.Seen
}

func open(o Options) (*site, error) {
	files, err := host.Open(o.Root)
	if err != nil {
		return nil, err
	}
	return &site{Options: o, files: files, disk: host.NewDisk(files, nil)}, nil
}

func (s *site) close() { s.files.Close() }

// lockPath is the machine's own lock, or one in the root.
func (s *site) lockPath() string { return filepath.Join(s.Root, workbench.DefaultLock) }

// look reads the settings and looks at the node.
func (s *site) look(ctx context.Context) error {
	data, _, err := s.files.Read(ctx, Settings, host.FileLimit)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.fresh, s.settings = true, policy.Default()
	case err != nil:
		return fmt.Errorf("reading the settings: %w", err)
	default:
		if s.settings, err = policy.Parse(data); err != nil {
			return fmt.Errorf("reading the settings %s: %w", Settings, err)
		}
	}
	s.seen, err = s.Look(ctx)
	return err
}

// Look implements execute.Eyes.
func (s *site) Look(ctx context.Context) (plan.Seen, error) {
	rec, _ := source.Survey(ctx, fact.Scope{
		Root: s.Root, KubernetesDir: s.KubernetesDir, State: workbench.DefaultState, Copies: s.settings.Copies, RequestDir: Requests, Identity: layout.AgentConfig,
	}, source.Options{})
	return plan.See(rec), ctx.Err()
}

// controlPlane says whether an API server is here, which the agent asks.
func (s *site) controlPlane() bool {
	_, here := s.seen.Layout.Component(layout.APIServer)
	return here
}

// answers says whether the node's API server has just answered.
func (s *site) answers() bool {
	endpoint := s.seen.Layout.Endpoint(layout.APIServer)
	return s.Root == "/" && endpoint != "" && slices.ContainsFunc(s.seen.Facts, func(f fact.Fact) bool {
		served, is := f.(fact.Served)
		return is && served.Endpoint == endpoint
	})
}

// Plan looks at the node and says what installing the agent takes.
func Plan(ctx context.Context, o Options) (*Installation, error) {
	s, err := open(o)
	if err != nil {
		return nil, err
	}
	defer s.close()
	if err := s.files.RootsOwn(ctx, o.Program); err != nil {
		return nil, workbench.Hint(fmt.Errorf("looking for the program that the agent runs as: %w", err), "put it there as root, such as: install -m 0755 perennial "+Program+", or name another place with --program")
	}
	if err := s.look(ctx); err != nil {
		return nil, err
	}
	i := newInstallation("Installation", s)
	i.settings(s)
	if err := i.identify(s); err != nil {
		return nil, err
	}
	if err := i.grant(s); err != nil {
		return nil, err
	}
	i.unreached(s)
	if !o.Systemd {
		i.Notes = append(i.Notes, withoutSystemd(s.unitOptions())...)
		return i, nil
	}
	return i, i.units(ctx, s)
}

func newInstallation(kind string, s *site) *Installation {
	return &Installation{APIVersion: finding.APIVersion, Kind: kind, Node: fact.Text(s.seen.Layout.Node), Items: []Item{}}
}

func (i *Installation) add(items ...Item) { i.Items = append(i.Items, items...) }

func (i *Installation) note(format string, args ...any) {
	i.Notes = append(i.Notes, fact.Text(fmt.Sprintf(format, args...)))
}

func (i *Installation) settings(s *site) {
	if !s.fresh {
		why := "the settings; the agent only looks, until agent.act is true in them"
		if s.settings.Agent.Act {
			why = "the settings; the agent acts"
		}
		i.add(Item{Do: Keep, What: Settings, Why: fact.Text(why)})
		return
	}
	i.add(Item{Do: Write, What: Settings, Why: "the settings; the agent only looks, until agent.act is true in them", Mode: "0644", Content: string(DefaultSettings)})
}

// unreached notes in which directories the agent will not be able to write files for
// others: it has no rights over what is other users'.
func (i *Installation) unreached(s *site) {
	for _, name := range []string{s.settings.Agent.Textfile, s.settings.Agent.Calendar} {
		dir := path.Dir(name)
		meta, there := s.files.Directory(dir)
		switch {
		case name == "" || dir == unit.Cache || there && (rootWrites(meta) || s.others()):
		case !there:
			i.note("%s is not there, so the agent cannot write %s: make it, and run this again", fact.Text(dir), fact.Text(name))
		default:
			i.note("%s belongs to user %d (mode %04o), so the agent cannot write %s: give it to root, or name a file in another directory in the settings, such as %s", fact.Text(dir), meta.UID, meta.Mode, fact.Text(name), unit.Cache)
		}
	}
}

// rootWrites says whether root may write to a directory as its owner, and without a
// right over the files of others.
func rootWrites(m fact.Meta) bool {
	return m.UID == 0 && m.Mode&0o200 != 0 || m.GID == 0 && m.UID != 0 && m.Mode&0o020 != 0 || m.Mode&0o002 != 0
}

// identify plans the agent's kubeconfig, where it is missing or due.
func (i *Installation) identify(s *site) error {
	if !s.controlPlane() {
		i.note("no API server was found here, so that the agent needs no identity for one")
		return nil
	}
	now := s.Now()
	p, err := plan.ForRenewal(s.seen, plan.RenewOptions{ID: workbench.PlanID(now), Now: now, Names: []string{layout.AgentName}, Create: true, Policy: s.settings})
	if err != nil {
		return fmt.Errorf("planning the agent's identity: %w", err)
	}
	p.Notes = slices.DeleteFunc(p.Notes, func(n plan.Note) bool { return n.ID.Name() != layout.AgentName })
	if s.current() {
		i.add(Item{Do: Keep, What: layout.AgentConfig, Why: "the agent's own identity"})
		return nil
	}
	for _, n := range p.Notes {
		i.note("%s: %s", n.ID, n.Text)
	}
	if len(p.Steps) == 0 {
		return nil
	}
	step := p.Steps[0]
	i.identity = &p
	switch step.Verb {
	case plan.Request:
		i.add(Item{Do: Make, What: fact.Text(step.Sign.Request), Why: fact.Text("a signing request: " + step.Why), Mode: "0644"})
		i.Notes = append(i.Notes, signing(step.Sign)...)
	default:
		i.add(Item{Do: Make, What: layout.AgentConfig, Why: fact.Text(strings.TrimPrefix(step.Why, layout.AgentConfig+" is not there; ")), Mode: "0600"})
	}
	return nil
}

// current says that the agent's kubeconfig is there, and not due.
func (s *site) current() bool {
	for _, f := range s.seen.Findings {
		if f.ID.Name() != layout.AgentName || f.Code != finding.CertificateExpires {
			continue
		}
		from, known := s.settings.Due(f)
		return known && from.After(s.Now())
	}
	return false
}

// signing says how somebody signs the agent's request.
func signing(sign *plan.Sign) []fact.Text {
	return []fact.Text{
		fact.Text("the key of the cluster's CA is not on this node. Have " + sign.Request + " signed by it, put the certificate beside it as " + path.Base(sign.Signed) + ", and run this again."),
		"where another node's controller manager has the key, the cluster signs it, as its administrator:",
		fact.Text(`  printf 'apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nmetadata: {name: perennial-agent}\nspec: {signerName: kubernetes.io/kube-apiserver-client, usages: [client auth], request: %s}\n' "$(base64 -w0 ` + sign.Request + `)" | kubectl apply -f -`),
		"  kubectl certificate approve perennial-agent",
		fact.Text(`  kubectl get csr perennial-agent -o jsonpath='{.status.certificate}' | base64 -d > ` + sign.Signed),
	}
}

// grant plans the agents' rights.
func (i *Installation) grant(s *site) error {
	if !s.controlPlane() {
		return nil
	}
	roles, err := kube.Roles(rights.Agent)
	if err != nil {
		return err
	}
	_, admin := s.admin()
	do, why := Apply, fact.Text("what the agents may ask the API for, and nothing else")
	if !s.answers() || !admin {
		do, why = Later, "the API server does not answer here now: run this again when it does"
		if s.answers() {
			why = "there is no admin.conf here: apply it as an administrator, --dry-run -o yaml shows it"
		}
	} else {
		i.roles = roles
	}
	for _, r := range roles {
		i.add(Item{Do: do, What: fact.Text(r.String()), Why: why})
		why = ""
	}
	i.Items[len(i.Items)-len(roles)].Content = string(rights.Agent)
	return nil
}

// admin is the node's administrator.
func (s *site) admin() (conf string, ok bool) {
	for _, name := range s.seen.Layout.Admins {
		return name, true
	}
	return "", false
}

func (s *site) client() (*kube.Client, error) {
	conf, _ := s.admin()
	read := func(name string) ([]byte, error) { return s.disk.ReadFile(name, host.FileLimit) }
	return kube.OpenFile(s.seen.Layout.Endpoint(layout.APIServer), conf, read, s.Version)
}

// SPDX-License-Identifier: Apache-2.0

package execute_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/execute"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/pki"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/source"
	"perennial.dev/perennial/internal/testnode"
)

// later is 65 days before the leaves of a node end.
var later = testnode.Start.AddDate(0, 0, 300)

// node is a node's file system on which plans are made and done. Nothing runs
// on it: what is proven is what lies on its disk.
type node struct {
	*testnode.Node
	t       *testing.T
	now     time.Time
	scope   fact.Scope
	disk    *host.Disk
	journal *journal.Journal
	plans   int
	more    []fact.Fact // what runs
	named   []string    // files that only it names
}

func newNode(t *testing.T, o testnode.Options) *node {
	t.Helper()
	n := &node{Node: testnode.New(t, o), t: t, now: later}
	n.scope = fact.Scope{Root: n.Root, KubernetesDir: "/etc/kubernetes"}
	files, err := host.Open(n.Root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { files.Close() })
	n.disk = host.NewDisk(files, nil)
	if n.journal, err = journal.Open("/var/lib/perennial/journal", n.disk); err != nil {
		t.Fatal(err)
	}
	return n
}

// Look implements execute.Eyes, at the node's own time.
func (n *node) Look(ctx context.Context) (plan.Seen, error) {
	rec, _ := source.Survey(ctx, n.scope, source.Options{})
	for i, f := range rec.Facts {
		if f, ok := f.(fact.Node); ok {
			f.Now = n.now
			rec.Facts[i] = f
		}
	}
	for _, name := range n.named {
		content := pki.Read(n.Read(name))
		rec.Facts = append(rec.Facts, fact.File{Path: name, Digest: fact.Digest(n.Read(name)), Certs: content.Certs, Keys: content.Keys,
			Meta: fact.Meta{Mode: 0o600, UID: os.Getuid(), GID: os.Getgid()}})
	}
	if len(n.more) > 0 {
		rec.Facts = append(rec.Facts, n.more...)
		rec.Scope.Root = "/"
	}
	return plan.See(rec), nil
}

func (n *node) look() plan.Seen {
	seen, _ := n.Look(n.t.Context())
	return seen
}

func (n *node) plan(o plan.RenewOptions) plan.Plan {
	n.t.Helper()
	n.plans++
	o.ID, o.Now = fmt.Sprintf("plan-%d", n.plans), n.now
	if o.Policy.TrustAnchor == 0 {
		o.Policy = policy.Default()
	}
	p, err := plan.ForRenewal(n.look(), o)
	if err != nil {
		n.t.Fatal(err)
	}
	return p
}

// run does a plan. Nothing is waited for: what is not so at once never will be.
func (n *node) run(p plan.Plan) (execute.Outcome, error) {
	n.t.Helper()
	r := &execute.Runner{
		Hands: execute.Machine{Disk: n.disk}, Eyes: n, Journal: n.journal, State: "/var/lib/perennial", Rand: rand.Reader,
		Now: func() time.Time { return n.now }, Sleep: func(context.Context, time.Duration) error { return errors.New("nothing to wait for") },
	}
	return r.Run(n.t.Context(), p)
}

// does runs a plan that has to be done and proven, with exactly these steps.
func (n *node) does(o plan.RenewOptions, want ...string) plan.Plan {
	n.t.Helper()
	p := n.plan(o)
	if got := steps(p); !slices.Equal(got, want) {
		n.t.Fatalf("steps %v, want %v; notes %v", got, want, p.Notes)
	}
	out, err := n.run(p)
	if err != nil || out.Result != journal.Done || len(out.Steps) != len(p.Steps) {
		n.t.Fatalf("%+v, %v", out, err)
	}
	return p
}

func steps(p plan.Plan) (all []string) {
	for _, s := range p.Steps {
		all = append(all, string(s.Verb)+" "+s.ID.Name())
	}
	return all
}

// notes says whether the notes of a plan hold a text.
func notes(p plan.Plan, text string) bool {
	return strings.Contains(fmt.Sprint(p.Notes), text)
}

// healthy fails for everything that is broken on the node now.
func (n *node) healthy() {
	n.t.Helper()
	for _, f := range n.look().Findings {
		if f.End.Now || f.Class == finding.Weakness || f.Class == finding.Fault {
			n.t.Errorf("%s %s: %s", f.ID, f.Code, f.Reason)
		}
	}
}

// leaf is the certificate that a credential presents.
func (n *node) leaf(name string) *finding.Certificate {
	n.t.Helper()
	for _, f := range n.look().Findings {
		if f.ID.Name() == name && f.Code == finding.CertificateExpires {
			return f.Evidence.Certificate
		}
	}
	n.t.Fatalf("%s has no certificate", name)
	return nil
}

func (n *node) certificate(path string) fact.Cert {
	n.t.Helper()
	certs := pki.Read(n.Read(path)).Certs
	if len(certs) == 0 {
		n.t.Fatalf("%s holds no certificate", path)
	}
	return certs[0]
}

// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
)

// Kind is the kind of the configuration file.
const Kind = "Config"

// file is the configuration as written. docs/schema/config.v1alpha1.json has the
// same fields.
type file struct {
	APIVersion word         `json:"apiVersion,omitzero"`
	Kind       word         `json:"kind,omitzero"`
	Due        dueFile      `json:"due"`
	Support    word         `json:"support,omitzero"`
	Accepted   []acceptFile `json:"accepted"`
	Keepers    []keeperFile `json:"keepers"`
	Copies     []word       `json:"copies"`
	Agent      agentFile    `json:"agent"`
}

type dueFile struct {
	Renewed     renewedFile     `json:"renewed"`
	SelfRenewed selfRenewedFile `json:"selfRenewed"`
	TrustAnchor word            `json:"trustAnchor,omitzero"`
	Support     word            `json:"support,omitzero"`
}

type renewedFile struct {
	Left   word `json:"left,omitzero"`
	AtMost word `json:"atMost,omitzero"`
}

type selfRenewedFile struct {
	Gone  word `json:"gone,omitzero"`
	Slack word `json:"slack,omitzero"`
}

type acceptFile struct {
	Code   word `json:"code,omitzero"`
	ID     word `json:"id,omitzero"`
	Reason word `json:"reason,omitzero"`
	Until  word `json:"until,omitzero"`
}

type keeperFile struct {
	ID     word `json:"id,omitzero"`
	Keeper word `json:"keeper,omitzero"`
	Class  word `json:"class,omitzero"`
}

// Parse reads a configuration (YAML or JSON). What it does not set stays as in
// Default. It is strict: an unknown or repeated field, a value that cannot be
// read, an acceptance without reason or date are errors. All of them are found:
// the error is Mistakes, each with its line and column.
//
// Time zones are looked up by time.LoadLocation: in the machine's own data, or
// in what the program brings along. Nothing else comes from the machine.
//
//	apiVersion: perennial.dev/v1alpha1
//	kind: Config
//	due:
//	  renewed:     {left: 1/3, atMost: 90d}   # whichever is less
//	  selfRenewed: {gone: 90%, slack: 2.5%}
//	  trustAnchor: 365d
//	  support:     60d                        # without it: from the last safe day to start
//	support: due                              # or notice, the default
//	accepted:
//	- code: SupportEnds
//	  id: "*"
//	  reason: vendor support until 2028
//	  until: 2028-01-01                       # counts again from this day on
//	keepers:
//	- id: cp*/etcd-*
//	  keeper: person
//	  class: renewed
//	copies:                                   # of admin.conf, beside ~/.kube/config
//	- /srv/ci/kubeconfig
//	agent:
//	  act: true
//	  every: 5m
//	  windows:
//	  - {days: "Sat,Sun", start: 02:00, length: 4h, zone: Europe/Berlin}
//	  never:
//	  - {from: 12-20, until: 01-06}
//	  zone: Europe/Berlin                     # of never, and of windows that name none
//	  spread: 12h
//	  reserve: 3d                             # or never
//	  perDay: 4
//	  restart: {apiServer: handover, others: always}
//	  leave: [cp1/admin.conf, "*/front-proxy-*"]
//	  listen: 127.0.0.1:9464                  # or none
//	  textfile: /var/lib/node_exporter/perennial.prom
//	  calendar: /var/cache/perennial/deadlines.ics
func Parse(data []byte) (Policy, error) {
	r := &reader{}
	var f file
	if top, ok := r.document(data); ok {
		r.read(top, reflect.ValueOf(&f).Elem(), place{})
	}
	if other := r.anotherKind(f); other || f.APIVersion.at == (place{}) {
		return Policy{}, r.err()
	}
	p := r.policy(f)
	if err := r.err(); err != nil {
		return Policy{}, err
	}
	return p, nil
}

// anotherKind says whether this is a file of another kind or version. Then what
// else is wrong with it says nothing.
func (r *reader) anotherKind(f file) bool {
	for _, must := range []struct {
		is   word
		want string
	}{{f.APIVersion, finding.APIVersion}, {f.Kind, Kind}} {
		if must.is.state == given && must.is.value != must.want {
			r.found = nil
			r.wrong(must.is.at, "want %s, not %s", must.want, quoted(must.is.value))
			return true
		}
	}
	return false
}

func (r *reader) policy(f file) Policy {
	p := Default()
	required(r, f.APIVersion, finding.APIVersion)
	required(r, f.Kind, Kind)
	set(r, &p.Renewed.Left, f.Due.Renewed.Left, ParsePart)
	set(r, &p.Renewed.AtMost, f.Due.Renewed.AtMost, ParseDuration)
	set(r, &p.SelfRenewed.Gone, f.Due.SelfRenewed.Gone, ParsePart)
	set(r, &p.SelfRenewed.Slack, f.Due.SelfRenewed.Slack, ParsePart)
	set(r, &p.TrustAnchor, f.Due.TrustAnchor, ParseDuration)
	set(r, &p.Support.Before, f.Due.Support, ParseDuration)
	set(r, &p.Support.Counts, f.Support, parseSupport)
	for _, a := range f.Accepted {
		p.Accepted = append(p.Accepted, r.acceptance(a))
	}
	for _, k := range f.Keepers {
		p.Keepers = append(p.Keepers, r.keeper(k))
	}
	for _, c := range f.Copies {
		p.Copies = append(p.Copies, "")
		required(r, c, "an absolute path")
		set(r, &p.Copies[len(p.Copies)-1], c, parsePath)
	}
	p.Agent = r.agent(f.Agent)
	return p
}

// set parses a value that was given; one that was not keeps its default.
func set[T any](r *reader, to *T, from word, parse func(string) (T, error)) {
	if from.state != given {
		return
	}
	parsed, err := parse(from.value)
	if err != nil {
		r.wrong(from.at, "%s", err)
		return
	}
	*to = parsed
}

// required complains about a value that is not there.
func required(r *reader, v word, want string) {
	if v.state == absent {
		r.wrong(v.at, "is required: %s", want)
	}
}

// parseText takes a text that must not be empty.
func parseText(want string) func(string) (string, error) {
	return func(s string) (string, error) {
		if s = strings.TrimSpace(s); s == "" {
			return "", fmt.Errorf("is required: %s", want)
		}
		return s, nil
	}
}

// oneOf takes one of some words.
func oneOf[T ~string](all ...T) func(string) (T, error) {
	return func(s string) (T, error) {
		if slices.Contains(all, T(s)) {
			return T(s), nil
		}
		return "", fmt.Errorf("%s: want %s", quoted(s), either(all))
	}
}

// either lists words as "a, b or c".
func either[T ~string](all []T) string {
	var b strings.Builder
	for i, w := range all {
		switch {
		case i > 0 && i == len(all)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(string(w))
	}
	return b.String()
}

func parseSupport(s string) (bool, error) {
	v, err := oneOf("notice", "due")(s)
	return v == "due", err
}

func parsePath(s string) (string, error) {
	if !path.IsAbs(s) || path.Clean(s) != s || s == "/" || strings.Contains(s, "*") || fact.Text(s).String() != s {
		return "", fmt.Errorf("%s: want the absolute path of a file", quoted(s))
	}
	return s, nil
}

const (
	wantID     = "a name such as cp1/apiserver, or a pattern in which * stands for anything"
	wantReason = "it is what the next reader will ask"
	wantUntil  = "a day such as 2027-06-01"
)

func (r *reader) acceptance(a acceptFile) (out Acceptance) {
	required(r, a.Code, "what `perennial explain` lists")
	required(r, a.ID, wantID)
	required(r, a.Reason, wantReason)
	required(r, a.Until, wantUntil)
	set(r, &out.Code, a.Code, parseCode)
	set(r, &out.ID, a.ID, parseText(wantID))
	set(r, &out.Reason, a.Reason, parseText(wantReason))
	set(r, &out.Until, a.Until, ParseDate)
	return out
}

func parseCode(s string) (finding.Code, error) {
	if _, known := finding.Explain(finding.Code(s)); !known {
		return "", fmt.Errorf("%s is no code; `perennial explain` lists them", quoted(s))
	}
	return finding.Code(s), nil
}

var (
	keepers = []finding.Keeper{
		finding.KeeperPerson, finding.KeeperKubelet, finding.KeeperRestart,
		finding.KeeperOwner, finding.KeeperUnknown, finding.KeeperNode,
	}
	keptClasses = []finding.Class{finding.Renewed, finding.SelfRenewed, finding.TrustAnchor}
)

func (r *reader) keeper(k keeperFile) (out KeeperRule) {
	required(r, k.ID, wantID)
	required(r, k.Keeper, either(keepers))
	set(r, &out.ID, k.ID, parseText(wantID))
	set(r, &out.Keeper, k.Keeper, oneOf(keepers...))
	set(r, &out.Class, k.Class, oneOf(keptClasses...))
	return out
}

// until writes the day or instant.
func (a Acceptance) until() string {
	if u := a.Until.UTC(); u.Equal(u.Truncate(24 * time.Hour)) {
		return u.Format(time.DateOnly)
	}
	return a.Until.UTC().Format(time.RFC3339)
}

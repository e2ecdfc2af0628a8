// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
)

// Kind is the kind of the configuration file.
const Kind = "Config"

// file is the configuration as written. Every scalar but the kind of the
// thing is a string, so that a mistake can be named with its place.
type file struct {
	APIVersion string       `json:"apiVersion"`
	Kind       string       `json:"kind"`
	Due        dueFile      `json:"due"`
	Support    string       `json:"support"`
	Accepted   []acceptFile `json:"accepted"`
	Keepers    []keeperFile `json:"keepers"`
	Copies     []string     `json:"copies"`
}

type dueFile struct {
	Renewed struct {
		Left   string `json:"left"`
		AtMost string `json:"atMost"`
	} `json:"renewed"`
	SelfRenewed struct {
		Gone  string `json:"gone"`
		Slack string `json:"slack"`
	} `json:"selfRenewed"`
	TrustAnchor string `json:"trustAnchor"`
	Support     string `json:"support"`
}

type acceptFile struct {
	Code   string `json:"code"`
	ID     string `json:"id"`
	Reason string `json:"reason"`
	Until  string `json:"until"`
}

type keeperFile struct {
	ID     string `json:"id"`
	Keeper string `json:"keeper"`
	Class  string `json:"class"`
}

// Parse reads a configuration (YAML or JSON). What it does not set stays as in
// Default. It is strict: an unknown or repeated field, a unit that cannot be
// read, an acceptance without reason or date are errors that name the line or
// the field.
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
func Parse(data []byte) (Policy, error) {
	f, err := decode(data)
	if err != nil {
		return Policy{}, err
	}
	return f.policy()
}

func decode(data []byte) (file, error) {
	var f file
	if len(bytes.TrimSpace(data)) == 0 {
		return f, errors.New("the configuration is empty")
	}
	if err := oneDocument(data); err != nil {
		return f, err
	}
	body, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return f, tidy(err)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return f, explain(err, data)
	}
	if _, err := dec.Token(); err != io.EOF {
		return f, errors.New("the configuration has more than one value")
	}
	return f, nil
}

// tidy turns an error of the YAML parser into one line.
func tidy(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.TrimPrefix(text, "unmarshal errors:\n")
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = fact.Text(strings.TrimSpace(l)).String()
	}
	return errors.New(strings.Join(lines, "; "))
}

// oneDocument refuses a second YAML document: the parser reads the first only,
// and a setting that is silently left out is worse than an error.
func oneDocument(data []byte) error {
	content := false
	for n, l := range strings.Split(string(data), "\n") {
		l = strings.TrimRight(l, " \t\r")
		switch {
		case (l == "---" || strings.HasPrefix(l, "--- ")) && content:
			return fmt.Errorf("line %d: a second document starts here; a configuration is one", n+1)
		case l != "" && l != "---" && !strings.HasPrefix(l, "#"):
			content = true
		}
	}
	return nil
}

// explain turns an error of package json into the user's words.
func explain(err error, data []byte) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field := wrong.Field
		if field == "" {
			return errors.New("the configuration is not a map of fields")
		}
		want := "text, in quotes if need be"
		switch wrong.Type.Kind().String() {
		case "struct":
			want = "a map of fields"
		case "slice":
			want = "a list"
		}
		return fmt.Errorf("%s: want %s, not a %s", field, want, wrong.Value)
	}
	if quoted, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		name, unquoteErr := strconv.Unquote(quoted)
		if unquoteErr != nil {
			name = quoted
		}
		return fmt.Errorf("%sunknown field %q", lineOf(name, data), fact.Text(name))
	}
	return errors.New(fact.Text(err.Error()).String())
}

// lineOf finds the only line that sets the field, as "line 7: ".
func lineOf(field string, data []byte) string {
	found := 0
	for n, l := range strings.Split(string(data), "\n") {
		l = strings.TrimLeft(l, " \t-{")
		if !strings.HasPrefix(l, field+":") {
			continue
		}
		if found != 0 {
			return ""
		}
		found = n + 1
	}
	if found == 0 {
		return ""
	}
	return fmt.Sprintf("line %d: ", found)
}

func (f file) policy() (Policy, error) {
	p := Default()
	if f.APIVersion != finding.APIVersion {
		return p, fmt.Errorf("apiVersion: want %s, not %q", finding.APIVersion, fact.Text(f.APIVersion))
	}
	if f.Kind != Kind {
		return p, fmt.Errorf("kind: want %s, not %q", Kind, fact.Text(f.Kind))
	}
	err := errors.Join(
		set(&p.Renewed.Left, f.Due.Renewed.Left, "due.renewed.left", ParsePart),
		set(&p.Renewed.AtMost, f.Due.Renewed.AtMost, "due.renewed.atMost", ParseDuration),
		set(&p.SelfRenewed.Gone, f.Due.SelfRenewed.Gone, "due.selfRenewed.gone", ParsePart),
		set(&p.SelfRenewed.Slack, f.Due.SelfRenewed.Slack, "due.selfRenewed.slack", ParsePart),
		set(&p.TrustAnchor, f.Due.TrustAnchor, "due.trustAnchor", ParseDuration),
		set(&p.Support.Before, f.Due.Support, "due.support", ParseDuration),
		set(&p.Support.Counts, f.Support, "support", parseSupport),
	)
	for i, a := range f.Accepted {
		accepted, acceptErr := a.acceptance(fmt.Sprintf("accepted[%d]", i))
		p.Accepted = append(p.Accepted, accepted)
		err = errors.Join(err, acceptErr)
	}
	for i, k := range f.Keepers {
		rule, keeperErr := k.rule(fmt.Sprintf("keepers[%d]", i))
		p.Keepers = append(p.Keepers, rule)
		err = errors.Join(err, keeperErr)
	}
	for i, c := range f.Copies {
		if !path.IsAbs(c) || path.Clean(c) != c || strings.ContainsAny(c, "*\x00") {
			err = errors.Join(err, fmt.Errorf("copies[%d]: %q: want the absolute path of a file", i, fact.Text(c)))
		}
	}
	p.Copies = f.Copies
	if err != nil {
		return Policy{}, err
	}
	return p, nil
}

// set parses a value that was given; one that was not keeps its default.
func set[T any](to *T, value, field string, parse func(string) (T, error)) error {
	if value == "" {
		return nil
	}
	parsed, err := parse(value)
	if err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	*to = parsed
	return nil
}

func parseSupport(s string) (bool, error) {
	switch s {
	case "due", "notice":
		return s == "due", nil
	}
	return false, fmt.Errorf("%q: want notice or due", fact.Text(s))
}

func (a acceptFile) acceptance(field string) (Acceptance, error) {
	out := Acceptance{Code: finding.Code(a.Code), ID: a.ID, Reason: strings.TrimSpace(a.Reason)}
	var err error
	if _, known := finding.Explain(out.Code); !known {
		err = fmt.Errorf("%s.code: %q is no code; `perennial explain` lists them", field, fact.Text(a.Code))
	}
	if out.ID == "" {
		err = errors.Join(err, fmt.Errorf("%s.id: is required; a name such as cp1/apiserver, or * for all", field))
	}
	if out.Reason == "" {
		err = errors.Join(err, fmt.Errorf("%s.reason: is required; it is what the next reader will ask", field))
	}
	if a.Until == "" {
		return out, errors.Join(err, fmt.Errorf("%s.until: is required; a day such as 2027-06-01", field))
	}
	return out, errors.Join(err, set(&out.Until, a.Until, field+".until", ParseDate))
}

var (
	keepers = []finding.Keeper{
		finding.KeeperPerson, finding.KeeperKubelet, finding.KeeperRestart,
		finding.KeeperOwner, finding.KeeperUnknown, finding.KeeperNode,
	}
	keptClasses = []finding.Class{finding.Renewed, finding.SelfRenewed, finding.TrustAnchor}
)

func (k keeperFile) rule(field string) (KeeperRule, error) {
	out := KeeperRule{ID: k.ID, Keeper: finding.Keeper(k.Keeper), Class: finding.Class(k.Class)}
	var err error
	if out.ID == "" {
		err = fmt.Errorf("%s.id: is required; a name such as cp1/kubelet.conf, or a pattern with *", field)
	}
	if !slices.Contains(keepers, out.Keeper) {
		err = errors.Join(err, fmt.Errorf("%s.keeper: %q: want one of %s", field, fact.Text(k.Keeper), list(keepers)))
	}
	if out.Class != "" && !slices.Contains(keptClasses, out.Class) {
		err = errors.Join(err, fmt.Errorf("%s.class: %q: want one of %s", field, fact.Text(k.Class), list(keptClasses)))
	}
	return out, err
}

func list[T ~string](all []T) string {
	words := make([]string, len(all))
	for i, w := range all {
		words[i] = string(w)
	}
	return strings.Join(words, ", ")
}

// until writes the day or instant.
func (a Acceptance) until() string {
	if u := a.Until.UTC(); u.Equal(u.Truncate(24 * time.Hour)) {
		return u.Format(time.DateOnly)
	}
	return a.Until.UTC().Format(time.RFC3339)
}

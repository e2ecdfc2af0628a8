// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/schedule"
)

// MarshalJSON writes a policy in the form of the configuration file, with every
// setting that is in force: Parse reads the same policy from it. To is no
// setting and left out.
func (p Policy) MarshalJSON() ([]byte, error) { return json.Marshal(p.file()) }

// YAML writes the same as a file for people, safe to print.
func (p Policy) YAML() ([]byte, error) {
	body, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("writing the settings: %w", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("writing the settings: %w", err)
	}
	block(&doc)
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return nil, fmt.Errorf("writing the settings: %w", err)
	}
	return visible(out.Bytes()), nil
}

// block turns JSON's style into YAML's. What is not safe to print stays in
// quotes, within which it can be escaped.
func block(n *yaml.Node) {
	n.Style = 0
	if fact.Text(n.Value).String() != n.Value {
		n.Style = yaml.DoubleQuotedStyle
	}
	for _, c := range n.Content {
		block(c)
	}
}

// visible escapes what the YAML writer leaves as it is.
func visible(text []byte) []byte {
	var out []byte
	for _, r := range string(text) {
		switch {
		case r == '\n' || fact.Text(string(r)).String() == string(r):
			out = append(out, string(r)...)
		default:
			out = fmt.Appendf(out, `\U%08x`, r)
		}
	}
	return out
}

func (p Policy) file() file {
	f := file{
		APIVersion: written(finding.APIVersion), Kind: written(Kind),
		Due: dueFile{
			Renewed:     renewedFile{Left: written(p.Renewed.Left.exact()), AtMost: written(duration(p.Renewed.AtMost))},
			SelfRenewed: selfRenewedFile{Gone: written(p.SelfRenewed.Gone.exact()), Slack: written(p.SelfRenewed.Slack.exact())},
			TrustAnchor: written(duration(p.TrustAnchor)),
		},
		Support:  written("notice"),
		Accepted: []acceptFile{}, Keepers: []keeperFile{}, Copies: texts(p.Copies),
		Agent: p.Agent.file(),
	}
	if p.Support.Before > 0 {
		f.Due.Support = written(duration(p.Support.Before))
	}
	if p.Support.Counts {
		f.Support = written("due")
	}
	for _, a := range p.Accepted {
		f.Accepted = append(f.Accepted, acceptFile{Code: written(string(a.Code)), ID: written(a.ID), Reason: written(a.Reason), Until: written(a.until())})
	}
	for _, k := range p.Keepers {
		f.Keepers = append(f.Keepers, keeperFile{ID: written(k.ID), Keeper: written(string(k.Keeper)), Class: unlessEmpty(string(k.Class))})
	}
	return f
}

func (a Agent) file() agentFile {
	f := agentFile{
		Act: written(a.Act), Every: written(duration(a.Every)),
		Windows: []windowFile{}, Never: []neverFile{}, Zone: zoneName(a.When.Zone),
		Spread: written(duration(a.When.Spread)), Reserve: written(string(Never)), PerDay: written(a.When.PerDay),
		Restart: restartFile{APIServer: written(string(a.Restart.APIServer)), Others: written(string(a.Restart.Others))},
		Leave:   texts(a.Leave),
		Listen:  orNone(a.Listen), Textfile: orNone(a.Textfile), Calendar: orNone(a.Calendar),
	}
	if a.When.Reserve >= 0 {
		f.Reserve = written(duration(a.When.Reserve))
	}
	for _, w := range a.When.Windows {
		f.Windows = append(f.Windows, writtenWindow(w))
	}
	for _, n := range a.When.Never {
		f.Never = append(f.Never, neverFile{From: written(n.From.String()), Until: written(n.Until.String())})
	}
	return f
}

func writtenWindow(w schedule.Window) windowFile {
	f := windowFile{Start: written(w.Start.String()), Length: written(duration(w.Length)), Zone: zoneName(w.Zone)}
	if len(w.Days) > 0 {
		f.Days.state = given
	}
	for _, d := range w.Days {
		f.Days.value = append(f.Days.value, written(shortDay(d)))
	}
	return f
}

func texts(all []string) []word {
	out := []word{}
	for _, s := range all {
		out = append(out, written(s))
	}
	return out
}

func unlessEmpty(s string) word {
	if s == "" {
		return word{}
	}
	return written(s)
}

func orNone(s string) word {
	if s == "" {
		return written(none)
	}
	return written(s)
}

func zoneName(zone *time.Location) word {
	if zone == nil {
		return word{}
	}
	return written(zone.String())
}

// exact writes the part as ParsePart reads it.
func (p Part) exact() string {
	return strconv.FormatInt(p.Num, 10) + "/" + strconv.FormatInt(p.Den, 10)
}

// duration writes what ParseDuration reads: "90d", "1d12h", "5m".
func duration(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	var out string
	if d >= day {
		out = strconv.FormatInt(int64(d/day), 10) + "d"
	}
	rest := (d % day).String()
	if d%day == 0 {
		return out
	}
	if s, ok := strings.CutSuffix(rest, "m0s"); ok {
		rest = s + "m"
	}
	if s, ok := strings.CutSuffix(rest, "h0m"); ok {
		rest = s + "h"
	}
	return out + rest
}

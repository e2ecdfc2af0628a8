// SPDX-License-Identifier: Apache-2.0

package report

import (
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/timeline"
)

// The part of SARIF 2.1.0 that is written (OASIS, errata 01). Names are its own.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		Results     []sarifResult     `json:"results"`
		Automation  *sarifAutomation  `json:"automationDetails,omitempty"`
		Properties  map[string]string `json:"properties,omitempty"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID      string       `json:"id"`
		Short   sarifMessage `json:"shortDescription"`
		Full    sarifMessage `json:"fullDescription"`
		Help    sarifMessage `json:"help"`
		Default sarifConfig  `json:"defaultConfiguration"`
	}
	sarifConfig struct {
		Level string `json:"level"`
	}
	sarifMessage struct {
		Text string `json:"text"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		ExitCode      int                 `json:"exitCode"`
		Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level   string       `json:"level"`
		Message sarifMessage `json:"message"`
	}
	sarifAutomation struct {
		ID string `json:"id"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Level        string             `json:"level"`
		Message      sarifMessage       `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
		Properties   map[string]string  `json:"properties,omitempty"`
	}
	sarifLocation struct {
		Physical *sarifPhysical `json:"physicalLocation,omitempty"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifLogical struct {
		Name          string `json:"name"`
		QualifiedName string `json:"fullyQualifiedName"`
		Kind          string `json:"kind"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification"`
	}
)

// SARIF writes what is not ok as results of static analysis, SARIF 2.1.0: codes
// are the rules, files and objects the locations, what could not be looked at
// are notifications. Each timeline is a run.
func SARIF(w io.Writer, ts []timeline.Timeline) error {
	log := sarifLog{Schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{}}
	for _, t := range ts {
		log.Runs = append(log.Runs, sarifRunOf(t))
	}
	return JSON(w, log)
}

func sarifRunOf(t timeline.Timeline) sarifRun {
	name, version, _ := strings.Cut(t.Tool, " ")
	if name == "" {
		name = "perennial"
	}
	items := slices.DeleteFunc(slices.Clone(t.Items), func(i timeline.Item) bool { return i.Verdict == policy.OK })
	rules, index := sarifRules(items)
	run := sarifRun{
		Tool:        sarifTool{sarifDriver{Name: name, Version: version, Rules: rules}},
		Invocations: []sarifInvocation{{Successful: true, ExitCode: t.ExitCode, Notifications: notifications(t)}},
		Results:     []sarifResult{},
		Properties:  map[string]string{"headline": t.Headline},
	}
	if t.Cluster != "" {
		run.Automation = &sarifAutomation{string(t.Cluster) + "/"}
	}
	for _, i := range items {
		r := sarifResultOf(i)
		r.RuleIndex = index[i.Code]
		if hop := hopOf(t, i); hop != "" {
			r.Properties["hop"] = hop
		}
		run.Results = append(run.Results, r)
	}
	return run
}

func hopOf(t timeline.Timeline, i timeline.Item) string {
	if t.Upgrade == nil {
		return ""
	}
	return t.Upgrade.HopOf(i)
}

// sarifRules are the codes in use, in the order of the table of codes; those
// that it does not have come last.
func sarifRules(items []timeline.Item) ([]sarifRule, map[finding.Code]int) {
	level := map[finding.Code]string{}
	var unknown []finding.Code
	for _, i := range items {
		if _, ok := level[i.Code]; ok {
			continue
		}
		level[i.Code] = sarifLevel(i)
		if _, ok := finding.Explain(i.Code); !ok {
			unknown = append(unknown, i.Code)
		}
	}
	rules, index := []sarifRule{}, map[finding.Code]int{}
	add := func(info finding.Info) {
		index[info.Code] = len(rules)
		rules = append(rules, sarifRule{ID: string(info.Code), Short: sarifMessage{info.Title}, Full: sarifMessage{info.Means + " " + info.Cause},
			Help: sarifMessage{help(info)}, Default: sarifConfig{level[info.Code]}})
	}
	for _, info := range finding.Codes {
		if _, ok := level[info.Code]; ok {
			add(info)
		}
	}
	for _, code := range unknown {
		add(finding.Info{Code: code, Title: string(code), Means: string(code), Cure: string(code)})
	}
	return rules, index
}

// help is what to do, and where more of it stands.
func help(info finding.Info) string {
	if _, known := finding.ByHand(info.Code); !known {
		return info.Cure
	}
	return info.Cure + " By hand: " + finding.Runbook(info.Code)
}

// sarifLevel is how bad an item is, by its impact where it has one.
func sarifLevel(i timeline.Item) string {
	switch {
	case i.Impact == finding.Blocks, i.Impact == finding.Breaks:
		return "error"
	case i.Impact == finding.Changes:
		return "warning"
	case i.Impact == finding.Hint, i.Notice():
		return "note"
	case i.Verdict == policy.Overdue:
		return "error"
	}
	return "warning"
}

func sarifResultOf(i timeline.Item) sarifResult {
	r := sarifResult{
		RuleID: string(i.Code), Level: sarifLevel(i), Message: sarifMessage{message(i)}, Locations: []sarifLocation{sarifLocationOf(i)},
		Fingerprints: map[string]string{"finding/v1": string(i.ID) + " " + string(i.Code)},
		Properties:   map[string]string{},
	}
	for name, value := range map[string]string{"impact": string(i.Impact), "removedIn": i.RemovedIn, "fix": i.Fix, "verdict": string(i.Verdict)} {
		if value != "" {
			r.Properties[name] = value
		}
	}
	if i.Rule != nil {
		r.Properties["ruleOrigin"], r.Properties["ruleCitation"] = string(i.Rule.Origin), i.Rule.Citation
	}
	if a := i.Accepted; a != nil {
		r.Suppressions = []sarifSuppression{{"external", "accepted", plain(a.Reason)}}
	}
	return r
}

// message is what happens, who loses what, and what to do, in sentences.
func message(i timeline.Item) string {
	parts := []string{sentence(i.Title), sentence(i.Effect), sentence(i.Reason)}
	if fix := lines(i.Fix); fix != "" {
		parts = append(parts, "Fix: "+fix)
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

// lines is text of several lines, safe to print; a diff begins on its own.
func lines(text string) string {
	text = strings.TrimSpace(text)
	var out []string
	for line := range strings.Lines(text) {
		out = append(out, plain(strings.TrimRight(line, "\r\n")))
	}
	if len(out) > 1 {
		return "\n" + strings.Join(out, "\n")
	}
	return strings.Join(out, "")
}

// sentence makes one of half a sentence. What begins with a name keeps its case.
func sentence(s string) string {
	s = strings.TrimSpace(plain(s))
	if s == "" {
		return ""
	}
	word, _, _ := strings.Cut(s, " ")
	if strings.IndexFunc(word, func(r rune) bool { return (r < 'a' || r > 'z') && r != '\'' }) < 0 {
		s = strings.ToUpper(s[:1]) + s[1:]
	}
	return strings.TrimSuffix(s, ".") + "."
}

func sarifLocationOf(i timeline.Item) sarifLocation {
	l := sarifLocation{Logical: []sarifLogical{{Name: plain(i.ID), QualifiedName: plain(i.ID), Kind: "member"}}}
	if o := i.Object; o != nil {
		l.Logical[0].Name, l.Logical[0].Kind = plain(o.Name), "object"
		if o.Name == "" {
			l.Logical[0].Name = plain(o.Kind)
		}
	}
	path, line := i.File, i.Line
	if path == "" {
		path = first(i, func(e finding.Evidence) string { return e.Path })
		if path == "-" { // none
			return l
		}
	}
	l.Physical = &sarifPhysical{Artifact: sarifArtifact{uri(path)}}
	if line > 0 {
		l.Physical.Region = &sarifRegion{line}
	}
	return l
}

// uri is a file's path as a URI, relative where the path is.
func uri(path string) string {
	u := url.URL{Path: filepath.ToSlash(path)}
	if strings.HasPrefix(u.Path, "/") {
		u.Scheme = "file"
	}
	return u.String()
}

func notifications(t timeline.Timeline) []sarifNotification {
	var all []sarifNotification
	for _, u := range t.Unseen {
		all = append(all, sarifNotification{"warning", sarifMessage{"Not seen: " + unseenText(u)}})
	}
	if t.Upgrade != nil {
		for _, note := range t.Upgrade.Notes {
			all = append(all, sarifNotification{"note", sarifMessage{plain(note)}})
		}
	}
	return all
}

// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"unicode"

	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/timeline"
)

// The part of JUnit's XML that its two schemas in use have in common: that of
// the Ant task and that of Jenkins' xUnit plugin.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Package    string      `xml:"package,attr"`
		ID         int         `xml:"id,attr"`
		Name       string      `xml:"name,attr"`
		Timestamp  string      `xml:"timestamp,attr"` // UTC, without a zone
		Hostname   string      `xml:"hostname,attr"`
		Tests      int         `xml:"tests,attr"`
		Failures   int         `xml:"failures,attr"`
		Errors     int         `xml:"errors,attr"`
		Skipped    int         `xml:"skipped,attr"`
		Time       string      `xml:"time,attr"`
		Properties struct{}    `xml:"properties"`
		Cases      []junitCase `xml:"testcase"`
		Out        string      `xml:"system-out"`
		Err        string      `xml:"system-err"`
	}
	junitCase struct {
		Name      string      `xml:"name,attr"`
		Classname string      `xml:"classname,attr"`
		Time      string      `xml:"time,attr"`
		Skipped   *junitSkip  `xml:"skipped"`
		Error     *junitFault `xml:"error"`
		Failure   *junitFault `xml:"failure"`
	}
	junitSkip struct {
		Message string `xml:"message,attr,omitempty"`
	}
	junitFault struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes a timeline as test results: an item that counts and is not ok
// fails, one that is accepted is skipped, and what could not be looked at is an
// error. Each hop of an upgrade is a suite; the rest is one, too.
func JUnit(w io.Writer, ts []timeline.Timeline) error {
	var all junitSuites
	for _, t := range ts {
		all.Suites = append(all.Suites, junitSuitesOf(t, len(all.Suites))...)
	}
	body, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("writing junit: %w", err)
	}
	return write(w, append([]byte(xml.Header), append(body, '\n')...))
}

func junitSuitesOf(t timeline.Timeline, id int) []junitSuite {
	scope := "check"
	if t.Cluster != "" {
		scope += " " + plain(t.Cluster)
	}
	host := plain(t.Scope.Node)
	if host == "" {
		host = "localhost"
	}
	suite := func(name string) *junitSuite {
		s := &junitSuite{Package: "perennial", ID: id, Name: strings.TrimSpace(scope + " " + name), Timestamp: t.At.UTC().Format("2006-01-02T15:04:05"),
			Hostname: host, Time: "0", Out: xmlText(t.Headline)}
		id++
		return s
	}
	rest := suite("")
	suites, byHop := []*junitSuite{rest}, map[string]*junitSuite{}
	if t.Upgrade != nil {
		for _, h := range t.Upgrade.Hops {
			byHop[h.To] = suite("to " + plain(h.To))
			suites = append(suites, byHop[h.To])
		}
	}
	for _, i := range t.Items {
		s := rest
		if hop := byHop[hopOf(t, i)]; hop != nil {
			s = hop
		}
		s.add(junitCaseOf(i))
	}
	for _, u := range t.Unseen {
		text := xmlText(unseenText(u))
		rest.add(junitCase{Name: "look at " + xmlText(plain(u.What)), Classname: xmlText(plain(u.Source)), Time: "0", Error: &junitFault{Message: text, Type: xmlText(plain(u.Why))}})
	}
	out := make([]junitSuite, len(suites))
	for n, s := range suites {
		out[n] = *s
	}
	return out
}

func (s *junitSuite) add(c junitCase) {
	s.Cases = append(s.Cases, c)
	s.Tests++
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
}

func junitCaseOf(i timeline.Item) junitCase {
	where := plain(i.ID)
	if i.File != "" {
		where = whereOf(i) + " " + where
	}
	c := junitCase{Name: xmlText(plain(i.Code) + " " + where), Classname: xmlText(plain(i.Code)), Time: "0"}
	switch {
	case i.Accepted != nil:
		c.Skipped = &junitSkip{xmlText("accepted: " + plain(i.Accepted.Reason))}
	case i.Counts && i.Verdict != policy.OK:
		c.Failure = &junitFault{Message: xmlText(plain(i.Title)), Type: xmlText(plain(i.Verdict)), Text: xmlLines(where + ": " + message(i))}
	}
	return c
}

// xmlText leaves out what XML 1.0 cannot hold and what plain leaves: the
// noncharacters.
func xmlText(s string) string {
	return strings.Map(func(r rune) rune {
		if r == 0xfffe || r == 0xffff || unicode.Is(unicode.Cs, r) {
			return unicode.ReplacementChar
		}
		return r
	}, plain(s))
}

func xmlLines(s string) string {
	all := strings.Split(s, "\n")
	for n := range all {
		all[n] = xmlText(all[n])
	}
	return strings.Join(all, "\n")
}

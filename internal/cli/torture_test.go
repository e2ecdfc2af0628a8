// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cli_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ics "github.com/arran4/golang-ical"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"perennial.dev/perennial/internal/schema"
	"perennial.dev/perennial/internal/testnode"
	"perennial.dev/perennial/internal/timeline"
)

// torture is what a name of the certificate is: everything that a terminal, a page,
// a ticket or a spreadsheet acts upon.
const torture = injection + `<img src=x onerror=alert(2)> [a](javascript:alert(3)) @everyone #1 |x| ` + "`tick` \\\\ \"quoted\" 'single' \n# head\n/close\nBEGIN:VALARM\n]]>-->{\"a\":1}"

// tortured replaces a certificate by one with such names, 10,000 of them as
// alternative names, and an organization of 64 KiB. It ends tomorrow.
func tortured(n *testnode.Node) {
	now := time.Now()
	n.Issue("front-proxy-ca", "front-proxy-client", testnode.Leaf{Name: "front-proxy-client", Usage: forClients, Start: now.AddDate(-1, 0, 0), End: now.AddDate(0, 0, 1), Change: func(c *x509.Certificate) {
		c.Subject.CommonName = torture
		c.Subject.Organization = []string{torture + strings.Repeat("\u202eorganization ", 64<<10/15)}
		c.ExtraExtensions = append(c.ExtraExtensions, manyNames(10_000))
	}})
}

// manyNames are alternative names that package x509 would not write.
func manyNames(count int) pkix.Extension {
	var names []asn1.RawValue
	for i := range count {
		names = append(names, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: fmt.Appendf(nil, "\x1b[%dm<b>host-%d</b>\r\n.example.org", i%90, i)})
	}
	der, err := asn1.Marshal(names)
	if err != nil {
		panic(err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: der}
}

// readers read what a format is by a reader that is not the product's.
var readers = map[string]func(t *testing.T, text string){
	"table": onlyLines, "wide": onlyLines,
	"json": func(t *testing.T, text string) {
		schema.Read(t, "Timeline").Follows(t, "as JSON", []byte(text))
		var back timeline.Timeline
		if err := json.Unmarshal([]byte(text), &back); err != nil {
			t.Fatal(err)
		}
		names := 0
		for _, i := range back.Items {
			for _, e := range i.Evidence {
				if c := e.Certificate; c != nil && strings.Contains(string(c.Subject), "\x1b[31mred") {
					names = len(c.SANs) + c.SANsOmitted
				}
			}
		}
		if names != 10_000 {
			t.Errorf("the name does not decode to itself, or has %d alternative names", names)
		}
	},
	"yaml": func(t *testing.T, text string) {
		var back timeline.Timeline
		if err := yaml.UnmarshalStrict([]byte(text), &back); err != nil || len(back.Items) == 0 {
			t.Errorf("%d items: %v", len(back.Items), err)
		}
	},
	"markdown": func(t *testing.T, text string) {
		if len(text) > 65_536 {
			t.Errorf("%d bytes", len(text))
		}
		onlyLines(t, text)
	},
	"ics": func(t *testing.T, text string) {
		cal, err := ics.ParseCalendar(strings.NewReader(text))
		if err != nil || len(cal.Events()) == 0 {
			t.Fatalf("no events: %v", err)
		}
		for _, e := range cal.Events() {
			if n := len(e.Alarms()); n > 4 {
				t.Errorf("an event has %d alarms", n)
			}
		}
	},
	"prometheus": func(t *testing.T, text string) {
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(text))
		if err != nil || families["perennial_end_timestamp_seconds"] == nil {
			t.Errorf("%d families: %v", len(families), err)
		}
		if strings.Contains(text, "organization") {
			t.Error("a name of a certificate is a label")
		}
	},
	"sarif": func(t *testing.T, text string) {
		official, err := jsonschema.NewCompiler().Compile(filepath.Join("..", "report", "testdata", "sarif-schema-2.1.0.json"))
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := official.Validate(value); err != nil {
			t.Error(err)
		}
	},
	"junit": func(t *testing.T, text string) {
		names := map[string]int{}
		dec := xml.NewDecoder(strings.NewReader(text))
		for {
			token, err := dec.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if start, is := token.(xml.StartElement); is {
				names[start.Name.Local]++
			}
		}
		for name := range names {
			switch name {
			case "testsuites", "testsuite", "testcase", "properties", "failure", "error", "skipped", "system-out", "system-err":
			default:
				t.Errorf("an element %q came out of a name", name)
			}
		}
		if names["testcase"] == 0 {
			t.Error("no test")
		}
	},
	"html": onlyTemplate,
}

// onlyLines wants that no line of a name has become one of the report.
func onlyLines(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		for _, start := range []string{"# head", "/close", "BEGIN:", "FORGED"} {
			if strings.HasPrefix(strings.TrimSpace(line), start) {
				t.Errorf("a name has made the line %q", line)
			}
		}
	}
}

// formats asks the program which ones it offers.
func formats(t *testing.T) (all []string) {
	t.Helper()
	for line := range strings.Lines(run(t, "__complete", "check", "--output", "").out) {
		if name, _, is := strings.Cut(line, "\t"); is {
			all = append(all, name)
		}
	}
	if len(all) < 9 {
		t.Errorf("formats %q", all)
	}
	return all
}

// TestATortureCertificateInEveryFormat shows one certificate through everything that
// writes something.
func TestATortureCertificateInEveryFormat(t *testing.T) {
	n := testnode.New(t, testnode.Options{Key: "ed25519"})
	tortured(n)
	record := filepath.Join(t.TempDir(), "record.jsonl")
	common := []string{"check", "--config", settings(t)}
	first := run(t, append(common, "--root", n.Root, "--record", record, "-o", "json")...)
	if first.exit != timeline.ExitDue {
		t.Fatalf("exit code %d\n%s", first.exit, first.errors)
	}
	for _, format := range formats(t) {
		t.Run(format, func(t *testing.T) {
			read := readers[format]
			if read == nil {
				t.Fatal("nothing reads it again")
			}
			got := run(t, append(common, "--replay", record, "-o", format)...)
			if got.exit != timeline.ExitDue || got.errors != "" {
				t.Errorf("exit code %d: %s", got.exit, got.errors)
			}
			text := got.out
			if format == "ics" { // its lines end so
				text = strings.ReplaceAll(text, "\r\n", "\n")
			}
			unsafe(t, format, text)
			if len(text) > 1<<20 {
				t.Errorf("%d bytes", len(text))
			}
			read(t, got.out)
		})
	}
	t.Run("explain", func(t *testing.T) {
		got := run(t, "explain", "--config", settings(t), "--replay", record, "front-proxy-client")
		if got.exit != 0 || !strings.Contains(got.out, "and 9800 more") {
			t.Errorf("exit code %d: %s\n%.500s", got.exit, got.errors, got.out)
		}
		unsafe(t, "explain", got.out)
		onlyLines(t, got.out)
	})
}

// TestATortureCertificateIsRenewed plans, renews, tells and keeps by the agent what
// has such names.
func TestATortureCertificateIsRenewed(t *testing.T) {
	s := newSite(t)
	tortured(s.Node)
	told := func(code int, args ...string) string {
		out, got := s.run(args...)
		if got != code {
			t.Fatalf("perennial %s: exit code %d, want %d\n%.2000s", strings.Join(args, " "), got, code, out)
		}
		unsafe(t, strings.Join(args, " "), out)
		onlyLines(t, out)
		return out
	}
	for _, format := range []string{"table", "json", "yaml"} {
		out := told(timeline.ExitOK, "renew", "front-proxy-client", "--dry-run", "-o", format)
		if format == "json" {
			schema.Read(t, "Plan").Follows(t, "as JSON", []byte(out))
		}
	}
	told(timeline.ExitOK, "renew", "front-proxy-client", "--yes")
	for _, format := range []string{"table", "json", "yaml"} {
		out := told(timeline.ExitOK, "history", "-o", format)
		if format == "json" {
			schema.Read(t, "History").Follows(t, "as JSON", []byte(out))
			var h struct{ Plans []struct{ ID string } }
			if err := json.Unmarshal([]byte(out), &h); err != nil || len(h.Plans) != 1 {
				t.Fatalf("%v\n%s", err, out)
			}
			told(timeline.ExitOK, "history", "show", h.Plans[0].ID)
			schema.Read(t, "History").Follows(t, "as JSON", []byte(told(timeline.ExitOK, "history", "show", h.Plans[0].ID, "-o", "json")))
		}
	}
	// The new one has the old one's names.
	body, err := os.ReadFile(s.Path(pki + "/front-proxy-client.crt"))
	if err != nil || len(body) < 64<<10 {
		t.Fatalf("%d bytes: %v", len(body), err)
	}
	tortured(s.Node) // due again, for the agent
	s.look(timeline.ExitNeedsPerson, nil, allDue)
	for _, format := range []string{"table", "json", "yaml"} {
		out, _ := s.run("agent", "status", "-o", format)
		unsafe(t, "agent status "+format, out)
		onlyLines(t, out)
		if format == "json" {
			schema.Read(t, "AgentStatus").Follows(t, "as JSON", []byte(out))
		}
		if !strings.Contains(out, "front-proxy-client") {
			t.Errorf("agent status -o %s does not name it:\n%s", format, out)
		}
	}
}

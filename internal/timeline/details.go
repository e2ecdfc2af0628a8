// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"fmt"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
)

// Detail is one labelled line about an item. Both are safe to print.
type Detail struct {
	Name, Text string
	// Whole says that the text is there to be copied and compared: it is left in
	// one piece.
	Whole bool
}

// details collects what is not empty.
type details []Detail

func (d *details) add(name, text string) {
	if text != "" {
		*d = append(*d, Detail{Name: name, Text: plain(text)})
	}
}

func (d *details) whole(name, text string) {
	*d = append(*d, Detail{Name: name, Text: plain(text), Whole: true})
}

// plain makes safe to print what may hold anything.
func plain[T ~string](s T) string { return fact.Text(s).String() }

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// Details are what is known about an item beyond its title, its end and its fix:
// how it is judged, whom it hurts, who keeps it, and the evidence.
func (i Item) Details() []Detail {
	var d details
	d.add("Judged", i.Because)
	if !i.DueFrom.IsZero() {
		d.add("Due from", minute(i.DueFrom))
	}
	if a := i.Accepted; a != nil {
		d.add("Accepted", "until "+minute(a.Until)+": "+plain(a.Reason))
	}
	d.add("Effect", i.Effect)
	d.add("Reason", i.Reason)
	d.add("Kept by", KeptBy(i.Keeper))
	for _, e := range i.Evidence {
		d.evidence(e)
	}
	return d
}

func (d *details) evidence(e finding.Evidence) {
	if e.Path != "" {
		text := plain(e.Path)
		if e.Slot != "" {
			text += ", " + plain(e.Slot)
		}
		if e.Mode != "" {
			text += ", mode " + plain(e.Mode) + ", owner " + plain(e.Owner)
		}
		d.add("File", text)
	}
	d.add("Endpoint", e.Endpoint)
	if e.Key != nil {
		d.add("Key", plain(e.Key.Key)+", "+plain(e.Key.Fingerprint))
	}
	if e.Certificate != nil {
		d.certificate(*e.Certificate)
	}
	d.add("Issuer ID", string(e.IssuerID))
	for _, s := range e.Served {
		d.add("Served", servedText(s, e.Path != ""))
	}
	for _, id := range e.Identity {
		d.add("Used by", identityText(id))
	}
	d.add("Consumers", strings.Join(e.Consumers, ", "))
	d.add("Version", string(e.Version))
	if u := e.Upgrade; u != nil {
		d.add("Upgrade", "renews it "+plain(u.Renews)+": "+plain(u.Because)+citation(u.Source))
	}
	for _, n := range e.Notes {
		d.add("Note", string(n))
	}
}

func (d *details) certificate(c finding.Certificate) {
	d.add("Subject", string(c.Subject))
	d.add("Issuer", string(c.Issuer))
	if len(c.SANs) > 0 {
		text := joined(c.SANs)
		if c.SANsOmitted > 0 {
			text += fmt.Sprintf(" and %d more", c.SANsOmitted)
		}
		d.add("Names", text)
	}
	d.add("Valid", c.NotBefore.UTC().Format(time.RFC3339)+" to "+c.NotAfter.UTC().Format(time.RFC3339))
	kind := "key " + c.Key
	if c.CA {
		kind = "CA, " + kind
	}
	d.add("Kind", strings.Join(append([]string{kind}, c.Usages...), ", "))
	d.add("Serial", c.Serial)
	d.whole("Fingerprint", c.Fingerprint)
}

func joined(all []fact.Text) string {
	words := make([]string, len(all))
	for i, t := range all {
		words[i] = plain(t)
	}
	return strings.Join(words, ", ")
}

func servedText(s finding.Served, onDisk bool) string {
	text := "at " + plain(s.Endpoint)
	if s.SNI != "" {
		text += " for " + plain(s.SNI)
	}
	switch {
	case !onDisk:
		return text
	case s.Matches:
		return text + ": the one on disk"
	}
	return text + ": another one, " + plain(s.Fingerprint) + ", until " + s.NotAfter.UTC().Format(time.RFC3339)
}

func identityText(id finding.Identity) string {
	text := plain(id.Component)
	if id.PID != 0 {
		text += fmt.Sprintf(" (process %d)", id.PID)
	}
	if id.Current {
		text += ": uses what is on disk"
	} else {
		text += ": does not use what is on disk"
	}
	text += ", " + strings.ReplaceAll(plain(id.Grade), "-", " ")
	if !id.By.IsZero() {
		text += ", at the latest from " + id.By.UTC().Format(time.RFC3339)
	}
	if id.Because != "" {
		text += ": " + plain(id.Because)
	}
	return text
}

func citation(where string) string {
	if where == "" {
		return ""
	}
	return " (" + plain(where) + ")"
}

// keepers say in words who is expected to take an end away.
var keepers = map[finding.Keeper]string{
	finding.KeeperPerson:  "a person",
	finding.KeeperKubelet: "the kubelet",
	finding.KeeperRestart: "a restart",
	finding.KeeperOwner:   "its owner",
	finding.KeeperNode:    "another node",
	finding.KeeperUnknown: "-",
	"":                    "-",
}

// KeptBy is a keeper in words; "-" where it is not known.
func KeptBy(k finding.Keeper) string {
	if word, ok := keepers[k]; ok {
		return word
	}
	return plain(k)
}

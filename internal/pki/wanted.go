// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// Refused is a certificate that is not the one that was wanted, with
// everything that is wrong with it.
type Refused struct {
	Reasons []string // safe to print
}

func (r *Refused) Error() string {
	return "the certificate is not the one that was wanted: " + strings.Join(r.Reasons, "; ")
}

func (w Wanted) who() fact.Text {
	switch {
	case w.Old.Certificate != nil:
		return shortName(w.Old)
	case w.Spec != nil:
		return fact.Text(w.Spec.Name)
	}
	return "nobody"
}

// shortName is a certificate's name, cut where it would fill a screen.
func shortName(c fact.Cert) fact.Text { return fact.Text(clip(string(name(c.RawSubject, c.Subject)))) }

// form is what the certificate shall say.
func (w Wanted) form() (form, error) {
	var f form
	var err error
	switch {
	case (w.Old.Certificate == nil) == (w.Spec == nil):
		return form{}, errors.New("it is not clear what it shall say: there has to be either an old certificate or a description")
	case w.Spec != nil:
		f, err = w.Spec.form()
	default:
		if err := renewable(w.Old); err != nil {
			return form{}, err
		}
		f = formOf(w.Old)
	}
	if err != nil {
		return form{}, err
	}
	return f, f.addNames(w.AddDNS, w.AddIPs)
}

// renewable says why a certificate is not one that an authority issues again.
func renewable(old fact.Cert) error {
	switch {
	case old.BasicConstraintsValid && old.IsCA:
		return errors.New("it is a certificate authority, and all that it signed hangs on it: that is not renewed like a leaf")
	case bytes.Equal(old.RawSubject, old.RawIssuer) && SelfSigned(old):
		return errors.New("it is self-signed: there is no authority to renew it, its owner makes it anew")
	}
	return nil
}

func (w Wanted) publicKey() (crypto.PublicKey, error) {
	switch {
	case !w.Key.empty():
		return w.Key.signer().Public(), nil
	case w.Old.Certificate == nil:
		return nil, errors.New("there is no key for it")
	case w.Old.PublicKey == nil:
		return nil, errors.New("its key is of a kind that Go does not know: it needs a new one")
	}
	return w.Old.PublicKey, nil
}

func (w Wanted) keyFingerprint() string {
	switch {
	case !w.Key.empty():
		return w.Key.Public().Fingerprint
	case w.Old.Certificate != nil:
		return w.Old.KeyFingerprint()
	}
	return ""
}

// compare adds the reasons why a certificate does not say what is wanted.
//
// More than wanted is refused where it would give more: names, and groups in
// the name. Further usages and extensions are the signer's business. Of the
// name only what Kubernetes reads counts, the common name (the user) and the
// organisations (the groups).
func (w Wanted) compare(got fact.Cert, reasons *[]string) {
	note := func(format string, args ...any) { *reasons = append(*reasons, fmt.Sprintf(format, args...)) }
	f, err := w.form()
	if err != nil {
		note("%s", err)
		return
	}
	if got.KeyFingerprint() != w.keyFingerprint() {
		note("it has another key")
	}
	if got.BasicConstraintsValid && got.IsCA {
		note("it is a certificate authority")
	}
	compareSubject(f, got, note)
	compareNames(f, got, note)
	compareUsages(f, got, note)
}

func compareSubject(f form, got fact.Cert, note func(string, ...any)) {
	wanted, err := parseName(f.subject)
	if err != nil {
		note("%s", err)
		return
	}
	if got.Subject.CommonName != wanted.CommonName {
		note(`its common name is "%s" instead of "%s"`, fact.Text(clip(got.Subject.CommonName)), fact.Text(clip(wanted.CommonName)))
	}
	for _, o := range wanted.Organization {
		if !slices.Contains(got.Subject.Organization, o) {
			note(`its name lacks the organisation "%s"`, fact.Text(clip(o)))
		}
	}
	for _, o := range got.Subject.Organization {
		if !slices.Contains(wanted.Organization, o) {
			note(`its name has the organisation "%s", which was not asked for`, fact.Text(clip(o)))
		}
	}
}

func compareNames(f form, got fact.Cert, note func(string, ...any)) {
	have := formOf(got)
	wanted, err := f.names()
	if err != nil {
		note("%s", err)
		return
	}
	names, err := have.names()
	if err != nil {
		note("%s", err)
		return
	}
	if missing := wanted.without(names); len(missing) > 0 {
		note("it lacks the names %s", missing)
	}
	if extra := names.without(wanted); len(extra) > 0 {
		note("it has names that were not asked for: %s", extra)
	}
}

func (n generalNames) without(others generalNames) nameList {
	known := map[string]bool{}
	for _, name := range others {
		known[nameKey(name)] = true
	}
	var missing nameList
	for _, name := range n {
		if !known[nameKey(name)] {
			missing = append(missing, nameText(name))
		}
	}
	return missing
}

// nameList prints up to twenty names.
type nameList []fact.Text

func (l nameList) String() string {
	const limit = 20
	var words []string
	for _, name := range l[:min(len(l), limit)] {
		words = append(words, name.String())
	}
	if more := len(l) - limit; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, ", ")
}

func compareUsages(f form, got fact.Cert, note func(string, ...any)) {
	have := formOf(got)
	wanted, err := f.usages()
	if err != nil {
		note("%s", err)
		return
	}
	usages, err := have.usages()
	if err != nil {
		note("%s", err)
		return
	}
	any := slices.ContainsFunc(usages, func(id asn1.ObjectIdentifier) bool { return usageName(id) == x509.ExtKeyUsageAny.String() })
	for _, id := range wanted {
		if len(usages) > 0 && !any && !has(usages, id) {
			note("it lacks the usage %s", usageName(id))
		}
	}
	if len(wanted) > 0 && len(usages) == 0 {
		note("it says nothing of its usages")
	}
	if f.signs() && got.KeyUsage != 0 && got.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		note("its key usages lack digitalSignature, without which TLS does not take it")
	}
}

// trusted adds the reasons why a certificate is not trusted at an instant.
func trusted(leaf fact.Cert, chain, anchors []fact.Cert, at time.Time, reasons *[]string) {
	note := func(format string, args ...any) { *reasons = append(*reasons, fmt.Sprintf(format, args...)) }
	for _, usage := range verifiedUsages(leaf) {
		found := Verify(leaf, chain, anchors, usage)
		if found.Err != nil {
			note("%s", found.Err)
			break
		}
		if at.After(found.End) && !at.After(leaf.NotAfter) {
			note("%s, which it hangs on, has expired on %s", shortName(found.Ends), instant(found.End))
			break
		}
	}
	switch {
	case at.Before(leaf.NotBefore):
		note("it is valid only from %s", instant(leaf.NotBefore))
	case at.After(leaf.NotAfter):
		note("it has expired on %s", instant(leaf.NotAfter))
	}
}

// verifiedUsages are those for which a chain is checked: what TLS asks for of
// what the certificate has.
func verifiedUsages(leaf fact.Cert) []x509.ExtKeyUsage {
	var usages []x509.ExtKeyUsage
	for _, usage := range leaf.ExtKeyUsage {
		if usage == x509.ExtKeyUsageServerAuth || usage == x509.ExtKeyUsageClientAuth {
			usages = append(usages, usage)
		}
	}
	if len(usages) == 0 {
		return []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	}
	return usages
}

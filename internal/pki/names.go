// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// Tags of the kinds of names in a subject alternative name extension
// (RFC 5280 section 4.2.1.6).
const (
	tagEmail = 1
	tagDNS   = 2
	tagURI   = 6
	tagIP    = 7
)

// generalNames is a subject alternative name extension, entry by entry, each
// as its DER.
type generalNames []asn1.RawValue

func (f *form) names() (generalNames, error) {
	e := f.extension(oidSANs)
	if e == nil {
		return nil, nil
	}
	var names generalNames
	if rest, err := asn1.Unmarshal(e.Value, &names); err != nil || len(rest) > 0 {
		return nil, errors.New("its subject alternative names cannot be understood")
	}
	return names, nil
}

// addNames adds names and addresses that are not there yet, behind those that
// are. The order among the old ones and their bytes stay.
func (f *form) addNames(dns []string, ips []netip.Addr) error {
	if len(dns)+len(ips) == 0 {
		return nil
	}
	names, err := f.names()
	if err != nil {
		return err
	}
	before := len(names)
	for _, name := range dns {
		if !isDNSName(name) {
			return fmt.Errorf(`"%s" is no DNS name`, fact.Text(clip(name)))
		}
		names = names.with(dnsName(name))
	}
	for _, ip := range ips {
		if !ip.IsValid() || ip.Zone() != "" {
			return fmt.Errorf(`"%s" is no address for a certificate`, fact.Text(ip.String()))
		}
		names = names.with(ipName(ip))
	}
	if len(names) == before {
		return nil
	}
	value, err := asn1.Marshal(names)
	if err != nil {
		return err
	}
	f.set(oidSANs, len(f.subject) == len(emptyName), value)
	return nil
}

// emptyName is the DER of a name without parts. The alternative names of a
// certificate that has no other name are critical (RFC 5280 section 4.2.1.6).
var emptyName = []byte{0x30, 0x00}

func dnsName(name string) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tagDNS, Bytes: []byte(name)}
}

func ipName(ip netip.Addr) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tagIP, Bytes: ip.Unmap().AsSlice()}
}

func (n generalNames) with(name asn1.RawValue) generalNames {
	if n.has(name) {
		return n
	}
	return append(n, name)
}

func (n generalNames) has(name asn1.RawValue) bool {
	wanted := nameKey(name)
	for _, known := range n {
		if nameKey(known) == wanted {
			return true
		}
	}
	return false
}

// nameKey is equal for names that mean the same: DNS names do not mind case.
func nameKey(name asn1.RawValue) string {
	value := string(name.Bytes)
	if name.Class == asn1.ClassContextSpecific && name.Tag == tagDNS {
		value = strings.ToLower(value)
	}
	return fmt.Sprintf("%d/%d/%s", name.Class, name.Tag, value)
}

// nameText writes a name as reports do.
func nameText(name asn1.RawValue) fact.Text {
	value := clip(string(name.Bytes))
	switch name.Tag {
	case tagDNS:
		return fact.Text("dns:" + value)
	case tagEmail:
		return fact.Text("email:" + value)
	case tagURI:
		return fact.Text("uri:" + value)
	case tagIP:
		if ip, ok := netip.AddrFromSlice(name.Bytes); ok {
			return fact.Text("ip:" + ip.String())
		}
	}
	return fact.Text(fmt.Sprintf("a name of kind %d", name.Tag))
}

// isDNSName admits what crypto/x509 matches: labels of letters, digits,
// hyphens and underscores, the first one perhaps a wildcard.
func isDNSName(name string) bool {
	if len(name) == 0 || len(name) > 253 {
		return false
	}
	for i, label := range strings.Split(name, ".") {
		if i == 0 && label == "*" && strings.Contains(name, ".") {
			continue
		}
		if !isLabel(label) {
			return false
		}
	}
	return true
}

func isLabel(label string) bool {
	if len(label) == 0 || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
		return false
	}
	for _, c := range []byte(label) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// subjectOf encodes a name as crypto/x509 does for kubeadm: the organisations
// first, then the common name.
func subjectOf(commonName string, organizations []string) ([]byte, error) {
	return asn1.Marshal(pkix.Name{CommonName: commonName, Organization: organizations}.ToRDNSequence())
}

func parseName(raw []byte) (pkix.Name, error) {
	var sequence pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &sequence); err != nil || len(rest) > 0 {
		return pkix.Name{}, errors.New("its name cannot be understood")
	}
	var parsed pkix.Name
	parsed.FillFromRDNSequence(&sequence)
	return parsed, nil
}

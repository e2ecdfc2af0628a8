// SPDX-License-Identifier: Apache-2.0

package finding

import (
	"time"

	"perennial.dev/perennial/internal/fact"
)

// Evidence is what was seen. Its JSON form is part of the published contract:
// fields may be added, meanings never change.
type Evidence struct {
	Path        string       `json:"path,omitempty"`     // of the file
	Slot        fact.Text    `json:"slot,omitempty"`     // where inside the file, such as "user kubernetes-admin"
	Endpoint    string       `json:"endpoint,omitempty"` // host:port, where it was served
	Mode        string       `json:"mode,omitempty"`     // octal, "0600"
	Owner       string       `json:"owner,omitempty"`    // uid:gid
	Certificate *Certificate `json:"certificate,omitempty"`
	Key         *Key         `json:"key,omitempty"`      // of a bare key pair
	IssuerID    fact.ID      `json:"issuerID,omitempty"` // found by verifying, not by name
	Served      []Served     `json:"served,omitempty"`
	Identity    []Identity   `json:"identity,omitempty"`
	Consumers   []string     `json:"consumers,omitempty"` // components that use it
	Version     fact.Text    `json:"version,omitempty"`   // of the component or cluster
	Upgrade     *Upgrade     `json:"upgrade,omitempty"`   // whether the next upgrade renews it
	Notes       []fact.Text  `json:"notes,omitempty"`     // sentences that fit nowhere else
}

// Certificate describes a certificate.
type Certificate struct {
	Fingerprint string    `json:"fingerprint"` // sha256:<hex> over the DER bytes
	Serial      string    `json:"serial"`      // hex, lower case, no leading zeros
	Subject     fact.Text `json:"subject"`
	Issuer      fact.Text `json:"issuer"`
	// SANs are the subject alternative names as "dns:", "ip:", "uri:" or
	// "email:" and the value. At most SANLimit are kept.
	SANs        []fact.Text `json:"sans,omitempty"`
	SANsOmitted int         `json:"sansOmitted,omitempty"`
	Usages      []string    `json:"usages,omitempty"` // key usages and extended key usages by their RFC 5280 names
	CA          bool        `json:"ca,omitempty"`
	Key         string      `json:"key"` // "RSA 2048", "ECDSA 256", "Ed25519"
	NotBefore   time.Time   `json:"notBefore"`
	NotAfter    time.Time   `json:"notAfter"`
}

// Key is the public side of a key pair.
type Key struct {
	Key         string `json:"key"`         // "RSA 2048", "ECDSA 256", "Ed25519"
	Fingerprint string `json:"fingerprint"` // sha256:<hex> over the DER SubjectPublicKeyInfo
}

// SANLimit is the number of names a description keeps.
const SANLimit = 200

// Served is a certificate that a port presents.
type Served struct {
	Endpoint    string    `json:"endpoint"`
	SNI         fact.Text `json:"sni,omitempty"`
	Fingerprint string    `json:"fingerprint"`
	NotAfter    time.Time `json:"notAfter"`
	Matches     bool      `json:"matches"` // equals what is on disk
}

// Identity is which credential a running process uses, and how well that is
// known.
type Identity struct {
	Component string    `json:"component"`
	PID       int       `json:"pid,omitempty"`
	Grade     Grade     `json:"grade"`
	Current   bool      `json:"current"`           // it uses what is on disk now
	By        time.Time `json:"by,omitzero"`       // by rule: the latest instant at which it does
	Because   string    `json:"because,omitempty"` // one sentence
}

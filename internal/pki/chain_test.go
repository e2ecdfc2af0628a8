// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
)

func TestVerify(t *testing.T) {
	ca := selfSigned(t, authority("kubernetes", 10), newKey())
	leaf := ca.issues(t, server("apiserver", 1))
	middle := ca.issues(t, authority("middle", 5))
	below := middle.issues(t, server("below", 7))
	longLeaf := ca.issues(t, server("long", 20))
	reissued := selfSigned(t, authority("kubernetes", 30), ca.key)
	other := selfSigned(t, authority("other", 40), newKey())
	cross := fact.Cert{Certificate: other.issuesFor(t, authority("kubernetes", 35), ca.key.Public()).Certificate}
	replaced := selfSigned(t, authority("kubernetes", 10), newKey())
	loopback := selfSigned(t, server("loopback", 1), newKey())
	long := selfSigned(t, server("self", 50), newKey())

	expired := authority("expired", 10)
	expired.NotBefore, expired.NotAfter = day.AddDate(-20, 0, 0), day.AddDate(-10, 0, 0)
	old := selfSigned(t, expired, newKey())
	late := old.issues(t, server("late", 1)) // begins ten years after its CA's end

	certs := func(cs ...fact.Cert) []fact.Cert { return cs }
	for name, tt := range map[string]struct {
		leaf               fact.Cert
		presented, anchors []fact.Cert
		want               []fact.Cert
		ends               fact.Cert
	}{
		"direct":                  {leaf.Cert, nil, certs(ca.Cert), certs(leaf.Cert, ca.Cert), leaf.Cert},
		"leaf outlives CA":        {longLeaf.Cert, nil, certs(ca.Cert), certs(longLeaf.Cert, ca.Cert), ca.Cert},
		"over an intermediate":    {below.Cert, certs(below.Cert, middle.Cert), certs(ca.Cert), certs(below.Cert, middle.Cert, ca.Cert), middle.Cert},
		"intermediate as anchor":  {below.Cert, nil, certs(middle.Cert), certs(below.Cert, middle.Cert), middle.Cert},
		"root presented too":      {leaf.Cert, certs(leaf.Cert, ca.Cert), certs(ca.Cert), certs(leaf.Cert, ca.Cert), leaf.Cert},
		"CA issued again":         {longLeaf.Cert, nil, certs(ca.Cert, reissued.Cert, other.Cert), certs(longLeaf.Cert, reissued.Cert), longLeaf.Cert},
		"CA issued again, first":  {longLeaf.Cert, nil, certs(reissued.Cert, ca.Cert), certs(longLeaf.Cert, reissued.Cert), longLeaf.Cert},
		"cross-signed holds more": {longLeaf.Cert, certs(cross), certs(ca.Cert, other.Cert), certs(longLeaf.Cert, cross, other.Cert), longLeaf.Cert},
		"cross-signed, untrusted": {longLeaf.Cert, certs(cross), certs(ca.Cert), certs(longLeaf.Cert, ca.Cert), ca.Cert},
		"equal ends: the shorter": {leaf.Cert, certs(cross), certs(other.Cert, ca.Cert), certs(leaf.Cert, ca.Cert), leaf.Cert},
		"old and new CA":          {leaf.Cert, nil, certs(replaced.Cert, ca.Cert), certs(leaf.Cert, ca.Cert), leaf.Cert},
		"a CA alone":              {ca.Cert, nil, certs(ca.Cert), certs(ca.Cert), ca.Cert},
		"trusted by itself":       {loopback.Cert, nil, certs(loopback.Cert), certs(loopback.Cert), loopback.Cert},
		"only dates are wrong":    {late.Cert, nil, certs(old.Cert), certs(late.Cert, old.Cert), old.Cert},
		"holes in the lists":      {leaf.Cert, certs(fact.Cert{}), certs(fact.Cert{}, ca.Cert), certs(leaf.Cert, ca.Cert), leaf.Cert},
		"self-signed for long":    {long.Cert, nil, certs(ca.Cert, long.Cert), certs(long.Cert), long.Cert},
	} {
		t.Run(name, func(t *testing.T) {
			got := Verify(tt.leaf, tt.presented, tt.anchors, x509.ExtKeyUsageAny)
			if got.Err != nil {
				t.Fatal(got.Err)
			}
			if !sameCerts(got.Certs, tt.want...) {
				t.Errorf("chain %v, want %v", subjects(got.Certs), subjects(tt.want))
			}
			if !sameCerts([]fact.Cert{got.Ends}, tt.ends) || !got.End.Equal(tt.ends.NotAfter) {
				t.Errorf("ends with %v at %v", subjects([]fact.Cert{got.Ends}), got.End)
			}
		})
	}
}

func subjects(certs []fact.Cert) (names []string) {
	for _, c := range certs {
		names = append(names, fmt.Sprintf("%s until %d", c.Subject, c.NotAfter.Year()))
	}
	return names
}

func TestVerifyBroken(t *testing.T) {
	ca := selfSigned(t, authority("kubernetes", 10), newKey())
	leaf := ca.issues(t, server("apiserver", 1))
	replaced := selfSigned(t, authority("kubernetes", 10), newKey())
	unnamed := selfSigned(t, authority("other", 10), newKey())
	middle := ca.issues(t, authority("middle", 5))
	below := middle.issues(t, server("below", 1))
	loopback := selfSigned(t, server("loopback", 1), newKey())

	noCA := authority("no CA", 10)
	noCA.IsCA, noCA.KeyUsage = false, x509.KeyUsageDigitalSignature
	pretender := selfSigned(t, noCA, newKey())
	underPretender := pretender.issues(t, server("a", 1))

	narrow := authority("narrow", 10)
	narrow.PermittedDNSDomainsCritical, narrow.PermittedDNSDomains = true, []string{"example.org"}
	constrained := selfSigned(t, narrow, newKey())

	short := authority("short", 10)
	short.MaxPathLenZero = true
	shortCA := selfSigned(t, short, newKey())
	tooDeep := shortCA.issues(t, authority("deep", 10))

	odd := server("odd", 1)
	odd.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}

	hostile := selfSigned(t, authority("\x1b[2J\u202eevil", 10), newKey())

	certs := func(cs ...fact.Cert) []fact.Cert { return cs }
	for name, tt := range map[string]struct {
		leaf               fact.Cert
		presented, anchors []fact.Cert
		usage              x509.ExtKeyUsage
		want               string
	}{
		"no certificate":        {fact.Cert{}, nil, certs(ca.Cert), 0, "there is no certificate to verify"},
		"no anchors":            {leaf.Cert, nil, nil, 0, "there is no trusted certificate to verify with"},
		"CA replaced":           {leaf.Cert, nil, certs(replaced.Cert), 0, "the trusted certificate with the issuer's name, CN=kubernetes, has another key: it was replaced"},
		"another CA":            {leaf.Cert, nil, certs(unnamed.Cert), 0, "no trusted certificate has the issuer's name, CN=kubernetes"},
		"intermediate missing":  {below.Cert, nil, certs(ca.Cert), 0, "no trusted certificate has the issuer's name, CN=middle"},
		"above is untrusted":    {below.Cert, certs(middle.Cert), certs(unnamed.Cert), 0, "no trusted certificate has the issuer's name, CN=kubernetes"},
		"self-signed":           {loopback.Cert, nil, certs(ca.Cert), 0, "it ends in the self-signed certificate CN=loopback, which is not trusted"},
		"root only presented":   {leaf.Cert, certs(ca.Cert), certs(unnamed.Cert), 0, "it ends in the self-signed certificate CN=kubernetes, which is not trusted"},
		"usage":                 {leaf.Cert, nil, certs(ca.Cert), x509.ExtKeyUsageClientAuth, "incompatible key usage"},
		"issuer is no CA":       {underPretender.Cert, nil, certs(pretender.Cert), 0, "the chain is not accepted: x509:"},
		"name constraint":       {constrained.issues(t, server("example.com", 1)).Cert, nil, certs(constrained.Cert), 0, "is not permitted by any constraint"},
		"path length":           {tooDeep.issues(t, server("a", 1)).Cert, certs(tooDeep.Cert), certs(shortCA.Cert), 0, "too many intermediates"},
		"critical extension":    {ca.issues(t, odd).Cert, nil, certs(ca.Cert), 0, "unhandled critical extension"},
		"hostile name":          {hostile.issues(t, server("a", 1)).Cert, nil, certs(ca.Cert), 0, `CN=\x1b[2J\u202eevil`},
		"hostile name, refused": {hostile.issues(t, odd).Cert, nil, certs(hostile.Cert), 0, "unhandled critical extension"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Verify(tt.leaf, tt.presented, tt.anchors, tt.usage)
			if got.Err == nil || !strings.Contains(got.Err.Error(), tt.want) {
				t.Fatalf("error %v, want %q", got.Err, tt.want)
			}
			if strings.ContainsAny(got.Err.Error(), "\x1b\u202e") {
				t.Errorf("the error is not safe to print: %q", got.Err)
			}
			if tt.leaf.Certificate != nil && (!sameCerts(got.Certs, tt.leaf) || !got.End.Equal(tt.leaf.NotAfter)) {
				t.Errorf("chain %v ends %v, want the leaf alone", subjects(got.Certs), got.End)
			}
		})
	}
}

// For every pair out of a mixed set, Verify must agree with crypto/x509 at an
// instant at which everything is valid.
func TestVerifyAgreesWithX509(t *testing.T) {
	ca := selfSigned(t, authority("a", 10), newKey())
	again := selfSigned(t, authority("a", 12), ca.key)
	other := selfSigned(t, authority("b", 10), newKey())
	cross := made{other.issuesFor(t, authority("a", 9), ca.key.Public()), ca.key}
	middle := ca.issues(t, authority("m", 8))
	all := []fact.Cert{ca.Cert, again.Cert, other.Cert, cross.Cert, middle.Cert,
		ca.issues(t, server("1", 1)).Cert, middle.issues(t, server("2", 2)).Cert, other.issues(t, server("3", 3)).Cert,
		selfSigned(t, server("4", 4), newKey()).Cert}
	for _, leaf := range all {
		for mask := range 1 << 5 {
			var anchors []fact.Cert
			roots, between := x509.NewCertPool(), x509.NewCertPool()
			for i, c := range all {
				if i < 5 && mask&(1<<i) != 0 {
					anchors = append(anchors, c)
					roots.AddCert(c.Certificate)
				}
				between.AddCert(c.Certificate)
			}
			chains, want := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between,
				CurrentTime: day.AddDate(0, 1, 0), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
			got := Verify(leaf, all, anchors, x509.ExtKeyUsageAny)
			if (got.Err == nil) != (want == nil) {
				t.Fatalf("%s with anchors %05b: %v, crypto/x509: %v", leaf.Subject, mask, got.Err, want)
			}
			if want == nil && got.End.Before(latestEnd(chains)) {
				t.Errorf("%s with anchors %05b: ends %v, but a chain of crypto/x509 ends %v", leaf.Subject, mask, got.End, latestEnd(chains))
			}
		}
	}
}

func latestEnd(chains [][]*x509.Certificate) (latest time.Time) {
	for _, chain := range chains {
		end := chain[0].NotAfter
		for _, c := range chain {
			if c.NotAfter.Before(end) {
				end = c.NotAfter
			}
		}
		if end.After(latest) {
			latest = end
		}
	}
	return latest
}

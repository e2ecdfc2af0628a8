// SPDX-License-Identifier: Apache-2.0

package checkpoint

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"

	"perennial.dev/perennial/internal/fact"
)

// lazily is a pattern that is made when it is first asked for: no other command needs
// these.
func lazily(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

// secretNames are parts of names whose values people keep to themselves, each
// between the beginning, the end, or a character that is no letter.
var secretNames = lazily(`(?i)(^|[^a-z])(pass(word|wd|phrase)?|secret|token|credentials?|api[-_.]?key|access[-_.]?key|private[-_.]?key|secret[-_.]?key|auth[-_.]?key|signing[-_.]?key|encryption[-_.]?key|dsn|pgpassword|client[-_.]?secret|[a-z]*password|[a-z]*passwd)($|[^a-z])`)

// notSecret are names that look like one and hold the place of one.
var notSecret = lazily(`(?i)(_|-|\.)(file|path|dir|name|url|uri|ttl|expiry)$`)

// secretName says why the value of a name is likely to be a secret; empty: it is
// not.
func secretName(name string) string {
	if !secretNames().MatchString(name) || notSecret().MatchString(name) {
		return ""
	}
	return "its name says so"
}

// shapes are what secrets look like wherever they stand.
var shapes = []struct {
	like func() *regexp.Regexp
	why  string
}{
	{lazily(`-----BEGIN [A-Z ]*PRIVATE KEY-----`), "it holds a private key"},
	{lazily(`\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}`), "it holds a JSON web token"},
	{lazily(`\b(AKIA|ASIA)[0-9A-Z]{16}\b`), "it holds an access key of AWS"},
	{lazily(`\bgh[pousr]_[A-Za-z0-9]{30,}`), "it holds a token of GitHub"},
	{lazily(`\bglpat-[A-Za-z0-9_-]{20,}`), "it holds a token of GitLab"},
	{lazily(`\bxox[abpr]-[A-Za-z0-9-]{10,}`), "it holds a token of Slack"},
	{lazily(`\b[a-z][a-z0-9+.-]*://[^/\s:@]+:[^/\s:@]+@`), "it holds an address with a password"},
}

// valueLimit is how much of a value is searched.
const valueLimit = 64 << 10

// secretValue says why a value is likely to be a secret; empty: it is not.
func secretValue(value string) string {
	value = value[:min(len(value), valueLimit)]
	for _, s := range shapes {
		if s.like().MatchString(value) {
			return s.why
		}
	}
	return ""
}

// secretMount says why what is mounted is likely to hold secrets. The kubelet
// keeps volumes by their plugin's name (pkg/volume/secret, pkg/volume/projected),
// and mounts the token of the service account at a place of its own.
func secretMount(m Mount) string {
	switch source := string(m.Source); {
	case m.Path == "/var/run/secrets/kubernetes.io/serviceaccount" || m.Path == "/run/secrets/kubernetes.io/serviceaccount":
		return "the token of the pod's service account"
	case strings.Contains(source, "/volumes/kubernetes.io~secret/"):
		return "a Secret is mounted there"
	case strings.Contains(source, "/volumes/kubernetes.io~projected/"):
		return "a projected volume, of tokens and Secrets as a rule"
	case strings.Contains(source, "/volumes/kubernetes.io~csi/") && strings.Contains(source, "secret"):
		return "a volume of a driver for secrets"
	}
	return ""
}

// needles are looked for in memory: the beginnings of what has an unmistakable
// one.
var needles = []struct {
	text, why string
}{
	{"PRIVATE KEY-----", "private keys in PEM"},
	{"eyJhbGciOi", "JSON web tokens"},
	{"\"client-key-data\"", "kubeconfigs with keys"},
	{"client-key-data:", "kubeconfigs with keys"},
	{"Authorization: Bearer ", "requests with a bearer token"},
	{"authorization: Bearer ", "requests with a bearer token"},
	{"AWS_SECRET_ACCESS_KEY=", "access keys of AWS"},
}

// remembered counts what looks like secrets in memory. It keeps nothing of it.
func (rd *reader) remembered(name string, r io.Reader) error {
	const piece = 1 << 20
	longest := 0
	for _, n := range needles {
		longest = max(longest, len(n.text))
	}
	counts := map[string]int{}
	buffer := make([]byte, 0, piece+longest)
	for {
		if err := rd.ctx.Err(); err != nil {
			return err
		}
		kept := len(buffer)
		n, err := io.ReadFull(r, buffer[kept:kept+piece])
		buffer = buffer[:kept+n]
		for _, needle := range needles {
			// What lies in the kept part as a whole was counted before.
			from := max(0, kept-len(needle.text)+1)
			counts[needle.why] += bytes.Count(buffer[from:], []byte(needle.text))
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return err
		}
		buffer = append(buffer[:0], buffer[len(buffer)-longest:]...)
	}
	for _, needle := range needles {
		if n := counts[needle.why]; n > 0 {
			rd.d.Secrets = append(rd.d.Secrets, Secret{fact.Text("memory in " + name), fmt.Sprintf("%s, seen %d times", needle.why, n)})
			delete(counts, needle.why)
		}
	}
	return nil
}

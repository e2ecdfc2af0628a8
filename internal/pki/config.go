// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v2"
)

// Limits of what is decoded. YAML costs about a hundred times the memory of
// a file that is nothing but punctuation, so that is limited too.
const (
	maxConfigBytes       = 16 << 20
	maxConfigPunctuation = 400_000
)

// config is the part of a v1 Config (client-go tools/clientcmd/api/v1) that
// matters here. Decoding straight into it, instead of by way of JSON as
// client-go does, never copies what an alias repeats, skips what is not
// listed, and keeps the rest of a file that has one value of a wrong type.
type config struct {
	Kind           string         `yaml:"kind"`
	CurrentContext string         `yaml:"current-context"`
	Clusters       []namedCluster `yaml:"clusters"`
	Contexts       []namedContext `yaml:"contexts"`
	Users          []namedUser    `yaml:"users"`
}

type namedCluster struct {
	Name    string `yaml:"name"`
	Cluster struct {
		Server string `yaml:"server"`
		CAFile string `yaml:"certificate-authority"`
		CAData string `yaml:"certificate-authority-data"`
	} `yaml:"cluster"`
}

type namedContext struct {
	Name    string `yaml:"name"`
	Context struct {
		Cluster string `yaml:"cluster"`
		User    string `yaml:"user"`
	} `yaml:"context"`
}

type namedUser struct {
	Name string     `yaml:"name"`
	User configUser `yaml:"user"`
}

type configUser struct {
	CertFile     string  `yaml:"client-certificate"`
	CertData     string  `yaml:"client-certificate-data"`
	KeyFile      string  `yaml:"client-key"`
	KeyData      string  `yaml:"client-key-data"`
	Token        present `yaml:"token"`
	TokenFile    present `yaml:"tokenFile"`
	Username     present `yaml:"username"`
	Password     present `yaml:"password"`
	Exec         present `yaml:"exec"`
	AuthProvider present `yaml:"auth-provider"`
}

// other names the ways in which the user proves itself besides a certificate.
func (u configUser) other() string {
	var ways []string
	add := func(way string, is present) {
		if is {
			ways = append(ways, way)
		}
	}
	add("token", u.Token || u.TokenFile)
	add("exec", u.Exec)
	add("auth-provider", u.AuthProvider)
	add("basic", u.Username || u.Password)
	return strings.Join(ways, ", ")
}

// incomplete says that a certificate stands without its key or the reverse:
// client-go then presents no certificate at all.
func (u configUser) incomplete() string {
	cert := u.CertFile != "" || u.CertData != ""
	key := u.KeyFile != "" || u.KeyData != ""
	switch {
	case cert && !key:
		return "there is a client certificate and no key for it"
	case key && !cert:
		return "there is a client key and no certificate for it"
	}
	return ""
}

// present is a value of which only its being there is kept.
type present bool

// UnmarshalYAML implements yaml.Unmarshaler. It is not called for null.
func (p *present) UnmarshalYAML(unmarshal func(any) error) error {
	var scalar string
	err := unmarshal(&scalar)
	*p = err != nil || scalar != ""
	return nil
}

// decodeConfig reads as much of a kubeconfig as can be; false is nothing.
func decodeConfig(data []byte, faults *faults) (config, bool) {
	var c config
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		faults.add("the content is empty")
		return c, false
	case len(data) > maxConfigBytes:
		faults.add("it is no kubeconfig: larger than %d MiB", maxConfigBytes>>20)
		return c, false
	case punctuation(data) > maxConfigPunctuation:
		faults.add("it has too many entries to be looked at")
		return c, false
	}
	err := yaml.Unmarshal(data, &c)
	var mismatch *yaml.TypeError
	switch {
	case errors.As(err, &mismatch):
		faults.add("it is no valid kubeconfig: a value has the wrong type%s", lineOf(mismatch.Errors[0]))
	case err != nil:
		faults.add("it is no YAML%s: %s", lineOf(err.Error()), yamlCause(err))
		return c, false
	}
	if c.Clusters == nil && c.Users == nil && c.Contexts == nil {
		faults.add("it is no kubeconfig: neither clusters nor users nor contexts in it")
		return c, mismatch == nil && c.Kind == "Config"
	}
	if c.Kind != "" && c.Kind != "Config" {
		faults.add("it is no valid kubeconfig: its kind is not Config")
	}
	return c, true
}

// punctuation counts the bytes without which YAML cannot begin another node.
func punctuation(data []byte) int {
	n := 0
	for _, mark := range []byte("\n,:[{?*") {
		n += bytes.Count(data, []byte{mark})
	}
	return n
}

var linePattern = regexp.MustCompile(`^(?:yaml: )?line ([0-9]{1,9}): `)

func lineOf(message string) string {
	if m := linePattern.FindStringSubmatch(message); m != nil {
		return " at line " + m[1]
	}
	return ""
}

// yamlCauses are the parser's fixed sentences that are worth passing on.
// Others are left out: some quote the file, which may hold tokens and keys.
var yamlCauses = []string{
	"mapping values are not allowed in this context",
	"did not find expected key",
	"did not find expected '-' indicator",
	"did not find expected ',' or ']'",
	"did not find expected ',' or '}'",
	"did not find expected node content",
	"found character that cannot start any token",
	"found unexpected end of stream",
	"found unknown escape character",
	"could not find expected ':'",
	"block sequence entries are not allowed in this context",
	"control characters are not allowed",
	"invalid leading UTF-8 octet",
	"incomplete UTF-8 octet sequence",
	"document contains excessive aliasing",
	"exceeded max depth",
}

func yamlCause(err error) string {
	for _, cause := range yamlCauses {
		if strings.HasSuffix(err.Error(), cause) || strings.Contains(err.Error(), cause+" of ") {
			return cause
		}
	}
	return "its structure is broken"
}

// IsKubeconfig recognises a kubeconfig by its outermost fields, without
// understanding it: kind Config, and clusters or users.
func IsKubeconfig(data []byte) bool {
	if len(data) > maxConfigBytes {
		return false
	}
	data = bytes.TrimPrefix(data, byteOrderMark)
	if trimmed := bytes.TrimSpace(data); bytes.HasPrefix(trimmed, []byte("{")) {
		var c struct {
			Kind     string          `json:"kind"`
			Clusters json.RawMessage `json:"clusters"`
			Users    json.RawMessage `json:"users"`
		}
		err := json.Unmarshal(trimmed, &c)
		return err == nil && c.Kind == "Config" && (c.Clusters != nil || c.Users != nil)
	}
	var kind, list bool
	for line := range bytes.Lines(data) {
		switch field, value := topLevel(line); field {
		case "kind":
			kind = value == "Config"
		case "clusters", "users":
			list = true
		}
	}
	return kind && list
}

// topLevel splits a line of a YAML mapping that is not indented.
func topLevel(line []byte) (field, value string) {
	const longest = 200 // no line that matters is longer
	if len(line) > longest || strings.IndexByte(" \t#-", line[0]) >= 0 {
		return "", ""
	}
	field, value, _ = strings.Cut(string(line), ":")
	value, _, _ = strings.Cut(value, " #")
	return unquoted(field), unquoted(value)
}

func unquoted(scalar string) string { return strings.Trim(strings.TrimSpace(scalar), `"'`) }

// SPDX-License-Identifier: Apache-2.0

package release

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Minor is a Kubernetes minor release: Minor(37) is 1.37. Minors are ordered
// and counted with the usual operators, so the number of upgrade hops between
// two is their difference. Kubernetes has never had another major version than
// 1, and a text with another one is refused. The zero Minor means unknown.
type Minor int

// maxMinor bounds what is read from outside. It is far beyond any release and
// keeps arithmetic on hostile input harmless.
const maxMinor = 999

// ParseMinor reads the minor release from "1.37", "v1.37", "v1.37.2",
// "1.37.0-rc.1", "v1.32.2+k3s1", "v1.28.15-lts.2" or the "1.21+" that some
// vendors' /version endpoints put together.
func ParseMinor(text string) (Minor, error) {
	if m, err := parseBareMinor(text); err == nil {
		return m, nil
	}
	v, err := ParseVersion(text)
	if err != nil {
		return 0, fmt.Errorf("parsing minor release %s: want a form like 1.37 or v1.37.2", quote(text))
	}
	return v.Minor, nil
}

func parseBareMinor(text string) (Minor, error) {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(text, "v"), "1.")
	if !ok {
		return 0, errors.New("no major version 1")
	}
	n, err := parseNumber(strings.TrimSuffix(rest, "+"), maxMinor)
	return Minor(n), err
}

// String prints the minor release as "1.37", without a leading v.
func (m Minor) String() string { return "1." + strconv.Itoa(int(m)) }

// MarshalText prints the minor release as String does.
func (m Minor) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what ParseMinor reads.
func (m *Minor) UnmarshalText(text []byte) error {
	parsed, err := ParseMinor(string(text))
	if err != nil {
		return err
	}
	*m = parsed
	return nil
}

// parseNumber reads a decimal number as semantic versions write them: digits
// only, no sign, no leading zero.
func parseNumber(text string, limit int) (int, error) {
	if text == "" || len(text) > 6 || (len(text) > 1 && text[0] == '0') {
		return 0, errors.New("not a version number")
	}
	n := 0
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0, errors.New("not a version number")
		}
		n = n*10 + int(c-'0')
	}
	if n > limit {
		return 0, errors.New("version number out of range")
	}
	return n, nil
}

// quote prints text from outside for an error message: escaped, and cut so
// that a megabyte of rubbish does not become a megabyte of error.
func quote(text string) string {
	const limit = 64
	if len(text) > limit {
		return strconv.QuoteToASCII(text[:limit]) + "..."
	}
	return strconv.QuoteToASCII(text)
}

// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"fmt"
	"slices"
)

// block is one PEM block as it stands in a file. encoding/pem passes over
// whatever it cannot read; this scan finds the same blocks, and also knows
// where the others are and what is wrong with them.
type block struct {
	raw       []byte // from the BEGIN line to the end of the END line
	at        int    // where raw begins in the file
	kind      string // CERTIFICATE, PRIVATE KEY ...; empty where it is none that is known
	number    int    // in the file, from 1
	line      int    // of the BEGIN line, from 1
	afterMark bool   // a byte-order mark stands before the BEGIN line
	fault     string // why there is nothing to decode
}

var (
	begin         = []byte("-----BEGIN ")
	end           = []byte("-----END ")
	dashes        = []byte("-----")
	byteOrderMark = []byte("\uFEFF")
)

// kinds are the types of block that may be named. Any other text on a BEGIN
// line stays out of sentences: with its line breaks lost, a PEM file has the
// whole key on that line.
var kinds = []string{
	"CERTIFICATE", "PUBLIC KEY", "RSA PUBLIC KEY",
	"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY",
	"DSA PRIVATE KEY", "OPENSSH PRIVATE KEY",
	"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST", "TRUSTED CERTIFICATE",
	"X509 CERTIFICATE", "X509 CRL", "PKCS7", "CMS",
	"EC PARAMETERS", "DH PARAMETERS", "DSA PARAMETERS",
}

// scan calls found for each block, in order, in one pass over the lines.
func scan(data []byte, found func(block)) {
	var open *block
	var start int
	unfinished := func() {
		if open == nil {
			return
		}
		if open.fault == "" {
			open.fault = "has no END line: the file is cut off or was put together wrongly"
		}
		found(*open)
		open = nil
	}
	for pos, line := 0, 1; pos < len(data); line++ {
		next := len(data)
		if i := bytes.IndexByte(data[pos:], '\n'); i >= 0 {
			next = pos + i + 1
		}
		text := data[pos:next]
		switch trimmed := bytes.TrimLeft(text, " \t"); {
		case bytes.HasPrefix(text, begin):
			unfinished()
			open, start = opened(text, line), pos
		case bytes.HasPrefix(text, byteOrderMark) && bytes.HasPrefix(text[len(byteOrderMark):], begin):
			unfinished()
			start = pos + len(byteOrderMark)
			open = opened(data[start:next], line)
			open.afterMark = true
		case bytes.HasPrefix(trimmed, begin) && open == nil:
			b := opened(trimmed, line)
			b.fault = "is indented, so Kubernetes does not see it"
			found(*b)
		case bytes.HasPrefix(text, end) && open != nil:
			open.raw, open.at = data[start:next], start
			found(*open)
			open = nil
		}
		pos = next
	}
	unfinished()
}

func opened(beginLine []byte, line int) *block {
	kind := bytes.TrimRight(beginLine[len(begin):], " \t\r\n")
	kind, whole := bytes.CutSuffix(kind, dashes)
	b := &block{line: line}
	switch {
	case !whole || bytes.Contains(kind, dashes):
		b.fault = "has more than the BEGIN mark on its first line: its line breaks were lost"
	case slices.Contains(kinds, string(kind)):
		b.kind = string(kind)
	}
	return b
}

func (b block) name() string {
	if b.kind == "" {
		return "a block of unknown type"
	}
	return b.kind
}

func (b block) where() string {
	if b.kind == "" {
		return fmt.Sprintf("block %d at line %d", b.number, b.line)
	}
	return fmt.Sprintf("block %d (%s) at line %d", b.number, b.kind, b.line)
}

// undecodable says why encoding/pem did not take the block. It names lines
// and never quotes them.
func (b block) undecodable() string {
	lines := bytes.Split(bytes.TrimRight(b.raw, "\r\n"), []byte("\n"))
	last := len(lines) - 1
	if want := string(end) + b.kind + string(dashes); string(bytes.TrimRight(lines[last], " \t\r")) != want {
		return fmt.Sprintf("has an END line of another type at line %d", b.line+last)
	}
	headers := true
	for i, line := range lines[1:last] {
		headers = headers && bytes.ContainsRune(line, ':')
		if !headers && !isBase64(bytes.TrimRight(line, " \t\r")) {
			return fmt.Sprintf("is not base64 at line %d", b.line+1+i)
		}
	}
	return "has incomplete base64: a part of it is missing"
}

func isBase64(line []byte) bool {
	for _, c := range line {
		switch {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case c == '+', c == '/', c == '=', c == ' ', c == '\t':
		default:
			return false
		}
	}
	return true
}

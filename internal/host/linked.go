// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

// What a program of Kubernetes is read for: kubectl 1.37 has 60 MB, and those
// that are many programs in one have 200 MB.
const (
	programLimit = 512 << 20
	programChunk = 1 << 20
	linkedLimit  = 64
)

var errNoVersion = errors.New("it does not hold the one version of Kubernetes that it is of, as what is built by Kubernetes' own scripts does")

// linked is what the linker makes of -X k8s.io/component-base/version.gitVersion=v1.37.0
// (k8s.io/kubernetes v1.37.0, hack/lib/version.sh): a string that ends in a zero
// byte, among others that do. What stands in the source is not ended so.
var linked = regexp.MustCompile(`^v1\.[0-9]{1,3}\.[0-9]{1,3}(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)

// LinkedVersion reads which version of Kubernetes a program is of, as "v1.37.0",
// without running it. It is the only version in the file that the linker wrote
// there; a file with none or with several is an error.
func LinkedVersion(ctx context.Context, name string) (string, error) {
	version, err := bounded(ctx, func() (string, error) {
		file, err := os.OpenFile(name, openFlags, 0)
		if err != nil {
			return "", err
		}
		defer file.Close()
		switch info, err := file.Stat(); {
		case err != nil:
			return "", err
		case !info.Mode().IsRegular():
			return "", kindError{info.Mode()}
		case info.Size() > programLimit:
			return "", sizeError{programLimit}
		}
		return linkedVersion(ctx, file)
	})
	if err != nil {
		return "", failure("reading", name, err)
	}
	return version, nil
}

// severalVersions are those of what is many programs in one.
type severalVersions []string

func (s severalVersions) Error() string {
	return "it holds several versions: " + strings.Join(s[:min(len(s), 4)], ", ")
}

func (s severalVersions) Unwrap() error { return errNoVersion }

func linkedVersion(ctx context.Context, program io.Reader) (string, error) {
	var found []string
	buffer := make([]byte, 0, programChunk+2*linkedLimit)
	for ended := false; !ended; {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		n, err := io.ReadFull(program, buffer[len(buffer):len(buffer)+programChunk])
		switch {
		case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
			ended = true
		case err != nil:
			return "", err
		}
		buffer = buffer[:len(buffer)+n]
		for _, version := range versionsIn(buffer) {
			if !slices.Contains(found, version) {
				found = append(found, version)
			}
		}
		// One that begins near the end may go on in what follows.
		keep := min(len(buffer), 2*linkedLimit)
		buffer = buffer[:copy(buffer[:cap(buffer)], buffer[len(buffer)-keep:])]
	}
	switch len(found) {
	case 0:
		return "", errNoVersion
	case 1:
		return found[0], nil
	}
	return "", severalVersions(found)
}

// versionsIn are the versions between zero bytes.
func versionsIn(text []byte) (found []string) {
	for at := 0; ; {
		n := bytes.Index(text[at:], []byte("v1."))
		if n < 0 {
			return found
		}
		at += n
		if at > 0 && text[at-1] == 0 {
			word := text[at:min(len(text), at+linkedLimit)]
			if end := bytes.IndexByte(word, 0); end > 0 && linked.Match(word[:end]) {
				found = append(found, string(word[:end]))
			}
		}
		at++
	}
}

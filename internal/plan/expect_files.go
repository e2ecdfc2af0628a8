// SPDX-License-Identifier: Apache-2.0

package plan

import "perennial.dev/perennial/internal/fact"

func (s Seen) file(path string) (fact.File, bool) {
	for _, f := range s.Facts {
		if file, ok := f.(fact.File); ok && file.Path == path {
			return file, true
		}
	}
	return fact.File{}, false
}

func (e Expect) requestWritten(after Seen) (Answer, string) {
	f, ok := after.file(e.Path)
	if !ok || f.Digest == "" {
		return Unknown, e.Path + " could not be read"
	}
	key, ok := (&planner{seen: after}).privateKey(e.KeyPath)
	switch {
	case len(f.Requests) == 0:
		return No, e.Path + " holds no signing request"
	case !ok:
		return Unknown, e.KeyPath + " could not be read"
	case f.Requests[0].Fingerprint != key.Fingerprint:
		return No, e.Path + " asks for another key than " + e.KeyPath + " holds"
	}
	return Yes, e.Path + " holds a request for the key in " + e.KeyPath
}

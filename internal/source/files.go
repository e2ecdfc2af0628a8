// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"context"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/pki"
)

var files = perWant{name: "files", disk: true, atOnce: 8, look: lookFiles}

func lookFiles(ctx context.Context, s Scope, w layout.Want, out *found) {
	if w.Verb == layout.LookView {
		lookView(ctx, s, w, out)
		return
	}
	data, meta, ok := readWanted(ctx, s, w, s.Limits.File, out)
	if !ok {
		return
	}
	f := pki.ReadFile(w.Path, data)
	f.Meta = meta
	if !w.Sweep || isCredential(f, data) {
		out.add(f)
	}
}

// isCredential says whether a file that only its name made interesting is one:
// something was found in it, or something broken that means to be one.
func isCredential(f fact.File, data []byte) bool {
	return len(f.Certs) > 0 || len(f.Keys) > 0 || f.Kubeconfig != nil ||
		pki.IsKubeconfig(data) || bytes.HasPrefix(data, pemBegin) || bytes.Contains(data, pemBeginLine)
}

var (
	pemBegin     = []byte("-----BEGIN ")
	pemBeginLine = []byte("\n-----BEGIN ")
)

// lookView looks at a file as a process sees it. A process that has ended, or
// that sees no such file, has no view of it: that is nothing.
func lookView(ctx context.Context, s Scope, w layout.Want, out *found) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeouts.Disk)
	defer cancel()
	data, meta, err := host.View(ctx, w.PID, w.Inside, s.Limits.File)
	switch {
	case err == nil:
		out.add(fact.View{
			PID:         w.PID,
			Path:        w.Path,
			Device:      meta.Device,
			Inode:       meta.Inode,
			ModTime:     meta.ModTime,
			Fingerprint: presented(pki.ReadFile(w.Inside, data)),
		})
	case !host.Gone(err) && !host.Missing(err):
		diskFailure(out, out.what, err)
	}
}

// presented is the fingerprint of the certificate that a process which read
// this file presents, empty where the file does not say.
func presented(f fact.File) string {
	if f.Kubeconfig == nil && len(f.Certs) > 0 {
		return f.Certs[0].Fingerprint()
	}
	return pki.CurrentFingerprint(f.Kubeconfig)
}

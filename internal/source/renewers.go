// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"errors"
	"path"
	"regexp"
	"strings"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/layout"
)

var renewers = perWant{name: "renewers", disk: true, atOnce: 4, look: lookRenewers}

const (
	jobLimit    = 256 << 10 // bytes of a unit, a crontab or a script
	jobsLimit   = 1000      // files of a directory
	scriptLimit = 20        // scripts that one job is followed to
)

// renews recognises what renews certificates, in a name or in a script: kubeadm
// itself, the scripts of kubespray, KubeKey and update-kube-cert, and kucero.
var renews = regexp.MustCompile(`kubeadm\s+(?:alpha\s+)?certs\s+renew|k8s-certs-renew|update-kube(?:adm)?-cert|\bkucero\b`)

// lookRenewers looks at timers, crontabs and what a script left for what renews
// certificates unasked. What may not be read is no reason to believe that there
// is such a thing.
func lookRenewers(ctx context.Context, s Scope, w layout.Want, out *found) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeouts.Disk)
	defer cancel()
	if w.Path == "/etc" {
		lookLeftovers(ctx, s, out)
		return
	}
	tree, err := s.FS.List(ctx, w.Path, host.ListLimits{Files: jobsLimit, Entries: jobsLimit, Depth: 1})
	switch {
	case errors.Is(err, host.ErrNotDirectory):
		tree.Files = []string{w.Path}
	case err != nil && host.Missing(err):
		missing(w, fact.Meta{}, out)
		return
	case err != nil:
		quietly(out, w.Path, err)
		return
	}
	for _, name := range tree.Files {
		job := name
		if path.Base(w.Path) == "system" {
			if !strings.HasSuffix(name, ".timer") {
				continue
			}
			job = strings.TrimSuffix(name, ".timer") + ".service"
		}
		if what, ok := renewing(ctx, s, job, 1); ok {
			out.add(fact.Renewer{Path: name, What: what})
		}
	}
}

// lookLeftovers finds the copies that update-kube-cert makes of
// /etc/kubernetes (update-kubeadm-cert.sh, cert::backup_file).
func lookLeftovers(ctx context.Context, s Scope, out *found) {
	dirs, err := s.FS.Dirs(ctx, "/etc", jobsLimit)
	if err != nil && !host.Missing(err) {
		quietly(out, "/etc", err)
	}
	for _, dir := range dirs {
		if strings.HasPrefix(dir, "kubernetes.old-") {
			out.add(fact.Renewer{Path: path.Join("/etc", dir), What: fact.RenewerLeftover})
		}
	}
}

func quietly(out *found, what string, err error) {
	if host.Why(err) != fact.Denied {
		diskFailure(out, fact.Text(what), err)
	}
}

// renewing says whether a job renews: by its name, its text, or that of the
// scripts that it starts. Nothing else of the text is kept, since it may hold
// secrets.
func renewing(ctx context.Context, s Scope, name string, depth int) (what string, ok bool) {
	data, _, err := s.FS.Read(ctx, name, jobLimit)
	if err != nil {
		return "", false
	}
	followed := 0
	for text := range strings.Lines(string(data)) {
		text = strings.TrimSpace(text)
		if strings.HasPrefix(text, "#") {
			continue
		}
		if found := renews.FindString(text); found != "" {
			return strings.Join(strings.Fields(found), " "), true
		}
		for _, script := range scripts(text) {
			if followed++; depth == 0 || followed > scriptLimit {
				break
			}
			if what, ok := renewing(ctx, s, script, depth-1); ok {
				return what, true
			}
		}
	}
	return "", false
}

// scripts are the absolute paths in a line of a job that may be scripts.
func scripts(line string) []string {
	var paths []string
	for _, word := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\"'=;&|", r) }) {
		word = strings.TrimLeft(word, "-@+!:")
		if path.IsAbs(word) && path.Clean(word) == word && strings.Count(word, "/") > 1 {
			paths = append(paths, word)
		}
	}
	return paths
}

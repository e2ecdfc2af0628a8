// SPDX-License-Identifier: Apache-2.0

package host

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// temporaryPrefix begins the name of every temporary. With a dot, since the
// kubelet takes every other file in its manifests directory for a pod
// (pkg/kubelet/config/file.go, up to and including 1.37).
const temporaryPrefix = ".perennial-"

// nameLimit is how much of a file's name its temporary carries, in bytes: a
// name has at most 255.
const nameLimit = 200

// temporaryName is the same for the same content of the same file, so a run
// that was cut off leaves at most one, and the next takes its place.
func temporaryName(name string, data []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n%s", len(name), name)
	h.Write(data)
	return temporaryPrefix + name[:min(len(name), nameLimit)] + "." + hex.EncodeToString(h.Sum(nil)[:8])
}

func isTemporary(name string) bool { return strings.HasPrefix(name, temporaryPrefix) }

// Leftovers are the temporaries in directories, which a run that was cut off
// has left, sorted by directory and name. A directory that is not there has
// none.
func (d *Disk) Leftovers(dirs ...string) ([]string, error) {
	var found []string
	var problems []error
	for _, dir := range dirs {
		names, err := d.leftovers(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, failed("listing", dir, err))
		}
		found = append(found, names...)
	}
	return found, errors.Join(problems...)
}

func (d *Disk) leftovers(dir string) ([]string, error) {
	at, err := d.fs.resolve(dir)
	if err != nil {
		return nil, err
	}
	root, err := d.openRoot(at.path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, e := range entries {
		if isTemporary(e.Name()) && e.Type().IsRegular() {
			found = append(found, path.Join(dir, e.Name()))
		}
	}
	return found, nil
}

// RemoveLeftover removes a temporary, and nothing else.
func (d *Disk) RemoveLeftover(name string) error {
	if !isTemporary(path.Base(name)) {
		return failed("removing", name, errors.New("it is no temporary of this program"))
	}
	p, err := d.target(name)
	if err != nil {
		return failed("removing", name, err)
	}
	defer p.close()
	return failed("removing", name, d.remove(p, p.name))
}

// SPDX-License-Identifier: Apache-2.0

package crashdisk

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"

	"perennial.dev/perennial/internal/host"
)

// content is what an fsync of a file makes durable. It is never changed, only
// replaced.
type content struct {
	data     []byte
	mode     fs.FileMode
	uid, gid int
}

// inode is a file, a directory or a symbolic link, in two versions: as a
// running program sees it, and as the disk is sure to have it.
type inode struct {
	kind        fs.FileMode // type bits only
	target      string      // of a link
	now, synced content
	names, kept map[string]*inode // of a directory: what it holds, and what it is sure to hold
}

func newInode(kind fs.FileMode, c content) *inode {
	n := &inode{kind: kind, now: c, synced: c}
	if kind.IsDir() {
		n.names, n.kept = map[string]*inode{}, map[string]*inode{}
	}
	return n
}

// scan reads a tree that is at rest: all of it is durable.
func scan(dir string) (*inode, error) {
	info, err := os.Lstat(dir)
	if err != nil {
		return nil, err
	}
	c := content{mode: info.Mode().Perm()}
	c.uid, c.gid = owner(info)
	n := newInode(info.Mode().Type(), c)
	switch {
	case info.Mode().IsRegular():
		c.data, err = os.ReadFile(dir)
		n.now, n.synced = c, c
	case info.IsDir():
		err = n.scanNames(dir)
	case n.kind == fs.ModeSymlink:
		n.target, err = os.Readlink(dir)
	default:
		err = fmt.Errorf("recording %s: it is neither a file, a directory nor a link", dir)
	}
	return n, err
}

func (n *inode) scanNames(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		child, err := scan(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		n.names[e.Name()] = child
	}
	n.kept = maps.Clone(n.names)
	return nil
}

// find follows a path that is free of links.
func (n *inode) find(name string) *inode {
	for part := range strings.SplitSeq(strings.Trim(name, "/"), "/") {
		if part != "" && n != nil {
			n = n.names[part]
		}
	}
	return n
}

// apply does a primitive. One that cannot be is a fault of the record.
func (n *inode) apply(op host.Op) error {
	file, dir := n.find(op.Path), n.find(path.Dir(op.Path))
	if dir == nil || file == nil && op.Do != host.Create && op.Do != host.Mkdir {
		return fmt.Errorf("recording %s of %s: there is no such file in the record", op.Do, op.Path)
	}
	name, to := path.Base(op.Path), path.Base(op.To)
	switch op.Do {
	case host.Create, host.Mkdir:
		kind := fs.FileMode(0)
		if op.Do == host.Mkdir {
			kind = fs.ModeDir
		}
		dir.names[name] = newInode(kind, content{mode: op.Mode, uid: os.Geteuid(), gid: os.Getegid()})
	case host.Write:
		file.now.data = append(file.now.data[:len(file.now.data):len(file.now.data)], op.Data...)
	case host.Chown:
		file.now.uid, file.now.gid = op.UID, op.GID
	case host.Chmod:
		file.now.mode = op.Mode
	case host.Label: // attributes are not modelled
	case host.SyncFile:
		file.synced = file.now
	case host.Rename:
		delete(dir.names, name)
		dir.names[to] = file
	case host.Link:
		dir.names[to] = file
	case host.Remove:
		delete(dir.names, name)
	case host.SyncDir:
		file.kept = maps.Clone(file.names)
	default:
		return fmt.Errorf("recording %s of %s: the model does not know it", op.Do, op.Path)
	}
	return nil
}

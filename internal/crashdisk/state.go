// SPDX-License-Identifier: Apache-2.0

package crashdisk

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/host"
)

// State is what a disk may hold after a power failure.
type State struct {
	Ops   int     // so many primitives had been done
	Last  host.Op // the last of them; zero for Ops 0
	Lost  string  // what became of what was not synced
	nodes []node
	sum   [sha256.Size]byte
}

// node is a file, a directory or a link of a State.
type node struct {
	path   string // below the root, with a leading slash
	kind   fs.FileMode
	target string
	content
}

func (s State) String() string {
	if s.Ops == 0 {
		return "before the first primitive"
	}
	return fmt.Sprintf("after primitive %d (%s %s), %s", s.Ops, s.Last.Do, s.Last.Path, s.Lost)
}

// fate is what becomes of what was not synced. File systems differ, so all of
// these are tried: ext4 in its default mode gives the first two, a rename that
// is durable before what it renames has emptied files on XFS and ext4, and
// blocks that were never written read as zeros.
type fate struct {
	lost  string
	names bool // unsynced names are kept
	data  func(n *inode) content
}

var fates = []fate{
	{"everything kept", true, func(n *inode) content { return n.now }},
	{"unsynced content and names lost", false, func(n *inode) content { return n.synced }},
	{"unsynced content lost", true, func(n *inode) content { return n.synced }},
	{"unsynced names lost", false, func(n *inode) content { return n.now }},
	{"half of unsynced content lost", true, torn},
	{"unsynced content reads as zeros", true, zeroed},
}

// unsynced is how much of the end of a file is not durable, in bytes. Files
// only grow here, or are new.
func (n *inode) unsynced() int { return len(n.now.data) - len(n.synced.data) }

func torn(n *inode) content {
	c := n.synced
	c.data = n.now.data[:len(n.synced.data)+n.unsynced()/2]
	return c
}

func zeroed(n *inode) content {
	c := n.synced
	c.data = slices.Concat(n.synced.data, make([]byte, n.unsynced()))
	return c
}

// states are those of the model as it stands, each once.
func (n *inode) states(ops int, last host.Op) []State {
	var all []State
	for _, f := range fates {
		s := State{Ops: ops, Last: last, Lost: f.lost}
		s.collect(n, "/", f)
		s.sum = s.hash()
		same := func(other State) bool { return other.sum == s.sum }
		if !slices.ContainsFunc(all, same) {
			all = append(all, s)
		}
	}
	return all
}

func (s *State) collect(n *inode, at string, f fate) {
	s.nodes = append(s.nodes, node{path: at, kind: n.kind, target: n.target, content: f.data(n)})
	names := n.kept
	if f.names {
		names = n.names
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		s.collect(names[name], path.Join(at, name), f)
	}
}

func (s State) hash() (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, n := range s.nodes {
		fmt.Fprintf(h, "%q %v %q %v %d %d %d\n", n.path, n.kind, n.target, n.mode, n.uid, n.gid, len(n.data))
		h.Write(n.data)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// ReadFile is what a file of the state holds; links are not followed.
func (s State) ReadFile(name string) ([]byte, error) {
	for _, n := range s.nodes {
		if n.path == name && n.kind.IsRegular() {
			return bytes.Clone(n.data), nil
		}
	}
	return nil, &fs.PathError{Op: "reading", Path: name, Err: fs.ErrNotExist}
}

// Materialise writes the state into a directory, which must be empty. Owners
// are set where the program is root. Modification times are of now.
func (s State) Materialise(dir string) error {
	for _, n := range s.nodes {
		if err := n.write(filepath.Join(dir, filepath.FromSlash(n.path))); err != nil {
			return fmt.Errorf("materialising %s: %w", n.path, err)
		}
	}
	// Modes of directories at the end, since one may shut its own content out.
	for _, n := range slices.Backward(s.nodes) {
		if n.kind.IsDir() {
			if err := os.Chmod(filepath.Join(dir, filepath.FromSlash(n.path)), n.mode); err != nil {
				return fmt.Errorf("materialising %s: %w", n.path, err)
			}
		}
	}
	return nil
}

func (n node) write(to string) error {
	switch {
	case n.kind == fs.ModeSymlink:
		return os.Symlink(n.target, to)
	case n.kind.IsDir() && n.path == "/":
	case n.kind.IsDir():
		if err := os.Mkdir(to, 0o700); err != nil {
			return err
		}
	default:
		if err := os.WriteFile(to, n.data, 0o600); err != nil {
			return err
		}
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(to, n.uid, n.gid); err != nil {
			return err
		}
	}
	if n.kind.IsDir() {
		return nil
	}
	return os.Chmod(to, n.mode)
}

// Describe lists a state, a line per file, for the message of a test.
func (s State) Describe() string {
	var b strings.Builder
	for _, n := range s.nodes {
		fmt.Fprintf(&b, "%v %d:%d %s (%d bytes)\n", n.kind|n.mode, n.uid, n.gid, n.path, len(n.data))
	}
	return b.String()
}

// States are the states that the disk may be in after a power failure at any
// moment of the recording: for each number of primitives done, none included,
// each distinct outcome for what was not synced.
func (r *Recording) States() iter.Seq[State] {
	return func(yield func(State) bool) {
		model := r.initial.clone(map[*inode]*inode{})
		var last host.Op
		for done := 0; ; done++ {
			for _, s := range model.states(done, last) {
				if !yield(s) {
					return
				}
			}
			if done == len(r.ops) {
				return
			}
			last = r.ops[done]
			if err := model.apply(last); err != nil {
				panic(err) // Around has applied it to a model before
			}
		}
	}
}

// Distinct is States without those that were there before: what a program
// that starts afterwards has to cope with, each once.
func (r *Recording) Distinct() iter.Seq[State] {
	return func(yield func(State) bool) {
		seen := map[[sha256.Size]byte]bool{}
		for s := range r.States() {
			if seen[s.sum] {
				continue
			}
			seen[s.sum] = true
			if !yield(s) {
				return
			}
		}
	}
}

// clone copies what apply changes; content is shared.
func (n *inode) clone(done map[*inode]*inode) *inode {
	if c, ok := done[n]; ok {
		return c
	}
	c := *n
	done[n] = &c
	c.names, c.kept = cloneNames(n.names, done), cloneNames(n.kept, done)
	return &c
}

func cloneNames(names map[string]*inode, done map[*inode]*inode) map[string]*inode {
	if names == nil {
		return nil
	}
	out := make(map[string]*inode, len(names))
	for name, n := range names {
		out[name] = n.clone(done)
	}
	return out
}

// SPDX-License-Identifier: Apache-2.0

package supervise

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"sigs.k8s.io/yaml"
)

// pod is what the supervisor reads of a static pod's manifest.
type pod struct {
	file    string
	digest  string // of the meaning: comments and the order of keys do not count
	name    string
	command []string
	env     []string
	grace   time.Duration
}

// defaultGrace is shorter than the kubelet's 30 s, because nobody but a lab's
// user waits for the end.
const defaultGrace = 5 * time.Second

type manifest struct {
	Kind     string
	Metadata struct{ Name string }
	Spec     struct {
		Grace      *int64 `json:"terminationGracePeriodSeconds"`
		Containers []struct {
			Command, Args []string
			Env           []struct{ Name, Value string }
		}
	}
}

// readPod reads one manifest.
func readPod(path string) (pod, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return pod{}, err
	}
	meaning, err := yaml.YAMLToJSON(data)
	if err != nil {
		return pod{}, err
	}
	var m manifest
	if err := json.Unmarshal(meaning, &m); err != nil {
		return pod{}, err
	}
	if m.Kind != "Pod" || m.Metadata.Name == "" || len(m.Spec.Containers) != 1 {
		return pod{}, fmt.Errorf("want a Pod with a name and one container")
	}
	c := m.Spec.Containers[0]
	p := pod{file: path, name: m.Metadata.Name, command: append(c.Command, c.Args...), grace: defaultGrace}
	if len(p.command) == 0 {
		return pod{}, fmt.Errorf("want a container with a command")
	}
	for _, e := range c.Env {
		p.env = append(p.env, e.Name+"="+e.Value)
	}
	if m.Spec.Grace != nil {
		p.grace = time.Duration(*m.Spec.Grace) * time.Second
	}
	sum := sha256.Sum256(meaning)
	p.digest = hex.EncodeToString(sum[:])
	return p, nil
}

// directory reads the manifests as the kubelet does (pkg/kubelet/config
// file.go): every file whose name does not begin with a dot is a pod. A file
// that cannot be read or understood keeps the meaning it had.
type directory struct {
	path string
	seen map[string]seenFile
}

type seenFile struct {
	stamp string
	pod   pod
	err   error
	valid bool
}

// read returns the pods by file, and what is newly wrong.
func (d *directory) read() (map[string]pod, []error) {
	entries, err := os.ReadDir(d.path)
	if err != nil && !os.IsNotExist(err) {
		return d.pods(), []error{err}
	}
	next := map[string]seenFile{}
	var wrong []error
	for _, entry := range entries {
		path := filepath.Join(d.path, entry.Name())
		info, err := os.Stat(path)
		if strings.HasPrefix(entry.Name(), ".") || err != nil || !info.Mode().IsRegular() {
			continue
		}
		old := d.seen[path]
		stamp := stampOf(info)
		if old.stamp == stamp {
			next[path] = old
			continue
		}
		seen := seenFile{stamp: stamp, valid: true}
		if seen.pod, seen.err = readPod(path); seen.err != nil {
			seen.pod, seen.valid = old.pod, old.valid
			wrong = append(wrong, fmt.Errorf("reading the manifest %s: %w", path, seen.err))
		}
		next[path] = seen
	}
	d.seen = next
	return d.pods(), wrong
}

func (d *directory) pods() map[string]pod {
	pods := map[string]pod{}
	for path, seen := range d.seen {
		if seen.valid {
			pods[path] = seen.pod
		}
	}
	return pods
}

// stampOf changes when a file is written to or replaced.
func stampOf(info os.FileInfo) string {
	var inode uint64
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = stat.Ino
	}
	return fmt.Sprint(info.ModTime().UnixNano(), " ", info.Size(), " ", inode)
}

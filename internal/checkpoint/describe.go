// SPDX-License-Identifier: Apache-2.0

package checkpoint

import (
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
)

// Kind is the kind of the published JSON.
const Kind = "Checkpoint"

// Description is what an archive holds. Its JSON form is published: fields may be
// added, meanings never change. It has no value of a variable and nothing of the
// memory.
type Description struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Path       string `json:"path,omitempty"` // of the archive
	Size       int64  `json:"size,omitempty"` // of the archive, bytes
	Compressed bool   `json:"compressed,omitempty"`
	Entries    int    `json:"entries"`
	Content    int64  `json:"content"`            // bytes of all files in it
	Images     int    `json:"images"`             // files of CRIU
	Memory     int64  `json:"memory"`             // bytes of the processes' memory
	RootDiff   int64  `json:"rootDiff,omitempty"` // bytes of what the container changed in its file system, as it is stored

	Manager     Manager   `json:"manager"`
	Namespace   fact.Text `json:"namespace,omitempty"`
	Pod         fact.Text `json:"pod,omitempty"`
	Container   fact.Text `json:"container,omitempty"`
	ContainerID fact.Text `json:"containerID,omitempty"`

	Image        fact.Text `json:"image,omitempty"`    // as the pod asked for it, or as the runtime names it
	ImageRef     fact.Text `json:"imageRef,omitempty"` // with its digest, or its ID
	Runtime      fact.Text `json:"runtime,omitempty"`  // what ran the container: runc, io.containerd.runc.v2
	Created      time.Time `json:"created,omitzero"`
	Checkpointed time.Time `json:"checkpointed,omitzero"`

	CRIU     fact.Text `json:"criu,omitempty"`     // its version; from its log
	Kernel   fact.Text `json:"kernel,omitempty"`   // release of the kernel; from the same
	Arch     string    `json:"arch,omitempty"`     // as Go names it: amd64
	Features []string  `json:"features,omitempty"` // of the CPU that the threads' registers need, as /proc/cpuinfo names them
	Cgroup   int       `json:"cgroup,omitempty"`   // version of the control groups; 0: not known

	Command     []fact.Text `json:"command,omitempty"` // values that look like secrets are left out
	Directory   fact.Text   `json:"directory,omitempty"`
	User        string      `json:"user,omitempty"` // uid:gid
	Environment []Variable  `json:"environment"`
	Mounts      []Mount     `json:"mounts"`
	Processes   []Process   `json:"processes"`
	Sockets     []Socket    `json:"sockets"`
	OpenFiles   int         `json:"openFiles"` // regular ones

	Secrets []Secret `json:"secrets"`
}

// Instant is a time as documents have it, in UTC and whole seconds. A year that is
// none of theirs (RFC 3339 has four digits) gives none: whoever writes an archive
// may write it.
func Instant(t time.Time) time.Time {
	t = t.UTC().Truncate(time.Second)
	if t.Year() < 0 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

func newDescription() *Description {
	return &Description{
		APIVersion: finding.APIVersion, Kind: Kind,
		Environment: []Variable{}, Mounts: []Mount{}, Processes: []Process{}, Sockets: []Socket{}, Secrets: []Secret{},
	}
}

// Manager is what took the checkpoint.
type Manager string

// The managers.
const (
	Containerd Manager = "containerd"
	CRIO       Manager = "cri-o"
	Podman     Manager = "podman"
	Nobody     Manager = "unknown"
)

// Variable is a variable of the environment, without its value.
type Variable struct {
	Name  fact.Text `json:"name"`
	Bytes int       `json:"bytes"` // of the value
}

// Mount is what is mounted into the container.
type Mount struct {
	Path     fact.Text `json:"path"`
	Type     fact.Text `json:"type,omitempty"`
	Source   fact.Text `json:"source,omitempty"` // on the node
	ReadOnly bool      `json:"readOnly,omitempty"`
}

// Process is a process of the container.
type Process struct {
	PID     uint32    `json:"pid"` // in the container
	Parent  uint32    `json:"parent"`
	Threads int       `json:"threads"`
	Name    fact.Text `json:"name,omitempty"` // as the kernel has it, 15 bytes at most
}

// Socket is an open socket. Addresses are host:port, or the path of a socket of
// the file system, "@" before an abstract one.
type Socket struct {
	Kind   string    `json:"kind"`  // tcp, udp, raw, unix, netlink, packet
	State  string    `json:"state"` // listening, established, open ...
	Local  fact.Text `json:"local,omitempty"`
	Remote fact.Text `json:"remote,omitempty"`
}

// Secret is a place that looks as if it held a secret.
type Secret struct {
	Where fact.Text `json:"where"`
	Why   string    `json:"why"` // half a sentence
}

// Established counts the connections that were open.
func (d *Description) Established() int {
	n := 0
	for _, s := range d.Sockets {
		if s.Kind == "tcp" && s.State == established {
			n++
		}
	}
	return n
}

// SPDX-License-Identifier: Apache-2.0

package checkpoint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// The files of an archive that are looked into.
const (
	configDump = "config.dump"
	specDump   = "spec.dump"
	dumpLog    = "dump.log"
	rootDiff   = "rootfs-diff.tar"
	imagesDir  = "checkpoint"
)

// content looks into a file, where it is one that matters.
func (rd *reader) content(name string, size int64, r io.Reader) error {
	dir, base := path.Split(name)
	switch {
	case name == configDump:
		return rd.document(name, size, r, rd.config)
	case name == specDump:
		return rd.document(name, size, r, rd.spec)
	case name == dumpLog:
		return rd.log(r)
	case name == rootDiff:
		rd.d.RootDiff = size
	case dir == imagesDir+"/":
		return rd.criu(base, size, r)
	}
	return nil
}

// document reads a JSON object.
func (rd *reader) document(name string, size int64, r io.Reader, read func(data []byte) error) error {
	if size > rd.o.Limits.Document {
		return refuse(name, "is larger than %s", Bytes(rd.o.Limits.Document))
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		return refuse(name, "is no JSON object")
	}
	if err := read(data); err != nil {
		return refuse(name, "cannot be understood: %s", fact.Text(err.Error()))
	}
	return nil
}

// config reads config.dump (checkpointctl lib/metadata.go ContainerConfig).
func (rd *reader) config(data []byte) error {
	var c struct {
		ID      fact.Text `json:"id"`
		Name    fact.Text `json:"name"`
		Asked   fact.Text `json:"rootfsImage"`
		Ref     fact.Text `json:"rootfsImageRef"`
		Image   fact.Text `json:"rootfsImageName"`
		Runtime fact.Text `json:"runtime"`
		Created time.Time `json:"createdTime"`
		At      time.Time `json:"checkpointedTime"`
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return err
	}
	d := rd.d
	d.ContainerID, d.Image, d.ImageRef, d.Runtime, d.Created, d.Checkpointed = c.ID, c.Image, c.Ref, c.Runtime, Instant(c.Created), Instant(c.At)
	if d.Container == "" {
		d.Container = c.Name
	}
	if d.Image == "" {
		d.Image = c.Asked
	}
	return nil
}

// The annotations by which runtimes tell of the pod (containerd v2.4.2
// internal/cri/annotations; cri-o internal/annotations).
const (
	managerKey          = "io.container.manager"
	containerdContainer = "io.kubernetes.cri.container-name"
	containerdNamespace = "io.kubernetes.cri.sandbox-namespace"
	containerdPod       = "io.kubernetes.cri.sandbox-name"
	crioMetadata        = "io.kubernetes.cri-o.Metadata"
	crioImageName       = "io.kubernetes.cri-o.ImageName"
	kubeletNamespace    = "io.kubernetes.pod.namespace"
	kubeletPod          = "io.kubernetes.pod.name"
	kubeletContainer    = "io.kubernetes.container.name"
)

// spec reads spec.dump, a runtime specification
// (github.com/opencontainers/runtime-spec v1.3.0 config.md).
func (rd *reader) spec(data []byte) error {
	var s struct {
		Process *struct {
			Args []string  `json:"args"`
			Env  []string  `json:"env"`
			Cwd  fact.Text `json:"cwd"`
			User struct {
				UID uint32 `json:"uid"`
				GID uint32 `json:"gid"`
			} `json:"user"`
		} `json:"process"`
		Mounts []struct {
			Destination fact.Text `json:"destination"`
			Type        fact.Text `json:"type"`
			Source      fact.Text `json:"source"`
			Options     []string  `json:"options"`
		} `json:"mounts"`
		Annotations map[string]string `json:"annotations"`
		Linux       *struct {
			Resources *struct {
				Unified map[string]string `json:"unified"`
			} `json:"resources"`
		} `json:"linux"`
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	d, most := rd.d, rd.o.Limits.Things
	if len(s.Mounts) > most || s.Process != nil && (len(s.Process.Env) > most || len(s.Process.Args) > most) {
		return fmt.Errorf("it lists more than %d mounts, variables or arguments", most)
	}
	rd.annotated(s.Annotations)
	if p := s.Process; p != nil {
		d.Directory, d.User = p.Cwd, fmt.Sprintf("%d:%d", p.User.UID, p.User.GID)
		rd.command(p.Args)
		rd.environment(p.Env)
	}
	for _, m := range s.Mounts {
		one := Mount{Path: m.Destination, Type: m.Type, Source: m.Source, ReadOnly: slices.Contains(m.Options, "ro")}
		d.Mounts = append(d.Mounts, one)
		if why := secretMount(one); why != "" {
			d.Secrets = append(d.Secrets, Secret{"mount " + one.Path, why})
		}
	}
	if s.Linux != nil && s.Linux.Resources != nil && len(s.Linux.Resources.Unified) > 0 {
		d.Cgroup = 2
	}
	return nil
}

// annotated learns who took the checkpoint, of what.
func (rd *reader) annotated(a map[string]string) {
	d := rd.d
	switch {
	case a[managerKey] == "cri-o" || a[crioMetadata] != "":
		d.Manager = CRIO
		var m struct {
			Name fact.Text `json:"name"`
		}
		_ = json.Unmarshal([]byte(a[crioMetadata]), &m) // without it the container has no name
		d.Container = firstText(m.Name, fact.Text(a[kubeletContainer]), d.Container)
		d.Namespace, d.Pod = fact.Text(a[kubeletNamespace]), fact.Text(a[kubeletPod])
		if d.Image == "" {
			d.Image = fact.Text(a[crioImageName])
		}
	case a[managerKey] == "libpod":
		d.Manager = Podman
	case a[containerdContainer] != "":
		d.Manager = Containerd
		d.Container = firstText(fact.Text(a[containerdContainer]), d.Container)
		d.Namespace, d.Pod = fact.Text(a[containerdNamespace]), fact.Text(a[containerdPod])
	default:
		d.Manager = Nobody
	}
}

func firstText(all ...fact.Text) fact.Text {
	for _, t := range all {
		if t != "" {
			return t
		}
	}
	return ""
}

// command keeps the arguments, without what looks like a secret in them.
func (rd *reader) command(args []string) {
	hide := ""
	for i, arg := range args {
		name, value, both := strings.Cut(arg, "=")
		why := ""
		switch {
		case hide != "":
			why, hide, arg = hide, "", hidden
		case both && strings.HasPrefix(name, "-") && secretName(strings.TrimLeft(name, "-")) != "":
			why, arg = secretName(strings.TrimLeft(name, "-")), name+"="+hidden
		case secretValue(arg) != "":
			why, arg = secretValue(arg), hidden
		case both && secretValue(value) != "":
			why, arg = secretValue(value), name+"="+hidden
		case strings.HasPrefix(arg, "--") && !both:
			hide = secretName(strings.TrimLeft(arg, "-"))
		}
		if why != "" {
			rd.d.Secrets = append(rd.d.Secrets, Secret{fact.Text(fmt.Sprintf("argument %d of the command", i)), why})
		}
		rd.d.Command = append(rd.d.Command, fact.Text(arg))
	}
}

// hidden stands for what is not shown.
const hidden = "REDACTED"

func (rd *reader) environment(env []string) {
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		rd.d.Environment = append(rd.d.Environment, Variable{fact.Text(name), len(value)})
		why := secretValue(value)
		if why == "" && value != "" {
			why = secretName(name)
		}
		if why != "" {
			rd.d.Secrets = append(rd.d.Secrets, Secret{fact.Text("variable " + name), why})
		}
	}
}

// logHead is how much of CRIU's log is read: its first lines tell the versions.
const logHead = 16 << 10

// log reads the beginning of CRIU's log: "Version: 3.17.1 (gitid 0)" and "Running
// on NODE Linux 6.1.0-13-amd64 #1 ..." (criu/log.c, criu/crtools.c).
func (rd *reader) log(r io.Reader) error {
	head, err := io.ReadAll(io.LimitReader(r, logHead))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(head)) {
		if _, after, ok := strings.Cut(line, ") Version: "); ok && rd.d.CRIU == "" {
			rd.d.CRIU = firstWord(after)
		}
		if _, after, ok := strings.Cut(line, " Linux "); ok && strings.Contains(line, "Running on ") && rd.d.Kernel == "" {
			rd.d.Kernel = firstWord(after)
		}
	}
	return nil
}

func firstWord(s string) fact.Text {
	words := strings.Fields(s)
	if len(words) == 0 {
		return ""
	}
	return fact.Text(words[0])
}

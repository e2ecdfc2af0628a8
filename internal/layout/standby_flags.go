// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// commandLine is the words of a container's command and args, which Kubernetes
// joins to one command line.
type commandLine struct {
	words []commandWord
	flags int // index of the first word behind the program
}

type commandWord struct {
	text string
	args bool // it stands in args
}

// apiServerLine is the command line of a container that starts kube-apiserver,
// by its program or, where the image's own is started, by its name. Nil: it
// starts something else.
func apiServerLine(c object) (*commandLine, error) {
	command, ok := texts(c["command"])
	args, okArgs := texts(c["args"])
	name := fact.Text(text(c["name"]))
	if !ok || !okArgs {
		return nil, fmt.Errorf("the command line of the container %s is no list of strings", name)
	}
	all := append(slices.Clone(command), args...)
	if len(command) == 0 && string(name) == APIServer && (len(all) == 0 || strings.HasPrefix(all[0], "-")) {
		return newCommandLine(command, args, 0), nil
	}
	program, flags := component(unwrap(all))
	if program != APIServer {
		return nil, nil
	}
	at := len(all) - len(flags)
	if at < 0 || !slices.Equal(all[at:], flags) {
		return nil, fmt.Errorf("the flags of the container %s stand in a shell's script, where they cannot be changed safely", name)
	}
	return newCommandLine(command, args, at), nil
}

func newCommandLine(command, args []string, flags int) *commandLine {
	line := &commandLine{flags: flags}
	for _, w := range command {
		line.words = append(line.words, commandWord{text: w})
	}
	for _, w := range args {
		line.words = append(line.words, commandWord{text: w, args: true})
	}
	return line
}

// end is behind the last flag: pflag reads none behind "--".
func (l *commandLine) end() int {
	for i := l.flags; i < len(l.words); i++ {
		if l.words[i].text == "--" {
			return i
		}
	}
	return len(l.words)
}

// take removes every use of a flag and says where the first one stood (-1: there
// was none) and which value counted, which is the last one's. A flag of a boolean
// has its value behind "=" or not at all; any other may have it as the next word,
// which may be a dash (pflag).
func (l *commandLine) take(name string, boolean bool) (at int, value string) {
	at = -1
	for i := l.flags; i < l.end(); {
		word := l.words[i].text
		flag, v, has := strings.Cut(strings.TrimLeft(word, "-"), "=")
		if !strings.HasPrefix(word, "-") || strings.ReplaceAll(flag, "_", "-") != name {
			i++
			continue
		}
		width := 1
		switch {
		case !has && boolean:
			v = "true"
		case !has && i+1 < l.end():
			v, width = l.words[i+1].text, 2
		}
		if at < 0 {
			at = i
		}
		value = v
		l.words = slices.Delete(l.words, i, i+width)
	}
	return at, value
}

// value is what counts of a flag that is no boolean; empty: it is not set.
func (l *commandLine) value(name string) string {
	copied := commandLine{words: slices.Clone(l.words), flags: l.flags}
	_, value := copied.take(name, false)
	return value
}

// put writes a flag once: where it stood first, or in front of the others, since
// the last word may be a flag that takes the next one for its value.
func (l *commandLine) put(name, value string) (was string) {
	at, was := l.take(name, false)
	if at < 0 {
		at = l.flags
	}
	w := commandWord{text: "--" + name + "=" + value}
	switch {
	case at > l.flags:
		w.args = l.words[at-1].args
	case at < len(l.words):
		w.args = l.words[at].args
	default: // alone: behind the program, or behind the image's own
		w.args = at == 0 || l.words[at-1].args
	}
	l.words = slices.Insert(l.words, at, w)
	return was
}

// lists are the command and the args again.
func (l *commandLine) lists() (command, args []any) {
	for _, w := range l.words {
		if w.args {
			args = append(args, w.text)
		} else {
			command = append(command, w.text)
		}
	}
	return command, args
}

// setFlags tells the standby its port, to leave the endpoints of the service
// kubernetes alone, and how it ends.
func (b *standbyBuilder) setFlags() error {
	b.putFlag("secure-port", strconv.Itoa(b.out.Port))
	b.putFlag("endpoint-reconciler-type", "none")
	b.putFlag("goaway-chance", standbyGoaway)
	if b.out.Minor >= watchGraceSince {
		b.putFlag("shutdown-watch-termination-grace-period", StandbyWatchGrace.String())
	}
	if b.options.Delay > 0 {
		b.putFlag("shutdown-delay-duration", b.options.Delay.String())
	} else {
		b.dropFlag("shutdown-delay-duration", false)
	}
	// With it every kept connection would be answered 429 when the standby ends.
	b.dropFlag("shutdown-send-retry-after", true)
	// A second server takes the socket of the first one away
	// (k8s.io/apiserver pkg/server/routes/debugsocket.go).
	b.dropFlag("debug-socket-path", false)
	return nil
}

func (b *standbyBuilder) putFlag(name, value string) {
	b.changed("flag --"+name, b.line.put(name, value), value)
}

func (b *standbyBuilder) dropFlag(name string, boolean bool) {
	if at, was := b.line.take(name, boolean); at >= 0 {
		b.changed("flag --"+name, was, "")
	}
}

// StandbyAudit says where a standby writes its audit log. Two processes that
// write and rotate one file spoil it (k8s.io/apiserver
// pkg/server/options/audit.go hands it to lumberjack).
type StandbyAudit struct {
	Main    string // the main one's --audit-log-path; empty: it writes none
	Path    string // the standby's, in its container
	OnHost  string // the standby's on the node; empty: not on the node, or not known
	Mounted bool   // the file was mounted for the standby, beside the main one's
}

// setAudit gives the audit log a file of its own beside the main one's: by its
// name alone where their directory is mounted, else by a mount more. What is
// written to standard output, or to a file system that the container does not
// share, needs no other place.
func (b *standbyBuilder) setAudit() error {
	main := b.line.value("audit-log-path")
	b.out.Audit = StandbyAudit{Main: main, Path: main}
	if main == "" || main == "-" {
		return nil
	}
	inside := main
	if !path.IsAbs(inside) {
		inside = path.Join("/", text(b.container["workingDir"]), inside)
	}
	mount := b.mountOf(path.Clean(inside))
	volume := b.volumes()[text(mount["name"])]
	if mount == nil || ownVolume(volume) {
		return nil
	}
	own := standbyFile(path.Clean(inside))
	at := path.Clean(text(mount["mountPath"]))
	host := hostDir(volume, mount)
	if at == path.Clean(inside) {
		if host == "" {
			return fmt.Errorf("the audit log %s is mounted as a single file, and where on the node is not known", fact.Text(main))
		}
		host = standbyFile(host)
		b.mountFile(host, own)
	} else if host != "" {
		host = path.Join(host, strings.TrimPrefix(own, at))
	}
	b.out.Audit.Path, b.out.Audit.OnHost = own, host
	b.putFlag("audit-log-path", own)
	return nil
}

// mountOf is the mount that a path in the container lies on: the deepest one.
func (b *standbyBuilder) mountOf(inside string) object {
	var found object
	for _, m := range objects(b.container["volumeMounts"]) {
		if at := path.Clean(text(m["mountPath"])); at == inside || at == "/" || strings.HasPrefix(inside, at+"/") {
			if found == nil || len(at) >= len(path.Clean(text(found["mountPath"]))) {
				found = m
			}
		}
	}
	return found
}

// hostDir is the path on the node that a mount shows; empty: none, or not known.
func hostDir(volume, mount object) string {
	host, _ := volume["hostPath"].(object)
	if host == nil || text(host["path"]) == "" || text(mount["subPathExpr"]) != "" {
		return ""
	}
	return path.Join(text(host["path"]), text(mount["subPath"]))
}

// standbyFile is audit-standby.log for audit.log. lumberjack takes no such file
// for an old one of the main log's, which have a date there.
func standbyFile(name string) string {
	ext := path.Ext(name)
	return strings.TrimSuffix(name, ext) + "-standby" + ext
}

func (b *standbyBuilder) mountFile(host, inside string) {
	name, volumes := "standby-audit-log", b.volumes()
	for volumes[name] != nil {
		name += "-1"
	}
	list, _ := b.spec["volumes"].([]any)
	b.spec["volumes"] = append(list, object{"name": name, "hostPath": object{"path": host, "type": "FileOrCreate"}})
	mounts, _ := b.container["volumeMounts"].([]any)
	b.container["volumeMounts"] = append(mounts, object{"name": name, "mountPath": inside})
	b.out.Audit.Mounted = true
	b.changed("spec.volumes["+name+"]", "", host)
}

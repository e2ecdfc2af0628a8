// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// setContainer changes what the container says besides its flags.
func (b *standbyBuilder) setContainer() error {
	b.setProbes()
	b.dropPorts()
	b.setResources()
	b.setGodebug()
	b.setPull()
	if hooks, ok := b.container["lifecycle"].(object); ok && hooks["preStop"] != nil {
		// It would put off SIGTERM by a time that nobody knows.
		b.changed(b.at("lifecycle.preStop"), brief(hooks["preStop"]), "")
		delete(hooks, "preStop")
	}
	for field, words := range b.commandLists() {
		if len(words) > 0 {
			b.container[field] = words
		} else {
			delete(b.container, field)
		}
	}
	return nil
}

func (b *standbyBuilder) commandLists() map[string][]any {
	command, args := b.line.lists()
	return map[string][]any{"command": command, "args": args}
}

// setProbes lets the kubelet look at the standby's own port. A probe that looks
// elsewhere, or runs a command, may look at the main API server, and its end
// would be taken for the standby's.
func (b *standbyBuilder) setProbes() {
	for _, name := range []string{"startupProbe", "livenessProbe", "readinessProbe"} {
		probe, ok := b.container[name].(object)
		if !ok {
			continue
		}
		action, of := probedPort(probe)
		if action == nil || b.resolvePort(action["port"]) != b.out.MainPort {
			b.changed(b.at(name), brief(probe), "")
			delete(b.container, name)
			continue
		}
		b.changed(b.at(name+"."+of+".port"), fmt.Sprint(action["port"]), strconv.Itoa(b.out.Port))
		action["port"] = b.out.Port
	}
}

func probedPort(probe object) (object, string) {
	for _, kind := range []string{"httpGet", "tcpSocket", "grpc"} {
		if action, ok := probe[kind].(object); ok {
			return action, kind
		}
	}
	return nil, ""
}

// resolvePort is the number of a port that is a number, or the name of one of
// the container's (kubeadm's manifests have one since 1.34). Zero: neither.
func (b *standbyBuilder) resolvePort(port any) int {
	name := fmt.Sprint(port)
	for _, p := range objects(b.container["ports"]) {
		if text(p["name"]) == name {
			name = fmt.Sprint(p["containerPort"])
			break
		}
	}
	n, _ := strconv.Atoi(name)
	return n
}

// dropPorts leaves out the ports: with hostNetwork each is one of the node's,
// and the kubelet refuses a second pod that declares the same
// (pkg/kubelet/lifecycle/predicate.go).
func (b *standbyBuilder) dropPorts() {
	for _, p := range objects(b.container["ports"]) {
		for _, field := range []string{"containerPort", "hostPort"} {
			n, _ := strconv.Atoi(fmt.Sprint(p[field]))
			if n != 0 && n != b.out.MainPort && !slices.Contains(b.out.HostPorts, n) {
				b.out.HostPorts = append(b.out.HostPorts, n)
			}
		}
	}
	if b.container["ports"] != nil {
		b.changed(b.at("ports"), brief(b.container["ports"]), "")
		delete(b.container, "ports")
	}
}

// standbyCPU is what the standby reserves. It is a critical pod, for which the
// kubelet would evict others: nothing that is there has to make room.
const standbyCPU = "10m"

// setResources reserves next to nothing. A limit without a request would become
// one (pkg/apis/core/v1/defaults.go, SetDefaults_Pod), so requests are named.
func (b *standbyBuilder) setResources() {
	resources, ok := b.container["resources"].(object)
	if !ok {
		resources = object{}
		b.container["resources"] = resources
	}
	was := brief(resources["requests"])
	requests := object{"cpu": standbyCPU}
	limits, _ := resources["limits"].(object)
	for _, name := range []string{"memory", "ephemeral-storage"} {
		if limits[name] != nil {
			requests[name] = "0"
		}
	}
	resources["requests"] = requests
	b.changed(b.at("resources.requests"), was, brief(requests))
}

// Listeners of programs built with Go 1.24 or later are MPTCP sockets, which no
// SOCKMAP takes; this makes the standby's a plain one. An older program ignores
// it.
const (
	godebug      = "GODEBUG"
	plainSockets = "multipathtcp=0"
)

// setGodebug adds plainSockets to the container's environment, and to what a
// launcher in front of the program sets there.
func (b *standbyBuilder) setGodebug() {
	for i, w := range b.line.words[:b.line.flags] {
		if value, ok := strings.CutPrefix(w.text, godebug+"="); ok {
			b.line.words[i].text = godebug + "=" + withPlainSockets(value)
		}
	}
	var kept []any
	was, at := "", -1
	list, _ := b.container["env"].([]any)
	for _, v := range list {
		if e, ok := v.(object); ok && text(e["name"]) == godebug {
			was = text(e["value"]) // of two, the last one counts
			if at < 0 {
				at = len(kept)
				kept = append(kept, nil)
			}
			continue
		}
		kept = append(kept, v)
	}
	if at < 0 {
		at = len(kept)
		kept = append(kept, nil)
	}
	kept[at] = object{"name": godebug, "value": withPlainSockets(was)}
	b.changed("env "+godebug, was, withPlainSockets(was))
	b.container["env"] = kept
}

func withPlainSockets(settings string) string {
	var all []string
	for setting := range strings.SplitSeq(settings, ",") {
		if setting != "" && !strings.HasPrefix(setting, "multipathtcp=") {
			all = append(all, setting)
		}
	}
	return strings.Join(append(all, plainSockets), ",")
}

// setPull lets the standby start from the image that the node has: it is what
// the main one was started from, and a registry that is away is no reason to
// wait.
func (b *standbyBuilder) setPull() {
	const field = "imagePullPolicy"
	was := text(b.container[field])
	if was == "Never" {
		return
	}
	b.container[field] = "IfNotPresent"
	b.changed(b.at(field), was, "IfNotPresent")
}

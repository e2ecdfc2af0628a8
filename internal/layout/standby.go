// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/release"
)

// StandbyPlanAnnotation holds, in a standby's manifest, the ID of the plan that
// it belongs to.
const StandbyPlanAnnotation = finding.Group + "/plan"

// What a standby is told of its end, whoever makes it. Both are at most what
// kube-apiserver takes (k8s.io/apiserver pkg/server/options/server_run_options.go).
const (
	// StandbyWatchGrace is how long it lets its watches drain.
	StandbyWatchGrace = 10 * time.Second
	// standbyGoaway moves kept HTTP/2 connections back to the main API server
	// while both serve; 0.02 is the most that there is.
	standbyGoaway = "0.02"
	// watchGraceSince is the first minor with
	// --shutdown-watch-termination-grace-period: v0.27.0 of that file has it,
	// v0.26.15 has not. An API server that is told an unknown flag ends.
	watchGraceSince = release.Minor(27)
)

// StandbyOptions is what whoever plans a handover decides about its standby.
type StandbyOptions struct {
	PlanID string // becomes the annotation StandbyPlanAnnotation
	Port   int    // that the standby serves on
	// Minor is the release of the API server. Zero: the image's tag says it,
	// or it is not known and newer flags are left out.
	Minor release.Minor
	// Delay is --shutdown-delay-duration: how long the standby serves on after
	// SIGTERM. Zero: the flag is not given.
	Delay time.Duration
}

// StandbyManifest is the manifest of a standby, and what became of the main API
// server's in it.
type StandbyManifest struct {
	YAML     []byte
	MainPort int // that the main API server serves on
	Port     int
	Minor    release.Minor // zero: not known
	Image    fact.Text
	Changes  []Change // in the order of the manifest's parts
	Audit    StandbyAudit
	Mounts   []fact.Mount // what of the node the standby mounts
	// HostPorts are ports other than its own that the main manifest reserves;
	// the standby declares none.
	HostPorts []int
	// LeftOut names the main pod's other containers, which the standby has not.
	LeftOut []string
}

// Change is one difference between the standby's manifest and the main one's.
type Change struct {
	What    string    `json:"what"` // "flag --secure-port", "spec.containers[0].ports"
	Was, Is fact.Text // empty: not there
}

// Standby makes the manifest of a second API server for the time of a handover
// out of the bytes of the main one's, YAML or JSON. Fields that it does not know
// are kept; comments are not. It answers with an error, and no manifest, where
// it cannot be sure that the standby would serve as the main one does.
//
// Of the main pod's containers only the API server is kept. Its pod goes on
// running during a handover (only the API server's process ends), so what
// another container serves on the loopback or on a socket below a host path,
// such as a KMS plugin, serves the standby too, and a second one would take its
// ports and sockets away. What reaches the API server through the pod itself (a
// shared emptyDir) would be missing: that is refused.
//
// None of the main pod's labels is kept: services, monitors and kubeadm find the
// API servers by them (kubeadm refuses to go on with two of component and tier
// on one node: cmd/kubeadm/app/util/config/cluster.go). The container keeps its
// name, to which annotations for AppArmor refer.
func Standby(manifest []byte, o StandbyOptions) (StandbyManifest, error) {
	s, err := standbyOf(manifest, o)
	if err != nil {
		return StandbyManifest{}, fmt.Errorf("making a standby's manifest: %w", err)
	}
	return s, nil
}

func standbyOf(manifest []byte, o StandbyOptions) (StandbyManifest, error) {
	pod, err := decodePod(manifest)
	if err != nil {
		return StandbyManifest{}, err
	}
	b := standbyBuilder{options: o, pod: pod}
	for _, step := range []func() error{b.findContainer, b.setPort, b.setMetadata, b.setFlags, b.setAudit, b.setContainer, b.setPod} {
		if err := step(); err != nil {
			return StandbyManifest{}, err
		}
	}
	if b.out.YAML, err = yaml.Marshal(b.pod); err != nil {
		return StandbyManifest{}, err
	}
	made := ParseManifest("", fact.Meta{}, b.out.YAML)
	if made.Problem != "" {
		return StandbyManifest{}, errors.New(string(made.Problem))
	}
	b.out.Mounts = made.Mounts
	return b.out, nil
}

// object is a JSON object of any shape.
type object = map[string]any

// decodePod keeps numbers as they are written: a float64 would round them.
func decodePod(manifest []byte) (object, error) {
	m := ParseManifest("", fact.Meta{}, manifest)
	if m.Problem != "" {
		return nil, errors.New(string(m.Problem))
	}
	asJSON, err := yaml.YAMLToJSON(manifest)
	if err != nil {
		return nil, errors.New("it is no YAML of a pod" + whereIn(err))
	}
	decoder := json.NewDecoder(bytes.NewReader(asJSON))
	decoder.UseNumber()
	var pod object
	if err := decoder.Decode(&pod); err != nil {
		return nil, errors.New("it is no YAML of a pod")
	}
	meta, _ := pod["metadata"].(object)
	switch name := text(meta["name"]); name {
	case "":
		return nil, errors.New("it has no metadata.name")
	case APIServerStandby:
		return nil, errors.New("it is a standby's already")
	}
	return pod, nil
}

// standbyBuilder is the work in progress of one Standby.
type standbyBuilder struct {
	options   StandbyOptions
	pod       object
	spec      object
	container object // the API server
	others    []object
	index     int // of the API server among the pod's containers
	line      commandLine
	out       StandbyManifest
}

func (b *standbyBuilder) changed(what, was, is string) {
	if was != is {
		b.out.Changes = append(b.out.Changes, Change{What: what, Was: fact.Text(was), Is: fact.Text(is)})
	}
}

// at names a field of the API server's container.
func (b *standbyBuilder) at(field string) string {
	return fmt.Sprintf("spec.containers[%d].%s", b.index, field)
}

func (b *standbyBuilder) findContainer() error {
	b.spec, _ = b.pod["spec"].(object)
	containers := objects(b.spec["containers"])
	found := 0
	var lines []error
	for i, c := range containers {
		line, err := apiServerLine(c)
		if err != nil {
			lines = append(lines, err)
		}
		if line == nil {
			b.others = append(b.others, c)
			continue
		}
		found++
		b.container, b.index, b.line = c, i, *line
	}
	switch {
	case len(lines) > 0:
		return errors.Join(lines...)
	case found == 0:
		return errors.New("none of its containers starts kube-apiserver in a way that is understood")
	case found > 1:
		return errors.New("more than one of its containers starts kube-apiserver")
	}
	b.others = append(b.others, objects(b.spec["initContainers"])...)
	return b.refuseShared()
}

// refuseShared refuses a volume of the pod through which the API server and
// another container reach each other.
func (b *standbyBuilder) refuseShared() error {
	volumes := b.volumes()
	for _, m := range objects(b.container["volumeMounts"]) {
		name := text(m["name"])
		if !ownVolume(volumes[name]) {
			continue
		}
		for _, other := range b.others {
			for _, theirs := range objects(other["volumeMounts"]) {
				if text(theirs["name"]) == name {
					return fmt.Errorf("the API server shares the volume %s with the container %s, and a second pod would have its own, empty one", fact.Text(name), fact.Text(text(other["name"])))
				}
			}
		}
	}
	return nil
}

func (b *standbyBuilder) volumes() map[string]object {
	all := map[string]object{}
	for _, v := range objects(b.spec["volumes"]) {
		all[text(v["name"])] = v
	}
	return all
}

// ownVolume says that each pod with such a volume has its own.
func ownVolume(volume object) bool {
	return volume["emptyDir"] != nil || volume["ephemeral"] != nil
}

const highestPort = 65535

func (b *standbyBuilder) setPort() error {
	main := b.line.value("secure-port")
	if main == "" {
		main = defaultPorts[APIServer]
	}
	port, err := strconv.Atoi(main)
	if err != nil || port < 1 || port > highestPort {
		return fmt.Errorf("the API server's --secure-port=%s is no port to hand over", fact.Text(main))
	}
	if o := b.options.Port; o < 1 || o > highestPort || o == port {
		return fmt.Errorf("port %d cannot be a standby's beside %d", o, port)
	}
	b.out.MainPort, b.out.Port = port, b.options.Port
	b.out.Image = fact.Text(text(b.container["image"]))
	b.out.Minor = b.options.Minor
	if b.out.Minor == 0 {
		b.out.Minor, _ = release.ParseMinor(string(ImageVersion(b.out.Image)))
	}
	return nil
}

// serverSide is what only the API server and the kubelet write into an object.
// A uid above all: the kubelet takes one that a manifest has instead of making
// its own (pkg/kubelet/config/common.go), and two pods would be one.
var serverSide = []string{"uid", "resourceVersion", "generation", "selfLink", "ownerReferences", "managedFields", "generateName"}

func (b *standbyBuilder) setMetadata() error {
	meta, _ := b.pod["metadata"].(object) // it has a name
	b.changed("metadata.name", text(meta["name"]), APIServerStandby)
	meta["name"] = APIServerStandby
	for _, field := range serverSide {
		if meta[field] != nil {
			b.changed("metadata."+field, brief(meta[field]), "")
			delete(meta, field)
		}
	}
	labels := object{"component": APIServerStandby}
	b.changed("metadata.labels", brief(meta["labels"]), brief(labels))
	meta["labels"] = labels
	annotations, _ := meta["annotations"].(object)
	kept := object{StandbyPlanAnnotation: b.options.PlanID}
	for key, value := range annotations {
		if _, ours := kept[key]; ours || foreignAnnotation(key) {
			continue
		}
		kept[key] = value
	}
	b.changed("metadata.annotations", brief(meta["annotations"]), brief(kept))
	meta["annotations"] = kept
	return nil
}

// foreignAnnotation says that an annotation speaks of the main pod itself:
// kubeadm's address and hashes, the kubelet's own, and kubectl's copy.
func foreignAnnotation(key string) bool {
	return strings.HasPrefix(key, "kubeadm.kubernetes.io/") || strings.HasPrefix(key, "kubernetes.io/config.") ||
		strings.HasPrefix(key, "kubectl.kubernetes.io/")
}

// setPod leaves out what belongs to the other containers and to the main pod's
// place among the node's pods.
func (b *standbyBuilder) setPod() error {
	if host, _ := b.spec["hostNetwork"].(bool); !host {
		return errors.New("its pod has a network of its own (no hostNetwork), so nothing can be handed over to another port of the node")
	}
	for _, c := range b.others {
		b.out.LeftOut = append(b.out.LeftOut, text(c["name"]))
	}
	if len(b.out.LeftOut) > 0 {
		b.changed("containers besides the API server", strings.Join(b.out.LeftOut, ","), "")
	}
	b.spec["containers"] = []any{b.container}
	// A request of the whole pod would evict others, as a container's would.
	b.changed("spec.resources", brief(b.spec["resources"]), "")
	delete(b.spec, "resources")
	delete(b.spec, "initContainers")
	delete(b.spec, "ephemeralContainers")
	delete(b.pod, "status")
	b.dropUnmounted()
	b.setGrace()
	return nil
}

// dropUnmounted leaves out the volumes of the other containers: the kubelet
// would make or look for them.
func (b *standbyBuilder) dropUnmounted() {
	used := map[string]bool{}
	for _, field := range []string{"volumeMounts", "volumeDevices"} {
		for _, m := range objects(b.container[field]) {
			used[text(m["name"])] = true
		}
	}
	var kept []any
	for _, v := range objects(b.spec["volumes"]) {
		if name := text(v["name"]); used[name] {
			kept = append(kept, v)
		} else {
			b.changed("spec.volumes["+name+"]", name, "")
		}
	}
	if len(kept) == 0 {
		delete(b.spec, "volumes")
		return
	}
	b.spec["volumes"] = kept
}

// graceSlack is for the requests that are under way when the watches have ended.
const graceSlack = 10 * time.Second

// setGrace sees that the kubelet does not kill a standby that drains. Where the
// manifest says nothing the API's default is 30 seconds.
func (b *standbyBuilder) setGrace() {
	const field = "terminationGracePeriodSeconds"
	needs := int64((b.options.Delay + StandbyWatchGrace + graceSlack) / time.Second)
	has := int64(30)
	if n, ok := b.spec[field].(json.Number); ok {
		has, _ = n.Int64()
	}
	if has < needs {
		b.changed("spec."+field, strconv.FormatInt(has, 10), strconv.FormatInt(needs, 10))
		b.spec[field] = needs
	}
}

// objects is what of a list are objects.
func objects(list any) []object {
	values, _ := list.([]any)
	var all []object
	for _, v := range values {
		if o, ok := v.(object); ok {
			all = append(all, o)
		}
	}
	return all
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// brief writes a part of a manifest on one line, cut where it is long.
func brief(v any) string {
	if v == nil {
		return ""
	}
	const limit = 500
	line, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(line[:min(len(line), limit)])
}

// texts reads a list of strings; ok is false where one of them is none.
func texts(list any) (all []string, ok bool) {
	values, isList := list.([]any)
	if !isList {
		return nil, list == nil
	}
	for _, v := range values {
		s, isText := v.(string)
		if !isText {
			return nil, false
		}
		all = append(all, s)
	}
	return slices.Clip(all), true
}

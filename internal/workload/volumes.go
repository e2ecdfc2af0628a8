// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
)

// volumes are those of in-tree plugins that do not outlast the way as they are.
type volumes struct {
	looked  bool           // a cluster was looked at: a driver that was not seen is missing
	drivers map[string]int // CSIDriver objects, by name, and the nodes that have each
	objects map[string]bool
	nodes   int             // CSINode objects
	claims  map[string]*few // by the storage class that they ask for
	used    []usedVolume
}

// usedVolume is a use of an in-tree plugin that a CSI driver takes over.
type usedVolume struct {
	object fact.Object
	kind   rules.Volume
	what   string // "volume data"
	fix    string // the translated object, as a diff
}

func newVolumes() volumes {
	return volumes{drivers: map[string]int{}, objects: map[string]bool{}, claims: map[string]*few{}}
}

func (j *Judge) seeCSIDriver(o fact.Object) error {
	if o.File == "" {
		j.volumes.looked = true
		j.volumes.objects[string(o.Name)] = true
	}
	return nil
}

func (j *Judge) seeCSINode(o fact.Object) error {
	var content struct {
		Spec storagev1.CSINodeSpec `json:"spec"`
	}
	if err := read(o, &content); err != nil {
		return err
	}
	if o.File != "" {
		return nil
	}
	j.volumes.looked = true
	j.volumes.nodes++
	for _, driver := range content.Spec.Drivers {
		j.volumes.drivers[driver.Name]++
	}
	return nil
}

func (j *Judge) seePersistentVolume(o fact.Object) error {
	var fields struct {
		Spec map[string]json.RawMessage `json:"spec"`
	}
	var pv corev1.PersistentVolume
	if err := read(o, &fields); err != nil {
		return err
	}
	for name := range fields.Spec {
		if kind, ok := j.rules.Volume(name); ok {
			if err := read(o, &pv); err != nil {
				return err
			}
			what := "the volume"
			if claim := pv.Spec.ClaimRef; claim != nil {
				what += " of the claim " + fact.Text(claim.Namespace+"/"+claim.Name).String()
			}
			j.use(o, kind, what, func() string { return translatedVolume(&pv) })
		}
	}
	return nil
}

// classAnnotation names the class of a claim that was made before 1.6
// (k8s.io/api core/v1 BetaStorageClassAnnotation).
const classAnnotation = "volume.beta.kubernetes.io/storage-class"

func (j *Judge) seePersistentVolumeClaim(o fact.Object) error {
	var content struct {
		Metadata meta `json:"metadata"`
		Spec     struct {
			Class *string `json:"storageClassName"`
		} `json:"spec"`
	}
	if err := read(o, &content); err != nil {
		return err
	}
	class := content.Metadata.Annotations[classAnnotation]
	if content.Spec.Class != nil {
		class = *content.Spec.Class
	}
	if class == "" {
		return nil
	}
	if j.volumes.claims[class] == nil {
		j.volumes.claims[class] = &few{}
	}
	j.volumes.claims[class].add(o.Namespace.String() + "/" + o.Name.String())
	return nil
}

// claimed notes of findings about storage classes who asks for them.
func (j *Judge) claimed(found []finding.Finding) {
	for i := range found {
		of := found[i].Object
		if of == nil || of.Kind != "StorageClass" {
			continue
		}
		if claims := j.volumes.claims[string(of.Name)]; claims != nil {
			found[i].Evidence.Notes = append(slices.Clone(found[i].Evidence.Notes), fact.Text("asked for by the claims "+claims.String()))
		}
	}
}

func (j *Judge) seeStorageClass(o fact.Object) error {
	var class storagev1.StorageClass
	if err := read(o, &class); err != nil {
		return err
	}
	for _, kind := range j.rules.Volumes() {
		if kind.Plugin == class.Provisioner {
			j.use(o, kind, "what it provisions", func() string { return translatedClass(kind.Plugin, &class) })
		}
	}
	return nil
}

// inline judges the volumes of a pod or template: each plugin once.
func (j *Judge) inline(o fact.Object, spec corev1.PodSpec) {
	names := map[string]few{}
	first := map[string]*corev1.Volume{}
	var order []rules.Volume
	for i := range spec.Volumes {
		volume := &spec.Volumes[i]
		field := sourceField(volume)
		kind, ok := j.rules.Volume(field)
		if !ok {
			continue
		}
		if first[field] == nil {
			first[field] = volume
			order = append(order, kind)
		}
		seen := names[field]
		seen.add(volume.Name)
		names[field] = seen
	}
	for _, kind := range order {
		what := "the volume " + fact.Text(names[kind.Field].String()).String()
		j.use(o, kind, what, func() string { return translatedInline(first[kind.Field], string(o.Namespace)) })
	}
}

// sourceField is the name of the field of core/v1's VolumeSource that is set.
func sourceField(v *corev1.Volume) string {
	s := v.VolumeSource
	for _, field := range []struct {
		set  bool
		name string
	}{
		{s.AWSElasticBlockStore != nil, "awsElasticBlockStore"}, {s.AzureDisk != nil, "azureDisk"},
		{s.AzureFile != nil, "azureFile"}, {s.CephFS != nil, "cephfs"}, {s.Cinder != nil, "cinder"},
		{s.FlexVolume != nil, "flexVolume"}, {s.Flocker != nil, "flocker"}, {s.GCEPersistentDisk != nil, "gcePersistentDisk"},
		{s.GitRepo != nil, "gitRepo"}, {s.Glusterfs != nil, "glusterfs"}, {s.PhotonPersistentDisk != nil, "photonPersistentDisk"},
		{s.PortworxVolume != nil, "portworxVolume"}, {s.Quobyte != nil, "quobyte"}, {s.RBD != nil, "rbd"},
		{s.ScaleIO != nil, "scaleIO"}, {s.StorageOS != nil, "storageos"}, {s.VsphereVolume != nil, "vsphereVolume"},
	} {
		if field.set {
			return field.name
		}
	}
	return ""
}

// use judges a use of an in-tree plugin. What a CSI driver takes over is judged
// in the end, when the drivers are known. What ends after the way is a hint.
func (j *Judge) use(o fact.Object, kind rules.Volume, what string, translated func() string) {
	o.Content, o.Uses = nil, nil
	if kind.Class == rules.Translated {
		if !kind.Migrated.IsZero() && kind.Migrated.Minor > j.way.From {
			j.volumes.used = append(j.volumes.used, usedVolume{o, kind, what, translated()})
		}
		return
	}
	if last := kind.Works.Last(); last > 0 && last < j.rules.Newest() && last >= j.way.From {
		j.found = append(j.found, j.pluginRemoved(o, kind, what, last+1))
	}
}

func (j *Judge) pluginRemoved(o fact.Object, kind rules.Volume, what string, gone release.Minor) finding.Finding {
	impact, r := finding.Breaks, rule{gone, kind.Source}
	if gone > j.way.To {
		impact, r.minor = finding.Hint, j.first()
	}
	f := about(o, finding.VolumePluginRemoved, impact, r)
	f.RemovedIn = gone.String()
	f.Effect = fmt.Sprintf("%s can no longer be mounted: kubelets have no code for %s from %s on", what, kind.Field, gone)
	switch {
	case kind.Field == "gitRepo":
		f.Fix = "clone the repository into an emptyDir volume in an init container"
	case kind.Driver != "":
		f.Fix = "install the CSI driver " + kind.Driver + ", make volumes of it and move the data there before that"
	case kind.Class == rules.DriverExists:
		f.Fix = "install a CSI driver for the storage, make volumes of it and move the data there before that"
	default:
		f.Fix = "move the data to other storage before that: nothing takes the place of " + kind.Field
	}
	return f
}

func (j *Judge) volumeFindings() []finding.Finding {
	var all []finding.Finding
	for _, used := range j.volumes.used {
		impact, state := j.driverState(used)
		if state == "" {
			continue // the driver is everywhere: nothing changes
		}
		r := rule{used.kind.Migrated.Minor, used.kind.Migrated.Source}
		if r.minor > j.way.To {
			impact, r.minor = finding.Hint, j.first()
		}
		f := about(used.object, finding.VolumeDriverMissing, impact, r)
		f.Effect = fmt.Sprintf("from %s on %s is mounted by the CSI driver %s only, %s", used.kind.Migrated.Minor, used.what, used.kind.Driver, state)
		f.Fix = "install the CSI driver " + used.kind.Driver + "; the object can stay as it is"
		if used.fix != "" {
			f.Fix += ", it is treated as this:\n" + used.fix
		}
		all = append(all, f)
	}
	return all
}

// driverState says what is wrong with the driver that takes over; nothing is
// where every node has it.
func (j *Judge) driverState(used usedVolume) (finding.Impact, string) {
	v, name := &j.volumes, used.kind.Driver
	switch nodes := v.drivers[name]; {
	case !v.looked:
		return finding.Changes, "and whether that is installed could not be looked at"
	case nodes == 0 && v.objects[name]:
		return finding.Breaks, "and no node has it, although there is a CSIDriver object"
	case nodes == 0:
		return finding.Breaks, "which is not installed: there is no CSIDriver object, and no node has it"
	case nodes < v.nodes:
		return finding.Breaks, fmt.Sprintf("which only %d of %s have", nodes, counted(v.nodes, "node"))
	case !v.objects[name]:
		return finding.Hint, "which every node has, although there is no CSIDriver object"
	}
	return "", ""
}

// drop shortens a diff's text to what a fix can hold.
func drop(lines []string) string {
	const limit = 40
	if len(lines) > limit {
		lines = append(slices.Clone(lines[:limit]), "...")
	}
	return strings.Join(lines, "\n")
}

// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	csitranslation "k8s.io/csi-translation-lib"
	"k8s.io/klog/v2"
	"sigs.k8s.io/yaml"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/rules"
)

// Conversion collects what is made of in-tree volumes: for each object the one
// that says the same for a CSI driver, by the library of Kubernetes' own
// components, and what has to be done for those that nothing translates.
type Conversion struct {
	volumes
	set   *rules.Set
	way   rules.Way
	found []Converted
	// claims and named are the names that were given to claims, with their
	// namespace, and to volumes.
	claims, named map[string]bool
}

// Converted is a use of an in-tree plugin.
type Converted struct {
	Object string // "PersistentVolume data", "Deployment shop/web, volume cache"
	Plugin rules.Volume
	// File and YAML are the object to make in its place; empty where there is
	// none.
	File string
	YAML []byte
	// Why there is none.
	Why string
}

// NewConversion makes one that has seen nothing.
func NewConversion(set *rules.Set, way rules.Way) *Conversion {
	return &Conversion{volumes: newVolumes(), set: set, way: way, claims: map[string]bool{}, named: map[string]bool{}}
}

// See takes in an object. Of what makes pods only the top is to be shown, or
// what is shown is said several times.
func (c *Conversion) See(o fact.Object) error {
	switch o.Type {
	case "PersistentVolume":
		return c.volume(o)
	case "StorageClass":
		return c.class(o)
	case "CSIDriver", "CSINode":
		j := Judge{volumes: c.volumes}
		err := kinds["storage.k8s.io/"+string(o.Type)](&j, o)
		c.volumes = j.volumes
		return err
	}
	t, m, err := templateOf(o)
	if err != nil || madeFrom[m.controller()] {
		return err
	}
	c.inline(o, t.Spec)
	return nil
}

func (c *Conversion) volume(o fact.Object) error {
	var pv corev1.PersistentVolume
	var fields struct {
		Spec map[string]json.RawMessage `json:"spec"`
	}
	if err := read(o, &fields); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(fields.Spec)) {
		kind, ok := c.set.Volume(name)
		if !ok {
			continue
		}
		if err := read(o, &pv); err != nil {
			return err
		}
		one := Converted{Object: "PersistentVolume " + o.Name.String(), Plugin: kind}
		translated, err := csitranslation.New().TranslateInTreePVToCSI(klog.Logger{}, &pv)
		if err != nil {
			one.Why = err.Error()
		} else {
			one.File, one.YAML = "persistentvolumes/"+FileName(pv.Name)+".yaml", written(fresh(translated, kind.Driver))
		}
		c.found = append(c.found, one)
	}
	return nil
}

// provisionedBy names who makes and deletes a volume (k8s.io/kubernetes v1.37.0:
// pkg/controller/volume/persistentvolume).
const provisionedBy = "pv.kubernetes.io/provisioned-by"

// fresh is a volume as it can be made: without what the server and the
// controllers have put into it, and for the same claim of any time.
func fresh(pv *corev1.PersistentVolume, driver string) *corev1.PersistentVolume {
	made := &corev1.PersistentVolume{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolume"},
		ObjectMeta: metav1.ObjectMeta{Name: pv.Name, Labels: pv.Labels, Annotations: maps.Clone(pv.Annotations)},
		Spec:       *pv.Spec.DeepCopy(),
	}
	maps.DeleteFunc(made.Annotations, func(name, _ string) bool {
		return strings.HasPrefix(name, "pv.kubernetes.io/") && name != provisionedBy || name == "kubectl.kubernetes.io/last-applied-configuration"
	})
	if made.Annotations[provisionedBy] != "" {
		made.Annotations[provisionedBy] = driver
	}
	if claim := made.Spec.ClaimRef; claim != nil {
		claim.UID, claim.ResourceVersion = "", ""
	}
	return made
}

func (c *Conversion) class(o fact.Object) error {
	var class storagev1.StorageClass
	if err := read(o, &class); err != nil {
		return err
	}
	for _, kind := range c.set.Volumes() {
		if kind.Plugin != class.Provisioner {
			continue
		}
		one := Converted{Object: "StorageClass " + o.Name.String(), Plugin: kind}
		translated, err := csitranslation.New().TranslateInTreeStorageClassToCSI(klog.Logger{}, kind.Plugin, &class)
		if err != nil {
			one.Why = err.Error()
		} else {
			translated.TypeMeta = metav1.TypeMeta{APIVersion: "storage.k8s.io/v1", Kind: "StorageClass"}
			translated.ObjectMeta = metav1.ObjectMeta{Name: class.Name, Labels: class.Labels, Annotations: class.Annotations}
			delete(translated.Annotations, "kubectl.kubernetes.io/last-applied-configuration")
			translated.Provisioner = kind.Driver
			one.File, one.YAML = "storageclasses/"+FileName(class.Name)+".yaml", written(translated)
		}
		c.found = append(c.found, one)
	}
	return nil
}

// inline are volumes in a template or pod. Nothing can be written in their place
// but a claim, with a volume for it.
func (c *Conversion) inline(o fact.Object, spec corev1.PodSpec) {
	for i := range spec.Volumes {
		v := &spec.Volumes[i]
		kind, ok := c.set.Volume(sourceField(v))
		if !ok {
			continue
		}
		one := Converted{Object: fmt.Sprintf("%s %s/%s, volume %s", o.Type.String(), o.Namespace, o.Name, fact.Text(v.Name)), Plugin: kind}
		kindOf := strings.ToLower(string(o.Type))
		name := free(c.named, "", string(o.Namespace)+"-"+string(o.Name)+"-"+v.Name, kindOf)
		// Many pods call one of their volumes "data".
		claim := free(c.claims, string(o.Namespace)+"/", string(o.Name)+"-"+v.Name, kindOf)
		translated, err := csitranslation.New().TranslateInTreeInlineVolumeToCSI(klog.Logger{}, v, string(o.Namespace))
		if err != nil {
			one.Why = err.Error()
		} else {
			translated.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolume"}
			translated.ObjectMeta = metav1.ObjectMeta{Name: name}
			if translated.Spec.Capacity == nil { // nobody says it of a volume in a pod, and a server asks for it
				translated.Spec.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
			}
			translated.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
			translated.Spec.ClaimRef = &corev1.ObjectReference{Namespace: string(o.Namespace), Name: claim}
			one.File, one.YAML = "inline/"+name+".yaml", written(translated)
		}
		c.found = append(c.found, one)
	}
}

// nameMost is far enough below the 253 characters that a name may have for what is
// put behind it.
const nameMost = 200

// free is a name that was not given yet, made of a wanted one and, where that was
// given, of the kind of whatever has it.
func free(given map[string]bool, prefix, wanted, kind string) string {
	wanted = FileName(strings.ToLower(wanted))
	wanted = strings.TrimRight(wanted[:min(len(wanted), nameMost)], "-.")
	name := wanted
	for n := 1; given[prefix+name]; n++ {
		if name = wanted + "-" + kind; n > 1 {
			name = fmt.Sprintf("%s-%s-%d", wanted, kind, n)
		}
	}
	given[prefix+name] = true
	return name
}

// written is an object as YAML, without the status that nobody writes.
func written(object any) []byte {
	text, err := json.Marshal(object)
	if err != nil {
		return nil
	}
	var tree map[string]any
	if json.Unmarshal(text, &tree) != nil {
		return nil
	}
	delete(tree, "status")
	if m, ok := tree["metadata"].(map[string]any); ok && m["creationTimestamp"] == nil {
		delete(m, "creationTimestamp")
	}
	if text, err = yaml.Marshal(tree); err != nil {
		return nil
	}
	return text
}

// FileName is a name of an object as one of a file: whoever made the object may
// have been able to name it anything.
func FileName(name string) string {
	return strings.TrimLeft(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.', r == '_':
			return r
		}
		return '_'
	}, name), ".")
}

// Found is what was seen: what ends first, first.
func (c *Conversion) Found() []Converted {
	return slices.SortedStableFunc(slices.Values(c.found), func(a, b Converted) int {
		return cmp.Or(cmp.Compare(ends(a.Plugin), ends(b.Plugin)), cmp.Compare(a.Object, b.Object))
	})
}

// ends is the first minor in which kubelets do not mount it by their own code.
func ends(v rules.Volume) int {
	switch last := v.Works.Last(); {
	case !v.Migrated.IsZero():
		return int(v.Migrated.Minor)
	default:
		return int(last) + 1
	}
}

// Order is the order of work, as a checklist in Markdown.
func (c *Conversion) Order() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# In-tree volumes on the way to %s\n\nNothing here was applied. Do it from top to bottom, before the minor that a line names.\n", c.way.To)
	c.drivers(&b)
	c.files(&b, "storageclasses/", "Storage classes", "A class cannot be changed, only made anew: `kubectl replace --force -f FILE`. Volumes and claims that came from it stay as they are.")
	c.files(&b, "persistentvolumes/", "Volumes", "They can stay as they are: every component treats them as what these files say, by the same library, once the driver is on every node. "+
		"To be rid of the old form, one volume at a time: set its `persistentVolumeReclaimPolicy` to `Retain`, end the pods that use it, delete the claim and the volume, `kubectl apply -f FILE`, make the claim anew, start the pods, and set the policy back.")
	c.files(&b, "inline/", "Volumes inside of pods", "They, too, can stay as they are. To be rid of the old form: `kubectl apply -f FILE`, make a claim of the name and the namespace in its `claimRef`, and name that claim in the template in place of the volume. Their size is not known here: the files say 1Gi, which is compared with what the claim asks for and with nothing else.")
	c.others(&b)
	return b.Bytes()
}

func (c *Conversion) drivers(b *bytes.Buffer) {
	by := map[string]rules.Volume{}
	count := map[string]int{}
	for _, f := range c.found {
		if f.File != "" {
			by[f.Plugin.Driver] = f.Plugin
			count[f.Plugin.Driver]++
		}
	}
	if len(by) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## 1. CSI drivers\n\n")
	for _, name := range slices.Sorted(maps.Keys(by)) {
		box := " "
		if c.nodes > 0 && c.volumes.drivers[name] == c.nodes {
			box = "x"
		}
		fmt.Fprintf(b, "- [%s] `%s`, before %d.%d: it takes over %s; %d of %s have it", box, name, 1, ends(by[name]), counted(count[name], "use"), c.volumes.drivers[name], counted(c.nodes, "node"))
		if !c.objects[name] {
			b.WriteString("; there is no CSIDriver object")
		}
		b.WriteString("\n")
	}
}

func (c *Conversion) files(b *bytes.Buffer, prefix, title, how string) {
	first := true
	for _, f := range c.Found() {
		if !strings.HasPrefix(f.File, prefix) {
			continue
		}
		if first {
			fmt.Fprintf(b, "\n## %s\n\n%s\n\n", title, how)
			first = false
		}
		fmt.Fprintf(b, "- [ ] %s (`%s`): `%s`\n", f.Object, f.Plugin.Field, f.File)
	}
}

// others are those that nothing translates.
func (c *Conversion) others(b *bytes.Buffer) {
	first := true
	for _, f := range c.Found() {
		if f.File != "" {
			continue
		}
		if first {
			b.WriteString("\n## What nothing translates\n\nData has to be copied: make a volume of other storage, stop what writes, copy, name the new claim in the template, start, and keep the old volume (`Retain`) until a backup of the new one was read back.\n\n")
			first = false
		}
		when := "no kubelet mounts it any more"
		if last := f.Plugin.Works.Last(); last > 0 && last < c.set.Newest() {
			when = fmt.Sprintf("before %s: later kubelets have no code for it", last+1)
		} else if last > 0 {
			when = "kubelets still mount it"
		}
		fmt.Fprintf(b, "- [ ] %s (`%s`), %s: %s\n", f.Object, f.Plugin.Field, when, substitute(f))
	}
}

func substitute(f Converted) string {
	switch {
	case f.Plugin.Class == rules.Translated:
		return "it cannot be translated as it is (" + fact.Text(f.Why).String() + "); put that right first"
	case f.Plugin.Field == "gitRepo":
		return "clone the repository into an emptyDir volume in an init container"
	case f.Plugin.Field == "flexVolume":
		return "FlexVolume is deprecated: ask the storage's maker for a CSI driver"
	case f.Plugin.Driver != "":
		return "the CSI driver `" + f.Plugin.Driver + "` reaches the same storage"
	case f.Plugin.Class == rules.DriverExists:
		return "there is a CSI driver for the storage"
	}
	return "nothing takes its place: other storage"
}

// templateOf reads a pod, or what makes pods.
func templateOf(o fact.Object) (template, meta, error) {
	var c struct {
		Metadata meta     `json:"metadata"`
		Template template `json:"template"`
		Spec     struct {
			Template    template `json:"template"`
			JobTemplate struct {
				Spec struct {
					Template template `json:"template"`
				} `json:"spec"`
			} `json:"jobTemplate"`
		} `json:"spec"`
	}
	switch o.Type {
	case "Pod":
		var pod template
		err := read(o, &pod)
		return pod, pod.Metadata, err
	case "CronJob":
		err := read(o, &c)
		return c.Spec.JobTemplate.Spec.Template, c.Metadata, err
	case "PodTemplate":
		err := read(o, &c)
		return c.Template, c.Metadata, err
	}
	err := read(o, &c)
	return c.Spec.Template, c.Metadata, err
}

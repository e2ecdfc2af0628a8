// SPDX-License-Identifier: Apache-2.0

package rules

import "slices"

// VolumeClass is what becomes of a volume once the kubelet has no code for it.
type VolumeClass string

const (
	// Translated: every component treats it as one of a CSI driver, which has to
	// be installed; nothing has to be changed.
	Translated VolumeClass = "translated"
	// DriverExists: there is a CSI driver for the storage, but volumes have to be
	// made anew or data has to be copied.
	DriverExists VolumeClass = "driver"
	// Nothing takes its place.
	Nothing VolumeClass = "nothing"
)

// Volume is a kind of volume that kubelets had, or have, code of their own for.
type Volume struct {
	Plugin string // kubernetes.io/glusterfs
	Field  string // of PersistentVolumeSource and VolumeSource in core/v1: glusterfs
	Class  VolumeClass
	// Driver is the CSI driver's name; empty where none takes over.
	Driver string
	// Works: the kubelet mounts it by its own code, with default gates; from then
	// on only the driver does, if there is one. It is empty for what no measured
	// minor mounts.
	Works Spans
	// Migrated: from then on only the CSI driver mounts it, whatever the gates.
	Migrated Change
	Source
}

var volumeDefinition = definition{
	name:     "volumes",
	columns:  []string{"plugin", "field", "class", "driver", "works", "migrated", "origin", "citation"},
	keys:     1,
	embedded: &volumesTable,
	clear:    func(s *Set) { s.volumes = nil },
	put:      putVolume,
}

func putVolume(s *Set, r *record) error {
	volume := Volume{
		Plugin: r.name("plugin"), Field: r.name("field"),
		Class:  VolumeClass(r.oneOf("class", string(Translated), string(DriverExists), string(Nothing))),
		Driver: r.text("driver"), Works: r.spans("works"), Migrated: r.change("migrated"), Source: r.source(),
	}
	r.must(volume.Class != Translated || volume.Driver != "", "translated to no driver")
	s.volumes = append(s.volumes, volume)
	return r.err()
}

// Volumes lists all of them, by plugin. The caller may keep the slice.
func (s *Set) Volumes() []Volume { return slices.Clone(s.volumes) }

// Volume finds one by the field of the volume source, as "glusterfs".
func (s *Set) Volume(field string) (Volume, bool) {
	for _, volume := range s.volumes {
		if volume.Field == field {
			return volume, true
		}
	}
	return Volume{}, false
}

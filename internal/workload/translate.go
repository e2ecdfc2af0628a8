// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"bytes"
	"encoding/json"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	csitranslation "k8s.io/csi-translation-lib"
	"k8s.io/klog/v2"
	"sigs.k8s.io/yaml"
)

// What the API server, the controllers and the kubelet make of an in-tree
// volume, by their own library. Nothing where it cannot be translated.

func translatedVolume(pv *corev1.PersistentVolume) string {
	translated, err := csitranslation.New().TranslateInTreePVToCSI(klog.Logger{}, pv)
	if err != nil {
		return ""
	}
	return difference(map[string]any{"spec": pv.Spec}, map[string]any{"spec": translated.Spec})
}

func translatedInline(v *corev1.Volume, namespace string) string {
	translated, err := csitranslation.New().TranslateInTreeInlineVolumeToCSI(klog.Logger{}, v, namespace)
	if err != nil {
		return ""
	}
	return difference(v.VolumeSource, corev1.PersistentVolumeSource{CSI: translated.Spec.CSI})
}

func translatedClass(plugin string, class *storagev1.StorageClass) string {
	translated, err := csitranslation.New().TranslateInTreeStorageClassToCSI(klog.Logger{}, plugin, class)
	if err != nil {
		return ""
	}
	driver, err := csitranslation.New().GetCSINameFromInTreeName(plugin)
	if err != nil {
		return ""
	}
	translated.Provisioner = driver
	type parts struct {
		Provisioner       string                        `json:"provisioner"`
		Parameters        map[string]string             `json:"parameters,omitempty"`
		AllowedTopologies []corev1.TopologySelectorTerm `json:"allowedTopologies,omitempty"`
	}
	return difference(parts{class.Provisioner, class.Parameters, class.AllowedTopologies},
		parts{translated.Provisioner, translated.Parameters, translated.AllowedTopologies})
}

// diffLimit bounds the work for one diff: volumes have few lines, and what has
// many is none that anybody would read.
const diffLimit = 1 << 18

// difference is a diff of two values as YAML: lines with "-", "+" or neither.
// Values that cannot be written have none.
func difference(before, after any) string {
	old, new := yamlLines(before), yamlLines(after)
	if old == nil || new == nil || len(old)*len(new) > diffLimit {
		return ""
	}
	return drop(diff(old, new))
}

func yamlLines(value any) []string {
	text, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	if text, err = yaml.JSONToYAML(text); err != nil {
		return nil
	}
	return strings.Split(string(bytes.TrimSpace(text)), "\n")
}

// diff keeps the longest common sequence of lines.
func diff(old, new []string) []string {
	common := make([][]int, len(old)+1)
	for i := range common {
		common[i] = make([]int, len(new)+1)
	}
	for i := len(old) - 1; i >= 0; i-- {
		for k := len(new) - 1; k >= 0; k-- {
			if old[i] == new[k] {
				common[i][k] = common[i+1][k+1] + 1
			} else {
				common[i][k] = max(common[i+1][k], common[i][k+1])
			}
		}
	}
	var lines []string
	i, k := 0, 0
	for i < len(old) || k < len(new) {
		switch {
		case i < len(old) && k < len(new) && old[i] == new[k]:
			lines = append(lines, "  "+old[i])
			i, k = i+1, k+1
		case k == len(new) || i < len(old) && common[i+1][k] >= common[i][k+1]:
			lines = append(lines, "- "+old[i])
			i++
		default:
			lines = append(lines, "+ "+new[k])
			k++
		}
	}
	return lines
}

// SPDX-License-Identifier: Apache-2.0

package checkpoint

import (
	"fmt"
	"strings"
)

// Advice is how a checkpoint is restored by a manager: numbered steps, and what to
// keep in mind.
type Advice struct {
	Manager Manager  `json:"manager"`
	Steps   []string `json:"steps"`
	Mind    []string `json:"mind"`
}

// Advise says how an archive is restored. image is the name of its image, file that
// of the image's file; empty: it is yet to be written.
func Advise(d *Description, of Manager, image, file string) Advice {
	a := Advice{Manager: of}
	step := func(format string, args ...any) { a.Steps = append(a.Steps, fmt.Sprintf(format, args...)) }
	mind := func(format string, args ...any) { a.Mind = append(a.Mind, fmt.Sprintf(format, args...)) }
	step("see whether the node can restore it, there: perennial checkpoint verify ARCHIVE")
	if file == "" {
		step("write an image of it: perennial checkpoint restore ARCHIVE --runtime %s --to FILE.tar", of)
		file = "FILE.tar"
	}
	step("copy %s to the node that is to restore it, as root's with mode 0600; no registry is needed, and whoever can pull it from one has the memory in it", file)
	switch of {
	case CRIO:
		step("on that node: skopeo copy oci-archive:%s containers-storage:%s", file, image)
		step("in CRI-O's configuration: enable_criu_support = true, or in patches since September 2026 container_level_enabled = \"checkpoint_restore\" in [crio.checkpoint_restore], and restart it")
		mind("CRI-O restores from an image with the annotation %s.", crioName)
		mind("CRI-O can also be given the archive's own path as the container's image.")
	default:
		step("on that node: ctr -n k8s.io images import %s", file)
		step("in containerd's configuration, where it is 2.2.7 or later of 2.2, or 2.3.4 or later of 2.3: enable_experimental_restore_via_create = true in its CRI plugin, and restart it")
		mind("containerd restores from an image with the annotation %s, from 2.1 to 2.3 only. 1.x and 2.0 do not, and 2.4 does no more.", criuName)
	}
	step("see that the container's own image is there, too: crictl pull %s", firstText(d.Image, d.ImageRef, "IMAGE"))
	step("make a pod of the same containers and mounts on that node (spec.nodeName), with the image %s and imagePullPolicy: Never for the container %s", image, firstText(d.Container, "CONTAINER"))
	mind("Restore only archives that you trust: what is restored is what the archive says. Both runtimes switched it off by default in 2026, after faults by which an archive got more than the pod's own specification allows.")
	var binds []string
	for _, m := range d.Mounts {
		if m.Type == "bind" && !given[string(m.Path)] {
			binds = append(binds, m.Path.String())
		}
	}
	if len(binds) > 0 {
		mind("The new pod has to mount something at %s; else the runtime refuses.", strings.Join(binds, ", "))
	}
	if n := d.Established(); n > 0 {
		mind("%d TCP connections were open. A new pod has another address, so they are gone or keep CRIU from restoring.", n)
	}
	mind("What the container had written to volumes is not in the archive; what it had changed in its own file system is.")
	mind("The restored process has the secrets and tokens of then: the token of its service account may have ended.")
	mind("Once its image is restored nowhere any more, remove it and %s: each is a copy of the memory.", file)
	return a
}

// SPDX-License-Identifier: Apache-2.0

package checkpoint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// Node is what of a node decides whether it can restore a checkpoint.
type Node struct {
	Arch           string // as Go names it
	Kernel         fact.Text
	Cgroup         int // 0: not known
	CRIU           Program
	Manager        Manager   // what manages its containers; empty: not known
	ManagerVersion fact.Text // empty: not known
	Runtime        Program   // runc or crun
	Flags          []string  // of its CPU, as /proc/cpuinfo has them; nil: not known
	Image          Presence  // of the container's image
}

// Program is a program of a node.
type Program struct {
	Name    string    // runc
	Path    string    // empty: it is not there
	Version fact.Text // empty: it did not tell
	Problem string    // why it did not
	Refuses string    // what it says against this machine; empty: nothing, or it was not asked
}

// Presence is whether something is there.
type Presence string

// The presences.
const (
	Present   Presence = "present"
	Absent    Presence = "absent"
	Uncertain Presence = "" // nobody could be asked
)

// Answer is that to one question.
type Answer string

// The answers.
const (
	Yes     Answer = "yes"
	No      Answer = "no"
	Unknown Answer = "unknown"
)

// Check is one thing that restoring needs.
type Check struct {
	Name    string    `json:"name"`
	Answer  Answer    `json:"answer"`
	Archive fact.Text `json:"archive,omitempty"` // what the archive has
	Node    fact.Text `json:"node,omitempty"`    // what the node has
	Says    string    `json:"says"`              // one sentence
	Next    string    `json:"next,omitempty"`    // what to do about it
}

// Verify compares an archive with a node. What is not recorded in the archive, or
// could not be looked at on the node, is unknown and no yes.
func Verify(d *Description, n Node) []Check {
	checks := []Check{n.architecture(d), n.criu(d), n.manager(d), n.runtime(d), n.kernel(d), n.cgroups(d), n.cpu(d), n.image(d)}
	if c := connections(d); c.Name != "" {
		checks = append(checks, c)
	}
	return append(checks, mounts(d))
}

// Worst is the answer to whether the node can restore it: no, where one check says
// so, else unknown, where one does.
func Worst(checks []Check) Answer {
	worst := Yes
	for _, c := range checks {
		switch {
		case c.Answer == No:
			return No
		case c.Answer == Unknown:
			worst = Unknown
		}
	}
	return worst
}

func (n Node) architecture(d *Description) Check {
	c := Check{Name: "architecture", Archive: fact.Text(d.Arch), Node: fact.Text(n.Arch)}
	switch {
	case d.Arch == "":
		c.Answer, c.Says = Unknown, "the archive has no registers of a thread, which would tell."
	case d.Arch != n.Arch:
		c.Answer, c.Says, c.Next = No, "Memory and registers of one architecture are nothing for another.", "restore it on a node of "+d.Arch
	default:
		c.Answer, c.Says = Yes, "Both are the same."
	}
	return c
}

// leastCRIU is what checkpoints of containers take (go-criu v7.2.0
// utils/criu.go PodCriuVersion, which CRI-O and containerd ask for).
var leastCRIU = [3]int{3, 16, 0}

func (n Node) criu(d *Description) Check {
	c := Check{Name: "CRIU", Archive: d.CRIU, Node: n.CRIU.Version}
	has, told := version(n.CRIU.Version)
	of, known := version(d.CRIU)
	switch {
	case n.CRIU.Path == "":
		c.Answer, c.Says, c.Next = No, "It is not on this node, and nothing restores without it.", "install it: apt-get install criu, or dnf install criu"
	case n.CRIU.Refuses != "":
		c.Answer, c.Says, c.Next = No, "It says itself that it does not work here: "+n.CRIU.Refuses+".", "see what `criu check` says; a newer kernel may need a newer CRIU"
	case !told:
		c.Answer, c.Says = Unknown, "It is there and did not tell its version: "+n.CRIU.Problem+"."
	case less(has, leastCRIU):
		c.Answer, c.Says, c.Next = No, "Runtimes ask for 3.16 at least.", "install a newer one"
	case !known:
		c.Answer, c.Says = Unknown, "The archive has no log of CRIU, so it is not known which version wrote it."
	case less(has, of):
		c.Answer, c.Says, c.Next = No, "An older one may not understand what a newer one wrote, and its authors promise only the reverse.", "install "+d.CRIU.String()+" or newer"
	default:
		c.Answer, c.Says = Yes, "It is as new as the one that wrote the archive, or newer."
	}
	return c
}

// manager is about what the kubelet asks. CRI-O restores since 1.25
// (server/container_restore.go), and its patches of 2026-09 only where it is told to
// (cri-o pull requests 10248 and 10327). containerd restores from 2.1 on, for the last
// patches of 2.2 and 2.3 only where the setting enable_experimental_restore_via_create
// is on (2.2.7, 2.3.4), and since 2.4 no more
// (containerd v2.4.2 RELEASES.md; KEP-5823 is to replace it).
func (n Node) manager(d *Description) Check {
	c := Check{Name: "runtime", Archive: fact.Text(d.Manager), Node: fact.Text(strings.TrimSpace(string(n.Manager) + " " + string(n.ManagerVersion)))}
	v, told := version(n.ManagerVersion)
	switch {
	case n.Manager == "":
		c.Answer, c.Says = Unknown, "Neither containerd nor CRI-O was found on this node."
	case d.Manager != n.Manager && (d.Manager == CRIO || d.Manager == Containerd):
		c.Answer, c.Says, c.Next = No, "CRI-O and containerd each restore what they wrote themselves: the specification in the archive is that of its writer.", "restore it on a node with "+string(d.Manager)
	case !told:
		c.Answer, c.Says = Unknown, "It did not tell its version."
	case n.Manager == CRIO && !less(v, [3]int{1, 25, 0}):
		c.Answer, c.Says, c.Next = Unknown, "CRI-O restores since 1.25 where its configuration lets it: enable_criu_support, and in patches since September 2026 container_level_enabled = checkpoint_restore, which is checkpoint_only by default.", "look: crio config | grep -E 'criu|container_level'"
	case n.Manager == CRIO:
		c.Answer, c.Says, c.Next = No, "CRI-O restores since 1.25.", "update CRI-O"
	case less(v, [3]int{2, 1, 0}):
		c.Answer, c.Says, c.Next = No, "containerd restores through the kubelet from 2.1 to 2.3 only.", "a node with containerd 2.2 or 2.3, or by hand: ctr and runc restore"
	case !less(v, [3]int{2, 4, 0}):
		c.Answer, c.Says, c.Next = No, "containerd has restored through the kubelet from 2.1 to 2.3; 2.4 takes checkpoints and does not restore them (KEP-5823 is to do it).", "a node with containerd 2.2 or 2.3, or CRI-O for archives of CRI-O"
	case v[1] == 2 && !less(v, [3]int{2, 2, 7}), v[1] == 3 && !less(v, [3]int{2, 3, 4}):
		c.Answer, c.Says, c.Next = Unknown, "It restores only where enable_experimental_restore_via_create is true in the configuration of its CRI plugin; by default it is not.", "look: containerd config dump | grep restore_via_create"
	default:
		c.Answer, c.Says = Yes, "This containerd restores."
	}
	return c
}

func (n Node) runtime(d *Description) Check {
	c := Check{Name: "OCI runtime", Archive: d.Runtime, Node: fact.Text(strings.TrimSpace(n.Runtime.Name + " " + string(n.Runtime.Version)))}
	wrote := "runc"
	if strings.Contains(string(d.Runtime), "crun") {
		wrote = "crun"
	}
	switch {
	case n.Runtime.Path == "":
		c.Answer, c.Says, c.Next = No, "Neither runc nor crun is on this node.", "install "+wrote
	case n.Runtime.Name != wrote:
		c.Answer, c.Says, c.Next = No, "The archive was written through "+wrote+", whose own files in it another one does not read.", "install "+wrote
	default:
		c.Answer, c.Says = Yes, "It is the same program; archives do not record its version."
	}
	return c
}

func (n Node) kernel(d *Description) Check {
	c := Check{Name: "kernel", Archive: d.Kernel, Node: n.Kernel}
	has, told := version(n.Kernel)
	of, known := version(d.Kernel)
	switch {
	case !told || !known:
		c.Answer, c.Says = Unknown, "One of the two is not known."
	case less(has, of):
		c.Answer, c.Says, c.Next = Unknown, "This kernel is older: what the processes used may not be there yet. CRIU finds out when it restores.", "try it on a node with "+d.Kernel.String()+" or newer first"
	default:
		c.Answer, c.Says = Yes, "It is as new, or newer."
	}
	return c
}

func (n Node) cgroups(d *Description) Check {
	c := Check{Name: "control groups", Archive: group(d.Cgroup), Node: group(n.Cgroup)}
	switch {
	case d.Cgroup == 0 || n.Cgroup == 0:
		c.Answer, c.Says = Unknown, "One of the two is not known."
	case d.Cgroup != n.Cgroup:
		c.Answer, c.Says, c.Next = No, "The groups of the archive cannot be made here: versions 1 and 2 have other controllers and other mounts.", fmt.Sprintf("restore it on a node with version %d", d.Cgroup)
	default:
		c.Answer, c.Says = Yes, "Both are of the same version."
	}
	return c
}

func group(v int) fact.Text {
	if v == 0 {
		return ""
	}
	return fact.Text("v" + strconv.Itoa(v))
}

// cpu is about the extended registers only: which instructions the program will
// run next nobody has written down.
func (n Node) cpu(d *Description) Check {
	c := Check{Name: "CPU features", Archive: fact.Text(strings.Join(d.Features, " "))}
	if n.Flags == nil || d.Arch == "" {
		c.Answer, c.Says = Unknown, "One of the two is not known."
		return c
	}
	var missing []string
	for _, f := range d.Features {
		if !slices.Contains(n.Flags, f) {
			missing = append(missing, f)
		}
	}
	const also = " A program that chose instructions by the CPU on which it started may need more than its registers show."
	if len(missing) > 0 {
		c.Answer, c.Says, c.Next = No, "This CPU has no registers for "+strings.Join(missing, ", ")+", which the threads use.", "restore it on a node with such a CPU"
		return c
	}
	c.Answer, c.Says, c.Node = Yes, "It has the registers that the threads use."+also, c.Archive
	return c
}

func (n Node) image(d *Description) Check {
	c := Check{Name: "image", Archive: firstText(d.ImageRef, d.Image)}
	switch n.Image {
	case Present:
		c.Answer, c.Says, c.Node = Yes, "It is on this node.", "present"
	case Absent:
		c.Answer, c.Says, c.Node, c.Next = No, "It is not on this node. The archive holds only what the container has changed of it.", "absent", "pull it first: crictl pull "+firstText(d.Image, d.ImageRef).String()
	default:
		c.Answer, c.Says, c.Next = Unknown, "Nobody could be asked: neither crictl nor ctr answered.", "crictl images --digests"
	}
	return c
}

// connections are told of where there are some: their other ends know nothing of
// a restart.
func connections(d *Description) Check {
	n := d.Established()
	if n == 0 {
		return Check{}
	}
	return Check{
		Name: "connections", Answer: Unknown, Archive: fact.Text(fmt.Sprintf("%d open", n)),
		Says: "Open TCP connections are restored only under the same addresses, and only where the runtime asks CRIU for it; a pod gets another address.",
		Next: "see that the program opens them again",
	}
}

// mounts have to be in the new pod as well, or the runtimes refuse (CRI-O
// server/container_restore.go: "expects following bind mounts defined").
func mounts(d *Description) Check {
	var wanted []string
	for _, m := range d.Mounts {
		if m.Type == "bind" && !given[string(m.Path)] {
			wanted = append(wanted, m.Path.String())
		}
	}
	if len(wanted) == 0 {
		return Check{Name: "mounts", Answer: Yes, Says: "It needs none but those that every pod has."}
	}
	return Check{Name: "mounts", Answer: Unknown, Archive: fact.Text(strings.Join(wanted, " ")), Says: "The new pod has to mount something at the same places.", Next: "compare them with the pod that is to be restored"}
}

// given are the mounts that the kubelet and the runtimes make for every container.
var given = map[string]bool{
	"/etc/hosts": true, "/etc/hostname": true, "/etc/resolv.conf": true, "/dev/shm": true, "/dev/termination-log": true, "/run/.containerenv": true, "/run/secrets": true,
	"/var/run/secrets/kubernetes.io/serviceaccount": true,
}

// version reads the numbers at the beginning of a version.
func version(t fact.Text) (v [3]int, ok bool) {
	text := strings.TrimPrefix(string(t), "v")
	for i := range v {
		n := 0
		for n < len(text) && n < 6 && '0' <= text[n] && text[n] <= '9' {
			n++
		}
		if n == 0 {
			return v, i > 0
		}
		v[i], _ = strconv.Atoi(text[:n])
		if text = text[n:]; !strings.HasPrefix(text, ".") {
			return v, true
		}
		text = text[1:]
	}
	return v, true
}

func less(a, b [3]int) bool { return slices.Compare(a[:], b[:]) < 0 }

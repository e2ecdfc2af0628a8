// SPDX-License-Identifier: Apache-2.0

package checkpoint

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// DirBelow is the kubelet's directory of checkpoints below its root directory
// (pkg/kubelet/config/defaults.go of Kubernetes, since 1.25).
const DirBelow = "checkpoints"

// madeByKubelet are the names that a kubelet gives
// (pkg/kubelet/kubelet.go CheckpointContainer: the pod's name, "_", its namespace,
// "-", the container's name, "-", RFC 3339).
var madeByKubelet = regexp.MustCompile(`^(checkpoint-([a-z0-9][a-z0-9.-]*)_[a-z0-9][a-z0-9-]*-[a-z0-9-]+)-(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d))\.tar$`)

// Name is what the name of an archive tells. Where the namespace ends and the
// container's name begins, it does not.
type Name struct {
	Subject string    // all but the time: the same for all checkpoints of one container
	Pod     string    // its name
	At      time.Time // when it was asked for
}

// ParseName reads the name that a kubelet gave an archive.
func ParseName(file string) (Name, bool) {
	parts := madeByKubelet.FindStringSubmatch(path.Base(file))
	if parts == nil {
		return Name{}, false
	}
	at, err := time.Parse(time.RFC3339, parts[3])
	return Name{Subject: parts[1], Pod: parts[2], At: at}, err == nil
}

// Keep says which archives stay. What none of its bounds speaks against stays.
type Keep struct {
	Age   time.Duration // none that is older; 0: any
	Count int           // the newest of each container; 0: all
	Bytes int64         // all together at most; 0: any. The oldest go first
}

// Going is an archive that is to be removed, and why.
type Going struct {
	fact.Archive
	Why string // half a sentence
}

// settled is how long an archive has to have been left alone before it is
// removed: a runtime may still be writing it.
const settled = 10 * time.Minute

// Prune chooses the archives to remove, the oldest first, and says what else is
// there and stays.
func Prune(all fact.Checkpoints, keep Keep, now time.Time) (going []Going, notes []string) {
	archives := slices.Clone(all.Archives)
	slices.SortFunc(archives, newestFirst)
	of := map[string]int{}
	total, strangers := int64(0), 0
	var stay []fact.Archive
	for _, a := range archives {
		name, ours := ParseName(a.Path)
		total += a.Meta.Size
		age := now.Sub(a.Meta.ModTime)
		switch {
		case !ours:
			strangers++
			continue
		case age < settled:
			of[name.Subject]++
			notes = append(notes, fmt.Sprintf("%s was written to less than %d minutes ago", fact.Text(path.Base(a.Path)), int(settled.Minutes())))
			continue
		}
		of[name.Subject]++
		why := ""
		switch {
		case keep.Age > 0 && age > keep.Age:
			why = fmt.Sprintf("it is %s old", Age(age))
		case keep.Count > 0 && of[name.Subject] > keep.Count:
			why = fmt.Sprintf("%d newer ones of the same container stay", keep.Count)
		}
		if why == "" {
			stay = append(stay, a)
			continue
		}
		total -= a.Meta.Size
		going = append(going, Going{a, why})
	}
	for _, a := range slices.Backward(stay) {
		if keep.Bytes == 0 || total <= keep.Bytes {
			break
		}
		going = append(going, Going{a, fmt.Sprintf("the archives take %s, and %s are allowed", Bytes(total), Bytes(keep.Bytes))})
		total -= a.Meta.Size
	}
	if keep.Bytes > 0 && total > keep.Bytes {
		notes = append(notes, fmt.Sprintf("what stays takes %s, more than the %s that are allowed", Bytes(total), Bytes(keep.Bytes)))
	}
	if strangers > 0 {
		notes = append(notes, fmt.Sprintf("%s in %s without a name that a kubelet gives to an archive", Count(strangers, "other file"), fact.Text(all.Dir)))
	}
	if all.More > 0 {
		notes = append(notes, fmt.Sprintf("%d further entries of %s were not looked at, or are no files", all.More, fact.Text(all.Dir)))
	}
	slices.SortStableFunc(going, func(a, b Going) int { return -newestFirst(a.Archive, b.Archive) })
	return going, notes
}

func newestFirst(a, b fact.Archive) int {
	return cmp.Or(b.Meta.ModTime.Compare(a.Meta.ModTime), strings.Compare(b.Path, a.Path))
}

// Age writes a span as people read it.
func Age(d time.Duration) string {
	switch {
	case d < 0:
		return "0 minutes"
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

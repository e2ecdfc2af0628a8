// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"path"
	"slices"
	"strings"
)

// unitOf takes the systemd service of a process from /proc/PID/cgroup; empty
// where it is in none, such as in a container.
func unitOf(cgroup []byte) string {
	for line := range strings.Lines(string(cgroup)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) == 3 && (fields[1] == "" || fields[1] == "name=systemd") && strings.HasSuffix(fields[2], ".service") {
			return path.Base(fields[2])
		}
	}
	return ""
}

// unitDirs are where systemd looks for units, what counts most first
// (systemd.unit(5)).
var unitDirs = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// UnitRestart is the Restart= setting of a systemd service, from its file and
// the drop-ins beside it; "no", systemd's default, where none sets it. A unit
// whose file is not found gives the empty string.
func (f *FS) UnitRestart(ctx context.Context, unit string) string {
	const limit = 1 << 20
	setting, found := "no", false
	for _, dir := range unitDirs {
		data, _, err := f.Read(ctx, path.Join(dir, unit), limit)
		if err == nil {
			setting, found = lastRestart(data, setting), true
			break
		}
	}
	if !found {
		return ""
	}
	for _, name := range f.dropIns(ctx, unit) {
		if data, _, err := f.Read(ctx, name, limit); err == nil {
			setting = lastRestart(data, setting)
		}
	}
	return setting
}

// dropIns are the drop-ins of a unit in the order in which they apply: by name,
// and of one name the one in the directory that counts most.
func (f *FS) dropIns(ctx context.Context, unit string) []string {
	places := map[string]string{}
	for _, dir := range slices.Backward(unitDirs) {
		tree, err := f.List(ctx, path.Join(dir, unit+".d"), ListLimits{Files: 100, Entries: 100, Depth: 1})
		if err != nil {
			continue
		}
		for _, name := range tree.Files {
			if strings.HasSuffix(name, ".conf") {
				places[path.Base(name)] = name
			}
		}
	}
	var names []string
	for name := range places {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		names[i] = places[name]
	}
	return names
}

func lastRestart(unit []byte, setting string) string {
	for line := range strings.Lines(string(unit)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && strings.TrimSpace(name) == "Restart" {
			setting = strings.TrimSpace(value)
		}
	}
	return setting
}

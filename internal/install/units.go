// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/unit"
	"perennial.dev/perennial/internal/workbench"
)

// unitOptions are what the units are made from: what was found on this node, and
// the settings.
func (s *site) unitOptions() unit.Options {
	l, agent := s.seen.Layout, s.settings.Agent
	o := unit.Options{
		Form: s.Form, Program: s.Program, Etc: Etc, State: workbench.DefaultState, Run: path.Dir(workbench.DefaultLock),
		Keeps: []string{l.KubernetesDir, l.CertDir}, Copies: []string{"/root/.kube"}, Every: max(agent.Every, time.Minute),
	}
	if dir := path.Clean(l.KubernetesDir); dir != layout.DefaultKubernetesDir {
		o.Kubernetes = dir
	}
	if l.KubeletClient != "" {
		o.Keeps = append(o.Keeps, path.Dir(l.KubeletClient))
	}
	for _, c := range l.Components {
		if c.Manifest != "" {
			o.Keeps = append(o.Keeps, path.Dir(c.Manifest))
		}
	}
	for _, c := range s.kept() {
		o.Keeps = append(o.Keeps, path.Dir(c.Path))
		if c.Key != "" {
			o.Keeps = append(o.Keeps, path.Dir(c.Key))
		}
	}
	for _, p := range s.settings.Copies {
		o.Copies = append(o.Copies, path.Dir(p))
	}
	for _, p := range []string{agent.Textfile, agent.Calendar} {
		if p != "" {
			o.Tells = append(o.Tells, path.Dir(p))
		}
	}
	o.Keeps = slices.DeleteFunc(o.Keeps, func(p string) bool { return p == "" || p == "/" || strings.HasPrefix(p+"/", "/etc/ssl/certs/") })
	o.Others, o.Translate = s.others(), s.oldKernel()
	return o
}

// kept are the credentials of this node that are renewed by somebody.
func (s *site) kept() []layout.Credential {
	return slices.DeleteFunc(slices.Clone(s.seen.Layout.Credentials), func(c layout.Credential) bool {
		leaf := c.Role == layout.Serving || c.Role == layout.Client || c.Role == layout.Kubeconfig
		return !leaf || c.ID.Name() == layout.AgentName
	})
}

// others says whether something that is to be kept belongs to another user.
func (s *site) others() bool {
	paths := slices.Clone(s.settings.Copies)
	for _, c := range s.kept() {
		paths = append(paths, c.Path, c.Key)
	}
	return slices.ContainsFunc(s.seen.Facts, func(f fact.Fact) bool {
		file, is := f.(fact.File)
		return is && !file.Missing && file.Meta.UID != 0 && slices.Contains(paths, file.Path)
	})
}

// oldKernel says whether the kernel has no sk_lookup (Linux 5.9).
func (s *site) oldKernel() bool {
	for _, f := range s.seen.Facts {
		var major, minor int
		if p, is := f.(fact.Platform); is {
			if n, _ := fmt.Sscanf(string(p.Kernel), "%d.%d", &major, &minor); n == 2 {
				return major < 5 || major == 5 && minor < 9
			}
		}
	}
	return false
}

// units plans the units of one form, and that those of the other go.
func (i *Installation) units(ctx context.Context, s *site) error {
	o := s.unitOptions()
	files, err := unit.Files(o)
	if err != nil {
		return err
	}
	var refused []string
	var gone []string
	for _, name := range unit.Names {
		at := path.Join(unit.Dir, name)
		old, _, err := s.files.Read(ctx, at, host.FileLimit)
		there := err == nil
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if there && !s.Force && unit.OriginOf(old) != unit.Ours {
			refused = append(refused, at)
			continue
		}
		n := slices.IndexFunc(files, func(f unit.File) bool { return f.Name == name })
		item := Item{Do: Write, What: fact.Text(at), Mode: "0644", before: digestOf(old, there)}
		switch {
		case n < 0 && there:
			item.Do, item.Why, item.Mode = Remove, "of the other form", ""
			gone = append(gone, name)
		case n < 0:
			continue
		case there && string(old) == string(files[n].Text):
			item.Do, item.Why = Keep, fact.Text(aboutUnits[name])
		default:
			item.Why, item.Content = fact.Text(aboutUnits[name]), string(files[n].Text)
		}
		i.add(item)
	}
	if len(refused) > 0 {
		return workbench.Hint(fmt.Errorf("writing %s: somebody else has written or edited it", strings.Join(refused, " and ")),
			"keep the changes in a drop-in (systemctl edit NAME), and add --force to write it anew")
	}
	changed := slices.ContainsFunc(i.Items, func(item Item) bool { return path.Dir(string(item.What)) == unit.Dir && item.Do != Keep })
	i.services(s, o.First(), gone, changed)
	return nil
}

func digestOf(data []byte, there bool) string {
	if !there {
		return ""
	}
	return fact.Digest(data)
}

var aboutUnits = map[string]string{
	unit.AgentName: "the agent",
	unit.LookName:  "one look of the agent, and what follows",
	unit.TimerName: "when it looks",
	unit.EndName:   "finishes what was cut off, before the kubelet starts",
}

// services plans what systemd is told. Units of the other form are stopped while
// their files are there.
func (i *Installation) services(s *site, first, gone []string, changed bool) {
	enable := strings.Join(first, " ")
	if !s.Running {
		i.add(Item{Do: Later, What: fact.Text("systemctl --root=" + s.Root + " enable " + enable), Why: "systemd does not run here"})
		return
	}
	if len(gone) > 0 {
		at := slices.IndexFunc(i.Items, func(item Item) bool { return item.Do == Remove })
		i.Items = slices.Insert(i.Items, at, told("disable", append([]string{"--now"}, gone...)...))
	}
	if !changed {
		i.add(told("enable", append([]string{"--now"}, first[len(first)-1])...))
		return
	}
	i.add(told("daemon-reload"), told("enable", first...), told("restart", first[len(first)-1]))
	if len(gone) > 0 {
		i.add(forget(gone...))
	}
}

func told(verb string, units ...string) Item {
	args := append([]string{verb}, units...)
	return Item{Do: Run, What: fact.Text("systemctl " + strings.Join(args, " ")), args: args}
}

// forget lets systemd forget units that are gone and that have failed: it shows them
// as failed else, for as long as the machine runs. Of one that has not failed it knows
// nothing any more, and says so.
func forget(units ...string) Item {
	i := told("reset-failed", units...)
	i.mayFail = true
	return i
}

// withoutSystemd says what has to run where there is no systemd.
func withoutSystemd(o unit.Options) []fact.Text {
	where := ""
	if o.Kubernetes != "" {
		where = " --kubernetes-dir '" + strings.ReplaceAll(o.Kubernetes, "'", `'\''`) + "'"
	}
	lines := []string{
		"no units are written. As root, this has to run:",
		"  at boot, before the kubelet:            " + o.Program + " agent finish" + where,
		"  always, and again when it ends:         " + o.Program + " agent run" + where,
		"  or, in its place, every five minutes:   " + o.Program + " agent run --once" + where,
		"OpenRC, as /etc/init.d/perennial-agent:",
		"  #!/sbin/openrc-run",
		"  supervisor=supervise-daemon",
		"  command=" + o.Program,
		`  command_args="agent run` + where + `"`,
		"  depend() { need localmount; before kubelet; }",
		"  start_pre() { " + o.Program + " agent finish" + where + "; return 0; }",
		"runit, as /etc/sv/perennial-agent/run:",
		"  #!/bin/sh",
		"  exec " + o.Program + " agent run" + where + " 2>&1",
		"cron, as /etc/cron.d/perennial:",
		"  @reboot root " + o.Program + " agent finish" + where,
		"  */5 * * * * root " + o.Program + " agent run --once" + where,
	}
	notes := make([]fact.Text, len(lines))
	for n, l := range lines {
		notes[n] = fact.Text(l)
	}
	return notes
}

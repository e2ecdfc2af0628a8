// SPDX-License-Identifier: Apache-2.0

package upgrade_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
)

// parser is a real component that is asked what it takes.
type parser struct {
	t                        *testing.T
	program, component, home string
}

// run starts the program with arguments that end it after it has read them,
// and gives what it printed. One that goes on is ended.
func (p parser) run(args ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.program, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = p.home, []string{"HOME=" + p.home, "PATH=/usr/bin:/bin"}, time.Second
	out, _ := cmd.CombinedOutput() // whether it fails is told by what it prints
	return string(out)
}

// harmless are arguments with which a component ends soon after it has looked at
// its flags and gates, whatever it thinks of them.
func (p parser) harmless() []string {
	switch p.component {
	case "kubelet":
		return []string{"--config=/no/such/file"}
	case "kube-proxy":
		return []string{"--write-config-to=" + filepath.Join(p.home, "config")}
	}
	return []string{"--version"}
}

var refusal = regexp.MustCompile(`unrecognized feature gate: (\w+)|cannot set feature gate (\w+) to|unrecognized feature gate:(\w+)|unknown flag: --([\w-]+)|(\w+) is enabled, but depends on`)

func (p parser) refuses(args ...string) bool {
	return refusal.MatchString(p.run(append(args, p.harmless()...)...))
}

// gates asks about every gate that the tables have for any minor.
func (p parser) gates(set *rules.Set, m release.Minor) []answer {
	names := map[string]bool{"NoSuchGate": true}
	for k := rules.Oldest; k <= set.Newest(); k++ {
		for _, g := range set.Gates(p.component, k) {
			names[g.Name] = true
		}
	}
	var asked []answer
	for name := range names {
		asked = append(asked, answer{sort: "gate", value: name + "=true"}, answer{sort: "gate", value: name + "=false"})
	}
	slices.SortFunc(asked, func(a, b answer) int { return strings.Compare(a.value, b.value) })
	thought := verdicts(set, m, p.component, asked)
	var taken, refused []answer
	for i, a := range asked {
		if thought[i] {
			refused = append(refused, a)
		} else {
			taken = append(taken, a)
		}
	}
	var all []answer
	for _, on := range []string{"=true", "=false"} {
		some := slices.DeleteFunc(slices.Clone(taken), func(a answer) bool { return !strings.HasSuffix(a.value, on) })
		all = append(all, p.together(some)...)
	}
	step := max(1, len(refused)/p.sample())
	for i := 0; i < len(refused); i += step {
		all = append(all, p.alone(refused[i]))
	}
	return all
}

// sample is how many refusals are asked for one by one.
func (p parser) sample() int {
	if p.component == "kube-apiserver" {
		return 100
	}
	return 25
}

// together asks for settings that are thought to be taken, in one process, and
// by halves where that is refused.
func (p parser) together(some []answer) []answer {
	if len(some) == 0 {
		return nil
	}
	values := make([]string, len(some))
	for i, a := range some {
		values[i] = a.value
	}
	if !p.refuses("--feature-gates=" + strings.Join(values, ",")) {
		return some
	}
	if len(some) == 1 {
		some[0].refused = true
		return some
	}
	half := len(some) / 2
	return append(p.together(some[:half]), p.together(some[half:])...)
}

func (p parser) alone(a answer) answer {
	a.refused = p.refuses(a.arg())
	return a
}

var helpFlag = regexp.MustCompile(`(?m)^\s+(?:-\w, )?--([a-zA-Z][\w-]*)`)

// flags takes what the program's help shows, and asks one by one about those of
// the tables, and of other versions, that it does not show.
func (p parser) flags(set *rules.Set) []answer {
	shown := map[string]bool{}
	var all []answer
	for _, m := range helpFlag.FindAllStringSubmatch(p.run("--help"), -1) {
		if !shown[m[1]] && m[1] != "help" && m[1] != "version" {
			shown[m[1]] = true
			all = append(all, answer{sort: "flag", value: m[1]})
		}
	}
	names := map[string]bool{"no-such-flag": true}
	for _, table := range set.Tables() {
		for _, row := range table.Rows {
			if table.Name == "flags" && row[0] == p.component {
				names[row[1]] = true
			}
		}
	}
	files, _ := filepath.Glob("testdata/parsers/*-" + p.component + ".txt") // of other versions
	for _, file := range files {
		for _, a := range readAnswers(p.t, file) {
			if a.sort == "flag" {
				names[a.value] = true
			}
		}
	}
	maps.DeleteFunc(names, func(name string, _ bool) bool { return shown[name] || name == "help" || name == "version" })
	for name := range names {
		out := p.run("--"+name+"=1", "--version")
		all = append(all, answer{sort: "flag", value: name, refused: strings.Contains(out, "unknown flag: --"+name)})
	}
	return all
}

var unknownPlugin = regexp.MustCompile(`plugin "([^"]+)" is unknown`)

// admission asks for all plugins of the tables at once: the answer names every
// one that is not known.
func (p parser) admission(set *rules.Set) []answer {
	names := []string{"NoSuchPlugin"}
	for k := rules.Oldest; k <= set.Newest(); k++ {
		names = append(names, set.AdmissionPlugins(k)...)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	out := p.run("--enable-admission-plugins="+strings.Join(names, ","), "--cert-dir="+p.home, "--service-cluster-ip-range=10.96.0.0/12")
	unknown := map[string]bool{}
	for _, m := range unknownPlugin.FindAllStringSubmatch(strings.ReplaceAll(out, `\"`, `"`), -1) {
		unknown[m[1]] = true
	}
	if len(unknown) == 0 {
		p.t.Fatalf("kube-apiserver took a plugin that does not exist: %.2000s", out)
	}
	var all []answer
	for _, name := range names {
		all = append(all, answer{sort: "admission", value: name, refused: unknown[name]})
	}
	return all
}

// runtimeConfig asks for every group's version of the tables. The server looks
// at them once everything else is in order, so that it is given all it needs to
// go that far, and no etcd.
func (p parser) runtimeConfig(set *rules.Set, m release.Minor) []answer {
	key := filepath.Join(p.home, "sa.key")
	if out, err := exec.Command("openssl", "genrsa", "-out", key, "2048").CombinedOutput(); err != nil {
		p.t.Fatalf("making a key: %v: %s", err, out)
	}
	refused := map[string]bool{}
	// ask notes what is refused and says whether anything was.
	ask := func(values ...string) bool {
		out := p.run("--runtime-config="+strings.Join(values, ","), "--cert-dir="+p.home, "--service-cluster-ip-range=10.96.0.0/12", "--etcd-servers=http://127.0.0.1:1",
			"--service-account-issuer=https://x.example", "--service-account-key-file="+key, "--service-account-signing-key-file="+key,
			"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port="+fmt.Sprint(30000+os.Getpid()%20000), "--authorization-mode=RBAC")
		any := false
		for _, m := range refusedEntry.FindAllStringSubmatch(out, -1) {
			for _, name := range strings.Split(m[1]+m[2], ",") {
				for _, v := range values { // old ones name only the group
					if v == name+"=true" || strings.HasPrefix(v, name+"/") {
						refused[v], any = true, true
					}
				}
			}
		}
		return any
	}
	keys := map[string]bool{"no.such.group/v1": true, "apps/v9": true}
	for _, a := range set.APIs() {
		if a.Group != "" && len(a.Registered) > 0 {
			keys[a.Group+"/"+a.Version] = true
		}
	}
	var asked []answer
	for key := range keys {
		asked = append(asked, answer{sort: "runtime-config", value: key + "=true"})
	}
	slices.SortFunc(asked, func(a, b answer) int { return strings.Compare(a.value, b.value) })
	thought := verdicts(set, m, p.component, asked)
	var taken []string
	for i, a := range asked {
		if !thought[i] {
			taken = append(taken, a.value)
		}
	}
	for ask(taken...) {
		taken = slices.DeleteFunc(taken, func(v string) bool { return refused[v] })
	}
	for i := range asked {
		if thought[i] {
			ask(asked[i].value)
		}
		asked[i].refused = refused[asked[i].value]
	}
	return asked
}

var refusedEntry = regexp.MustCompile(`unknown api groups ([\w./,-]+)|group version ([\w./-]+) that has not been registered`)

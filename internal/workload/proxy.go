// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/release"
)

// proxy judges kube-proxy: its version, and what its container runs.
func (j *Judge) proxy(o fact.Object, spec corev1.PodSpec) {
	if o.Name != "kube-proxy" && !strings.HasPrefix(string(o.Name), "kube-proxy-") || o.Namespace != "kube-system" {
		return
	}
	o.Content, o.Uses = nil, nil
	eachContainer(&spec, func(c *corev1.Container) {
		image, tag := imageOf(c.Image)
		if image != "kube-proxy" {
			return
		}
		if m, err := release.ParseMinor(tag); err == nil {
			if hop, lags := j.lags(m); lags {
				j.found = append(j.found, proxyTooOld(o, m, hop))
			}
		}
		if row, ok := j.bites(kubeProxyDistroless); ok {
			if runs := runsOf(c); len(runs) > 0 {
				j.found = append(j.found, proxyShell(o, rule{row.Minor, row.Source}, runs))
			}
		}
	})
}

// imageOf takes an image's reference apart: its last name and its tag.
func imageOf(reference string) (name, tag string) {
	reference, _, _ = strings.Cut(reference, "@")
	name = reference[strings.LastIndex(reference, "/")+1:]
	name, tag, _ = strings.Cut(name, ":")
	return name, tag
}

func proxyTooOld(o fact.Object, m, hop release.Minor) finding.Finding {
	f := about(o, finding.KubeProxyTooOld, finding.Blocks, skewRule(hop))
	f.Effect = fmt.Sprintf("kube-proxy %s is too old for an API server %s, which supports %s and newer", m, hop, hop-release.Minor(release.KubeletSkew(hop)))
	f.Fix = "kubeadm upgrade apply updates it with the first control-plane node; otherwise set the image of the DaemonSet"
	f.Evidence.Version = fact.Text(m.String())
	return f
}

func proxyShell(o fact.Object, r rule, runs map[string][]string) finding.Finding {
	var missing []string
	for _, where := range slices.Sorted(maps.Keys(runs)) {
		for _, program := range runs[where] {
			missing = append(missing, fact.Text(program).String()+" ("+where+")")
		}
	}
	impact := finding.Breaks
	if len(missing) == 0 {
		impact = finding.Hint
	}
	f := about(o, finding.KubeProxyShell, impact, r)
	f.Effect = fmt.Sprintf("kube-proxy's image has few programs beside its own from %s on, and lacks %s", r.minor, strings.Join(missing, ", "))
	if len(missing) == 0 {
		f.Effect = fmt.Sprintf("%s of kube-proxy is run by a shell, which is dash in its image from %s on, with few programs beside it", strings.Join(slices.Sorted(maps.Keys(runs)), ", "), r.minor)
	}
	f.Fix = "use /usr/local/bin/kube-proxy as the command, and httpGet to /healthz on port 10256 as the probe"
	return f
}

// runsOf is what of a container is run by another program than kube-proxy, and
// which programs of that its image no longer has.
func runsOf(c *corev1.Container) map[string][]string {
	commands := map[string][]string{"command": append(slices.Clone(c.Command), c.Args...)}
	for name, probe := range map[string]*corev1.Probe{"livenessProbe": c.LivenessProbe, "readinessProbe": c.ReadinessProbe, "startupProbe": c.StartupProbe} {
		if probe != nil && probe.Exec != nil {
			commands[name] = probe.Exec.Command
		}
	}
	if c.Lifecycle != nil {
		for name, handler := range map[string]*corev1.LifecycleHandler{"postStart": c.Lifecycle.PostStart, "preStop": c.Lifecycle.PreStop} {
			if handler != nil && handler.Exec != nil {
				commands[name] = handler.Exec.Command
			}
		}
	}
	runs := map[string][]string{}
	for where, command := range commands {
		if len(command) == 0 || strings.HasPrefix(command[0], "-") {
			continue
		}
		programs := programsOf(command)
		missing := slices.DeleteFunc(slices.Clone(programs), func(p string) bool { return inImage[p] || inNetfilter(p) })
		if len(missing) > 0 || shells[programs[0]] {
			runs[where] = missing
		}
	}
	return runs
}

var shells = map[string]bool{"sh": true, "dash": true, "bash": true, "ash": true}

// inImage are the programs of the image, and what its shell does itself
// (kubernetes/release images/build/distroless-iptables, v0.1.1 to v0.9).
var inImage = set("kube-proxy go-runner sh dash cat chmod grep ln rm sleep wc modprobe kmod lsmod " +
	". : [ break cd command continue echo eval exec exit export false hash kill printf pwd read return set shift test times trap true type ulimit umask unset wait " +
	"if then elif else fi for while until do done case esac in ! { }")

// inNetfilter are the many names of the programs that rules are made with.
func inNetfilter(program string) bool {
	for _, prefix := range []string{"iptables", "ip6tables", "xtables", "ebtables", "arptables", "nft", "ipset", "conntrack"} {
		if program == prefix || strings.HasPrefix(program, prefix+"-") {
			return true
		}
	}
	return false
}

func set(words string) map[string]bool {
	all := map[string]bool{}
	for word := range strings.FieldsSeq(words) {
		all[word] = true
	}
	return all
}

// programsOf are the programs of a command, and of a script that it hands to a
// shell: the first word of each of its commands, as far as words can be told
// without being a shell.
func programsOf(command []string) []string {
	programs := []string{baseOf(command[0])}
	if !shells[programs[0]] || len(command) < 3 || !strings.HasPrefix(command[1], "-") {
		return programs
	}
	for part := range strings.FieldsFuncSeq(command[2], func(r rune) bool { return strings.ContainsRune(";&|()`\n", r) }) {
		for word := range strings.FieldsSeq(part) {
			word = strings.Trim(word, `"'$`)
			if name, _, assigns := strings.Cut(word, "="); assigns && !strings.ContainsAny(name, "/.[") {
				continue
			}
			if word = baseOf(word); word == "" || keywords[word] {
				continue
			}
			if !slices.Contains(programs, word) && wordy(word) {
				programs = append(programs, word)
			}
			break
		}
	}
	return programs
}

// keywords come before a command.
var keywords = set("if then elif else while until do ! { exec command time")

// wordy reports what looks like a program's name.
func wordy(word string) bool {
	return strings.IndexFunc(word, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-+[:", r)
	}) < 0 && strings.Trim(word, "0123456789") != ""
}

func baseOf(path string) string { return path[strings.LastIndex(path, "/")+1:] }

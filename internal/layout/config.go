// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"bytes"
	"encoding/json"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"perennial.dev/perennial/internal/fact"
)

// configFlags name configuration files whose versions and gates matter when the
// component is upgraded: YAML or JSON with an apiVersion
// (k8s.io/apiserver pkg/server/options, cmd/kube-scheduler/app/options and
// cmd/kubelet/app/options, 1.19 to 1.37).
var configFlags = map[string][]string{
	APIServer: {
		"admission-control-config-file", "audit-policy-file", "authentication-config", "authorization-config",
		"egress-selector-config-file", "encryption-provider-config", "tracing-config-file",
	},
	Scheduler: {"config"},
	Kubelet:   {"config-dir"}, // KubeletConfiguration itself is looked at on its own
}

// environments are the files from which a kubelet's unit takes flags, and in
// which variables, in the order of its command line (k8s.io/kubernetes v1.37.0,
// cmd/kubeadm/app/constants/constants.go KubeletEnvFileVariableName, and the
// drop-in 10-kubeadm.conf of the packages).
var environments = []struct{ path, variable string }{
	{"/var/lib/kubelet/kubeadm-flags.env", KubeadmArgs},
	{"/etc/default/kubelet", extraArgs},
	{"/etc/sysconfig/kubelet", extraArgs},
}

// KubeadmArgs is the variable that kubeadm writes; the other one is a person's,
// and comes after it.
const (
	KubeadmArgs = "KUBELET_KUBEADM_ARGS"
	extraArgs   = "KUBELET_EXTRA_ARGS"
)

// wantConfigs looks at the configuration files that flags name, and where there
// are no processes, at the kubelet's flags themselves.
func (d *discovery) wantConfigs() {
	if d.Scope.Root != "" && !d.running() && d.KubernetesDir == DefaultKubernetesDir {
		for _, e := range environments {
			d.want(Want{Verb: LookConfig, Path: e.path, Component: Kubelet, Flag: e.variable})
		}
	}
	for _, c := range d.Components {
		for _, flag := range configFlags[c.Name] {
			if f := c.file(flag); f != "" {
				d.want(Want{Verb: LookConfig, Path: f, Component: c.Name, Flag: flag})
			}
		}
	}
	for _, file := range d.pluginFiles {
		d.want(Want{Verb: LookConfig, Path: file, Component: APIServer, Flag: "admission-control-config-file"})
	}
}

// takeConfig notes the files that an AdmissionConfiguration leads on to, and
// says what could not be understood.
func (d *discovery) takeConfig(c fact.ConfigDocument) {
	if c.Problem != "" && strings.HasPrefix(c.Path, "/") {
		d.Unseen = append(d.Unseen, fact.Unseen{Source: "configs", What: fact.Text(c.Path), Why: fact.Malformed, Detail: c.Problem})
	}
	for _, p := range c.Files {
		if !path.IsAbs(p) {
			p = path.Join(path.Dir(c.Path), p)
		}
		d.pluginFiles = append(d.pluginFiles, p)
	}
}

// configDocument is what matters of a configuration file. Everything else in it,
// such as the keys of an EncryptionConfiguration, is passed over.
type configDocument struct {
	APIVersion   string          `json:"apiVersion"`
	Kind         string          `json:"kind"`
	FeatureGates json.RawMessage `json:"featureGates"`
	Plugins      []struct {
		Path          string `json:"path"`
		Configuration *struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
		} `json:"configuration"`
	} `json:"plugins"`
}

// ParseConfig reads the documents of a configuration file that a flag of a
// component names, and those inside an AdmissionConfiguration. What cannot be
// understood becomes a fact's Problem.
func ParseConfig(file, component, flag string, data []byte) []fact.ConfigDocument {
	var all []fact.ConfigDocument
	if flag == KubeadmArgs || flag == extraArgs {
		return environment(file, component, flag, data)
	}
	for start, text := range documents(data) {
		doc := fact.ConfigDocument{Path: file, Line: start, Component: component, Flag: flag}
		var c configDocument
		if err := yaml.Unmarshal(text, &c); err != nil {
			doc.Problem = "it is no YAML of a configuration" // its words may quote a key
			all = append(all, doc)
			continue
		}
		if c.APIVersion == "" && c.Kind == "" {
			continue
		}
		doc.APIVersion, doc.Type = fact.Text(c.APIVersion), fact.Text(c.Kind)
		doc.Line = start + lineOf(text, c.APIVersion, 0)
		doc.Gates = readGates(c.FeatureGates)
		var inside []fact.ConfigDocument
		if c.Kind == "AdmissionConfiguration" {
			doc.Files, inside = plugins(doc, c, text, start)
		}
		all = append(append(all, doc), inside...)
	}
	return all
}

// environment reads the flags in a variable of a file in systemd's form: the last
// line with the name counts, quotes around the value are no part of it, and the
// unit takes it apart at white space.
func environment(file, component, variable string, data []byte) []fact.ConfigDocument {
	var all []fact.ConfigDocument
	line := 0
	for text := range strings.Lines(string(data)) {
		line++
		name, value, ok := strings.Cut(strings.TrimSpace(text), "=")
		if !ok || strings.TrimSpace(name) != variable {
			continue
		}
		if value = strings.TrimSpace(value); len(value) > 1 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		all = []fact.ConfigDocument{{Path: file, Line: line, Component: component, Flag: variable, Args: strings.Fields(value)}}
	}
	return all
}

// plugins are the files and the configurations of an AdmissionConfiguration.
func plugins(doc fact.ConfigDocument, c configDocument, text []byte, start int) (files []string, inside []fact.ConfigDocument) {
	for _, p := range c.Plugins {
		if p.Path != "" && len(files) < 100 {
			files = append(files, p.Path)
		}
		if p.Configuration == nil || p.Configuration.APIVersion == "" {
			continue
		}
		one := fact.ConfigDocument{Path: doc.Path, Component: doc.Component, Flag: doc.Flag,
			APIVersion: fact.Text(p.Configuration.APIVersion), Type: fact.Text(p.Configuration.Kind)}
		one.Line = start + lineOf(text, p.Configuration.APIVersion, 0)
		inside = append(inside, one)
	}
	return files, inside
}

// documents takes a stream apart at its separators and gives each document with
// the line that it starts in, from 1.
func documents(data []byte) func(yield func(int, []byte) bool) {
	return func(yield func(int, []byte) bool) {
		line, first, start := 1, 1, 0
		for at := 0; at <= len(data); {
			end := len(data)
			if i := bytes.IndexByte(data[at:], '\n'); i >= 0 {
				end = at + i
			}
			text := string(data[at:min(end, at+4)])
			if separator := text == "---" || strings.HasPrefix(text, "---") && strings.ContainsAny(text[3:], " \t\r"); separator {
				if !yield(first, data[start:at]) {
					return
				}
				start, first = min(end+1, len(data)), line+1
			}
			at = end + 1
			line++
		}
		yield(first, data[start:])
	}
}

// lineOf counts the lines before an apiVersion in a document. A document that
// says it in another way gets the line where it starts.
func lineOf(text []byte, apiVersion string, otherwise int) int {
	for i, line := range bytes.Split(text, []byte("\n")) {
		key, value, ok := strings.Cut(strings.TrimLeft(string(line), " -\"{"), ":")
		if ok && strings.Trim(key, `"' `) == "apiVersion" && strings.HasPrefix(strings.Trim(value, `"', }`), apiVersion) {
			return i
		}
	}
	return otherwise
}

// mostGates bounds what is kept: no release has more than a few hundred.
const mostGates = 2000

// readGates reads gates by name. What is neither true nor false is no gate, and
// ends the start of what reads it today.
func readGates(raw json.RawMessage) map[string]bool {
	var all map[string]any
	if len(raw) == 0 || json.Unmarshal(raw, &all) != nil || len(all) > mostGates {
		return nil
	}
	gates := map[string]bool{}
	for name, value := range all {
		if on, ok := value.(bool); ok {
			gates[name] = on
		}
	}
	if len(gates) == 0 {
		return nil
	}
	return gates
}

// ConfigFile says whether a file in the directory of --config-dir is one that
// the kubelet reads (cmd/kubelet/app/server.go, 1.28).
func ConfigFile(name string) bool {
	return strings.HasSuffix(name, ".conf") && !slices.Contains(strings.Split(name, "/"), "..")
}

// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"fmt"
	"math/rand"
	"strings"
)

// kubercCase is a file and a line that is typed with it.
type kubercCase struct {
	name, file, typed string
}

// placedCase is one with a second file, called other, and with variables.
type placedCase struct {
	kubercCase
	other string
	env   []string // NAME=value
}

const (
	beta  = "apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\n"
	alpha = "apiVersion: kubectl.config.k8s.io/v1alpha1\nkind: Preference\n"
)

// handMade are the corners of kubectl's pkg/kuberc, each one found in its source.
// No alias begins one command of kubectl alone: the lab's kubectl shares a process
// image with etcdctl, whose init function has cobra take beginnings for names.
func handMade() []kubercCase {
	const getn = "aliases:\n- {name: getn, command: get, prependArgs: [nodes], options: [{name: output, default: name}]}\n"
	const wide = "defaults:\n- {command: get, options: [{name: output, default: name}]}\n"
	logs := func(flag, value string) string {
		return beta + fmt.Sprintf("defaults:\n- {command: logs, options: [{name: %s, default: %q}]}\n", flag, value)
	}
	return []kubercCase{
		{"prepended", beta + getn, "kubectl getn cp1"},
		{"alone", beta + getn, "kubectl getn"},
		{"explicit long", beta + getn, "kubectl getn cp1 --output=json"},
		{"explicit long apart", beta + getn, "kubectl getn cp1 --output json"},
		{"explicit short", beta + getn, "kubectl getn cp1 -o json"},
		{"explicit short together", beta + getn, "kubectl getn -ojson cp1"},
		{"flag before, with =", beta + getn, "kubectl -n=kube-system getn cp1"},
		{"flag before, apart", beta + getn, "kubectl -n kube-system getn cp1"},
		{"long flag before, apart", beta + getn, "kubectl --namespace kube-system getn cp1"},
		{"bool flag before", beta + getn, "kubectl --warnings-as-errors getn cp1"},
		{"verbosity before, apart", beta + getn, "kubectl -v 0 getn cp1"},
		{"underscores typed", beta + "aliases:\n- {name: all, command: get, options: [{name: all-namespaces, default: \"true\"}]}\n", "kubectl all pods --all_namespaces=false"},
		{"underscores in the file", beta + "aliases:\n- {name: all, command: get, options: [{name: all_namespaces, default: \"true\"}]}\n", "kubectl all pods"},
		{"underscores before the alias", beta + "aliases:\n- {name: all, command: get, options: [{name: chunk-size, default: \"3\"}]}\n", "kubectl --chunk_size=5 all pods"},
		{"appended", beta + "aliases:\n- {name: nspods, command: get, appendArgs: [-n, web, pods]}\n", "kubectl nspods"},
		{"appended dashes", beta + "aliases:\n- {name: runx, command: run, options: [{name: image, default: nginx}], appendArgs: [--, custom-arg]}\n", "kubectl runx test-pod"},
		{"typed dashes", beta + "aliases:\n- {name: runx, command: run, options: [{name: image, default: nginx}]}\n", "kubectl runx test-pod -- sh -c true"},
		{"typed dashes hide nothing", beta + "aliases:\n- {name: runx, command: run, options: [{name: image, default: nginx}]}\n", "kubectl runx test-pod -- app --image=other"},
		{"appended flag beats option", beta + "aliases:\n- {name: short, command: get, options: [{name: output, default: yaml}], appendArgs: [-o, json]}\n", "kubectl short pods a"},
		{"options twice", beta + "aliases:\n- {name: short, command: get, options: [{name: output, default: yaml}, {name: output, default: name}]}\n", "kubectl short pods a"},
		{"list flag of option and argument", beta + "aliases:\n- {name: cm, command: create configmap, options: [{name: from-literal, default: a=1}], appendArgs: [--from-literal=b=2]}\n", "kubectl cm x"},
		{"subcommand", beta + "aliases:\n- {name: cm, command: create configmap, options: [{name: from-literal, default: a=1}]}\n", "kubectl cm x"},
		{"subcommand by its other name", beta + "aliases:\n- {name: ns, command: create ns, options: [{name: dry-run, default: client}, {name: output, default: yaml}]}\n", "kubectl ns web"},
		{"a group", beta + "aliases:\n- {name: mk, command: create}\n", "kubectl mk ns web"},
		{"a group, its option is lost", beta + "aliases:\n- {name: mk, command: create, options: [{name: dry-run, default: client}]}\n", "kubectl mk ns web"},
		{"a group, a global option is not", beta + "aliases:\n- {name: mk, command: create, options: [{name: namespace, default: web}]}\n", "kubectl mk sa x"},
		{"a group, prepended", beta + "aliases:\n- {name: mk, command: create, prependArgs: [configmap]}\n", "kubectl mk x --from-literal=a=1"},
		{"a group and a default for its command", beta + "aliases:\n- {name: mk, command: create}\ndefaults:\n- {command: create namespace, options: [{name: save-config, default: \"true\"}]}\n", "kubectl mk ns web"},
		{"a group, an alias of the command's name", beta + "aliases:\n- {name: mk, command: create}\n- {name: namespace, command: get}\ndefaults:\n- {command: create namespace, options: [{name: save-config, default: \"true\"}]}\n", "kubectl mk namespace web"},
		{"a group, an alias of the command's name before", beta + "aliases:\n- {name: namespace, command: get}\n- {name: mk, command: create}\ndefaults:\n- {command: create namespace, options: [{name: save-config, default: \"true\"}]}\n", "kubectl mk namespace web"},
		{"words behind the command are dropped", beta + "aliases:\n- {name: p, command: get pods -o yaml}\n", "kubectl p nodes"},
		{"shadowed", beta + "aliases:\n- {name: get, command: describe}\n", "kubectl get pods"},
		{"shadows another name", beta + "aliases:\n- {name: p, command: get}\n", "kubectl create p"},
		{"loop", beta + "aliases:\n- {name: a, command: b}\n- {name: b, command: a}\n", "kubectl a pods"},
		{"itself", beta + "aliases:\n- {name: a, command: a}\n", "kubectl a pods"},
		{"unknown command", beta + "aliases:\n- {name: a, command: gte}\n", "kubectl a pods"},
		{"unknown command, not used", beta + "aliases:\n- {name: a, command: gte}\n", "kubectl get pods"},
		{"unknown flag", beta + "aliases:\n- {name: a, command: get, options: [{name: confirm, default: \"true\"}]}\n", "kubectl a pods"},
		{"flag that comes later", beta + "defaults:\n- {command: get, options: [{name: v, default: \"1\"}]}\n", "kubectl get pods"},
		{"help as a flag", beta + "defaults:\n- {command: get, options: [{name: help, default: \"true\"}]}\n", "kubectl get pods"},
		{"value that is none", beta + "aliases:\n- {name: a, command: get, options: [{name: watch, default: maybe}]}\n", "kubectl a pods"},
		{"number that is none", beta + "defaults:\n- {command: get, options: [{name: chunk-size, default: many}]}\n", "kubectl get pods"},
		{"duration that is none", beta + "defaults:\n- {command: delete, options: [{name: timeout, default: long}]}\n", "kubectl delete pod a"},
		{"dashes of a flag", beta + "defaults:\n- {command: delete, options: [{name: --now, default: \"true\"}]}\n", "kubectl get pods"},
		{"name of an alias", beta + "aliases:\n- {name: get-n, command: get}\n", "kubectl get pods"},
		{"two of a name", beta + "aliases:\n- {name: a, command: get}\n- {name: a, command: describe}\n", "kubectl get pods"},
		{"default", beta + wide, "kubectl get pods"},
		{"default, nothing typed", beta + wide, "kubectl"},
		{"default, explicit", beta + wide, "kubectl get pods -o json"},
		{"default, explicit before", beta + wide, "kubectl -o json get pods"},
		{"default, flags before", beta + wide, "kubectl -n web get pods"},
		{"default, not for aliases", beta + getn + "defaults:\n- {command: get, options: [{name: show-labels, default: \"true\"}]}\n", "kubectl getn cp1"},
		{"default of an alias", beta + getn + "defaults:\n- {command: getn, options: [{name: show-labels, default: \"true\"}]}\n", "kubectl getn cp1"},
		{"default of an alias, another command", beta + getn + "defaults:\n- {command: getn, options: []}\n", "kubectl get pods"},
		{"default for an unknown command", beta + "defaults:\n- {command: gte, options: []}\n- {command: get, options: [{name: output, default: name}]}\n", "kubectl get pods"},
		{"defaults twice", beta + "defaults:\n- {command: get, options: [{name: output, default: yaml}]}\n- {command: get, options: [{name: output, default: name}]}\n", "kubectl get pods"},
		{"list default twice", beta + "defaults:\n- {command: create configmap, options: [{name: from-literal, default: a=1}]}\n- {command: create cm, options: [{name: from-literal, default: b=2}]}\n", "kubectl create configmap x"},
		{"list default and typed", beta + "defaults:\n- {command: create configmap, options: [{name: from-literal, default: a=1}]}\n", "kubectl create configmap x --from-literal=b=2"},
		{"same last word", beta + "defaults:\n- {command: config view, options: [{name: output, default: json}]}\n", "kubectl kuberc view"},
		{"same last word, no such flag", beta + "defaults:\n- {command: set serviceaccount, options: [{name: local, default: \"true\"}]}\n", "kubectl create serviceaccount x"},
		{"same last word, both have it", beta + "defaults:\n- {command: set serviceaccount, options: [{name: dry-run, default: client}]}\n", "kubectl create serviceaccount x"},
		{"group of the same word", beta + "defaults:\n- {command: set, options: [{name: namespace, default: web}]}\n", "kubectl config set clusters.x.server https://x"},
		{"looks like given: a value", logs("follow", "true"), "kubectl logs a -cfluentd"},
		{"looks like given: behind dashes", beta + "defaults:\n- {command: exec, options: [{name: quiet, default: \"true\"}]}\n", "kubectl exec a -- ls -q"},
		{"looks like given: prefix", logs("container", "c"), "kubectl logs a -cnot"},
		{"not given: prefix of the name", logs("since", "1h"), "kubectl logs a --since-time=2020-01-01T00:00:00Z"},
		{"not given: the value of a flag", logs("tail", "5"), "kubectl logs a -c --tail"},
		{"bool given false", logs("timestamps", "true"), "kubectl logs a --timestamps=false"},
		{"value with blanks", beta + "defaults:\n- {command: get, options: [{name: output, default: \"jsonpath={range .items[*]}{.metadata.name}{'\\\\n'}{end}\"}]}\n", "kubectl get pods"},
		{"value with a line break", beta + "aliases:\n- {name: cm, command: create configmap, options: [{name: from-literal, default: \"a=one\\ntwo 'quoted' $HOME\"}]}\n", "kubectl cm x"},
		{"empty value", beta + "defaults:\n- {command: get, options: [{name: output, default: \"\"}]}\n", "kubectl get pods"},
		{"null value", beta + "defaults:\n- {command: label, options: [{name: dry-run, default: null}]}\n", "kubectl label pods a x=y"},
		{"the alpha", alpha + "aliases:\n- {name: getn, command: get, prependArgs: [nodes], flags: [{name: output, default: name}]}\noverrides:\n- {command: label, flags: [{name: overwrite, default: \"true\"}]}\n", "kubectl getn cp1"},
		{"the alpha's defaults", alpha + "overrides:\n- {command: label, flags: [{name: dry-run, default: client}]}\n", "kubectl label pods a x=y"},
		{"words of the alpha in the beta", beta + "aliases:\n- {name: getn, command: get, flags: [{name: output, default: name}]}\n", "kubectl getn nodes"},
		{"words of the beta in the alpha", alpha + "aliases:\n- {name: getn, command: get, options: [{name: output, default: name}]}\n", "kubectl getn nodes"},
		{"a number for a text", beta + "defaults:\n- {command: logs, options: [{name: tail, default: 5}]}\n", "kubectl logs a"},
		{"an old truth for a text", beta + "defaults:\n- {command: logs, options: [{name: timestamps, default: yes}]}\n", "kubectl logs a"},
		{"a date for a text", beta + "defaults:\n- {command: logs, options: [{name: since-time, default: 2020-01-01T00:00:00Z}]}\n", "kubectl logs a"},
		{"first document that is understood", "kind: Other\napiVersion: v1\n---\n# nothing\n---\n" + beta + wide + "---\n" + beta + "defaults: []\n", "kubectl get pods"},
		{"second of two", beta + "defaults: []\n---\n" + beta + wide, "kubectl get pods"},
		{"alpha before beta", alpha + "overrides:\n- {command: get, flags: [{name: output, default: name}]}\n---\n" + beta + "defaults: []\n", "kubectl get pods"},
		{"broken before good", beta + "defaults: 5\n---\n" + beta + wide, "kubectl get pods"},
		{"key twice", beta + "defaults:\n- command: get\n  command: describe\n  options: [{name: show-events, default: \"false\"}]\n", "kubectl describe pods a"},
		{"merged", beta + "x: &o {name: output, default: yaml}\ndefaults:\n- command: get\n  options: [{<<: *o, default: name}]\n", "kubectl get pods"},
		{"the proposal", "apiVersion: v1alpha1\nkind: Preferences\ncommand:\n  aliases:\n  - {alias: getdbprod, command: get pods}\n", "kubectl get pods"},
		{"not YAML", beta + "aliases: [\n", "kubectl get pods"},
		{"empty", "", "kubectl get pods"},
		{"only a comment", "# nothing\n", "kubectl get pods"},
		{"unknown field", beta + "colour: true\n" + wide, "kubectl get pods"},
		{"policy", beta + "credentialPluginPolicy: DenyAll\n" + wide, "kubectl get pods"},
		{"policy that is none", beta + "credentialPluginPolicy: Deny\n" + wide, "kubectl get pods"},
		{"list without its policy", beta + "credentialPluginAllowlist: [{command: x}]\n" + wide, "kubectl get pods"},
		{"list that allows nothing", beta + "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist: []\n" + wide, "kubectl get pods"},
		{"list by name", beta + "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist: [{name: x}]\n" + wide, "kubectl get pods"},
		{"list by both", beta + "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist: [{name: x, command: y}]\n" + wide, "kubectl get pods"},
		{"alias called help", beta + "aliases:\n- {name: help, command: version, options: [{name: client, default: \"true\"}]}\n", "kubectl help"},
		{"alias of nothing", beta + "aliases:\n- {name: a, command: \"\"}\n", "kubectl a get pods"},
		{"default of nothing", beta + "defaults:\n- {command: \"\", options: [{name: namespace, default: web}]}\n", "kubectl get pods"},
		{"alias for config", beta + "aliases:\n- {name: view, command: config view, options: [{name: minify, default: \"true\"}]}\n", "kubectl view"},
		{"alias for config, default by its name", beta + "aliases:\n- {name: view, command: config view}\ndefaults:\n- {command: config view, options: [{name: minify, default: \"true\"}]}\n", "kubectl view"},
		{"no alias", beta + getn, "kubectl getm cp1"},
		{"capitals", beta + "aliases:\n- {name: GetN, command: get}\n", "kubectl GetN pods"},
		{"other capitals", beta + "aliases:\n- {name: GetN, command: get}\n", "kubectl getn pods"},
		{"named by a flag's value", beta + "aliases:\n- {name: web, command: get}\n", "kubectl -n web web pods"},
		{"delete, recommended", beta + "defaults:\n- {command: delete, options: [{name: interactive, default: \"true\"}]}\n", "kubectl delete pod a"},
		{"apply, recommended", beta + "defaults:\n- {command: apply, options: [{name: server-side, default: \"true\"}]}\n", "kubectl apply --validate=false -f object.yaml"},
	}
}

// placed are cases in which the file is another one than ~/.kube/kuberc, or none.
func placed(home string) (all []placedCase) {
	const (
		own   = beta + "aliases:\n- {name: one, command: get, options: [{name: output, default: name}]}\n"
		other = beta + "aliases:\n- {name: two, command: get, options: [{name: output, default: json}]}\n"
	)
	at := home + "/other"
	add := func(name, typed string, env ...string) {
		all = append(all, placedCase{kubercCase{name, own, typed}, other, env})
	}
	add("KUBERC, its alias", "kubectl two pods", "KUBERC="+at)
	add("KUBERC, the other alias", "kubectl one pods", "KUBERC="+at)
	add("KUBERC=off", "kubectl one pods", "KUBERC=off")
	add("KUBERC=off and --kuberc", "kubectl two pods --kuberc="+at, "KUBERC=off")
	add("KUBECTL_KUBERC=False", "kubectl one pods", "KUBECTL_KUBERC=False")
	add("KUBECTL_KUBERC=0 means nothing", "kubectl one pods", "KUBECTL_KUBERC=0")
	add("--kuberc behind", "kubectl two pods --kuberc "+at)
	add("--kuberc= behind", "kubectl two pods --kuberc="+at)
	add("--kuberc before", "kubectl --kuberc "+at+" two pods")
	add("--kuberc= before", "kubectl --kuberc="+at+" two pods")
	add("--kuberc goes before KUBERC", "kubectl two pods --kuberc="+at, "KUBERC=/nonexistent")
	add("--kuberc behind dashes", "kubectl one pods -- --kuberc="+at)
	return all
}

// base is a command whose flags can be seen in what it asks or prints.
type base struct {
	command string
	args    string
	flags   []string // name=value|value
}

var bases = []base{
	{"get", "pods", []string{"output=json|yaml|name|wide", "selector=app=x|!app", "field-selector=spec.nodeName=n", "all-namespaces=true|false", "show-labels=true", "sort-by=.metadata.name|{.metadata.uid}", "chunk-size=2|0", "label-columns=app", "no-headers=true", "show-kind=true", "ignore-not-found=true", "namespace=web|kube-system"}},
	{"get", "pod a", []string{"output=json|yaml|name|jsonpath={.metadata.name}", "show-labels=true", "subresource=status", "namespace=web", "show-managed-fields=true"}},
	{"describe", "pods", []string{"selector=app=x", "namespace=web", "show-events=false", "chunk-size=1", "all-namespaces=true"}},
	{"delete", "pod a", []string{"grace-period=0|7|30", "force=true|false", "now=true", "wait=false", "cascade=orphan|foreground", "dry-run=client|server", "ignore-not-found=true", "namespace=web", "output=name"}},
	{"logs", "a", []string{"tail=5|-1", "since=1h|30s", "previous=true", "timestamps=true", "container=c|d", "limit-bytes=10", "namespace=web", "insecure-skip-tls-verify-backend=true"}},
	{"create configmap", "x", []string{"from-literal=a=1|b=2", "dry-run=client|server", "output=yaml|json|name", "namespace=web", "save-config=true", "field-manager=me", "append-hash=true"}},
	{"create deployment", "x --image=nginx", []string{"replicas=3", "port=80", "namespace=web", "dry-run=client", "output=name|json", "field-manager=me"}},
	{"create secret generic", "x", []string{"from-literal=a=1", "type=my/type", "append-hash=true", "output=yaml", "dry-run=client"}},
	{"create serviceaccount", "x", []string{"dry-run=server|client", "output=yaml", "namespace=web", "field-manager=me"}},
	{"label", "pods a k=v", []string{"overwrite=true", "dry-run=client|server", "namespace=web", "output=yaml", "field-manager=me", "list=true"}},
	{"annotate", "pods a k=v", []string{"overwrite=true", "dry-run=server", "namespace=web", "output=json", "list=true"}},
	{"scale", "deployment x --replicas=2", []string{"current-replicas=1|5", "namespace=web", "dry-run=server|client", "output=name", "resource-version=7"}},
	{"taint", "nodes n k=v:NoSchedule", []string{"overwrite=true", "dry-run=client", "output=yaml", "field-manager=me"}},
	{"patch", "pod a -p {}", []string{"type=merge|json", "dry-run=server", "namespace=web", "subresource=status", "field-manager=me", "output=json"}},
	{"run", "x --image=nginx", []string{"labels=a=b", "port=80", "restart=Never|OnFailure", "env=A=1", "dry-run=client", "output=yaml", "namespace=web", "image-pull-policy=Never"}},
	{"cordon", "n", []string{"dry-run=client|server"}},
	{"auth can-i", "get pods", []string{"namespace=web", "all-namespaces=true", "quiet=true", "subresource=log"}},
	{"api-resources", "", []string{"output=name|wide", "namespaced=false|true", "verbs=list", "no-headers=true", "sort-by=name|kind", "api-group=apps"}},
	{"config view", "", []string{"output=json|yaml", "minify=true", "raw=true", "flatten=true"}},
	{"config get-contexts", "", []string{"output=name", "no-headers=true"}},
	{"version", "", []string{"client=true", "output=json|yaml"}},
	{"set image", "deployment/x c=other", []string{"namespace=web", "dry-run=client|server", "output=yaml|name", "field-manager=me"}},
	{"rollout pause", "deployment/x", []string{"namespace=web", "field-manager=me", "output=name"}},
	{"events", "", []string{"all-namespaces=true", "namespace=web", "types=Warning", "output=json", "no-headers=true"}},
}

// generated makes n cases, the same ones each time.
func generated(n int) (all []kubercCase) {
	r := rand.New(rand.NewSource(3104))
	for i := range n {
		b := bases[i%len(bases)]
		form, defaults, options := beta, "defaults", "options"
		if r.Intn(3) == 0 {
			form, defaults, options = alpha, "overrides", "flags"
		}
		picked, typed := pick(r, b.flags), ""
		if r.Intn(3) == 0 { // one of the flags, or another, is typed as well
			typed = typedForm(r, b.flags[r.Intn(len(b.flags))])
		}
		before := []string{"", "", "", "-n=dev", "--namespace=dev", "--request-timeout=9s"}[r.Intn(6)]
		list := func(flags []string) string {
			var all []string
			for _, f := range flags {
				name, value, _ := strings.Cut(f, "=")
				all = append(all, fmt.Sprintf("{name: %s, default: %q}", name, value))
			}
			return "[" + strings.Join(all, ", ") + "]"
		}
		c := kubercCase{name: fmt.Sprintf("generated %d", i), file: form}
		command := b.command
		if r.Intn(2) == 0 {
			prepended, rest := "", strings.Fields(b.args)
			if r.Intn(2) == 0 && len(rest) > 0 {
				prepended, rest = rest[0], rest[1:]
			}
			appended := ""
			if r.Intn(3) == 0 {
				appended = "--" + choose(r, b.flags[r.Intn(len(b.flags))])
			}
			c.file += fmt.Sprintf("aliases:\n- {name: other, command: version}\n- {name: mine, command: %s, prependArgs: [%s], appendArgs: [%s], %s: %s}\n", b.command, quoted(prepended), quoted(appended), options, list(picked))
			if r.Intn(2) == 0 {
				c.file += fmt.Sprintf("%s:\n- {command: %s, %s: %s}\n", defaults, b.command, options, list(pick(r, b.flags)))
			}
			command, b.args = "mine", strings.Join(rest, " ")
		} else {
			c.file += fmt.Sprintf("%s:\n- {command: %s, %s: %s}\n", defaults, b.command, options, list(picked))
		}
		c.typed = strings.Join(strings.Fields(strings.Join([]string{"kubectl", before, command, typed, b.args}, " ")), " ")
		all = append(all, c)
	}
	return all
}

func quoted(s string) string {
	if s == "" {
		return ""
	}
	return fmt.Sprintf("%q", s)
}

func pick(r *rand.Rand, flags []string) (all []string) {
	for _, i := range r.Perm(len(flags))[:1+r.Intn(min(3, len(flags)))] {
		all = append(all, choose(r, flags[i]))
	}
	return all
}

func choose(r *rand.Rand, flag string) string {
	name, values, _ := strings.Cut(flag, "=")
	each := strings.Split(values, "|")
	return name + "=" + each[r.Intn(len(each))]
}

var shorts = map[string]string{"output": "o", "selector": "l", "namespace": "n", "all-namespaces": "A", "container": "c"}

func typedForm(r *rand.Rand, flag string) string {
	name, value, _ := strings.Cut(choose(r, flag), "=")
	short := shorts[name]
	switch form := r.Intn(4); {
	case value == "true" || value == "false" || form == 0:
		return "--" + name + "=" + value
	case form == 1 || short == "":
		return "--" + name + " " + value
	case form == 2:
		return "-" + short + " " + value
	}
	return "-" + short + value
}

// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// Renewer is another program on the node that renews certificates or restarts
// the control plane: one that is at work now, one that will be, or what one has
// left.
type Renewer struct {
	Name   string // a unit, a file's name or a program
	Path   string // of the unit, the crontab or the directory; empty for a process
	PID    int    // of a process
	AtWork bool   // it changes something now
	Does   string // half a sentence: what it will do, or has done
	Line   string // of a process, its program and subcommands; of a job, what gave it away
}

// renewerScripts are the scripts of others that renew: kubespray's and
// KubeKey's, and yuyicai/update-kube-cert.
var renewerScripts = []string{"k8s-certs-renew.sh", "update-kubeadm-cert.sh", "update-kube-cert.sh"}

// kubeadmReads are the subcommands of kubeadm that change nothing on the node.
var kubeadmReads = []string{"version", "config", "token", "completion", "help", "kubeconfig",
	"certs check-expiration", "certs certificate-key", "certs generate-csr", "upgrade plan", "upgrade diff", "alpha"}

// RenewerWords are the program and the subcommands of a command line, where it
// is that of a program that renews. The rest, such as the token of a kubeadm
// join, is left out.
func RenewerWords(args []string) ([]string, bool) {
	if _, _, ok := renewer(args); !ok {
		return nil, false
	}
	words := args[:1:1]
	for _, a := range args[1:] {
		if a == "-h" || a == "--help" || slices.Contains(renewerScripts, path.Base(a)) || subcommand.MatchString(a) && len(words) < 4 {
			words = append(words, a)
		}
	}
	return words, true
}

var subcommand = regexp.MustCompile(`^[a-z]+(-[a-z]+){0,2}$`)

func renewer(args []string) (name string, atWork, ok bool) {
	if len(args) == 0 {
		return "", false, false
	}
	for _, a := range args[:min(len(args), 3)] {
		if base := path.Base(a); slices.Contains(renewerScripts, base) {
			return base, true, true
		}
	}
	switch path.Base(args[0]) {
	case "kucero":
		return "kucero", false, true
	case "kubeadm":
		return "kubeadm", changes(args[1:]), true
	}
	return "", false, false
}

// changes says whether kubeadm with these arguments changes something.
func changes(args []string) bool {
	words := slices.DeleteFunc(slices.Clone(args), func(a string) bool { return strings.HasPrefix(a, "-") })
	if len(words) == 0 || slices.Contains(args, "--help") || slices.Contains(args, "-h") {
		return false
	}
	first := words[0]
	two := strings.Join(words[:min(len(words), 2)], " ")
	return !slices.Contains(kubeadmReads, first) && !slices.Contains(kubeadmReads, two)
}

// findRenewers takes what runs and what is installed. A process of another user
// is none, since anybody may call a program kubeadm; one in a container works on
// that, but for kucero, which reaches out of it. All of them work at kubeadm's
// place.
func (d *discovery) findRenewers() {
	for _, p := range d.processes {
		name, atWork, ok := renewer(p.Args)
		elsewhere := d.KubernetesDir != DefaultKubernetesDir || p.Contained && name != "kucero"
		if !ok || p.Foreign || elsewhere || name == "kubeadm" && !atWork {
			continue
		}
		d.Renewers = append(d.Renewers, Renewer{Name: name, PID: p.PID, AtWork: atWork, Does: does(name), Line: strings.Join(p.Args, " ")})
	}
	for _, f := range d.renewers {
		d.Renewers = append(d.Renewers, Renewer{Name: path.Base(f.Path), Path: f.Path, Does: does(f.What), Line: f.What})
	}
}

// does says what a renewer does, by what gave it away.
func does(what string) string {
	switch {
	case strings.Contains(what, "k8s-certs-renew"):
		return "renews all certificates with kubeadm and then ends the four control-plane pods of this node at once (kubespray, KubeKey)"
	case what == "kucero":
		return "drains the node, renews with kubeadm and restarts the kubelet, but no control-plane pod"
	case what == fact.RenewerLeftover:
		return "was made by update-kube-cert, a script that was run by hand and may be again"
	case strings.Contains(what, "update-kube"):
		return "signs all certificates again and restarts the control plane"
	}
	return "renews certificates with kubeadm, which restarts nothing by itself"
}

// wantRenewers looks where others put what renews unasked.
func (d *discovery) wantRenewers() {
	if d.Scope.Root == "" || d.KubernetesDir != DefaultKubernetesDir && d.running() {
		return
	}
	for _, p := range []string{"/etc/systemd/system", "/etc/crontab", "/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly",
		"/etc/cron.monthly", "/var/spool/cron", "/var/spool/cron/crontabs", "/etc"} {
		d.want(Want{Verb: LookRenewers, Path: p})
	}
}

// String names a renewer in a sentence.
func (r Renewer) String() string {
	switch {
	case r.PID != 0:
		return fmt.Sprintf("%s (process %d)", fact.Text(r.Name), r.PID)
	case r.Path != "":
		return fact.Text(r.Path).String()
	}
	return fact.Text(r.Name).String()
}

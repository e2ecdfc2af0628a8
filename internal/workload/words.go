// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"maps"
	"slices"

	"perennial.dev/perennial/internal/rules"
)

// pods are the kinds that are pods or make them, but for CronJobs, of which each
// one tells something.
var pods = []string{"Pod", "PodTemplate", "ReplicationController", "Deployment", "DaemonSet", "ReplicaSet", "StatefulSet", "Job"}

// Telling says by the text of a document whether its content has to be seen:
// reading it costs a hundred times as much as looking for words. Without one of
// words, nothing follows from what makes pods but how secure they are, which is
// judged for namespaces, and only for those that are seen (Judge.Needs).
//
// find makes a function that looks for words in one pass.
func Telling(set *rules.Set, find func(words ...string) func(kind string, text []byte) bool) func(kind string, text []byte) bool {
	escapes := []string{`\u`, `\x`, `\U`, `\/`, "\\\n", "\\\r"} // a word may be written with them
	words := slices.Concat(escapes, logsWords, []string{"hostUsers", "kube-proxy", "seccomp.security.alpha", "kubernetes.io/psp"})
	for _, v := range set.Volumes() {
		words = append(words, v.Field)
	}
	has, stored, logs := find(words...), find("storedVersions"), find(append(escapes, "/logs")...)
	return func(kind string, text []byte) bool {
		switch kind {
		case "CustomResourceDefinition":
			return stored(kind, text)
		case "ClusterRole":
			return logs(kind, text)
		}
		return !slices.Contains(pods, kind) || has(kind, text)
	}
}

// Needs are the namespaces that were seen: how secure what runs in them is can be
// said only when all of it was seen.
func (j *Judge) Needs() []string {
	var names []string
	if j.security.admission == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(j.security.spaces)) {
		if j.security.spaces[name].object != nil {
			names = append(names, name)
		}
	}
	return names
}

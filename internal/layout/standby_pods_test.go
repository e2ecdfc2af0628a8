// SPDX-License-Identifier: Apache-2.0

package layout_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
)

func TestStandbyAuditLog(t *testing.T) {
	const directory, file = "volumeMounts: [{name: logs, mountPath: /var/log/audit/}]", "volumeMounts: [{name: log, mountPath: /var/log/audit/audit.log}]"
	for name, c := range map[string]struct {
		flag, mounts, volumes string
		want                  layout.StandbyAudit
	}{
		"standard output": {"'-'", directory, "{name: logs, hostPath: {path: /host}}", layout.StandbyAudit{Main: "-", Path: "-"}},
		"a directory": {"/var/log/audit/audit.log", directory, "{name: logs, hostPath: {path: /host, type: DirectoryOrCreate}}",
			layout.StandbyAudit{Main: "/var/log/audit/audit.log", Path: "/var/log/audit/audit-standby.log", OnHost: "/host/audit-standby.log"}},
		"a directory below": {"/var/log/audit/a/b", directory, "{name: logs, hostPath: {path: /host}}",
			layout.StandbyAudit{Main: "/var/log/audit/a/b", Path: "/var/log/audit/a/b-standby", OnHost: "/host/a/b-standby"}},
		"a single file": {"/var/log/audit/audit.log", file, "{name: log, hostPath: {path: /host/kube.log, type: File}}",
			layout.StandbyAudit{Main: "/var/log/audit/audit.log", Path: "/var/log/audit/audit-standby.log", OnHost: "/host/kube-standby.log", Mounted: true}},
		"a file of a directory": {"/var/log/audit/audit.log", "volumeMounts: [{name: log, mountPath: /var/log/audit/audit.log, subPath: x/audit.log}]", "{name: log, hostPath: {path: /host}}",
			layout.StandbyAudit{Main: "/var/log/audit/audit.log", Path: "/var/log/audit/audit-standby.log", OnHost: "/host/x/audit-standby.log", Mounted: true}},
		"the container's own": {"/audit.log", directory, "{name: logs, hostPath: {path: /host}}", layout.StandbyAudit{Main: "/audit.log", Path: "/audit.log"}},
		"the pod's own":       {"/var/log/audit/a.log", directory, "{name: logs, emptyDir: {}}", layout.StandbyAudit{Main: "/var/log/audit/a.log", Path: "/var/log/audit/a.log"}},
		"a share": {"/var/log/audit/a.log", directory, "{name: logs, nfs: {server: s, path: /p}}",
			layout.StandbyAudit{Main: "/var/log/audit/a.log", Path: "/var/log/audit/a-standby.log"}},
		"relative": {"var/log/audit/a.log", directory, "{name: logs, hostPath: {path: /host}}",
			layout.StandbyAudit{Main: "var/log/audit/a.log", Path: "/var/log/audit/a-standby.log", OnHost: "/host/a-standby.log"}},
	} {
		s := standby(t, small("command: [kube-apiserver, --audit-log-path, "+c.flag+"]\n"+c.mounts, "  volumes: ["+c.volumes+"]\n"), layout.StandbyOptions{})
		if s.Audit != c.want {
			t.Errorf("%s:\n got %+v\nwant %+v", name, s.Audit, c.want)
		}
		_, container := parsed(t, s)
		flags := layout.ParseFlags(strings.Fields(words(container["command"])))
		if got := flags.Get("audit-log-path"); c.want.Path != "-" && got != c.want.Path {
			t.Errorf("%s: --audit-log-path=%s", name, got)
		}
		mounted := slices.Contains(s.Mounts, fact.Mount{Container: "kube-apiserver", HostPath: c.want.OnHost, Path: c.want.Path, Type: "FileOrCreate"})
		if mounted != c.want.Mounted {
			t.Errorf("%s: mounts %+v", name, s.Mounts)
		}
	}
}

// What runs beside the API server goes on in the main pod; a second one would
// take its ports and sockets.
func TestStandbyLeavesOthersOut(t *testing.T) {
	pod := `  - {name: kms, image: kms, ports: [{containerPort: 8200}], volumeMounts: [{name: socket, mountPath: /run/kms}, {name: theirs, mountPath: /x}]}
  initContainers: [{name: prepare, image: p, volumeMounts: [{name: theirs, mountPath: /x}]}]
  volumes:
  - {name: socket, hostPath: {path: /run/kms, type: DirectoryOrCreate}}
  - {name: theirs, emptyDir: {}}
  - {name: scratch, emptyDir: {}}
`
	s := standby(t, small("command: [kube-apiserver]\nvolumeMounts: [{name: socket, mountPath: /run/kms}, {name: scratch, mountPath: /tmp}]", pod), layout.StandbyOptions{})
	made, _ := parsed(t, s)
	spec := made["spec"].(map[string]any)
	if !slices.Equal(s.LeftOut, []string{"kms", "prepare"}) || spec["initContainers"] != nil || len(spec["volumes"].([]any)) != 2 {
		t.Errorf("%+v\n%s", s.LeftOut, s.YAML)
	}
	if want := []fact.Mount{{Container: "kube-apiserver", HostPath: "/run/kms", Path: "/run/kms", Type: "DirectoryOrCreate"}}; !reflect.DeepEqual(s.Mounts, want) {
		t.Errorf("%+v", s.Mounts)
	}
}

func TestStandbyIsRefused(t *testing.T) {
	const plain = "command: [kube-apiserver]"
	for name, c := range map[string]struct{ manifest, want string }{
		"no YAML":            {"kind: [Pod\nsecret: hush", "it is no YAML of a pod"},
		"a List":             {"kind: List\n", "it is no Pod"},
		"no name":            {strings.Replace(small(plain, ""), "name: kube-apiserver, ", "", 1), "no metadata.name"},
		"no API server":      {small("command: [etcd]", ""), "none of its containers"},
		"two API servers":    {small(plain, "  - {name: b, command: [kube-apiserver]}\n"), "more than one"},
		"a script":           {small(`command: [sh, -c, "exec kube-apiserver --secure-port=6443 --v=2"]`, ""), "shell's script"},
		"numbers as words":   {small("command: [kube-apiserver, --secure-port, 6443]", ""), "no list of strings"},
		"its own network":    {strings.Replace(small(plain, ""), "hostNetwork: true", "hostNetwork: false", 1), "no hostNetwork"},
		"the standby's port": {small("command: [kube-apiserver, --secure-port=6444]", ""), "6444 cannot be"},
		"no port":            {small("command: [kube-apiserver, --secure-port=0]", ""), "no port"},
		"a shared volume": {small(plain+"\nvolumeMounts: [{name: run, mountPath: /run/kms}]", "  - {name: kms, volumeMounts: [{name: run, mountPath: /run}]}\n  volumes: [{name: run, emptyDir: {}}]\n"),
			"shares the volume run with the container kms"},
		"a prepared volume": {small(plain+"\nvolumeMounts: [{name: run, mountPath: /run/kms}]", "  initContainers: [{name: copy, volumeMounts: [{name: run, mountPath: /run}]}]\n  volumes: [{name: run, emptyDir: {}}]\n"),
			"shares the volume run with the container copy"},
		"an audit log somewhere": {small("command: [kube-apiserver, --audit-log-path=/a.log]\nvolumeMounts: [{name: n, mountPath: /a.log}]", "  volumes: [{name: n, nfs: {path: /p}}]\n"), "single file"},
	} {
		s, err := layout.Standby([]byte(c.manifest), layout.StandbyOptions{Port: 6444})
		if err == nil || !strings.HasPrefix(err.Error(), "making a standby's manifest: ") || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", name, err)
		}
		if s.YAML != nil {
			t.Errorf("%s: a manifest was made", name)
		}
	}
}

func FuzzStandby(f *testing.F) {
	seedManifests(f)
	f.Add([]byte(small("command: [kube-apiserver, --secure-port, '6443', --audit-log-path=/a/b]\nvolumeMounts: [{name: v, mountPath: /a}]\nenv: [{name: GODEBUG}]", "  volumes: [{name: v, hostPath: {path: /h}}]\n")))
	f.Add([]byte("kind: Pod\nmetadata: {name: a}\nspec:\n  hostNetwork: true\n  containers: [{command: [kube-apiserver, --audit-log-path], volumeMounts: [{mountPath: /}]}]"))
	f.Add([]byte("kind: Pod\nmetadata: {name: a}\nspec:\n  hostNetwork: true\n  containers: [{name: kube-apiserver, CommAnD: [-secure-port]}]"))
	f.Add([]byte(`{"kind":"Pod","metadata":{"name":"a","labels":[],"annotations":1},"spec":{"hostNetwork":true,"terminationGracePeriodSeconds":"x","containers":[{"name":"kube-apiserver","ports":[{"containerPort":6443,"name":"p"}],"livenessProbe":{"httpGet":{"port":"p"}},"resources":[],"lifecycle":7}]}}`))
	f.Fuzz(func(t *testing.T, manifest []byte) {
		s, err := layout.Standby(manifest, layout.StandbyOptions{Port: 6444, Minor: 30})
		if err != nil {
			if s.YAML != nil {
				t.Fatal("an error and a manifest")
			}
			return
		}
		pod, container := parsed(t, s)
		if pod["metadata"].(map[string]any)["name"] != layout.APIServerStandby {
			t.Fatalf("%v", pod["metadata"])
		}
		line := strings.Fields(words(container["command"]) + " " + words(container["args"]))
		for _, want := range []string{"--secure-port=6444", "--endpoint-reconciler-type=none"} {
			if n := strings.Count(" "+strings.Join(line, " ")+" ", " "+want+" "); n != 1 {
				t.Fatalf("%s %d times in %q", want, n, line)
			}
		}
	})
}

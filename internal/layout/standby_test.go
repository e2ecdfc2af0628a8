// SPDX-License-Identifier: Apache-2.0

package layout_test

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/release"
)

var update = flag.Bool("update", false, "write the golden files")

// mainManifest is what kubeadm 1.37.0 wrote (kubeadm init phase control-plane
// apiserver).
func mainManifest(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("testdata/kube-apiserver.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func standby(t *testing.T, manifest string, o layout.StandbyOptions) layout.StandbyManifest {
	t.Helper()
	if o.Port == 0 {
		o.Port = 6444
	}
	s, err := layout.Standby([]byte(manifest), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStandbyOfKubeadmsManifest(t *testing.T) {
	s := standby(t, mainManifest(t), layout.StandbyOptions{PlanID: "20261122-1", Delay: 5 * time.Second})
	golden(t, "testdata/kube-apiserver-standby.yaml", s.YAML)
	if s.MainPort != 6443 || s.Port != 6444 || s.Minor != 37 || s.Image != "registry.k8s.io/kube-apiserver:v1.37.0" || len(s.Mounts) != 5 || s.Audit != (layout.StandbyAudit{}) || s.HostPorts != nil || s.LeftOut != nil {
		t.Errorf("%+v", s)
	}
	var what []string
	for _, c := range s.Changes {
		what = append(what, c.What)
	}
	want := []string{"metadata.name", "metadata.labels", "metadata.annotations", "flag --secure-port", "flag --endpoint-reconciler-type",
		"flag --goaway-chance", "flag --shutdown-watch-termination-grace-period", "flag --shutdown-delay-duration",
		"spec.containers[0].startupProbe.httpGet.port", "spec.containers[0].livenessProbe.httpGet.port", "spec.containers[0].readinessProbe.httpGet.port",
		"spec.containers[0].ports", "spec.containers[0].resources.requests", "env GODEBUG"}
	if !slices.Equal(what, want) {
		t.Errorf("changes %q\nwant    %q", what, want)
	}
}

// golden compares, or writes.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs; got\n%s", name, got)
	}
}

// The same pod makes the same standby, however it is written, and discovery
// takes it for one.
func TestStandbyIsTakenForOne(t *testing.T) {
	s := standby(t, mainManifest(t), layout.StandbyOptions{})
	asJSON, err := yaml.YAMLToJSON([]byte(mainManifest(t)))
	if err != nil {
		t.Fatal(err)
	}
	if again := standby(t, string(asJSON), layout.StandbyOptions{}); !reflect.DeepEqual(again, s) {
		t.Error("JSON makes another standby than YAML")
	}
	l := layout.Discover(running, []fact.Fact{
		layout.ParseManifest("/etc/kubernetes/manifests/kube-apiserver.yaml", fact.Meta{}, []byte(mainManifest(t))),
		layout.ParseManifest("/etc/kubernetes/manifests/kube-apiserver-standby.yaml", fact.Meta{}, s.YAML),
	})
	two, ok := l.Component(layout.APIServerStandby)
	if !ok || two.Flags.Get("secure-port") != "6444" {
		t.Errorf("%+v", l.Components)
	}
	if _, err := layout.Standby(s.YAML, layout.StandbyOptions{Port: 16443}); err == nil || !strings.Contains(err.Error(), "standby's already") {
		t.Errorf("a standby of a standby: %v", err)
	}
}

// small is a manifest around a container's fields and the pod's.
func small(container, pod string) string {
	indent := func(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n    ") }
	return "apiVersion: v1\nkind: Pod\nmetadata: {name: kube-apiserver, namespace: kube-system}\nspec:\n  hostNetwork: true\n  containers:\n  - name: kube-apiserver\n    " +
		indent(container) + "\n" + pod
}

// parsed is the API server's container of a standby.
func parsed(t *testing.T, s layout.StandbyManifest) (pod, container map[string]any) {
	t.Helper()
	if err := yaml.Unmarshal(s.YAML, &pod); err != nil {
		t.Fatal(err)
	}
	list := pod["spec"].(map[string]any)["containers"].([]any)
	if len(list) != 1 {
		t.Fatalf("%d containers", len(list))
	}
	return pod, list[0].(map[string]any)
}

func words(list any) string {
	var all []string
	values, _ := list.([]any)
	for _, v := range values {
		all = append(all, v.(string))
	}
	return strings.Join(all, " ")
}

const added = "--endpoint-reconciler-type=none --goaway-chance=0.02"

func TestStandbyFlags(t *testing.T) {
	for name, c := range map[string]struct {
		command, args         string // of the main one
		wantCommand, wantArgs string
		minor                 release.Minor
		delay                 time.Duration
	}{
		"with =":                     {"[kube-apiserver, --secure-port=6443, --v=2]", "", "kube-apiserver --secure-port=6444 --v=2 " + added, "", 26, 0},
		"as two words":               {"[kube-apiserver, --secure-port, '6443', --v, '2']", "", "kube-apiserver --secure-port=6444 --v 2 " + added, "", 0, 0},
		"in args":                    {"[kube-apiserver]", "[--secure-port=6443, --v=2]", "kube-apiserver", "--secure-port=6444 --v=2 " + added, 0, 0},
		"in args, from the image":    {"", "[--v=2]", "", "--v=2 --secure-port=6444 " + added, 0, 0},
		"across command and args":    {"[kube-apiserver, --secure-port]", "['6443', --v=2]", "kube-apiserver", "--secure-port=6444 --v=2 " + added, 0, 0},
		"no flag at all":             {"[kube-apiserver]", "", "kube-apiserver --secure-port=6444 " + added, "", 0, 0},
		"duplicates":                 {"[kube-apiserver, --secure-port=1, --v=2, --secure_port=6443]", "", "kube-apiserver --secure-port=6444 --v=2 " + added, "", 0, 0},
		"its own values":             {"[kube-apiserver, --goaway-chance=0.001, --endpoint-reconciler-type=lease]", "", "kube-apiserver --goaway-chance=0.02 --endpoint-reconciler-type=none --secure-port=6444", "", 0, 0},
		"behind a launcher":          {"[/go-runner, --log-file=/l, /usr/local/bin/kube-apiserver, --v=2]", "", "/go-runner --log-file=/l /usr/local/bin/kube-apiserver --v=2 --secure-port=6444 " + added, "", 0, 0},
		"before what ends the flags": {"[kube-apiserver, --v=2, --]", "", "kube-apiserver --v=2 --secure-port=6444 " + added + " --", "", 0, 0},
		"watch grace from 1.27":      {"[kube-apiserver]", "", "kube-apiserver --secure-port=6444 " + added + " --shutdown-watch-termination-grace-period=10s", "", 27, 0},
		"and a delay":                {"[kube-apiserver, --shutdown-delay-duration=70s]", "", "kube-apiserver --shutdown-delay-duration=5s --secure-port=6444 " + added, "", 26, 5 * time.Second},
		"no delay":                   {"[kube-apiserver, --shutdown-delay-duration=70s]", "", "kube-apiserver --secure-port=6444 " + added, "", 26, 0},
		"what harms":                 {"[kube-apiserver, --shutdown-send-retry-after, --debug-socket-path, /run/a.sock, --shutdown-send-retry-after=true, --profiling=false]", "", "kube-apiserver --profiling=false --secure-port=6444 " + added, "", 26, 0},
		"what looks alike":           {"[kube-apiserver, --tls-secure-port=1, --audit-webhook-config-file=/a, --bind-address=10.0.0.1, --audit-log-path, '-']", "", "kube-apiserver --tls-secure-port=1 --audit-webhook-config-file=/a --bind-address=10.0.0.1 --audit-log-path - --secure-port=6444 " + added, "", 26, 0},
	} {
		text := "image: kube-apiserver"
		if c.command != "" {
			text += "\ncommand: " + c.command
		}
		if c.args != "" {
			text += "\nargs: " + c.args
		}
		s := standby(t, small(text, ""), layout.StandbyOptions{Minor: c.minor, Delay: c.delay})
		_, container := parsed(t, s)
		// The new flags stand behind each other in a fixed order; only their
		// set matters where the main one had some.
		if got := words(container["command"]); !sameWords(got, c.wantCommand) {
			t.Errorf("%s: command %s\nwant %s", name, got, c.wantCommand)
		}
		if got := words(container["args"]); !sameWords(got, c.wantArgs) {
			t.Errorf("%s: args %s\nwant %s", name, got, c.wantArgs)
		}
	}
}

func sameWords(a, b string) bool {
	x, y := strings.Fields(a), strings.Fields(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// Fields that nobody here knows stay as they are, numbers too.
func TestStandbyKeepsWhatItDoesNotKnow(t *testing.T) {
	manifest := small("image: kube-apiserver\ncommand: [kube-apiserver]\nnewField: {big: 9007199254740993, list: [1, 0.5, \"007\", 'yes', null]}\nsecurityContext: {runAsUser: 1000}",
		"  priority: 2000001000\n  newer: [{a: b}]\n  dnsPolicy: ClusterFirstWithHostNet\nextra: 'on'\n")
	s := standby(t, manifest, layout.StandbyOptions{})
	for _, want := range []string{"big: 9007199254740993", `- "007"`, `- "yes"`, "priority: 2000001000", "- a: b", `extra: "on"`, "runAsUser: 1000", "ClusterFirstWithHostNet", "- 0.5"} {
		if !strings.Contains(string(s.YAML), want) {
			t.Errorf("%q is lost in\n%s", want, s.YAML)
		}
	}
}

func TestStandbyMetadata(t *testing.T) {
	manifest := strings.Replace(small("command: [kube-apiserver]", "status: {phase: Running}\n"), "metadata: {name: kube-apiserver, namespace: kube-system}",
		"metadata: {name: kube-apiserver, namespace: control, uid: abc, resourceVersion: '7', labels: {tier: control-plane, k8s-app: kube-apiserver}, annotations: {kubernetes.io/config.hash: x, kubeadm.kubernetes.io/component-config.hash: y, container.apparmor.security.beta.kubernetes.io/kube-apiserver: runtime/default}}", 1)
	pod, container := parsed(t, standby(t, manifest, layout.StandbyOptions{PlanID: "7"}))
	want := map[string]any{
		"name": "kube-apiserver-standby", "namespace": "control", "labels": map[string]any{"component": "kube-apiserver-standby"},
		"annotations": map[string]any{layout.StandbyPlanAnnotation: "7", "container.apparmor.security.beta.kubernetes.io/kube-apiserver": "runtime/default"},
	}
	if !reflect.DeepEqual(pod["metadata"], want) || pod["status"] != nil || container["name"] != "kube-apiserver" {
		t.Errorf("%v", pod)
	}
}

func TestStandbyProbes(t *testing.T) {
	manifest := small(`command: [kube-apiserver, --secure-port=7443]
ports: [{name: probe, containerPort: 7443}, {name: other, containerPort: 9000, hostPort: 9000}]
startupProbe: {httpGet: {port: probe, host: 10.0.0.1, path: /livez}, periodSeconds: 3}
livenessProbe: {exec: {command: [curl, -k, "https://127.0.0.1:7443/livez"]}}
readinessProbe: {tcpSocket: {port: other}}
lifecycle: {preStop: {exec: {command: [sleep, "20"]}}}`, "")
	s := standby(t, manifest, layout.StandbyOptions{})
	_, container := parsed(t, s)
	startup := container["startupProbe"].(map[string]any)
	if got := startup["httpGet"].(map[string]any); got["port"] != 6444.0 || got["host"] != "10.0.0.1" || startup["periodSeconds"] != 3.0 {
		t.Errorf("%v", startup)
	}
	if container["livenessProbe"] != nil || container["readinessProbe"] != nil || container["ports"] != nil || len(container["lifecycle"].(map[string]any)) > 0 {
		t.Errorf("%v", container)
	}
	if !slices.Equal(s.HostPorts, []int{9000}) || s.MainPort != 7443 {
		t.Errorf("%+v", s)
	}
}

func TestStandbyReservesNothing(t *testing.T) {
	for resources, want := range map[string]map[string]any{
		"": {"cpu": "10m"},
		"resources: {requests: {cpu: 250m, memory: 2Gi}}":                                         {"cpu": "10m"},
		"resources: {limits: {memory: 8Gi, cpu: 4}}":                                              {"cpu": "10m", "memory": "0"},
		"resources: {requests: {memory: 2Gi}, limits: {memory: 8Gi, ephemeral-storage: 1Gi}}":     {"cpu": "10m", "memory": "0", "ephemeral-storage": "0"},
		"resources: {requests: {cpu: 250m}, claims: [{name: kept}], limits: {cpu: 1, memory: 0}}": {"cpu": "10m", "memory": "0"},
	} {
		pod, container := parsed(t, standby(t, small("command: [kube-apiserver]\n"+resources, "  resources: {requests: {cpu: 1}}\n"), layout.StandbyOptions{}))
		got := container["resources"].(map[string]any)
		if !reflect.DeepEqual(got["requests"], want) {
			t.Errorf("%s: %v", resources, got)
		}
		if strings.Contains(resources, "claims") && got["claims"] == nil || strings.Contains(resources, "limits") && got["limits"] == nil {
			t.Errorf("%s: lost in %v", resources, got)
		}
		if pod["spec"].(map[string]any)["resources"] != nil {
			t.Error("the pod reserves something")
		}
	}
}

func TestStandbyEnvironment(t *testing.T) {
	for env, want := range map[string]string{
		"": "map[name:GODEBUG value:multipathtcp=0]",
		"env: [{name: A, value: b}, {name: GODEBUG, value: 'http2client=0,multipathtcp=1'}, {name: Z, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}]": "map[name:A value:b] map[name:GODEBUG value:http2client=0,multipathtcp=0] map[name:Z valueFrom:map[fieldRef:map[fieldPath:status.hostIP]]]",
		"env: [{name: GODEBUG, value: a=1}, {name: GODEBUG, value: b=2}]":                                                                                  "map[name:GODEBUG value:b=2,multipathtcp=0]",
	} {
		_, container := parsed(t, standby(t, small("command: [kube-apiserver]\n"+env, ""), layout.StandbyOptions{}))
		if got := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprint(container["env"]), "["), "]"); got != want {
			t.Errorf("%s: %s", env, got)
		}
	}
	_, container := parsed(t, standby(t, small("command: [env, GODEBUG=x=1, kube-apiserver]", ""), layout.StandbyOptions{}))
	if got := words(container["command"]); !strings.HasPrefix(got, "env GODEBUG=x=1,multipathtcp=0 kube-apiserver --") {
		t.Error(got)
	}
}

func TestStandbyGrace(t *testing.T) {
	for set, want := range map[string]any{"": nil, "  terminationGracePeriodSeconds: 5\n": 25.0, "  terminationGracePeriodSeconds: 60\n": 60.0} {
		pod, _ := parsed(t, standby(t, small("command: [kube-apiserver]", set), layout.StandbyOptions{Delay: 5 * time.Second}))
		if got := pod["spec"].(map[string]any)["terminationGracePeriodSeconds"]; got != want {
			t.Errorf("%q: %v, want %v", set, got, want)
		}
	}
}

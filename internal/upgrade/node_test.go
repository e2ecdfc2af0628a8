// SPDX-License-Identifier: Apache-2.0

package upgrade_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/rules"
	"perennial.dev/perennial/internal/upgrade"
)

// flagTable stands for what the tables know of flags, so that these tests do not
// change with them.
const flagTable = `component,flag,known,hidden,deprecated,removed,notice,origin,citation
kubelet,boot-id-file,1.19-1.36,,1.35 measured k8s.io/kubernetes@v1.35.4:cmd/kubelet/app/options/globalflags.go,1.37 measured k8s.io/kubernetes@v1.37.0:cmd/kubelet/app/options/globalflags.go,it is for cAdvisor,measured,k8s.io/kubernetes@v1.36.3:cmd/kubelet/app/options/globalflags.go
kubelet,old-flag,1.19-1.23,,,1.24 measured k8s.io/kubernetes@v1.24.17:cmd/kubelet/app/options/options.go,,measured,k8s.io/kubernetes@v1.23.17:cmd/kubelet/app/options/options.go
kubelet,pod-infra-container-image,1.19-1.34,,,1.35 measured k8s.io/kubernetes@v1.35.4:cmd/kubelet/app/options/options.go,,measured,k8s.io/kubernetes@v1.34.4:cmd/kubelet/app/options/options.go
kubelet,fading,1.19-1.37,,1.36 measured k8s.io/kubernetes@v1.36.3:cmd/kubelet/app/options/options.go,1.40 planned k8s.io/kubernetes@v1.36.3:cmd/kubelet/app/options/options.go,use the file,measured,k8s.io/kubernetes@v1.37.0:cmd/kubelet/app/options/options.go
`

const defaultTable = `setting,component,first,last,value,origin,citation
--proxy-mode,kube-proxy,1.30,1.35,iptables,measured,k8s.io/kubernetes@v1.35.4:cmd/kube-proxy/app/options.go
--proxy-mode,kube-proxy,1.36,1.37,nftables,measured,k8s.io/kubernetes@v1.36.3:cmd/kube-proxy/app/options.go
failCgroupV1,kubelet,1.31,1.34,false,measured,k8s.io/kubernetes@v1.34.4:pkg/kubelet/apis/config/v1beta1/defaults.go
failCgroupV1,kubelet,1.35,1.37,true,measured,k8s.io/kubernetes@v1.37.0:pkg/kubelet/apis/config/v1beta1/defaults.go
`

const kindTable = `component,group,version,kind,known,deprecated,removed,origin,citation
kube-scheduler,kubescheduler.config.k8s.io,v1,KubeSchedulerConfiguration,1.25-1.37,,,measured,k8s.io/kube-scheduler@v0.37.0:config/v1/register.go
kube-scheduler,kubescheduler.config.k8s.io,v1beta3,KubeSchedulerConfiguration,1.23-1.28,1.26 measured k8s.io/kube-scheduler@v0.26.0:config/v1beta3/register.go,1.29 measured k8s.io/kubernetes@v1.29.0:pkg/scheduler/apis/config/scheme/scheme.go,measured,k8s.io/kube-scheduler@v0.28.15:config/v1beta3/register.go
`

const etcdTables = `# as-of: 2026-11-22
minor,version,origin,citation
1.33,3.5.24,measured,k8s.io/kubernetes@v1.33.13:cmd/kubeadm/app/constants/constants.go
1.34,3.6.4,measured,k8s.io/kubernetes@v1.34.4:cmd/kubeadm/app/constants/constants.go
1.37,3.7.0,measured,k8s.io/kubernetes@v1.37.0:cmd/kubeadm/app/constants/constants.go
`

const etcdFlagTable = `# as-of: 2026-11-22
flag,series,deprecated,replacement,origin,citation
experimental-corrupt-check-time,3.5 3.6,3.6,--corrupt-check-time,measured,go.etcd.io/etcd/server@v3.6.8:embed/config.go
corrupt-check-time,3.6 3.7,,,measured,go.etcd.io/etcd/server@v3.7.0:embed/config.go
`

const etcdFaultTable = `# as-of: 2026-11-22
name,from,until,effect,fix,origin,citation
DataInconsistency,3.5.0,3.5.3,a member that is killed under load may lose writes,update etcd to 3.5.26,official,go.etcd.io/etcd/server@v3.5.16:embed/config.go
`

const etcdStepTable = `# as-of: 2026-11-22
from,to,least,effect,fix,origin,citation
3.5,3.6,3.5.26,members come back as learners that nobody can remove,update etcd to 3.5.26 first,official,go.etcd.io/etcd/server@v3.6.8:embed/config.go
`

// node is a layout with one component after the other: its name and arguments.
func node(name string, components ...[]string) layout.Layout {
	l := layout.Layout{Node: name}
	for _, c := range components {
		one := layout.Component{Name: c[0], Manifest: "/etc/kubernetes/manifests/" + c[0] + ".yaml", Args: c, Flags: layout.ParseFlags(c[1:])}
		if c[0] == layout.Kubelet {
			one = layout.Component{Name: c[0], Process: &fact.Process{PID: 1, Args: c}, Flags: one.Flags}
			one.Flags["client-ca-file"] = []string{"as the file says"}
		}
		l.Components = append(l.Components, one)
	}
	return l
}

func judgeNode(set *rules.Set, way rules.Way, l layout.Layout, facts ...fact.Fact) []finding.Finding {
	j := upgrade.New(set, way)
	for _, f := range facts {
		j.See(f)
	}
	j.Node(l)
	// What every hop changes by itself has its own test.
	return slices.DeleteFunc(j.Findings(), func(f finding.Finding) bool {
		return f.Code == finding.GateDefault || f.Code == finding.EtcdCheckMissing
	})
}

func TestNode(t *testing.T) {
	set := load(t, flagTable, defaultTable, kindTable)
	const manifest = " from /etc/kubernetes/manifests/kube-apiserver.yaml and from extraArgs in the ConfigMap kube-system/kubeadm-config"
	gates := func(text string) layout.Layout {
		return node("cp1", []string{"kube-apiserver", "--feature-gates=" + text})
	}
	for name, c := range map[string]struct {
		way   rules.Way
		node  layout.Layout
		facts []fact.Fact
		want  string
	}{
		"nothing set": {way: rules.Way{From: 24, To: 37}, node: node("cp1", []string{"kube-apiserver", "--secure-port=6443", "--a-vendors-own=1"}, []string{"etcd"}),
			want: "cp1/kube-apiserver-flag-enable-logs-handler FlagDefault changes 1.31 measured | set --enable-logs-handler=true where that is relied on"},
		"all unknown gates, not only the first": {way: rules.Way{From: 34, To: 35}, node: gates("ProbeHostPodSecurityStandards=true,UserNamespacesPodSecurityStandards=false,APIResponseCompression=false"),
			want: "cp1/kube-apiserver-gate-ProbeHostPodSecurityStandards GateRemoved blocks 1.35 measured | remove ProbeHostPodSecurityStandards=true of --feature-gates" + manifest + "\n" +
				"cp1/kube-apiserver-gate-UserNamespacesPodSecurityStandards GateRemoved blocks 1.35 measured | remove UserNamespacesPodSecurityStandards=false of --feature-gates" + manifest},
		"a gate with its component's name, and set twice": {way: rules.Way{From: 32, To: 33}, node: node("cp1", []string{"kube-apiserver", "--feature-gates=kube:AppArmor=true", "--feature-gates", "kube:AppArmor=false"}),
			want: "cp1/kube-apiserver-gate-AppArmor GateRemoved blocks 1.33 measured | remove AppArmor=false of --feature-gates" + manifest},
		"locked otherwise": {way: rules.Way{From: 35, To: 36}, node: gates("UserNamespacesSupport=false"),
			want: "cp1/kube-apiserver-gate-UserNamespacesSupport GateLocked blocks 1.36 measured | remove UserNamespacesSupport=false of --feature-gates" + manifest},
		"locked as it is set":   {way: rules.Way{From: 35, To: 36}, node: gates("UserNamespacesSupport=true")},
		"set ahead of its time": {way: rules.Way{From: 35, To: 37}, node: gates("CompositePodGroup=false")},
		"one that it needs is off": {way: rules.Way{From: 36, To: 37}, node: gates("CompositePodGroup=true,GenericWorkload=false,TopologyAwareWorkloadScheduling=true"),
			want: "cp1/kube-apiserver-gate-CompositePodGroup GateRequires blocks 1.37 measured | set GenericWorkload to true as well, or CompositePodGroup to false"},
		"nobody ever knew it": {way: rules.Way{From: 36, To: 37}, node: gates("Typo=true"),
			want: "cp1/kube-apiserver-gate-Typo GateRemoved blocks 1.37 measured | remove Typo=true of --feature-gates" + manifest},
		"without a minor to come from": {way: rules.Way{To: 37}, node: gates("CSIMigration=true"),
			want: "cp1/kube-apiserver-gate-CSIMigration GateRemoved blocks 1.37 measured | remove CSIMigration=true of --feature-gates" + manifest},
		"in the kubelet's file": {way: rules.Way{From: 36, To: 37}, node: node("cp1", []string{"kubelet"}),
			facts: []fact.Fact{fact.KubeletConfig{Path: "/var/lib/kubelet/config.yaml", Gates: map[string]bool{"SidecarContainers": true}}},
			want:  "cp1/kubelet-gate-SidecarContainers GateRemoved blocks 1.37 measured | remove SidecarContainers from featureGates in /var/lib/kubelet/config.yaml and in the ConfigMap kube-system/kubelet-config, from which kubeadm writes it anew"},
		"a kubelet that only told it of itself": {way: rules.Way{From: 36, To: 37}, node: node("cp1"),
			facts: []fact.Fact{fact.KubeletConfig{Node: "w1", Gates: map[string]bool{"SidecarContainers": true}}},
			want:  "w1/kubelet-gate-SidecarContainers GateRemoved blocks 1.37 measured | remove SidecarContainers from featureGates in what the kubelet runs with"},
		"kube-proxy's, as the cluster keeps it": {way: rules.Way{From: 36, To: 37}, node: node("cp1"),
			facts: []fact.Fact{fact.ConfigDocument{Path: "ConfigMap kube-system/kube-proxy", Component: "kube-proxy", Gates: map[string]bool{"SidecarContainers": true}}},
			want:  "cluster/kube-proxy-gate-SidecarContainers GateRemoved blocks 1.37 measured | remove SidecarContainers from featureGates in ConfigMap kube-system/kube-proxy"},
		"a gate that is to go": {way: rules.Way{From: 37, To: 40}, node: gates("APIResponseCompression=true,UserNamespacesSupport=true"),
			want: "cp1/kube-apiserver-gate-UserNamespacesSupport GateRemoved blocks 1.39 planned | remove UserNamespacesSupport=true of --feature-gates" + manifest},
		"kubeadm's own": {way: rules.Way{From: 35, To: 37}, node: node("cp1"),
			facts: []fact.Fact{fact.ConfigDocument{Path: "ConfigMap kube-system/kubeadm-config", Component: "kubeadm", Gates: map[string]bool{"NoSuchGate": true}}},
			want:  "cluster/kubeadm-gate-NoSuchGate GateRemoved blocks 1.36 measured | remove NoSuchGate from featureGates in ConfigMap kube-system/kubeadm-config"},
		"a flag that is to go, on the way there": {way: rules.Way{From: 37, To: 40}, node: node("cp1", []string{"kubelet", "--fading=1"}),
			want: "cp1/kubelet-flag-fading FlagRemoved blocks 1.40 planned | remove --fading=1 from the kubelet's command line (/var/lib/kubelet/kubeadm-flags.env, or its unit)"},
		"a removed flag": {way: rules.Way{From: 35, To: 37}, node: node("cp1", []string{"kubelet", "--boot-id-file=/x"}),
			want: "cp1/kubelet-flag-boot-id-file FlagRemoved blocks 1.37 measured | remove --boot-id-file=/x from the kubelet's command line (/var/lib/kubelet/kubeadm-flags.env, or its unit)"},
		"a flag that was removed before": {way: rules.Way{From: 35, To: 36}, node: node("cp1", []string{"kubelet", "--old_flag"}),
			want: "cp1/kubelet-flag-old-flag FlagRemoved blocks 1.36 measured | remove --old-flag=true from the kubelet's command line (/var/lib/kubelet/kubeadm-flags.env, or its unit)"},
		"a deprecated flag": {way: rules.Way{From: 35, To: 36}, node: node("cp1", []string{"kubelet", "--fading=1"}),
			want: "cp1/kubelet-flag-fading FlagDeprecated notice 1.40 planned | remove --fading=1 from the kubelet's command line (/var/lib/kubelet/kubeadm-flags.env, or its unit)"},
		"a flag that kubeadm takes out itself": {way: rules.Way{From: 34, To: 35}, node: node("cp1", []string{"kubelet", "--bootstrap-kubeconfig=/b", "--pod-infra-container-image=p"}),
			want: "cp1/kubelet-flag-pod-infra-container-image FlagRemoved notice 1.35 measured | remove --pod-infra-container-image=p from the kubelet's command line (/var/lib/kubelet/kubeadm-flags.env, or its unit)"},
		"another default": {way: rules.Way{From: 34, To: 37}, node: node("cp1", []string{"kube-proxy", "--v=2"}),
			want: "cp1/kube-proxy-flag-proxy-mode FlagDefault changes 1.36 measured | set --proxy-mode=iptables where that is relied on"},
		"another default of what is set": {way: rules.Way{From: 34, To: 37}, node: node("cp1", []string{"kube-proxy", "--proxy-mode=ipvs"})},
		"admission plugins": {way: rules.Way{From: 24, To: 30}, node: node("cp1", []string{"kube-apiserver", "--enable-admission-plugins=NodeRestriction,PodSecurityPolicy", "--disable-admission-plugins=SecurityContextDeny"}),
			want: "cp1/kube-apiserver-admission-PodSecurityPolicy AdmissionPluginRemoved blocks 1.25 measured | remove PodSecurityPolicy of --enable-admission-plugins" + manifest + "\n" +
				"cp1/kube-apiserver-admission-SecurityContextDeny AdmissionPluginRemoved blocks 1.30 measured | remove SecurityContextDeny of --disable-admission-plugins" + manifest},
		"runtime-config": {way: rules.Way{From: 36, To: 37}, node: node("cp1", []string{"kube-apiserver", "--runtime-config=api/all=true,scheduling.k8s.io/v1alpha2=true"}),
			want: "cp1/kube-apiserver-runtime-config-scheduling.k8s.io.v1alpha2 RuntimeConfigRefused blocks 1.37 measured | remove scheduling.k8s.io/v1alpha2=true of --runtime-config" + manifest},
		"a configuration file": {way: rules.Way{From: 27, To: 30}, node: node("cp1", []string{"kube-scheduler", "--config=/etc/kubernetes/s.yaml"}),
			facts: []fact.Fact{fact.ConfigDocument{Path: "/etc/kubernetes/s.yaml", Line: 1, Component: "kube-scheduler", Flag: "config", APIVersion: "kubescheduler.config.k8s.io/v1beta3", Type: "KubeSchedulerConfiguration"}},
			want:  "cp1/kube-scheduler-config-KubeSchedulerConfiguration ConfigKindRemoved blocks 1.29 measured | in /etc/kubernetes/s.yaml, replace `apiVersion: kubescheduler.config.k8s.io/v1beta3` by `apiVersion: kubescheduler.config.k8s.io/v1`"},
		"a configuration file whose kind has another name in the next version": {way: rules.Way{From: 35, To: 36}, node: node("cp1", []string{"kube-apiserver", "--admission-control-config-file=/etc/kubernetes/a.yaml"}),
			facts: []fact.Fact{fact.ConfigDocument{Path: "/etc/kubernetes/a.yaml", Line: 6, Component: "kube-apiserver", Flag: "admission-control-config-file", APIVersion: "apiserver.config.k8s.io/v1alpha1", Type: "WebhookAdmission"}},
			want:  "cp1/kube-apiserver-config-WebhookAdmission ConfigKindRemoved blocks 1.36 measured | in /etc/kubernetes/a.yaml, replace `apiVersion: apiserver.config.k8s.io/v1alpha1` by `apiVersion: apiserver.config.k8s.io/v1` and `kind: WebhookAdmission` by `kind: WebhookAdmissionConfiguration`"},
		"a configuration file that is to go": {way: rules.Way{From: 27, To: 28}, node: node("cp1"),
			facts: []fact.Fact{fact.ConfigDocument{Path: "/etc/kubernetes/s.yaml", Line: 1, Component: "kube-scheduler", Flag: "config", APIVersion: "kubescheduler.config.k8s.io/v1beta3", Type: "KubeSchedulerConfiguration"}},
			want:  "cp1/kube-scheduler-config-KubeSchedulerConfiguration ConfigKindDeprecated notice 1.29 measured | in /etc/kubernetes/s.yaml, replace `apiVersion: kubescheduler.config.k8s.io/v1beta3` by `apiVersion: kubescheduler.config.k8s.io/v1`"},
		"a kubelet's flags in the files of its unit, the later ones of which win": {way: rules.Way{From: 34, To: 37}, node: layout.Layout{Node: "cp1"}, facts: []fact.Fact{
			fact.ConfigDocument{Path: "/etc/default/kubelet", Component: "kubelet", Flag: "KUBELET_EXTRA_ARGS", Args: []string{"--boot-id-file=/y", "--feature-gates=SidecarContainers=true"}},
			fact.ConfigDocument{Path: "/var/lib/kubelet/kubeadm-flags.env", Component: "kubelet", Flag: "KUBELET_KUBEADM_ARGS", Args: []string{"--boot-id-file=/x", "--pod-infra-container-image=p"}}},
			want: "cp1/kubelet-flag-boot-id-file FlagRemoved blocks 1.37 measured | remove --boot-id-file=/y from the kubelet's command line (/var/lib/kubelet/kubeadm-flags.env, or its unit)\n" +
				"cp1/kubelet-flag-pod-infra-container-image FlagRemoved notice 1.35 measured | remove --pod-infra-container-image=p from the kubelet's command line (/var/lib/kubelet/kubeadm-flags.env, or its unit)\n" +
				"cp1/kubelet-gate-SidecarContainers GateRemoved blocks 1.37 measured | remove SidecarContainers=true of --feature-gates from the kubelet's command line (/var/lib/kubelet/kubeadm-flags.env, or its unit)"},
		"a kubelet that runs shows its flags itself": {way: rules.Way{From: 34, To: 37}, node: node("cp1", []string{"kubelet"}), facts: []fact.Fact{
			fact.ConfigDocument{Path: "/etc/default/kubelet", Component: "kubelet", Flag: "KUBELET_EXTRA_ARGS", Args: []string{"--boot-id-file=/y"}}}},
		"control groups of version 1": {way: rules.Way{From: 34, To: 35}, node: node("cp1", []string{"kubelet"}), facts: []fact.Fact{fact.Platform{Kernel: "5.10.0", Cgroup: 1}},
			want: "cp1/kubelet-platform-cgroup CgroupTooOld blocks 1.35 measured | boot with systemd.unified_cgroup_hierarchy=1 (kernel command line), on a system that supports it; to put it off, set failCgroupV1: false in the KubeletConfiguration"},
		"control groups of version 1, long before": {way: rules.Way{From: 24, To: 25}, node: node("cp1", []string{"kubelet"}), facts: []fact.Fact{fact.Platform{Cgroup: 1}},
			want: "cp1/kubelet-platform-cgroup CgroupTooOld notice 1.35 measured | boot with systemd.unified_cgroup_hierarchy=1 (kernel command line), on a system that supports it; to put it off, set failCgroupV1: false in the KubeletConfiguration"},
		"control groups of version 2": {way: rules.Way{From: 34, To: 37}, node: node("cp1", []string{"kubelet"}), facts: []fact.Fact{fact.Platform{Kernel: "6.1.0", Cgroup: 2}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := judgeNode(set, c.way, c.node, c.facts...)
			complete(t, got)
			if shorts(got) != c.want {
				t.Errorf("found\n%s\nwant\n%s", shorts(got), c.want)
			}
		})
	}
}

func TestEtcdOfANode(t *testing.T) {
	set := load(t, etcdTables, etcdFlagTable, etcdFaultTable, etcdStepTable)
	etcd := func(version string, args ...string) layout.Layout {
		l := node("cp1", append([]string{"etcd"}, args...))
		l.Components[0].Image = fact.Text("registry.k8s.io/etcd:" + version)
		return l
	}
	for name, c := range map[string]struct {
		node layout.Layout
		want []string // ID, code, impact and end
		fix  string   // of the first
	}{
		"a fault, no check, a step too soon, a flag that goes": {node: etcd("3.5.2-0", "--experimental-corrupt-check-time=1h"), want: []string{
			"cp1/etcd-check-corruption EtcdCheckMissing notice 1.34", "cp1/etcd-fault-DataInconsistency EtcdFault breaks 1.34",
			"cp1/etcd-flag-experimental-corrupt-check-time EtcdFlagRemoved blocks 1.37", "cp1/etcd-step-3.5-3.6 EtcdStepTooSoon breaks 1.34"},
			fix: "add --experimental-initial-corrupt-check=true to the flags of etcd"},
		"as kubeadm 1.33 writes it": {node: etcd("3.5.26-0", "--experimental-initial-corrupt-check=true", "--experimental-watch-progress-notify-interval=5s")},
		"the newer spelling":        {node: etcd("3.6.8-0", "--feature-gates=CompactHashCheck=true,InitialCorruptCheck=true")},
		"the newer spelling, missing": {node: etcd("3.6.8-0", "--feature-gates=InitialCorruptCheck=false"), want: []string{"cp1/etcd-check-corruption EtcdCheckMissing notice 1.34"},
			fix: "add --feature-gates=InitialCorruptCheck=true to the flags of etcd"},
	} {
		t.Run(name, func(t *testing.T) {
			j := upgrade.New(set, rules.Way{From: 33, To: 37})
			j.Node(c.node)
			got := j.Findings()
			complete(t, slices.DeleteFunc(slices.Clone(got), func(f finding.Finding) bool { return f.Class == finding.Weakness }))
			var lines []string
			for _, f := range got {
				lines = append(lines, fmt.Sprintf("%s %s %s %s", f.ID, f.Code, f.Impact, f.End.Version))
			}
			if !slices.Equal(lines, c.want) {
				t.Errorf("found\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(c.want, "\n"))
			}
			if len(got) > 0 && !strings.Contains(got[0].Fix, c.fix) {
				t.Errorf("the fix is %s", got[0].Fix)
			}
		})
	}
}

// What a hop changes by itself is one finding per hop, without what is set.
func TestGateDefaults(t *testing.T) {
	judge := func(gates string) []finding.Finding {
		j := upgrade.New(load(t), rules.Way{From: 35, To: 37})
		j.Node(node("cp1", []string{"kubelet", "--feature-gates=" + gates}))
		return j.Findings()
	}
	got := judge("A=maybe")
	complete(t, got)
	if len(got) != 2 || got[1].Code != finding.GateDefault || got[1].ID != "cp1/gate-defaults-1.37" || got[1].Impact != finding.Changes ||
		!strings.Contains(joined(got[1].Evidence.Notes), "now on: ") || !strings.Contains(joined(got[1].Evidence.Notes), "SELinuxMount") {
		t.Errorf("found\n%s\n%v", shorts(got), joined(got[len(got)-1].Evidence.Notes))
	}
	if got = judge("SELinuxMount=false"); strings.Contains(joined(got[len(got)-1].Evidence.Notes), "SELinuxMount") {
		t.Error("a gate that is set is said to change")
	}
}

// A gate that takes the place of a flag is set as that was.
func TestEtcdFlagsBecomeGates(t *testing.T) {
	j := upgrade.New(load(t), rules.Way{From: 36, To: 37})
	l := node("cp1", []string{"etcd", "--experimental-enable-lease-checkpoint=true", "--experimental-txn-mode-write-with-shared-buffer=false", "--experimental-warning-apply-duration=1s", "--feature-gates=InitialCorruptCheck=true"})
	l.Components[0].Image = "registry.k8s.io/etcd:3.6.8-0"
	j.Node(l)
	for name, want := range map[string]string{
		"experimental-enable-lease-checkpoint":           "--feature-gates=LeaseCheckpoint=true",
		"experimental-txn-mode-write-with-shared-buffer": "--feature-gates=TxnModeWriteWithSharedBuffer=false",
		"experimental-warning-apply-duration":            "--warning-apply-duration",
	} {
		i := slices.IndexFunc(j.Findings(), func(f finding.Finding) bool { return string(f.ID) == "cp1/etcd-flag-"+name })
		if i < 0 {
			t.Errorf("--%s is not found: %s", name, shorts(j.Findings()))
			continue
		}
		if fix := j.Findings()[i].Fix; !strings.Contains(fix, "replace --"+name+" by "+want+" in ") {
			t.Errorf("--%s: %s", name, fix)
		}
	}
}

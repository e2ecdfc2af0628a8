// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/pod-security-admission/policy"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
)

// generated is the number of pods on which our verdicts are compared with those
// of real API servers.
const generated = 500

// mutation makes one thing of a pod otherwise: in the pod, or in one of its
// containers.
type mutation struct {
	name string
	do   func(p *corev1.Pod, c *corev1.Container)
}

// generate makes pods that API servers of all minors take, but for Pod Security:
// each mutation alone of a pod that is restricted, then some together. The same
// ones each time.
func generate() []corev1.Pod {
	random := rand.New(rand.NewPCG(1, 2))
	var pods []corev1.Pod
	add := func(p corev1.Pod) {
		makeValid(&p)
		p.Name = fmt.Sprintf("p%03d", len(pods))
		pods = append(pods, p)
	}
	add(restrictedPod())
	add(windowsPod())
	for _, m := range mutations {
		for at := range 2 {
			p := restrictedPod()
			m.do(&p, containerOf(&p, at))
			add(p)
		}
	}
	for _, m := range windowsMutations {
		p := windowsPod()
		m.do(&p, &p.Spec.Containers[0])
		add(p)
	}
	for len(pods) < generated {
		p := restrictedPod()
		if random.IntN(3) == 0 {
			p.Spec.SecurityContext, p.Spec.Containers[0].SecurityContext = nil, nil
		}
		for range 1 + random.IntN(3) {
			m := mutations[random.IntN(len(mutations))]
			m.do(&p, containerOf(&p, random.IntN(2)))
		}
		add(p)
	}
	return pods[:generated]
}

func restrictedPod() corev1.Pod {
	return corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{}},
		Spec: corev1.PodSpec{
			RestartPolicy:   corev1.RestartPolicyAlways,
			SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: new(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
			InitContainers:  []corev1.Container{restrictedContainer("init")},
			Containers:      []corev1.Container{restrictedContainer("main")},
		},
	}
}

func restrictedContainer(name string) corev1.Container {
	return corev1.Container{Name: name, Image: "registry.k8s.io/pause:3.9", SecurityContext: &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}}
}

func windowsPod() corev1.Pod {
	p := restrictedPod()
	p.Spec.OS = &corev1.PodOS{Name: corev1.Windows}
	p.Spec.InitContainers = nil
	p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: new(true)}
	p.Spec.Containers[0].SecurityContext = nil
	return p
}

func containerOf(p *corev1.Pod, at int) *corev1.Container {
	if at == 0 {
		return &p.Spec.InitContainers[0]
	}
	return &p.Spec.Containers[0]
}

func podContext(p *corev1.Pod) *corev1.PodSecurityContext {
	if p.Spec.SecurityContext == nil {
		p.Spec.SecurityContext = &corev1.PodSecurityContext{}
	}
	return p.Spec.SecurityContext
}

func context(c *corev1.Container) *corev1.SecurityContext {
	if c.SecurityContext == nil {
		c.SecurityContext = &corev1.SecurityContext{}
	}
	return c.SecurityContext
}

func inPod(name string, do func(p *corev1.Pod)) mutation {
	return mutation{name, func(p *corev1.Pod, _ *corev1.Container) { do(p) }}
}

func inContainer(name string, do func(s *corev1.SecurityContext)) mutation {
	return mutation{name, func(_ *corev1.Pod, c *corev1.Container) { do(context(c)) }}
}

func withVolume(name string, source corev1.VolumeSource) mutation {
	return inPod("volume "+name, func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: fmt.Sprintf("v%d", len(p.Spec.Volumes)), VolumeSource: source})
	})
}

func withSysctl(name, value string) mutation {
	return inPod("sysctl "+name, func(p *corev1.Pod) {
		podContext(p).Sysctls = []corev1.Sysctl{{Name: name, Value: value}}
	})
}

func adding(capability corev1.Capability) mutation {
	return inContainer("add "+string(capability), func(s *corev1.SecurityContext) {
		s.Capabilities = &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}, Add: []corev1.Capability{capability}}
	})
}

func withProbe(name string, set func(c *corev1.Container, h corev1.ProbeHandler), host string) mutation {
	return mutation{name + " host " + host, func(p *corev1.Pod, _ *corev1.Container) {
		set(&p.Spec.Containers[0], corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Host: host, Port: intstr.FromInt32(80), Path: "/"}})
	}}
}

func withSELinux(o corev1.SELinuxOptions) mutation {
	return inContainer(fmt.Sprintf("SELinux %v", o), func(s *corev1.SecurityContext) { s.SELinuxOptions = &o })
}

func withAnnotation(key, value string) mutation {
	return mutation{"annotation " + key + value, func(p *corev1.Pod, c *corev1.Container) {
		if key[len(key)-1] == '/' {
			p.Annotations[key+c.Name] = value
			return
		}
		p.Annotations[key] = value
	}}
}

const appArmorAnnotation = "container.apparmor.security.beta.kubernetes.io/"

var mutations = []mutation{
	inPod("host network", func(p *corev1.Pod) { p.Spec.HostNetwork = true }),
	inPod("host PID", func(p *corev1.Pod) { p.Spec.HostPID = true }),
	inPod("host IPC", func(p *corev1.Pod) { p.Spec.HostIPC = true }),
	inPod("own users", func(p *corev1.Pod) { p.Spec.HostUsers = new(false) }),
	inPod("host users", func(p *corev1.Pod) { p.Spec.HostUsers = new(true) }),
	inPod("own users and root", func(p *corev1.Pod) {
		p.Spec.HostUsers = new(false)
		podContext(p).RunAsNonRoot, podContext(p).RunAsUser = nil, new(int64(0))
	}),
	inPod("own users and nothing about root", func(p *corev1.Pod) {
		p.Spec.HostUsers = new(false)
		podContext(p).RunAsNonRoot = nil
	}),
	inContainer("privileged", func(s *corev1.SecurityContext) { s.Privileged, s.AllowPrivilegeEscalation = new(true), nil }),
	inContainer("not privileged", func(s *corev1.SecurityContext) { s.Privileged = new(false) }),
	inContainer("escalation", func(s *corev1.SecurityContext) { s.AllowPrivilegeEscalation = new(true) }),
	inContainer("nothing about escalation", func(s *corev1.SecurityContext) { s.AllowPrivilegeEscalation = nil }),
	adding("NET_BIND_SERVICE"), adding("CHOWN"), adding("NET_RAW"), adding("SYS_TIME"), adding("ALL"),
	inContainer("drop some", func(s *corev1.SecurityContext) {
		s.Capabilities = &corev1.Capabilities{Drop: []corev1.Capability{"NET_RAW"}}
	}),
	inContainer("drop nothing", func(s *corev1.SecurityContext) { s.Capabilities = nil }),
	withVolume("hostPath", corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/x"}}),
	withVolume("nfs", corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "s", Path: "/"}}),
	withVolume("iscsi", corev1.VolumeSource{ISCSI: &corev1.ISCSIVolumeSource{TargetPortal: "10.0.0.1", IQN: "iqn.2001-04.com.example:storage.x", Lun: 1}}),
	withVolume("glusterfs", corev1.VolumeSource{Glusterfs: &corev1.GlusterfsVolumeSource{EndpointsName: "e", Path: "p"}}),
	withVolume("rbd", corev1.VolumeSource{RBD: &corev1.RBDVolumeSource{CephMonitors: []string{"m"}, RBDImage: "i"}}),
	withVolume("awsElasticBlockStore", corev1.VolumeSource{AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{VolumeID: "v"}}),
	withVolume("gitRepo", corev1.VolumeSource{GitRepo: &corev1.GitRepoVolumeSource{Repository: "r"}}),
	withVolume("emptyDir", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}),
	withVolume("configMap", corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "c"}}}),
	withVolume("secret", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s"}}),
	withVolume("claim", corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}}),
	withVolume("csi", corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "d"}}),
	withVolume("image", corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "registry.k8s.io/pause:3.9", PullPolicy: corev1.PullAlways}}),
	{"host port", func(_ *corev1.Pod, c *corev1.Container) {
		c.Ports = []corev1.ContainerPort{{ContainerPort: 8080, HostPort: 8080, Protocol: corev1.ProtocolTCP}}
	}},
	{"port", func(_ *corev1.Pod, c *corev1.Container) {
		c.Ports = []corev1.ContainerPort{{ContainerPort: 8080, Protocol: corev1.ProtocolTCP}}
	}},
	{"unmasked proc", func(p *corev1.Pod, c *corev1.Container) {
		p.Spec.HostUsers, context(c).ProcMount = new(false), new(corev1.UnmaskedProcMount)
	}},
	inContainer("proc as always", func(s *corev1.SecurityContext) { s.ProcMount = new(corev1.DefaultProcMount) }),
	inPod("nothing about root", func(p *corev1.Pod) { podContext(p).RunAsNonRoot = nil }),
	inPod("root allowed", func(p *corev1.Pod) { podContext(p).RunAsNonRoot = new(false) }),
	inContainer("root allowed in one", func(s *corev1.SecurityContext) { s.RunAsNonRoot = new(false) }),
	inContainer("root forbidden in one", func(s *corev1.SecurityContext) { s.RunAsNonRoot = new(true) }),
	inPod("root", func(p *corev1.Pod) { podContext(p).RunAsUser = new(int64(0)) }),
	inContainer("root in one", func(s *corev1.SecurityContext) { s.RunAsUser = new(int64(0)) }),
	inContainer("user", func(s *corev1.SecurityContext) { s.RunAsUser = new(int64(1000)) }),
	withSELinux(corev1.SELinuxOptions{Type: "container_t"}), withSELinux(corev1.SELinuxOptions{Type: "container_engine_t"}),
	withSELinux(corev1.SELinuxOptions{Type: "spc_t"}), withSELinux(corev1.SELinuxOptions{User: "u"}),
	withSELinux(corev1.SELinuxOptions{Role: "r"}), withSELinux(corev1.SELinuxOptions{Level: "s0"}),
	inPod("no seccomp", func(p *corev1.Pod) { podContext(p).SeccompProfile = nil }),
	inPod("seccomp unconfined", func(p *corev1.Pod) {
		podContext(p).SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeUnconfined}
	}),
	inContainer("seccomp unconfined in one", func(s *corev1.SecurityContext) {
		s.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeUnconfined}
	}),
	inContainer("seccomp of the host in one", func(s *corev1.SecurityContext) {
		s.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeLocalhost, LocalhostProfile: new("p.json")}
	}),
	{"seccomp annotation", func(p *corev1.Pod, _ *corev1.Container) {
		podContext(p).SeccompProfile = nil
		p.Annotations[seccompPodAnnotation] = "runtime/default"
	}},
	{"seccomp annotation for one", func(p *corev1.Pod, c *corev1.Container) {
		podContext(p).SeccompProfile, context(c).SeccompProfile = nil, nil
		p.Annotations[seccompContainerAnnotation+c.Name] = "docker/default"
	}},
	{"seccomp annotation against it", func(p *corev1.Pod, _ *corev1.Container) {
		podContext(p).SeccompProfile = nil
		p.Annotations[seccompPodAnnotation] = "unconfined"
	}},
	withAnnotation(appArmorAnnotation, "unconfined"), withAnnotation(appArmorAnnotation, "runtime/default"), withAnnotation(appArmorAnnotation, "localhost/p"),
	inContainer("AppArmor unconfined in one", func(s *corev1.SecurityContext) {
		s.AppArmorProfile = &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeUnconfined}
	}),
	inPod("AppArmor unconfined", func(p *corev1.Pod) {
		podContext(p).AppArmorProfile = &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeUnconfined}
	}),
	inPod("AppArmor", func(p *corev1.Pod) {
		podContext(p).AppArmorProfile = &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeRuntimeDefault}
	}),
	withSysctl("kernel.shm_rmid_forced", "0"), withSysctl("net.ipv4.ip_local_reserved_ports", "80"), withSysctl("net.ipv4.tcp_keepalive_time", "60"),
	withSysctl("net.ipv4.tcp_rmem", "4096"), withSysctl("net.ipv4.tcp_notsent_lowat", "4096"), withSysctl("kernel.msgmax", "1"),
	withProbe("liveness", func(c *corev1.Container, h corev1.ProbeHandler) { c.LivenessProbe = &corev1.Probe{ProbeHandler: h} }, "10.0.0.1"),
	withProbe("readiness", func(c *corev1.Container, h corev1.ProbeHandler) { c.ReadinessProbe = &corev1.Probe{ProbeHandler: h} }, "10.0.0.1"),
	withProbe("startup", func(c *corev1.Container, h corev1.ProbeHandler) { c.StartupProbe = &corev1.Probe{ProbeHandler: h} }, "127.0.0.1"),
	withProbe("liveness", func(c *corev1.Container, h corev1.ProbeHandler) { c.LivenessProbe = &corev1.Probe{ProbeHandler: h} }, ""),
	withProbe("after start", func(c *corev1.Container, h corev1.ProbeHandler) {
		c.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{HTTPGet: h.HTTPGet}}
	}, "10.0.0.1"),
	withProbe("before stop", func(c *corev1.Container, h corev1.ProbeHandler) {
		c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{TCPSocket: &corev1.TCPSocketAction{Host: h.HTTPGet.Host, Port: intstr.FromInt32(80)}}}
	}, "10.0.0.1"),
}

var windowsMutations = []mutation{
	{"host process", func(p *corev1.Pod, c *corev1.Container) {
		p.Spec.HostNetwork = true
		c.SecurityContext = &corev1.SecurityContext{WindowsOptions: &corev1.WindowsSecurityContextOptions{HostProcess: new(true), RunAsUserName: new(`NT AUTHORITY\SYSTEM`)}}
	}},
	{"no host process", func(_ *corev1.Pod, c *corev1.Container) {
		c.SecurityContext = &corev1.SecurityContext{WindowsOptions: &corev1.WindowsSecurityContextOptions{HostProcess: new(false)}}
	}},
	inPod("nothing about root", func(p *corev1.Pod) { p.Spec.SecurityContext = nil }),
	withVolume("hostPath", corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/x"}}),
	withVolume("emptyDir", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}),
	{"host port", func(_ *corev1.Pod, c *corev1.Container) {
		c.Ports = []corev1.ContainerPort{{ContainerPort: 8080, HostPort: 8080, Protocol: corev1.ProtocolTCP}}
	}},
	withProbe("liveness", func(c *corev1.Container, h corev1.ProbeHandler) { c.LivenessProbe = &corev1.Probe{ProbeHandler: h} }, "10.0.0.1"),
}

// makeValid takes out what API servers refuse by validation, which comes before
// Pod Security.
func makeValid(p *corev1.Pod) {
	shares := p.Spec.HostNetwork || p.Spec.HostPID || p.Spec.HostIPC
	if s := p.Spec.SecurityContext; s != nil && shares {
		s.Sysctls = nil
	}
	if shares && p.Spec.HostUsers != nil && !*p.Spec.HostUsers {
		p.Spec.HostUsers = nil
	}
	own := p.Spec.HostUsers != nil && !*p.Spec.HostUsers
	fields := p.Spec.SecurityContext != nil && (p.Spec.SecurityContext.SeccompProfile != nil || p.Spec.SecurityContext.AppArmorProfile != nil)
	eachContainer(&p.Spec, func(c *corev1.Container) {
		s := c.SecurityContext
		if s == nil {
			return
		}
		if s.ProcMount != nil && *s.ProcMount == corev1.UnmaskedProcMount && !own {
			s.ProcMount = nil
		}
		if s.Privileged != nil && *s.Privileged && s.AllowPrivilegeEscalation != nil && !*s.AllowPrivilegeEscalation {
			s.AllowPrivilegeEscalation = nil
		}
		fields = fields || s.SeccompProfile != nil || s.AppArmorProfile != nil
	})
	if fields { // annotations have to agree with fields
		seccomp := false
		eachContainer(&p.Spec, func(c *corev1.Container) {
			seccomp = seccomp || c.SecurityContext != nil && c.SecurityContext.SeccompProfile != nil
		})
		seccomp = seccomp || p.Spec.SecurityContext != nil && p.Spec.SecurityContext.SeccompProfile != nil
		appArmor := p.Spec.SecurityContext != nil && p.Spec.SecurityContext.AppArmorProfile != nil
		eachContainer(&p.Spec, func(c *corev1.Container) {
			appArmor = appArmor || c.SecurityContext != nil && c.SecurityContext.AppArmorProfile != nil
		})
		for key := range p.Annotations {
			if hasSeccompAnnotation(meta{Annotations: map[string]string{key: ""}}) && seccomp || len(key) > len(appArmorAnnotation) && key[:len(appArmorAnnotation)] == appArmorAnnotation && appArmor {
				delete(p.Annotations, key)
			}
		}
	}
}

// admitted is what we say a level of a minor does with a pod.
func admitted(t testing.TB, a *admission, p corev1.Pod) verdict {
	t.Helper()
	content, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var pod template
	if err := read(fact.Object{Content: content}, &pod); err != nil {
		t.Fatal(err)
	}
	return a.judge(pod.Metadata, pod.Spec)
}

// Each check forbids some of the pods and lets others pass, at each minor that
// has it.
func TestGeneratedPodsCoverEveryCheck(t *testing.T) {
	a := newAdmission(known(t), 23, 37)
	pods := generate()
	if len(pods) != generated || slices.ContainsFunc(mutations, func(m mutation) bool { return m.name == "" }) {
		t.Fatalf("%d pods", len(pods))
	}
	forbids := make([]map[string]int, len(a.steps))
	for _, p := range pods {
		for i, at := range admitted(t, a, p) {
			if forbids[i] == nil {
				forbids[i] = map[string]int{}
			}
			for _, name := range a.names(at[1] | at[0]) {
				forbids[i][name]++
			}
		}
	}
	// Some checks have nothing to forbid at each minor: what it does not have, the
	// server does not keep, or its validation refuses (procMount from 1.35 on).
	has := map[string][2]release.Minor{"hostProbesAndHostLifecycle": {34, 37}, "procMount": {33, 34}, "procMount_restricted": {35, 37}}
	for i, step := range a.steps {
		for _, id := range a.ids {
			between, ok := has[string(id)]
			n, wants := forbids[i][string(id)], !ok || between[0] <= step.minor && step.minor <= between[1]
			if n == generated || (n > 0) != wants {
				t.Errorf("%s: %s forbids %d of %d", step.minor, id, n, generated)
			}
		}
	}
	if len(a.ids) != 19 {
		t.Errorf("%d checks: the library has others than this test was written for: %v", len(a.ids), a.ids)
	}
}

func BenchmarkPods(b *testing.B) {
	var facts []fact.Fact
	for _, p := range generate() {
		content, _ := json.Marshal(p)
		facts = append(facts, fact.Object{APIVersion: "v1", Type: "Pod", Namespace: "n", Name: fact.Text(p.Name), Content: content})
	}
	set := known(b)
	for b.Loop() {
		j := New(set, rules.Way{From: 24, To: 37})
		for _, f := range facts {
			j.See(f)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(facts)), "µs/pod")
}

// Each change of a check is in the tables, by the name that the library has.
func TestTheTablesHaveEveryCheck(t *testing.T) {
	set, a := known(t), newAdmission(known(t), 23, 37)
	rows := map[string]bool{}
	for _, row := range set.PodSecurityChanges(-1, set.Newest()) {
		rows[row.Check+" "+row.Since.String()] = true
	}
	for _, check := range policy.DefaultChecks() {
		for _, version := range check.Versions {
			minor := version.MinimumVersion.Minor()
			if !rows[string(check.ID)+fmt.Sprintf(" 1.%d", minor)] {
				t.Errorf("no row for %s of 1.%d", check.ID, minor)
			}
		}
	}
	for i, id := range a.ids {
		if id == "hostProbesAndHostLifecycle" {
			j := New(set, rules.Way{From: 33, To: 34})
			if r := j.checkRule(34, 1<<i); !strings.Contains(r.source.Citation, "check_hostProbes") {
				t.Errorf("%+v", r)
			}
		}
	}
}

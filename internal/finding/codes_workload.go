// SPDX-License-Identifier: Apache-2.0

package finding

// The codes of what an upgrade does to what runs.
const (
	VolumePluginRemoved      Code = "VolumePluginRemoved"
	VolumeDriverMissing      Code = "VolumeDriverMissing"
	PodSecurityDrift         Code = "PodSecurityDrift"
	PodSecurityPolicyEnds    Code = "PodSecurityPolicyEnds"
	PodSecurityUnset         Code = "PodSecurityUnset"
	SeccompAnnotationIgnored Code = "SeccompAnnotationIgnored"
	CronJobZone              Code = "CronJobZone"
	CronJobZoneInSchedule    Code = "CronJobZoneInSchedule"
	UserNamespaceIgnored     Code = "UserNamespaceIgnored"
	UserNamespaceBegins      Code = "UserNamespaceBegins"
	UserNamespaceUnsupported Code = "UserNamespaceUnsupported"
	UserNamespaceSlow        Code = "UserNamespaceSlow"
	KubeletTooOld            Code = "KubeletTooOld"
	KubeProxyTooOld          Code = "KubeProxyTooOld"
	KubeProxyShell           Code = "KubeProxyShell"
	KubectlTooOld            Code = "KubectlTooOld"
	LogsEndpointOff          Code = "LogsEndpointOff"
	EtcdLearner              Code = "EtcdLearner"
	EtcdAlarm                Code = "EtcdAlarm"
	EtcdDataDiffers          Code = "EtcdDataDiffers"
)

// workloadCodes are those of what an upgrade does to what runs in the cluster, and to etcd.
var workloadCodes = []Info{
	{VolumePluginRemoved, "a volume that can no longer be mounted",
		"A volume, what a storage class provisions, or a volume of a pod is of a kind for which kubelets of a minor on the way have no code, and nothing takes its place unasked. Pods that use it do not start any more.",
		"Upstream has taken the code of storage vendors out of Kubernetes, plugin by plugin; the API still takes the fields, so nothing is refused.",
		"Move the data to volumes of a CSI driver, or to other storage, before that hop."},
	{VolumeDriverMissing, "a volume that needs a CSI driver",
		"From a minor on the way on, volumes of this kind are mounted by a CSI driver only, and the driver is not on every node, or whether it is could not be looked at.",
		"The translation of in-tree volumes into CSI volumes is fixed for this kind from that minor on, and their own code goes soon after.",
		"Install the CSI driver on every node before that hop. The objects need not be changed: every component reads them as the translated ones."},
	{PodSecurityDrift, "a namespace that will refuse its own pods",
		"The namespace enforces a Pod Security level of the newest version, or of one that is on the way. What runs in it passes as the API server checks it now and does not pass as a later one will.",
		"Checks are added to a level with its versions, and a namespace without a fixed version takes the API server's own.",
		"Fix the version, `kubectl label --overwrite namespace NAME pod-security.kubernetes.io/enforce-version=v1.N`, then change the workloads and lift it."},
	{PodSecurityPolicyEnds, "a PodSecurityPolicy that nothing will enforce",
		"PodSecurityPolicies end: pods that were refused are let in, and pods no longer get what the policy sets in them.",
		"The admission plugin was removed together with the API, in 1.25; nothing converts policies.",
		"Write what the policy sets into the pods' own templates, and label every namespace with the strictest Pod Security level that its pods pass, on the last minor that has both."},
	{PodSecurityUnset, "a namespace that nothing guards after PodSecurityPolicies",
		"The namespace has no Pod Security level, and the policies that may have guarded it end. The finding names the strictest level that all of its workloads pass.",
		"Without a label, Pod Security lets everything in.",
		"Label the namespace as the fix says; what stands in the way of the next level is in the evidence."},
	{SeccompAnnotationIgnored, "a seccomp profile that is asked for in the old way",
		"Pods of this template run without a seccomp profile from that minor on, because only annotations ask for it.",
		"The API server has copied the annotations to the fields up to 1.26; from 1.27 on nobody reads them.",
		"Set securityContext.seccompProfile in the template."},
	{CronJobZone, "a schedule without a time zone",
		"The schedule names hours or days, and nothing says in which time zone: it is that of the controller manager that leads, which may be another one after a node was replaced or its image changed.",
		"spec.timeZone came with 1.24 and is on by default since 1.25; before that there was nothing to say it with.",
		"Set spec.timeZone to the zone in which it is meant."},
	{CronJobZoneInSchedule, "a time zone in a schedule",
		"The schedule begins with TZ= or CRON_TZ=. The API server of 1.29 and later refuses to create such a CronJob; one that is there goes on running and may be changed.",
		"It has worked since 1.22 by accident, because the library that reads schedules knows it.",
		"Set spec.timeZone and take the zone out of the schedule, in the object and in whatever it is installed from."},
	{UserNamespaceIgnored, "a user namespace that nobody makes",
		"The pods ask for a user namespace of their own with hostUsers: false, and run in the host's.",
		"Up to 1.32 the gate UserNamespacesSupport is off by default, and without it the API server drops the field.",
		"Do not count on it yet, or enable the gate on the API server and on the kubelets."},
	{UserNamespaceBegins, "a user namespace that comes with the upgrade",
		"The pods have asked for a user namespace without effect, and get one from that minor on.",
		"The gate UserNamespacesSupport is on by default since 1.33.",
		"Try the workload on one node of that minor first, above all with its volumes."},
	{UserNamespaceUnsupported, "a user namespace that nodes cannot make",
		"Nodes report a runtime without support for user namespaces. Their kubelets refuse to start pods with hostUsers: false.",
		"It takes containerd 2.0 or CRI-O 1.25 with runc 1.2 or crun 1.9.",
		"Update the runtime on these nodes before that hop, or keep the pods away from them."},
	{UserNamespaceSlow, "a user namespace that starts slowly",
		"Before kernel 5.19 overlayfs cannot map the owners of files, so the runtime copies an image's files for each pod with a user namespace: slow starts, and much more disk.",
		"The node's kernel is too old.",
		"Boot the node with a newer kernel."},
	{KubeletTooOld, "a kubelet that is too old for the way",
		"An API server on the way does not support the node's kubelet any more. `kubeadm upgrade` refuses such a hop.",
		"A kubelet may be three minors older than its API server, and two if it is older than 1.25; kubeadm itself asks for more up to 1.28, where it accepts one.",
		"Drain the node and update its kubelet before that hop."},
	{KubeProxyTooOld, "a kube-proxy that is too old for the way",
		"An API server on the way does not support this kube-proxy any more.",
		"kube-proxy may be as much older than its API server as a kubelet. A DaemonSet of one's own is not updated by kubeadm.",
		"Update its image before that hop."},
	{KubeProxyShell, "a kube-proxy that runs what its image no longer has",
		"The container's command, a probe or a hook runs programs that kube-proxy's image does not have from that minor on: the container does not start, or its probe fails and it is restarted for ever.",
		"The image is built on a distroless one since 1.25. It has a shell, dash, and of programs for it cat, chmod, grep, ln, rm, sleep and wc; no bash, curl, ps or pgrep.",
		"Run kube-proxy itself, and probe it over HTTP: /healthz on port 10256."},
	{KubectlTooOld, "a kubectl that is too old for the way",
		"kubectl supports API servers that are one minor older or newer than itself, and the way leads further.",
		"It was installed apart from the cluster.",
		"Install the kubectl of the minor that the way leads to, in time."},
	{LogsEndpointOff, "a use of the API server's /logs",
		"Something asks for /logs, which API servers do not serve by default since 1.31.",
		"The endpoint shows the files of the node's /var/log to whoever may read it; --enable-logs-handler is off by default now and deprecated.",
		"Read the files on the node, or through the kubelet."},
	{EtcdLearner, "a member of etcd without a vote",
		"The member is a learner: it was added and never promoted.",
		"Joining a control-plane node was cut off.",
		"Promote it, or remove it."},
	{EtcdAlarm, "an alarm of etcd",
		"A member has raised an alarm: NOSPACE, and nothing can be written; or CORRUPT, and its data is not the others'.",
		"The database has reached its quota, or a member holds other data.",
		"For NOSPACE: compact, defragment, disarm. For CORRUPT: replace the member."},
	{EtcdDataDiffers, "members of etcd with different data",
		"Members tell different hashes of all keys at the same revision and compaction: they do not hold the same data, and clients read one or the other.",
		"A fault of etcd 3.5.0 to 3.5.2 under load, a disk, or a restored snapshot.",
		"Find the member that is right, take a snapshot of it, and replace the others. Upgrade nothing before."},
}

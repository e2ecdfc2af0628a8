// SPDX-License-Identifier: Apache-2.0

package finding

const (
	seeLevels = `kubectl get namespace NAME --show-labels
# what a level would say of what runs there, without setting it:
kubectl label --dry-run=server --overwrite namespace NAME pod-security.kubernetes.io/enforce=LEVEL pod-security.kubernetes.io/enforce-version=v1.N`
	setLevel = `kubectl label --overwrite namespace NAME pod-security.kubernetes.io/warn=LEVEL pod-security.kubernetes.io/audit=LEVEL
# when nothing is warned of any more:
kubectl label --overwrite namespace NAME pod-security.kubernetes.io/enforce=LEVEL pod-security.kubernetes.io/enforce-version=v1.N`
	preparePodSecurity = "perennial prepare podsecurity"
	seeHostUsers       = `kubectl get pods --all-namespaces -o json | jq -r '.items[] | select(.spec.hostUsers == false) | .metadata.namespace + "/" + .metadata.name'
kubectl get --raw /metrics | grep 'kubernetes_feature_enabled{name="UserNamespacesSupport"'`
	seeRuntime = `kubectl get nodes -o custom-columns=NAME:.metadata.name,KERNEL:.status.nodeInfo.kernelVersion,RUNTIME:.status.nodeInfo.containerRuntimeVersion
kubectl get node NODE -o jsonpath='{.status.runtimeHandlers}'`
)

// workloadHands are those of what an upgrade does to what runs, and to etcd.
var workloadHands = []Hand{
	{VolumePluginRemoved, `kubectl get persistentvolumes -o custom-columns=NAME:.metadata.name,CLAIM:.spec.claimRef.name,SOURCE:.spec
kubectl get storageclasses`,
		`# beside the old claim make a new one of a CSI driver's class, and copy, with the
# workload at rest; both are mounted into one pod for it
kubectl -n NAMESPACE scale deployment NAME --replicas=0
kubectl -n NAMESPACE run copy --image=busybox --restart=Never --overrides='{"spec":{"containers":[{"name":"copy","image":"busybox","command":["cp","-a","/old/.","/new/"],"volumeMounts":[{"name":"old","mountPath":"/old"},{"name":"new","mountPath":"/new"}]}],"volumes":[{"name":"old","persistentVolumeClaim":{"claimName":"OLD"}},{"name":"new","persistentVolumeClaim":{"claimName":"NEW"}}]}}'
kubectl -n NAMESPACE wait --for=jsonpath='{.status.phase}'=Succeeded pod/copy --timeout=1h
# then name the new claim in the workload, and start it again`, "perennial prepare volumes volumes   # a new directory"},
	{VolumeDriverMissing, `kubectl get csidrivers
kubectl get csinodes -o custom-columns=NODE:.metadata.name,DRIVERS:.spec.drivers[*].name`,
		`# install the driver as its vendor says, then look whether it is on every node
kubectl get csinodes -o custom-columns=NODE:.metadata.name,DRIVERS:.spec.drivers[*].name`, "perennial prepare volumes volumes   # a new directory"},
	{PodSecurityDrift, seeLevels,
		`kubectl label --overwrite namespace NAME pod-security.kubernetes.io/enforce-version=v1.N
# then change the workloads, and lift the version again`, preparePodSecurity},
	{PodSecurityPolicyEnds, `kubectl get podsecuritypolicies
kubectl get pods --all-namespaces -o jsonpath='{range .items[*]}{.metadata.namespace}/{.metadata.name} {.metadata.annotations.kubernetes\.io/psp}{"\n"}{end}'`,
		`# what a policy sets in pods goes into their own templates first; then, on a minor
# that has both, 1.23 or 1.24, for each namespace
` + setLevel + `
# and only then take the plugin away
kubectl -n kube-system edit configmap kubeadm-config`, preparePodSecurity},
	{PodSecurityUnset, seeLevels, setLevel, preparePodSecurity},
	{SeccompAnnotationIgnored, `kubectl get deployments,daemonsets,statefulsets,cronjobs --all-namespaces -o json | jq -r '.items[] | select(tostring | test("seccomp.security.alpha.kubernetes.io")) | .kind + " " + .metadata.namespace + "/" + .metadata.name'`,
		`kubectl -n NAMESPACE patch deployment NAME --type=merge -p '{"spec":{"template":{"spec":{"securityContext":{"seccompProfile":{"type":"RuntimeDefault"}}}}}}'`, checkDocuments},
	{CronJobZone, `kubectl get cronjobs --all-namespaces -o custom-columns=NAMESPACE:.metadata.namespace,NAME:.metadata.name,SCHEDULE:.spec.schedule,ZONE:.spec.timeZone
crictl exec $(crictl ps -q --name '^kube-controller-manager$') /usr/local/bin/kube-controller-manager --version
tr '\0' '\n' </proc/$(pidof kube-controller-manager)/environ | grep TZ`,
		`kubectl -n NAMESPACE patch cronjob NAME --type=merge -p '{"spec":{"timeZone":"Europe/Berlin"}}'`, "perennial prepare cronjobs"},
	{CronJobZoneInSchedule, `kubectl get cronjobs --all-namespaces -o custom-columns=NAMESPACE:.metadata.namespace,NAME:.metadata.name,SCHEDULE:.spec.schedule | grep TZ=`,
		`kubectl -n NAMESPACE patch cronjob NAME --type=merge -p '{"spec":{"timeZone":"Europe/Berlin","schedule":"0 3 * * *"}}'
# and in whatever the object is installed from`, "perennial prepare cronjobs"},
	{UserNamespaceIgnored, seeHostUsers + `
kubectl -n NAMESPACE exec POD -- cat /proc/self/uid_map     # 0 0 4294967295: the host's`,
		`# do not count on it, or on minors that have the gate, on the API server and in the
# configuration of every kubelet that is to run such pods
kubectl -n kube-system edit configmap kubeadm-config      # feature-gates: UserNamespacesSupport=true
kubectl -n kube-system edit configmap kubelet-config`, checkUpgrade},
	{UserNamespaceBegins, seeHostUsers,
		`# let it run on one node of the new minor first, with its volumes
kubectl label node NODE try-user-namespaces=yes
kubectl -n NAMESPACE patch deployment NAME --type=merge -p '{"spec":{"template":{"spec":{"nodeSelector":{"try-user-namespaces":"yes"}}}}}'
kubectl -n NAMESPACE exec POD -- cat /proc/self/uid_map`, checkUpgrade},
	{UserNamespaceUnsupported, seeRuntime, `kubectl drain NODE --ignore-daemonsets --delete-emptydir-data
apt-get install containerd.io && systemctl restart containerd
runc --version && kubectl uncordon NODE`, checkUpgrade},
	{UserNamespaceSlow, seeRuntime, `kubectl drain NODE --ignore-daemonsets --delete-emptydir-data
apt-get install linux-image-amd64 && reboot      # 5.19 or later, 6.3 for tmpfs
kubectl uncordon NODE`, checkUpgrade},
	{KubeletTooOld, `kubectl get nodes -o custom-columns=NAME:.metadata.name,KUBELET:.status.nodeInfo.kubeletVersion`,
		`kubectl drain NODE --ignore-daemonsets --delete-emptydir-data
# on the node, one minor after the other where it holds pods that must not restart:
apt-get install kubeadm=1.N.* && kubeadm upgrade node
apt-get install kubelet=1.N.* kubectl=1.N.* && systemctl restart kubelet
kubectl uncordon NODE`, checkUpgrade},
	{KubeProxyTooOld, `kubectl -n kube-system get daemonset kube-proxy -o jsonpath='{.spec.template.spec.containers[0].image}'`,
		`kubectl -n kube-system set image daemonset/kube-proxy kube-proxy=registry.k8s.io/kube-proxy:v1.N.P
kubectl -n kube-system rollout status daemonset/kube-proxy`, checkUpgrade},
	{KubeProxyShell, `kubectl -n kube-system get daemonset kube-proxy -o yaml | grep -n -A6 -e command: -e Probe: -e lifecycle:`,
		`kubectl -n kube-system edit daemonset kube-proxy
# a probe that needs no program: httpGet, path /healthz, port 10256`, checkUpgrade},
	{KubectlTooOld, `kubectl version --client
type -a kubectl`,
		`apt-get install kubectl=1.N.*`, ""},
	{LogsEndpointOff, `grep -rn -e '/logs' -e 'enable-logs-handler' /etc/kubernetes/manifests/ manifests/
kubectl get clusterroles -o json | jq -r '.items[] | select(any(.rules[]?.nonResourceURLs[]?; startswith("/logs"))) | .metadata.name'`,
		`# the same files: on the node, or through the kubelet (NodeLogQuery, from 1.27)
journalctl -u kubelet
kubectl get --raw '/api/v1/nodes/NODE/proxy/logs/?query=kubelet'`, ""},
	{EtcdLearner, etcdctl + `e member list -w table`,
		etcdctl + `e member promote ID
# or, where it never came up
e member remove ID`, ""},
	{EtcdAlarm, etcdctl + `e alarm list
e endpoint status --cluster -w table`,
		etcdSave + `# NOSPACE: compact up to the present revision, defragment one member after the other
e compact "$(e endpoint status -w json | sed 's/.*"revision":\([0-9]*\).*/\1/')"
e defrag --cluster
e alarm disarm
# CORRUPT: as of members with different data`, ""},
	{EtcdDataDiffers, etcdctl + `e endpoint hashkv --cluster -w table`,
		`# on a node whose member is right:
` + etcdSave + `e member list -w table
e member remove ID
# on the node whose member was wrong: its data away, and join it again
mv /etc/kubernetes/manifests/etcd.yaml /root/ && mv /var/lib/etcd/member /root/etcd-member
kubeadm join phase control-plane-join etcd --control-plane     # etcd-join from 1.33 on
# and there, when it has caught up:
e endpoint hashkv --cluster -w table`, ""},
}

// SPDX-License-Identifier: Apache-2.0

package finding

const (
	seeFlags = `grep -n -e '--FLAG' /etc/kubernetes/manifests/*.yaml
kubectl -n kube-system get configmap kubeadm-config -o jsonpath='{.data.ClusterConfiguration}'
cat /var/lib/kubelet/kubeadm-flags.env /etc/default/kubelet /etc/sysconfig/kubelet 2>/dev/null`
	dropFlag = `# where kubeadm takes it from at the next upgrade:
kubectl -n kube-system edit configmap kubeadm-config     # extraArgs of the component
# and where it stands now; the kubelet restarts the pod when the file is saved
vi /etc/kubernetes/manifests/COMPONENT.yaml
# of the kubelet:
vi /var/lib/kubelet/kubeadm-flags.env && systemctl restart kubelet`
	seeGates = `grep -n feature-gates /etc/kubernetes/manifests/*.yaml
grep -n -A9 featureGates /var/lib/kubelet/config.yaml
kubectl -n kube-system get configmap kubelet-config -o yaml | grep -n -A9 featureGates
kubectl get --raw /metrics | grep kubernetes_feature_enabled`
	dropGate = dropFlag + `
# a gate in the kubelet's configuration, for this node and for the next upgrade:
vi /var/lib/kubelet/config.yaml && systemctl restart kubelet
kubectl -n kube-system edit configmap kubelet-config`
	seeUses = `kubectl get --raw /metrics | grep apiserver_requested_deprecated_apis
grep -rn 'apiVersion: GROUP/VERSION' manifests/`
	moveAPI = `# write the documents in the version that is served on both sides
kubectl get RESOURCE.VERSION.GROUP NAME -n NAMESPACE -o yaml >object.yaml
kubectl convert -f object.yaml --output-version GROUP/VERSION   # plugin kubectl-convert
kubectl apply --server-side --dry-run=server -f object.yaml
# a Helm release keeps the old version in its record, too: plugin mapkubeapis
helm mapkubeapis RELEASE --namespace NAMESPACE`
	checkDocuments = `perennial check --to 1.N -R -f manifests/
perennial check --to 1.N --context NAME`
	etcdctl = `e() { kubectl -n kube-system exec "etcd-$(hostname)" -- etcdctl --cacert /etc/kubernetes/pki/etcd/ca.crt --cert /etc/kubernetes/pki/etcd/healthcheck-client.crt --key /etc/kubernetes/pki/etcd/healthcheck-client.key "$@"; }
`
	etcdSave = etcdctl + `e snapshot save /var/lib/etcd/snapshot.db && mv /var/lib/etcd/snapshot.db /root/
`
	newEtcd = etcdSave + `# one member after the other, the next one only when all are healthy:
kubectl -n kube-system edit configmap kubeadm-config      # etcd.local.imageTag
sed -i 's|image: \(.*etcd\):.*|image: \1:VERSION-0|' /etc/kubernetes/manifests/etcd.yaml
e endpoint health --cluster`
	checkUpgrade = "sudo perennial check --to 1.N"
)

// upgradeHands are those of what an upgrade takes away.
var upgradeHands = []Hand{
	{APIRemoved, seeUses, moveAPI, checkDocuments},
	{APIOff, seeUses + `
grep -n runtime-config /etc/kubernetes/manifests/kube-apiserver.yaml`, moveAPI + `
# or keep it for a while: extraArgs of apiServer, runtime-config: GROUP/VERSION=true
kubectl -n kube-system edit configmap kubeadm-config`, checkDocuments},
	{APIDeprecated, seeUses, moveAPI, checkDocuments},
	{StoredVersionRemoved, etcdctl + `e get --prefix /registry/RESOURCE --keys-only
e get --prefix /registry/RESOURCE --limit 1 | head -c 200   # k8s, then the version`,
		etcdSave + `kubectl get RESOURCE --all-namespaces -o yaml >objects.yaml
# on a minor that serves the version that is to stay, this writes all anew in it:
kubectl get RESOURCE --all-namespaces -o json | kubectl replace -f -
# where no minor knows both: delete before the hop, and create from the file after it
kubectl delete RESOURCE --all --all-namespaces`, checkUpgrade},
	{CustomVersionStored, `kubectl get customresourcedefinition NAME -o jsonpath='{.status.storedVersions}{"\n"}{range .spec.versions[*]}{.name} served={.served} storage={.storage}{"\n"}{end}'`,
		`kubectl get RESOURCE.GROUP --all-namespaces -o json | kubectl replace -f -
kubectl patch customresourcedefinition NAME --subresource=status --type=merge -p '{"status":{"storedVersions":["VERSION"]}}'`, checkUpgrade},
	{FlagRemoved, seeFlags, dropFlag, checkUpgrade},
	{FlagDeprecated, seeFlags, dropFlag, checkUpgrade},
	{FlagDefault, seeFlags + `
kubectl get --raw /api/v1/nodes/NODE/proxy/configz     # of a kubelet`,
		`# only where the old value is relied on: set the flag, in extraArgs of its component
kubectl -n kube-system edit configmap kubeadm-config`, checkUpgrade},
	{GateRemoved, seeGates, dropGate, checkUpgrade},
	{GateLocked, seeGates, dropGate, checkUpgrade},
	{GateRequires, seeGates, `# set both, or none, everywhere where one of them stands
` + dropGate, checkUpgrade},
	{GateDefault, seeGates, `# nothing has to be done. To keep what was, while the gate is not locked, set it in
# extraArgs of the components (feature-gates: NAME=false), and for kubelets in
kubectl -n kube-system edit configmap kubelet-config`, checkUpgrade},
	{RuntimeConfigRefused, `grep -n runtime-config /etc/kubernetes/manifests/kube-apiserver.yaml
kubectl -n kube-system get configmap kubeadm-config -o yaml | grep -n runtime-config`, dropFlag, checkUpgrade},
	{AdmissionPluginRemoved, `grep -n admission-plugins /etc/kubernetes/manifests/kube-apiserver.yaml
kubectl -n kube-system get configmap kubeadm-config -o yaml | grep -n admission-plugins`, dropFlag, checkUpgrade},
	{ConfigKindRemoved, `grep -n -e '^apiVersion' -e '^kind' FILE`,
		`# kubeadm rewrites its own kinds:
kubeadm config migrate --old-config FILE --new-config FILE.new
# others: change apiVersion, and the fields that the newer version has renamed
vi FILE && systemctl restart kubelet`, checkUpgrade},
	{ConfigKindDeprecated, `grep -n -e '^apiVersion' -e '^kind' FILE`,
		`kubeadm config migrate --old-config FILE --new-config FILE.new
vi FILE`, checkUpgrade},
	{EtcdCheckMissing, `grep -n -e corrupt-check -e InitialCorruptCheck /etc/kubernetes/manifests/etcd.yaml`,
		`# extraArgs of etcd.local, so that an upgrade keeps it; up to etcd 3.5
#   experimental-initial-corrupt-check: "true"
# and from etcd 3.6 on
#   feature-gates: InitialCorruptCheck=true
kubectl -n kube-system edit configmap kubeadm-config
# then on one node after the other, as an argument of the manifest
vi /etc/kubernetes/manifests/etcd.yaml`, checkUpgrade},
	{EtcdFlagRemoved, `grep -n -e '- --' /etc/kubernetes/manifests/etcd.yaml
kubectl -n kube-system get configmap kubeadm-config -o yaml | grep -n -A12 'etcd:'`,
		`# before the hop that brings the next etcd, in extraArgs of etcd.local only:
# the etcd that runs may need the old spelling
kubectl -n kube-system edit configmap kubeadm-config`, checkUpgrade},
	{EtcdFault, etcdctl + `e endpoint status --cluster -w table
grep -n image: /etc/kubernetes/manifests/etcd.yaml`, newEtcd, checkUpgrade},
	{EtcdStepTooSoon, etcdctl + `e endpoint status --cluster -w table`, newEtcd, checkUpgrade},
	{CgroupTooOld, `stat -fc %T /sys/fs/cgroup      # cgroup2fs, or tmpfs for version 1
cat /proc/cmdline`,
		`kubectl drain NODE --ignore-daemonsets --delete-emptydir-data
# GRUB_CMDLINE_LINUX in /etc/default/grub: systemd.unified_cgroup_hierarchy=1, and no
# systemd.legacy_systemd_cgroup_controller or cgroup_no_v1
vi /etc/default/grub && update-grub && reboot
kubectl uncordon NODE
# to wait with it, in the kubelet's configuration: failCgroupV1: false`, checkUpgrade},
	{RuntimeTooOld, `crictl version
kubectl get nodes -o custom-columns=NAME:.metadata.name,RUNTIME:.status.nodeInfo.containerRuntimeVersion`,
		`kubectl drain NODE --ignore-daemonsets --delete-emptydir-data
apt-get install containerd.io      # or containerd, or the package of your runtime
systemctl restart containerd && crictl version
kubectl uncordon NODE`, checkUpgrade},
}

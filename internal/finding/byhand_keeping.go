// SPDX-License-Identifier: Apache-2.0

package finding

const (
	seeLeaf = `kubeadm certs check-expiration
openssl x509 -in /etc/kubernetes/pki/NAME.crt -noout -subject -issuer -dates`
	seeServed = `openssl s_client -connect 127.0.0.1:PORT </dev/null 2>/dev/null | openssl x509 -noout -serial -dates
openssl x509 -in /etc/kubernetes/pki/NAME.crt -noout -serial -dates`
	backUp = `cp -a /etc/kubernetes /root/kubernetes.$(date +%F)   # it holds private keys
`
	issueAgain = backUp + `kubeadm certs renew NAME
# what reads it at its start only:
crictl stop $(crictl ps -q --name '^kube-controller-manager$')
crictl stop $(crictl ps -q --name '^kube-scheduler$')`
	cleanUp = "sudo perennial restart kube-apiserver --clean-up"
)

// keepingHands are those of what keeps a cluster alive as it is.
var keepingHands = []Hand{
	{CertificateExpires, seeLeaf + `
# what a port serves, such as 6443, 2379 or 10250:
openssl s_client -connect 127.0.0.1:PORT </dev/null 2>/dev/null | openssl x509 -noout -dates
# of a kubeconfig:
kubectl --kubeconfig /etc/kubernetes/admin.conf config view --raw -o jsonpath='{.users[0].user.client-certificate-data}' | base64 -d | openssl x509 -noout -dates`,
		issueAgain + `
# the kubelet's own, where it did not renew it:
journalctl -u kubelet | grep -i certificate
kubectl get csr
# where even its client certificate has ended, on a node with the CA's key:
kubeadm kubeconfig user --org system:nodes --client-name system:node:NODE >/root/kubelet.conf
install -m 600 /root/kubelet.conf /etc/kubernetes/kubelet.conf && rm /root/kubelet.conf
rm /var/lib/kubelet/pki/kubelet-client-current.pem && systemctl restart kubelet
# then, once it has a new one, let the file name it again:
sed -i 's|client-certificate-data:.*|client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem|; s|client-key-data:.*|client-key: /var/lib/kubelet/pki/kubelet-client-current.pem|' /etc/kubernetes/kubelet.conf
systemctl restart kubelet`,
		`sudo perennial renew --dry-run
sudo perennial renew NAME`},
	{CertificateNotYetValid, `timedatectl
openssl x509 -in /etc/kubernetes/pki/NAME.crt -noout -dates`,
		`timedatectl set-ntp true        # or: chronyc makestep
# only if the clock was right all the time:
kubeadm certs renew NAME`,
		"sudo perennial renew NAME"},
	{CAExpires, `openssl x509 -in /etc/kubernetes/pki/ca.crt -noout -subject -dates
openssl verify -CAfile /etc/kubernetes/pki/ca.crt /etc/kubernetes/pki/apiserver.crt`,
		backUp + `# the same key and subject, a new end: what it has signed stays valid. On one node:
cd /etc/kubernetes/pki
openssl x509 -in ca.crt -signkey ca.key -days 3650 -out ca.new.crt
openssl verify -CAfile ca.new.crt apiserver.crt
install -m 644 ca.new.crt ca.crt && rm ca.new.crt
# copy ca.crt to the other control-plane nodes, and to every node; then, on each
# control-plane node, into what holds a copy of it:
for conf in admin super-admin controller-manager scheduler kubelet; do
  test -e /etc/kubernetes/$conf.conf || continue
  name=$(kubectl --kubeconfig /etc/kubernetes/$conf.conf config view -o jsonpath='{.clusters[0].name}')
  kubectl --kubeconfig /etc/kubernetes/$conf.conf config set-cluster "$name" --certificate-authority=/etc/kubernetes/pki/ca.crt --embed-certs=true
done
kubectl -n kube-public edit configmap cluster-info    # its certificate-authority-data, too
# restart, one node after the other: kubelet, API server, controller manager, scheduler
systemctl restart kubelet
crictl stop $(crictl ps -q --name '^kube-apiserver$')
crictl stop $(crictl ps -q --name '^kube-controller-manager$')
crictl stop $(crictl ps -q --name '^kube-scheduler$')
# the controller manager then brings the ConfigMaps kube-root-ca.crt up to date;
# pods that read theirs only at their start have to be restarted
kubectl get configmap kube-root-ca.crt -o jsonpath='{.data.ca\.crt}' | openssl x509 -noout -enddate`, ""},
	{LoopbackExpires, `openssl s_client -connect 127.0.0.1:6443 -servername apiserver-loopback-client </dev/null 2>/dev/null | openssl x509 -noout -dates`,
		`# no file holds it: only a new process has a new one. The API is away for some
# seconds, on a single node for all clients.
crictl stop $(crictl ps -q --name '^kube-apiserver$')`,
		"sudo perennial restart kube-apiserver"},
	{ServedCertificateStale, seeServed,
		`# the component that listens on the port: etcd, kube-apiserver ...
crictl stop $(crictl ps -q --name '^COMPONENT$')
# or the kubelet
systemctl restart kubelet`,
		"sudo perennial restart COMPONENT"},
	{ServedCertificateUnknown, seeServed + `
ss -ltnp 'sport = :PORT'
tr '\0' '\n' </proc/PID/cmdline | grep -i -e cert -e key`,
		`# let the process be the one that the manifest says:
grep -e cert -e key /etc/kubernetes/manifests/COMPONENT.yaml
crictl stop $(crictl ps -q --name '^COMPONENT$')`, ""},
	{ClientIdentityStale, `ps -o lstart= -p $(pidof COMPONENT)
stat -c %y /etc/kubernetes/COMPONENT.conf`,
		`crictl stop $(crictl ps -q --name '^COMPONENT$')
crictl ps --name '^COMPONENT$'    # a new one, some seconds old`,
		"sudo perennial restart COMPONENT"},
	{LeafOutlivesCA, `openssl x509 -in /etc/kubernetes/pki/NAME.crt -noout -enddate
openssl x509 -in /etc/kubernetes/pki/ca.crt -noout -enddate`,
		`# renewing the leaf helps nothing: its CA has to get a later end first. The way is
# that of CAExpires; then:
kubeadm certs renew NAME`, ""},
	{ChainBroken, `openssl verify -CAfile /etc/kubernetes/pki/ca.crt /etc/kubernetes/pki/NAME.crt
openssl x509 -in /etc/kubernetes/pki/NAME.crt -noout -issuer -ext authorityKeyIdentifier
openssl x509 -in /etc/kubernetes/pki/ca.crt -noout -subject -ext subjectKeyIdentifier`,
		`# the CA that the other nodes have is the right one:
sha256sum /etc/kubernetes/pki/ca.crt
` + issueAgain,
		"sudo perennial renew NAME"},
	{KeyMismatch, `openssl x509 -in /etc/kubernetes/pki/NAME.crt -noout -pubkey | sha256sum
openssl pkey -in /etc/kubernetes/pki/NAME.key -pubout | sha256sum`,
		backUp + `# put back the pair of a backup, or make a new one:
rm /etc/kubernetes/pki/NAME.crt /etc/kubernetes/pki/NAME.key
kubeadm init phase certs NAME     # apiserver, etcd-server, front-proxy-client ...`,
		`sudo perennial renew --new-key NAME`},
	{KeyReadable, `find /etc/kubernetes /var/lib/kubelet/pki -name '*.key' -o -name '*.conf' -o -name '*.pem' | xargs stat -c '%a %U %n'`,
		`chmod 600 FILE
# where others could have read it, make a new key:
rm FILE CERTIFICATE && kubeadm init phase certs NAME`,
		"sudo perennial renew --new-key NAME"},
	{SANMissing, `openssl x509 -in /etc/kubernetes/pki/NAME.crt -noout -ext subjectAltName`,
		backUp + `kubectl -n kube-system get configmap kubeadm-config -o jsonpath='{.data.ClusterConfiguration}' >/root/kubeadm.yaml
# add the address below apiServer.certSANs (or etcd.local.serverCertSANs), then
mv /etc/kubernetes/pki/apiserver.crt /etc/kubernetes/pki/apiserver.key /root/
kubeadm init phase certs apiserver --config /root/kubeadm.yaml
kubeadm init phase upload-config kubeadm --config /root/kubeadm.yaml
# the API server takes the file up by itself
openssl s_client -connect 127.0.0.1:6443 </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName`,
		"sudo perennial renew --fix-sans NAME"},
	{CertificateFromOtherNode, `hostname
openssl x509 -in /etc/kubernetes/pki/NAME.crt -noout -subject -ext subjectAltName`,
		backUp + `rm /etc/kubernetes/pki/NAME.crt /etc/kubernetes/pki/NAME.key
kubeadm init phase certs NAME
crictl stop $(crictl ps -q --name '^COMPONENT$')`, ""},
	{FileMissing, `ls -l FILE
grep -rn FILE /etc/kubernetes/manifests/ /var/lib/kubelet/config.yaml`,
		`# put it back from a backup, or make it:
kubeadm init phase certs NAME            # a certificate
kubeadm init phase kubeconfig NAME       # admin, controller-manager, scheduler
# a CA's file, or sa.key and sa.pub, only from another control-plane node or a backup:
# a new one belongs to no certificate and no token that is there`,
		"sudo perennial renew --create NAME"},
	{FileMalformed, `openssl x509 -in FILE -noout -text     # of a certificate
kubectl --kubeconfig FILE config view    # of a kubeconfig`,
		`df -h /etc && ls -l FILE
cp -a BACKUP FILE
# or make it again, as of a file that is missing`, ""},
	{ManifestDuplicate, `ls -la /etc/kubernetes/manifests/
grep -H -A3 '^metadata:' /etc/kubernetes/manifests/*`,
		`# a file whose name begins with a dot is not read; better is another directory
mkdir -p /root/manifests && mv /etc/kubernetes/manifests/COPY /root/manifests/`, ""},
	{ClockSuspect, `timedatectl
chronyc tracking`,
		`timedatectl set-ntp true
chronyc makestep
# what was issued by the wrong clock is right again once the clock is`, ""},
	{SigningKey, `openssl pkey -in /etc/kubernetes/pki/sa.key -pubout | cmp - /etc/kubernetes/pki/sa.pub && echo a pair`,
		`# nothing has to be done. To replace a key that is known to others, on every
# control-plane node, first let both be trusted:
openssl genrsa -out /etc/kubernetes/pki/sa.new.key 2048
openssl pkey -in /etc/kubernetes/pki/sa.new.key -pubout -out /etc/kubernetes/pki/sa.new.pub
# in kube-apiserver.yaml: --service-account-key-file twice, sa.new.pub and sa.pub;
# then --service-account-signing-key-file=sa.new.key, and for the controller manager
# --service-account-private-key-file=sa.new.key; when all tokens are new, drop sa.pub`, ""},
	{CopyStale, `for f in /etc/kubernetes/admin.conf /root/.kube/config; do
  kubectl --kubeconfig $f config view --raw -o jsonpath='{.users[0].user.client-certificate-data}' | base64 -d | openssl x509 -noout -serial -enddate
done`,
		`install -m 600 -o OWNER -g GROUP /etc/kubernetes/admin.conf COPY`,
		"sudo perennial renew admin.conf"},
	{OtherRenewer, `systemctl list-timers --all | grep -i cert
grep -rn 'kubeadm.*certs.*renew' /etc/cron* /var/spool/cron 2>/dev/null
kubectl get daemonsets --all-namespaces | grep -i kucero`,
		`# let one of them renew
systemctl disable --now k8s-certs-renew.timer
# or let this program only look: in /etc/perennial/config.yaml, agent: {act: false}`, ""},
	{ChangeUnfinished, `ls -l /var/lib/perennial/journal/
tail -n 5 /var/lib/perennial/journal/journal.jsonl`,
		`# files that were to be replaced, and what they were before:
ls -lR /var/lib/perennial/backup/
# every component can start as it is; to go back by hand, copy the backup over the file
cp -a /var/lib/perennial/backup/PLAN/FILE FILE`,
		`perennial history
sudo perennial renew      # finishes it first`},
	{StandbyLeft, `ls -l /etc/kubernetes/manifests/kube-apiserver-standby.yaml
crictl ps --name kube-apiserver`,
		`curl -k https://127.0.0.1:6443/readyz && rm /etc/kubernetes/manifests/kube-apiserver-standby.yaml`, cleanUp},
	{SteeringLeft, `ls -l /sys/fs/bpf/perennial
nft list tables | grep perennial`,
		`curl -k https://127.0.0.1:6443/readyz || exit 1
rm -r /sys/fs/bpf/perennial
nft delete table ip perennial
nft delete table ip6 perennial`, cleanUp},
	{GuardLeft, `kubectl get validatingadmissionpolicies,validatingadmissionpolicybindings endpoints-guard.` + Group,
		`kubectl delete validatingadmissionpolicybinding endpoints-guard.` + Group + `
kubectl delete validatingadmissionpolicy endpoints-guard.` + Group, cleanUp},
	{HoldLeft, `ss -tnp 'sport = :6443'
ls -l /sys/fs/bpf/perennial`,
		`# they go with their connections; to end these, restart who holds them, such as
systemctl restart kubelet`, cleanUp},
	{SupportEnds, `kubectl version
kubeadm version -o short`,
		`kubeadm upgrade plan
# one minor at a time, the first control-plane node first:
kubeadm upgrade apply v1.N.P`,
		`perennial releases
sudo perennial check --to 1.N`},
	{CalendarStale, `perennial version`,
		`# update the program, or load a newer table
perennial check --releases FILE`, ""},
	{CheckpointReadable, `ls -ld /var/lib/kubelet/checkpoints && ls -l /var/lib/kubelet/checkpoints/`,
		`chmod 700 /var/lib/kubelet/checkpoints
chmod 600 /var/lib/kubelet/checkpoints/*.tar
# they hold the memory of containers: what was in it, such as keys, may be known`, ""},
	{CheckpointsFillDisk, `df -h /var/lib/kubelet
du -sh /var/lib/kubelet/checkpoints && ls -lt /var/lib/kubelet/checkpoints/`,
		`# nothing removes them by itself; keep what is still needed elsewhere, then
rm /var/lib/kubelet/checkpoints/checkpoint-NAME.tar`,
		"sudo perennial checkpoint prune --max-share 5%"},
}

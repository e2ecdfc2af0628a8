// SPDX-License-Identifier: Apache-2.0

package finding

import "slices"

// Info explains a code. Help, `explain` and the pages under docs/codes are
// made from it.
type Info struct {
	Code  Code
	Title string // a noun phrase, lower case
	Means string // what it says
	Cause string // why it comes to be
	Cure  string // what to do, by hand if need be
}

// The codes. A code is never renamed and never reused.
const (
	CertificateExpires       Code = "CertificateExpires"
	CertificateNotYetValid   Code = "CertificateNotYetValid"
	CAExpires                Code = "CAExpires"
	LoopbackExpires          Code = "LoopbackExpires"
	ServedCertificateStale   Code = "ServedCertificateStale"
	ServedCertificateUnknown Code = "ServedCertificateUnknown"
	ClientIdentityStale      Code = "ClientIdentityStale"
	LeafOutlivesCA           Code = "LeafOutlivesCA"
	ChainBroken              Code = "ChainBroken"
	KeyMismatch              Code = "KeyMismatch"
	KeyReadable              Code = "KeyReadable"
	SANMissing               Code = "SANMissing"
	CertificateFromOtherNode Code = "CertificateFromOtherNode"
	FileMissing              Code = "FileMissing"
	FileMalformed            Code = "FileMalformed"
	ManifestDuplicate        Code = "ManifestDuplicate"
	ClockSuspect             Code = "ClockSuspect"
	SigningKey               Code = "SigningKey"
	CopyStale                Code = "CopyStale"
	OtherRenewer             Code = "OtherRenewer"
	ChangeUnfinished         Code = "ChangeUnfinished"
	StandbyLeft              Code = "StandbyLeft"
	SteeringLeft             Code = "SteeringLeft"
	GuardLeft                Code = "GuardLeft"
	HoldLeft                 Code = "HoldLeft"
	SupportEnds              Code = "SupportEnds"
	CalendarStale            Code = "CalendarStale"
)

// Codes is the one table of codes, in the order of the docs.
var Codes = slices.Concat(keepingCodes, checkpointCodes, upgradeCodes, workloadCodes)

// keepingCodes are those of what keeps a cluster alive as it is.
var keepingCodes = []Info{
	{CertificateExpires, "a certificate's end",
		"The certificate, the chain below it, or the CA above it stops being valid at this date, whichever is first, on disk and as served.",
		"kubeadm issues leaf certificates for one year and renews them only when somebody runs `kubeadm certs renew` or `kubeadm upgrade apply`.",
		"`perennial renew NAME`, which also restarts what does not take it up by itself; by hand, `kubeadm certs renew NAME`, then restart what still uses the old one: the controller manager and the scheduler always do."},
	{CertificateNotYetValid, "a certificate from the future",
		"The certificate is not valid yet: whoever verifies it refuses it.",
		"The clock was ahead when it was issued, or is behind now.",
		"Set the clock right first. If the clock is right, issue the certificate again."},
	{CAExpires, "a certificate authority's end",
		"When the CA ends, everything that it signed ends with it, whatever date stands in the leaf.",
		"kubeadm's CAs live ten years, and no kubeadm command renews them.",
		"Plan it a year ahead: issue the CA again with the same key and subject, and replace every embedded copy before the old end; or rotate to a new one."},
	{LoopbackExpires, "the API server's loopback certificate's end",
		"kube-apiserver makes a certificate for its connections to itself when it starts, keeps it in memory and never renews it. After its end the server looks healthy, answers what it knew, and no longer learns anything: creating namespaces fails, new CRDs are not served, new role bindings have no effect.",
		"The certificate lives one year up to Kubernetes 1.32 and three years since 1.33 (k8s.io/apiserver pkg/server/options/serving_with_loopback.go). Only a restart makes a new one.",
		"Restart kube-apiserver before this date, without downtime with `perennial restart kube-apiserver`. Renewing files does not help."},
	{ServedCertificateStale, "a renewed certificate that is not served",
		"The file on disk is newer than what the port serves. The old one will end on its own date, although every file is fine.",
		"The file was renewed and the process did not take it up.",
		"Restart the component that serves it: `perennial restart COMPONENT`."},
	{ServedCertificateUnknown, "a served certificate that no file explains",
		"The port serves a certificate that is neither in the file that the component's flags name nor an older or newer issue of it.",
		"Something else listens on the port, or the process was started with other flags than the manifest says.",
		"Find out which process listens there and with which flags; make the manifest and the process agree."},
	{ClientIdentityStale, "a process with an old client certificate",
		"The process read its kubeconfig before the file was renewed, and keeps the old client certificate until it is restarted. When that one ends, the process is no longer let in.",
		"Client certificates embedded in a kubeconfig are read once, at start (client-go transport). kubeadm's controller-manager.conf and scheduler.conf embed them.",
		"Restart the component: `perennial restart COMPONENT`. The API server need not be restarted."},
	{LeafOutlivesCA, "a leaf that claims to outlive its CA",
		"The certificate's own date is later than its CA's: the date that other tools print is not the day on which it stops working.",
		"kubeadm does not limit a leaf's end to its CA's.",
		"Look at the CA's end. Renewing the leaf alone does not help."},
	{ChainBroken, "a certificate that does not verify",
		"The certificate does not chain to the CA that its verifiers trust.",
		"The CA was replaced and the leaf was not issued again, or the reverse; or files of two clusters were mixed.",
		"Issue the certificate again from the CA that is trusted."},
	{KeyMismatch, "a key that does not belong to its certificate",
		"The private key does not match the certificate beside it. The running process may still hold the old pair; its next start fails.",
		"One of the two files was replaced without the other.",
		"Restore the pair from a backup, or issue the certificate again."},
	{KeyReadable, "a private key that others may read",
		"The file's mode lets users other than its owner read a private key.",
		"It was copied or created with a wide mode.",
		"chmod 600 the file; if others could have read it, treat the key as known."},
	{SANMissing, "an address that the certificate does not cover",
		"Clients that use this address refuse the certificate.",
		"The address was added after the certificate was issued; `kubeadm certs renew` copies the old names.",
		"Issue the certificate again with the address: remove the pair and run `kubeadm init phase certs NAME` with certSANs set."},
	{CertificateFromOtherNode, "a certificate made for another node",
		"The certificate names another node and not this one.",
		"Files were copied from one control-plane node to another.",
		"Issue it on this node; only the CAs and the service-account pair are meant to be shared."},
	{FileMissing, "a file that a flag names and that is not there",
		"The running process may have read it; its next start fails.",
		"It was removed or moved, or the flag is wrong.",
		"Restore the file, or issue it again."},
	{FileMalformed, "a file that cannot be understood",
		"The file is there, but what it should hold cannot be read from it. The running process may hold an older content; its next start fails.",
		"An interrupted write, a full disk, or an edit.",
		"Restore the file from a backup, or issue it again."},
	{ManifestDuplicate, "two manifests for one static pod",
		"Two files in the kubelet's manifests directory define the same pod; which one runs is not decided by anybody.",
		"The kubelet reads every file there whose name does not begin with a dot, also a copy that ends with .bak (pkg/kubelet/config/file.go).",
		"Move the copy out of the directory."},
	{ClockSuspect, "a clock that cannot be right",
		"Something is dated later than the clock says it is now. Every judgement by date depends on the clock.",
		"The clock was set back, or was ahead when something was issued.",
		"Set the clock right, then look again."},
	{SigningKey, "a signing key, which has no end",
		"The key pair signs and verifies service account tokens. It never stops working by itself, and nobody replaces it by themselves either.",
		"kubeadm makes it once; control-plane nodes share it.",
		"Nothing has to be done. Whoever had the private key can make tokens for any service account: replace the pair if it may be known."},
	{CopyStale, "a copy of a kubeconfig that was renewed since",
		"The copy holds an earlier certificate than the original. It goes on working until that one's own end: renewing revokes nothing.",
		"kubeadm tells people to copy admin.conf to ~/.kube/config, and renews only the original.",
		"`perennial renew admin.conf` refreshes the copies on this node, in place; by hand, copy the file again. Copies on other machines have to be replaced there."},
	{OtherRenewer, "something else that renews certificates",
		"A timer, a cron job, a daemon or a running kubeadm on this node renews certificates too, by its own clock and with its own restarts.",
		"kubespray and KubeKey install a timer (k8s-certs-renew.timer), kucero runs as a DaemonSet, and many sites have a cron job with `kubeadm certs renew`.",
		"Let one of the two renew. While one is at work, perennial changes nothing; one that is only installed is named in the plan."},
	{ChangeUnfinished, "a change that has not ended",
		"The journal holds a plan that has begun and not ended. Between two of its steps every component can start; what it was to do is not done, or not proven.",
		"It is at work now, or the program was ended, or the machine.",
		"Run `perennial renew`, or any other command that changes something: it first finishes what was cut off, or takes it back. `perennial history` tells what was done."},
	{StandbyLeft, "a standby API server",
		"The static pod kube-apiserver-standby is there, or its process runs: the second API server of a handover. It serves whoever reaches its port, and takes its memory.",
		"`perennial restart kube-apiserver` runs a standby while it replaces the API server; it is doing so now, or it was cut off.",
		"`perennial restart kube-apiserver --clean-up`; by hand, when the API server is ready, remove kube-apiserver-standby.yaml from the manifests directory."},
	{SteeringLeft, "steered connections",
		"A program of the kernel (sk_lookup), or rules of nftables, can lead new connections for the API server to a standby. Where the standby has ended they have no effect.",
		"`perennial restart kube-apiserver` steers while it replaces the API server; it is doing so now, or it was cut off.",
		"`perennial restart kube-apiserver --clean-up`; by hand, when the API server is ready, remove the directory below /sys/fs/bpf/perennial, or `nft delete table ip perennial` and `ip6 perennial`."},
	{GuardLeft, "a guard of the service kubernetes",
		"A ValidatingAdmissionPolicy refuses to empty the endpoints of the service kubernetes in the namespace default. It forbids nothing else.",
		"An API server that ends takes itself out of them; `perennial restart kube-apiserver` keeps the last one in while it is replaced. It is doing so now, or it was cut off.",
		"`perennial restart kube-apiserver --clean-up`; by hand, `kubectl delete validatingadmissionpolicybinding,validatingadmissionpolicy endpoints-guard." + Group + "`."},
	{HoldLeft, "held connections",
		"Connections of the API server carry a filter that has dropped their segments for some seconds. It lets everything through by itself since.",
		"`perennial restart kube-apiserver` holds kept connections for a tenth of a second, and was ended in it.",
		"`perennial restart kube-apiserver --clean-up`; they go with their connections, too."},
	{SupportEnds, "the end of a release's support",
		"After this date upstream makes no fixes for this minor release, security fixes included.",
		"Kubernetes supports its three newest minor releases, each for about 14 months since 1.19.",
		"Upgrade, one minor at a time; start by the last safe day. Staying is the owner's choice: accept the finding with a reason and a date."},
	{CalendarStale, "release data that is old",
		"The release dates in this program were put together long ago; a newer release may exist, and planned ends may have moved.",
		"This program was not updated.",
		"Update it, or load a newer table with --releases FILE."},
}

// Explain finds the explanation of a code.
func Explain(code Code) (Info, bool) {
	for _, info := range Codes {
		if info.Code == code {
			return info, true
		}
	}
	return Info{}, false
}

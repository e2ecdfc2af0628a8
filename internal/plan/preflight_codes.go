// SPDX-License-Identifier: Apache-2.0

package plan

// PreflightCode names a preflight. Codes are CamelCase and stable for ever.
type PreflightCode string

// The codes of the preflights. A code is never renamed and never reused.
const (
	StandbyManifest       PreflightCode = "StandbyManifest"
	ManifestTakenUp       PreflightCode = "ManifestTakenUp"
	OtherAPIServers       PreflightCode = "OtherAPIServers"
	BindAddress           PreflightCode = "BindAddress"
	KubeletRuns           PreflightCode = "KubeletRuns"
	StandbyMemory         PreflightCode = "StandbyMemory"
	NodeLoad              PreflightCode = "NodeLoad"
	StandbyImage          PreflightCode = "StandbyImage"
	StandbyPortFree       PreflightCode = "StandbyPortFree"
	StandbyVolumes        PreflightCode = "StandbyVolumes"
	ConfigurationFiles    PreflightCode = "ConfigurationFiles"
	HostPorts             PreflightCode = "HostPorts"
	AuditLog              PreflightCode = "AuditLog"
	EndpointsGuard        PreflightCode = "EndpointsGuard"
	ServiceEndpoints      PreflightCode = "ServiceEndpoints"
	SteeringByLookup      PreflightCode = "SteeringByLookup"
	SteeringByNAT         PreflightCode = "SteeringByNAT"
	NodeFirewall          PreflightCode = "NodeFirewall"
	ProxyReplacement      PreflightCode = "ProxyReplacement"
	ConnectionHold        PreflightCode = "ConnectionHold"
	OpenConnections       PreflightCode = "OpenConnections"
	LoopbackClients       PreflightCode = "LoopbackClients"
	OpenSessions          PreflightCode = "OpenSessions"
	KubeletRestartBackOff PreflightCode = "KubeletRestartBackOff"
)

// PreflightInfo explains a preflight. The page docs/preflights.md is made from
// it.
type PreflightInfo struct {
	Code  PreflightCode
	Title string // a noun phrase, lower case
	Looks string // what is looked at, and why
	Warns string // when it warns; empty: never
	Stops string // when there is no handover, or not in that way; empty: never
	Cure  string // what to do
	check func(Ground) Preflight
}

// Preflights is the one table of preflights, in the order in which they are
// shown: what decides first comes first.
var Preflights = []PreflightInfo{
	{StandbyManifest, "whether a standby can be made",
		"The standby is made from the API server's own manifest. What would collide is taken out: its labels, its port, its reservations, other containers of the pod.",
		"The API server's release is not known, so flags that only newer ones have are left out; or other containers of the pod are left out.",
		"The API server is no static pod, its pod has a network of its own, its flags stand in a shell's script, or it shares a volume of the pod with another container.",
		"Restart it in place, or make the manifest one that can be understood.", checkManifest},
	{ManifestTakenUp, "whether the API server runs as its manifest says",
		"The standby, and the API server after its restart, are started from the manifest. If it was edited and not taken up, they would run with other flags than those that are known to work.",
		"", "The running process has other flags than the manifest, or does not run.",
		"Find out why the kubelet has not taken the manifest up (journalctl -u kubelet), or put the manifest back.", checkTakenUp},
	{OtherAPIServers, "other API servers of the cluster",
		"With several API servers behind a load balancer the plain restart is the better one: clients go to another server, and nothing has to be steered.",
		"", "Another API server of the cluster answers.",
		"Restart them one at a time, each when the one before is ready.", checkOthers},
	{BindAddress, "the address that the API server listens on",
		"New connections are steered by the node's addresses. On the loopback the API server reaches itself, so there nothing is steered.",
		"It listens on one address only: on this node, connections to that address are the API server's own and are not steered.",
		"It listens on the loopback only.",
		"Give it an address that its clients use (--bind-address).", checkBind},
	{KubeletRuns, "the kubelet",
		"The kubelet starts the standby, and starts the API server again.",
		"Whether it runs could not be seen.", "It does not run.",
		"Start it: systemctl start kubelet.", checkKubelet},
	{StandbyMemory, "memory for a second API server",
		"For about a minute two API servers run. The second one may take as much memory as the first: 1.3 times that has to be available, or the kernel ends one of them.",
		"", "Less is available, or it could not be measured.",
		"Free memory on the node, or restart in place.", checkMemory},
	{NodeLoad, "processor time for a second API server",
		"An API server takes about five seconds of a whole core to start. On a saturated node its priority and fairness answers 429 meanwhile.",
		"Less than one core's time is idle, or it could not be measured.", "Less than a third of a core's time is idle.",
		"Wait for a quieter time.", checkLoad},
	{StandbyImage, "the API server's image",
		"The standby starts from the image that the node has.",
		"Whether the node has it could not be seen.", "The node does not have it.",
		"Pull it: crictl pull IMAGE.", checkImage},
	{StandbyPortFree, "a port for the standby",
		"The standby listens on the first free port of 6444, 16443, 16444, 26443 and 26444.",
		"", "Somebody listens on each of them.",
		"See who listens: ss -ltnp.", checkPort},
	{StandbyVolumes, "what the standby mounts",
		"The kubelet starts no pod with a host path that is not there, or is of another kind than the manifest says. The running API server may have one that was removed since.",
		"A host path without a type is not there (it would be made, and be empty), or could not be looked at.",
		"A host path that has to be there is not, or is of another kind.",
		"Put it back; the API server could not start again without it either.", checkVolumes},
	{ConfigurationFiles, "the files that the flags name",
		"Admission, audit, authentication, authorisation and encryption configuration, certificates and keys are read when an API server starts.",
		"A file could not be looked at, or lies in the image.",
		"A file is not there. The API server could not start again either.",
		"Put it back from a backup.", checkFiles},
	{HostPorts, "ports that the manifest reserves",
		"The kubelet refuses a second pod that reserves the same ports of the node, so the standby reserves none.",
		"The manifest reserves others than the API server's own.", "",
		"Nothing, unless the API server itself listens there: then the standby could not.", checkHostPorts},
	{AuditLog, "the audit log",
		"Two processes must not write and rotate one file: the standby writes one of its own, beside the other.",
		"The standby writes a file of its own; or one that is lost with its container, as the API server's own is.", "",
		"Read both for the time of the handover.", checkAudit},
	{EndpointsGuard, "a guard for the endpoints of the service kubernetes",
		"An API server that ends takes its address out of the endpoints, and the last one leaves them empty: every client in the cluster that uses the service's address is then refused. From 1.30 a ValidatingAdmissionPolicy forbids that; before, a second entry in etcd beside the API server's own does the same.",
		"It is guarded by an entry in etcd, which is written behind the API server's back.", "Neither can be done.",
		"See why neither can be done; on 1.30 and later: do not disable ValidatingAdmissionPolicy.", checkGuard},
	{ServiceEndpoints, "the endpoints of the service kubernetes",
		"They name the API servers that the cluster knows of. They are to stay as they are during a handover.",
		"They are empty, name an API server that does not answer, or could not be looked at.", "",
		"Look at them: kubectl get endpointslices -l kubernetes.io/service-name=kubernetes.", checkEndpoints},
	{SteeringByLookup, "steering by sk_lookup",
		"A program in the kernel hands new connections to the standby's socket. No packet is changed. It needs Linux 5.9 and the capabilities BPF, NET_ADMIN and SYS_PTRACE.",
		"", "The kernel or a right is missing. nftables may still do.",
		"Run it as root on the node, outside of a container that takes these rights away.", checkLookup},
	{SteeringByNAT, "steering by nftables",
		"Where sk_lookup cannot be used, new connections can be led to the standby's port by translating their destination.",
		"", "nftables cannot be used either.",
		"Load the kernel's module nft_chain_nat, and run it as root.", checkNAT},
	{NodeFirewall, "the node's firewall, for nftables",
		"With nftables the firewall sees the standby's port. A check from the node itself would not find a closed one, so a probe from another network namespace has to reach it.",
		"", "The probe did not reach the port, or could not be made.",
		"Open the standby's port for the cluster's hosts for the time of the handover.", checkFirewall},
	{ProxyReplacement, "a stand-in for kube-proxy",
		"Cilium and others translate the service's address in the kernel at connect time, by programs of their own. The node's address is steered all the same; this was not measured with each of them.",
		"One was recognised.", "",
		"Try it on a node that may fail first.", checkReplacement},
	{ConnectionHold, "holding kept connections",
		"While a server closes its port, requests on kept HTTP/2 connections can be answered 503 for some milliseconds. Holding what arrives on them for about a tenth of a second avoids that.",
		"Connections cannot be held: a few requests on kept connections may be answered 503; client-go repeats them.", "",
		"Run it as root on the node.", checkHold},
	{OpenConnections, "connections of the API server",
		"Each client has to connect again once or twice. HTTP/2 clients and client-go notice nothing; a client that writes on a kept HTTP/1.1 connection may find it closed, its request not done.",
		"They could not be counted.", "",
		"Nothing.", checkConnections},
	{LoopbackClients, "clients on 127.0.0.1",
		"The loopback is not steered: there each API server reaches itself. Other programs that use it are refused for some seconds while the API server starts.",
		"Other programs are connected there, or it could not be seen.", "",
		"Point them at the node's address.", checkLoopback},
	{OpenSessions, "sessions through the API server",
		"kubectl exec, attach, port-forward and logs -f go through the API server, and end with it.",
		"Some are open, or they could not be counted.", "",
		"Wait until they have ended, or tell their users.", checkSessions},
	{KubeletRestartBackOff, "the kubelet's restart back-off",
		"A container that ended several times within ten minutes is started later each time: after 10, 20, 40 ... 300 seconds. The standby serves meanwhile; without one nobody does.",
		"The API server would be away for that long, or it is not known.", "",
		"Wait until ten minutes have passed since its last restart.", checkBackOff},
}

// ExplainPreflight finds the explanation of a preflight.
func ExplainPreflight(code PreflightCode) (PreflightInfo, bool) {
	for _, info := range Preflights {
		if info.Code == code {
			return info, true
		}
	}
	return PreflightInfo{}, false
}

// SPDX-License-Identifier: Apache-2.0

package finding

// The codes of what an upgrade takes away.
const (
	APIRemoved           Code = "APIRemoved"
	APIOff               Code = "APIOff"
	APIDeprecated        Code = "APIDeprecated"
	StoredVersionRemoved Code = "StoredVersionRemoved"
	CustomVersionStored  Code = "CustomVersionStored"

	FlagRemoved            Code = "FlagRemoved"
	FlagDeprecated         Code = "FlagDeprecated"
	FlagDefault            Code = "FlagDefault"
	GateRemoved            Code = "GateRemoved"
	GateLocked             Code = "GateLocked"
	GateRequires           Code = "GateRequires"
	GateDefault            Code = "GateDefault"
	RuntimeConfigRefused   Code = "RuntimeConfigRefused"
	AdmissionPluginRemoved Code = "AdmissionPluginRemoved"
	ConfigKindRemoved      Code = "ConfigKindRemoved"
	ConfigKindDeprecated   Code = "ConfigKindDeprecated"
	EtcdCheckMissing       Code = "EtcdCheckMissing"
	EtcdFlagRemoved        Code = "EtcdFlagRemoved"
	EtcdFault              Code = "EtcdFault"
	EtcdStepTooSoon        Code = "EtcdStepTooSoon"
	CgroupTooOld           Code = "CgroupTooOld"
	RuntimeTooOld          Code = "RuntimeTooOld" // seen by what nodes tell of themselves
)

// upgradeCodes are those of what an upgrade takes from components and API clients.
var upgradeCodes = []Info{
	{APIRemoved, "an API version that is no longer served",
		"Somebody uses the kind in a version that a minor on the way does not serve: a document, a field manager, a Helm release, a webhook's rule, or a client that the API server has counted. Its requests are refused from that minor on.",
		"API versions are deprecated and go some minors later; alpha and beta ones may go with any minor. Objects themselves are not lost where another version serves their kind.",
		"Use the version that the finding names. Where none is named, nothing has taken the kind's place: take the object out."},
	{APIOff, "an API version that is no longer served by default",
		"A minor on the way still has the version, and serves it only where --runtime-config enables it.",
		"Upstream switches versions off before it removes them.",
		"Use the version that the finding names, or enable this one: `--runtime-config=GROUP/VERSION=true`."},
	{APIDeprecated, "an API version that is to go",
		"It is served on the whole way, and the API server warns whoever uses it. The minor that is to remove it is a plan, which upstream has changed before.",
		"Upstream names the removal of a version when it deprecates it.",
		"Move to the version that the finding names when it suits."},
	{StoredVersionRemoved, "a stored object that cannot be read",
		"The object is stored in a version whose type a minor on the way has dropped, while it serves the same kind in another version. That API server cannot decode it, and then lists no object of the kind.",
		"An alpha version is replaced by the next one without a minor that knows both.",
		"Delete the objects before that hop, or rewrite them on a minor that knows both versions; make them anew afterwards."},
	{CustomVersionStored, "a custom resource in a version that is not served any more",
		"A CustomResourceDefinition's status says that objects may be stored in a version that it no longer serves. A later release of the definition that drops the version is refused, and so is the operator's own upgrade.",
		"Nothing rewrites stored objects by itself, and nothing takes a version out of status.storedVersions.",
		"Write every object anew, then set status.storedVersions to what is served."},
	{FlagRemoved, "a flag that a component no longer knows",
		"A component of a minor on the way ends with an error where the flag is set: a static pod restarts for ever, a kubelet does not come back.",
		"Flags are deprecated and go some minors later. kubeadm writes the manifests of static pods anew at each upgrade, with what stands in extraArgs.",
		"Take the flag away where the finding says, in extraArgs of the ConfigMap kube-system/kubeadm-config as well, before that hop."},
	{FlagDeprecated, "a flag that is to go",
		"The component takes the flag on the whole way and warns of it.",
		"Upstream deprecates a flag before it removes it.",
		"Take it away when it suits; the reason says what upstream names in its place."},
	{FlagDefault, "a flag with another default",
		"The flag is not set, and from a minor on the way its default is another one, which something may rely on.",
		"Upstream changes a default once the new one is thought to be safe.",
		"Set the flag to the old value if that is relied on. Nothing has to be done otherwise."},
	{GateRemoved, "a feature gate that a component no longer knows",
		"A component of a minor on the way ends with an error where the gate is set, on its command line or in its configuration file. Its own message names only the first of several; here each has its finding.",
		"A gate goes some minors after its feature is always on, or was given up.",
		"Take the gate away where the finding says. That what it did is on without it is the rule, and what was off by it is on from then."},
	{GateLocked, "a feature gate that can no longer be set otherwise",
		"A component of a minor on the way ends with an error where the gate is set against its default.",
		"Once a feature is stable its gate is locked.",
		"Take the gate away, and what needed the old behaviour with it."},
	{GateRequires, "a feature gate without one that it needs",
		"A component of a minor on the way ends with an error where a gate is on and one that it needs is off.",
		"Components check what gates need of each other since 1.35.",
		"Set both, or none."},
	{GateDefault, "feature gates with another default",
		"From a minor on the way features are on that were off, or the reverse, where nobody has set their gates. The evidence lists them.",
		"Features go from alpha, off, to beta and stable, on.",
		"Read what they do before the hop. To keep what was, set the gate, while it is not locked."},
	{RuntimeConfigRefused, "an API version in --runtime-config that a minor does not know",
		"kube-apiserver of a minor on the way ends with an error where --runtime-config names a group or version that it has no types of.",
		"The types of a version go some minors after it is no longer served; those of alpha versions with it.",
		"Take the entry out of --runtime-config before that hop."},
	{AdmissionPluginRemoved, "an admission plugin that the API server no longer knows",
		"kube-apiserver of a minor on the way ends with an error where the plugin is enabled or disabled by name.",
		"PodSecurityPolicy went with 1.25 and SecurityContextDeny with 1.30; others were replaced.",
		"Take it out of --enable-admission-plugins and --disable-admission-plugins before that hop, and put something in the place of what it did."},
	{ConfigKindRemoved, "a configuration file in a version that is no longer read",
		"A component of a minor on the way ends with an error when it reads the file.",
		"The versions of configuration files go as those of the API do.",
		"Write the file in the version that the finding names. Where no version is read both before and after the hop, change the file with it."},
	{ConfigKindDeprecated, "a configuration file in a version that is to go",
		"The component reads it on the whole way and warns of it.",
		"Upstream deprecates a version before it removes it.",
		"Write the file in the version that the finding names when it suits."},
	{EtcdCheckMissing, "an etcd that does not check its data",
		"A member compares its data with the other members' before it serves only where it is told to. Without that, one that has gone astray serves what only it has.",
		"kubeadm sets the flag since 1.22; manifests from before, and ones made otherwise, lack it.",
		"Set --experimental-initial-corrupt-check=true, and from etcd 3.6 on --feature-gates=InitialCorruptCheck=true."},
	{EtcdFlagRemoved, "a flag that the next etcd does not know",
		"kubeadm brings another etcd with a minor on the way, and that one ends with an error where the flag is set.",
		"etcd 3.6 dropped the flags of its old API and gave its experimental ones other names, or made feature gates of them; 3.7 dropped the old names.",
		"Change etcd.local.extraArgs in the ConfigMap kube-system/kubeadm-config for that hop."},
	{EtcdFault, "an etcd with a known fault",
		"The version of etcd that runs here has a fault that loses or spoils data, or ends a start.",
		"It was found after the version was released.",
		"Update etcd to the version that the finding names, within its series, before anything else."},
	{EtcdStepTooSoon, "an etcd that is too old for the next one",
		"kubeadm brings another series of etcd with a minor on the way, and from the version that runs the step is not safe.",
		"What the next series expects was mended only in a late version of the one before.",
		"Update etcd to the version that the finding names first."},
	{CgroupTooOld, "control groups of version 1",
		"The machine mounts control groups of version 1, on which the kubelet does not start from 1.35 on, unless failCgroupV1: false is set.",
		"The system is old, or was booted with the old hierarchy on purpose.",
		"Boot with the unified hierarchy; see what in the pods reads control groups itself (old JVMs do)."},
	{RuntimeTooOld, "a container runtime that a kubelet can no longer use",
		"The kubelet of a minor on the way does not start with this version of the container runtime.",
		"Kubelets drop old versions of the runtime interface.",
		"Update the runtime before the kubelet."},
}

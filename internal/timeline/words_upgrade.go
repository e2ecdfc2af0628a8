// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"fmt"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
)

// upgradeClauses are those of what an upgrade runs into; %s stands for the
// phrase. They hold at whatever end: the hop is told beside them.
var upgradeClauses = map[finding.Code]string{
	finding.APIRemoved:           "%s is no longer served",
	finding.APIOff:               "%s is no longer served unless it is enabled",
	finding.APIDeprecated:        "%s is to go",
	finding.StoredVersionRemoved: "%s is stored in a version that can no longer be read",
	finding.CustomVersionStored:  "%s may be stored in a version that it no longer serves",

	finding.FlagRemoved:            "%s is no longer known",
	finding.FlagDeprecated:         "%s is to go",
	finding.FlagDefault:            "%s has another default",
	finding.GateRemoved:            "%s is no longer known",
	finding.GateLocked:             "%s can no longer be set otherwise",
	finding.GateRequires:           "%s lacks a feature gate that it needs",
	finding.GateDefault:            "feature gates have another default",
	finding.RuntimeConfigRefused:   "%s is no longer known",
	finding.AdmissionPluginRemoved: "%s is no longer known",
	finding.ConfigKindRemoved:      "%s is in a version that is no longer read",
	finding.ConfigKindDeprecated:   "%s is in a version that is to go",
	finding.EtcdCheckMissing:       "%s does not check its data",
	finding.EtcdFlagRemoved:        "%s is unknown to the etcd that comes with it",
	finding.EtcdFault:              "%s has a known fault",
	finding.EtcdStepTooSoon:        "%s is too old for the etcd that comes with it",
	finding.CgroupTooOld:           "the machine has control groups of version 1",
	finding.RuntimeTooOld:          "the container runtime is too old for the kubelet",

	finding.VolumePluginRemoved:      "%s has a volume that can no longer be mounted",
	finding.VolumeDriverMissing:      "%s has a volume that needs a CSI driver",
	finding.PodSecurityDrift:         "%s will refuse its own pods",
	finding.PodSecurityPolicyEnds:    "%s is no longer enforced",
	finding.PodSecurityUnset:         "%s is guarded by nothing once PodSecurityPolicies are gone",
	finding.SeccompAnnotationIgnored: "%s asks for its seccomp profile in an annotation that is ignored",
	finding.CronJobZone:              "%s has a schedule without a time zone",
	finding.CronJobZoneInSchedule:    "%s has a time zone in its schedule",
	finding.UserNamespaceIgnored:     "%s asks for a user namespace that nobody makes",
	finding.UserNamespaceBegins:      "%s begins to run in a user namespace",
	finding.UserNamespaceUnsupported: "%s asks for a user namespace that nodes cannot make",
	finding.UserNamespaceSlow:        "%s starts slowly in its user namespace",
	finding.KubeletTooOld:            "%s has a kubelet that is too old",
	finding.KubeProxyTooOld:          "%s has a kube-proxy that is too old",
	finding.KubeProxyShell:           "%s runs what the image of kube-proxy no longer has",
	finding.KubectlTooOld:            "kubectl is too old",
	finding.LogsEndpointOff:          "%s uses /logs of the API server, which is off",
	finding.EtcdLearner:              "%s has no vote",
	finding.EtcdAlarm:                "%s has raised an alarm",
	finding.EtcdDataDiffers:          "%s does not hold the same data as another member",
}

// components are what people call them.
var components = map[string]string{
	"kube-apiserver": "the API server", "kube-controller-manager": "the controller manager", "kube-scheduler": "the scheduler",
	"kubelet": "the kubelet", "kube-proxy": "kube-proxy", "etcd": "etcd", "kubeadm": "kubeadm",
}

// parts are what belongs to a component, by the word in the ID
// (cp1/kubelet-gate-DynamicKubeletConfig); %s stands for the part's name. Where
// there is no phrase, the component itself is meant.
var parts = []struct{ word, phrase string }{
	{"-gate-", "the feature gate %s"},
	{"-flag-", "the flag --%s"},
	{"-runtime-config-", "%s in the --runtime-config"},
	{"-admission-", "the admission plugin %s"},
	{"-config-", "the %s"},
	{"-fault-", ""}, {"-step-", ""}, {"-check-", ""}, {"-platform-", ""},
}

// partPhrase words the ID of a part of a component; not ok where it is none.
func partPhrase(id fact.ID) (string, bool) {
	name := string(id[strings.LastIndexByte(string(id), '/')+1:])
	if c, ok := components[name]; ok {
		return c, true
	}
	for _, p := range parts {
		component, part, ok := strings.Cut(name, p.word)
		c, known := components[component]
		switch {
		case !ok || !known:
			continue
		case p.phrase == "":
			return c, true
		}
		return fmt.Sprintf(p.phrase, shorten(fact.Text(part).String())) + " of " + c, true
	}
	return "", false
}

// ruleClauses are those of a webhook whose rule names a version that does not
// stay. What is wrong with its own version, v1, no minor says.
var ruleClauses = map[finding.Code]string{
	finding.APIRemoved:    "%s has a rule for a version that is no longer served",
	finding.APIOff:        "%s has a rule for a version that is no longer served unless it is enabled",
	finding.APIDeprecated: "%s has a rule for a version that is to go",
}

// upgradeClause is what an item says, with %s for its phrase; empty for what is no
// matter of an upgrade.
func upgradeClause(i Item) string {
	if i.Object != nil && i.Object.APIVersion == "admissionregistration.k8s.io/v1" && strings.HasSuffix(string(i.Object.Kind), "WebhookConfiguration") {
		if clause := ruleClauses[i.Code]; clause != "" {
			return clause
		}
	}
	return upgradeClauses[i.Code]
}

// ofSettings are the codes of findings about one setting of a component, of which
// an object, such as a KubeletConfiguration, may hold several.
var ofSettings = []finding.Code{
	finding.FlagRemoved, finding.FlagDeprecated, finding.FlagDefault, finding.GateRemoved, finding.GateLocked, finding.GateRequires,
	finding.RuntimeConfigRefused, finding.AdmissionPluginRemoved, finding.EtcdFlagRemoved, finding.EtcdFault, finding.EtcdCheckMissing,
}

// inObject is the object, or the setting of a component that it holds.
func inObject(i Item) string {
	object := objectPhrase(*i.Object)
	if setting, ok := partPhrase(i.ID); ok && slices.Contains(ofSettings, i.Code) {
		return setting + " in " + object
	}
	return object
}

// objectPhrase is "batch/v1beta1 CronJob default/backup".
func objectPhrase(o finding.Object) string {
	name := o.Name.String()
	if o.Namespace != "" {
		name = o.Namespace.String() + "/" + name
	}
	return strings.TrimSpace(o.APIVersion.String() + " " + o.Kind.String() + " " + shorten(name))
}

// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"fmt"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
)

// credential says what people call a credential, and whether the cluster stops
// when it ends or something smaller does.
type credential struct {
	name   string // kubeadm's
	phrase string
	stops  bool // requests, scheduling or reconciling end for the whole cluster
}

// credentials knows the credentials of a kubeadm node. The front-proxy pair is
// not among those that stop the cluster: only aggregated APIs need it. Neither
// is the kubelet's: its node drops out. Who uses what:
// /docs/setup/best-practices/certificates of Kubernetes 1.37.
var credentials = []credential{
	{"apiserver", "the API server's serving certificate", true},
	{"apiserver-loopback", "the API server's in-memory loopback certificate", true},
	{"apiserver-etcd-client", "the API server's client certificate for etcd", true},
	{"etcd-server", "etcd's serving certificate", true},
	{"etcd-peer", "etcd's peer certificate", true},
	{"controller-manager.conf", "the controller manager's client certificate", true},
	{"scheduler.conf", "the scheduler's client certificate", true},
	{"ca", "the cluster's certificate authority", true},
	{"etcd-ca", "etcd's certificate authority", true},
	{"etcd-peer-ca", "etcd's certificate authority for peers", true},

	{"apiserver-kubelet-client", "the API server's client certificate for kubelets", false},
	{"kubelet-ca", "the certificate authority of the kubelets' serving certificates", false},
	{"front-proxy-client", "the API server's client certificate for aggregated APIs", false},
	{"front-proxy-ca", "the certificate authority for aggregated APIs", false},
	{"etcd-healthcheck-client", "etcd's health check certificate", false},
	{"admin.conf", "the client certificate in admin.conf", false},
	{"super-admin.conf", "the client certificate in super-admin.conf", false},
	{"kubelet.conf", "the kubelet's client certificate", false},
	{"kubelet", "the kubelet's serving certificate", false},
	{"controller-manager", "the controller manager's serving certificate", false},
	{"scheduler", "the scheduler's serving certificate", false},
	{"sa", "the service-account key", false},
}

func credentialOf(id fact.ID) credential {
	base := baseName(id)
	for _, c := range credentials {
		if c.name == base {
			return c
		}
	}
	name := id.Name()
	if name == "" {
		name = string(id)
	}
	return credential{name: name, phrase: shorten(fact.Text(name).String())}
}

// baseName is the name of the credential without the number that further
// certificates of a bundle, or servers behind one address, have ("ca#2").
func baseName(id fact.ID) string {
	name := id.Name()
	if i := strings.LastIndexByte(name, '#'); i > 0 {
		return name[:i]
	}
	return name
}

// nameLimit keeps a sentence readable when a name is a path or worse.
const nameLimit = 64

func shorten(s string) string {
	r := []rune(s)
	if len(r) <= nameLimit {
		return s
	}
	return string(r[:nameLimit/2]) + "…" + string(r[len(r)-nameLimit/2+1:])
}

// clause says what a finding of a code does; %s stands for the phrase.
type clause struct {
	code  finding.Code
	ends  string // at a date ahead
	ended string // at a date that has passed
	now   string // broken already
}

var clauses = []clause{
	{finding.CertificateExpires, "%s expires", "%s expired", "%s is expired"},
	{finding.CAExpires, "%s expires", "%s expired", "%s is expired"},
	{finding.LoopbackExpires, "%s expires", "%s expired", "%s is expired"},
	{finding.CertificateNotYetValid, "", "", "%s is not valid yet"},
	{finding.ServedCertificateStale,
		"%s was renewed on disk, but the old one is still served and expires",
		"%s was renewed on disk, but the old one is still served and expired",
		"%s was renewed on disk, but the old one is still served"},
	{finding.ServedCertificateUnknown, "", "", "%s is not what the port serves"},
	{finding.ClientIdentityStale,
		"%s was renewed on disk, but the old one is still in use and expires",
		"%s was renewed on disk, but the old one is still in use and expired",
		"%s was renewed on disk, but the old one is still in use"},
	{finding.LeafOutlivesCA, "", "", "%s claims to outlive its CA"},
	{finding.ChainBroken, "", "", "%s does not verify"},
	{finding.KeyMismatch, "", "", "%s and its key do not belong together"},
	{finding.KeyReadable, "", "", "the private key of %s can be read by others"},
	{finding.SANMissing, "", "", "%s does not cover an address in use"},
	{finding.CertificateFromOtherNode, "", "", "%s was made for another node"},
	{finding.FileMissing, "", "", "the file of %s is missing"},
	{finding.FileMalformed, "", "", "the file of %s cannot be understood"},
	{finding.ManifestDuplicate, "", "", "%s is a second manifest for one static pod"},
	{finding.CopyStale, "", "", "%s is older than what it was copied from"},
	{finding.OtherRenewer, "", "", "%s renews certificates, too"},
	{finding.ChangeUnfinished, "", "", "a change of this node was cut off, or is under way"},
	{finding.StandbyLeft, "", "", "a second API server, a standby, is there"},
	{finding.SteeringLeft, "", "", "new connections to the API server can be steered to a standby"},
	{finding.GuardLeft, "", "", "the endpoints of the service kubernetes are guarded"},
	{finding.HoldLeft, "", "", "connections of the API server carry a filter of a handover"},
	{finding.CheckpointReadable, "", "", "archives of checkpointed containers, and the memory in them, can be read by others"},
	{finding.CheckpointsFillDisk, "", "", "archives of checkpointed containers fill the disk"},
	{finding.SigningKey, "", "", "%s has no end"},
	{finding.ClockSuspect, "", "", "the clock cannot be right"},
	{finding.SupportEnds, "upstream's support of %s ends", "upstream's support of %s ended", "%s is not supported"},
	{finding.CalendarStale, "", "", "the release data in this program is old"},
}

// phraseOf is what people call the thing: a credential by its use, a release by
// its version.
func phraseOf(i Item) string {
	if i.Object != nil {
		return inObject(i)
	}
	if phrase, ok := partPhrase(i.ID); ok && i.OfUpgrade() {
		return phrase
	}
	if i.Code != finding.SupportEnds {
		return credentialOf(i.ID).phrase
	}
	for _, e := range i.Evidence {
		if e.Version != "" {
			return shorten(e.Version.String())
		}
	}
	return "this release"
}

// title says what happens, or has happened, as half a sentence.
func title(i Item, at time.Time) string {
	phrase := phraseOf(i)
	if format := upgradeClause(i); format != "" {
		return strings.ReplaceAll(format, "%s", phrase)
	}
	for _, c := range clauses {
		if c.code != i.Code {
			continue
		}
		format := c.now
		switch {
		case i.End.Now || i.End.None() || c.ends == "":
		case i.End.Date.IsZero() || !at.After(i.End.Date):
			format = c.ends
		default:
			format = c.ended
		}
		if !strings.Contains(format, "%s") {
			return format
		}
		return fmt.Sprintf(format, phrase)
	}
	if info, ok := finding.Explain(i.Code); ok {
		return phrase + ": " + info.Title
	}
	return phrase + ": " + string(i.Code)
}

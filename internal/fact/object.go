// SPDX-License-Identifier: Apache-2.0

package fact

import (
	"encoding/json"
	"time"
)

// Object is an object of the Kubernetes API, in a document or in a cluster.
// There may be many: they are pushed one by one and kept only where something
// follows from them.
type Object struct {
	APIVersion Text `json:"apiVersion"` // as the document has it, or as the API was asked for it
	Type       Text `json:"type"`       // its kind
	Namespace  Text `json:"namespace,omitempty"`
	Name       Text `json:"name,omitempty"` // generateName and "*" where there is only that
	// File and Line are the document's place: the path as it was given, "-" for
	// standard input, and the line of the apiVersion, from 1. Both are empty
	// for what a cluster holds.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// Uses are further API versions in which somebody uses the object.
	Uses []Use `json:"uses,omitempty"`
	// Content is the object as JSON, only for kinds whose content is judged
	// (layout says which), without the values of environment variables, without
	// the data of ConfigMaps and Secrets, and without the annotation
	// kubectl.kubernetes.io/last-applied-configuration.
	Content json.RawMessage `json:"content,omitempty"`
}

// Use is one sign that somebody uses an API version.
type Use struct {
	By         UsedBy    `json:"by"`
	APIVersion Text      `json:"apiVersion"`
	Who        Text      `json:"who,omitempty"` // the field manager, the Helm release and its revision, the webhook
	At         time.Time `json:"at,omitzero"`   // when it was last seen
}

// UsedBy is what shows that an API version is used.
type UsedBy string

// What shows a use.
const (
	LastApplied   UsedBy = "last-applied"   // the annotation of kubectl apply: what was applied then
	ManagedFields UsedBy = "managed-fields" // metadata.managedFields: who wrote in which version, and when
	HelmRelease   UsedBy = "helm"           // a deployed Helm release's manifest
	WebhookRule   UsedBy = "webhook"        // a webhook's rules ask for it
	StoredVersion UsedBy = "stored"         // status.storedVersions of a CustomResourceDefinition
)

// Requested is what the API server counted of requests for a deprecated API
// since it was started (apiserver_requested_deprecated_apis, stable since 1.22).
type Requested struct {
	Endpoint    string `json:"endpoint"`
	Group       Text   `json:"group,omitempty"`
	Version     Text   `json:"version"`
	Resource    Text   `json:"resource"`
	Subresource Text   `json:"subresource,omitempty"`
	RemovedIn   Text   `json:"removedIn,omitempty"` // a minor, as the server says
}

// EtcdMember is what a member of etcd told of itself.
type EtcdMember struct {
	Endpoint string `json:"endpoint"`
	Name     Text   `json:"name,omitempty"`
	Version  Text   `json:"version"` // 3.6.4
	// Hash is that of all keys up to Revision, and Compacted the revision up to
	// which history is gone: members whose hashes differ where both of these are
	// the same do not hold the same data. All zero where it was not asked.
	Hash      uint32 `json:"hash,omitempty"`
	Revision  int64  `json:"revision,omitempty"`
	Compacted int64  `json:"compacted,omitempty"`
	Learner   bool   `json:"learner,omitempty"`
	Alarms    []Text `json:"alarms,omitempty"` // NOSPACE, CORRUPT
}

// Platform is what of a machine decides whether newer components run on it.
type Platform struct {
	Kernel Text `json:"kernel,omitempty"` // as uname has it: 6.1.0-13-amd64
	// Cgroup is the version of the control groups that are mounted: 1 or 2, 0
	// where that could not be told.
	Cgroup  int  `json:"cgroup,omitempty"`
	Runtime Text `json:"runtime,omitempty"` // containerd://1.7.2, as the kubelet tells it; empty where nobody told
}

// ConfigDocument is a document of a configuration file that a flag names.
type ConfigDocument struct {
	Path       string `json:"path"`
	Line       int    `json:"line"` // of its apiVersion, from 1
	Component  string `json:"component"`
	Flag       string `json:"flag"`
	APIVersion Text   `json:"apiVersion"`
	Type       Text   `json:"type"` // its kind
	// Gates are the feature gates that it sets, by name.
	Gates map[string]bool `json:"gates,omitempty"`
	// Args are the flags in a file of environment variables, which has neither
	// version nor kind; Flag is the variable's name then, and Line its line.
	Args []string `json:"args,omitempty"`
	// Files are further ones that it names, as it names them.
	Files   []string `json:"files,omitempty"`
	Problem Text     `json:"problem,omitempty"`
}

// Kind implements Fact.
func (Object) Kind() Kind         { return KindObject }
func (Requested) Kind() Kind      { return KindRequested }
func (EtcdMember) Kind() Kind     { return KindEtcdMember }
func (Platform) Kind() Kind       { return KindPlatform }
func (ConfigDocument) Kind() Kind { return KindConfigDocument }

func (Object) fact()         {}
func (Requested) fact()      {}
func (EtcdMember) fact()     {}
func (Platform) fact()       {}
func (ConfigDocument) fact() {}

// SPDX-License-Identifier: Apache-2.0

package finding

// Upgrade says whether the next `kubeadm upgrade` of the node would renew a
// certificate.
type Upgrade struct {
	Renews  Renews `json:"renews"`
	Because string `json:"because"`          // one sentence
	Source  string `json:"source,omitempty"` // where in Kubernetes' sources, with the versions that were read
}

// Renews is how often an upgrade renews a certificate.
type Renews string

// The answers.
const (
	RenewsAlways    Renews = "always"    // at each upgrade
	RenewsSometimes Renews = "sometimes" // when its component changes
	RenewsNever     Renews = "never"
)

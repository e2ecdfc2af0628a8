// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"path"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// NamedFile is a file that a flag of a component names.
type NamedFile struct {
	Flag   string
	Inside string // as the component sees it
	OnHost string // empty: in the component's own image
}

// fileFlags are those of kube-apiserver that name a file which must be there
// when it starts (cmd/kube-apiserver/app/options, pkg/kubeapiserver/options and
// k8s.io/apiserver pkg/server/options, 1.25 to 1.37).
var fileFlags = []string{
	"admission-control-config-file", "audit-policy-file", "audit-webhook-config-file", "authentication-config",
	"authentication-token-webhook-config-file", "authorization-config", "authorization-policy-file",
	"authorization-webhook-config-file", "client-ca-file", "cloud-config", "egress-selector-config-file",
	"encryption-provider-config", "etcd-cafile", "etcd-certfile", "etcd-keyfile", "kubelet-certificate-authority",
	"kubelet-client-certificate", "kubelet-client-key", "oidc-ca-file", "peer-ca-file", "proxy-client-cert-file",
	"proxy-client-key-file", "requestheader-client-ca-file", "service-account-key-file",
	"service-account-signing-key-file", "tls-cert-file", "tls-private-key-file", "token-auth-file", "tracing-config-file",
}

// NamedFiles are the files that an API server's flags name, in the order of the
// flags' names: what a second one would read, too.
func (c Component) NamedFiles() []NamedFile {
	var all []NamedFile
	for _, flag := range fileFlags {
		values := c.Flags[flag]
		if len(values) > 1 && flag != "service-account-key-file" { // the last one counts
			values = values[len(values)-1:]
		}
		for _, inside := range values {
			f := NamedFile{Flag: flag, Inside: inside}
			if c.mounted(inside) {
				f.OnHost = c.onHost(inside)
			}
			if path.IsAbs(inside) && !slices.Contains(all, f) {
				all = append(all, f)
			}
		}
	}
	return all
}

// mounted says that a path in the component's container is one of the node's.
func (c Component) mounted(inside string) bool {
	inside = path.Clean(inside)
	return slices.ContainsFunc(c.Mounts, func(m fact.Mount) bool {
		return inside == m.Path || strings.HasPrefix(inside, strings.TrimSuffix(m.Path, "/")+"/")
	})
}

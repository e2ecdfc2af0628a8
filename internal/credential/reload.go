// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"time"

	"perennial.dev/perennial/internal/layout"
)

// reload is when a component takes up a replaced file.
type reload string

const (
	atStart     reload = "at start"          // only when the process starts
	onChange    reload = "on change"         // by itself, soon
	onHandshake reload = "on each handshake" // new connections at once; old ones keep what they have
)

// reloadRule is what is known of one flag of one component.
type reloadRule struct {
	component, flag string
	reload          reload
	latest          time.Duration // by when a change is taken up; 0: with the next connection
	because         string
}

const (
	dynamicFile = "the API server watches the file and looks again each minute (k8s.io/apiserver pkg/server/dynamiccertificates)"
	clientFile  = "client-go reads the file again at each new connection and every five minutes, and then closes the old ones (client-go transport/cert_rotation.go)"
	perDial     = "etcd's client reads the file at each new connection (go.etcd.io/etcd/client/pkg/v3/transport/listener.go)"
	perAccept   = "etcd reads the file at each handshake (go.etcd.io/etcd/client/pkg/v3/transport/listener.go)"
)

// reloads is read from the sources of Kubernetes 1.25 to 1.37 and etcd 3.5 to
// 3.7. What is not listed is read at start only.
var reloads = []reloadRule{
	{layout.APIServer, "tls-cert-file", onChange, time.Minute, dynamicFile},
	{layout.APIServer, "proxy-client-cert-file", onChange, time.Minute, dynamicFile},
	{layout.APIServer, "kubelet-client-certificate", onChange, 5 * time.Minute, clientFile},
	{layout.APIServer, "etcd-certfile", onHandshake, 0, perDial},
	{layout.Etcd, "cert-file", onHandshake, 0, perAccept},
	{layout.Etcd, "peer-cert-file", onHandshake, 0, perAccept},
}

// byReference is how any client-go program takes up a certificate that its
// kubeconfig names by path.
var byReference = reloadRule{reload: onChange, latest: 5 * time.Minute, because: clientFile}

func reloadOf(component, flag string) reloadRule {
	for _, r := range reloads {
		if r.component == component && r.flag == flag {
			return r
		}
	}
	return reloadRule{component: component, flag: flag, reload: atStart}
}

// TakesUp says how a component takes up a replaced credential: by itself, or
// only when it is started again. The sentence says why.
func TakesUp(c layout.Credential, u layout.Consumer, byPath bool) (itself bool, because string) {
	rule := reloadOf(u.Component, u.Flag)
	if byPath && u.Component != layout.Kubelet {
		rule = byReference
	}
	if rule.reload != atStart {
		return true, rule.because
	}
	if c.Role == layout.Kubeconfig {
		return false, "its client certificate is embedded in the kubeconfig, which is read once, at start (client-go transport/transport.go)"
	}
	return false, "it reads the file once, at start"
}

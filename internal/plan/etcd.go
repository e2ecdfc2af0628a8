// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"errors"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
)

// Etcd is how the node itself asks its etcd.
type Etcd struct {
	Endpoint string `json:"endpoint"` // host:port
	Cert     string `json:"cert"`     // path of the client certificate
	Key      string `json:"key"`      // path of its key
	CA       string `json:"ca"`       // path of the CA of the server
	Prefix   string `json:"prefix"`   // the API server's --etcd-prefix; empty: its default
	Address  string `json:"address"`  // the API server's own
}

// etcdClients are the credentials by which the node itself asks etcd, the one
// with the fewest rights first.
var etcdClients = []string{"etcd-healthcheck-client", "apiserver-etcd-client"}

// Etcds are the ways to ask the etcd of this node, the one to try first first.
func Etcds(seen Seen) ([]Etcd, error) {
	endpoint := seen.Layout.Endpoint(layout.Etcd)
	if endpoint == "" {
		return nil, errors.New("asking etcd: no port of it was found on this node")
	}
	api, _ := seen.Layout.Component(layout.APIServer)
	var all []Etcd
	for _, name := range etcdClients {
		c, ok := seen.Layout.ByID(fact.NodeID(seen.Layout.Node, name))
		if ok && c.Key != "" && len(c.Trust) > 0 {
			all = append(all, Etcd{
				Endpoint: endpoint, Cert: c.Path, Key: c.Key, CA: c.Trust[0],
				Prefix: api.Flags.Get("etcd-prefix"), Address: api.Flags.Get("advertise-address"),
			})
		}
	}
	if len(all) == 0 {
		return nil, errors.New("asking etcd: this node has no client certificate for it")
	}
	return all, nil
}

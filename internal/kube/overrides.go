// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// Overrides are what a person says beside a kubeconfig, with kubectl's flags. Empty
// fields leave what the kubeconfig says.
type Overrides struct {
	Cluster, User string // names of entries of the kubeconfig

	Server, TLSServerName, CertificateAuthority string
	Insecure                                    bool // the server's certificate is not verified

	As, AsUID string
	AsGroups  []string
	Timeout   time.Duration // of a single request; 0: this package's own bounds
}

func (o Overrides) apply(to *clientcmd.ConfigOverrides) {
	to.Context.Cluster, to.Context.AuthInfo = o.Cluster, o.User
	to.ClusterInfo = api.Cluster{Server: o.Server, TLSServerName: o.TLSServerName, CertificateAuthority: o.CertificateAuthority, InsecureSkipTLSVerify: o.Insecure}
	to.AuthInfo = api.AuthInfo{Impersonate: o.As, ImpersonateUID: o.AsUID, ImpersonateGroups: slices.Clone(o.AsGroups)}
}

// config is what the user's kubeconfig and the overrides say.
func (at Context) config() (clientcmd.ClientConfig, *clientcmd.ClientConfigLoadingRules) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = at.Kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: at.Name}
	at.Overrides.apply(overrides)
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides), rules
}

// Endpoint is the host:port of the context's API server. Nothing is asked, and no
// credential plugin is run.
func (at Context) Endpoint() (string, error) {
	loaded, rules := at.config()
	config, err := loaded.ClientConfig()
	if err != nil {
		return "", at.failed(rules, err)
	}
	u, err := url.Parse(config.Host)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("reading %s: its server is no URL", at)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80"}[u.Scheme]
	}
	if port == "" {
		port = "443"
	}
	return net.JoinHostPort(u.Hostname(), port), nil
}

// Contexts are the names of the contexts of a user's kubeconfig, sorted.
func (at Context) Contexts() ([]string, error) {
	loaded, rules := at.config()
	raw, err := loaded.RawConfig()
	if err != nil {
		return nil, at.failed(rules, err)
	}
	var all []string
	for name := range raw.Contexts {
		all = append(all, name)
	}
	slices.Sort(all)
	return all, nil
}

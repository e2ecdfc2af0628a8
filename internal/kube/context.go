// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/kuberc"
)

// Context says which cluster a person means, and as whom, the way kubectl finds
// it. What changes something takes a Kubeconfig instead, which is read more
// strictly.
type Context struct {
	// Kubeconfig is the path of the one file to read. Where it is empty, those
	// of $KUBECONFIG are merged, else ~/.kube/config is read, else a pod's
	// service account is used.
	Kubeconfig string
	// Name is the context's; empty is the current one.
	Name string
	// Plugins says which credential plugins may be run, and is asked where the
	// context has one. Nil allows all, as kubectl without preferences does.
	Plugins func() (kuberc.Policy, error)
	// Overrides are what is said beside the kubeconfig.
	Overrides Overrides
}

// ErrNoKubeconfig: there is nothing that says which cluster is meant.
var ErrNoKubeconfig = errors.New("there is no kubeconfig with a cluster in it: set --kubeconfig, or the variable KUBECONFIG")

// Pace of a client that reads much: kubectl's 50 requests a second, with a
// smaller burst. Twenty pages of 500 objects a second are more than a server
// delivers.
const (
	contextQPS   = 50
	contextBurst = 50
)

// OpenContext makes a client for a context of a user's kubeconfig, with what
// kubectl knows: several files, credential plugins, tokens, proxies, other
// users' names, a path in front of the API. Nothing is asked yet, but that
// a credential plugin may be run with the first question. The version is the
// program's own, for the User-Agent.
func OpenContext(at Context, version string) (*Client, error) {
	quiet()
	loaded, rules := at.config()
	config, err := loaded.ClientConfig()
	if err != nil {
		return nil, at.failed(rules, err)
	}
	if err := at.restrict(config); err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	config.UserAgent = strings.TrimSuffix("perennial/"+version, "/")
	config.ContentConfig = rest.ContentConfig{NegotiatedSerializer: serializer.NewCodecFactory(scheme).WithoutConversion()}
	config.QPS, config.Burst = contextQPS, contextBurst
	config.WarningHandler = rest.NoWarnings{}
	// Every question has its own time; one for all would end a list in its middle,
	// and is for who asks for it.
	config.Timeout = at.Overrides.Timeout
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", at, told{err})
	}
	asks, err := rest.UnversionedRESTClientForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("asking the API server at %s: %w", told{errors.New(config.Host)}, told{err})
	}
	return &Client{server: address(config.Host), rest: asks, http: client}, nil
}

// restrict hands the user's policy for credential plugins to client-go, which knows
// one since 0.35 and asks it before a plugin is run.
func (at Context) restrict(config *rest.Config) error {
	if config.ExecProvider == nil || at.Plugins == nil {
		return nil
	}
	policy, err := at.Plugins()
	if err != nil {
		return fmt.Errorf("asking whether the credential plugin of %s may be run: %w", at, told{err})
	}
	allowed := api.PluginPolicy{PolicyType: api.PolicyType(policy.Type)}
	for _, a := range policy.Allow {
		allowed.Allowlist = append(allowed.Allowlist, api.AllowlistEntry{Command: a.Command})
	}
	config.ExecProvider.PluginPolicy = allowed
	return nil
}

// Server is the address that the client asks, without the scheme.
func (c *Client) Server() string { return c.server }

// String names the place where a context was looked for.
func (at Context) String() string {
	where := "the kubeconfig"
	if at.Kubeconfig != "" {
		where = at.Kubeconfig
	}
	if at.Name != "" {
		where = fmt.Sprintf("the context %s of %s", fact.Text(at.Name), where)
	}
	return where
}

// failed words what client-go says of a kubeconfig. What it says of a file that
// it cannot parse may quote the file, and with it a key: that is left out.
func (at Context) failed(rules *clientcmd.ClientConfigLoadingRules, err error) error {
	var path *fs.PathError
	switch {
	case clientcmd.IsEmptyConfig(err):
		return fmt.Errorf("reading %s: %w", at, ErrNoKubeconfig)
	case clientcmd.IsContextNotFound(err), at.Name != "" && strings.Contains(err.Error(), fmt.Sprintf("context %q does not exist", at.Name)):
		return fmt.Errorf("reading %s: there is no such context: kubectl config get-contexts lists them", at)
	case errors.As(err, &path) && !strings.Contains(err.Error(), "error loading config file"):
		return fmt.Errorf("reading %s: %w", at, told{path})
	case clientcmd.IsConfigurationInvalid(err):
		return fmt.Errorf("reading %s: %w", at, told{err})
	}
	for _, file := range append([]string{rules.ExplicitPath}, rules.Precedence...) {
		if file == "" {
			continue
		}
		if _, err := clientcmd.LoadFromFile(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			if errors.As(err, &path) {
				return fmt.Errorf("reading %s: %w", file, told{path})
			}
			return fmt.Errorf("reading %s: it is no kubeconfig that client-go understands", file)
		}
	}
	return fmt.Errorf("reading %s: what it says of the cluster or of the user cannot be used", at)
}

// address is a server's without the scheme; kubeconfigs have URLs.
func address(host string) string {
	u, err := url.Parse(host)
	if err != nil || u.Host == "" {
		return host
	}
	return u.Host + strings.TrimSuffix(u.Path, "/")
}

// Patience bounds how long one question may take, all its repetitions included.
// Its zero value is DefaultPatience.
type Patience struct {
	Page time.Duration // one page of a list, from the question to its last byte
	Wait time.Duration // what a busy server may ask for before it is left alone
}

// DefaultPatience suits a large cluster behind a slow line.
var DefaultPatience = Patience{Page: 30 * time.Second, Wait: 5 * time.Second}

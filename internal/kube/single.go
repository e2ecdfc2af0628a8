// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// ConfigMap reads the data of a ConfigMap; nil where there is none.
func (c *Client) ConfigMap(ctx context.Context, namespace, name string) (map[string]string, error) {
	var answer struct {
		Data map[string]string `json:"data"`
	}
	err := c.get(ctx, "for the ConfigMap "+namespace+"/"+name, &answer, "/api/v1/namespaces", namespace, "configmaps", name)
	if NotFound(err) {
		return nil, nil
	}
	return answer.Data, err
}

// NodeProxy is the right that NodeConfig needs. The server asks for it whatever
// the path behind it is (apiserver pkg/endpoints/request/requestinfo.go: the
// subresource of nodes/N/proxy/configz is proxy). nodes/configz, which a kubelet
// knows since 1.33 (KEP-2862, gate KubeletFineGrainedAuthz,
// pkg/kubelet/server/auth.go), is asked for by the kubelet's own port only, of
// whoever talks to it directly; through the API server it helps nobody.
var NodeProxy = Access{Verb: "get", Resource: "nodes", Subresource: "proxy"}

// NodeConfig asks a node's kubelet, through the API server, for the
// configuration that it runs with: the JSON of a KubeletConfiguration without
// its apiVersion. It needs NodeProxy.
func (c *Client) NodeConfig(ctx context.Context, node string) (json.RawMessage, error) {
	var answer struct {
		Kubelet json.RawMessage `json:"kubeletconfig"`
	}
	if err := c.get(ctx, "for the kubelet's configuration of "+node, &answer, "/api/v1/nodes", node, "proxy/configz"); err != nil {
		return nil, err
	}
	if len(answer.Kubelet) == 0 {
		return nil, c.failed(ctx, "for the kubelet's configuration of "+node, errors.New("its answer has no kubeletconfig"))
	}
	return answer.Kubelet, nil
}

// NotFound says whether the server answered that there is no such thing.
func NotFound(err error) bool { return apierrors.IsNotFound(err) }

// NotListed says whether the server cannot list what it says that it serves: it
// was taken away meanwhile, or there is no such method.
func NotListed(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err)
}

// Busy says whether the server had too much to do.
func Busy(err error) bool { return apierrors.IsTooManyRequests(err) }

// Unreachable says whether nobody answered: no name, no route, refused, another
// cluster's certificate, or silence.
func Unreachable(err error) bool {
	var status apierrors.APIStatus
	return err != nil && !errors.As(err, &status) && !errors.Is(err, ErrGarbled) && !errors.Is(err, ErrForbidden)
}

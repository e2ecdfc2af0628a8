// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
)

// The service by which programs in the cluster reach its API servers.
const (
	serviceName      = "kubernetes"
	serviceNamespace = "default"
)

// Service is the service kubernetes in the namespace default.
type Service struct {
	// Servers are the ready API servers behind it, sorted.
	Servers []netip.AddrPort
	// ClusterIPs are its own addresses, the preferred family first.
	ClusterIPs []netip.Addr
	// Port is its own, 443 unless the cluster has another.
	Port uint16
}

// endpointSlices is a discovery.k8s.io/v1 EndpointSliceList.
type endpointSlices struct {
	Items []struct {
		Endpoints []struct {
			Addresses  []string `json:"addresses"`
			Conditions struct {
				Ready *bool `json:"ready"` // absent is ready
			} `json:"conditions"`
		} `json:"endpoints"`
		Ports []struct {
			Name *string `json:"name"`
			Port *uint16 `json:"port"`
		} `json:"ports"`
	} `json:"items"`
}

// Endpoints asks for the service kubernetes and the API servers behind it, as
// kube-proxy sees them: by its EndpointSlices.
func (c *Client) Endpoints(ctx context.Context) (Service, error) {
	var service struct {
		Spec struct {
			ClusterIPs []netip.Addr `json:"clusterIPs"`
			Ports      []struct {
				Name string `json:"name"`
				Port uint16 `json:"port"`
			} `json:"ports"`
		} `json:"spec"`
	}
	if err := c.get(ctx, "for the service kubernetes", &service, "/api/v1/namespaces", serviceNamespace, "services", serviceName); err != nil {
		return Service{}, err
	}
	found := Service{ClusterIPs: service.Spec.ClusterIPs}
	for _, port := range service.Spec.Ports {
		if found.Port == 0 || port.Name == "https" {
			found.Port = port.Port
		}
	}
	var slices endpointSlices
	err := c.do(ctx, request{
		about: "for the addresses of the service kubernetes", verb: http.MethodGet,
		path:  []string{"/apis/discovery.k8s.io/v1/namespaces", serviceNamespace, "endpointslices"},
		query: map[string]string{"labelSelector": "kubernetes.io/service-name=" + serviceName},
	}, &slices)
	if err != nil {
		return Service{}, err
	}
	found.Servers, err = slices.ready()
	if err != nil {
		return Service{}, fmt.Errorf("asking the API server at %s for the addresses of the service kubernetes: %w", c.server, err)
	}
	return found, nil
}

// ready lists the addresses that traffic goes to, each once.
func (s endpointSlices) ready() ([]netip.AddrPort, error) {
	var all []netip.AddrPort
	for _, slice := range s.Items {
		for _, port := range slice.Ports {
			if port.Port == nil || port.Name != nil && *port.Name != "" && *port.Name != "https" {
				continue
			}
			for _, e := range slice.Endpoints {
				if e.Conditions.Ready != nil && !*e.Conditions.Ready {
					continue
				}
				for _, text := range e.Addresses {
					address, err := netip.ParseAddr(text)
					if err != nil {
						return nil, fmt.Errorf("%q is no address", text)
					}
					all = append(all, netip.AddrPortFrom(address, *port.Port))
				}
			}
		}
	}
	slices.SortFunc(all, netip.AddrPort.Compare)
	return slices.Compact(all), nil
}

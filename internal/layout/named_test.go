// SPDX-License-Identifier: Apache-2.0

package layout_test

import (
	"reflect"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
)

func TestNamedFiles(t *testing.T) {
	c := layout.Component{
		Name: layout.APIServer, Mounts: []fact.Mount{{HostPath: "/srv/pki", Path: "/etc/kubernetes/pki"}, {HostPath: "/srv/enc.yaml", Path: "/enc/config.yaml"}},
		Flags: layout.ParseFlags([]string{
			"--tls-cert-file=/old", "--tls-cert-file=/etc/kubernetes/pki/apiserver.crt", "--encryption-provider-config=/enc/config.yaml",
			"--service-account-key-file=/etc/kubernetes/pki/a.pub", "--service-account-key-file=/etc/kubernetes/pki/b.pub",
			"--audit-policy-file=/etc/in-the-image.yaml", "--cloud-config=relative", "--v=2",
		}),
	}
	want := []layout.NamedFile{
		{Flag: "audit-policy-file", Inside: "/etc/in-the-image.yaml"},
		{Flag: "encryption-provider-config", Inside: "/enc/config.yaml", OnHost: "/srv/enc.yaml"},
		{Flag: "service-account-key-file", Inside: "/etc/kubernetes/pki/a.pub", OnHost: "/srv/pki/a.pub"},
		{Flag: "service-account-key-file", Inside: "/etc/kubernetes/pki/b.pub", OnHost: "/srv/pki/b.pub"},
		{Flag: "tls-cert-file", Inside: "/etc/kubernetes/pki/apiserver.crt", OnHost: "/srv/pki/apiserver.crt"},
	}
	if got := c.NamedFiles(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

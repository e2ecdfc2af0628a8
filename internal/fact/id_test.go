// SPDX-License-Identifier: Apache-2.0

package fact_test

import (
	"testing"

	"perennial.dev/perennial/internal/fact"
)

func TestObjectID(t *testing.T) {
	for want, o := range map[fact.ID]fact.Object{
		"manifest/apps/Deployment/shop/web":          {APIVersion: "apps/v1", Type: "Deployment", Namespace: "shop", Name: "web", File: "a.yaml", Line: 3},
		"manifest/core/Pod/-/*":                      {APIVersion: "v1", Type: "Pod", Name: "*", File: "-"},
		"cluster/PodSecurityPolicy/-/privileged":     {APIVersion: "policy/v1beta1", Type: "PodSecurityPolicy", Name: "privileged"},
		"cluster/ClusterRole/-/system:node":          {APIVersion: "rbac.authorization.k8s.io/v1", Type: "ClusterRole", Name: "system:node"},
		"manifest/_x/Kind_b/name_space/a_\\-slash_b": {APIVersion: "\nx/v1", Type: "Kind b", Namespace: "name\u202espace", Name: "a_\\-slash/b", File: "x"},
	} {
		if got := fact.ObjectID(o); got != want {
			t.Errorf("%+v has the ID %s, want %s", o, got, want)
		}
	}
}

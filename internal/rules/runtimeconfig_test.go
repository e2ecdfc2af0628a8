// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"testing"

	"perennial.dev/perennial/internal/release"
)

func TestRuntimeConfig(t *testing.T) {
	s := load(t)
	for _, c := range []struct {
		entry string
		minor release.Minor
		why   string // empty: the server starts
	}{
		{"api/all=true", 37, ""},
		{"api/beta=false", 25, ""},
		{"api/all=yes", 37, "invalid value api/all=yes"},
		{"api/legacy=true", 37, "unknown api groups api"},
		{"v1=true", 37, "runtime-config invalid key v1"},
		{"/v1=true", 37, ""},
		{"batch/v1", 37, ""},
		{"batch/v1=maybe", 37, "invalid value of batch/v1: maybe"},
		{"batch/v2alpha1=true", 20, ""},
		{"batch/v2alpha1=true", 21, "group version batch/v2alpha1 that has not been registered"},
		{"scheduling.k8s.io/v1alpha2=true", 36, ""},
		{"scheduling.k8s.io/v1alpha2=true", 37, "group version scheduling.k8s.io/v1alpha2 that has not been registered"},
		{"settings.k8s.io/v1alpha1=true", 19, ""},
		{"settings.k8s.io/v1alpha1=true", 20, "unknown api groups settings.k8s.io"},
		{"stable.example.com/v1=true", 37, "unknown api groups stable.example.com"},
		{"extensions/v1beta1/ingresses=true", 19, ""},
		{"apps/v1/Deployments=true", 23, ""},
		{"apps/v1/Deployments=true", 24, "invalid key apps/v1/Deployments: resource is always lowercase plural"},
		{"a/b/c/d=true", 37, "runtime-config invalid key a/b/c/d"},
	} {
		if ok, why := s.RuntimeConfig(c.entry, c.minor); ok != (c.why == "") || why != c.why {
			t.Errorf("%s with %s: %v, %q, want %q", c.minor, c.entry, ok, why, c.why)
		}
	}
}

func TestRuntimeConfigsKnowTheWholeFlag(t *testing.T) {
	s := load(t)
	if refused := s.RuntimeConfigs("api/all=false", 37); len(refused) != 1 {
		t.Errorf("nothing but api/all=false: %v", refused)
	}
	if refused := s.RuntimeConfigs("api/all=false, /v1=true,", 37); len(refused) != 0 {
		t.Errorf("api/all=false and more: %v", refused)
	}
	if refused := s.RuntimeConfigs("x/v1=true,batch/v1=true,y/v1=true", 37); len(refused) != 2 || refused[1].Entry != "y/v1=true" {
		t.Errorf("two of three: %v", refused)
	}
}

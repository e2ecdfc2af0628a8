// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"testing"

	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/plan"
)

// Whoever names one of the two has the other from the plan, as the flags say.
func TestUndoReachesTheClusterAsThen(t *testing.T) {
	for name, c := range map[string]struct {
		then, given, want kube.Context
	}{
		"nothing is given": {kube.Context{Kubeconfig: "/then", Name: "prod"}, kube.Context{}, kube.Context{Kubeconfig: "/then", Name: "prod"}},
		"a context":        {kube.Context{Kubeconfig: "/then", Name: "prod"}, kube.Context{Name: "new"}, kube.Context{Kubeconfig: "/then", Name: "new"}},
		"a kubeconfig":     {kube.Context{Kubeconfig: "/then", Name: "prod"}, kube.Context{Kubeconfig: "/now"}, kube.Context{Kubeconfig: "/now", Name: "prod"}},
		"both":             {kube.Context{Kubeconfig: "/then"}, kube.Context{Kubeconfig: "/now", Name: "new"}, kube.Context{Kubeconfig: "/now", Name: "new"}},
		"none ever":        {kube.Context{}, kube.Context{}, kube.Context{}},
	} {
		o := prepareOptions{kubeconfig: c.given.Kubeconfig, context: c.given.Name}
		at, err := o.atNow(plan.Cluster{Kubeconfig: c.then.Kubeconfig, Context: c.then.Name})
		if err != nil || at.Kubeconfig != c.want.Kubeconfig || at.Name != c.want.Name {
			t.Errorf("%s: %q of %q, %v; want %q of %q", name, at.Name, at.Kubeconfig, err, c.want.Name, c.want.Kubeconfig)
		}
	}
}

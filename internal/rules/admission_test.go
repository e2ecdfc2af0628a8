// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"strings"
	"testing"

	"perennial.dev/perennial/internal/release"
)

func TestAdmissionPlugins(t *testing.T) {
	s := load(t)
	for name, want := range map[string]struct{ last, defaultUntil release.Minor }{
		"PodSecurityPolicy":   {24, 0},
		"SecurityContextDeny": {29, 0},
		"PodSecurity":         {37, 37},
		"NodeRestriction":     {37, 0}, // kubeadm enables it
	} {
		plugin, ok := s.AdmissionPlugin(name)
		if !ok || !plugin.Known.Has(want.last) || plugin.Known.Has(want.last+1) {
			t.Errorf("%s is known in %s, want it until %s", name, plugin.Known, want.last)
		}
		if plugin.Default.Has(want.last) != (want.defaultUntil != 0) {
			t.Errorf("%s runs by default in %s", name, plugin.Default)
		}
	}
	if _, ok := s.AdmissionPlugin("NoSuchPlugin"); ok {
		t.Error("NoSuchPlugin is known")
	}
	if got := len(s.AdmissionPlugins(37)); got != 39 {
		t.Errorf("1.37 knows %d plugins, its own help lists 39", got)
	}
}

func TestAdmissionRowsWithoutOriginAreRefused(t *testing.T) {
	head := "# as-of: 2026-11-22\n" + strings.Join(admissionDefinition.columns, ",") + "\n"
	const cited = "k8s.io/kubernetes@v1.37.0:pkg/kubeapiserver/options/plugins.go"
	const good = "A,1.19-1.37,1.25-1.37,measured," + cited + "\n"
	if err := new(Set).read(admissionDefinition, []byte(head+good)); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]string{
		"no origin":       strings.Replace(good, "measured", "", 1),
		"no citation":     strings.Replace(good, cited, "", 1),
		"on, not known":   strings.Replace(good, "1.19-1.37", "1.19-1.30", 1),
		"known in no one": strings.Replace(good, "1.19-1.37,1.25-1.37", ",", 1),
		"twice":           good + good,
	} {
		if err := new(Set).read(admissionDefinition, []byte(head+row)); err == nil {
			t.Errorf("%s: read without an error", name)
		}
	}
}

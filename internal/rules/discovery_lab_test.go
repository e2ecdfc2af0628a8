// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/testlab"
)

// recordVariable asks to write what servers say to testdata.
const recordVariable = "PERENNIAL_RECORD"

// everything are the flags that enable all APIs and gates.
const everything = "--runtime-config=api/all=true --feature-gates=AllAlpha=true,AllBeta=true"

// Real servers are asked again, with default flags and with everything enabled.
func TestLabDiscovery(t *testing.T) {
	testlab.Each(t, func(p *testlab.Plane) {
		for _, mode := range []string{"default", "all"} {
			if mode == "all" {
				enableAll(p)
			}
			kinds := discover(p)
			file := filepath.Join("testdata/discovery", p.Version+"-"+mode+".txt")
			if os.Getenv(recordVariable) != "" {
				text := fmt.Sprintf("# SPDX-License-Identifier: Apache-2.0\n# Discovery of a kube-apiserver v%s built from its modules, with %s.\n%s\n",
					p.Version, map[string]string{"default": "default flags", "all": everything}[mode], strings.Join(kinds, "\n"))
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					p.Fatal(err)
				}
				continue
			}
			compareDiscovery(p.T, load(p.T), p.Version, mode, kinds)
		}
	})
}

// enableAll restarts the API server with all APIs and gates.
func enableAll(p *testlab.Plane) {
	p.Helper()
	manifest := filepath.Join(p.KubernetesDir, "manifests/kube-apiserver.yaml")
	data := string(p.Read("manifests/kube-apiserver.yaml"))
	first := strings.Index(data, "    - --")
	if first < 0 {
		p.Fatalf("no flags in %s", manifest)
	}
	for flag := range strings.FieldsSeq(everything) {
		data = data[:first] + "    - " + flag + "\n" + data[first:]
	}
	if err := os.WriteFile(manifest, []byte(data), 0o600); err != nil {
		p.Fatal(err)
	}
	// With every alpha feature a server may serve and never call itself ready.
	_, _, _ = p.Try("restart", "kube-apiserver")
}

// discover asks for every group and version that is served, and for its kinds.
func discover(p *testlab.Plane) []string {
	p.Helper()
	var groups struct {
		Groups []struct {
			Versions []struct {
				GroupVersion string `json:"groupVersion"`
			} `json:"versions"`
		} `json:"groups"`
	}
	p.Refresh()
	ask(p, "/apis", &groups)
	paths := map[string]string{"v1": "/api/v1"}
	for _, g := range groups.Groups {
		for _, v := range g.Versions {
			paths[v.GroupVersion] = "/apis/" + v.GroupVersion
		}
	}
	kinds := map[string]bool{}
	for apiVersion, path := range paths {
		var served struct {
			Resources []struct {
				Kind, Group, Version string
			} `json:"resources"`
		}
		ask(p, path, &served)
		for _, r := range served.Resources {
			if strings.HasSuffix(r.Kind, "Options") {
				continue // parameters of a connection, such as PodExecOptions, and no objects
			}
			of := ParseAPIVersion(apiVersion, r.Kind)
			if r.Version != "" { // a subresource that takes another group's kind
				of = GroupVersionKind{r.Group, r.Version, r.Kind}
			}
			kinds[of.String()] = true
		}
	}
	var all []string
	for kind := range kinds {
		all = append(all, kind)
	}
	slices.Sort(all)
	return all
}

// ask waits for a server that has just been started.
func ask(p *testlab.Plane, path string, answer any) {
	p.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Second) {
		out, ok := p.Kubectl("get", "--raw", path)
		if ok {
			if err := json.Unmarshal([]byte(out), answer); err != nil {
				p.Fatal(err)
			}
			return
		}
		if time.Now().After(deadline) {
			p.Fatalf("GET %s: %s", path, out)
		}
	}
}

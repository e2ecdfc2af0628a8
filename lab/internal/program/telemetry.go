// SPDX-License-Identifier: Apache-2.0

package program

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

// instrumentation are modules that are released together and compile only
// together. Each of them asks for the others' version by nothing but that.
const instrumentation = "go.opentelemetry.io/contrib/instrumentation/"

// alignTelemetry lifts Kubernetes' instrumentation to etcd's, where that is
// newer: Kubernetes 1.28.15 names 0.35, the etcd that its kubeadm deploys 0.46,
// and a program of both would mix the two. Everything else stays as it is.
func alignTelemetry(goMod []byte, kubeGoMod, etcdGoMod string) ([]byte, error) {
	theirs, err := instruments(kubeGoMod)
	if err != nil {
		return nil, err
	}
	etcds, err := instruments(etcdGoMod)
	if err != nil {
		return nil, err
	}
	newest := ""
	for path, version := range etcds {
		if semver.Compare(version, theirs[path]) > 0 && theirs[path] != "" && semver.Compare(version, newest) > 0 {
			newest = version
		}
	}
	if newest == "" {
		return goMod, nil
	}
	file, err := modfile.Parse("go.mod", goMod, nil)
	if err != nil {
		return nil, err
	}
	for path := range theirs {
		if err := file.AddRequire(path, newest); err != nil {
			return nil, err
		}
	}
	return file.Format()
}

// instruments are the instrumentation modules that a go.mod names.
func instruments(goMod string) (map[string]string, error) {
	data, err := os.ReadFile(goMod)
	if err != nil {
		return nil, err
	}
	file, err := modfile.Parse(goMod, data, nil)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", goMod, err)
	}
	versions := map[string]string{}
	for _, r := range file.Require {
		if strings.HasPrefix(r.Mod.Path, instrumentation) {
			versions[r.Mod.Path] = r.Mod.Version
		}
	}
	return versions, nil
}

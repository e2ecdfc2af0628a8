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

// telemetry is what instrumentation is written for; 1.0 has another interface than
// what came before it.
const telemetry = "go.opentelemetry.io/otel"

// pinsTelemetry says whether Kubernetes holds telemetry at an older version than
// etcd asks for: 1.24.17 holds 0.20, and the etcd 3.5.6 that its kubeadm deploys
// asks for 1.0. Then only the etcd that it is linked with itself compiles with it.
func pinsTelemetry(kubeGoMod, etcdGoMod string) (bool, error) {
	theirs, err := readGoMod(kubeGoMod)
	if err != nil {
		return false, err
	}
	etcds, err := readGoMod(etcdGoMod)
	if err != nil {
		return false, err
	}
	for _, pin := range theirs.Replace {
		for _, wanted := range etcds.Require {
			if pin.Old.Path == telemetry && wanted.Mod.Path == telemetry && semver.Compare(wanted.Mod.Version, pin.New.Version) > 0 {
				return true, nil
			}
		}
	}
	return false, nil
}

func readGoMod(name string) (*modfile.File, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	file, err := modfile.Parse(name, data, nil)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return file, nil
}

// instruments are the instrumentation modules that a go.mod names.
func instruments(goMod string) (map[string]string, error) {
	file, err := readGoMod(goMod)
	if err != nil {
		return nil, err
	}
	versions := map[string]string{}
	for _, r := range file.Require {
		if strings.HasPrefix(r.Mod.Path, instrumentation) {
			versions[r.Mod.Path] = r.Mod.Version
		}
	}
	return versions, nil
}

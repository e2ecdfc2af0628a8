// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
)

// KubectlName is what an Unseen of a kubectl names as its source.
const KubectlName = "kubectl"

// Kubectls finds the programs called kubectl in directories and says of which
// version each is, as "v1.37.0". The file is read and not run: whoever may write
// into one of the directories would be run as whoever asks. What is no file of
// that name is absent; one that does not say its version is an Unseen.
func Kubectls(ctx context.Context, dirs []string, see func(path, version string), unseen func(fact.Unseen)) {
	var seen []os.FileInfo
	for _, dir := range dirs {
		if !filepath.IsAbs(dir) {
			continue
		}
		path := filepath.Join(dir, "kubectl")
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist), err == nil && (!info.Mode().IsRegular() || info.Mode()&0o111 == 0):
			continue
		case err == nil:
			if slices.ContainsFunc(seen, func(other os.FileInfo) bool { return os.SameFile(info, other) }) {
				continue
			}
			seen = append(seen, info)
			var version string
			if version, err = host.LinkedVersion(ctx, path); err == nil {
				see(path, version)
				continue
			}
		}
		u := fact.Unseen{Source: KubectlName, What: fact.Text("the version of " + path), Why: host.Why(err), Detail: fact.Text(host.Cause(err).Error()), Hint: fact.Text(path + " version --client")}
		if ctx.Err() != nil {
			u.Why, u.Detail, u.Hint = fact.Canceled, notLooked, ""
		}
		unseen(u)
	}
}

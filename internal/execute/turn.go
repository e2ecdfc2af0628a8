// SPDX-License-Identifier: Apache-2.0

package execute

import (
	"context"
	"fmt"
	"path"

	"perennial.dev/perennial/internal/pki"
	"perennial.dev/perennial/internal/plan"
)

// turned is a kubelet's kubeconfig that names the file that the kubelet renews.
func (r *Runner) turned(ctx context.Context, s plan.Step) ([]content, error) {
	data, err := r.Hands.Read(ctx, s.Turn.Conf)
	if err != nil {
		return nil, err
	}
	conf, _ := pki.ReadKubeconfig(data, path.Dir(s.Turn.Conf))
	if pki.CurrentFingerprint(conf) != s.Turn.Had {
		return nil, fmt.Errorf("reading %s: it holds another certificate than was planned for; plan again", s.Turn.Conf)
	}
	changed, err := pki.RetargetKubelet(data, s.Turn.Current)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", s.Turn.Conf, err)
	}
	return []content{{path: s.Turn.Conf, data: changed}}, nil
}

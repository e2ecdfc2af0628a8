// SPDX-License-Identifier: Apache-2.0

package execute

import (
	"context"
	"errors"
	"fmt"
	"path"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/pki"
	"perennial.dev/perennial/internal/plan"
)

// refreshed puts what a kubeconfig holds now into a copy of it: the certificate
// of one user, and its key where that is another. All else stays.
func (r *Runner) refreshed(ctx context.Context, s plan.Step) ([]content, error) {
	original, err := r.Hands.Read(ctx, s.Copy.From)
	if err != nil {
		return nil, err
	}
	conf, _ := pki.ReadKubeconfig(original, path.Dir(s.Copy.From))
	leaf, ok := pki.CurrentLeaf(conf)
	if !ok {
		return nil, fmt.Errorf("reading %s: its current user has no certificate", s.Copy.From)
	}
	key, err := pki.KubeconfigKey(original)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", s.Copy.From, err)
	}
	data, err := r.Hands.Read(ctx, s.Copy.Path)
	if err != nil {
		return nil, err
	}
	same, err := holds(data, s.Copy, key.Public())
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", s.Copy.Path, err)
	}
	if same {
		key = nil
	}
	changed, err := pki.ReplaceKubeconfig(data, string(s.Copy.User), leaf, key)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", s.Copy.Path, err)
	}
	return []content{{path: s.Copy.Path, data: changed}}, nil
}

// holds makes sure that a copy is what was planned for, with the key of its
// certificate, and says whether the key is the given one.
func holds(data []byte, c *plan.Copy, key fact.Key) (same bool, err error) {
	conf, problem := pki.ReadKubeconfig(data, path.Dir(c.Path))
	if conf == nil {
		return false, errors.New(problem.String())
	}
	for _, u := range conf.Users {
		if u.Name != c.User || len(u.Certs) == 0 || u.Certs[0].Fingerprint() != c.Had || u.Key == nil || !pki.KeyMatches(*u.Key, u.Certs[0]) {
			continue
		}
		return u.Key.Fingerprint == key.Fingerprint, nil
	}
	return false, errors.New("it holds another certificate than was planned for; plan again")
}

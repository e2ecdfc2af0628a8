// SPDX-License-Identifier: Apache-2.0

package execute

import (
	"context"
	"fmt"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/pki"
	"perennial.dev/perennial/internal/plan"
)

// requested makes a signing request, and the key that it is for where there is
// none. The key comes first: a request without its key is of no use.
func (r *Runner) requested(ctx context.Context, s plan.Step) ([]content, error) {
	sign := s.Sign
	wanted, _, err := r.wanted(ctx, sign)
	if err != nil {
		return nil, err
	}
	var contents []content
	if sign.MakeKey != nil {
		if wanted.Key, err = pki.NewPrivateKey(*sign.MakeKey, r.Rand); err != nil {
			return nil, err
		}
		contents = append(contents, content{path: sign.KeyFrom, data: wanted.Key.PEM()})
	} else if wanted.Key, err = r.privateKey(ctx, sign.KeyFrom, sign.Conf && sign.KeyFrom == sign.Cert); err != nil {
		return nil, err
	}
	request, err := pki.NewRequest(wanted, r.Rand)
	if err != nil {
		return nil, err
	}
	return append(contents, content{path: sign.Request, data: request}), nil
}

// accepted puts what an external CA signed in place, after comparing key,
// names, usages, dates and chain.
func (r *Runner) accepted(ctx context.Context, s plan.Step) ([]content, error) {
	sign := s.Sign
	wanted, data, err := r.wanted(ctx, sign)
	if err != nil {
		return nil, err
	}
	if wanted.Key, err = r.privateKey(ctx, sign.KeyFrom, sign.Conf && sign.KeyFrom == sign.Cert); err != nil {
		return nil, err
	}
	signed, err := r.Hands.Read(ctx, sign.Signed)
	if err != nil {
		return nil, err
	}
	bundle, err := r.Hands.Read(ctx, sign.CA)
	if err != nil {
		return nil, err
	}
	leaf, chain, err := pki.Accept(signed, wanted, pki.Read(bundle).Certs, r.Now())
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", sign.Signed, err)
	}
	if data == nil {
		return r.fresh(ctx, sign, leaf, chain, wanted.Key, sign.NewKey)
	}
	key := wanted.Key
	if !sign.NewKey {
		key = nil
	}
	return r.placed(ctx, sign, data, leaf, key, chain...)
}

// wanted is what a certificate has to say, and what the file that it replaces
// holds; nil where there is none.
func (r *Runner) wanted(ctx context.Context, sign *plan.Sign) (pki.Wanted, []byte, error) {
	if sign.Spec != nil {
		w, err := sign.Wanted(fact.Cert{})
		return w, nil, err
	}
	data, err := r.Hands.Read(ctx, sign.Cert)
	if err != nil {
		return pki.Wanted{}, nil, err
	}
	old, err := presented(sign, data)
	if err != nil {
		return pki.Wanted{}, nil, err
	}
	w, err := sign.Wanted(old)
	return w, data, err
}

// SPDX-License-Identifier: Apache-2.0

package execute

import (
	"context"
	"encoding/pem"
	"fmt"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/pki"
	"perennial.dev/perennial/internal/plan"
)

// created makes a certificate that does not exist, and its key where there is
// none.
func (r *Runner) created(ctx context.Context, s plan.Step) ([]content, error) {
	sign := s.Sign
	wanted, err := sign.Wanted(fact.Cert{})
	if err != nil {
		return nil, err
	}
	request := pki.Request{Wanted: wanted, Now: r.Now(), Life: sign.Life.Duration, Rand: r.Rand}
	if request.CA, err = r.authority(ctx, sign); err != nil {
		return nil, err
	}
	if sign.MakeKey != nil {
		request.Key, err = pki.NewPrivateKey(*sign.MakeKey, r.Rand)
	} else {
		request.Key, err = r.privateKey(ctx, sign.Key, false)
	}
	if err != nil {
		return nil, err
	}
	issued, err := pki.Issue(request)
	if err != nil {
		return nil, err
	}
	return r.fresh(ctx, sign, issued.Cert, nil, request.Key, sign.MakeKey != nil)
}

// fresh is what the files of a credential that was missing hold.
func (r *Runner) fresh(ctx context.Context, sign *plan.Sign, leaf fact.Cert, chain []fact.Cert, key *pki.PrivateKey, newKey bool) ([]content, error) {
	if sign.Conf {
		bundle, err := r.Hands.Read(ctx, sign.CA)
		if err != nil {
			return nil, err
		}
		conf, err := pki.NewKubeconfig(sign.Spec.Cluster, sign.Spec.Server, sign.Spec.CommonName, pki.Read(bundle).Certs, append([]fact.Cert{leaf}, chain...), key)
		return []content{{path: sign.Cert, data: conf}}, err
	}
	var contents []content
	if newKey {
		contents = append(contents, content{path: sign.Key, data: key.PEM()})
	}
	var text []byte
	for _, c := range append([]fact.Cert{leaf}, chain...) {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return append(contents, content{path: sign.Cert, data: text}), nil
}

// privateKey reads the private key of a file, or of a kubeconfig's current
// user.
func (r *Runner) privateKey(ctx context.Context, name string, conf bool) (*pki.PrivateKey, error) {
	data, err := r.Hands.Read(ctx, name)
	if err != nil {
		return nil, err
	}
	read := pki.ReadPrivateKey
	if conf {
		read = pki.KubeconfigKey
	}
	key, err := read(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return key, nil
}

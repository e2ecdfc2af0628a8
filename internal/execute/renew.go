// SPDX-License-Identifier: Apache-2.0

package execute

import (
	"context"
	"fmt"
	"path"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/pki"
	"perennial.dev/perennial/internal/plan"
)

// renewed makes the new content of a renewal: the certificate signed again,
// with the same key unless the plan says otherwise.
func (r *Runner) renewed(ctx context.Context, s plan.Step) ([]content, error) {
	sign := s.Sign
	data, err := r.Hands.Read(ctx, sign.Cert)
	if err != nil {
		return nil, err
	}
	old, err := presented(sign, data)
	if err != nil {
		return nil, err
	}
	if sign.Own() {
		return r.remade(ctx, sign, data, old)
	}
	request := pki.Request{Now: r.Now(), Life: sign.Life.Duration, Rand: r.Rand}
	if request.Wanted, err = sign.Wanted(old); err != nil {
		return nil, err
	}
	if request.CA, err = r.authority(ctx, sign); err != nil {
		return nil, err
	}
	if sign.NewKey {
		if request.Key, err = pki.NewPrivateKey(pki.KeyOf(old), r.Rand); err != nil {
			return nil, err
		}
	} else if err := r.keyBelongs(ctx, sign, data, old); err != nil {
		return nil, err
	}
	issued, err := pki.Issue(request)
	if err != nil {
		return nil, err
	}
	return r.placed(ctx, sign, data, issued.Cert, request.Key)
}

// remade is a certificate that is signed with its own key. Nothing else is in its file:
// what it was signed by before is of no use any more.
func (r *Runner) remade(ctx context.Context, sign *plan.Sign, data []byte, old fact.Cert) ([]content, error) {
	var key *pki.PrivateKey
	err := r.keyBelongs(ctx, sign, data, old)
	switch {
	case sign.NewKey:
		key, err = pki.NewPrivateKey(pki.KeyOf(old), r.Rand)
	case err == nil:
		key, err = r.privateKey(ctx, sign.Key, false)
	}
	if err != nil {
		return nil, err
	}
	issued, err := pki.Remake(pki.Request{Wanted: pki.Wanted{Old: old, Key: key}, Now: r.Now(), Life: sign.Life.Duration, Rand: r.Rand})
	if err != nil {
		return nil, err
	}
	return r.fresh(ctx, sign, issued, nil, key, sign.NewKey)
}

// presented is the certificate that a file presents: its first, or that of a
// kubeconfig's current user.
func presented(sign *plan.Sign, data []byte) (fact.Cert, error) {
	if sign.Conf {
		conf, problem := pki.ReadKubeconfig(data, path.Dir(sign.Cert))
		if leaf, ok := pki.CurrentLeaf(conf); ok {
			return leaf, nil
		}
		return fact.Cert{}, fmt.Errorf("reading %s: its current user has no certificate: %s", sign.Cert, problem)
	}
	content := pki.Read(data)
	if len(content.Certs) == 0 {
		return fact.Cert{}, fmt.Errorf("reading %s: there is no certificate in it: %s", sign.Cert, content.Problem)
	}
	return content.Certs[0], nil
}

func (r *Runner) authority(ctx context.Context, sign *plan.Sign) (pki.Authority, error) {
	var ca pki.Authority
	keyPEM, err := r.Hands.Read(ctx, sign.CAKey)
	if err != nil {
		return ca, err
	}
	if ca.Key, err = pki.ReadPrivateKey(keyPEM); err != nil {
		return ca, fmt.Errorf("reading %s: %w", sign.CAKey, err)
	}
	bundle, err := r.Hands.Read(ctx, sign.CA)
	if err != nil {
		return ca, err
	}
	for _, cert := range pki.Read(bundle).Certs {
		if pki.KeyMatches(ca.Key.Public(), cert) {
			ca.Cert = cert
			return ca, nil
		}
	}
	return ca, fmt.Errorf("reading %s: the key in %s belongs to no certificate in it", sign.CA, sign.CAKey)
}

// keyBelongs makes sure that the key that stays is the certificate's: a new
// certificate for a key that is not here would be worse than an old one.
func (r *Runner) keyBelongs(ctx context.Context, sign *plan.Sign, data []byte, old fact.Cert) error {
	where := sign.Cert
	if sign.Key != "" && sign.Key != sign.Cert {
		where = sign.Key
		var err error
		if data, err = r.Hands.Read(ctx, sign.Key); err != nil {
			return err
		}
	}
	var keys []fact.Key
	if sign.Conf {
		conf, _ := pki.ReadKubeconfig(data, path.Dir(sign.Cert))
		for _, u := range conf.Users {
			if u.Current && u.Key != nil {
				keys = append(keys, *u.Key)
			}
		}
	} else {
		keys = pki.Read(data).Keys
	}
	for _, k := range keys {
		if !k.Public && pki.KeyMatches(k, old) {
			return nil
		}
	}
	return fmt.Errorf("reading %s: it does not hold the key of the certificate; renew with a new key (--new-key)", where)
}

// placed is what the files hold with a new certificate in them, and the
// certificates between it and its CA, where there are any.
func (r *Runner) placed(ctx context.Context, sign *plan.Sign, data []byte, cert fact.Cert, key *pki.PrivateKey, chain ...fact.Cert) ([]content, error) {
	switch {
	case sign.Conf:
		changed, err := pki.ReplaceKubeconfig(data, "", cert, key, chain...)
		return []content{{path: sign.Cert, data: changed}}, err
	case key == nil:
		changed, err := pki.ReplaceLeaf(data, cert, chain...)
		return []content{{path: sign.Cert, data: changed}}, err
	case sign.Key == "" || sign.Key == sign.Cert:
		changed, err := pki.ReplacePair(data, cert, key, chain...)
		return []content{{path: sign.Cert, data: changed}}, err
	}
	changed, err := pki.ReplaceLeaf(data, cert, chain...)
	if err != nil {
		return nil, err
	}
	return []content{{path: sign.Key, data: key.PEM()}, {path: sign.Cert, data: changed}}, nil
}

// restored is what the backups of an earlier plan hold.
func (r *Runner) restored(ctx context.Context, s plan.Step) ([]content, error) {
	var contents []content
	for _, b := range s.Back {
		if b.Digest == "" { // it was not there
			contents = append(contents, content{path: b.Path, gone: true})
			continue
		}
		data, err := r.Hands.Read(ctx, b.Backup)
		if err != nil {
			return nil, err
		}
		if fact.Digest(data) != b.Digest {
			return nil, fmt.Errorf("reading the backup %s: it is damaged", b.Backup)
		}
		contents = append(contents, content{path: b.Path, data: data, access: &Access{b.Mode, b.UID, b.GID}})
	}
	return contents, nil
}

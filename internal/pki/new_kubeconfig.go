// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"fmt"

	"sigs.k8s.io/yaml"

	"perennial.dev/perennial/internal/fact"
)

// NewKubeconfig writes a kubeconfig as kubeadm does: one cluster, one user and
// one context named user@cluster, with everything embedded. The leaf is the
// first of certs, the CA the first of cas; kubeadm writes only that one, here
// all of a bundle are.
func NewKubeconfig(cluster, server, user string, cas, certs []fact.Cert, key *PrivateKey) ([]byte, error) {
	type object = map[string]any
	context := user + "@" + cluster
	text, err := yaml.Marshal(object{
		"apiVersion": "v1", "kind": "Config", "preferences": object{}, "current-context": context,
		"clusters": []object{{"name": cluster, "cluster": object{"server": server, "certificate-authority-data": pemText(cas)}}},
		"contexts": []object{{"name": context, "context": object{"cluster": cluster, "user": user}}},
		"users": []object{{"name": user, "user": object{
			certDataField: pemText(certs), keyDataField: base64.StdEncoding.EncodeToString(key.PEM()),
		}}},
	})
	if err != nil {
		return nil, fmt.Errorf("writing a kubeconfig: %w", err)
	}
	return text, nil
}

// pemText is base64 of the PEM of certificates.
func pemText(certs []fact.Cert) string {
	var b bytes.Buffer
	for _, c := range certs {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a buffer takes all
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// KubeconfigKey reads the private key that is embedded for the current
// context's user.
func KubeconfigKey(data []byte) (*PrivateKey, error) {
	e, err := openConfig(data, "")
	if err != nil {
		return nil, err
	}
	if e.keyData == "" {
		return nil, e.notEmbedded()
	}
	text, err := e.embedded(e.keyData, keyDataField)
	if err != nil {
		return nil, err
	}
	return ReadPrivateKey(text)
}

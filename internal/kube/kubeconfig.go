// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"errors"
	"fmt"
	"path/filepath"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"perennial.dev/perennial/internal/pki"
)

// Kubeconfig is a kubeconfig by which a client proves who it is: its current
// context with a client certificate, embedded or in files. Its server, proxy and
// server name are not used: a Client asks the address that it is told, as
// itself.
type Kubeconfig struct {
	Path string // for its directory, which file references are relative to, and for errors
	Data []byte
	// ReadFile reads the files that it refers to, at absolute paths. Without it
	// references are an error.
	ReadFile func(path string) ([]byte, error)
}

// credentials reads the CA, the certificate and the key. Its errors quote
// nothing of the input but names.
func (k Kubeconfig) credentials() (rest.TLSClientConfig, error) {
	var none rest.TLSClientConfig
	// This reader says what is wrong without quoting secrets; client-go's quotes.
	seen, problem := pki.ReadKubeconfig(k.Data, filepath.Dir(k.Path))
	if problem != "" {
		return none, errors.New(problem.String())
	}
	for _, user := range seen.Users {
		if user.Current && user.Problem != "" {
			return none, errors.New(user.Problem.String())
		}
	}
	config, err := clientcmd.Load(k.Data)
	if err != nil {
		return none, errors.New("it is no kubeconfig that client-go understands")
	}
	cluster, user, err := current(config)
	if err != nil {
		return none, err
	}
	if err := usable(cluster, user); err != nil {
		return none, err
	}
	var found rest.TLSClientConfig
	for _, part := range []struct {
		name, file string
		data       []byte
		to         *[]byte
	}{
		{"certificate-authority", cluster.CertificateAuthority, cluster.CertificateAuthorityData, &found.CAData},
		{"client-certificate", user.ClientCertificate, user.ClientCertificateData, &found.CertData},
		{"client-key", user.ClientKey, user.ClientKeyData, &found.KeyData},
	} {
		if *part.to, err = k.part(part.name, part.file, part.data); err != nil {
			return none, err
		}
	}
	return found, complete(found)
}

func current(config *api.Config) (*api.Cluster, *api.AuthInfo, error) {
	context := config.Contexts[config.CurrentContext]
	if context == nil {
		return nil, nil, errors.New("it has no current context")
	}
	cluster, user := config.Clusters[context.Cluster], config.AuthInfos[context.AuthInfo]
	if cluster == nil || user == nil {
		return nil, nil, errors.New("its current context has no cluster or no user")
	}
	return cluster, user, nil
}

// usable refuses what would need a program to be run, another identity to be
// taken, or a server to be believed unseen.
func usable(cluster *api.Cluster, user *api.AuthInfo) error {
	switch {
	case cluster.InsecureSkipTLSVerify:
		return errors.New("its cluster has insecure-skip-tls-verify, and an unverified server is not asked")
	case user.Exec != nil || user.AuthProvider != nil:
		return errors.New("its user proves itself with a helper program, which is not run here; a client certificate is needed")
	case user.Impersonate != "" || user.ImpersonateUID != "" || len(user.ImpersonateGroups) > 0 || len(user.ImpersonateUserExtra) > 0:
		return errors.New("its user acts as another one, which is not done here")
	}
	return nil
}

// part is what is embedded or else what is in the file, as in client-go.
func (k Kubeconfig) part(name, file string, data []byte) ([]byte, error) {
	switch {
	case len(data) > 0:
		return data, nil
	case file == "":
		return nil, fmt.Errorf("its current context has no %s", name)
	case k.ReadFile == nil:
		return nil, fmt.Errorf("its %s is in a file", name)
	case !filepath.IsAbs(file):
		file = filepath.Join(filepath.Dir(k.Path), file)
	}
	data, err := k.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("its %s is in a file: %w", name, err)
	}
	return data, nil
}

// complete says why what was found cannot be used.
func complete(found rest.TLSClientConfig) error {
	if len(pki.Read(found.CAData).Certs) == 0 {
		return errors.New("its certificate-authority holds no certificate")
	}
	certs := pki.Read(found.CertData).Certs
	if len(certs) == 0 {
		return errors.New("its client-certificate holds no certificate")
	}
	key, err := pki.ReadPrivateKey(found.KeyData)
	if err != nil {
		return fmt.Errorf("its client-key: %w", err)
	}
	if !pki.KeyMatches(key.Public(), certs[0]) {
		return errors.New("its client-key does not belong to its client-certificate")
	}
	return nil
}

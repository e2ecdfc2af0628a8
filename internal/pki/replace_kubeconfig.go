// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"encoding/base64"
	"errors"
	"fmt"
	"path"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// Fields of a kubeconfig's user (client-go tools/clientcmd/api/v1 AuthInfo).
const (
	certField     = "client-certificate"
	keyField      = "client-key"
	certDataField = "client-certificate-data"
	keyDataField  = "client-key-data"
)

// ByReference says that a kubeconfig's user has its certificate or key in
// files of their own: they are what has to be replaced, and the kubeconfig
// stays as it is. The paths are as the kubeconfig writes them, relative ones
// to its directory; an empty one is embedded or not there.
type ByReference struct {
	User              fact.Text
	CertFile, KeyFile string
}

func (e *ByReference) Error() string {
	file := e.CertFile
	if file == "" {
		file = e.KeyFile
	}
	if len(file) > 255 || strings.ContainsAny(file, "\r\n") { // no path, so it may be anything
		file = "a file"
	}
	return fmt.Sprintf(`the user "%s" refers to %s: replace that file instead`, e.User, fact.Text(file))
}

var errNotProven = errors.New("it cannot be shown that only the credential would change (an anchor, a merge or an unusual spelling): write it in the way kubectl does")

// ReplaceKubeconfig puts a new client certificate into a kubeconfig, YAML or
// JSON, for the user of that name, or the current context's where it is empty.
// With a key it replaces that too; without one the embedded key has to belong
// to the certificate. What follows the leaf in the embedded PEM stays, and the
// chain is added to it (ReplaceLeaf).
//
// Only the values of client-certificate-data and client-key-data change, as
// text; every other byte stays. The result is parsed again and compared field
// by field, and where an edit cannot be proven to change those two values
// alone, the answer is an error. A user whose credential is not embedded gives
// a *ByReference.
func ReplaceKubeconfig(data []byte, userName string, leaf fact.Cert, key *PrivateKey, chain ...fact.Cert) ([]byte, error) {
	out, err := replaceKubeconfig(data, userName, leaf, key, chain)
	if err != nil {
		return nil, fmt.Errorf("replacing the certificate in a kubeconfig: %w", err)
	}
	return out, nil
}

func replaceKubeconfig(data []byte, userName string, leaf fact.Cert, key *PrivateKey, chain []fact.Cert) ([]byte, error) {
	e, err := openConfig(data, userName)
	if err != nil {
		return nil, err
	}
	if e.certData == "" || !key.empty() && e.keyData == "" {
		return nil, e.notEmbedded()
	}
	pem, err := e.embedded(e.certData, certDataField)
	if err != nil {
		return nil, err
	}
	if pem, err = ReplaceLeaf(pem, leaf, chain...); err != nil {
		return nil, fmt.Errorf("%s: %w", certDataField, err)
	}
	if err := e.replaceData(certDataField, e.certData, pem); err != nil {
		return nil, fmt.Errorf("%s: %w", certDataField, err)
	}
	if !key.empty() {
		if err := e.replaceData(keyDataField, e.keyData, key.PEM()); err != nil {
			return nil, fmt.Errorf("%s: %w", keyDataField, err)
		}
	}
	return e.data, e.holds(leaf)
}

// configEdit is a kubeconfig while it is being changed, and the credential of
// the user that it is about.
type configEdit struct {
	data              []byte
	user              user
	certFile, keyFile string
	certData, keyData string
	twins             map[string]int // earlier users with the same value, by field
}

func openConfig(data []byte, userName string) (*configEdit, error) {
	t, err := readTree(data)
	if err != nil {
		return nil, err
	}
	e := &configEdit{data: data}
	if e.user, err = t.user(userName); err != nil {
		return nil, err
	}
	for name, value := range map[string]*string{
		certField: &e.certFile, keyField: &e.keyFile, certDataField: &e.certData, keyDataField: &e.keyData,
	} {
		if *value, err = text(e.user.fields, name); err != nil {
			return nil, fmt.Errorf(`user "%s": %w`, fact.Text(clip(e.user.name)), err)
		}
	}
	e.twins = map[string]int{
		certDataField: t.twins(e.user, certDataField, e.certData),
		keyDataField:  t.twins(e.user, keyDataField, e.keyData),
	}
	return e, nil
}

// notEmbedded says where the credential is instead.
func (e *configEdit) notEmbedded() error {
	who := fact.Text(clip(e.user.name))
	switch {
	case e.certData == "" && e.certFile == "":
		return fmt.Errorf(`the user "%s" has no client certificate`, who)
	case e.certData == "" || e.keyFile != "":
		missing := &ByReference{User: who, KeyFile: e.keyFile}
		if e.certData == "" {
			missing.CertFile = e.certFile
		}
		if e.keyData != "" {
			missing.KeyFile = ""
		}
		return missing
	}
	return fmt.Errorf(`the user "%s" has no client key`, who)
}

func (e *configEdit) embedded(value, field string) ([]byte, error) {
	pem, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return nil, fmt.Errorf("%s is not base64", field)
	}
	return pem, nil
}

// replaceData replaces the base64 of one field.
func (e *configEdit) replaceData(name, old string, pem []byte) error {
	value := base64.StdEncoding.EncodeToString(pem)
	return e.try(name, old, name, value, func(s scalar) ([]byte, error) {
		return s.withBase64(e.data, value), nil
	})
}

// try makes an edit at each place that may be the field's until one does what
// is wanted and nothing else.
func (e *configEdit) try(name, old, newName, value string, change func(scalar) ([]byte, error)) error {
	const tries = 4
	candidates := places(e.data, name, old)
	if len(candidates) > maxPlaces {
		return errors.New("too many users have the same value to tell them apart")
	}
	// Each try is parsed. In a file that kubectl wrote, the first one does.
	if i := e.twins[name]; i < len(candidates) {
		candidates[0], candidates[i] = candidates[i], candidates[0]
	}
	cause := errNotProven
	for _, s := range candidates[:min(len(candidates), tries)] {
		out, err := change(s)
		if err != nil {
			cause = err
			continue
		}
		if e.proves(out, name, newName, value) {
			e.data = out
			return nil
		}
	}
	return cause
}

// proves says whether out is the same kubeconfig but for one field of the
// user. A block scalar may have line breaks around it, which base64 does not
// mind.
func (e *configEdit) proves(out []byte, name, newName, value string) bool {
	wanted, err := readTree(e.data)
	if err != nil {
		return false
	}
	got, err := readTree(out)
	if err != nil {
		return false
	}
	before, err := wanted.user(e.user.name)
	if err != nil {
		return false
	}
	after, err := got.user(e.user.name)
	if err != nil || after.index != before.index || after.index != e.user.index {
		return false
	}
	written, err := text(after.fields, newName)
	if err != nil || strings.Trim(written, "\n") != value || name != newName && written != value {
		return false
	}
	return wanted.change(before, name, newName, written) == nil && wanted.equal(got)
}

// holds reads the result as the rest of the program does.
func (e *configEdit) holds(leaf fact.Cert) error {
	k, _ := ReadKubeconfig(e.data, "/")
	if k == nil {
		return errNotProven
	}
	last := lastIndex(len(k.Users), func(i int) bool { return string(k.Users[i].Name) == e.user.name })
	if last < 0 {
		return errNotProven
	}
	u := k.Users[last]
	switch {
	case len(u.Certs) == 0 || u.Certs[0].Fingerprint() != leaf.Fingerprint():
		return errNotProven
	case u.Key != nil && !KeyMatches(*u.Key, leaf):
		return errors.New("the embedded key does not belong to the new certificate: both have to be replaced")
	}
	return nil
}

// RetargetKubelet turns the embedded client certificate and key of a
// kubelet.conf into references to one file that holds both, which the kubelet
// keeps fresh: kubelet-client-current.pem, by its absolute path. kubeadm before
// 1.17 left the embedded ones in place on the node that it had initialised,
// and they end after a year. Every other byte stays, as with
// ReplaceKubeconfig. A file that refers there already comes back as it is; one
// that refers elsewhere gives a *ByReference.
func RetargetKubelet(data []byte, current string) ([]byte, error) {
	out, err := retarget(data, current)
	if err != nil {
		return nil, fmt.Errorf("turning a kubelet's kubeconfig to its current certificate: %w", err)
	}
	return out, nil
}

func retarget(data []byte, current string) ([]byte, error) {
	if !path.IsAbs(current) || path.Clean(current) != current || strings.ContainsAny(current, "\x00\r\n") {
		return nil, fmt.Errorf("%s is no absolute path", fact.Text(clip(current)))
	}
	e, err := openConfig(data, "")
	if err != nil {
		return nil, err
	}
	switch {
	case e.certData == "" && e.keyData == "" && e.certFile == current && e.keyFile == current:
		return data, nil
	case e.certData == "" || e.keyData == "":
		return nil, e.notEmbedded()
	case e.certFile != "" || e.keyFile != "":
		return nil, fmt.Errorf(`the user "%s" has an embedded credential and refers to a file too`, fact.Text(clip(e.user.name)))
	}
	for _, f := range []struct{ data, file, old string }{{certDataField, certField, e.certData}, {keyDataField, keyField, e.keyData}} {
		err := e.try(f.data, f.old, f.file, current, func(s scalar) ([]byte, error) {
			return s.withFile(e.data, f.file, current)
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.data, err)
		}
	}
	return e.data, nil
}

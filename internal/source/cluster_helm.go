// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"perennial.dev/perennial/internal/document"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/kube"
)

// helmLimit is how large a release may be once it is unpacked, in bytes. A
// Secret holds a megabyte of gzip; charts are text, which gzip makes ten times
// smaller.
const helmLimit = 64 << 20

// helmLabels are those of the revision of a release that is in use
// (helm.sh/helm v3 pkg/storage/driver).
const helmLabels = "owner=helm,status=deployed"

var (
	errNoRelease    = errors.New("it is no Helm release: neither gzip nor JSON")
	errLargeRelease = fmt.Errorf("it unpacks to more than %d MB", helmLimit>>20)
)

// lookHelm reads the manifests of deployed releases, which Helm keeps in Secrets
// or in ConfigMaps.
func (c *cluster) lookHelm(ctx context.Context) {
	for _, r := range c.served.Resources {
		secret := r.Group == "" && r.Name == "secrets"
		if !secret && !(r.Group == "" && r.Name == "configmaps") || !r.Lists() {
			continue
		}
		what := "Helm releases in " + fact.Text(r.Name)
		c.list(ctx, kube.Listing{Resource: r, Labels: helmLabels, Page: 20}, what, func(item json.RawMessage) error {
			c.release(r.Kind, secret, item)
			return nil
		})
	}
}

// release reads one release.
func (c *cluster) release(kind string, secret bool, item json.RawMessage) {
	var kept struct {
		named
		Data struct {
			Release string `json:"release"`
		} `json:"data"`
	}
	problem := json.Unmarshal(item, &kept)
	place := fmt.Sprintf("%s %s/%s", kind, kept.Metadata.Namespace, kept.Metadata.Name)
	defer c.recovered("the Helm release in " + fact.Text(place))
	var r helmRelease
	if problem == nil {
		r, problem = decodeRelease(kept.Data.Release, secret)
	}
	if problem != nil {
		why := fact.Malformed
		if errors.Is(problem, errLargeRelease) {
			why = fact.TooLarge
		}
		c.say(fact.Unseen{What: "the Helm release in " + fact.Text(place), Why: why, Detail: fact.Text(problem.Error())})
		return
	}
	who := fmt.Sprintf("%s revision %d", r.Name, r.Version)
	if namespace := string(kept.Metadata.Namespace); namespace != "" {
		who = fmt.Sprintf("%s -n %s revision %d", r.Name, namespace, r.Version)
	}
	document.Read(place, []byte(r.Manifest), document.Want{Kind: func(string, string) bool { return false }},
		func(o fact.Object) { c.push(released(o, kept.Metadata.Namespace, fact.Text(who))) },
		func(u fact.Unseen) {
			u.What = fact.Text(fmt.Sprintf("a document of the Helm release in %s: %s", place, u.What))
			c.say(u)
		})
}

// released is a release's document as an object of the cluster: Helm goes on to
// ask for it in the version of the document.
func released(o fact.Object, namespace, who fact.Text) fact.Object {
	if o.Namespace == "" {
		o.Namespace = namespace
	}
	return fact.Object{APIVersion: o.APIVersion, Type: o.Type, Namespace: o.Namespace, Name: o.Name,
		Uses: []fact.Use{{By: fact.HelmRelease, APIVersion: o.APIVersion, Who: who}}}
}

// helmRelease is what matters of a release (helm.sh/helm v3 pkg/release).
type helmRelease struct {
	Name     string
	Version  int
	Manifest string
}

// decodeRelease unpacks a release: base64 around gzip around JSON, and once more
// base64 in a Secret (helm.sh/helm v3 pkg/storage/driver/util.go, which reads
// plain JSON as well). It walks through the JSON, since charts and values in it
// are far larger than the manifest.
func decodeRelease(text string, secret bool) (helmRelease, error) {
	var none helmRelease
	var packed io.Reader = base64.NewDecoder(base64.StdEncoding, bytes.NewReader([]byte(text)))
	if secret {
		packed = base64.NewDecoder(base64.StdEncoding, packed)
	}
	start := make([]byte, 3)
	if _, err := io.ReadFull(packed, start); err != nil {
		return none, errNoRelease
	}
	packed = io.MultiReader(bytes.NewReader(start), packed)
	plain := packed
	switch {
	case bytes.Equal(start, []byte{0x1f, 0x8b, 0x08}):
		unzipped, err := gzip.NewReader(packed)
		if err != nil {
			return none, errNoRelease
		}
		plain = unzipped
	case start[0] != '{':
		return none, errNoRelease
	}
	limited := &io.LimitedReader{R: plain, N: helmLimit}
	release, err := walkRelease(json.NewDecoder(limited))
	switch {
	case limited.N <= 0:
		return none, errLargeRelease
	case err != nil:
		return none, fmt.Errorf("it is no Helm release: %w", err)
	}
	return release, nil
}

// walkRelease reads the members of a release that matter and goes past the
// others token by token.
func walkRelease(dec *json.Decoder) (helmRelease, error) {
	var r helmRelease
	garbled := errors.New("what it unpacks to is broken off or is no JSON")
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return r, garbled
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return r, garbled
		}
		switch name {
		case "name":
			err = dec.Decode(&r.Name)
		case "version":
			err = dec.Decode(&r.Version)
		case "manifest":
			err = dec.Decode(&r.Manifest)
		default:
			err = pass(dec)
		}
		if err != nil {
			return r, garbled
		}
	}
	if _, err := dec.Token(); err != nil {
		return r, garbled
	}
	if r.Name == "" {
		return r, errors.New("it has no name")
	}
	return r, nil
}

// pass goes past one value.
func pass(dec *json.Decoder) error {
	for depth := 0; ; {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

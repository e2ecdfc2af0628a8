// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"sync"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/release"
)

//go:embed data/upgrade.csv
var upgradeTable []byte

// upgradeRow is what `kubeadm upgrade` does with a certificate.
type upgradeRow struct {
	name         string
	since, until release.Version // until is exclusive; zero: open
	with         string
	citation     string
}

var upgradeRows = sync.OnceValues(func() ([]upgradeRow, error) { return readUpgradeTable(upgradeTable) })

func readUpgradeTable(table []byte) ([]upgradeRow, error) {
	r := csv.NewReader(bytes.NewReader(table))
	r.Comment = '#'
	records, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("reading what kubeadm upgrade renews: %w", err)
	}
	var rows []upgradeRow
	for _, c := range records[1:] {
		row := upgradeRow{name: c[0], with: c[3], citation: c[5]}
		if row.since, err = release.ParseVersion(c[1]); err == nil && c[2] != "" {
			row.until, err = release.ParseVersion(c[2])
		}
		if err != nil {
			return nil, fmt.Errorf("reading what kubeadm upgrade renews: %s: %w", row.name, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func (r upgradeRow) covers(v release.Version) bool {
	return v.Compare(r.since) >= 0 && (r.until == release.Version{} || v.Compare(r.until) < 0)
}

// upgrade says whether the next `kubeadm upgrade` would renew a credential.
func (j *judge) upgrade(c layout.Credential, issuer fact.ID) *finding.Upgrade {
	no := func(format string, args ...any) *finding.Upgrade {
		return &finding.Upgrade{Renews: finding.RenewsNever, Because: fmt.Sprintf(format, args...)}
	}
	row, known := j.upgradeRow(c.ID.Name())
	switch {
	case c.Role == layout.Unclaimed || c.Role == layout.Authority || c.Role == layout.Signing:
		return nil
	case c.SelfRotating:
		return no("the kubelet renews it itself; kubeadm does not touch it")
	case !known:
		return no("it is not among the certificates that kubeadm renews")
	case !j.byManifest(row.with):
		return no("kubeadm renews it with the static pod %s, and there is none on this node", row.with)
	case j.keyElsewhere(issuer):
		return no("the key of its CA (%s) is not on this node, and kubeadm leaves such certificates out", issuer)
	case row.with == "end":
		return &finding.Upgrade{Renews: finding.RenewsAlways, Source: row.citation,
			Because: "kubeadm renews it at the end of every upgrade of this node, unless --certificate-renewal=false is given"}
	}
	return &finding.Upgrade{Renews: finding.RenewsSometimes, Source: row.citation,
		Because: fmt.Sprintf("kubeadm renews it when the manifest of %s changes, so not with the same version and configuration, nor with --certificate-renewal=false", row.with)}
}

// upgradeRow is the row for the version that runs, or where that is not known,
// for the newest one.
func (j *judge) upgradeRow(name string) (upgradeRow, bool) {
	rows, err := upgradeRows()
	if err != nil {
		return upgradeRow{}, false // a test reads the table
	}
	version, known := j.release()
	for _, row := range slices.Backward(rows) {
		if row.name == name && (!known || row.covers(version)) {
			return row, true
		}
	}
	return upgradeRow{}, false
}

// release is the version of this node's API server, by what it says or by its
// image.
func (j *judge) release() (release.Version, bool) {
	api, ok := j.layout.Component(layout.APIServer)
	if !ok {
		return release.Version{}, false
	}
	text := layout.ImageVersion(api.Image)
	for _, p := range j.layout.Ports {
		if v, told := j.versions[p.Endpoint]; told && p.Component == layout.APIServer && !p.Remote {
			text = v.Git
		}
	}
	v, err := release.ParseVersion(string(text))
	return v, err == nil
}

// byManifest says whether one of the components runs here as a static pod.
func (j *judge) byManifest(with string) bool {
	names := strings.Split(with, " or ")
	if with == "end" {
		names = []string{layout.APIServer}
	}
	return slices.ContainsFunc(j.layout.Components, func(c layout.Component) bool {
		return c.Manifest != "" && c.Name == names[0]
	})
}

func (j *judge) keyElsewhere(issuer fact.ID) bool {
	id, _, _ := strings.Cut(string(issuer), "#")
	ca, ok := j.layout.ByID(fact.ID(id))
	return ok && (ca.Key == "" || len(j.files[ca.Key].Keys) == 0)
}

// SPDX-License-Identifier: Apache-2.0

package release

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
)

// kube-apiserver makes itself a certificate at start for its connections to
// itself, keeps it in memory only and never renews it. How long it lives is a
// matter of the version (k8s.io/apiserver pkg/server/options/serving_with_loopback.go).

//go:embed data/loopback.csv
var loopbackTable []byte

var loopbackColumns = []string{"since", "last", "days", "health_check", "origin", "citation"}

// LoopbackBackdate is how long before the start of the process the loopback
// certificate becomes valid.
const LoopbackBackdate = time.Hour

// Loopback is what a version does with its loopback certificate.
type Loopback struct {
	Validity time.Duration // from NotBefore to NotAfter
	// HealthCheck: /healthz and /livez fail after the end; /readyz never does.
	HealthCheck bool
	// Origin is Measured for versions between those that were read; Estimated
	// for older, newer and vendors' ones.
	Origin   Origin
	Citation string
}

type loopbackRow struct {
	since, last Version
	rule        Loopback
}

var loopbackRows = sync.OnceValue(func() []loopbackRow {
	rows, err := readLoopback(bytes.NewReader(loopbackTable))
	if err != nil || len(rows) == 0 {
		panic(fmt.Sprintf("reading the embedded loopback table: %v", err)) // ruled out by the tests
	}
	return rows
})

// LoopbackOf is the loopback rule of a version.
func LoopbackOf(v Version) Loopback {
	rows := loopbackRows()
	row := rows[0]
	for _, candidate := range rows[1:] {
		if v.Compare(candidate.since) >= 0 {
			row = candidate
		}
	}
	rule := row.rule
	if v.Compare(row.since) < 0 || v.Compare(row.last) > 0 || v.Suffix != "" {
		rule.Origin = Estimated
	}
	return rule
}

// LoopbackValidity is how long the loopback certificate of a version is valid,
// counted from its NotBefore, and how sure that is: 365 days up to 1.32, 1096
// days since 1.33.0.
func LoopbackValidity(v Version) (time.Duration, Origin) {
	rule := LoopbackOf(v)
	return rule.Validity, rule.Origin
}

// LoopbackHealthCheck reports whether /healthz and /livez of a version notice
// the end of the loopback certificate (since 1.36). The check turns red about
// an hour late, because it forgets that the certificate is backdated.
func LoopbackHealthCheck(v Version) bool { return LoopbackOf(v).HealthCheck }

// LoopbackEnd is the NotAfter of the loopback certificate of a kube-apiserver
// process that was started at the given time.
func LoopbackEnd(v Version, started time.Time) time.Time {
	return started.Add(LoopbackOf(v).Validity - LoopbackBackdate)
}

func readLoopback(r io.Reader) ([]loopbackRow, error) {
	var rows []loopbackRow
	_, err := readTable(r, loopbackColumns, func(_ int, _ time.Time, fields []string) error {
		since, err := ParseVersion(fields[0])
		if err != nil {
			return err
		}
		last, err := ParseVersion(fields[1])
		if err != nil {
			return err
		}
		days, err := strconv.Atoi(fields[2])
		if err != nil {
			return err
		}
		rows = append(rows, loopbackRow{since, last, Loopback{
			Validity:    time.Duration(days) * 24 * time.Hour,
			HealthCheck: fields[3] == "yes",
			Origin:      Origin(fields[4]),
			Citation:    fields[5],
		}})
		return nil
	})
	return rows, err
}

// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"sync"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
)

//go:embed data/changes.csv
var changesTable []byte

// change names a row of the table of changes.
type change string

const (
	appArmorFields            change = "appArmorFields"            // securityContext.appArmorProfile is known
	criRuntimeConfig          change = "criRuntimeConfig"          // runtimes must tell their cgroup driver: containerd 2.0, CRI-O 1.28
	criV1                     change = "criV1"                     // CRI v1alpha2 is gone: containerd 1.6, CRI-O 1.23
	dockershimGone            change = "dockershimGone"            // the kubelet has no code for docker
	kubeadmKubeletSkew        change = "kubeadmKubeletSkew"        // kubeadm takes older kubelets than of the minor before
	kubeletSkew               change = "kubeletSkew"               // how much older kubelets may be; the numbers are release.KubeletSkew
	cronJobTimeZone           change = "cronJobTimeZone"           // spec.timeZone is on by default
	cronJobZoneRefused        change = "cronJobZoneRefused"        // creates with TZ= in the schedule are refused
	kubeProxyDistroless       change = "kubeProxyDistroless"       // the image has few programs
	logsHandlerOff            change = "logsHandlerOff"            // --enable-logs-handler is off by default
	podSecurity               change = "podSecurity"               // namespaces' labels are enforced
	podSecurityPolicyGone     change = "podSecurityPolicyGone"     // the admission plugin is gone
	seccompAnnotationsIgnored change = "seccompAnnotationsIgnored" // they are no longer copied to the fields
)

// changes is the embedded table. That it can be read is a matter of the tests,
// so nobody is asked to handle an error.
var changes = sync.OnceValue(func() map[change]rules.Change {
	table, err := readChanges(changesTable)
	if err != nil {
		panic(err)
	}
	return table
})

func readChanges(text []byte) (map[change]rules.Change, error) {
	reader := csv.NewReader(bytes.NewReader(text))
	reader.Comment = '#'
	reader.FieldsPerRecord = 4
	rows, err := reader.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("reading the table of changes: %w", err)
	}
	table := map[change]rules.Change{}
	for _, row := range rows[min(1, len(rows)):] {
		minor, err := release.ParseMinor(row[1])
		if err != nil {
			return nil, fmt.Errorf("reading the table of changes: %s: %w", row[0], err)
		}
		table[change(row[0])] = rules.Change{Minor: minor, Source: rules.Source{Origin: release.Origin(row[2]), Citation: row[3]}}
	}
	return table, nil
}

// bites is the minor of the way with which a change comes; not ok where it came
// before, or comes after.
func (j *Judge) bites(c change) (rules.Change, bool) {
	row := changes()[c]
	return row, !row.IsZero() && j.way.Reaches(row.Minor)
}

// first is the first minor on the way.
func (j *Judge) first() release.Minor {
	if hops := j.way.Hops(); len(hops) > 0 {
		return hops[0]
	}
	return j.way.To
}

func ruleOf(s rules.Source) *finding.Rule {
	if s.Citation == "" {
		return nil
	}
	return &finding.Rule{Origin: basisOf(s.Origin), Citation: s.Citation}
}

// basisOf says how well a row is known; what upstream states as having happened
// has.
func basisOf(o release.Origin) finding.Basis {
	if o == release.Planned {
		return finding.Planned
	}
	return finding.Measured
}

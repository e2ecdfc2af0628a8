// SPDX-License-Identifier: Apache-2.0

package rules

import _ "embed"

var (
	//go:embed data/apis.csv
	apisTable []byte
	//go:embed data/gates.csv
	gatesTable []byte
	//go:embed data/admission.csv
	admissionTable []byte
	//go:embed data/flags.csv
	flagsTable []byte
	//go:embed data/defaults.csv
	defaultsTable []byte
	//go:embed data/configkinds.csv
	configKindsTable []byte
	//go:embed data/volumes.csv
	volumesTable []byte
	//go:embed data/podsecurity.csv
	podSecurityTable []byte
	//go:embed data/etcd.csv
	etcdTable []byte
	//go:embed data/etcdflags.csv
	etcdFlagsTable []byte
	//go:embed data/etcdfaults.csv
	etcdFaultsTable []byte
	//go:embed data/etcdsteps.csv
	etcdStepsTable []byte
	//go:embed data/fieldchanges.csv
	fieldChangesTable []byte
)

// definitions are all tables.
var definitions = []definition{
	apiDefinition, gateDefinition, admissionDefinition, flagDefinition, defaultDefinition, configKindDefinition,
	volumeDefinition, podSecurityDefinition, etcdDefinition, etcdFlagDefinition, etcdFaultDefinition, etcdStepDefinition,
	fieldChangeDefinition,
}

// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"strings"

	"perennial.dev/perennial/internal/finding"
)

// upgradeClauses are those of what an upgrade runs into. They hold at whatever
// end: the hop is told beside them.
var upgradeClauses = map[finding.Code]string{
	"APIRemoved":           "%s is no longer served",
	"APIOff":               "%s is no longer served unless it is enabled",
	"APIDeprecated":        "%s is to go",
	"StoredVersionRemoved": "%s is stored in a version that can no longer be read",
}

// objectPhrase is "batch/v1beta1 CronJob default/backup".
func objectPhrase(o finding.Object) string {
	name := o.Name.String()
	if o.Namespace != "" {
		name = o.Namespace.String() + "/" + name
	}
	return strings.TrimSpace(o.APIVersion.String() + " " + o.Kind.String() + " " + shorten(name))
}

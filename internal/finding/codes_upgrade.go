// SPDX-License-Identifier: Apache-2.0

package finding

// upgradeCodes are those of what an upgrade takes from components and API clients.
var upgradeCodes = []Info{}

// SPDX-License-Identifier: Apache-2.0

package install

import _ "embed"

// DefaultSettings are what a node begins with: the defaults, and what else there
// is as comments.
//
//go:embed config.yaml
var DefaultSettings []byte

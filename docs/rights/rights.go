// SPDX-License-Identifier: Apache-2.0

// Package rights is what the agents may ask an API server for, as the page that
// people read and as the program applies it.
package rights

import _ "embed"

// Agent is the roles of the agents and their bindings, as YAML documents.
//
//go:embed agent.yaml
var Agent []byte

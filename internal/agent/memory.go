// SPDX-License-Identifier: Apache-2.0

package agent

// memory is what the loop knows from one look to the next.
type memory struct{}

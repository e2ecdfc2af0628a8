// SPDX-License-Identifier: Apache-2.0

// Package sandbox has no code but its tests. They run the program on a made node
// with the rights that the agent's unit grants, and with each of them taken away:
// what it then cannot see it says, and nothing else fails.
package sandbox

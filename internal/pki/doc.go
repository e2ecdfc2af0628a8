// SPDX-License-Identifier: Apache-2.0

// Package pki understands what credentials are made of: PEM files,
// kubeconfigs, certificate chains, and which key belongs to which certificate.
//
// It is pure. Everything it is given may come from an attacker or a broken
// disk, so each function is bounded in time and memory, and says in one
// sentence what is wrong instead of failing as a whole. Read turns private
// keys into their public side; where one has to be written or signed with, it
// is a PrivateKey, which prints as redacted.
//
// The writing half makes new text for existing files: Issue renews or makes a
// certificate, NewRequest and Accept have it signed elsewhere, ReplaceLeaf,
// ReplacePair, ReplaceKubeconfig and RetargetKubelet put it in its place with
// every other byte kept. Each checks its own result before it is returned.
// Randomness and time come in as arguments.
package pki

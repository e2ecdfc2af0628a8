// SPDX-License-Identifier: Apache-2.0

// Package pki understands what credentials are made of: PEM files,
// kubeconfigs, certificate chains, and which key belongs to which certificate.
//
// It is pure. Everything it is given may come from an attacker or a broken
// disk, so each function is bounded in time and memory, and says in one
// sentence what is wrong instead of failing as a whole. Private keys are
// turned into their public side where they are read and go no further.
package pki

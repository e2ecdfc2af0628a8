// SPDX-License-Identifier: Apache-2.0

// Package browser has no code but tests: they show the product's pages to a real
// browser, Debian's Chromium, and look at what it does with them. The pages are
// written by the tests of internal/page, which is asked for them through go test;
// so this module need not import the product.
//
// Without Chromium the tests are skipped; in CI, as root, it is installed through
// apt. Screenshots are kept in the directory that PERENNIAL_SCREENSHOTS names, else
// in bin/browser of the repository.
package browser

// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package host

import "errors"

func volume(string) (size, free uint64, err error) { return 0, 0, errors.ErrUnsupported }

// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package host

import (
	"errors"
	"time"
)

// bootTime is only known where there is a /proc to count from it.
func bootTime() (time.Time, error) { return time.Time{}, errors.ErrUnsupported }

// SinceBoot is known on Linux only.
func SinceBoot() (boot string, since time.Duration, err error) { return "", 0, errors.ErrUnsupported }

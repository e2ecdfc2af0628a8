// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package host

import (
	"errors"
	"os"
)

var errLocked = errors.New("locked")

func openLock(string) (*os.File, error) { return nil, errors.ErrUnsupported }

func flock(*os.File) error { return errors.ErrUnsupported }

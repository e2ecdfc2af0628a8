// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package host

import "errors"

func space(string) (Space, error) { return Space{}, errors.ErrUnsupported }

func writable(string) error { return errors.ErrUnsupported }

// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"

	"perennial.dev/perennial/internal/fact"
)

// Why is the class of cause of an error of this package.
func Why(err error) fact.Why {
	var size sizeError
	var kind kindError
	switch {
	case errors.Is(err, context.Canceled):
		return fact.Canceled
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fact.Timeout
	case errors.Is(err, fs.ErrPermission):
		return fact.Denied
	case errors.As(err, &size):
		return fact.TooLarge
	case errors.As(err, &kind), errors.Is(err, syscall.ELOOP), errors.Is(err, errLoop), errors.Is(err, errNobody), errors.Is(err, errNotAbsolute), errors.Is(err, ErrNotDirectory):
		return fact.Malformed
	case errors.Is(err, errors.ErrUnsupported), errors.Is(err, errElsewhere), errors.Is(err, errTooDeep), errors.Is(err, errNotTrusted), errors.Is(err, errNoDocuments), errors.Is(err, errManyNames), errors.Is(err, errNoVersion):
		return fact.Unsupported
	}
	return fact.Failed
}

// Missing says that nothing is at the path: neither a file nor, where a
// symbolic link is, what it should lead to.
func Missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// Stop ends processes where there are Kubernetes nodes.
func Stop(_ context.Context, p fact.Process, _ time.Duration) (Ending, error) {
	return "", fmt.Errorf("ending process %d: %w", p.PID, errors.ErrUnsupported)
}

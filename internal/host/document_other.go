// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package host

import "os"

func readFast(name string, buffer []byte, limit int64, large func()) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readRegular(file, buffer, limit, large)
}

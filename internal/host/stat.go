// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ticks is the unit of times in /proc, per second. The kernel calls it USER_HZ
// and fixes it at 100 on every architecture that Kubernetes is released for.
const ticks = 100

// startTime takes from the line of /proc/PID/stat how long after boot the
// process started (field 22 of proc_pid_stat(5)). The program's name in field
// 2 may hold spaces and brackets, so fields are counted from the last bracket.
func startTime(stat []byte) (time.Duration, error) {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, errors.New("reading a process's stat line: no program name")
	}
	const afterName = 22 - 3 // field 3 is the first one after the name
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) <= afterName {
		return 0, fmt.Errorf("reading a process's stat line: %d fields after the name", len(fields))
	}
	n, err := strconv.ParseInt(fields[afterName], 10, 64)
	if err != nil || n < 0 || n > int64(1<<63-1)/int64(time.Second/ticks) {
		return 0, fmt.Errorf("reading a process's stat line: start time %q", fields[afterName])
	}
	return time.Duration(n) * (time.Second / ticks), nil
}

// splitArgs takes the command line of /proc/PID/cmdline apart: arguments end
// with NUL. Bytes after the last NUL are an argument too, since a process may
// write over its command line. None at all is a kernel thread or a zombie.
func splitArgs(cmdline []byte) []string {
	if len(cmdline) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00")
}

// kubeletVersion takes the version from what `kubelet --version` prints:
// "Kubernetes v1.37.0", with a vendor's suffix after "-" or "+" if there is one
// (k8s.io/component-base/version/verflag).
func kubeletVersion(out []byte) (string, error) {
	line, _, _ := strings.Cut(string(out), "\n")
	version, ok := strings.CutPrefix(strings.TrimSpace(line), "Kubernetes ")
	if !ok || !plainVersion(version) {
		return "", fmt.Errorf("reading the kubelet's version: %q is none", line)
	}
	return version, nil
}

func plainVersion(v string) bool {
	number, ok := strings.CutPrefix(v, "v")
	number, suffix, _ := strings.Cut(number, "-")
	number, build, _ := strings.Cut(number, "+")
	parts := strings.Split(number, ".")
	if !ok || len(parts) != 3 || !suffixChars(suffix) || !suffixChars(build) {
		return false
	}
	for _, p := range parts {
		if _, err := strconv.ParseUint(p, 10, 16); err != nil {
			return false
		}
	}
	return true
}

func suffixChars(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-+") == ""
}

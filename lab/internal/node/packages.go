// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	"perennial.dev/perennial/lab/internal/network"
)

// programs are what a node needs of the machine, and the package of Debian
// that has each. The kubelet calls those from iptables on.
var programs = []struct{ name, pkg string }{
	{"containerd", "containerd"},
	{"containerd-shim-runc-v2", "containerd"},
	{"ctr", "containerd"},
	{"runc", "runc"},
	{"ip", "iproute2"},
	{"iptables", "iptables"},
	{"nft", "nftables"},
	{"conntrack", "conntrack"},
	{"socat", "socat"},
	{"ethtool", "ethtool"},
}

// Packages are the packages of Debian that a node needs.
func Packages() []string {
	var pkgs []string
	for _, p := range programs {
		pkgs = append(pkgs, p.pkg)
	}
	return slices.Compact(pkgs)
}

// Missing are the packages whose programs are not there.
func Missing() []string {
	var pkgs []string
	for _, p := range programs {
		if _, err := network.LookPath(p.name); err != nil {
			pkgs = append(pkgs, p.pkg)
		}
	}
	return slices.Compact(pkgs)
}

// Prepare makes sure that the machine can have a node, and installs what is
// missing for it.
func Prepare(ctx context.Context, log io.Writer) error {
	if os.Geteuid() != 0 {
		return errors.New("making a node: it needs root, for namespaces, mounts and cgroups; `lab up` makes a control plane without")
	}
	missing := Missing()
	if len(missing) == 0 {
		return nil
	}
	apt, err := exec.LookPath("apt-get")
	if err != nil {
		return fmt.Errorf("making a node: the programs of %s are missing and this is no Debian whose packages could be installed; install them by hand", strings.Join(missing, ", "))
	}
	fmt.Fprintf(log, "installing %s\n", strings.Join(missing, ", "))
	install := append([]string{"install", "-y", "--no-install-recommends"}, missing...)
	for _, args := range [][]string{{"update"}, install} {
		cmd := exec.CommandContext(ctx, apt, args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("running apt-get %s: %w\n%s", strings.Join(args, " "), err, tail(out))
		}
	}
	if missing := Missing(); len(missing) > 0 {
		return fmt.Errorf("making a node: the programs of %s are still missing after apt-get install", strings.Join(missing, ", "))
	}
	return nil
}

// tail is the end of a program's output, where the reason stands.
func tail(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

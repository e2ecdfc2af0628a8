// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"perennial.dev/perennial/lab/internal/network"
	"perennial.dev/perennial/lab/internal/program"
	"perennial.dev/perennial/lab/internal/supervise"
)

// Worker is a second machine of the node's cluster, as far as the API is
// concerned: a network namespace on the bridge with a kube-proxy, and no
// kubelet. From inside it, service addresses lead to the node.
type Worker struct {
	Node      string `json:"node"` // its name in the cluster
	Netns     string `json:"netns"`
	Address   string `json:"address"`
	ClusterIP string `json:"clusterIP"` // of the service kubernetes
	ProxyMode string `json:"proxyMode"` // iptables or nftables
}

// WorkerNetns is the name of the network namespace of the node's worker. No
// node's name has a dot.
func (s Settings) WorkerNetns() string { return s.Netns() + ".worker" }

// workerNetwork is how the worker is connected.
func (s Settings) workerNetwork(address string) network.Interface {
	return network.Interface{Netns: s.WorkerNetns(), Link: network.Link("pw", s.Name), Address: address}
}

// AddWorker makes the node's worker and waits until its service addresses
// lead to the API server. One that is there is replaced.
func (s Settings) AddWorker(ctx context.Context, others []network.Host, mode string) (Settings, error) {
	if err := s.checkProxyMode(mode); err != nil {
		return s, err
	}
	if err := s.RemoveWorker(); err != nil {
		return s, err
	}
	w := Worker{Node: s.Name + "-worker", Netns: s.WorkerNetns(), ProxyMode: mode}
	s.Worker = nil
	address, err := network.ChooseAddress(w.Node, append(others, s.Hosts()...))
	if err != nil {
		return s, err
	}
	w.Address = address
	for _, do := range []func(context.Context, *Worker) error{s.connectWorker, s.register, s.findClusterIP, s.startProxy} {
		if err := do(ctx, &w); err != nil {
			return s, errors.Join(fmt.Errorf("making the worker of %s: %w", s.Name, err), s.RemoveWorker())
		}
	}
	s.Worker = &w
	return s, s.Save()
}

// checkProxyMode knows nftables as what it is from the version on that has it
// switched on (KEP-3866: beta in 1.31).
func (s Settings) checkProxyMode(mode string) error {
	switch {
	case mode == "iptables":
		return nil
	case mode != "nftables":
		return fmt.Errorf("making a worker with kube-proxy in mode %q: want iptables or nftables", mode)
	case program.Minor(s.Version) < 31:
		return fmt.Errorf("making a worker with kube-proxy in mode nftables: kube-proxy %s has it switched off (1.31 and later have it)", s.Version)
	}
	return nil
}

func (s Settings) connectWorker(_ context.Context, w *Worker) error {
	return s.workerNetwork(w.Address).Attach()
}

// register makes the node object that a kubelet would make: kube-proxy waits
// for it.
func (s Settings) register(ctx context.Context, w *Worker) error {
	object, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Node",
		"metadata": map[string]any{"name": w.Node},
		"status":   map[string]any{"addresses": []map[string]string{{"type": "InternalIP", "address": w.Address}}},
	})
	if err != nil {
		return err
	}
	return s.quietly(ctx, bytes.NewReader(object), "kubectl", "apply", "-f", "-")
}

func (s Settings) findClusterIP(ctx context.Context, w *Worker) error {
	var out, complaints bytes.Buffer
	err := s.Run(ctx, Streams{nil, &out, &complaints}, "/", "kubectl", "get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}")
	if err != nil {
		return fmt.Errorf("asking for the address of the service kubernetes: %w\n%s", err, tail(complaints.Bytes()))
	}
	w.ClusterIP = out.String()
	return nil
}

// startProxy starts kube-proxy as kubeadm's users have it, with the rights of
// system:kube-proxy. What it would set for the whole machine is left alone.
func (s Settings) startProxy(ctx context.Context, w *Worker) error {
	config := filepath.Join(s.Dir, "kube-proxy.conf")
	if err := s.writeProxyConfig(ctx, config); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(s.Logs(), "kube-proxy.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(s.bin(), "kube-proxy"), "--kubeconfig="+config, "--proxy-mode="+w.ProxyMode,
		"--hostname-override="+w.Node, "--bind-address="+w.Address,
		"--conntrack-max-per-core=0", "--conntrack-min=0")
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := network.In(w.Netns, cmd.Start); err != nil {
		return fmt.Errorf("starting kube-proxy: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	service := net.JoinHostPort(w.ClusterIP, "443")
	for deadline := time.Now().Add(time.Minute); ; {
		err := network.In(w.Netns, func() error { return reach(service) })
		if err == nil {
			return nil
		}
		select {
		case err := <-ended:
			return fmt.Errorf("starting kube-proxy: it ended (%w); see %s", err, log.Name())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waiting for kube-proxy: %w; see %s", err, log.Name())
		}
	}
}

func (s Settings) writeProxyConfig(ctx context.Context, path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	var complaints bytes.Buffer
	args := []string{"kubeadm", "kubeconfig", "user", "--client-name", "system:kube-proxy", "--config", filepath.Join(insideDir, kubeadmFile)}
	if err := s.Run(ctx, Streams{nil, file, &complaints}, "/", args...); err != nil {
		return fmt.Errorf("making a kubeconfig for kube-proxy: %w\n%s", err, tail(complaints.Bytes()))
	}
	return nil
}

func reach(address string) error {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}

// RemoveWorker ends all that runs in the worker's network, and removes that;
// what is not there is no failure.
func (s Settings) RemoveWorker() error {
	worker := s.workerNetwork("")
	if !worker.There() {
		return nil
	}
	path, err := network.LookPath("ip")
	if err != nil {
		return err
	}
	out, err := exec.Command(path, "netns", "pids", s.WorkerNetns()).Output()
	if err != nil {
		return fmt.Errorf("asking what runs in %s: %w", s.WorkerNetns(), err)
	}
	for _, word := range strings.Fields(string(out)) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			return err
		}
		id, err := supervise.Identify(pid)
		if err != nil {
			continue // it has ended
		}
		if err := id.Kill(syscall.SIGKILL, 10*time.Second); err != nil {
			return fmt.Errorf("ending what runs in %s: %w", s.WorkerNetns(), err)
		}
	}
	return worker.Detach()
}

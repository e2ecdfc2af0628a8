// SPDX-License-Identifier: Apache-2.0

// Package layout lets the real kubeadm of a lab's version write a control-plane
// node's files into a directory of the lab's own.
package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"perennial.dev/perennial/lab/internal/clock"
	"perennial.dev/perennial/lab/internal/program"
)

// AdvertiseAddress is from the block for documentation (RFC 5737): kubeadm
// refuses to advertise a loopback address, and nothing else may be reached.
const AdvertiseAddress = "192.0.2.10"

// Default lives of kubeadm; a lab that wants no others is left as written.
const (
	DefaultCertLife = 365 * 24 * time.Hour
	DefaultCALife   = 10 * 365 * 24 * time.Hour
)

// Settings are everything a lab was made from.
type Settings struct {
	Name         string        `json:"name"`
	Dir          string        `json:"dir"`
	Version      string        `json:"version"`
	Program      string        `json:"program"` // directory of the built program
	Node         string        `json:"node"`
	CertLife     time.Duration `json:"certLifeNanoseconds"`
	CALife       time.Duration `json:"caLifeNanoseconds"`
	KeyAlgorithm string        `json:"keyAlgorithm,omitempty"` // empty for kubeadm's default
	Address      string        `json:"address,omitempty"`      // of a network of the lab's own; empty: it shares the machine's
	Ports        Ports         `json:"ports"`
	Made         bool          `json:"made"` // false while its files are being written
}

// Ports are all on 127.0.0.1; the API server of a lab with an address listens on
// that, too.
type Ports struct {
	API               int `json:"api"`
	EtcdClient        int `json:"etcdClient"`
	EtcdPeer          int `json:"etcdPeer"`
	EtcdMetrics       int `json:"etcdMetrics"`
	ControllerManager int `json:"controllerManager"`
	Scheduler         int `json:"scheduler"`
}

// Places inside the lab's directory.
func (s Settings) Kubernetes() string            { return filepath.Join(s.Dir, "etc/kubernetes") }
func (s Settings) PKI() string                   { return filepath.Join(s.Kubernetes(), "pki") }
func (s Settings) Manifests() string             { return filepath.Join(s.Kubernetes(), "manifests") }
func (s Settings) AdminConf() string             { return filepath.Join(s.Kubernetes(), "admin.conf") }
func (s Settings) Clock() string                 { return filepath.Join(s.Dir, "clock") }
func (s Settings) Logs() string                  { return filepath.Join(s.Dir, "log") }
func (s Settings) kubeadmFile() string           { return filepath.Join(s.Dir, "kubeadm.yaml") }
func (s Settings) Bin() string                   { return program.Program{Dir: s.Program}.Bin() }
func settingsFile(dir string) string             { return filepath.Join(dir, "lab.json") }
func loopback(port int) string                   { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
func loopbackURL(scheme string, port int) string { return scheme + "://" + loopback(port) }

// Endpoint is where clients reach the API server.
func (s Settings) Endpoint() string {
	if s.Address != "" {
		return net.JoinHostPort(s.Address, strconv.Itoa(s.Ports.API))
	}
	return loopback(s.Ports.API)
}

// Variables are what a program of the lab runs with, for `lab exec` and
// `lab env` alike.
func (s Settings) Variables() [][2]string {
	etcd := filepath.Join(s.PKI(), "etcd")
	return [][2]string{
		{"LAB_NAME", s.Name},
		{"LAB_DIR", s.Dir},
		{"KUBECONFIG", s.AdminConf()},
		{clock.Variable, s.Clock()},
		{"PERENNIAL_LAB_ROOT", s.Dir},
		{"ETCDCTL_API", "3"},
		{"ETCDCTL_ENDPOINTS", loopbackURL("https", s.Ports.EtcdClient)},
		{"ETCDCTL_CACERT", filepath.Join(etcd, "ca.crt")},
		{"ETCDCTL_CERT", filepath.Join(etcd, "healthcheck-client.crt")},
		{"ETCDCTL_KEY", filepath.Join(etcd, "healthcheck-client.key")},
	}
}

// Load reads the settings of the lab in dir; [os.ErrNotExist] when there is
// none.
func Load(dir string) (Settings, error) {
	var s Settings
	data, err := os.ReadFile(settingsFile(dir))
	if err != nil {
		return s, fmt.Errorf("reading the lab's settings: %w", err)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("reading the lab's settings %s: %w", settingsFile(dir), err)
	}
	return s, nil
}

// Save writes the settings into the lab's directory.
func (s Settings) Save() error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(settingsFile(s.Dir), append(data, '\n'), 0o644)
}

// kubeadmPorts are those of every node; in a network of its own a lab can have
// them.
var kubeadmPorts = Ports{API: 6443, EtcdClient: 2379, EtcdPeer: 2380, EtcdMetrics: 2381, ControllerManager: 10257, Scheduler: 10259}

// choosePorts finds free ports below the range from which the system takes
// ports for outgoing connections, so that none is taken before it is used.
func choosePorts() (Ports, error) {
	const low, high = 10_000, 30_000
	var chosen []int
	for attempt := 0; len(chosen) < 6; attempt++ {
		if attempt == 1000 {
			return Ports{}, errors.New("choosing ports: none free on 127.0.0.1 between 10000 and 30000")
		}
		port := low + rand.IntN(high-low)
		listener, err := net.Listen("tcp4", loopback(port))
		if err != nil {
			continue
		}
		defer listener.Close() // held until all are chosen, so they differ
		chosen = append(chosen, port)
	}
	return Ports{chosen[0], chosen[1], chosen[2], chosen[3], chosen[4], chosen[5]}, nil
}

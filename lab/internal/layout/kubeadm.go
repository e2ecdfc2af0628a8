// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"perennial.dev/perennial/lab/internal/clock"
	"perennial.dev/perennial/lab/internal/program"
)

// v1beta4 of kubeadm's configuration (Kubernetes 1.31) brought the lives of
// certificates and the choice of key algorithm.
const v1beta4Minor = 31

// Create writes a new lab into s.Dir, which must not exist or be empty, and
// returns the settings with the ports chosen. The offset is where its clock
// stands from the beginning.
func Create(s Settings, offset time.Duration) (Settings, error) {
	if err := s.check(); err != nil {
		return s, err
	}
	var err error
	s.Ports = kubeadmPorts
	if s.Address == "" {
		if s.Ports, err = choosePorts(); err != nil {
			return s, err
		}
	}
	for _, dir := range []string{s.Dir, s.Kubernetes(), filepath.Join(s.Dir, "var/lib"), s.Logs()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return s, fmt.Errorf("creating the lab's directory: %w", err)
		}
	}
	// First of all, so that what follows can be removed after any failure.
	if err := s.Save(); err != nil {
		return s, err
	}
	if err := clock.Create(s.Clock()); err != nil {
		return s, err
	}
	if err := clock.Set(s.Clock(), offset); err != nil {
		return s, err
	}
	if err := s.writeKubeadmConfig(); err != nil {
		return s, err
	}
	for _, phase := range []string{"certs all", "kubeconfig all"} {
		if err := s.phase(phase); err != nil {
			return s, err
		}
	}
	if err := s.toLoopback(); err != nil {
		return s, err
	}
	if err := s.reissue(time.Now().Add(offset)); err != nil {
		return s, err
	}
	for _, phase := range []string{"control-plane all", "etcd local"} {
		if err := s.phase(phase); err != nil {
			return s, err
		}
	}
	if err := s.moveProbes(); err != nil {
		return s, err
	}
	s.Made = true
	return s, s.Save()
}

func (s Settings) check() error {
	switch s.KeyAlgorithm {
	case "":
	case "RSA-2048", "RSA-3072", "RSA-4096", "ECDSA-P256", "ECDSA-P384":
		if minor := program.Minor(s.Version); minor < v1beta4Minor && s.KeyAlgorithm != "ECDSA-P256" && s.KeyAlgorithm != "RSA-2048" {
			return fmt.Errorf("making keys of %s: kubeadm 1.%d knows RSA-2048 and ECDSA-P256 only", s.KeyAlgorithm, minor)
		}
	default:
		return fmt.Errorf("making keys of %q: want RSA-2048, RSA-3072, RSA-4096, ECDSA-P256 or ECDSA-P384", s.KeyAlgorithm)
	}
	entries, err := os.ReadDir(s.Dir)
	if err == nil && len(entries) > 0 {
		return fmt.Errorf("creating a lab in %s: the directory is not empty", s.Dir)
	}
	return nil
}

// Kubeadm runs the lab's kubeadm and returns what it printed.
func (s Settings) Kubeadm(args ...string) ([]byte, error) { return s.run("kubeadm", nil, args...) }

// Kubectl runs the lab's kubectl with a document on its standard input.
func (s Settings) Kubectl(input []byte, args ...string) ([]byte, error) {
	return s.run("kubectl", input, args...)
}

func (s Settings) run(name string, input []byte, args ...string) ([]byte, error) {
	cmd := exec.Command(filepath.Join(s.Bin(), name), args...)
	cmd.Env = s.Environ()
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return out, fmt.Errorf("running %s %s: %w\n%s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return out, nil
}

// Environ is the caller's environment with the lab's variables, its programs
// first in PATH, and without proxies, which kubeadm would write into manifests.
func (s Settings) Environ() []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasSuffix(strings.ToLower(name), "_proxy") && name != "PATH" {
			env = append(env, kv)
		}
	}
	for _, v := range s.Variables() {
		env = append(env, v[0]+"="+v[1])
	}
	return append(env, "PATH="+s.Bin()+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func (s Settings) phase(name string) error {
	args := append([]string{"init", "phase"}, strings.Fields(name)...)
	_, err := s.Kubeadm(append(args, "--config", s.kubeadmFile())...)
	return err
}

func (s Settings) writeKubeadmConfig() error {
	var out bytes.Buffer
	for _, document := range []map[string]any{s.initConfiguration(), s.clusterConfiguration()} {
		data, err := yaml.Marshal(document)
		if err != nil {
			return err
		}
		fmt.Fprintf(&out, "---\n%s", data)
	}
	return os.WriteFile(s.kubeadmFile(), out.Bytes(), 0o644)
}

func (s Settings) v1beta4() bool { return program.Minor(s.Version) >= v1beta4Minor }

func (s Settings) apiVersion() string {
	if s.v1beta4() {
		return "kubeadm.k8s.io/v1beta4"
	}
	return "kubeadm.k8s.io/v1beta3"
}

func (s Settings) initConfiguration() map[string]any {
	return map[string]any{
		"apiVersion": s.apiVersion(),
		"kind":       "InitConfiguration",
		// No token is needed, but an empty list makes kubeadm draw one.
		"nodeRegistration": map[string]any{"name": s.Node, "criSocket": criSocket},
		"localAPIEndpoint": map[string]any{"advertiseAddress": s.advertised(), "bindPort": s.Ports.API},
	}
}

const criSocket = "unix:///run/containerd/containerd.sock"

func (s Settings) clusterConfiguration() map[string]any {
	client, peer := loopbackURL("https", s.Ports.EtcdClient), loopbackURL("https", s.Ports.EtcdPeer)
	config := map[string]any{
		"apiVersion":           s.apiVersion(),
		"kind":                 "ClusterConfiguration",
		"kubernetesVersion":    "v" + s.Version,
		"clusterName":          s.Name,
		"certificatesDir":      s.PKI(),
		"controlPlaneEndpoint": s.Endpoint(),
		"apiServer": map[string]any{
			"certSANs":  []string{"127.0.0.1", "localhost"},
			"extraArgs": s.args(s.apiServerArgs(client)),
		},
		"controllerManager": map[string]any{"extraArgs": s.args(map[string]string{
			"secure-port": strconv.Itoa(s.Ports.ControllerManager),
			// It creates this directory, and the default is the machine's.
			"flex-volume-plugin-dir": filepath.Join(s.Dir, "usr/libexec/kubernetes/kubelet-plugins/volume/exec"),
		})},
		"scheduler": map[string]any{"extraArgs": s.args(map[string]string{"secure-port": strconv.Itoa(s.Ports.Scheduler)})},
		"etcd": map[string]any{"local": map[string]any{
			"dataDir": filepath.Join(s.Dir, "var/lib/etcd"),
			"extraArgs": s.args(map[string]string{
				"listen-client-urls":          client,
				"advertise-client-urls":       client,
				"listen-peer-urls":            peer,
				"initial-advertise-peer-urls": peer,
				"initial-cluster":             s.Node + "=" + peer,
				"listen-metrics-urls":         loopbackURL("http", s.Ports.EtcdMetrics),
			}),
		}},
	}
	s.addLives(config)
	return config
}

func (s Settings) apiServerArgs(etcd string) map[string]string {
	args := map[string]string{"etcd-servers": etcd}
	if s.Address == "" {
		args["bind-address"] = "127.0.0.1"
	}
	return args
}

// advertised is the API server's address in the cluster.
func (s Settings) advertised() string { return cmp.Or(s.Address, AdvertiseAddress) }

func (s Settings) addLives(config map[string]any) {
	if !s.v1beta4() {
		if s.KeyAlgorithm == "ECDSA-P256" {
			config["featureGates"] = map[string]bool{"PublicKeysECDSA": true}
		}
		return
	}
	if s.KeyAlgorithm != "" {
		config["encryptionAlgorithm"] = s.KeyAlgorithm
	}
	if s.CertLife != DefaultCertLife {
		config["certificateValidityPeriod"] = s.CertLife.String()
	}
	if s.CALife != DefaultCALife {
		config["caCertificateValidityPeriod"] = s.CALife.String()
	}
}

// args are a map up to v1beta3 and a list since v1beta4.
func (s Settings) args(values map[string]string) any {
	if !s.v1beta4() {
		return values
	}
	var list []map[string]string
	for name, value := range values {
		list = append(list, map[string]string{"name": name, "value": value})
	}
	sort.Slice(list, func(i, j int) bool { return list[i]["name"] < list[j]["name"] })
	return list
}

// toLoopback points the kubeconfigs that name an address where nobody listens at
// the one where the API server does.
func (s Settings) toLoopback() error {
	if s.Address != "" {
		return nil
	}
	advertised := "https://" + net.JoinHostPort(AdvertiseAddress, strconv.Itoa(s.Ports.API))
	return s.rewrite(filepath.Join(s.Kubernetes(), "*.conf"), advertised, "https://"+s.Endpoint())
}

// moveProbes fits the probes and annotations of the manifests, for which
// kubeadm uses fixed addresses and ports, to the ports of the flags.
func (s Settings) moveProbes() error {
	for from, to := range map[string]int{"10257": s.Ports.ControllerManager, "10259": s.Ports.Scheduler, "2381": s.Ports.EtcdMetrics} {
		for _, key := range []string{"port: ", "containerPort: "} {
			if err := s.rewrite(filepath.Join(s.Manifests(), "*.yaml"), " "+key+from+"\n", " "+key+strconv.Itoa(to)+"\n"); err != nil {
				return err
			}
		}
	}
	advertised := "https://" + net.JoinHostPort(s.advertised(), "2379")
	if err := s.rewrite(filepath.Join(s.Manifests(), "etcd.yaml"), advertised, loopbackURL("https", s.Ports.EtcdClient)); err != nil {
		return err
	}
	if s.Address != "" {
		return nil
	}
	return s.rewrite(filepath.Join(s.Manifests(), "*.yaml"), "host: "+AdvertiseAddress+"\n", "host: 127.0.0.1\n")
}

func (s Settings) rewrite(pattern, from, to string) error {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		changed := bytes.ReplaceAll(data, []byte(from), []byte(to))
		if bytes.Equal(changed, data) {
			continue
		}
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			return err
		}
	}
	return nil
}

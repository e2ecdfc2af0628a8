// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// Limits of the answer to GET /version, in bytes. A real one has about 500.
const (
	bodyLimit   = 64 << 10
	headerLimit = 64 << 10
	fieldLimit  = 128
)

// GetVersion asks an API server for its version with GET /version, as the
// anonymous user. kube-apiserver answers everybody by default (ClusterRole
// system:public-info-viewer, since 1.14); with anonymous access off the error
// says so. Redirects are not followed and the environment's proxy is not used:
// the answer is this endpoint's or none.
func GetVersion(ctx context.Context, endpoint string, timeout time.Duration) (fact.Version, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	version, err := getVersion(ctx, endpoint)
	if err != nil {
		return fact.Version{}, &Error{Doing: "asking for the version of", Endpoint: endpoint, Err: err}
	}
	return version, nil
}

func getVersion(ctx context.Context, endpoint string) (fact.Version, error) {
	status, body, err := get(ctx, endpoint, "/version")
	if err == nil {
		err = refused(status)
	}
	if err != nil {
		return fact.Version{}, err
	}
	version, err := parseVersion(body)
	version.Endpoint = endpoint
	return version, err
}

// GetReady asks a component with GET of a path, such as /readyz, whether it is
// ready, as GetVersion asks for a version. Whatever it answers is no error.
func GetReady(ctx context.Context, endpoint, path string, timeout time.Duration) (fact.Ready, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	status, _, err := get(ctx, endpoint, path)
	if err != nil {
		return fact.Ready{}, &Error{Doing: "asking for the readiness of", Endpoint: endpoint, Err: err}
	}
	return fact.Ready{Endpoint: endpoint, Status: status}, nil
}

// get asks once, without credentials, and reads no more than is worth reading.
func get(ctx context.Context, endpoint, path string) (status int, body []byte, err error) {
	tlsConfig := config(endpoint, "")
	tlsConfig.NextProtos = []string{"http/1.1"}
	transport := &http.Transport{
		TLSClientConfig:        tlsConfig,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: headerLimit,
	}
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+endpoint+path, nil)
	if err != nil {
		return 0, nil, &answerError{fact.Malformed, "the endpoint is not of the form host:port"}
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "perennial")
	response, err := client.Do(request)
	if err != nil {
		var wrapped *url.Error // says the endpoint a second time
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, bodyLimit+1))
	return response.StatusCode, body, err
}

func refused(status int) error {
	switch status {
	case http.StatusOK:
		return nil
	case http.StatusUnauthorized, http.StatusForbidden:
		return &answerError{fact.Denied, fmt.Sprintf("anonymous access is off (HTTP status %d)", status)}
	}
	return &answerError{fact.Failed, fmt.Sprintf("HTTP status %d", status)}
}

// parseVersion reads k8s.io/apimachinery pkg/version.Info. The emulation
// fields (KEP-4330) are not in 1.32 and are in 1.34; gitVersion stays the
// program's own.
func parseVersion(body []byte) (fact.Version, error) {
	if len(body) > bodyLimit {
		return fact.Version{}, &answerError{fact.TooLarge, fmt.Sprintf("the answer is larger than %d KiB", bodyLimit>>10)}
	}
	var info struct {
		GitVersion     string `json:"gitVersion"`
		EmulationMajor string `json:"emulationMajor"`
		EmulationMinor string `json:"emulationMinor"`
	}
	err := json.Unmarshal(body, &info)
	if err == nil && info.GitVersion == "" {
		err = errors.New("no gitVersion")
	}
	if err == nil && max(len(info.GitVersion), len(info.EmulationMajor), len(info.EmulationMinor)) > fieldLimit {
		err = errors.New("a version of that length is none")
	}
	if err != nil {
		return fact.Version{}, &answerError{fact.Malformed, "the answer is no version: " + err.Error()}
	}
	version := fact.Version{Git: fact.Text(info.GitVersion)}
	if emulated := info.EmulationMajor + "." + info.EmulationMinor; emulated != "." && emulated != minor(info.GitVersion) {
		version.Emulated = fact.Text(emulated)
	}
	return version, nil
}

// minor is "1.37" of "v1.37.0-beta.1".
func minor(git string) string {
	parts := strings.SplitN(strings.TrimPrefix(git, "v"), ".", 3)
	return strings.Join(parts[:min(len(parts), 2)], ".")
}

// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"perennial.dev/perennial/internal/fact"
)

// CreateNodeProxy is the right that Checkpoint needs of whoever asks the API server,
// whatever the path behind it is (apiserver pkg/endpoints/request/requestinfo.go).
// KubeletCheckpoint is what the kubelet then asks of the API server's own client
// certificate (pkg/kubelet/server/auth.go, since 1.25; the same with and without
// KubeletFineGrainedAuthz). Through kubeadm's up to 1.32 it may do everything; newer
// ones (seen in 1.33.13, 1.36.3 and 1.37.0, cmd/kubeadm/app/phases/bootstraptoken)
// give it the ClusterRole system:kubelet-api-admin, which does not have this right.
var (
	CreateNodeProxy   = Access{Verb: "create", Resource: "nodes", Subresource: "proxy"}
	KubeletCheckpoint = Access{Verb: "create", Resource: "nodes", Subresource: "checkpoint"}
)

// Why a checkpoint was not taken, where that can be told apart.
var (
	// ErrCheckpointOff: the kubelet does not know the path.
	ErrCheckpointOff = errors.New("the kubelet takes no checkpoints")
	// ErrCheckpointRuntime: the kubelet's container runtime does not know how.
	ErrCheckpointRuntime = errors.New("the container runtime takes no checkpoints")
	// ErrCheckpointKubelet: the kubelet refuses the API server.
	ErrCheckpointKubelet = errors.New("the kubelet does not let the API server take checkpoints")
	// ErrCheckpointCRIU: the runtime needs CRIU, and cannot use it.
	ErrCheckpointCRIU = errors.New("the container runtime cannot use CRIU")
)

// PodState is what of a pod matters for taking a checkpoint.
type PodState struct {
	UID     string
	Node    string
	Phase   string
	Running []string // containers that run, in the pod's order
	Stopped []string // and those that do not
}

// Pod reads a pod; nil where there is none.
func (c *Client) Pod(ctx context.Context, namespace, name string) (*PodState, error) {
	type status struct {
		Name  string `json:"name"`
		State struct {
			Running *struct{} `json:"running"`
		} `json:"state"`
	}
	var pod struct {
		Metadata struct {
			UID string `json:"uid"`
		} `json:"metadata"`
		Spec struct {
			Node string `json:"nodeName"`
		} `json:"spec"`
		Status struct {
			Phase      string   `json:"phase"`
			Containers []status `json:"containerStatuses"`
			Init       []status `json:"initContainerStatuses"`
			Ephemeral  []status `json:"ephemeralContainerStatuses"`
		} `json:"status"`
	}
	err := c.get(ctx, "for the pod "+fact.Text(namespace+"/"+name).String(), &pod, "/api/v1/namespaces", namespace, "pods", name)
	if NotFound(err) {
		return nil, nil
	}
	p := &PodState{UID: pod.Metadata.UID, Node: pod.Spec.Node, Phase: pod.Status.Phase}
	for _, one := range append(append(pod.Status.Containers, pod.Status.Init...), pod.Status.Ephemeral...) {
		if one.State.Running != nil {
			p.Running = append(p.Running, one.Name)
		} else {
			p.Stopped = append(p.Stopped, one.Name)
		}
	}
	return p, err
}

// Kubelet tells the version of a node's kubelet and of its container runtime, as
// the node's object has them.
func (c *Client) Kubelet(ctx context.Context, node string) (kubelet, runtime string, err error) {
	var object struct {
		Status struct {
			Info struct {
				Kubelet string `json:"kubeletVersion"`
				Runtime string `json:"containerRuntimeVersion"`
			} `json:"nodeInfo"`
		} `json:"status"`
	}
	err = c.get(ctx, "for the node "+fact.Text(node).String(), &object, "/api/v1/nodes", node)
	return object.Status.Info.Kubelet, object.Status.Info.Runtime, err
}

// Checkpoint lets a node's kubelet take a checkpoint of a container, through the
// API server, and returns the paths of the archives on the node. The container is
// frozen meanwhile and goes on afterwards. The question is asked once only: an
// answer that got lost says nothing of what was done. within is how long it may
// take; the kubelet is told so, in whole seconds.
func (c *Client) Checkpoint(ctx context.Context, node, namespace, pod, container string, within time.Duration) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, within+callTime)
	defer cancel()
	about := "for a checkpoint of " + fact.Text(path.Join(namespace, pod, container)).String()
	result := c.build(request{
		verb: http.MethodPost, path: []string{"/api/v1/nodes", node, "proxy/checkpoint", namespace, pod, container},
		query: map[string]string{"timeout": strconv.Itoa(max(1, int(within.Seconds())))},
	}).MaxRetries(0).Do(ctx)
	if err := result.Error(); err != nil {
		return nil, c.failed(ctx, about, explained(err))
	}
	body, err := result.Raw()
	if err != nil {
		return nil, c.failed(ctx, about, err)
	}
	var answer struct {
		Items []string `json:"items"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Items) == 0 {
		return nil, c.failed(ctx, about, errors.New("its answer does not say where the archive is"))
	}
	return answer.Items, nil
}

// answerLimit is how much of a kubelet's answer is quoted.
const answerLimit = 500

// answered is what was answered in plain text, which an API server does not do of
// itself.
func answered(err error) (said string, ok bool) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return "", false
	}
	for _, cause := range status.Status().Details.Causes {
		if cause.Type == metav1.CauseTypeUnexpectedServerResponse {
			text := strings.TrimSpace(cause.Message)
			return text[:min(len(text), answerLimit)], true
		}
	}
	return "", false
}

// explained tells from a kubelet's answer what is in the way. Kubelets answer in
// plain text (pkg/kubelet/server/server.go).
func explained(err error) error {
	said, ours := answered(err)
	if !ours {
		return err // the API server's own
	}
	var status apierrors.APIStatus
	errors.As(err, &status)
	quoted := told{errors.New(said)}
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(strings.ToLower(said), w) {
				return true
			}
		}
		return false
	}
	switch code := status.Status().Code; {
	case code == http.StatusNotFound && has("pod does not exist", "container "):
		return quoted
	case code == http.StatusNotFound, code == http.StatusMethodNotAllowed:
		return fmt.Errorf("%w: %w", ErrCheckpointOff, quoted)
	case code == http.StatusForbidden || code == http.StatusUnauthorized:
		return fmt.Errorf("%w: %w", ErrCheckpointKubelet, quoted)
	case has("unimplemented", "not implemented", "unknown method", "unknown service", "support not available"):
		return fmt.Errorf("%w: %w", ErrCheckpointRuntime, quoted)
	case has("criu"):
		return fmt.Errorf("%w: %w", ErrCheckpointCRIU, quoted)
	}
	return quoted
}

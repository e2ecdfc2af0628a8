// SPDX-License-Identifier: Apache-2.0

package release

// firstWideKubelet is the first kubelet that may be three minors older than its
// API server.
const firstWideKubelet Minor = 25

// KubeletSkew is by how many minors a kubelet may be older than the API server
// it talks to: three, but only two if the kubelet would be older than 1.25. So
// it is three from API server 1.28 on. A kubelet may never be newer
// (kubernetes.io/releases/version-skew-policy, read as of 1.37; the same bounds
// hold for kube-proxy).
func KubeletSkew(apiserver Minor) int {
	if apiserver-3 >= firstWideKubelet {
		return 3
	}
	return 2
}

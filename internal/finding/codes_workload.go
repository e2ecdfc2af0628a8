// SPDX-License-Identifier: Apache-2.0

package finding

// workloadCodes are those of what an upgrade does to what runs in the cluster, and to etcd.
var workloadCodes = []Info{}

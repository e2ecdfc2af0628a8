// SPDX-License-Identifier: Apache-2.0

package finding

// Group is the API group. Labels, annotations, leases and field managers are
// made from it; it is written nowhere else.
const Group = "perennial.dev"

// APIVersion is the apiVersion of everything published: JSON, configuration,
// custom resources. Fields may be added to it, meanings never change.
const APIVersion = Group + "/v1alpha1"

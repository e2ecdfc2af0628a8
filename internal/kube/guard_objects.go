// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"perennial.dev/perennial/internal/finding"
)

// GuardName is the name of the policy and of its binding.
const GuardName = "endpoints-guard." + finding.Group

const (
	policyGroup = "/apis/admissionregistration.k8s.io/v1"

	guardLabel       = finding.Group + "/guard"
	guardAnnotation  = finding.Group + "/description"
	guardDescription = "Keeps the service kubernetes from becoming empty while its only API server is replaced. " +
		"It forbids nothing else. When no such change is under way, remove it: " + guardRemoval
	guardRemoval = "kubectl delete validatingadmissionpolicybinding,validatingadmissionpolicy " + GuardName
	guardMessage = "the service kubernetes would become empty while an API server is replaced; if none is: " + guardRemoval
)

// What the guard looks at. An update of one of the two objects must leave an
// address that traffic goes to, and a deletion must not take one away. The
// names are compared here too, since deleting a collection names no object to
// the rules (apiserver pkg/registry/rest/delete.go).
const (
	subject   = `request.operation == 'DELETE' ? dyn(oldObject) : dyn(object)`
	populated = `has(variables.subject.subsets)` +
		` ? variables.subject.subsets.exists(s, has(s.addresses) && size(s.addresses) > 0)` +
		` : has(variables.subject.endpoints) && variables.subject.endpoints != null && variables.subject.endpoints.exists(e,` +
		` has(e.addresses) && size(e.addresses) > 0 && (!has(e.conditions) || !has(e.conditions.ready) || e.conditions.ready))`
	keeps = `variables.subject.metadata.name != '` + serviceName + `' || (request.operation == 'DELETE') != variables.populated`
)

// object is JSON as it is written down here.
type object = map[string]any

// guardPart is one of the two objects that make the guard.
type guardPart struct {
	kind, resource string
	spec           object
}

func (p guardPart) path() []string { return []string{policyGroup, p.resource, GuardName} }

// object is the whole of it; the version is that of what it replaces, if any.
func (p guardPart) object(resourceVersion string) object {
	return object{
		"apiVersion": "admissionregistration.k8s.io/v1", "kind": p.kind, "spec": p.spec,
		"metadata": object{
			"name":            GuardName,
			"resourceVersion": resourceVersion,
			"labels":          object{guardLabel: "endpoints", "app.kubernetes.io/managed-by": "perennial"},
			"annotations":     object{guardAnnotation: guardDescription},
		},
	}
}

var (
	policyPart = guardPart{"ValidatingAdmissionPolicy", "validatingadmissionpolicies", object{
		"failurePolicy": "Fail",
		"matchConstraints": object{
			"namespaceSelector": object{"matchLabels": object{"kubernetes.io/metadata.name": serviceNamespace}},
			"resourceRules": []object{
				guardRule("", "endpoints", "UPDATE", serviceName),
				guardRule("discovery.k8s.io", "endpointslices", "UPDATE", serviceName),
				guardRule("", "endpoints", "DELETE"),
				guardRule("discovery.k8s.io", "endpointslices", "DELETE"),
			},
		},
		"variables":   []object{{"name": "subject", "expression": subject}, {"name": "populated", "expression": populated}},
		"validations": []object{{"expression": keeps, "message": guardMessage}},
	}}
	bindingPart = guardPart{"ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", object{
		"policyName": GuardName, "validationActions": []string{"Deny"},
	}}
	// guardParts are in the order in which they are made.
	guardParts = []guardPart{policyPart, bindingPart}
)

func guardRule(group, resource, operation string, names ...string) object {
	rule := object{"apiGroups": []string{group}, "apiVersions": []string{"v1"}, "resources": []string{resource}, "operations": []string{operation}}
	if len(names) > 0 {
		rule["resourceNames"] = names
	}
	return rule
}

// keptObject is what the guard keeps, and the patch that would empty it.
type keptObject struct {
	kind    string
	path    []string
	emptied []byte
}

var keptObjects = []keptObject{
	{"Endpoints", []string{"/api/v1/namespaces", serviceNamespace, "endpoints", serviceName}, []byte(`{"subsets":[]}`)},
	{"EndpointSlice", []string{"/apis/discovery.k8s.io/v1/namespaces", serviceNamespace, "endpointslices", serviceName}, []byte(`{"endpoints":[]}`)},
}

// SPDX-License-Identifier: Apache-2.0

package document

import (
	"encoding/json"
	"slices"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// Uses derives from an object's JSON in which API versions somebody uses it,
// or something else through it: the version in which kubectl applied it last,
// those in which managers of fields wrote it and when, those that a webhook's
// rules ask for, and those in which a CustomResourceDefinition's objects are
// stored. Each appears once, in the order of the object. A webhook's versions
// stand for all resources that its rules name; "*" is left out, as it follows
// whatever the server has.
//
// The content is the whole object, as the API or a file has it: Prune takes
// away what this reads. What is no JSON object has no uses.
func Uses(content []byte) []fact.Use {
	if !json.Valid(content) {
		return nil
	}
	return usesOf(content[blank(content, 0):])
}

// usesOf is Uses for valid JSON that begins with its value.
func usesOf(object []byte) []fact.Use {
	var found []fact.Use
	add := func(u fact.Use) {
		if u.APIVersion != "" && !slices.Contains(found, u) {
			found = append(found, u)
		}
	}
	metadata := member(object, "metadata")
	if applied := unquote(member(member(metadata, "annotations"), lastApplied)); applied != "" && json.Valid([]byte(applied)) {
		text := []byte(applied)
		add(fact.Use{By: fact.LastApplied, APIVersion: fact.Text(unquote(member(text[blank(text, 0):], "apiVersion")))})
	}
	managers(member(metadata, "managedFields"), add)
	group, _ := splitVersion(unquote(member(object, "apiVersion")))
	switch kind := unquote(member(object, "kind")); {
	case group == "admissionregistration.k8s.io" && (kind == "MutatingWebhookConfiguration" || kind == "ValidatingWebhookConfiguration"):
		webhookRules(member(object, "webhooks"), add)
	case group == "apiextensions.k8s.io" && kind == "CustomResourceDefinition":
		storedVersions(object, add)
	}
	return found
}

func managers(list []byte, add func(fact.Use)) {
	if len(list) == 0 || list[0] != '[' {
		return
	}
	elements(list, 0, func(from int) int {
		to := afterValue(list, from)
		entry := list[from:to]
		at, _ := time.Parse(time.RFC3339, unquote(member(entry, "time")))
		add(fact.Use{
			By:         fact.ManagedFields,
			APIVersion: fact.Text(unquote(member(entry, "apiVersion"))),
			Who:        fact.Text(unquote(member(entry, "manager"))),
			At:         at.UTC(),
		})
		return to
	})
}

func webhookRules(list []byte, add func(fact.Use)) {
	var hooks []struct {
		Name  string
		Rules []struct{ APIGroups, APIVersions []string }
	}
	if len(list) == 0 || json.Unmarshal(list, &hooks) != nil {
		return
	}
	for _, hook := range hooks {
		for _, rule := range hook.Rules {
			for _, group := range rule.APIGroups {
				for _, version := range rule.APIVersions {
					if group != "*" && version != "*" {
						add(fact.Use{By: fact.WebhookRule, APIVersion: joinVersion(group, version), Who: fact.Text(hook.Name)})
					}
				}
			}
		}
	}
}

func storedVersions(object []byte, add func(fact.Use)) {
	group := unquote(member(member(object, "spec"), "group"))
	var versions []string
	list := member(member(object, "status"), "storedVersions")
	if len(list) == 0 || json.Unmarshal(list, &versions) != nil {
		return
	}
	for _, version := range versions {
		add(fact.Use{By: fact.StoredVersion, APIVersion: joinVersion(group, version)})
	}
}

func joinVersion(group, version string) fact.Text {
	if group == "" || version == "" {
		return fact.Text(version)
	}
	return fact.Text(group + "/" + version)
}

// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"errors"
	"fmt"
	"reflect"

	"go.yaml.in/yaml/v2"

	"perennial.dev/perennial/internal/fact"
)

// tree is a kubeconfig with all of its fields, read twice: in their order and
// with repetitions, but without what a merge key brings in, and as client-go
// sees them in the end. Two texts whose trees are equal say the same.
type tree struct {
	ordered yaml.MapSlice
	merged  map[any]any
}

// maxEditPunctuation bounds a kubeconfig that is changed; it is parsed several
// times, and whole.
const maxEditPunctuation = maxConfigPunctuation / 4

func readTree(data []byte) (tree, error) {
	var t tree
	if len(data) > maxConfigBytes || punctuation(data) > maxEditPunctuation {
		return t, errors.New("it is too large to be changed")
	}
	err := yaml.Unmarshal(data, &t.ordered)
	if err == nil {
		err = yaml.Unmarshal(data, &t.merged)
	}
	if err != nil {
		return t, fmt.Errorf("it is no YAML%s: %s", lineOf(err.Error()), yamlCause(err))
	}
	return t, nil
}

func (t tree) equal(other tree) bool {
	return reflect.DeepEqual(t.ordered, other.ordered) && reflect.DeepEqual(t.merged, other.merged)
}

// field finds a field of a mapping. One that is given twice is an error:
// programs disagree on which counts.
func field(m yaml.MapSlice, name string) (at int, err error) {
	at = -1
	for i := range m {
		if m[i].Key == name {
			if at >= 0 {
				return -1, fmt.Errorf("%s is given twice in one place", name)
			}
			at = i
		}
	}
	return at, nil
}

func text(m yaml.MapSlice, name string) (string, error) {
	at, err := field(m, name)
	if err != nil || at < 0 || m[at].Value == nil {
		return "", err
	}
	value, ok := m[at].Value.(string)
	if !ok {
		return "", fmt.Errorf("%s is no text", name)
	}
	return value, nil
}

func mapping(m yaml.MapSlice, name string) (yaml.MapSlice, error) {
	at, err := field(m, name)
	if err != nil || at < 0 || m[at].Value == nil {
		return nil, err
	}
	value, ok := m[at].Value.(yaml.MapSlice)
	if !ok {
		return nil, fmt.Errorf("%s is no mapping", name)
	}
	return value, nil
}

// named finds the entry of a list that has a name, of several the last one, as
// client-go does.
func (t tree) named(list, name string) (index int, entry yaml.MapSlice, err error) {
	at, err := field(t.ordered, list)
	if err != nil || at < 0 {
		return -1, nil, err
	}
	entries, ok := t.ordered[at].Value.([]any)
	if !ok {
		return -1, nil, fmt.Errorf("%s is no list", list)
	}
	index = -1
	for i := range entries {
		e, ok := entries[i].(yaml.MapSlice)
		if !ok {
			return -1, nil, fmt.Errorf("an entry of %s is no mapping", list)
		}
		own, err := text(e, "name")
		if err != nil {
			return -1, nil, fmt.Errorf("%s: %w", list, err)
		}
		if own == name {
			index, entry = i, e
		}
	}
	return index, entry, nil
}

// user finds the user of a name, or of the current context where the name is
// empty.
func (t tree) user(name string) (user, error) {
	var err error
	if name == "" {
		if name, err = t.currentUser(); err != nil {
			return user{}, err
		}
	}
	index, entry, err := t.named("users", name)
	if err != nil {
		return user{}, err
	}
	if index < 0 {
		return user{}, fmt.Errorf(`there is no user "%s"`, fact.Text(clip(name)))
	}
	fields, err := mapping(entry, "user")
	return user{name: name, index: index, fields: fields}, err
}

func (t tree) currentUser() (string, error) {
	current, err := text(t.ordered, "current-context")
	if err != nil {
		return "", err
	}
	if current == "" {
		return "", errors.New("it has no current context")
	}
	index, entry, err := t.named("contexts", current)
	if err != nil {
		return "", err
	}
	if index < 0 {
		return "", fmt.Errorf(`the current context "%s" does not exist`, fact.Text(clip(current)))
	}
	context, err := mapping(entry, "context")
	if err != nil {
		return "", err
	}
	return text(context, "user")
}

// user is one user's entry in a tree.
type user struct {
	name   string
	index  int
	fields yaml.MapSlice
}

// change renames a field of the user and gives it a value, in the tree.
func (t tree) change(u user, name, newName, value string) error {
	at, err := field(u.fields, name)
	if err != nil || at < 0 {
		return fmt.Errorf("%s cannot be found", name)
	}
	u.fields[at] = yaml.MapItem{Key: newName, Value: value}
	users, _ := t.merged["users"].([]any)
	if u.index >= len(users) {
		return errors.New("its users cannot be told apart")
	}
	entry, _ := users[u.index].(map[any]any)
	fields, ok := entry["user"].(map[any]any)
	if !ok {
		return errors.New("its users cannot be told apart")
	}
	delete(fields, name)
	fields[newName] = value
	return nil
}

// twins counts the users before u that have the same value in a field.
func (t tree) twins(u user, name, value string) int {
	at, _ := field(t.ordered, "users")
	if at < 0 {
		return 0
	}
	n := 0
	entries, _ := t.ordered[at].Value.([]any)
	for _, entry := range entries[:min(u.index, len(entries))] {
		e, _ := entry.(yaml.MapSlice)
		fields, _ := mapping(e, "user")
		if other, _ := text(fields, name); other == value {
			n++
		}
	}
	return n
}

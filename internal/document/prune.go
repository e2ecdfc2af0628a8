// SPDX-License-Identifier: Apache-2.0

package document

import "encoding/json"

// lastApplied is the annotation of kubectl apply (k8s.io/api v0.37.0,
// core/v1 LastAppliedConfigAnnotation).
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// Prune gives an object as a fact holds it: without what may be secret, which
// is the values of environment variables, the data of ConfigMaps and Secrets
// and the annotation that repeats all of it, without managedFields, and
// without white space. What is no valid JSON object gives nil. The result
// shares no memory with the content.
func Prune(content []byte) json.RawMessage {
	if !json.Valid(content) {
		return nil
	}
	return pruneValid(content)
}

// pruneValid is Prune for what is known to be valid.
func pruneValid(content []byte) json.RawMessage {
	i := blank(content, 0)
	if i == len(content) || content[i] != '{' {
		return nil
	}
	p := pruner{text: content, out: make([]byte, 0, len(content)-i)}
	kind := unquote(member(content[i:], "kind"))
	secret := kind == "ConfigMap" || kind == "Secret"
	p.object(i, func(key []byte, from int) (int, bool) {
		switch {
		case isKey(key, "metadata") && content[from] == '{':
			p.key(key)
			return p.object(from, p.metadata), true
		case secret && (isKey(key, "data") || isKey(key, "binaryData") || isKey(key, "stringData")):
			return p.leave(from)
		}
		return p.env(key, from)
	})
	return p.out
}

type pruner struct{ text, out []byte }

// leave goes past a value without copying it.
func (p *pruner) leave(from int) (int, bool) { return afterValue(p.text, from), true }

func (p *pruner) metadata(key []byte, from int) (int, bool) {
	switch {
	case isKey(key, "managedFields"):
		return p.leave(from)
	case isKey(key, "annotations") && p.text[from] == '{':
		p.key(key)
		return p.object(from, func(key []byte, from int) (int, bool) {
			if isKey(key, lastApplied) {
				return p.leave(from)
			}
			return 0, false
		}), true
	}
	return 0, false
}

// env leaves out the values of environment variables, wherever containers are.
func (p *pruner) env(key []byte, from int) (int, bool) {
	if !isKey(key, "env") || p.text[from] != '[' {
		return 0, false
	}
	p.key(key)
	return p.array(from, func(at int) int {
		if p.text[at] != '{' {
			return p.value(at)
		}
		return p.object(at, func(key []byte, from int) (int, bool) {
			if isKey(key, "value") {
				return p.leave(from)
			}
			return 0, false
		})
	}), true
}

// object copies the object at i and gives its end. special says that it has
// dealt with a member, and where that ends.
func (p *pruner) object(i int, special func(key []byte, from int) (int, bool)) int {
	p.out = append(p.out, '{')
	end := members(p.text, i, func(key []byte, from int) int {
		if end, done := special(key, from); done {
			return end
		}
		p.key(key)
		return p.value(from)
	})
	p.out = append(p.out, '}')
	return end
}

func (p *pruner) array(i int, each func(at int) int) int {
	p.out = append(p.out, '[')
	end := elements(p.text, i, func(from int) int {
		p.comma('[')
		return each(from)
	})
	p.out = append(p.out, ']')
	return end
}

func (p *pruner) value(i int) int {
	switch p.text[i] {
	case '{':
		return p.object(i, p.env)
	case '[':
		return p.array(i, p.value)
	}
	end := afterValue(p.text, i)
	p.out = append(p.out, p.text[i:end]...)
	return end
}

func (p *pruner) key(quoted []byte) {
	p.comma('{')
	p.out = append(append(p.out, quoted...), ':')
}

// comma separates what follows from what stands before it.
func (p *pruner) comma(open byte) {
	if p.out[len(p.out)-1] != open {
		p.out = append(p.out, ',')
	}
}

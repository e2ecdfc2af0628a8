// SPDX-License-Identifier: Apache-2.0

package document

import "bytes"

// scanner reads one document of a strict subset of YAML: block mappings and
// sequences, scalars in every style, and flow style that ends on its line.
// Whatever else it meets makes it decline, and so does what is broken: no
// document passes it that a YAML parser would refuse or read otherwise.
//
// The same walk first finds the objects (heads) and then, if asked for, writes
// one of them as JSON (out).
type scanner struct {
	text []byte
	lines
	depth    int
	declined bool

	heads []head
	last  scalar // the scalar that was read last

	write   bool
	out     []byte
	scratch []byte
}

// head is an object, or what may turn out to be one: an item of what may turn
// out to be a list.
type head struct {
	apiVersion, kind, name, generated, namespace []byte
	line                                         int // of the apiVersion, from 0
	parent                                       int // whose item it is; -1 for the document
	items                                        bool
	mappings, others                             int  // of its items
	used                                         bool // somebody may use it in further versions
	seen                                         uint16
	place                                        lines // where it begins
	end                                          int   // where its text ends
}

// role says what a mapping is to the head that the scanner is at.
type role uint8

const (
	plainRole role = iota
	objectRole
	metadataRole
	annotationsRole
	itemsRole
)

const maxDepth = 200

// scan finds the objects in a document. It reports false where it declines.
func (s *scanner) scan(text []byte) bool {
	*s = scanner{text: text, heads: s.heads[:0], scratch: s.scratch[:0]}
	s.line = -1
	s.advance()
	if s.indent < 0 {
		return !s.declined // nothing but comments
	}
	switch {
	case s.dash():
		s.sequence(s.indent, plainRole, 0)
	default:
		s.object(-1)
	}
	return !s.declined && s.indent < 0
}

// json writes an object that scan has found.
func (s *scanner) json(h *head, out []byte) ([]byte, bool) {
	s.lines, s.declined, s.depth = h.place, false, 0
	s.write, s.out = true, out
	s.mapping(s.indent, plainRole, 0)
	s.write = false
	return s.out, !s.declined
}

func (s *scanner) decline() {
	s.declined, s.indent, s.next = true, -1, len(s.text)
}

func (s *scanner) deeper() bool {
	s.depth++
	if s.depth > maxDepth {
		s.decline()
	}
	return !s.declined
}

// object reads a mapping that may be an object.
func (s *scanner) object(parent int) {
	at := len(s.heads)
	s.heads = append(s.heads, head{line: -1, parent: parent, place: s.lines})
	s.mapping(s.indent, objectRole, at)
	s.heads[at].end = s.start
	if s.indent < 0 {
		s.heads[at].end = len(s.text)
	}
}

// mapping reads a block mapping whose keys stand in a column, and ends at the
// first line that does not belong to it.
func (s *scanner) mapping(column int, r role, h int) {
	if !s.deeper() {
		return
	}
	s.open('{')
	for first := true; s.indent == column; first = false {
		key, quoted, ok := s.key()
		if !ok {
			s.decline()
			return
		}
		s.member(key, quoted, first)
		s.entry(column, key, r, h)
	}
	s.open('}')
	if s.indent > column {
		s.decline()
	}
	s.depth--
}

// entry reads a key's value and notes what it says of the object.
func (s *scanner) entry(column int, key []byte, r role, h int) {
	field := fieldOf(r, key)
	if field == 0 {
		s.value(column, plainRole, h)
		return
	}
	s.once(h, field)
	line := s.line
	s.last = scalar{}
	switch field {
	case metadataField:
		s.value(column, metadataRole, h)
	case annotationsField:
		s.value(column, annotationsRole, h)
	case itemsField:
		s.value(column, itemsRole, h)
	case statusField:
		s.value(column, plainRole, h)
	case managedField, appliedField:
		s.heads[h].used = true
		s.value(column, plainRole, h)
	default:
		s.value(column, plainRole, h)
		s.note(h, field, line)
	}
}

// The fields that tell what an object is and who uses it.
const (
	apiVersionField uint16 = 1 << iota
	kindField
	metadataField
	itemsField
	statusField
	nameField
	generateNameField
	namespaceField
	annotationsField
	managedField
	appliedField
)

func fieldOf(r role, key []byte) uint16 {
	switch r {
	case objectRole:
		switch string(key) {
		case "apiVersion":
			return apiVersionField
		case "kind":
			return kindField
		case "metadata":
			return metadataField
		case "items":
			return itemsField
		case "status":
			return statusField
		}
	case metadataRole:
		switch string(key) {
		case "name":
			return nameField
		case "generateName":
			return generateNameField
		case "namespace":
			return namespaceField
		case "annotations":
			return annotationsField
		case "managedFields":
			return managedField
		}
	case annotationsRole:
		if string(key) == lastApplied {
			return appliedField
		}
	}
	return 0
}

// once declines a key that is there twice.
func (s *scanner) once(h int, field uint16) {
	if s.heads[h].seen&field != 0 {
		s.decline()
	}
	s.heads[h].seen |= field
}

// note keeps a scalar in the head. One that is no plain string of one line is
// left to the parser.
func (s *scanner) note(h int, field uint16, line int) {
	value := s.last.text
	switch s.last.is {
	case aString:
	case aNull:
		value = nil
	default:
		s.decline()
		return
	}
	switch o := &s.heads[h]; field {
	case apiVersionField:
		o.apiVersion, o.line = value, line
	case kindField:
		o.kind = value
	case nameField:
		o.name = value
	case generateNameField:
		o.generated = value
	case namespaceField:
		o.namespace = value
	}
}

// value reads what follows a key, on its line or below it.
func (s *scanner) value(column int, r role, h int) {
	if s.at < s.end && s.text[s.at] != '#' {
		s.inline(column, r, h)
		return
	}
	s.advance()
	switch {
	case s.indent > column:
		s.node(column, r, h)
	case s.indent == column && s.dash():
		s.sequence(column, r, h)
	default:
		s.null()
	}
}

// node reads a node that begins on a line of its own, deeper than its parent.
func (s *scanner) node(parent int, r role, h int) {
	switch {
	case s.dash():
		s.sequence(s.indent, r, h)
	case s.keyAhead():
		s.mapping(s.indent, r, h)
	case s.text[s.at] == '|' || s.text[s.at] == '>':
		s.decline()
	default:
		s.inline(parent, r, h)
	}
}

// sequence reads a block sequence whose dashes stand in a column.
func (s *scanner) sequence(column int, r role, h int) {
	if !s.deeper() {
		return
	}
	items := r == itemsRole
	if items {
		s.heads[h].items = true
	}
	s.open('[')
	for first := true; s.indent == column && s.dash(); first = false {
		if s.write && !first {
			s.out = append(s.out, ',')
		}
		s.at++
		s.spaces()
		s.last = scalar{}
		switch {
		case s.at == s.end || s.text[s.at] == '#':
			s.advance()
			if s.indent <= column {
				if items {
					s.heads[h].others++
				}
				s.null()
				break
			}
			s.item(column, items, h)
		default:
			s.indent = s.at - s.start
			s.item(column, items, h)
		}
	}
	s.open(']')
	if s.indent > column {
		s.decline()
	}
	s.depth--
	s.last = scalar{is: notScalar}
}

// item reads an item of a sequence that begins at the current place.
func (s *scanner) item(column int, items bool, h int) {
	switch {
	case s.dash():
		if items {
			s.heads[h].others++
		}
		s.sequence(s.indent, plainRole, h)
	case s.keyAhead() && items:
		s.heads[h].mappings++
		s.object(h)
	case s.keyAhead():
		s.mapping(s.indent, plainRole, h)
	case items && s.text[s.at] == '{':
		s.decline() // an object in flow style
	default:
		if items {
			s.heads[h].others++
		}
		s.inline(column, plainRole, h)
	}
}

// dash says whether an item of a sequence begins here.
func (s *scanner) dash() bool {
	return s.text[s.at] == '-' && (s.at+1 == s.end || s.text[s.at+1] == ' ')
}

// keyAhead says whether a key that the scanner knows begins here.
func (s *scanner) keyAhead() bool {
	at := s.at
	_, _, ok := s.key()
	s.at = at
	return ok
}

// key reads a key and its colon, up to the value. The limit is the parser's
// own, 1024 characters, with room to spare.
func (s *scanner) key() (key []byte, quoted, ok bool) {
	rest := s.text[s.at:min(s.end, s.at+512)]
	n := 0
	switch {
	case len(rest) == 0:
		return nil, false, false
	case rest[0] == '"' || rest[0] == '\'':
		n = bytes.IndexByte(rest[1:], rest[0])
		if n < 0 || bytes.IndexByte(rest[1:n+1], '\\') >= 0 {
			return nil, false, false
		}
		key, quoted, n = rest[1:n+1], true, n+2
	case class[rest[0]]&keyStart != 0:
		for n < len(rest) && class[rest[n]]&keyRest != 0 {
			n++
		}
		key = rest[:n]
	}
	if n == 0 || n >= len(rest) || rest[n] != ':' || n+1 < len(rest) && rest[n+1] != ' ' || s.at+n+1 == s.at+512 {
		return nil, false, false
	}
	s.at += n + 1
	s.spaces()
	return key, quoted, true
}

func (s *scanner) spaces() {
	for s.at < s.end && s.text[s.at] == ' ' {
		s.at++
	}
}

// open writes a bracket; what it belongs to is no scalar.
func (s *scanner) open(bracket byte) {
	s.last = scalar{is: notScalar}
	if s.write {
		s.out = append(s.out, bracket)
	}
}

// member writes a key. Keys that YAML takes for something other than a string
// are left to the parser.
func (s *scanner) member(key []byte, quoted, first bool) {
	if !quoted {
		is := classify(key)
		if is == aNull || s.write && is != aString && is != anInteger {
			s.decline()
			return
		}
	}
	if !s.write {
		return
	}
	if !first {
		s.out = append(s.out, ',')
	}
	s.out = append(appendString(s.out, key), ':')
}

func (s *scanner) null() {
	s.last = scalar{is: aNull}
	if s.write {
		s.out = append(s.out, "null"...)
	}
}

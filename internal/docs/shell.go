// SPDX-License-Identifier: Apache-2.0

package docs

import "strings"

// symbol is a word of a command line, or an operator.
type symbol struct {
	text     string
	operator bool
}

// operators of a shell, the longest first.
var operators = []string{"&&", "||", ">>", "2>", "<<", "|", "&", ";", ">", "<", "(", ")", "\n"}

// lexed is a command line in its parts.
type lexed struct {
	tokens []symbol
	open   bool // a quote or a substitution has no end
	end    int  // where a comment begins that is the last, else the length
}

// lex splits a command line as a shell does, as far as pages go: quotes, comments,
// operators, and substitutions as part of their word.
func lex(line string) lexed {
	l := lexer{line: line, lexed: lexed{end: len(line)}}
	for l.at < len(line) && !l.open {
		l.next()
	}
	l.finish()
	return l.lexed
}

type lexer struct {
	lexed
	line  string
	at    int
	word  strings.Builder
	begun bool
}

// finish ends a word.
func (l *lexer) finish() {
	if l.begun {
		l.tokens = append(l.tokens, symbol{text: l.word.String()})
		l.word.Reset()
		l.begun = false
	}
}

func (l *lexer) add(text string, length int) {
	l.begun = true
	l.word.WriteString(text)
	l.at += length
}

func (l *lexer) next() {
	rest := l.line[l.at:]
	switch c := rest[0]; {
	case strings.HasPrefix(rest, "\\\n"):
		l.at += 2
	case c == '\\' && len(rest) > 1:
		l.add(rest[1:2], 2)
	case c == '\'' || c == '"':
		l.until(rest[1:], string(c), 1, 0)
	case strings.HasPrefix(rest, "$("):
		l.until(rest, ")", 0, 1)
	case c == ' ' || c == '\t':
		l.finish()
		l.at++
	case c == '#' && !l.begun:
		line, _, more := strings.Cut(rest, "\n")
		if !more {
			l.end = l.at
		}
		l.at += len(line)
	default:
		l.other(rest)
	}
}

// until adds what stands before an end, after a start of some length, with so much of
// the end.
func (l *lexer) until(text, end string, start, with int) {
	n := strings.Index(text, end)
	if n < 0 {
		l.open = true
		return
	}
	l.add(text[:n+with], start+n+len(end))
}

func (l *lexer) other(rest string) {
	for _, op := range operators {
		if strings.HasPrefix(rest, op) && !(l.begun && op == "2>") {
			l.finish()
			l.tokens = append(l.tokens, symbol{op, true})
			l.at += len(op)
			return
		}
	}
	l.add(rest[:1], 1)
}

// parts are the commands of a line, without what they read from and write to.
func parts(tokens []symbol) (all [][]string) {
	var part []string
	for n := 0; n < len(tokens); n++ {
		t := tokens[n]
		switch {
		case !t.operator:
			part = append(part, t.text)
		case strings.ContainsAny(t.text, "<>"):
			n++ // the file
		default:
			all = append(all, part)
			part = nil
		}
	}
	return append(all, part)
}

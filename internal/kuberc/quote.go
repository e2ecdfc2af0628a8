// SPDX-License-Identifier: Apache-2.0

package kuberc

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"perennial.dev/perennial/internal/fact"
)

// Quote writes arguments so that they can be pasted into sh, bash and zsh. What
// holds control characters, which would act on the terminal that shows it, is
// written as $'\x1b', which bash, zsh and newer ones of the others understand.
func Quote(args []string) string {
	quoted := make([]string, len(args))
	for i, arg := range args {
		quoted[i] = quote(arg)
	}
	return strings.Join(quoted, " ")
}

func quote(arg string) string {
	switch {
	case arg != "" && strings.IndexFunc(arg, special) < 0 && arg[0] != '=':
		return arg
	case fact.Text(arg).String() == arg && utf8.ValidString(arg):
		return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for i := 0; i < len(arg); {
		r, n := utf8.DecodeRuneInString(arg[i:])
		switch {
		case r == '\'' || r == '\\':
			b.WriteString(`\` + arg[i:i+n])
		case fact.Text(arg[i:i+n]).String() != arg[i:i+n]:
			for _, c := range []byte(arg[i : i+n]) {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		default:
			b.WriteString(arg[i : i+n])
		}
		i += n
	}
	return b.String() + "'"
}

// special reports what a shell may take for something else.
func special(r rune) bool {
	return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_=./:,@%+", r)
}

// SPDX-License-Identifier: Apache-2.0

package fact_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"perennial.dev/perennial/internal/fact"
)

var hostile = []struct{ text, shown string }{
	{"plain, with 'quotes' and \\ backslash", "plain, with 'quotes' and \\ backslash"},
	{"größe 宽 e\u0301", "größe 宽 e\u0301"},
	{"", ""},
	{"\x1b[31m", `\x1b[31m`},
	{"a\nb\r\tc\x00", `a\x0ab\x0d\x09c\x00`},
	{"\x7f\u0080\u009b", `\x7f\x80\x9b`},
	{"\u202egpj.exe\u2066", `\u202egpj.exe\u2066`},
	{"\u200b\u200d\ufeff\u00ad", `\u200b\u200d\ufeff\xad`},
	{"\u2028\u2029", `\u2028\u2029`},
	{"\U000e0041", `\U000e0041`},
	{"\xff\xc3\x28", `\xff\xc3(`},
	{"\ufffd", "\ufffd"}, // somebody's replacement character is a character
}

// visible says whether a text is safe, by the tables of package unicode and
// not by the tested package's idea.
func visible(s string) bool {
	for _, r := range s {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return false
		}
	}
	return utf8.ValidString(s)
}

func TestTextShowsWhatIsUnsafe(t *testing.T) {
	for _, h := range hostile {
		text := fact.Text(h.text)
		if got := text.String(); got != h.shown {
			t.Errorf("%q is shown as %q, want %q", h.text, got, h.shown)
		}
		for _, verb := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x", "%20s", "%-5.3s", "%d"} {
			if got := fmt.Sprintf(verb, text); !visible(got) {
				t.Errorf("%s lets %q through", verb, got)
			}
		}
		inside := fmt.Sprintf("%v %+v %s", struct{ Name fact.Text }{text}, []fact.Text{text}, map[string]fact.Text{"a": text})
		if !visible(inside) {
			t.Errorf("inside of something else, %q comes through", inside)
		}
		if err := fmt.Errorf("reading %s: %w", text, fmt.Errorf("no %q", text)); !visible(err.Error()) {
			t.Errorf("an error lets %q through", err.Error())
		}
	}
}

func TestTextInJSON(t *testing.T) {
	for _, h := range hostile {
		body, err := json.Marshal(fact.Text(h.text))
		if err != nil {
			t.Fatal(err)
		}
		if !visible(string(body)) {
			t.Errorf("JSON lets %q through", body)
		}
		var back fact.Text
		if err := json.Unmarshal(body, &back); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if want := strings.ToValidUTF8(h.text, "\x00"); utf8.ValidString(h.text) && string(back) != want {
			t.Errorf("%q was read back as %q", h.text, string(back))
		}
	}
}

func FuzzText(f *testing.F) {
	for _, h := range hostile {
		f.Add(h.text)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := fact.Text(s).String(); !visible(got) {
			t.Fatalf("%q comes through", got)
		}
		body, err := json.Marshal(fact.Text(s))
		if err != nil || !visible(string(body)) {
			t.Fatalf("%q, %v", body, err)
		}
		var back string
		if err := json.Unmarshal(body, &back); err != nil || utf8.ValidString(s) && back != s {
			t.Fatalf("%q was read back as %q, %v", s, back, err)
		}
		if id := fact.NodeID(s, s); !visible(string(id)) || strings.ContainsAny(string(id), " \t") {
			t.Fatalf("the ID %q", string(id))
		}
	})
}

func TestNodeID(t *testing.T) {
	for _, c := range []struct {
		node, name string
		want       fact.ID
	}{
		{"cp1", "apiserver", "cp1/apiserver"},
		{"10.0.0.1:6443", "apiserver-loopback", "10.0.0.1:6443/apiserver-loopback"},
		{"cp1", "pki/old/a b.crt", "cp1/pki/old/a_b.crt"},
		{"../../etc", "x", ".._.._etc/x"},
		{"a\x1b[31m\u202e", "b\nc\xff", "a_[31m_/b_c_"},
		{"größe", "宽", "größe/宽"},
		{"", "", "/"},
	} {
		got := fact.NodeID(c.node, c.name)
		if got != c.want {
			t.Errorf("%q, %q: %q, want %q", c.node, c.name, string(got), string(c.want))
		}
		if again := fact.NodeID(got.Node(), got.Name()); again != got {
			t.Errorf("its own parts make %q of %q", string(again), string(got))
		}
	}
	if id := fact.ID("cp1"); id.Node() != "cp1" || id.Name() != "" {
		t.Error("an ID without a slash is a node")
	}
}

// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Command is a command line that a page shows: a line of a block of a shell, or code in
// a sentence. A line that goes on over several of the page's is one.
type Command struct {
	Page   string // below the repository's root
	Line   int
	Inline bool   // in a sentence
	Text   string // as the page has it, without what the comment behind it says
	Calls  []Call // of the project's own programs; none where it sets up the shell for others
}

// Call is a program with its arguments.
type Call struct {
	Program string // Perennial, Plugin, Make, Lab, or a script of the repository, by its path
	Args    []string
}

// The project's own programs.
const (
	Perennial = "perennial"
	Plugin    = "kubectl perennial"
	Make      = "make"
	Lab       = "lab"
)

// helpPage is generated from the commands' help: its examples are commands, its other
// text is not.
const helpPage = "docs/cli.md"

// translated are copies of other pages, that have the same commands.
const translated = "docs/zh"

// commandPages lists the pages whose commands have to work, in the order in which
// somebody reads them: the repository's front, docs/, and what lies beside the code.
func commandPages(root fs.FS) ([]string, error) {
	all := []string{"README.md"}
	for _, dir := range []string{"docs", "deploy", "examples", "bench", "lab"} {
		err := fs.WalkDir(root, dir, func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && name == translated {
				return fs.SkipDir
			}
			if err == nil && !d.IsDir() && path.Ext(name) == ".md" {
				all = append(all, name)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Commands reads the command lines of all pages.
func Commands(root fs.FS) ([]Command, error) {
	pages, err := commandPages(root)
	if err != nil {
		return nil, err
	}
	var all []Command
	for _, page := range pages {
		text, err := fs.ReadFile(root, page)
		if err != nil {
			return nil, err
		}
		all = append(all, ofPage(page, string(text))...)
	}
	return all, nil
}

// ofPage reads those of one page.
func ofPage(page, text string) []Command {
	r := reader{page: page}
	for n, line := range strings.Split(text, "\n") {
		r.line(n+1, line)
	}
	r.sentence()
	return r.all
}

// reader goes through a page line by line.
type reader struct {
	page string
	all  []Command

	fence string // of the block that it is in, as it began
	usage bool   // in the part of a help that says how a command is called

	began   int      // where the sentence or the command line began
	pending []string // its lines so far
}

func (r *reader) line(n int, line string) {
	trimmed := strings.TrimSpace(line)
	switch {
	case r.fence == "" && strings.HasPrefix(trimmed, "```"):
		r.sentence()
		r.fence, r.usage = trimmed, false
	case r.fence != "" && trimmed == "```":
		if len(r.pending) > 0 { // what never ended is shown all the same
			r.add(r.began, strings.Join(r.pending, "\n"), false)
		}
		r.pending, r.fence = nil, ""
	case r.fence != "":
		r.code(n, line)
	case trimmed == "" || strings.HasPrefix(trimmed, "|"): // a table's row is a sentence of its own
		r.sentence()
		r.say(n, trimmed)
	default:
		r.say(n, line)
	}
}

func (r *reader) say(n int, line string) {
	if len(r.pending) == 0 {
		r.began = n
	}
	r.pending = append(r.pending, line)
}

var spans = regexp.MustCompile("`+[^`]+`+")

// sentence ends the text before here, and takes the commands out of it.
func (r *reader) sentence() {
	text := strings.Join(r.pending, "\n")
	r.pending = nil
	for _, at := range spans.FindAllStringIndex(text, -1) {
		code := strings.Trim(text[at[0]:at[1]], "`")
		line := r.began + strings.Count(text[:at[0]], "\n")
		code = strings.ReplaceAll(strings.Join(strings.Fields(code), " "), `\|`, "|")
		r.add(line, code, true)
	}
}

// languages are those of blocks that hold command lines only, or behind prompts only.
var languages = map[string]bool{"sh": false, "bash": false, "console": true, "": true, "text": true}

var (
	// inPipelines is a command in the definition of a pipeline.
	inPipelines = regexp.MustCompile(`^\s*(?:- )?(?:run|script): (.+)$`)
	// standsAlone is a command in a text that is none.
	standsAlone = regexp.MustCompile(`^(?:sudo |ssh .* )?perennial [a-z]`)
	// helpExample is an example in a help: what follows it at a distance explains it.
	helpExample = regexp.MustCompile(`^  ((?:\S.*[|&;] )?(?:sudo |ssh .* )?perennial [a-z].*?)(?:   *.*)?$`)
)

// code is a line of a block.
func (r *reader) code(n int, line string) {
	language := strings.TrimPrefix(r.fence, "```")
	if len(r.pending) > 0 {
		r.typed(n, line)
		return
	}
	if r.page == helpPage {
		r.usage = strings.HasPrefix(line, "Usage:") || r.usage && line != ""
		if m := helpExample.FindStringSubmatch(line); m != nil && !r.usage {
			r.add(n, m[1], false)
		}
		return
	}
	if m := inPipelines.FindStringSubmatch(line); m != nil && (language == "yml" || language == "yaml") {
		r.add(n, m[1], false)
		return
	}
	prompts, shell := languages[language]
	typed, prompt := strings.CutPrefix(line, "$ ")
	switch {
	case shell && prompt == prompts:
		r.typed(n, typed)
	case language == "text" && standsAlone.MatchString(line):
		r.add(n, line, false)
	}
}

// document is the word that ends what a command reads from the lines behind it.
var document = regexp.MustCompile(`<<-?'?([A-Z]+)'?`)

// setting is a line that changes the shell for those behind it.
var setting = regexp.MustCompile(`^(?:export|cd) `)

// typed is a line that somebody types, or that goes on with what was typed before.
func (r *reader) typed(n int, line string) {
	r.say(n, line)
	text := strings.Join(r.pending, "\n")
	if m := document.FindStringSubmatch(r.pending[0]); m != nil {
		if len(r.pending) == 1 || line != m[1] {
			return
		}
		text = r.pending[0]
	} else if lex(text).open || strings.HasSuffix(line, `\`) {
		return
	}
	r.pending = nil
	r.add(r.began, text, false)
}

// optional is what may be left out.
var optional = regexp.MustCompile(`\[(-+[a-z][a-z-]* [A-Z]+)\]`)

func (r *reader) add(line int, text string, inline bool) {
	text = optional.ReplaceAllString(text, "$1")
	if calls := CallsOf(text); len(calls) > 0 || !inline && setting.MatchString(text) {
		r.all = append(r.all, Command{r.page, line, inline, strings.TrimSpace(text[:lex(text).end]), calls})
	}
}

// script is a program of the repository.
var script = regexp.MustCompile(`^bench/[a-z]+$`)

// CallsOf lists the calls of the project's own programs in a command line, also those
// that one program is told to make.
func CallsOf(line string) []Call {
	var calls []Call
	for _, part := range parts(lex(line).tokens) {
		for n := 0; n < len(part); n++ {
			if !begins(part[:n]) {
				continue
			}
			program, args := filepath.Base(part[n]), part[n+1:]
			switch {
			case program == "kubectl" && len(args) > 0 && args[0] == Perennial:
				calls = append(calls, Call{Plugin, args[1:]})
			case (program == Perennial || program == Lab) && len(args) > 0, part[n] == Make && len(args) > 0:
				calls = append(calls, Call{program, args})
			case script.MatchString(part[n]):
				calls = append(calls, Call{part[n], args})
			}
		}
		for _, word := range part {
			for _, m := range substitution.FindAllStringSubmatch(word, -1) {
				calls = append(calls, CallsOf(m[1])...)
			}
		}
	}
	return calls
}

var (
	substitution = regexp.MustCompile(`\$\(([^()]*)\)`)
	assignment   = regexp.MustCompile(`^[A-Za-z_]+=`)
)

// begins says whether what stands before a program's name leaves it the program that
// is run: such as sudo, a variable, another machine.
func begins(before []string) bool {
	if n := slices.Index(before, "--"); n >= 0 && filepath.Base(before[0]) != Perennial {
		return begins(before[n+1:]) // what a lab runs, or unshare
	}
	for n, word := range before {
		switch {
		case word == "ssh":
			return true
		case word == "sudo", word == "if", word == "!", word == "then", word == "do", word == "exec", word == "time", assignment.MatchString(word):
		case n > 0 && before[n-1] == "sudo" && strings.HasPrefix(word, "-"):
		default:
			return false
		}
	}
	return true
}

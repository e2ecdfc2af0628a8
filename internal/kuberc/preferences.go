// SPDX-License-Identifier: Apache-2.0

// Package kuberc reads the files in which people keep their preferences for
// kubectl, aliases and default flags, and says what kubectl makes of them: which
// command line results from one that was typed, and what is wrong with a file.
//
// A file is read with Read, the commands of a kubectl are those of Kubectl, and
// Resolve puts the two together. It follows k8s.io/kubectl's pkg/kuberc and the
// way in which cobra finds a command, with their peculiarities, since what is
// shown has to be what runs: defaults are matched by the last word of a command, a
// flag counts as given where an argument only looks like it. Perennial's own
// commands have preferences of the same form, without these peculiarities.
package kuberc

// Group is that of kubectl's preferences files, and Kind their kind.
const (
	Group = "kubectl.config.k8s.io"
	Kind  = "Preference"
)

// Form is which of the forms of a preferences file a document has.
type Form string

// The forms. Early is what KEP-3104 proposed when Kubernetes 1.25 was new; no
// kubectl has ever read it.
const (
	V1beta1  Form = "v1beta1"  // since kubectl 1.34
	V1alpha1 Form = "v1alpha1" // since kubectl 1.33: overrides and flags in place of defaults and options
	Early    Form = "early"    // apiVersion: v1alpha1, kind: Preferences
)

// Preferences is what one document says. Lines count from 1 in the whole file.
type Preferences struct {
	Form     Form
	Line     int // of the document's first entry
	Aliases  []Alias
	Defaults []Default
	Policy   Policy
}

// Alias is a command by another name.
type Alias struct {
	Name, Command   string
	Prepend, Append []string
	Options         []Option
	Line            int
}

// Default are flags that a command has unasked.
type Default struct {
	Command string
	Options []Option
	Line    int
}

// Option is a flag with its value.
type Option struct {
	Name, Value string
	Line        int
}

// Policy says which credential plugins may be run.
type Policy struct {
	Type string // empty, AllowAll, DenyAll or Allowlist
	Line int
	// Listed: there is a list, which may be empty.
	Listed bool
	Allow  []Allowed
}

// Allowed is an entry of the list: a program's name, to be found in the PATH, or
// its path.
type Allowed struct {
	Command string
	// Deprecated: it was written as name, the only field of kubectl 1.35.
	Deprecated bool
	Line       int
}

// The types of a policy.
const (
	AllowAll  = "AllowAll"
	DenyAll   = "DenyAll"
	Allowlist = "Allowlist"
)

// Mistake is what is wrong at a line; 0 is the file as a whole.
type Mistake struct {
	Line int
	Text string
}

// Contents is what was found in a file.
type Contents struct {
	// Found are the preferences that kubectl uses: the first document that it
	// understands. Nil where there is none.
	Found *Preferences
	// Early are those in the proposal's form, which kubectl does not understand.
	Early *Preferences
	// Ignored is what kubectl warns of in the document that it uses, and leaves
	// out: unknown fields and fields that are there twice.
	Ignored []Mistake
	// Refused says, for each document before the one that is used, why it is not.
	Refused []Mistake
	// Unused are documents after the one that is used.
	Unused []Mistake
	// Documents counts those that are not empty. A file with none is no mistake.
	Documents int
}

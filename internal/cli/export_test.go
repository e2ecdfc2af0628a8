// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"reflect"
	"strings"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/checkpoint"
	"perennial.dev/perennial/internal/install"
)

// What tests outside of the package need of its inside.

// Documents are the types of the documents that only this package writes, by kind.
var Documents = map[string]reflect.Type{
	"Checkpoint":             reflect.TypeFor[checkpoint.Description](),
	"CheckpointList":         reflect.TypeFor[archiveList](),
	"CheckpointVerification": reflect.TypeFor[verification](),
	"CheckpointAdvice":       reflect.TypeFor[restoreAdvice](),
	"KubercCheck":            reflect.TypeFor[kubercReport](),
	"KubercExplanation":      reflect.TypeFor[explained](),
	"Installation":           reflect.TypeFor[install.Installation](),
	"Removal":                reflect.TypeFor[install.Installation](),
}

// Writing are the commands that take -o json, by what has to be typed.
func Writing() (all []string) {
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if f := cmd.Flags().Lookup("output"); f != nil && strings.Contains(f.Usage, "json") {
			_, words, _ := strings.Cut(cmd.CommandPath(), " ")
			all = append(all, words)
		}
		for _, below := range cmd.Commands() {
			walk(below)
		}
	}
	walk(newRoot(Streams{Getenv: func(string) string { return "" }}))
	return all
}

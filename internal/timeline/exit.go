// SPDX-License-Identifier: Apache-2.0

package timeline

// The exit codes. Help, docs and scripts depend on them; they never change.
const (
	ExitOK          = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitDue         = 10
	ExitOverdue     = 11
	ExitUnseen      = 12
	ExitNeedsPerson = 13
	ExitInterrupted = 130
)

// Exit explains an exit code.
type Exit struct {
	Code    int
	Name    string // one word, for JSON and docs
	Meaning string // half a sentence
}

// ExitCodes is the one table of exit codes, in the order in which one outweighs
// another. What could not be seen outweighs what is due, since it may be worse;
// the JSON names all reasons.
var ExitCodes = []Exit{
	{ExitFailed, "failed", "the command itself failed; the error says why"},
	{ExitUsage, "usage", "the command was called wrongly"},
	{ExitInterrupted, "interrupted", "the command was interrupted"},
	{ExitNeedsPerson, "person", "a change stopped and needs a person"},
	{ExitOverdue, "overdue", "something is overdue or broken now"},
	{ExitUnseen, "unseen", "nothing overdue was seen, but not everything could be looked at"},
	{ExitDue, "due", "something is due, or an upgrade is blocked"},
	{ExitOK, "ok", "nothing is due, and everything could be looked at"},
}

// WorstExit is the one of the codes that outweighs the others; 0 for none. A
// code that is not in the table outweighs all, since nothing is known of it.
func WorstExit(codes ...int) int {
	worst := ExitOK
	for _, c := range codes {
		if exitRank(c) < exitRank(worst) {
			worst = c
		}
	}
	return worst
}

func exitRank(code int) int {
	for rank, e := range ExitCodes {
		if e.Code == code {
			return rank
		}
	}
	return -1
}

// ExitCode is the exit code that a timeline's items and unseen things call for.
func ExitCode(t Timeline) int {
	var codes []int
	for _, r := range reasons(t) {
		codes = append(codes, r.ExitCode)
	}
	return WorstExit(codes...)
}

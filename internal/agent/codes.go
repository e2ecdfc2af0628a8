// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"slices"
	"time"

	"perennial.dev/perennial/internal/finding"
)

// Code names why nothing is changed, or why a person is needed. Beside those of
// this table it is that of a finding. Codes are stable for ever.
type Code string

// The codes.
const (
	LineStopped        Code = "LineStopped"
	JournalDamaged     Code = "JournalDamaged"
	SettingsInvalid    Code = "SettingsInvalid"
	StateUnwritable    Code = "StateUnwritable"
	FileUnwritable     Code = "FileUnwritable"
	ClockSuspect            = Code(finding.ClockSuspect)
	OtherRenewer            = Code(finding.OtherRenewer)
	ChangeUnfinished        = Code(finding.ChangeUnfinished)
	Busy               Code = "Busy"
	HandoverImpossible Code = "HandoverImpossible"
	RestartForbidden   Code = "RestartForbidden"
	TooLate            Code = "TooLate"
	Refused            Code = "Refused"
)

// CodeInfo explains a code.
type CodeInfo struct {
	Code  Code
	Means string // one sentence
	Next  string // what to do: a command, or a sentence
	// Grace is how long it may last until a person is needed: much passes by
	// itself.
	Grace time.Duration
}

// Codes is the table of the codes that are no finding's, and of those that are and
// hold up every change.
var Codes = []CodeInfo{
	{LineStopped, "A change failed, or could not be proven. Nothing is changed any more.", "perennial history show PLAN tells what was done; perennial agent resume goes on", 0},
	{JournalDamaged, "The record of changes cannot be used, so nothing is changed.", "move the journal's directory away when nothing in it is unfinished, and tell what happened to its disk", 0},
	{SettingsInvalid, "The settings cannot be read. Those from before stay in force; without any, it only looks.", "perennial agent config check", 0},
	{StateUnwritable, "What the agent keeps cannot be written, so nothing is changed.", "see that there is room and that the file system can be written to: df -h /var/lib/perennial; df -i /var/lib/perennial", 0},
	{FileUnwritable, "A file for others, with the metrics or the calendar, cannot be written. Whoever reads it sees old things, or nothing.", "give the agent a directory that belongs to root, name it in the settings, and run perennial agent install again", 0},
	{ClockSuspect, "The clock cannot be right, or was set. Nothing is changed by it.", "set the clock right: timedatectl timesync-status", 0},
	{OtherRenewer, "Another program renews, or changes the control plane, now.", "let it end, or end it", time.Hour},
	{ChangeUnfinished, "A change that another program began has not ended, or was cut off. It has to be finished before anything is changed.", "perennial renew finishes it", time.Hour},
	{Busy, "Another program has this machine's lock.", "let it end, or end it", time.Hour},
	{HandoverImpossible, "The API server cannot be replaced without an outage now, and the settings allow no other way.", "perennial restart kube-apiserver --dry-run shows all preflights; perennial agent approve accepts the outage once", 0},
	{RestartForbidden, "What is due needs a restart that the settings do not allow.", "perennial agent approve does it once", 0},
	{TooLate, "Its turn comes after its end: no maintenance window opens before, or the limit of changes is reached.", "perennial agent approve does it once; or change the windows, or the limit, in the settings", 0},
	{Refused, "It could not be begun.", "perennial renew --dry-run says more", time.Hour},
}

// Explain finds the explanation of a code.
func Explain(code Code) CodeInfo {
	if i := slices.IndexFunc(Codes, func(c CodeInfo) bool { return c.Code == code }); i >= 0 {
		return Codes[i]
	}
	return CodeInfo{Code: code, Next: "perennial explain " + string(code)}
}

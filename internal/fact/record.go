// SPDX-License-Identifier: Apache-2.0

package fact

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// RecordVersion is the version of the record format. A newer one is refused.
const RecordVersion = 1

// Header is the first line of a record.
type Header struct {
	Record   int       `json:"record"` // RecordVersion
	Tool     string    `json:"tool,omitempty"`
	Observed time.Time `json:"observed"` // the looker's clock
	Scope    Scope     `json:"scope"`
	Note     Text      `json:"note,omitempty"` // shown with every report made from the record
}

// Scope says what was asked to be looked at.
type Scope struct {
	Root          string   `json:"root,omitempty"`          // a file system, "/" for the running machine; empty when only endpoints were asked
	KubernetesDir string   `json:"kubernetesDir,omitempty"` // as the node sees it
	Endpoints     []string `json:"endpoints,omitempty"`     // host:port, looked at from outside
	RequestDir    string   `json:"requestDir,omitempty"`    // where signing requests and what was signed for them lie
	Copies        []string `json:"copies,omitempty"`        // further files that may be copies of a kubeconfig
	State         string   `json:"state,omitempty"`         // directory of the journal of what was changed here
	Changing      bool     `json:"changing,omitempty"`      // something is to be changed: look also at what only that needs, as the node's administrator
	Checkpoints   string   `json:"checkpoints,omitempty"`   // directory of the kubelet's checkpoints; empty: below its root directory
	Identity      string   `json:"identity,omitempty"`      // kubeconfig that the API is asked with in the administrator's place
}

// line is one line after the header: exactly one of the two is set.
type line struct {
	Kind   Kind            `json:"kind,omitempty"`
	Fact   json.RawMessage `json:"fact,omitempty"`
	Unseen *Unseen         `json:"unseen,omitempty"`
}

// Record is everything seen in one look.
type Record struct {
	Header
	Facts  []Fact
	Unseen []Unseen
}

// Write writes the record as JSON lines.
func (r Record) Write(w io.Writer) error {
	out := bufio.NewWriter(w)
	r.Header.Record = RecordVersion
	if err := writeLine(out, r.Header); err != nil {
		return fmt.Errorf("writing a record: %w", err)
	}
	for _, f := range r.Facts {
		body, err := json.Marshal(f)
		if err == nil {
			err = writeLine(out, line{Kind: f.Kind(), Fact: body})
		}
		if err != nil {
			return fmt.Errorf("writing a record: %s: %w", f.Kind(), err)
		}
	}
	for _, u := range r.Unseen {
		if err := writeLine(out, line{Unseen: &u}); err != nil {
			return fmt.Errorf("writing a record: %w", err)
		}
	}
	return out.Flush()
}

// writeLine escapes what a terminal would act upon: records are read by people
// and pasted into bug reports, and arguments and paths in them are no Text.
func writeLine(out *bufio.Writer, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = out.Write(append(escapeJSON(body), '\n'))
	return err
}

// ReadRecord reads what Write wrote. Errors name the line.
func ReadRecord(r io.Reader) (Record, error) {
	dec := json.NewDecoder(r)
	var rec Record
	if err := dec.Decode(&rec.Header); err != nil {
		return rec, fmt.Errorf("reading a record: line 1: %w", err)
	}
	if rec.Header.Record < 1 || rec.Header.Record > RecordVersion {
		return rec, fmt.Errorf("reading a record: format version %d is not known, this program reads up to %d", rec.Header.Record, RecordVersion)
	}
	for n := 2; ; n++ {
		var l line
		if err := dec.Decode(&l); err == io.EOF {
			return rec, nil
		} else if err != nil {
			return rec, fmt.Errorf("reading a record: line %d: %w", n, err)
		}
		if l.Unseen != nil {
			rec.Unseen = append(rec.Unseen, *l.Unseen)
			continue
		}
		f, err := decode(l.Kind, l.Fact)
		if err != nil {
			return rec, fmt.Errorf("reading a record: line %d: %w", n, err)
		}
		rec.Facts = append(rec.Facts, f)
	}
}

func decode(kind Kind, body []byte) (Fact, error) {
	switch kind {
	case KindNode:
		return as[Node](body)
	case KindManifest:
		return as[Manifest](body)
	case KindProcess:
		return as[Process](body)
	case KindKubeletConfig:
		return as[KubeletConfig](body)
	case KindFile:
		return as[File](body)
	case KindView:
		return as[View](body)
	case KindListing:
		return as[Listing](body)
	case KindServed:
		return as[Served](body)
	case KindVersion:
		return as[Version](body)
	case KindRenewer:
		return as[Renewer](body)
	case KindReady:
		return as[Ready](body)
	case KindSteering:
		return as[Steering](body)
	case KindGuard:
		return as[Guard](body)
	case KindHeld:
		return as[Held](body)
	case KindUnfinished:
		return as[Unfinished](body)
	case KindLease:
		return as[Lease](body)
	case KindObject:
		return as[Object](body)
	case KindRequested:
		return as[Requested](body)
	case KindEtcdMember:
		return as[EtcdMember](body)
	case KindPlatform:
		return as[Platform](body)
	case KindConfigDocument:
		return as[ConfigDocument](body)
	case KindCheckpoints:
		return as[Checkpoints](body)
	}
	return nil, fmt.Errorf("unknown kind of fact %q", Text(kind))
}

func as[F Fact](body []byte) (Fact, error) {
	var f F
	err := json.Unmarshal(body, &f)
	return f, err
}

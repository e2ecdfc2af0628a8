// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// Comparison is what all members of a cluster told, by name.
type Comparison struct {
	Members []fact.EtcdMember
	Missing []Missing
}

// Missing is a member that told nothing, or not its hash.
type Missing struct {
	Name fact.Text
	Err  error
}

// hashTime bounds one hash: it reads the whole database, up to 8 GB.
const hashTime = 60 * time.Second

// tries is how often the hashes are asked for: each time from the revision that
// the slowest member has reached then.
const tries = 3

var (
	errNoAddress = errors.New("it has no address for clients: it was added and has not been started")
	errNoHash    = errors.New("its hash could not be had at the revision of the others")
)

// Compare asks every member for its version, its alarms and the hash of its
// keys, with the credentials that this member takes. All hashes are of one
// revision, up to which every member had come, and so can be told apart:
// members whose hashes differ, where they were compacted at the same revision,
// hold different data. (etcd's own --corrupt-check-time compares the same:
// server/etcdserver/corrupt.go, 3.4 to 3.7.) A hash reads all keys once.
//
// Learners tell no hash, and neither the alarms of others
// (server/etcdserver/api/v3rpc/interceptor.go).
func (c *Client) Compare(ctx context.Context) (Comparison, error) {
	members, err := c.Members(ctx)
	if err != nil {
		return Comparison{}, err
	}
	alarms, err := c.alarms(ctx)
	if err != nil {
		return Comparison{}, err
	}
	own, err := c.status(ctx)
	if err != nil {
		return Comparison{}, err
	}
	var done Comparison
	var asked []*asking
	for _, m := range members {
		a := &asking{member: m, clients: c.clientsOf(m, own.Header.Member)}
		if err := a.ask(ctx); err != nil {
			done.Missing = append(done.Missing, Missing{fact.Text(m.Name), err})
			continue
		}
		a.told.Alarms = alarms[m.ID]
		asked = append(asked, a)
	}
	hashAll(ctx, asked)
	for _, a := range asked {
		if a.failed != nil {
			done.Missing = append(done.Missing, Missing{a.told.Name, a.failed})
		}
		done.Members = append(done.Members, a.told)
	}
	slices.SortFunc(done.Members, func(x, y fact.EtcdMember) int {
		return cmp.Or(cmp.Compare(x.Name, y.Name), cmp.Compare(x.Endpoint, y.Endpoint))
	})
	return done, nil
}

// asking is a member that is asked.
type asking struct {
	member  Member
	clients []*Client // the ways to it; one after ask
	told    fact.EtcdMember
	at      int64 // the revision that it has reached
	failed  error // why it has no hash
}

// status is what a member says of itself.
type status struct {
	Header struct {
		Member   uint64 `json:"member_id,string"`
		Revision int64  `json:"revision,string"`
	} `json:"header"`
	Version fact.Text `json:"version"`
	Learner bool      `json:"isLearner"`
}

func (c *Client) status(ctx context.Context) (s status, err error) {
	err = c.call(ctx, "/v3/maintenance/status", struct{}{}, &s)
	return s, err
}

// clientsOf are the ways to a member: the one that is there already to oneself.
func (c *Client) clientsOf(m Member, own uint64) []*Client {
	if m.ID == own {
		return []*Client{c}
	}
	var ways []*Client
	for _, address := range m.ClientURLs {
		if u, err := url.Parse(address); err == nil && u.Scheme == "https" && u.Port() != "" {
			ways = append(ways, c.At(u.Host))
		}
	}
	return ways
}

// ask finds a way that the member answers on. An address may lead to another
// member, such as that of a load balancer.
func (a *asking) ask(ctx context.Context) error {
	failed := errNoAddress
	for _, way := range a.clients {
		s, err := way.status(ctx)
		if err == nil && s.Header.Member != a.member.ID {
			err = fmt.Errorf("asking etcd at %s: another member answers", way.endpoint)
		}
		if err != nil {
			failed = err
			continue
		}
		a.clients, a.at = []*Client{way.patient()}, s.Header.Revision
		a.told = fact.EtcdMember{Endpoint: way.endpoint, Name: fact.Text(a.member.Name), Version: s.Version, Learner: s.Learner || a.member.Learner}
		return nil
	}
	return failed
}

// hashAll asks the voting members for their hashes at one revision. One that is
// behind cannot tell a later one, and nobody can tell one that was compacted
// meanwhile: then all are asked again.
func hashAll(ctx context.Context, asked []*asking) {
	var voters []*asking
	for _, a := range asked {
		if !a.told.Learner {
			voters = append(voters, a)
		}
	}
	for range tries {
		if len(voters) == 0 || hashAt(ctx, voters) {
			return
		}
		for _, a := range voters {
			if s, err := a.clients[0].status(ctx); err == nil {
				a.at = s.Header.Revision
			}
		}
	}
}

func hashAt(ctx context.Context, voters []*asking) (all bool) {
	revision := voters[0].at
	for _, a := range voters {
		revision = min(revision, a.at)
	}
	all = true
	for _, a := range voters {
		hash, compacted, err := a.clients[0].hash(ctx, revision)
		if a.failed = err; err != nil {
			a.failed = fmt.Errorf("%w: %w", errNoHash, err)
			a.told.Hash, a.told.Revision, a.told.Compacted = 0, 0, 0
			all = false
			continue
		}
		a.told.Hash, a.told.Revision, a.told.Compacted = hash, revision, compacted
		all = all && compacted == voters[0].told.Compacted
	}
	return all
}

// patient waits longer for the first byte of an answer.
func (c *Client) patient() *Client {
	transport, ok := c.http.Transport.(*http.Transport)
	if !ok {
		return c
	}
	transport = transport.Clone()
	transport.ResponseHeaderTimeout = hashTime
	return &Client{endpoint: c.endpoint, http: &http.Client{Transport: transport}}
}

// hash asks for the hash of all keys at a revision, and up to which one the
// history is gone.
func (c *Client) hash(ctx context.Context, revision int64) (hash uint32, compacted int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, hashTime)
	defer cancel()
	body, err := c.post(ctx, "/v3/maintenance/hashkv", map[string]any{"revision": fmt.Sprint(revision)})
	if errors.Is(err, errNoPath) {
		return c.hashKV(ctx, revision)
	}
	if err != nil {
		return 0, 0, err
	}
	defer body.Close()
	var answer struct {
		Hash      uint32 `json:"hash"`
		Compacted int64  `json:"compact_revision,string"`
	}
	if err := json.NewDecoder(io.LimitReader(body, answerLimit)).Decode(&answer); err != nil {
		return 0, 0, fmt.Errorf("asking etcd at %s: reading its answer: %w", c.endpoint, err)
	}
	return answer.Hash, answer.Compacted, nil
}

// alarms are those that any member has raised, by the member's ID.
func (c *Client) alarms(ctx context.Context) (map[uint64][]fact.Text, error) {
	var answer struct {
		Alarms []struct {
			Member uint64    `json:"memberID,string"`
			Alarm  fact.Text `json:"alarm"`
		} `json:"alarms"`
	}
	if err := c.call(ctx, "/v3/maintenance/alarm", map[string]string{"action": "GET"}, &answer); err != nil {
		return nil, err
	}
	found := map[uint64][]fact.Text{}
	for _, a := range answer.Alarms {
		found[a.Member] = append(found[a.Member], a.Alarm)
	}
	return found, nil
}

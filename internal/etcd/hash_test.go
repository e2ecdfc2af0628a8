// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// gateway answers as the JSON gateway of one member does.
type gateway struct {
	id        uint64
	revision  int64
	hash      uint32
	compacted int64
	learner   bool
	address   string
	asked     []string // what it was asked for its hash
}

func (g *gateway) serve(t *testing.T, all *[]*gateway) {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := map[string]any{"member_id": fmt.Sprint(g.id), "revision": fmt.Sprint(g.revision)}
		answer := map[string]any{"header": header}
		switch r.URL.Path {
		case "/v3/cluster/member/list":
			var members []map[string]any
			for i, m := range *all {
				member := map[string]any{"ID": fmt.Sprint(m.id), "name": fmt.Sprintf("m%d", i), "isLearner": m.learner}
				if m.address != "" {
					member["clientURLs"] = []string{"https://" + m.address}
				}
				members = append(members, member)
			}
			answer["members"] = members
		case "/v3/maintenance/status":
			answer["version"], answer["isLearner"] = "3.5.2", g.learner
		case "/v3/maintenance/alarm":
			answer["alarms"] = []any{map[string]any{"memberID": "2", "alarm": "CORRUPT"}}
		case "/v3/maintenance/hashkv":
			var request struct {
				Revision int64 `json:"revision,string"`
			}
			if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
				t.Error(err)
			}
			g.asked = append(g.asked, fmt.Sprint(request.Revision))
			if request.Revision > g.revision || request.Revision < g.compacted {
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprint(w, `{"code": 11, "message": "etcdserver: mvcc: required revision has been compacted"}`)
				return
			}
			answer["hash"] = g.hash
			if g.compacted > 0 {
				answer["compact_revision"] = fmt.Sprint(g.compacted)
			}
		default:
			t.Errorf("asked for %s", r.URL.Path)
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(s.Close)
	g.address = s.Listener.Addr().String()
}

// Members at different revisions are compared at one, and one that holds other
// data, a learner, one that is not there and one that was never started are told
// apart.
func TestCompare(t *testing.T) {
	all := []*gateway{
		{id: 1, revision: 120, hash: 7, compacted: 50},
		{id: 2, revision: 118, hash: 8, compacted: 50},
		{id: 3, revision: 121, hash: 7, compacted: 50},
		{id: 4, revision: 90, learner: true},
		{id: 5, address: "127.0.0.1:1"},
		{id: 6},
	}
	for _, g := range all[:4] {
		g.serve(t, &all)
	}
	first := &Client{endpoint: all[0].address, http: insecure()}
	got, err := first.Compare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Members) != 4 || len(got.Missing) != 2 {
		t.Fatalf("%+v", got)
	}
	for i, m := range got.Members[:3] {
		if m.Revision != 118 || m.Compacted != 50 || m.Hash != all[i].hash || m.Version != "3.5.2" || m.Endpoint != all[i].address || m.Learner {
			t.Errorf("%+v", m)
		}
	}
	if alarms := got.Members[1].Alarms; len(alarms) != 1 || alarms[0] != "CORRUPT" || len(got.Members[0].Alarms) != 0 {
		t.Errorf("alarms %q", alarms)
	}
	if m := got.Members[3]; !m.Learner || m.Hash != 0 || m.Revision != 0 || len(all[3].asked) != 0 {
		t.Errorf("a learner was asked for its hash: %+v, %v", m, all[3].asked)
	}
	if got.Missing[0].Name != "m4" || got.Missing[1].Err != errNoAddress {
		t.Errorf("%+v", got.Missing)
	}
}

// One whose history is gone at the revision of the slowest has no hash, and the
// others keep theirs.
func TestCompareCompacted(t *testing.T) {
	all := []*gateway{{id: 1, revision: 120, hash: 7}, {id: 2, revision: 300, hash: 7, compacted: 200}}
	for _, g := range all {
		g.serve(t, &all)
	}
	got, err := (&Client{endpoint: all[0].address, http: insecure()}).Compare(t.Context())
	if err != nil || len(got.Members) != 2 || len(got.Missing) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if got.Members[0].Hash != 7 || got.Members[1].Hash != 0 || got.Members[1].Revision != 0 || len(all[1].asked) != tries {
		t.Errorf("%+v, asked %v", got.Members, all[1].asked)
	}
	if err := got.Missing[0].Err; got.Missing[0].Name != "m1" || !strings.Contains(err.Error(), "required revision has been compacted") {
		t.Errorf("%+v", got.Missing)
	}
}

// A real member tells all of it.
func TestLabCompare(t *testing.T) {
	onPlanes(t, func(p *plane) {
		c := p.client()
		first, err := c.Compare(p.Context())
		if err != nil || len(first.Members) != 1 || len(first.Missing) != 0 {
			p.Fatalf("%+v, %v", first, err)
		}
		m := first.Members[0]
		if m.Hash == 0 || m.Revision == 0 || !strings.HasPrefix(string(m.Version), "3.") || m.Name == "" || m.Learner || len(m.Alarms) != 0 {
			p.Errorf("%+v", m)
		}
		// The hash is of the revision, not of the moment.
		again, _, err := c.hash(p.Context(), m.Revision)
		if err != nil || again != m.Hash {
			p.Errorf("asked again at %d: %d, %v; before it was %d", m.Revision, again, err, m.Hash)
		}
	})
}

func insecure() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // of httptest's own certificate
	return &http.Client{Transport: transport}
}

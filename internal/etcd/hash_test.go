// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
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
	old       bool     // as etcd 3.5.6 and older: it does not know the path of hashes
	asked     []string // what it was asked for its hash
}

func (g *gateway) serve(t *testing.T, all *[]*gateway) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
		case "/etcdserverpb.Maintenance/HashKV":
			g.remote(t, w, r)
			return
		case "/v3/maintenance/hashkv":
			if g.old {
				http.NotFound(w, r)
				return
			}
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
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	g.address = s.Listener.Addr().String()
}

// remote answers in gRPC.
func (g *gateway) remote(t *testing.T, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.ProtoMajor != 2 || r.Header.Get("Content-Type") != "application/grpc" || len(body) < frameHead+2 || body[frameHead] != 8 {
		t.Errorf("%v, %s, %q", err, r.Proto, body)
		return
	}
	revision, _ := binary.Uvarint(body[frameHead+1:])
	g.asked = append(g.asked, "gRPC "+fmt.Sprint(revision))
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
	if int64(revision) > g.revision || int64(revision) < g.compacted {
		w.Header().Set("Grpc-Status", "11")
		w.Header().Set("Grpc-Message", "etcdserver: mvcc: required revision has been compacted")
		return
	}
	message := []byte{1<<3 | sized, 2, 3 << 3, 1} // a header with a field of its own
	message = binary.AppendUvarint(append(message, 2<<3), uint64(g.hash))
	message = binary.AppendUvarint(append(message, 3<<3), uint64(g.compacted))
	_, _ = w.Write(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...))
	w.Header().Set("Grpc-Status", "0")
}

// Members whose gateway does not pass the question on are asked in gRPC, and
// compared with the others.
func TestCompareOldGateways(t *testing.T) {
	all := []*gateway{{id: 1, revision: 120, hash: 1 << 31, compacted: 50, old: true}, {id: 2, revision: 118, hash: 8, compacted: 50}, {id: 3, revision: 300, compacted: 200, old: true}}
	for _, g := range all {
		g.serve(t, &all)
	}
	got, err := (&Client{endpoint: all[0].address, http: insecure()}).Compare(t.Context())
	if err != nil || len(got.Members) != 3 || len(got.Missing) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, m := range got.Members[:2] {
		if m.Hash != all[i].hash || m.Compacted != 50 || m.Revision != 118 {
			t.Errorf("%+v", m)
		}
	}
	if all[0].asked[0] != "gRPC 118" || all[1].asked[0] != "118" {
		t.Errorf("asked %q and %q", all[0].asked, all[1].asked)
	}
	if err := got.Missing[0].Err; !strings.Contains(err.Error(), "it refuses: etcdserver: mvcc: required revision has been compacted") {
		t.Errorf("%v", err)
	}
}

// What is no answer of gRPC is none, whatever it is made of.
func TestNumbersOfMessages(t *testing.T) {
	for message, want := range map[string]string{
		"":                             "map[] <nil>",
		"\x10\x05":                     "map[2:5] <nil>",
		"\x0a\x02\x08\x01\x10\x80\x01": "map[2:128] <nil>",
		"\x09\x00\x00\x00\x00\x00\x00\x00\x00\x15\x00\x00\x00\x00\x18\x07": "map[3:7] <nil>",
		"\x10":         "map[] it is no protobuf message",
		"\x0a\x05\x00": "map[] it is no protobuf message",
		"\x0b":         "map[] it is no protobuf message",
	} {
		if got, err := varints([]byte(message)); fmt.Sprint(got, " ", err) != want {
			t.Errorf("%x: %v %v, want %s", message, got, err, want)
		}
	}
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

// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
)

const slicePath = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"

// Of each kind, a request every so many pauses: 50, 20 and 10 a second. That
// is 350 a second in all. With more than 400, a node with two processors
// answers 429 while another API server starts on it.
const (
	often     = 1
	regularly = 2.5
	seldom    = 5
)

// probePause is that of 50 requests a second. PERENNIAL_NODE_RATE is for a
// machine that is too small or too busy for it.
func probePause(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("PERENNIAL_NODE_RATE")
	if text == "" {
		return probeEvery
	}
	rate, err := strconv.Atoi(text)
	if err != nil || rate < 1 || rate > 1000 {
		t.Fatalf("PERENNIAL_NODE_RATE is %q, want a number of requests a second", text)
	}
	return time.Second / time.Duration(rate)
}

// kind is one way of asking, from one place.
type kind struct {
	name string
	answers
	dials  *atomic.Int64 // of what keeps its connection
	writer *writer       // of what writes objects
	// unsafe says that a request may be lost with its connection: nobody can
	// tell whether it was carried out, so no library repeats it.
	unsafe bool
	// turns: a request waits for no other one, and is left out while one is under
	// way. What waits for its turn on one connection of HTTP/1.1 measures a queue.
	turns bool
	busy  atomic.Bool
}

// writer is what a kind of request has written.
type writer struct {
	mark     string
	mu       sync.Mutex
	answered map[int]bool // by the number in the object
}

func (w *writer) note(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answered[n] = true
}

// handoverProbes ask one API server in every way that its clients have.
type handoverProbes struct {
	pacer
	t      *testing.T
	run    string // the label of the objects that are written
	reader apiClient
	kinds  []*kind
	slices *kind
	empty  atomic.Int64 // samples of the service's endpoints in which there was none
	watch  follower     // sees the objects that are written
	idle   follower     // sees bookmarks only
	pause  time.Duration
	ended  sync.Once
}

// startHandoverProbes asks a node from itself and from its worker. All
// connections that are kept are there before it returns.
func startHandoverProbes(n *realNode) *handoverProbes {
	n.t.Helper()
	admin := clientFor(n.t, n.Kubeconfig)
	address := strings.TrimPrefix(n.Endpoint, "https://")
	worker := dialFrom(n.t, n.Worker.Netns)
	local := admin.from(dialFrom(n.t, n.Netns), address)
	direct := admin.from(worker, address)
	service := admin.from(worker, n.Worker.ClusterIP+":443")
	p := &handoverProbes{
		pacer: pacer{stop: make(chan struct{})}, t: n.t, run: strconv.FormatInt(time.Now().UnixNano(), 36),
		reader: direct, pause: probePause(n.t),
	}
	n.t.Cleanup(p.end) // before the networks are closed
	p.watch = follower{apiClient: service, path: objectsPath, only: "probe%3D" + p.run}
	p.idle = follower{apiClient: direct, path: objectsPath, only: "probe%3Dnobody"}
	for _, f := range []*follower{&p.watch, &p.idle} {
		if err := f.begin(); err != nil {
			n.t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		apiClient
	}{{"worker to node", direct}, {"worker to service", service}, {"node to node", local}} {
		p.get("a new connection each, "+c.name, often, c.apiClient, false)
	}
	overIPv6 := admin.from(worker, n.addressIPv6())
	overIPv6.tls = overIPv6.tls.Clone()
	overIPv6.tls.ServerName = "kubernetes" // kubeadm's certificate names no address of IPv6
	p.get("a new connection each, worker to node, IPv6", regularly, overIPv6, false)
	p.get("kept HTTP/2, worker to node, IPv6", seldom, overIPv6, true)
	p.get("kept HTTP/2, worker to node", often, direct, true)
	p.get("kept HTTP/2, worker to service", regularly, service, true)
	p.get("kept HTTP/2, node to node", regularly, local, true)
	old := direct
	old.http1 = true
	p.get("kept HTTP/1.1, worker to node", regularly, old, true)
	p.post("POST on kept HTTP/2, worker to node", "h2", direct)
	p.post("POST on kept HTTP/1.1, worker to node", "h1", old).unsafe = true
	p.clientGo("client-go, worker to service", service)
	p.sample("EndpointSlice, node to node", local)
	return p
}

// add begins with one request, so that a kept connection is there; that is no
// probe and is sent until it is answered. A request
// follows every so many pauses.
func (p *handoverProbes) add(k *kind, pauses float64, do func(n int) error) *kind {
	p.t.Helper()
	for tries := 1; ; tries++ {
		err := do(-1)
		if err == nil {
			break
		}
		if tries == 20 {
			p.t.Fatalf("%s: %v", k.name, err)
		}
		time.Sleep(time.Second)
	}
	p.kinds = append(p.kinds, k)
	k.pause = time.Duration(pauses * float64(p.pause))
	p.every(k.pause, func(n int) {
		if k.turns && !k.busy.CompareAndSwap(false, true) {
			return
		}
		defer k.busy.Store(false)
		k.time(func() error { return do(n) })
	})
	return k
}

func (p *handoverProbes) get(name string, pauses float64, c apiClient, keep bool) {
	p.t.Helper()
	client, dials := c.connect(keep)
	k := &kind{name: name, turns: c.http1}
	if keep {
		k.dials = dials
	}
	p.add(k, pauses, func(int) error { return c.do(client, http.MethodGet, probePath, "", nil) })
}

// post writes one numbered object after the other. The server gives them their
// names: what is carried out twice is there twice.
func (p *handoverProbes) post(name, mark string, c apiClient) *kind {
	p.t.Helper()
	client, dials := c.connect(true)
	k := &kind{name: name, dials: dials, turns: c.http1, writer: &writer{mark: mark, answered: map[int]bool{}}}
	return p.add(k, seldom, func(n int) error {
		err := c.do(client, http.MethodPost, objectsPath, "application/json", p.object(mark, n))
		if err == nil {
			k.writer.note(n)
		}
		return err
	})
}

// object has its number in the prefix of its name: of 20,000 names with the same
// prefix a dozen are given out twice, and servers before 1.31 then refuse the second
// one (KEP-4420).
func (p *handoverProbes) object(mark string, n int) []byte {
	return fmt.Appendf(nil, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generateName":"%s-%d-","labels":{"probe":%q,"writer":%q}},"data":{"n":"%d"}}`, mark, n, p.run, mark, n)
}

// clientGo reads and writes in turn, with the retries that the library has
// built in.
func (p *handoverProbes) clientGo(name string, c apiClient) {
	p.t.Helper()
	codecs := serializer.NewCodecFactory(runtime.NewScheme())
	client, err := rest.UnversionedRESTClientFor(&rest.Config{
		Host: c.server, Dial: c.dial, QPS: -1, Timeout: probeTimeout,
		TLSClientConfig: rest.TLSClientConfig{CAData: c.ca, CertData: c.cert, KeyData: c.key},
		ContentConfig:   rest.ContentConfig{GroupVersion: &schema.GroupVersion{}, NegotiatedSerializer: codecs.WithoutConversion()},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	const mark = "client-go"
	k := &kind{name: name, writer: &writer{mark: mark, answered: map[int]bool{}}}
	p.add(k, regularly, func(n int) error {
		if n%2 == 0 {
			return client.Get().AbsPath(probePath).Do(context.Background()).Error()
		}
		err := client.Post().AbsPath(objectsPath).SetHeader("Content-Type", "application/json").Body(p.object(mark, n)).Do(context.Background()).Error()
		if err == nil {
			k.writer.note(n)
		}
		return err
	})
}

// sample looks at the endpoints of the service kubernetes.
func (p *handoverProbes) sample(name string, c apiClient) {
	p.t.Helper()
	client, dials := c.connect(true)
	p.slices = p.add(&kind{name: name, dials: dials}, regularly, func(int) error {
		said, err := c.ask(client, http.MethodGet, slicePath, "", nil)
		if err != nil {
			return err
		}
		var slice struct {
			Endpoints []struct {
				Addresses []string `json:"addresses"`
			} `json:"endpoints"`
		}
		if err := json.Unmarshal(said, &slice); err != nil {
			return err
		}
		if len(slice.Endpoints) == 0 || len(slice.Endpoints[0].Addresses) == 0 {
			p.empty.Add(1)
		}
		return nil
	})
}

// waitFor waits until each kind of request has been sent so many times.
func (p *handoverProbes) waitFor(wanted int) {
	for _, k := range p.kinds {
		for k.sent() < wanted {
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// written is what there is of a writer's objects.
type written struct {
	stored     int
	lost       []int // answered and not stored
	twice      []int // stored more than once
	unanswered []int // stored, and the answer failed
}

// end stops asking, and lets the watch see the last object.
func (p *handoverProbes) end() {
	p.ended.Do(func() {
		close(p.stop)
		p.done.Wait()
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(500 * time.Millisecond) {
			stored, err := p.stored()
			if err != nil {
				continue
			}
			if lost, _ := p.watch.unlike(names(stored)); len(lost) == 0 {
				break
			}
		}
		p.watch.end()
		p.idle.end()
	})
}

// object is one that was written.
type object struct {
	Metadata struct {
		Name   string            `json:"name"`
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Data map[string]string `json:"data"`
}

func names(objects []object) []string {
	var all []string
	for _, o := range objects {
		all = append(all, o.Metadata.Name)
	}
	return all
}

// stored are all objects that were written.
func (p *handoverProbes) stored() ([]object, error) {
	client, _ := p.reader.connect(true)
	defer client.CloseIdleConnections()
	var all []object
	for next := ""; ; {
		said, err := p.reader.ask(client, http.MethodGet, objectsPath+"?limit=2000&labelSelector=probe%3D"+p.run+"&continue="+next, "", nil)
		if err != nil {
			return nil, err
		}
		var list struct {
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
			Items []object `json:"items"`
		}
		if err := json.Unmarshal(said, &list); err != nil {
			return nil, err
		}
		all = append(all, list.Items...)
		if next = list.Metadata.Continue; next == "" {
			return all, nil
		}
	}
}

// compare holds what a writer was answered against what is stored.
func (w *writer) compare(stored []object) (written, error) {
	var found written
	times := map[int]int{}
	for _, o := range stored {
		if o.Metadata.Labels["writer"] != w.mark {
			continue
		}
		n, err := strconv.Atoi(o.Data["n"])
		if err != nil {
			return found, errors.New("an object without a number: " + o.Metadata.Name)
		}
		times[n]++
		found.stored++
	}
	for n, t := range times {
		if t > 1 {
			found.twice = append(found.twice, n)
		}
		if !w.answered[n] {
			found.unanswered = append(found.unanswered, n)
		}
	}
	for n := range w.answered {
		if times[n] == 0 {
			found.lost = append(found.lost, n)
		}
	}
	return found, nil
}

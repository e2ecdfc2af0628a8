// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/yaml"
)

const (
	probeEvery   = 20 * time.Millisecond // 50 a second, each kind
	probeTimeout = 10 * time.Second
	writeEvery   = 200 * time.Millisecond
	probePath    = "/api/v1/namespaces/default"
	objectsPath  = "/api/v1/namespaces/default/configmaps"
)

// dialFunc makes a connection, as net.Dialer does.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// apiClient is what a client of the API has before it connects.
type apiClient struct {
	server string
	tls    *tls.Config
	dial   dialFunc // from where; the test's own network unless told
	http1  bool     // no HTTP/2, and one connection at a time
	// What the TLS configuration was made of, in PEM.
	ca, cert, key []byte
}

func clientFor(t *testing.T, kubeconfig string) apiClient {
	t.Helper()
	data, err := os.ReadFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	var conf struct {
		Clusters []struct {
			Cluster struct {
				Server string `json:"server"`
				CA     []byte `json:"certificate-authority-data"`
			} `json:"cluster"`
		} `json:"clusters"`
		Users []struct {
			User struct {
				Cert []byte `json:"client-certificate-data"`
				Key  []byte `json:"client-key-data"`
			} `json:"user"`
		} `json:"users"`
	}
	if err := yaml.Unmarshal(data, &conf); err != nil {
		t.Fatal(err)
	}
	cluster, user := conf.Clusters[0].Cluster, conf.Users[0].User
	pair, err := tls.X509KeyPair(user.Cert, user.Key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cluster.CA)
	return apiClient{
		server: cluster.Server, tls: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}},
		dial: (&net.Dialer{}).DialContext, ca: cluster.CA, cert: user.Cert, key: user.Key,
	}
}

// connect makes a client with connections of its own, which it counts.
func (c apiClient) connect(keep bool) (*http.Client, *atomic.Int64) {
	dials := &atomic.Int64{}
	transport := &http.Transport{
		TLSClientConfig: c.tls.Clone(), ForceAttemptHTTP2: true, DisableKeepAlives: !keep, TLSHandshakeTimeout: probeTimeout,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			dials.Add(1)
			return c.dial(ctx, network, address)
		},
	}
	if c.http1 {
		transport.ForceAttemptHTTP2, transport.MaxConnsPerHost = false, 1
		transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
	}
	return &http.Client{Transport: transport}, dials
}

// do sends one request and reads its answer whole.
func (c apiClient) do(client *http.Client, method, path, kind string, body []byte) error {
	_, err := c.ask(client, method, path, kind, body)
	return err
}

// ask is do with the answer's body.
func (c apiClient) ask(client *http.Client, method, path, kind string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, c.server+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", kind)
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= 300 {
		err = errors.New(response.Status)
	}
	return said, err
}

// answer is one request's outcome.
type answer struct {
	at   time.Time
	took time.Duration
	err  error
}

// answers are those of one kind of request.
type answers struct {
	mu    sync.Mutex
	all   []answer
	pause time.Duration // between two requests; probeEvery unless told
}

func (a *answers) time(do func() error) {
	start := time.Now()
	err := do()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, answer{start, time.Since(start), err})
}

// tally sums up: an outage lasts from the first request that fails to the next
// that is answered.
type tally struct {
	sent, failed    int
	outage, slowest time.Duration
	causes          map[string]int
}

func (a *answers) tally() tally {
	a.mu.Lock()
	defer a.mu.Unlock()
	slices.SortFunc(a.all, func(x, y answer) int { return x.at.Compare(y.at) })
	t := tally{sent: len(a.all), causes: map[string]int{}}
	var down time.Time
	for _, r := range a.all {
		if r.err == nil {
			t.slowest = max(t.slowest, r.took)
			down = time.Time{}
			continue
		}
		t.failed++
		t.causes[cause(r.err)]++
		if down.IsZero() {
			down = r.at
		}
		t.outage = max(t.outage, r.at.Add(cmp.Or(a.pause, probeEvery)).Sub(down))
	}
	return t
}

// cause is an error without what differs from request to request.
func cause(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "timeout"
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		code := int(status.Status().Code)
		return fmt.Sprintf("%d %s", code, http.StatusText(code))
	}
	text := err.Error()
	for _, known := range []string{"connection refused", "connection reset", "EOF", "GOAWAY", "no route to host"} {
		if strings.Contains(text, known) {
			return known
		}
	}
	return text[strings.LastIndex(text, ": ")+1:]
}

func (t tally) String() string {
	text := fmt.Sprintf("%d of %d failed, longest outage %.1f s, slowest answer %.2f s", t.failed, t.sent, t.outage.Seconds(), t.slowest.Seconds())
	for _, c := range slices.Sorted(maps.Keys(t.causes)) {
		text += fmt.Sprintf("; %d x %s", t.causes[c], strings.TrimSpace(c))
	}
	return text
}

// probes ask an API server without a pause, in four ways.
type probes struct {
	apiClient
	pacer
	fresh, kept, writes answers
	dials               *atomic.Int64 // of the kept connection
	watch               watcher
	stopWrites          chan struct{}
	once                sync.Once
	written             sync.WaitGroup
}

// startProbes begins with an object to watch. The clients' credentials are read
// once: they stay valid when the files are renewed.
func startProbes(t *testing.T, c apiClient, object string, pause time.Duration) *probes {
	t.Helper()
	p := &probes{fresh: answers{pause: pause}, kept: answers{pause: pause}, apiClient: c, pacer: pacer{stop: make(chan struct{})}, stopWrites: make(chan struct{})}
	writer, _ := c.connect(true)
	body := fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q}}`, object)
	if err := c.do(writer, http.MethodPost, objectsPath, "application/json", []byte(body)); err != nil {
		t.Fatal(err)
	}
	fresh, _ := c.connect(false)
	var kept *http.Client
	kept, p.dials = c.connect(true)
	get := func(client *http.Client) func() error {
		return func() error { return c.do(client, http.MethodGet, probePath, "", nil) }
	}
	if err := get(kept)(); err != nil { // so that the first ones do not race for the connection
		t.Fatal(err)
	}
	p.watch = watcher{apiClient: c, object: object, seen: make(map[int]int)}
	if err := p.watch.begin(kept); err != nil {
		t.Fatal(err)
	}
	p.done.Go(func() { p.watch.follow(p.stop) })
	p.every(pause, func(int) { p.fresh.time(get(fresh)) })
	p.every(pause, func(int) { p.kept.time(get(kept)) })
	p.written.Go(func() { p.write(writer, object) })
	return p
}

// pacer does things at a pace until it is stopped.
type pacer struct {
	stop chan struct{}
	done sync.WaitGroup
}

// every starts one request after the other, however long they take.
func (p *pacer) every(pause time.Duration, do func(n int)) {
	p.done.Go(func() {
		ticks := time.NewTicker(pause)
		defer ticks.Stop()
		for n := 0; ; n++ {
			select {
			case <-p.stop:
				return
			case <-ticks.C:
				p.done.Go(func() { do(n) })
			}
		}
	})
}

// write counts up, one write after the other: a write whose answer was lost is
// not counted as written.
func (p *probes) write(client *http.Client, object string) {
	for n := 1; ; n++ {
		select {
		case <-p.stopWrites:
			return
		case <-time.After(writeEvery):
		}
		body := fmt.Sprintf(`{"data":{"n":"%d"}}`, n)
		p.writes.time(func() error {
			err := p.do(client, http.MethodPatch, objectsPath+"/"+object, "application/merge-patch+json", []byte(body))
			if err == nil {
				p.watch.expect(n)
			}
			return err
		})
	}
}

// sent is how many requests have been answered, or have failed.
func (a *answers) sent() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.all)
}

// end waits for the watch to see the last write, and for all answers.
func (p *probes) end() {
	p.once.Do(func() {
		close(p.stopWrites)
		p.written.Wait()
		for deadline := time.Now().Add(30 * time.Second); len(p.watch.lost()) > 0 && time.Now().Before(deadline); {
			time.Sleep(100 * time.Millisecond)
		}
		close(p.stop)
		p.watch.cancel()
		p.done.Wait()
	})
}

// watcher watches one object. When the stream ends it goes on from the last
// version seen, and where the server no longer knows that, from the object as it
// is, as clients do.
type watcher struct {
	apiClient
	object string

	mu        sync.Mutex
	version   string
	written   []int
	seen      map[int]int // by the number in the object
	breaks    int         // streams that ended
	gone      int         // times when the server no longer knew the version
	cancelled bool
	stream    context.CancelFunc
}

func (w *watcher) begin(client *http.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.server+objectsPath+"/"+w.object, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	var object watched
	if err := json.NewDecoder(response.Body).Decode(&object); err != nil {
		return err
	}
	w.version = object.Metadata.ResourceVersion
	return nil
}

type watched struct {
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Data map[string]string `json:"data"`
}

func (w *watcher) expect(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.written = append(w.written, n)
}

// lost are the numbers written and not seen.
func (w *watcher) lost() []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	var lost []int
	for _, n := range w.written {
		if w.seen[n] == 0 {
			lost = append(lost, n)
		}
	}
	return lost
}

// twice counts the numbers seen more than once.
func (w *watcher) twice() int {
	twice := 0
	for _, times := range w.seen {
		if times > 1 {
			twice++
		}
	}
	return twice
}

func (w *watcher) cancel() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancelled = true
	if w.stream != nil {
		w.stream()
	}
}

func (w *watcher) follow(stop chan struct{}) {
	client, _ := w.connect(true)
	for {
		ctx, cancel := context.WithCancel(context.Background())
		w.mu.Lock()
		w.stream = cancel
		over := w.cancelled
		w.mu.Unlock()
		if over {
			cancel()
			return
		}
		gone := w.read(ctx, client)
		cancel()
		select {
		case <-stop:
			return
		case <-time.After(probeEvery):
			w.breaks++
		}
		if gone && w.begin(client) == nil {
			w.gone++
		}
	}
}

// read follows a stream to its end. It says whether the server asked to begin
// anew.
func (w *watcher) read(ctx context.Context, client *http.Client) (gone bool) {
	query := "?watch=true&fieldSelector=metadata.name%3D" + w.object + "&resourceVersion=" + w.version
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.server+objectsPath+query, nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return response.StatusCode == http.StatusGone
	}
	for events := json.NewDecoder(response.Body); ; {
		var event struct {
			Type   string  `json:"type"`
			Object watched `json:"object"`
		}
		if err := events.Decode(&event); err != nil {
			return false
		}
		if event.Type == "ERROR" {
			return true
		}
		w.version = event.Object.Metadata.ResourceVersion
		var n int
		if _, err := fmt.Sscan(event.Object.Data["n"], &n); err == nil {
			w.mu.Lock()
			w.seen[n]++
			w.mu.Unlock()
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

//go:build linux

package execute_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"perennial.dev/perennial/internal/execute"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
)

const (
	manifests = "/etc/kubernetes/manifests/"
	nodeAPI   = "10.0.0.1:6443"
)

// server is an API server of a world: what its process does by itself, a step
// of 100 ms of the world's clock at a time.
type server struct {
	pid       int
	start     time.Time
	args      []string
	port      string
	ready     time.Time // when it will be
	closes    time.Time // when it closes its port; zero: not told to
	ends      time.Time
	neverUp   bool
	notBefore time.Time // its next start
}

func (s *server) listens(now time.Time) bool {
	return s.pid != 0 && !now.Before(s.start.Add(time.Second)) && (s.closes.IsZero() || now.Before(s.closes))
}

func (s *server) isReady(now time.Time) bool {
	return s.listens(now) && !s.neverUp && !now.Before(s.ready)
}

// world is a node with a kubelet, seen from outside: a request arrives at every
// instant. The program that works on it may be killed between any two of its
// acts; the node goes on.
type world struct {
	execute.API
	t             *testing.T
	now           time.Time
	files         map[string][]byte
	main, standby server
	pids          int
	guard         bool
	steered       int // the PID that new connections reach; 0: main
	held          map[int]time.Time
	acts, killAt  int
	dead          bool
	noStandby     bool          // its image is missing
	neverReady    bool          // it runs, and that is all
	mainBroken    bool          // it does not start again
	nat           bool          // a standby that has died is still steered to
	delay         time.Duration // the API server's --shutdown-delay-duration
	wrong         []string
	onAct         func(name string)
	acted         []string
	mu            sync.Mutex // the API server is ended beside the looks at its port
	stops         chan struct{}
}

var errKilled = errors.New("killed")

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), files: map[string][]byte{}, held: map[int]time.Time{}, killAt: -1, stops: make(chan struct{}, 100)}
	w.files[manifests+"kube-apiserver.yaml"] = []byte(podOf("kube-apiserver", "6443"))
	w.run(&w.main, "6443")
	w.now = w.now.Add(time.Minute)
	return w
}

// servesOn gives the API server a --shutdown-delay-duration.
func (w *world) servesOn(delay time.Duration) {
	w.delay = delay
	flag := "--shutdown-delay-duration=" + delay.String()
	manifest := podOf("kube-apiserver", "6443")
	w.files[manifests+"kube-apiserver.yaml"] = []byte(strings.Replace(manifest, "]", ", "+flag+"]", 1))
	w.main.args = append(w.main.args, flag)
}

func podOf(name, port string) string {
	return fmt.Sprintf("kind: Pod\nmetadata: {name: %s}\nspec: {containers: [{name: kube-apiserver, command: [kube-apiserver, --secure-port=%s, --advertise-address=10.0.0.1, --tls-cert-file=/etc/kubernetes/pki/apiserver.crt%s]}]}\n",
		name, port, map[bool]string{true: ", --endpoint-reconciler-type=none"}[port != "6443"])
}

func (w *world) run(s *server, port string) {
	w.pids++
	args := []string{"kube-apiserver", "--secure-port=" + port, "--advertise-address=10.0.0.1", "--tls-cert-file=/etc/kubernetes/pki/apiserver.crt"}
	if port != "6443" {
		args = append(args, "--endpoint-reconciler-type=none")
	}
	*s = server{pid: w.pids, start: w.now, args: args, port: port, ready: w.now.Add(5 * time.Second), neverUp: w.neverReady && port != "6443"}
}

// tick lets the world go on, and a request arrive at each instant.
func (w *world) tick(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(100 * time.Millisecond)
		w.kubelet(&w.main, "kube-apiserver.yaml", "6443", w.mainBroken)
		w.kubelet(&w.standby, layout.APIServerStandby+".yaml", "6444", w.noStandby)
		if !w.answers() {
			w.complain("a new connection to %s is refused", nodeAPI)
		}
		for pid, until := range w.held {
			if w.now.After(until) {
				delete(w.held, pid)
			}
		}
	}
}

func (w *world) complain(format string, args ...any) {
	if len(w.wrong) < 5 {
		w.wrong = append(w.wrong, w.now.Format("15:04:05.0 ")+fmt.Sprintf(format, args...)+" after "+strings.Join(w.acted[max(0, len(w.acted)-3):], ", "))
	}
}

func (w *world) kubelet(s *server, file, port string, broken bool) {
	_, wanted := w.files[manifests+file]
	if s.pid != 0 && !s.ends.IsZero() && !w.now.Before(s.ends) {
		*s = server{notBefore: w.now.Add(500 * time.Millisecond)}
	}
	switch {
	case wanted && s.pid == 0 && !broken && !w.now.Before(s.notBefore):
		w.run(s, port)
	case !wanted && s.pid != 0 && s.closes.IsZero():
		w.terminate(s)
	}
	if !w.nat && w.steered != 0 && (w.standby.pid != w.steered || !w.standby.listens(w.now)) {
		w.steered = 0 // the kernel takes the entry out
	}
}

func (w *world) terminate(s *server) {
	if s.closes.IsZero() {
		s.closes, s.ends = w.now.Add(100*time.Millisecond), w.now.Add(20*time.Second)
		if s.port == "6443" {
			s.closes, s.ends = s.closes.Add(w.delay), s.ends.Add(w.delay)
		}
		if s.port == "6443" && !w.guard {
			w.complain("the service kubernetes has no endpoints")
		}
	}
}

func (w *world) answers() bool {
	return w.steered != 0 && w.standby.isReady(w.now) || w.steered == 0 && w.main.isReady(w.now)
}

// act counts what the program does, and ends it where it is to end: before what
// it does, or after it.
func (w *world) act(name string, do func()) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		return errKilled
	}
	if w.onAct != nil {
		w.onAct(name)
	}
	w.acts++
	if w.acts == w.killAt {
		w.dead = true
		return errKilled
	}
	w.acted = append(w.acted, name)
	do()
	w.acts++
	if w.acts == w.killAt {
		w.dead = true
		return errKilled
	}
	return nil
}

// certOf is the loopback certificate of a process.
func certOf(pid int) fact.Cert {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	return fact.Cert{Certificate: &x509.Certificate{Raw: []byte(strconv.Itoa(pid)), DNSNames: []string{layout.LoopbackSNI}, NotBefore: now, NotAfter: now.AddDate(1, 0, 0), SerialNumber: big.NewInt(int64(pid))}}
}

// Look implements execute.Eyes.
func (w *world) Look(context.Context) (plan.Seen, error) {
	var seen plan.Seen
	err := w.act("look", func() { w.tick(100 * time.Millisecond); seen = w.see() })
	return seen, err
}

func (w *world) see() plan.Seen {
	facts := []fact.Fact{fact.Node{Root: "/", Now: w.now, Hostname: "cp1", Addresses: []string{"10.0.0.1", "127.0.0.1"}}}
	for _, name := range []string{"kube-apiserver.yaml", layout.APIServerStandby + ".yaml"} {
		if data, ok := w.files[manifests+name]; ok {
			facts = append(facts, layout.ParseManifest(manifests+name, fact.Meta{Mode: 0o600}, data))
		}
	}
	served := func(endpoint string, s *server) {
		facts = append(facts, fact.Served{Endpoint: endpoint, SNI: layout.LoopbackSNI, Certs: []fact.Cert{certOf(s.pid)}})
	}
	for _, s := range []*server{&w.main, &w.standby} {
		if s.pid == 0 {
			continue
		}
		facts = append(facts, fact.Process{PID: s.pid, Start: s.start, Args: s.args})
		if s.listens(w.now) {
			status := 500
			if s.isReady(w.now) {
				status = 200
			}
			served("127.0.0.1:"+s.port, s)
			facts = append(facts, fact.Ready{Endpoint: "127.0.0.1:" + s.port, Status: status})
		}
	}
	switch {
	case w.steered != 0:
		served(nodeAPI, &w.standby)
	case w.main.listens(w.now):
		served(nodeAPI, &w.main)
	}
	facts = append(facts, fact.Guard{Way: "policy", Place: "guard", Present: w.guard, Active: w.guard})
	return plan.See(fact.Record{Header: fact.Header{Scope: fact.Scope{Root: "/", KubernetesDir: "/etc/kubernetes"}}, Facts: facts})
}

func (w *world) Read(_ context.Context, path string) (data []byte, err error) {
	killed := w.act("read", func() {
		var ok bool
		if data, ok = w.files[path]; !ok {
			err = fs.ErrNotExist
		}
	})
	return data, errors.Join(killed, err)
}

func (w *world) Digest(_ context.Context, path string) (digest string, err error) {
	err = w.act("digest", func() {
		if data, ok := w.files[path]; ok {
			digest = fact.Digest(data)
		}
	})
	return digest, err
}

func (w *world) Save(_ context.Context, path string, data []byte) error {
	return w.act("save", func() { w.files[path] = data })
}

func (w *world) Replace(ctx context.Context, path string, data []byte, before string) error {
	return w.Restore(ctx, path, data, before, execute.Access{})
}

func (w *world) Restore(_ context.Context, path string, data []byte, _ string, _ execute.Access) error {
	return w.act("write "+path, func() { w.files[path] = data })
}

func (w *world) Remove(_ context.Context, path, _ string) error {
	return w.act("remove "+path, func() { delete(w.files, path) })
}

// Stop tells the API server to end, and waits for it.
func (w *world) Stop(ctx context.Context, s plan.Stop) error {
	defer func() { w.stops <- struct{}{} }()
	return w.act("stop", func() {
		if w.main.pid == s.PID {
			w.terminate(&w.main)
		}
	})
}

func (w *world) Delete(context.Context, plan.Archive) error {
	return w.act("delete", func() {})
}
func (w *world) Sweep(context.Context, ...string) error { return w.act("sweep", func() {}) }

func (w *world) Standby(context.Context, plan.Bridge) ([]byte, error) {
	return []byte(podOf(layout.APIServerStandby, "6444")), w.act("standby", func() {})
}

func (w *world) Guard(context.Context, plan.Bridge) error {
	return w.act("guard", func() { w.guard = true })
}

func (w *world) ReleaseLease(context.Context, plan.Lease, fact.Text) error { return nil }

func (w *world) Unguard(context.Context, plan.Bridge) error {
	return w.act("unguard", func() { w.guard = false })
}

func (w *world) Steer(_ context.Context, _ plan.Bridge, pid int) error {
	return w.act("steer", func() {
		if pid == w.standby.pid && w.standby.listens(w.now) {
			w.steered = pid
		}
	})
}

func (w *world) Unsteer(context.Context, plan.Bridge) error {
	return w.act("unsteer", func() { w.steered = 0 })
}

func (w *world) Hold(_ context.Context, _ plan.Bridge, pid, _ int) (int, func() error, error) {
	err := w.act("hold", func() { w.held[pid] = w.now.Add(plan.HoldLimit) })
	return 3, func() error { return w.act("release", func() { delete(w.held, pid) }) }, err
}

// Listens is asked beside the end of the API server, which comes first here.
func (w *world) Listens(pid, _ int) bool {
	w.mu.Lock()
	wait := len(w.acted) > 0 && w.acted[len(w.acted)-1] == "hold" && pid == w.main.pid && !w.dead
	w.mu.Unlock()
	if wait {
		<-w.stops
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range []*server{&w.main, &w.standby} {
		if s.pid == pid {
			return s.listens(w.now)
		}
	}
	return false
}

// The journal's disk.
func (w *world) ReadFile(name string, _ int64) ([]byte, error) {
	data, ok := w.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(data), nil
}

func (w *world) MakeDir(string) error { return nil }

func (w *world) WritePrivate(name string, data []byte) error {
	return w.act("journal", func() { w.files[name] = data })
}

type journalDisk struct{ *world }

func (d journalDisk) Replace(name string, data []byte, _ string) error {
	return d.act("journal", func() { d.files[name] = data })
}

func (d journalDisk) Append(name string, data []byte) error {
	return d.act("journal", func() { d.files[name] = append(slices.Clone(d.files[name]), data...) })
}

func (w *world) runner() (*execute.Runner, *journal.Journal) {
	j, err := journal.Open("/journal", journalDisk{w})
	if err != nil {
		w.t.Fatal(err)
	}
	return &execute.Runner{
		Hands: w, Eyes: w, Journal: j, State: state, Now: func() time.Time { return w.now }, Patience: execute.DefaultPatience, AnyClock: true,
		Sleep: func(ctx context.Context, d time.Duration) error {
			return errors.Join(ctx.Err(), w.act("sleep", func() { w.tick(max(d, 100*time.Millisecond)) }))
		},
	}, j
}

func (w *world) handover() plan.Plan {
	w.t.Helper()
	seen := w.see()
	api, _ := seen.Layout.Component(layout.APIServer)
	p := plan.New("p1", w.now, seen)
	steps, err := plan.Handover(seen, api, "asked for", plan.HandoverOptions{ID: "p1", Way: plan.ByLookup, StandbyPort: 6444, Guard: plan.GuardPolicy, Hold: true, Pins: "/sys/fs/bpf/perennial", Patience: 3 * time.Minute})
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range steps {
		steps[i].Number = i + 1
	}
	p.Steps = steps
	return p
}

// resume starts the program again until nothing is unfinished.
func (w *world) resume() (journal.Result, error) {
	w.dead, w.killAt = false, -1
	for range 3 {
		r, j := w.runner()
		open := j.Unfinished()
		if len(open) == 0 {
			if all := j.Plans(); len(all) > 0 {
				return all[len(all)-1].Result, nil
			}
			return "", nil
		}
		if _, err := r.Resume(context.Background(), open[0]); err != nil && len(j.Unfinished()) > 0 {
			return "", err
		}
	}
	return "", errors.New("it is never finished")
}

// clean is that nothing is left of a handover.
func (w *world) clean() {
	w.t.Helper()
	w.tick(30 * time.Second)
	if _, there := w.files[manifests+layout.APIServerStandby+".yaml"]; there || w.standby.pid != 0 || w.guard || w.steered != 0 || len(w.held) > 0 {
		w.t.Errorf("left behind: manifest %v, process %d, guard %v, steering to %d, held %v", there, w.standby.pid, w.guard, w.steered, w.held)
	}
	if !w.main.isReady(w.now) {
		w.t.Error("the API server is not ready")
	}
	for _, problem := range w.wrong {
		w.t.Error(problem)
	}
}

func TestHandover(t *testing.T) {
	w := newWorld(t)
	before := w.main.pid
	r, _ := w.runner()
	out, err := r.Run(context.Background(), w.handover())
	if err != nil || out.Result != journal.Done {
		t.Fatalf("%s %v", out.Result, err)
	}
	w.clean()
	if w.main.pid == before {
		t.Error("the API server is the process from before")
	}
}

// Connections are held when the port closes, and that is as long after SIGTERM
// as the API server serves on.
func TestHandoverOfOneThatServesOn(t *testing.T) {
	w := newWorld(t)
	w.servesOn(70 * time.Second)
	var left time.Duration
	w.onAct = func(name string) {
		if name == "hold" && !w.main.closes.IsZero() {
			left = w.main.closes.Sub(w.now)
		}
	}
	r, _ := w.runner()
	sleep := r.Sleep
	r.Sleep = func(ctx context.Context, d time.Duration) error {
		if d > 69*time.Second && d < 70*time.Second { // its end is told beside this
			w.stops <- <-w.stops
		}
		return sleep(ctx, d)
	}
	out, err := r.Run(context.Background(), w.handover())
	if err != nil || out.Result != journal.Done {
		t.Fatalf("%s %v", out.Result, err)
	}
	w.clean()
	if left <= 0 || left > time.Second {
		t.Errorf("held %s before the port closed", left)
	}
}

// Whenever the program is killed, the API answers, and the next start ends with
// a new API server and nothing left behind, or with the old one and nothing left
// behind.
func TestHandoverKilledAnywhere(t *testing.T) {
	whole := newWorld(t)
	r, _ := whole.runner()
	if _, err := r.Run(context.Background(), whole.handover()); err != nil {
		t.Fatal(err)
	}
	var points []int // before and after each act; of the many looks that wait for something, a few
	for i, name := range whole.acted {
		if name != "look" && name != "sleep" || i == 0 || whole.acted[i-1] != "look" && whole.acted[i-1] != "sleep" || i%20 == 0 {
			points = append(points, 2*i+1, 2*i+2)
		}
	}
	if len(points) < 100 {
		t.Fatalf("a handover has %d points at which it could be killed", len(points))
	}
	ends := map[journal.Result]int{}
	for _, kill := range points {
		w := newWorld(t)
		before := w.main.pid
		r, _ := w.runner()
		p := w.handover()
		w.killAt = kill
		_, _ = r.Run(context.Background(), p)
		w.tick(time.Duration(kill%7) * 10 * time.Second) // until somebody starts it again
		result, err := w.resume()
		if err != nil {
			t.Errorf("killed at %d (%v): %v", kill, w.acted[max(0, len(w.acted)-3):], err)
		}
		ends[result]++
		w.clean()
		if restarted := w.main.pid != before; restarted != (result == journal.Done) {
			t.Errorf("killed at %d: the plan is %q, and restarted is %v", kill, result, restarted)
		}
		if t.Failed() {
			t.Fatalf("killed at %d", kill)
		}
	}
	t.Logf("%d points: %v", len(points), ends)
}

// Two kills in a row, of the run and of the one that finishes it.
func TestHandoverKilledTwice(t *testing.T) {
	for kill := 5; kill < 200; kill += 31 {
		for again := 3; again < 120; again += 17 {
			w := newWorld(t)
			r, _ := w.runner()
			p := w.handover()
			w.killAt = kill
			_, _ = r.Run(context.Background(), p)
			w.tick(10 * time.Second)
			r, j := w.runner()
			if open := j.Unfinished(); len(open) > 0 {
				w.dead, w.killAt = false, w.acts+again
				_, _ = r.Resume(context.Background(), open[0])
				w.tick(10 * time.Second)
			}
			if _, err := w.resume(); err != nil {
				t.Errorf("killed at %d and %d: %v", kill, again, err)
			}
			if w.clean(); t.Failed() {
				t.Fatalf("killed at %d and %d", kill, again)
			}
		}
	}
}

// A power failure takes the kernel's part away and leaves the files.
func TestHandoverPowerFailure(t *testing.T) {
	for kill := 1; kill < 250; kill += 3 {
		w := newWorld(t)
		r, _ := w.runner()
		p := w.handover()
		w.killAt = kill
		_, _ = r.Run(context.Background(), p)
		w.main, w.standby, w.steered, w.held = server{}, server{}, 0, map[int]time.Time{}
		w.tick(20 * time.Second)
		w.wrong = nil // nothing answers while a machine starts
		if _, err := w.resume(); err != nil {
			t.Errorf("failed at %d: %v", kill, err)
		}
		if w.clean(); t.Failed() {
			t.Fatalf("failed at %d, %v", kill, w.acted)
		}
	}
}

// A standby that does not become ready costs nothing: the API server is not
// touched.
func TestHandoverWithoutStandby(t *testing.T) {
	for name, never := range map[string]func(*world){"start": func(w *world) { w.noStandby = true }, "become ready": func(w *world) { w.neverReady = true }} {
		w := newWorld(t)
		never(w)
		before, start := w.main.pid, w.now
		r, _ := w.runner()
		out, err := r.Run(context.Background(), w.handover())
		if err == nil || out.Result == journal.Done || !strings.Contains(err.Error(), "Nothing that serves was touched") {
			t.Fatalf("it does not %s: %s %v", name, out.Result, err)
		}
		if took := w.now.Sub(start); took > 5*time.Minute {
			t.Errorf("it does not %s, and that was waited for until %s were over", name, took)
		}
		w.clean()
		if w.main.pid != before {
			t.Errorf("it does not %s: the API server was restarted", name)
		}
	}
}

// An API server that does not come back is stood in for, for as long as it
// takes; the next run goes on when it is there.
func TestHandoverMainStaysAway(t *testing.T) {
	w := newWorld(t)
	w.onAct = func(name string) {
		if name == "stop" {
			w.mainBroken = true
		}
	}
	r, _ := w.runner()
	start := w.now
	out, err := r.Run(context.Background(), w.handover())
	if err == nil || out.Result != journal.Done || !strings.Contains(err.Error(), "standby keeps serving") {
		t.Fatalf("%s %v", out.Result, err)
	}
	if took := w.now.Sub(start); took > 5*time.Minute {
		t.Errorf("with a patience of 3 minutes a person is told after %s", took)
	}
	w.tick(time.Hour)
	if result, err := w.resume(); err == nil {
		t.Fatalf("it ended as %q while the API server is away", result)
	}
	w.mainBroken = false
	w.tick(time.Minute)
	if result, err := w.resume(); err != nil || result != journal.Done {
		t.Fatalf("%s %v", result, err)
	}
	w.clean()
}

// With nftables, connections are sent to a standby that has died, until somebody
// leads them back: not for longer than the wait before the API server is ended.
func TestHandoverStandbyDiesTranslated(t *testing.T) {
	w := newWorld(t)
	w.nat = true
	before, died := w.main.pid, time.Time{}
	var back time.Time
	w.onAct = func(name string) {
		switch {
		case w.steered != 0 && name == "sleep" && died.IsZero():
			w.standby, w.noStandby, died = server{}, true, w.now
		case name == "unsteer" && back.IsZero():
			back = w.now
		}
	}
	r, _ := w.runner()
	out, err := r.Run(context.Background(), w.handover())
	if err == nil || out.Result != journal.Failed {
		t.Errorf("%s %v", out.Result, err)
	}
	if len(w.wrong) == 0 || back.Sub(died) > 15*time.Second {
		t.Errorf("the standby died at %s, and connections were led back at %s: %v", died, back, w.wrong)
	}
	w.wrong = nil
	if w.clean(); w.main.pid != before {
		t.Error("the API server was restarted without a standby")
	}
}

// A standby that dies before the API server is touched costs the handover, or is
// steered to again; the kernel leads new connections to the API server meanwhile.
// One that dies in the very moment in which it is needed is steered to as soon
// as it is back.
func TestHandoverStandbyDies(t *testing.T) {
	for _, c := range []struct {
		at      string
		nth     int
		want    journal.Result
		refused bool
	}{
		{"look", 1, journal.Failed, false}, {"sleep", 1, journal.Done, false}, {"hold", 1, journal.Done, true}, {"release", 1, journal.Done, true},
	} {
		w, seen := newWorld(t), 0
		w.onAct = func(name string) {
			if w.steered != 0 && name == c.at {
				if seen++; seen == c.nth {
					w.standby, w.steered = server{notBefore: w.now.Add(time.Second)}, 0
				}
			}
		}
		r, _ := w.runner()
		said := ""
		r.Tell = func(e execute.Event) { said += e.Text + "\n" }
		out, err := r.Run(context.Background(), w.handover())
		if out.Result != c.want {
			t.Errorf("at %s %d: %s %v", c.at, c.nth, out.Result, err)
		}
		if c.refused && !strings.Contains(said, "while the API server is away: the standby") {
			t.Errorf("at %s %d: it is not said that nobody answers:\n%s", c.at, c.nth, said)
		}
		if refused := len(w.wrong) > 0; refused != c.refused {
			t.Errorf("at %s %d: refused: %v", c.at, c.nth, w.wrong)
		}
		w.wrong = nil
		w.clean()
	}
}

// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"perennial.dev/perennial/lab/internal/api"
)

// pause is between two requests of one client.
const pause = 40 * time.Millisecond

// Clients ask an API server all the time, as its users do: reading and writing,
// on new connections and on kept ones.
type Clients struct {
	kubeconfig, namespace string
	stop                  context.CancelFunc
	done                  sync.WaitGroup
	all                   []*visitor
}

// Tally is what became of the requests of one client.
type Tally struct {
	Title  string
	Asked  int
	Failed int
	Away   time.Duration // the longest time from an answer to the next, with a failure between
	First  string        // what the first failure was
}

// visitor is one client. Its goroutine owns it until the Clients are stopped.
type visitor struct {
	Tally
	client  *api.Client
	fresh   bool // a new connection for each request
	writes  string
	written []string
	well    time.Time // when the last answer came
	failing bool      // since then
}

// Visit begins to ask. The objects that are written go to a new namespace,
// called by the name.
func Visit(ctx context.Context, kubeconfig, name string) (*Clients, error) {
	c := &Clients{kubeconfig: kubeconfig, namespace: "clients-" + name}
	admin, err := api.FromKubeconfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	defer admin.Forget()
	answer, err := admin.Do(ctx, http.MethodPost, "/api/v1/namespaces", object("v1", "Namespace", c.namespace, nil))
	if err == nil && answer.Code != http.StatusCreated {
		err = errors.New(answer.Message())
	}
	if err != nil {
		return nil, fmt.Errorf("making a namespace for the clients: %w", err)
	}
	for _, v := range []visitor{
		{Tally: Tally{Title: "reads, each on a new connection"}, fresh: true},
		{Tally: Tally{Title: "writes, each on a new connection"}, fresh: true, writes: "fresh"},
		{Tally: Tally{Title: "reads on a kept connection"}},
		{Tally: Tally{Title: "writes on a kept connection"}, writes: "kept"},
	} {
		if v.client, err = api.FromKubeconfig(kubeconfig); err != nil {
			return nil, err
		}
		c.all = append(c.all, &v)
	}
	ctx, c.stop = context.WithCancel(ctx)
	for _, v := range c.all {
		c.done.Go(func() { v.visit(ctx, c.namespace) })
	}
	return c, nil
}

func (v *visitor) visit(ctx context.Context, namespace string) {
	defer v.client.Forget()
	defer v.endGap()
	for v.well = time.Now(); ctx.Err() == nil; {
		// A request that was begun is not given up: its answer counts.
		v.ask(context.WithoutCancel(ctx), namespace)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (v *visitor) ask(ctx context.Context, namespace string) {
	method, path, want := http.MethodGet, "/api/v1/namespaces/"+namespace, http.StatusOK
	var body any
	name := fmt.Sprintf("%s-%d", v.writes, v.Asked)
	if v.writes != "" {
		method, path, want = http.MethodPost, path+"/configmaps", http.StatusCreated
		body = object("v1", "ConfigMap", name, nil)
	}
	if v.fresh {
		v.client.Forget()
	}
	answer, err := v.client.Do(ctx, method, path, body)
	v.Asked++
	if err == nil && answer.Code != want {
		err = fmt.Errorf("%d %s", answer.Code, answer.Message())
	}
	if err != nil {
		v.fail(err)
		return
	}
	if v.writes != "" {
		v.written = append(v.written, name)
	}
	v.endGap()
	v.well, v.failing = time.Now(), false
}

func (v *visitor) endGap() {
	if v.failing {
		v.Away = max(v.Away, time.Since(v.well))
	}
}

func (v *visitor) fail(err error) {
	v.Failed++
	v.failing = true
	if v.First == "" {
		v.First = err.Error()
	}
}

// Stop ends the asking and returns what became of it. The error is not nil when
// what was written is not what is stored.
func (c *Clients) Stop(ctx context.Context) ([]Tally, error) {
	c.stop()
	c.done.Wait()
	var tallies []Tally
	var written []string
	failed := 0
	for _, v := range c.all {
		tallies = append(tallies, v.Tally)
		written = append(written, v.written...)
		failed += v.Failed
	}
	stored, err := c.stored(ctx)
	if err != nil {
		return tallies, err
	}
	slices.Sort(written)
	slices.Sort(stored)
	// Of a request that failed nobody knows whether it was done.
	for _, name := range written {
		if _, ok := slices.BinarySearch(stored, name); !ok {
			return tallies, fmt.Errorf("the API server answered that it had stored %s, and has not", name)
		}
	}
	if failed == 0 && len(stored) != len(written) {
		return tallies, fmt.Errorf("%d objects are stored, and the answers were %d", len(stored), len(written))
	}
	return tallies, nil
}

// stored lists what was written.
func (c *Clients) stored(ctx context.Context) ([]string, error) {
	admin, err := api.FromKubeconfig(c.kubeconfig)
	if err != nil {
		return nil, err
	}
	defer admin.Forget()
	answer, err := admin.Do(ctx, http.MethodGet, "/api/v1/namespaces/"+url.PathEscape(c.namespace)+"/configmaps", nil)
	if err == nil && answer.Code != http.StatusOK {
		err = errors.New(answer.Message())
	}
	var list struct {
		Items []struct{ Metadata struct{ Name string } }
	}
	if err == nil {
		err = json.Unmarshal(answer.Body, &list)
	}
	if err != nil {
		return nil, fmt.Errorf("listing what the clients have written: %w", err)
	}
	var names []string
	for _, item := range list.Items {
		if name := item.Metadata.Name; strings.HasPrefix(name, "fresh-") || strings.HasPrefix(name, "kept-") {
			names = append(names, name)
		}
	}
	return names, nil
}

// PrintTallies writes the table, at most 80 columns wide, and returns the sums.
func PrintTallies(out io.Writer, all []Tally) (asked, failed int) {
	fmt.Fprintf(out, "%-36s  %7s  %7s  %s\n", "", "ASKED", "FAILED", "LONGEST GAP")
	for _, t := range all {
		gap := ""
		if t.Failed > 0 {
			gap = "  " + t.Away.Round(time.Second/10).String()
		}
		fmt.Fprintf(out, "%-36s  %7d  %7d%s\n", t.Title, t.Asked, t.Failed, gap)
		asked, failed = asked+t.Asked, failed+t.Failed
	}
	return asked, failed
}

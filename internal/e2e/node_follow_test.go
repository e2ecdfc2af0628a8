// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// follower watches a collection as a careful client does: it goes on from the
// last version that it was told of, by an object or a bookmark, and does not
// look again at what is there. Only when the server no longer knows that
// version, it begins anew, and has missed what was between.
type follower struct {
	apiClient
	path string // of the collection
	only string // the label selector

	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu        sync.Mutex
	version   string
	seen      map[string]int // how often each object was added, by its name
	bookmarks int
	breaks    int            // streams that ended
	refused   map[string]int // streams that did not begin, by the cause
	errors    []string       // ERROR events, and versions that were no longer known
}

func (f *follower) begin() error {
	f.ctx, f.cancel = context.WithCancel(context.Background())
	f.seen, f.refused = map[string]int{}, map[string]int{}
	client, _ := f.connect(true)
	if err := f.look(client); err != nil {
		return err
	}
	f.done.Go(func() { f.follow(client) })
	return nil
}

func (f *follower) end() {
	if f.cancel == nil {
		return // it has not begun
	}
	f.cancel()
	f.done.Wait()
}

// look learns the collection's present version.
func (f *follower) look(client *http.Client) error {
	said, err := f.ask(client, http.MethodGet, f.path+"?limit=1&labelSelector="+f.only, "", nil)
	if err != nil {
		return err
	}
	var list watched
	if err := json.Unmarshal(said, &list); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version = list.Metadata.ResourceVersion
	return nil
}

func (f *follower) follow(client *http.Client) {
	for f.ctx.Err() == nil {
		gone, err := f.read(client)
		if f.ctx.Err() != nil {
			return
		}
		f.mu.Lock()
		if err != nil {
			f.refused[cause(err)]++
		} else if !gone {
			f.breaks++
		}
		f.mu.Unlock()
		if gone {
			for f.ctx.Err() == nil && f.look(client) != nil {
				time.Sleep(probeEvery)
			}
		}
		if err != nil {
			time.Sleep(probeEvery)
		}
	}
}

// event is what a watch tells.
type event struct {
	Type   string `json:"type"`
	Object struct {
		Metadata struct {
			Name            string `json:"name"`
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"object"`
}

// read follows one stream to its end. The error is that of a stream that did
// not begin; gone says that the server asked to begin anew.
func (f *follower) read(client *http.Client) (gone bool, err error) {
	f.mu.Lock()
	query := "?watch=true&allowWatchBookmarks=true&labelSelector=" + f.only + "&resourceVersion=" + f.version
	f.mu.Unlock()
	request, err := http.NewRequestWithContext(f.ctx, http.MethodGet, f.server+f.path+query, nil)
	if err != nil {
		return false, err
	}
	response, err := client.Do(request)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusGone {
		f.fail(response.Status)
		return true, nil
	}
	if response.StatusCode != http.StatusOK {
		return false, fmt.Errorf("watching: %s", response.Status)
	}
	for events := json.NewDecoder(response.Body); ; {
		var e event
		if events.Decode(&e) != nil {
			return false, nil
		}
		if e.Type == "ERROR" {
			f.fail(fmt.Sprintf("%d %s", e.Object.Code, e.Object.Message))
			return true, nil
		}
		f.take(e)
	}
}

func (f *follower) take(e event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version = e.Object.Metadata.ResourceVersion
	switch e.Type {
	case "ADDED":
		f.seen[e.Object.Metadata.Name]++
	case "BOOKMARK":
		f.bookmarks++
	}
}

func (f *follower) fail(said string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errors = append(f.errors, said)
}

// unlike says which of the objects stored were not seen, and which of those
// seen were seen twice.
func (f *follower) unlike(stored []string) (lost, twice []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range stored {
		switch f.seen[name] {
		case 0:
			lost = append(lost, name)
		case 1:
		default:
			twice = append(twice, name)
		}
	}
	return lost, twice
}

func (f *follower) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	text := fmt.Sprintf("%d interruptions, %d bookmarks, %d ERROR events", f.breaks, f.bookmarks, len(f.errors))
	for why, times := range f.refused {
		text += fmt.Sprintf("; %d times not begun: %s", times, why)
	}
	for _, e := range f.errors {
		text += "; " + e
	}
	return text
}

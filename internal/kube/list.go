// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Limits of a list.
const (
	pageSize = 500
	// itemLimit is far above what etcd lets an object have (1.5 MiB as
	// protobuf), in bytes.
	itemLimit = 16 << 20
	// restarts is how often a list begins anew after its continue token has
	// expired. Tokens live for five minutes.
	restarts = 3
	// maxTries is how often a busy server is asked for one page.
	maxTries = 10
)

// ErrTooLarge: an answer holds an object that no API server could store.
var ErrTooLarge = errors.New("one of its objects is larger than an API server can store")

// Listing says what is to be listed.
type Listing struct {
	Resource
	// Metadata asks for the objects' metadata alone. A server behind an
	// APIService that does not know how answers with whole objects.
	Metadata  bool
	Namespace string // empty is all
	Labels    string // a label selector
	Page      int    // objects of a page; 0 is 500
	Patience  Patience
}

// List reads objects page by page and hands on each one's JSON, which is only
// valid until each returns. Memory grows with the largest object, not with their
// number. No object comes twice, also where the list had to begin anew, since
// a server lists in the order of namespace and name; what changed meanwhile may
// be missed.
func (c *Client) List(ctx context.Context, what Listing, each func(item json.RawMessage) error) error {
	l := lister{client: c, what: what, each: each, patience: what.Patience}
	if l.patience == (Patience{}) {
		l.patience = DefaultPatience
	}
	for {
		again, err := l.page(ctx)
		if err != nil {
			return l.failed(ctx, err)
		}
		if !again {
			return nil
		}
	}
}

// lister is a list under way.
type lister struct {
	client   *Client
	what     Listing
	each     func(json.RawMessage) error
	patience Patience

	token    string
	restarts int
	last     string // namespace/name of the last object that was handed on
	skip     bool   // until last has come again
	handed   int
}

// about completes "asking the API server at X".
func (l *lister) about() string { return "for its " + l.what.Resource.String() }

func (l *lister) failed(ctx context.Context, err error) error {
	var own *callerError
	if errors.As(err, &own) {
		return own.err
	}
	about := l.about()
	if l.handed > 0 {
		about += fmt.Sprintf(" (after %d of them)", l.handed)
	}
	return l.client.failed(ctx, about, err)
}

// callerError is what each returned: no fault of the server.
type callerError struct{ err error }

func (e *callerError) Error() string { return e.err.Error() }

// page asks for one page, and says whether there is more.
func (l *lister) page(ctx context.Context) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.patience.Page)
	defer cancel()
	body, err := l.open(ctx)
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return l.restart(err)
	}
	if err != nil {
		return false, l.timely(ctx, err)
	}
	defer body.Close()
	token, err := l.read(body)
	if errors.Is(err, io.ErrUnexpectedEOF) && ctx.Err() == nil && l.restarts < restarts {
		l.restarts++ // the connection broke: the same page once more
		l.skip = l.last != ""
		return true, nil
	}
	if err != nil {
		return false, l.timely(ctx, err)
	}
	more = token != "" && token != l.token
	l.token = token
	return more, nil
}

// timely tells an answer that ended with its time from one that was bad.
func (l *lister) timely(ctx context.Context, err error) error {
	var own *callerError
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && !errors.As(err, &own) {
		return fmt.Errorf("no answer within %s: %w", l.patience.Page, errors.Join(context.DeadlineExceeded, err))
	}
	return err
}

// open asks, and waits where a busy server asks for a wait that is not too long.
func (l *lister) open(ctx context.Context) (io.ReadCloser, error) {
	for tries := 0; ; tries++ {
		body, err := l.request().Stream(ctx)
		wait, busy := apierrors.SuggestsClientDelay(err)
		if !busy && !apierrors.IsTooManyRequests(err) || tries == maxTries {
			return body, err
		}
		delay := max(time.Second, time.Duration(wait)*time.Second)
		if delay > l.patience.Wait {
			return nil, fmt.Errorf("it is busy, and wants %s of patience: %w", delay, err)
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (l *lister) request() interface {
	Stream(context.Context) (io.ReadCloser, error)
} {
	page := l.what.Page
	if page == 0 {
		page = pageSize
	}
	query := map[string]string{"limit": strconv.Itoa(page)}
	if l.what.Labels != "" {
		query["labelSelector"] = l.what.Labels
	}
	if l.token != "" {
		query["continue"] = l.token
	}
	accept := "application/json"
	if l.what.Metadata {
		accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"
	}
	ask := l.client.build(request{verb: http.MethodGet, path: l.what.path(l.what.Namespace), query: query, header: map[string]string{"Accept": accept}})
	return ask.MaxRetries(0) // the waits are bounded here
}

// restart begins anew after the continue token has expired: with the token that
// the server offers instead, which goes on behind the last object, or from the
// first object on, past what has been handed on.
func (l *lister) restart(expired error) (again bool, err error) {
	l.restarts++
	if l.restarts > restarts || l.token == "" {
		return false, expired
	}
	var status apierrors.APIStatus
	if errors.As(expired, &status) && status.Status().Continue != "" {
		l.token = status.Status().Continue
		return true, nil
	}
	l.token, l.skip = "", l.last != ""
	return true, nil
}

// key is what a server lists objects by: namespace/name is the end of the key
// in etcd, and is compared byte by byte there.
type key struct {
	Metadata struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	} `json:"metadata"`
}

func (l *lister) hand(item json.RawMessage) error {
	var k key
	if err := json.Unmarshal(item, &k); err != nil {
		return errors.New("one of its objects is no object")
	}
	at := k.Metadata.Namespace + "/" + k.Metadata.Name
	if l.skip && at <= l.last {
		return nil
	}
	l.skip = false
	if err := l.each(item); err != nil {
		return &callerError{err}
	}
	l.last = at
	l.handed++
	return nil
}

// read walks through a List and returns its continue token.
func (l *lister) read(body io.Reader) (token string, err error) {
	bounded := &boundedReader{from: body}
	bounded.allow()
	dec := json.NewDecoder(bounded)
	defer func() {
		if err != nil && bounded.exceeded {
			err = ErrTooLarge
		}
	}()
	if !opens(dec, '{') {
		return "", errNotAList
	}
	listed := false
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return "", broken(err)
		}
		switch name {
		case "metadata":
			var meta struct {
				Continue string `json:"continue"`
			}
			if err := dec.Decode(&meta); err != nil {
				return "", broken(err)
			}
			token = meta.Continue
		case "items":
			listed = true
			if err := l.readItems(dec, bounded); err != nil {
				return "", err
			}
		default:
			var passed json.RawMessage
			if err := dec.Decode(&passed); err != nil {
				return "", broken(err)
			}
		}
	}
	if _, err := dec.Token(); err != nil {
		return "", broken(err)
	}
	if !listed {
		return "", errNotAList
	}
	return token, nil
}

func (l *lister) readItems(dec *json.Decoder, bounded *boundedReader) error {
	switch open, err := dec.Token(); {
	case err != nil:
		return broken(err)
	case open == nil: // "items": null
		return nil
	case open != json.Delim('['):
		return errNotAList
	}
	var item json.RawMessage
	for dec.More() {
		bounded.allow()
		item = item[:0]
		if err := dec.Decode(&item); err != nil {
			return broken(err)
		}
		if err := l.hand(item); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return broken(err)
	}
	bounded.allow()
	return nil
}

// What is wrong with an answer. ErrGarbled may stand for something that an
// error quotes.
var (
	ErrGarbled  = errors.New("its answer is broken off or is no JSON")
	errNotAList = fmt.Errorf("%w: it is no list of objects", ErrGarbled)
)

// broken hides what the JSON reader quotes, and keeps what the connection says.
func broken(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax), errors.As(err, &kind):
		return ErrGarbled
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: %w", ErrGarbled, io.ErrUnexpectedEOF)
	}
	return err
}

func opens(dec *json.Decoder, delim json.Delim) bool {
	open, err := dec.Token()
	return err == nil && open == delim
}

// boundedReader ends a stream whose next value is too large to be held.
type boundedReader struct {
	from     io.Reader
	left     int
	exceeded bool
}

// allow lets the next value be as large as itemLimit.
func (b *boundedReader) allow() { b.left = itemLimit }

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		b.exceeded = true
		return 0, ErrTooLarge
	}
	n, err := b.from.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// SPDX-License-Identifier: Apache-2.0

// Package page renders timelines as one HTML page that needs nothing else: no
// network, no other file, and no script to be read.
//
// The page is the same whether it is opened from a file or served; served, it also
// looks for a newer version of itself. Rendering is pure: a saved timeline gives the
// page that a fresh one does.
//
// Whatever a certificate or an object may hold, it comes into the page as escaped
// text (fact.Text) through html/template, and the page's own policy lets nothing run
// or load that this package did not write: see Policy.
package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"sync"
	"time"

	"perennial.dev/perennial/internal/timeline"
)

//go:embed page.html
var markup string

//go:embed page.css
var style string

//go:embed page.js
var script string

// Options is what the caller knows about where the page goes.
type Options struct {
	// Now is the instant from which what is left is counted; zero for each
	// timeline's own.
	Now time.Time
	// Live says what only a page that is served has; nil for one that is a file.
	Live *Live
}

// Write writes one page that shows the timelines, one for each cluster.
func Write(w io.Writer, all []timeline.Timeline, o Options) error {
	var b bytes.Buffer // a page in two halves is none
	if err := parsed().Execute(&b, newView(all, o)); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

// parsed is the page's template. Most commands write no page.
var parsed = sync.OnceValue(func() *template.Template { return template.Must(template.New("page").Parse(markup)) })

// Policy is the page's Content-Security-Policy: its own style and script by their
// hashes, its icon, and nothing else. A page that is served may also ask its own
// server. As a header it may say more than a page can say of itself.
func Policy(live bool) string {
	connect := ""
	if live {
		connect = " connect-src 'self';"
	}
	return "default-src 'none'; style-src '" + digest(style) + "'; script-src '" + digest(script) + "'; img-src data:;" +
		connect + " base-uri 'none'; form-action 'none'"
}

// digest names a text as Content Security Policy Level 3 (2.3.1) wants it.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

const root = "../.."

// patience is how long a browser on a busy machine may take for one test.
const patience = 5 * time.Minute

// chromium finds the browser, or installs it where CI runs as root.
var chromium = sync.OnceValues(func() (string, error) {
	find := func() string {
		for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
			if path, err := exec.LookPath(name); err == nil {
				return path
			}
		}
		return ""
	}
	if path := find(); path != "" {
		return path, nil
	}
	if os.Getenv("CI") != "true" || os.Geteuid() != 0 {
		return "", errors.New("needs Chromium: apt-get install chromium")
	}
	cmd := exec.Command("sh", "-c", "apt-get update -q && apt-get install -qy --no-install-recommends chromium fonts-noto-core fonts-noto-mono")
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("installing Chromium: %w: %s", err, last(out))
	}
	if path := find(); path != "" {
		return path, nil
	}
	return "", errors.New("installing Chromium brought none")
})

// pages are the files that the product's own tests write.
var pages = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "perennial-pages-")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "test", "-count=1", "-run", "^TestPagesForABrowser$", "./internal/page")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "PERENNIAL_PAGES="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("writing the pages: %w: %s", err, last(out))
	}
	return dir, nil
})

func last(out []byte) string { return string(out[max(0, len(out)-2000):]) }

func TestMain(m *testing.M) {
	code := m.Run()
	if browser.cancel != nil {
		browser.cancel()
	}
	if dir, err := pages(); err == nil && browser.cancel != nil {
		_ = os.RemoveAll(dir) // below the system's own directory for such
	}
	os.Exit(code)
}

// browser is the one that all tests use.
var browser struct {
	once   sync.Once
	ctx    context.Context
	cancel context.CancelFunc
	err    error
}

func running(t testing.TB) context.Context {
	t.Helper()
	path, err := chromium()
	if err != nil {
		t.Skip(err)
	}
	browser.once.Do(func() {
		options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.DisableGPU, chromedp.Flag("hide-scrollbars", true))
		if os.Geteuid() == 0 { // root's has no sandbox
			options = append(options, chromedp.NoSandbox)
		}
		allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, close := chromedp.NewContext(allocator)
		browser.ctx, browser.cancel = ctx, func() { close(); end() }
		browser.err = chromedp.Do(ctx)
	})
	if browser.err != nil {
		t.Fatalf("starting %s: %v", path, browser.err)
	}
	return browser.ctx
}

// view is how somebody looks at a page.
type view struct {
	name          string
	width, height int64
	dark, phone   bool
	noScript      bool
}

var (
	light = view{name: "light", width: 1280, height: 900}
	dark  = view{name: "dark", width: 1280, height: 900, dark: true}
	phone = view{name: "phone", width: 360, height: 740, phone: true}
)

var views = []view{light, dark, phone}

// tab is a page that is open, and what happened in it.
type tab struct {
	t    testing.TB
	view view
	ctx  context.Context

	mutex    sync.Mutex
	problems []string // errors on the console, exceptions, dialogs
	requests []string // what was asked of the network, or of the disk
	blocked  []string // what the page's policy did not let through
	urls     map[network.RequestID]string
}

// open opens a page of those that the product's tests wrote.
func open(t testing.TB, v view, name string) *tab {
	t.Helper()
	running(t) // skips, before anything is made
	dir, err := pages()
	if err != nil {
		t.Fatal(err)
	}
	address := url.URL{Scheme: "file", Path: filepath.Join(dir, name+".html")}
	return visit(t, v, address.String())
}

func visit(t testing.TB, v view, address string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(running(t))
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, patience)
	t.Cleanup(cancel)
	b := &tab{t: t, view: v, ctx: ctx, urls: map[network.RequestID]string{}}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	dialogs := chromedp.Events(ctx, page.JavascriptDialogOpening)
	go func() {
		for range dialogs { // each stops the page until it is answered
			_, _ = chromedp.Call(ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
		}
	}()
	scheme := "light"
	if v.dark {
		scheme = "dark"
	}
	call(b, log.Enable, cdp.Empty{})
	call(b, network.Enable, network.EnableParams{})
	b.size(v.width, v.height)
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: v.noScript})
	b.run(chromedp.Navigate(address))
	return b
}

// call sends the browser one command.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	result, err := chromedp.Call(b.ctx, command, params)
	if err != nil {
		b.t.Fatalf("%s: %v", command.Method, err)
	}
	return result
}

// hear notes what a page must not do.
func (b *tab) hear(event any) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.problems = append(b.problems, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventConsoleAPICalled:
		b.problems = append(b.problems, fmt.Sprintf("console.%s", e.Type))
	case *runtime.EventExceptionThrown:
		b.problems = append(b.problems, e.ExceptionDetails.Text)
	case *page.EventJavascriptDialogOpening:
		b.problems = append(b.problems, "a dialog: "+e.Message)
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, "data:") {
			b.requests = append(b.requests, e.Request.URL)
			b.urls[e.RequestID] = e.Request.URL
		}
	case *network.EventLoadingFailed:
		// It was told before the policy was asked.
		if url := b.urls[e.RequestID]; e.BlockedReason == network.BlockedReasonCsp && url != "" {
			b.requests = slices.DeleteFunc(b.requests, func(u string) bool { return u == url })
			b.blocked = append(b.blocked, url)
		}
	}
}

func (b *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// quiet fails if the page did anything but load itself, or ask for what it may.
func (b *tab) quiet(may ...string) {
	b.t.Helper()
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if len(b.problems) > 0 {
		b.t.Errorf("the browser complains: %q", b.problems)
	}
	others := slices.DeleteFunc(slices.Clone(b.requests), func(url string) bool { return slices.Contains(may, url) })
	if len(may) == 0 && len(others) != 1 || len(may) > 0 && len(others) > 0 {
		b.t.Errorf("the page asked for %q, and may ask for itself and %q", b.requests, may)
	}
}

// ask evaluates an expression in the page.
func ask[T any](b *tab, expression string) T {
	b.t.Helper()
	result, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%v, in %s", err, expression)
	}
	return result
}

// until waits for an expression to be true.
func (b *tab) until(what, expression string) {
	b.t.Helper()
	for end := time.Now().Add(patience / 2); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if ask[bool](b, expression) {
			return
		}
	}
	b.t.Fatalf("%s: never", what)
}

// keep writes what was seen to where people look at it.
func keep(t testing.TB, name string, body []byte) {
	t.Helper()
	dir := os.Getenv("PERENNIAL_SCREENSHOTS")
	if dir == "" {
		dir = filepath.Join(root, "bin", "browser")
	}
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, name), body, 0o644)); err != nil {
		t.Error(err)
	}
}

// tallest is the height of the largest screenshot.
const tallest = 3000

// screenshot makes the screen as high as the page: what is out of sight is not
// painted.
func (b *tab) screenshot(name string) {
	b.t.Helper()
	height := min(tallest, ask[int64](b, "document.documentElement.scrollHeight"))
	b.size(b.view.width, height)
	b.run(chromedp.Evaluate[chromedp.Void](`scrollTo(0, 0); 0`))
	if b.view.noScript { // then nobody says when it is painted
		b.run(chromedp.Sleep(time.Second))
	} else {
		ask[bool](b, `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
	}
	keep(b.t, name+".png", call(b, page.CaptureScreenshot, page.CaptureScreenshotParams{}).Data)
	b.size(b.view.width, b.view.height)
}

func (b *tab) size(width, height int64) {
	b.t.Helper()
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1, Mobile: b.view.phone})
}

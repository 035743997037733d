//go:build e2e

package live

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"patchproof/results/site"
	"patchproof/results/site/sitetest"
)

// The tests of this file drive Debian's Chromium. With -screenshots DIR they
// also leave the pictures of docs/site.md there.
var screenshots = flag.String("screenshots", "", "folder to put screenshots into")

// patience is how long a page may take to become what it is meant to be.
const patience = 30 * time.Second

// browser is one tab.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex
	faults []string // what the console reported
}

// newBrowser starts Chromium. Errors that it writes to its console, such as
// violations of the Content-Security-Policy, fail the test.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.NoSandbox, chromedp.WindowSize(1200, 900))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	b := &browser{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatalf("%v; scripts/setup test installs Chromium", err)
	}
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, f := range b.faults {
			t.Errorf("the browser's console: %s", f)
		}
	})
	return b
}

// hear takes note of what must not happen.
func (b *browser) hear(event any) {
	switch e := event.(type) {
	case *log.EventEntryAdded:
		b.fault(fmt.Sprintf("%v: %s", e.Entry.Level, e.Entry.Text))
	case *runtime.EventExceptionThrown:
		b.fault(e.ExceptionDetails.Text)
	case *page.EventJavascriptDialogOpening:
		b.fault("a dialog: " + e.Message)
	}
}

func (b *browser) fault(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, text)
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, patience)
	defer stop()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) open(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
}

// eval evaluates an expression in the page.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	value, err := try[T](b, expression)
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

func try[T any](b *browser, expression string) (T, error) {
	ctx, stop := context.WithTimeout(b.ctx, patience)
	defer stop()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression))
}

// call runs a command of the DevTools protocol.
func call[P, R any](b *browser, command cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		b.t.Fatalf("%s: %v", command.Method, err)
	}
}

// expect waits until an expression has a value.
func expect[T comparable](b *browser, what, expression string, want T) {
	b.t.Helper()
	var got T
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		// An error can be that of a page that is about to be replaced.
		if got, err = try[T](b, expression); err == nil && got == want {
			return
		}
	}
	b.t.Errorf("%s: %s is %v (%v), want %v", what, expression, got, err, want)
}

// click clicks the first element that a selector finds.
func (b *browser) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

// choose sets a field as a user would.
func (b *browser) choose(selector, value string) {
	b.t.Helper()
	expect(b, "the page's script has shown the field", fmt.Sprintf(`document.querySelector(%q).form.hidden`, selector), false)
	eval[bool](b, fmt.Sprintf(`{const f = document.querySelector(%q); f.value = %q; f.dispatchEvent(new Event("input", {bubbles: true}))}; true`, selector, value))
}

func (b *browser) shot(name string, width, height int64, dark bool) {
	b.t.Helper()
	if *screenshots == "" {
		return
	}
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	b.scheme(scheme)
	b.size(width, height, false)
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*screenshots, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
	call(b, emulation.ClearDeviceMetricsOverride, cdp.Empty{})
}

// scheme sets the colour scheme that the browser prefers.
func (b *browser) scheme(name string) {
	b.t.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
}

func (b *browser) size(width, height int64, phone bool) {
	b.t.Helper()
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1, Mobile: phone})
}

// write writes the static site of a store.
func write(t *testing.T, s *sitetest.Store) (root string) {
	t.Helper()
	out := t.TempDir()
	if _, err := site.Write(t.Context(), s.Dir(), out, site.Options{Version: "test"}); err != nil {
		t.Fatal(err)
	}
	return "file://" + out + "/"
}

// cellsIn are the keys of the cells of the grid that have a state and are not
// filtered away.
func cellsIn(state string) string {
	return fmt.Sprintf(`[...document.querySelectorAll('#grid td.cell:not(.off)')].filter(c => c.dataset.state === %q).map(c => JSON.parse(c.dataset.values).join(" ")).sort().join("; ")`, state)
}

func TestE2EStaticSite(t *testing.T) {
	s := sitetest.New(t)
	s.Nights(5, 1, 4, 2)
	s.Verification(5)
	root := write(t, s)
	b := newBrowser(t)

	b.open(root + "index.html")
	b.shot("index", 1200, 900, false)
	expect(b, "new failures on the first page", `document.querySelector(".news li a").textContent`, "KASAN: use-after-free Read in foo_bar")
	b.click(".night h2 a")

	expect(b, "failing cells", cellsIn("failing"), "base focused zlib 2; base focused zlib 4; base focused zstd 2; base focused zstd 4")
	expect(b, "cells that fail otherwise", cellsIn("other-failure"), "debian-6.12 focused zstd 2; debian-6.12 focused zstd 4")
	expect(b, "invalid cells", cellsIn("invalid"), "fixed focused none 2")
	expect(b, "columns are the kernels", `[...document.querySelectorAll("#grid thead th:not(.axis)")].map(h => h.textContent).join()`, "base,fixed,debian-6.12")
	b.shot("matrix", 1000, 1020, false)

	b.choose(`form.turn select`, "compress")
	expect(b, "columns after turning", `[...document.querySelectorAll("#grid thead th")].map(h => h.textContent).join()`, "kernel,guest.vcpus,none,zlib,lzo,zstd")
	expect(b, "cells stay themselves", cellsIn("failing"), "base focused zlib 2; base focused zlib 4; base focused zstd 2; base focused zstd 4")
	expect(b, "first line after turning", `[...document.querySelectorAll("#grid tbody tr:first-child td a")].map(a => a.textContent.trim()).join()`, "✓ 0/3,✕ 3/3,✓ 0/3,✕ 3/3")

	b.choose(`form.filter select[name=state]`, "failing")
	expect(b, "rows after filtering by state", `[...document.querySelectorAll("tr[data-item]")].filter(r => !r.hidden).length`, 4)
	expect(b, "words about the filter", `document.querySelector("form.filter output").textContent`, "4 of 24 shown")
	b.choose(`form.filter select[name=kernel]`, "fixed")
	expect(b, "rows after filtering by state and kernel", `[...document.querySelectorAll("tr[data-item]")].filter(r => !r.hidden).length`, 0)
	b.choose(`form.filter select[name=kernel]`, "")
	b.choose(`form.filter input[name=text]`, "ZSTD")
	expect(b, "rows after filtering by text", `[...document.querySelectorAll("tr[data-item]")].filter(r => !r.hidden).length`, 2)
	expect(b, "cells that are not filtered away", `document.querySelectorAll("#grid td.cell:not(.off)").length`, 2)

	b.click(`#grid td.cell:not(.off) a`)
	expect(b, "the cell's page", `document.querySelector("h1").textContent`, "kernel=base workload=focused compress=zstd guest.vcpus=2")
	expect(b, "nights of the cell", `document.querySelectorAll('[aria-label=Nights] tbody tr').length`, 5)
	expect(b, "command that repeats the cell", `document.querySelector(".copy code").textContent`,
		"patchproof matrix /srv/ci/nightly.yaml --cell 'kernel=base workload=focused compress=zstd guest.vcpus=2'")
	b.click(`[aria-label=Runs] tbody a`)
	checkRunPage(b)
}

// checkRunPage looks at the page of a run that reproduced the bug.
func checkRunPage(b *browser) {
	b.t.Helper()
	expect(b, "the run's outcome", `document.querySelector(".verdict .badge").textContent`, "✕ reproduced")
	b.shot("run", 1000, 900, true)
	b.click(`#report-1 a[href="#log-1"]`)
	expect(b, "the report's place in the log", `document.querySelector(":target pre").textContent.split("\n")[1].slice(15)`,
		"WARNING: CPU: 1 PID: 101 at fs/btrfs/inode.c:8028 btrfs_destroy_inode+0x269/0x2f0")
	expect(b, "it is in sight", `(r => r.top >= 0 && r.top < innerHeight)(document.querySelector(":target").getBoundingClientRect())`, true)
	b.click(`#log-1 a`)
	expect(b, "back at the report", `location.hash`, "#report-1")
	b.click(`a[href$=".console.txt"]`)
	expect(b, "the raw log's type", `document.contentType`, "text/plain")
	expect(b, "the raw log", `document.body.textContent.startsWith("[    0.000000] Linux version 6.1.192")`, true)
}

// hostile is a log that tries everything.
const hostile = "[    0.000000] Linux version 6.1\r\n<script>window.pwned=1</script><img src=x onerror=\"window.pwned=1\">\r\n" +
	"</pre></section></main><script>window.pwned=2</script><!-- <svg onload=window.pwned=3> ${7*7} {{.}} ]]>\r\n" +
	"\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b]8;;javascript:window.pwned=4\x07link\x1b]8;;\x07 \x1b[2J\x1b]unfinished <b>x</b>\r\n" +
	"\xff\xfe\xc3( \x00\x01\x08 \u202eevil\u2066\u200f \u2028line\r\n" +
	"[    1.000000] ------------[ cut here ]------------\r\n" +
	"[    1.000001] WARNING: CPU: 0 PID: 1 at fs/<script>alert(1)</script>.c:1 foo\"><img/src=x/onerror=alert(2)>+0x1/0x2\r\n" +
	"[    1.000002] CPU: 0 PID: 1 Comm: '\"><script>alert(3)</script> Not tainted 6.1 #1\r\n" +
	"[    1.000003] Call Trace:\r\n[    1.000004]  <script>alert(4)</script>+0x1/0x2\r\n[    1.000005]  evict+0x10a/0x180\r\n[    1.000006] ---[ end trace 0000000000000000 ]---\r\n"

func TestE2EHostileLog(t *testing.T) {
	s := sitetest.New(t)
	c := s.Single(hostile)
	root := write(t, s)
	b := newBrowser(t)
	for _, name := range []string{"index.html", "c/" + c.ID + "/index.html", "c/" + c.ID + "/pre-001.html"} {
		b.open(root + name)
		expect(b, name+": scripts", `document.scripts.length`, 1)
		expect(b, name+": images", `document.images.length`, 0)
		expect(b, name+": the site's own script only", `document.scripts[0].src.endsWith("/site.js")`, true)
		expect(b, name+": a script of the log ran", `"pwned" in window`, false)
		expect(b, name+": control and bidirectional characters", `/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/.test(document.documentElement.textContent)`, false)
	}
	expect(b, "the log's markup is text", `document.querySelector(".log").textContent.includes("<script>window.pwned=1</" + "script><img src=x")`, true)
	expect(b, "colours are gone, words stay", `document.querySelector(".log").textContent.includes("red ")`, true)
	expect(b, "the page goes on below the log", `document.querySelector("#again") !== null && document.querySelector("footer") !== null`, true)
	b.shot("hostile", 1000, 900, false)
	b.click(`a[href$=".console.txt"]`)
	expect(b, "the raw log is no page", `document.contentType + document.scripts.length`, "text/plain0")
	expect(b, "a script of the raw log ran", `"pwned" in window`, false)
}

func TestE2EPhoneDarkKeyboard(t *testing.T) {
	s := sitetest.New(t)
	c := s.Nights(2, 2, 4, 2)
	v := s.Verification(3)
	h := s.Single(strings.Repeat("x", 5000)+"\n"+hostile, strings.Repeat("one very long line without an end ", 9000))
	root := write(t, s)
	b := newBrowser(t)
	names := []string{"index.html", "c/" + c.ID + "/index.html", "c/" + c.ID + "/run-004.html", "c/" + v.ID + "/index.html", "c/" + v.ID + "/pre-001.html", "c/" + h.ID + "/pre-001.html", "c/" + h.ID + "/pre-002.html"}
	b.open(root + "c/" + c.ID + "/index.html")
	names = append(names, "c/"+c.ID+"/"+eval[string](b, `document.querySelector("#grid a").getAttribute("href")`))

	b.size(360, 740, true)
	for _, name := range names {
		b.open(root + name)
		expect(b, name+" on a phone: width of the page", `document.documentElement.scrollWidth`, 360)
	}
	call(b, emulation.ClearDeviceMetricsOverride, cdp.Empty{})
	b.shot("phone", 390, 844, true)

	for _, scheme := range []string{"light", "dark"} {
		b.scheme(scheme)
		for _, name := range names {
			b.open(root + name)
			if low := eval[string](b, contrast); low != "" {
				t.Errorf("%s in %s mode: too little contrast: %s", name, scheme, low)
			}
		}
		expect(b, scheme+" paper", `getComputedStyle(document.body).backgroundColor`, map[string]string{"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}[scheme])
	}
	b.shot("matrix-dark", 1200, 1250, true)

	b.open(root + "c/" + c.ID + "/index.html")
	b.do(chromedp.KeyEvent(kb.Tab))
	expect(b, "first stop of the tab key", `document.activeElement.className`, "skip")
	b.do(chromedp.KeyEvent(kb.Enter))
	expect(b, "the skip link leads to the content", `document.activeElement.id`, "main")
	stops := 0
	for ; stops < 60 && !eval[bool](b, `document.activeElement.matches("#grid td a")`); stops++ {
		b.do(chromedp.KeyEvent(kb.Tab))
	}
	expect(b, "cells are reached by keyboard", `document.activeElement.matches("#grid td a") && document.activeElement.matches(":focus-visible")`, true)
	expect(b, "a cell has a name to be read out", `document.activeElement.getAttribute("aria-label")`, "kernel=base workload=focused compress=none guest.vcpus=2: passing, 0 of 3 runs failed")

	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.open(root + "c/" + c.ID + "/index.html")
	b.do(chromedp.WaitVisible(chromedp.CSS("#grid td.cell")), chromedp.WaitNotVisible(chromedp.CSS("form.filter")))
}

// contrast names the texts whose contrast with what is behind them is below
// 4.5, the level AA of the Web Content Accessibility Guidelines 2.1.
const contrast = `(() => {
	const parse = (c) => { const m = c.match(/[\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
	const lum = (c) => { const f = c.slice(0, 3).map(v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2]; };
	const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] > 0) return c; } return [255, 255, 255, 1]; };
	const low = new Set();
	for (const e of document.querySelectorAll("main *, header *, footer")) {
		if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || !e.checkVisibility() || e.closest("svg, option, select")) continue;
		const [a, b] = [lum(parse(getComputedStyle(e).color)), lum(behind(e))];
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		let opacity = 1;
		for (let p = e; p; p = p.parentElement) opacity *= getComputedStyle(p).opacity;
		if (ratio * (opacity < 1 ? opacity : 1) < 4.5) low.add(e.localName + "." + e.className + " " + ratio.toFixed(1) + " x" + opacity + " " + e.textContent.trim().slice(0, 20));
	}
	return [...low].slice(0, 5).join("; ");
})()`

func TestE2ELive(t *testing.T) {
	s := sitetest.New(t)
	m := sitetest.Matrix(1, 1, 2, 1)
	s.Night(0, m, sitetest.Usual)
	ctx, stop := context.WithCancel(t.Context())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, l, s.Dir(), Options{Site: site.Options{Version: "test"}, Interval: 100 * time.Millisecond, Error: func(err error) { t.Error(err) }})
	}()
	root := "http://" + l.Addr().String() + "/"
	b := newBrowser(t)
	b.open(root)
	expect(b, "campaigns at first", `document.querySelectorAll("tr[data-item]").length`, 1)
	expect(b, "connected", `document.getElementById("live").textContent`, "live")

	w, c := s.Begin(1, m)
	expect(b, "a campaign begins", `document.querySelectorAll("tr[data-item]").length`, 2)
	expect(b, "it is running", `document.querySelector("#running a").textContent`, "nightly")
	b.click("#running a")
	expect(b, "cells that wait", cellsIn("pending"), "base focused none 2; base focused zlib 2; debian-6.12 focused none 2; debian-6.12 focused zlib 2; fixed focused none 2; fixed focused zlib 2")
	b.choose("form.filter select[name=kernel]", "base")
	eval[bool](b, `window.here = true`)

	cell := &m.Cells[1]
	r := sitetest.CellRun(cell, time.Now(), "bug")
	rw := s.Start(w, r)
	expect(b, "a run under way", `document.querySelector(".flights a")?.textContent`, "run-001")
	expect(b, "its phase", `document.querySelector(".flights b")?.textContent`, "after mount")
	b.shot("live", 1200, 800, false)
	s.End(rw, r)
	expect(b, "its cell", cellsIn("failing"), "base focused zlib 2")
	expect(b, "the filter stays", `document.querySelector("form.filter select[name=kernel]").value + document.querySelectorAll("#grid td.cell:not(.off)").length`, "base2")
	expect(b, "the page was not loaded anew", `window.here`, true)

	r = sitetest.CellRun(&m.Cells[0], time.Now(), "clean")
	rw = s.Start(w, r)
	b.open(root + "c/" + c.ID + "/run-002.html")
	expect(b, "a run's page while it runs", `document.querySelector(".verdict .badge").textContent`, "… running")
	grow(t, filepath.Join(rw.Dir(), "console.log"), "[   99.000000] something new\r\n")
	expect(b, "its log grows", `document.querySelector(".log").textContent.includes("something new")`, true)
	s.End(rw, r)
	expect(b, "its end", `document.querySelector(".verdict .badge").textContent`, "✓ clean")

	b.open(root + "c/" + c.ID + "/index.html")
	s.Finish(w, c, 60)
	expect(b, "the campaign's end", `document.querySelector(".verdict .badge").textContent`, "✕ failing")
	stop()
	expect(b, "the server has gone", `document.getElementById("live").textContent`, "connection lost")
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	b.mu.Lock()
	b.faults = nil // that the server is gone is in the console, rightly
	b.mu.Unlock()
}

func grow(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

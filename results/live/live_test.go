package live

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"patchproof/results/site"
	"patchproof/results/site/sitetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startServer serves a store until the test ends, and says where.
func startServer(t *testing.T, dir string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, l, dir, Options{Site: site.Options{Version: "test"}, Hosts: []string{"ci.example.org"}, Interval: 20 * time.Millisecond,
			Error: func(err error) { t.Error(err) }})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return l.Addr().String()
}

// ask sends one request; the path is sent as it is.
func ask(t *testing.T, addr, method, path, host string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, method+" "+path+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(body)
}

func TestRequests(t *testing.T) {
	s := sitetest.New(t)
	c := s.Single("<script>alert(1)</script>\n")
	for _, name := range []string{"secret", "secret.html"} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(s.Dir()), name), []byte("the secret"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	addr := startServer(t, s.Dir())
	for _, test := range []struct {
		method, path, host string
		status             int
		kind, has          string
	}{
		{"GET", "/", addr, 200, "text/html; charset=utf-8", "All campaigns"},
		{"GET", "/index.html", addr, 200, "text/html; charset=utf-8", `data-events="events"`},
		{"HEAD", "/", addr, 200, "text/html; charset=utf-8", ""},
		{"GET", "/style.css", addr, 200, "text/css; charset=utf-8", "--paper"},
		{"GET", "/c/" + c.ID + "/", addr, 200, "text/html; charset=utf-8", `data-campaign="` + c.ID + `"`},
		{"GET", "/c/" + c.ID + "/pre-001.html", addr, 200, "text/html; charset=utf-8", "&lt;script&gt;"},
		{"GET", "/c/" + c.ID + "/pre-001.console.txt", addr, 200, "text/plain; charset=utf-8", "<script>alert(1)</script>\n"},
		// only pages
		{"POST", "/", addr, 405, "text/plain; charset=utf-8", "only shows pages"},
		{"GET", "/nothing", addr, 404, "text/plain; charset=utf-8", "no such page"},
		{"GET", "/c/" + c.ID + "/campaign.json", addr, 404, "text/plain; charset=utf-8", "no such page"},
		// nothing outside the folder
		{"GET", "/../secret", addr, 404, "text/plain; charset=utf-8", ""},
		{"GET", "/c/../../secret", addr, 404, "text/plain; charset=utf-8", ""},
		{"GET", "/c/%2e%2e/%2e%2e/secret.html", addr, 404, "text/plain; charset=utf-8", ""},
		{"GET", "/c/" + c.ID + "/..%2f..%2fsecret.html", addr, 404, "text/plain; charset=utf-8", ""},
		{"GET", "/c/" + c.ID + "/pre-001.html%00", addr, 404, "text/plain; charset=utf-8", ""},
		{"GET", "//etc/passwd", addr, 404, "text/plain; charset=utf-8", ""},
		// names that an attacker can make lead here
		{"GET", "/", "localhost", 200, "text/html; charset=utf-8", ""},
		{"GET", "/", "LOCALHOST:1234", 200, "text/html; charset=utf-8", ""},
		{"GET", "/", "[::1]:80", 200, "text/html; charset=utf-8", ""},
		{"GET", "/", "192.0.2.7", 200, "text/html; charset=utf-8", ""},
		{"GET", "/", "CI.example.org:80", 200, "text/html; charset=utf-8", ""},
		{"GET", "/", "evil.example.com", 421, "text/plain; charset=utf-8", "--host"},
		{"GET", "/events", "evil.example.com:" + strings.Split(addr, ":")[1], 421, "text/plain; charset=utf-8", ""},
		{"GET", "/", "localhost.evil.example.com", 421, "text/plain; charset=utf-8", ""},
		{"GET", "/", "127.0.0.1.evil.example.com", 421, "text/plain; charset=utf-8", ""},
	} {
		r, body := ask(t, addr, test.method, test.path, test.host)
		if r.StatusCode != test.status || r.Header.Get("Content-Type") != test.kind || !strings.Contains(body, test.has) || strings.Contains(body, "the secret") {
			t.Errorf("%s %s from %s: %d %s %.80q, want %d %s with %q", test.method, test.path, test.host, r.StatusCode, r.Header.Get("Content-Type"), body, test.status, test.kind, test.has)
		}
		for name, want := range headers {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", test.path, name, got)
			}
		}
	}
}

// stream reads events as a browser does.
type eventReader struct {
	t    *testing.T
	body io.ReadCloser
	in   *bufio.Reader
}

func listen(t *testing.T, addr string) *eventReader {
	t.Helper()
	r, err := http.Get("http://" + addr + "/events")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Body.Close() })
	if kind := r.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatalf("the events are %q", kind)
	}
	return &eventReader{t, r.Body, bufio.NewReader(r.Body)}
}

// next waits for the next event that names a campaign.
func (e *eventReader) next(campaign string) {
	e.t.Helper()
	timer := time.AfterFunc(20*time.Second, func() { e.body.Close() })
	defer timer.Stop()
	for {
		line, err := e.in.ReadString('\n')
		if err != nil {
			e.t.Fatalf("no event for %s: %v", campaign, err)
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		var change struct{ Campaigns []string }
		if err := json.Unmarshal([]byte(data), &change); err != nil {
			e.t.Fatalf("event %q: %v", line, err)
		}
		for _, id := range change.Campaigns {
			if id == campaign {
				return
			}
		}
	}
}

func TestEventsFollowACampaign(t *testing.T) {
	s := sitetest.New(t)
	addr := startServer(t, s.Dir())
	events := listen(t, addr)
	if line, err := events.in.ReadString('\n'); err != nil || line != "retry: 2000\n" {
		t.Fatalf("%q, %v", line, err)
	}
	m := sitetest.Matrix(0, 1, 1, 1)
	w, c := s.Begin(0, m)
	events.next(c.ID)
	r := sitetest.CellRun(&m.Cells[0], time.Now(), "bug")
	rw := s.Start(w, r)
	events.next(c.ID)
	s.End(rw, r)
	events.next(c.ID)
	if _, page := ask(t, addr, "GET", "/c/"+c.ID+"/", addr); !strings.Contains(page, "1 of 3 cells failing so far") {
		t.Error("the page does not show what the event told of")
	}
	s.Finish(w, c, 5)
	events.next(c.ID)
	if err := os.RemoveAll(c.Dir); err != nil {
		t.Fatal(err)
	}
	events.next(c.ID)
	if _, page := ask(t, addr, "GET", "/", addr); strings.Contains(page, c.ID) {
		t.Error("a campaign that is gone is still listed")
	}
}

// A browser that does not read its events holds up nobody, and the server ends
// although streams are open.
func TestStreamsDoNotHoldUp(t *testing.T) {
	h := newHub()
	slow := h.add()
	for range 1000 {
		h.publish([]string{"a", "b"})
	}
	if got := h.take(slow); len(got) != 2 {
		t.Errorf("pending: %v", got)
	}
	h.remove(slow)
	if len(h.streams) != 0 {
		t.Error("the stream is still known")
	}

	s := sitetest.New(t)
	addr := startServer(t, s.Dir())
	for range 3 {
		listen(t, addr)
	} // the end of the test stops the server
}

func TestWatcher(t *testing.T) {
	s := sitetest.New(t)
	w := newWatcher(s.Dir())
	scan := func(what string, want ...string) {
		t.Helper()
		got, err := w.scan()
		if err != nil || strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s: %v, %v, want %v", what, got, err, want)
		}
	}
	scan("an empty folder")
	if err := os.Mkdir(filepath.Join(s.Dir(), "notes"), 0o755); err != nil {
		t.Fatal(err)
	}
	scan("a folder that is no campaign")
	old := s.Single("a\n")
	scan("a campaign that has ended", old.ID)
	scan("nothing new")
	m := sitetest.Matrix(0, 1, 1, 1)
	cw, c := s.Begin(0, m)
	scan("a campaign begins", c.ID)
	r := sitetest.CellRun(&m.Cells[0], time.Now(), "clean")
	rw := s.Start(cw, r)
	scan("a run begins", c.ID)
	scan("it does nothing")
	f, err := os.OpenFile(filepath.Join(rw.Dir(), "console.log"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("more\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	scan("its log grows", c.ID)
	s.End(rw, r)
	scan("it ends", c.ID)
	scan("nothing more")
	if err := cw.Close(); err != nil {
		t.Fatal(err)
	}
	scan("the harness is killed", c.ID)
	scan("it stays so")
	if err := os.RemoveAll(old.Dir); err != nil {
		t.Fatal(err)
	}
	scan("a campaign is removed", old.ID)
}

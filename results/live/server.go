package live

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"patchproof/results"
	"patchproof/results/site"
)

// Options of a server.
type Options struct {
	// Site is passed on to the site; Live is set.
	Site site.Options
	// Hosts are the names besides localhost under which requests may come.
	Hosts []string
	// Interval is the time between two looks at the folder; 0 means a second.
	Interval time.Duration
	// Error is told of what goes wrong while serving; nil: nobody is.
	Error func(error)
}

// stopTime is how long requests under way may take once the server is told to
// stop.
const stopTime = 3 * time.Second

// Serve serves the site of a results folder on a listener, which it closes,
// until ctx ends. That is no error.
func Serve(ctx context.Context, l net.Listener, dir string, o Options) (err error) {
	defer l.Close()
	o.Site.Live = true
	if _, err := results.OpenStore(dir); err != nil { // there may be no campaign yet
		return err
	}
	// What changes from here on is published, and what the site reads is later.
	w := newWatcher(dir)
	if _, err := w.scan(); err != nil {
		return fmt.Errorf("look at the results: %w", err)
	}
	s, err := site.Open(ctx, dir, o.Site)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	v := &server{site: s, hub: newHub(), o: o}
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		v.watch(ctx, w)
	}()
	web := &http.Server{Handler: v, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return ctx }} // ends the event streams
	down := make(chan error, 1)
	go func() {
		<-ctx.Done()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		down <- web.Shutdown(last)
	}()
	serveErr := web.Serve(l)
	stop()
	<-watching
	if shutErr := <-down; shutErr != nil {
		web.Close() // who still reads has had the time
	}
	if !errors.Is(serveErr, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", serveErr)
	}
	return nil
}

type server struct {
	site *site.Site
	hub  *hub
	o    Options
}

func (v *server) report(err error) {
	if err != nil && v.o.Error != nil {
		v.o.Error(err)
	}
}

// watch publishes what changes, until ctx ends.
func (v *server) watch(ctx context.Context, w *watcher) {
	interval := v.o.Interval
	if interval <= 0 {
		interval = time.Second
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	said := ""
	var pending []string
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		changed, err := w.scan()
		pending = append(pending, changed...)
		if err == nil && len(pending) > 0 {
			if err = v.site.Refresh(ctx); err == nil {
				v.hub.publish(pending)
				pending = nil
			}
		}
		if err != nil && ctx.Err() == nil && err.Error() != said {
			said = err.Error()
			v.report(fmt.Errorf("look at the results: %w", err))
		}
	}
}

// headers go with every answer. The policy is that of the pages, which carry it
// themselves when they are files; nobody may put them into a frame.
var headers = map[string]string{
	"Content-Security-Policy":      "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	"X-Content-Type-Options":       "nosniff",
	"Referrer-Policy":              "no-referrer",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Cache-Control":                "no-store",
}

// ServeHTTP implements http.Handler.
func (v *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for name, value := range headers {
		w.Header().Set(name, value)
	}
	if !v.allowed(r.Host) {
		http.Error(w, "This server answers to addresses and to localhost only; see patchproof serve --host.", http.StatusMisdirectedRequest)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "This server only shows pages.", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	switch {
	case name == "events" && r.Method == http.MethodGet:
		v.hub.serve(w, r)
		return
	case name == "" || strings.HasSuffix(name, "/"):
		name += "index.html"
	}
	v.file(w, r, name)
}

// allowed guards against DNS rebinding: a name that an attacker owns can be
// made to lead here, an address cannot.
func (v *server) allowed(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host == "localhost" || slices.ContainsFunc(v.o.Hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

func (v *server) file(w http.ResponseWriter, r *http.Request, name string) {
	f, err := v.site.Render(r.Context(), name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		http.Error(w, "There is no such page.", http.StatusNotFound)
		return
	case err != nil && r.Context().Err() != nil:
		return // nobody waits for it any more
	case err != nil:
		v.report(err)
		http.Error(w, "This page cannot be drawn: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", f.Type)
	if f.Source == "" {
		if _, err := w.Write(f.Body); err != nil {
			return // the browser has gone
		}
		return
	}
	source, err := os.Open(f.Source)
	if err != nil {
		http.Error(w, "The file cannot be read: "+err.Error(), http.StatusInternalServerError)
		return
	}
	defer source.Close()
	http.ServeContent(w, r, "", time.Time{}, source)
}

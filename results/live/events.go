package live

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// pingInterval is how often a quiet stream says that it is still there, so that
// both ends notice a lost connection.
const pingInterval = 15 * time.Second

// hub passes the IDs of changed campaigns on to the streams that are open.
type hub struct {
	mu      sync.Mutex
	streams map[*stream]bool
}

// stream is one browser that listens. Changes that come faster than it takes
// them are put together.
type stream struct {
	wake    chan struct{} // has room for one
	pending map[string]bool
}

func newHub() *hub { return &hub{streams: map[*stream]bool{}} }

func (h *hub) add() *stream {
	s := &stream{wake: make(chan struct{}, 1), pending: map[string]bool{}}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.streams[s] = true
	return s
}

func (h *hub) remove(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.streams, s)
}

func (h *hub) publish(ids []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.streams {
		for _, id := range ids {
			s.pending[id] = true
		}
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// take returns what has changed since the last call.
func (h *hub) take(s *stream) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := make([]string, 0, len(s.pending))
	for id := range s.pending {
		ids = append(ids, id)
	}
	clear(s.pending)
	slices.Sort(ids)
	return ids
}

// serve sends events to one browser until it goes or the server ends, which both
// end the request's context.
func (h *hub) serve(w http.ResponseWriter, r *http.Request) {
	s := h.add()
	defer h.remove(s)
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	ping := time.NewTicker(pingInterval)
	defer ping.Stop()
	text := "retry: 2000\n\n"
	for {
		if _, err := fmt.Fprint(w, text); err != nil {
			return
		}
		if err := out.Flush(); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-ping.C:
			text = ": still here\n\n"
		case <-s.wake:
			data, err := json.Marshal(map[string][]string{"campaigns": h.take(s)})
			if err != nil {
				return // strings always can be written
			}
			text = fmt.Sprintf("event: change\ndata: %s\n\n", data)
		}
	}
}

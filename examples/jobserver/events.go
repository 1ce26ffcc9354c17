package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/millstream-go/millstream/pool"
)

const (
	// streamBuffer is how many events wait for one client. What is beyond that it misses, and is told so.
	streamBuffer = 256
	// snapshotEvery is how often clients get a snapshot, if it has changed.
	snapshotEvery = 250 * time.Millisecond
	// heartbeatEvery is how often a stream without events has a comment, so that whoever is between
	// keeps the connection, and we learn that a client is gone.
	heartbeatEvery = 15 * time.Second
	// slowest is how long a client may take for what is written at once, before it is dropped.
	slowest = 10 * time.Second
)

// A hub hands events to the clients of /events. Nothing waits for a client: not the observer, and no
// other client. It is used by any number of goroutines at once; its own one runs from start to close.
type hub struct {
	most     int
	snapshot func() snapshot

	mu      sync.Mutex
	streams map[*stream]struct{}
	// last is the snapshot that was sent. It is nil if not all streams have it: one has begun since, with a snapshot
	// of its own, or has missed something.
	last []byte

	quit    chan struct{}
	stopped chan struct{}
	once    sync.Once
}

// A stream is one connection of a client.
type stream struct {
	client netip.Prefix
	events chan []byte
	lost   int // since the last one that there was room for; the hub's lock guards it
}

func newHub(most int, snap func() snapshot) *hub {
	return &hub{
		most: most, snapshot: snap, streams: make(map[*stream]struct{}),
		quit: make(chan struct{}), stopped: make(chan struct{}),
	}
}

// start begins to send snapshots.
func (h *hub) start() {
	go func() {
		defer close(h.stopped)
		ticker := time.NewTicker(snapshotEvery)
		defer ticker.Stop()
		for {
			select {
			case <-h.quit:
				return
			case <-ticker.C:
				h.sendSnapshot()
			}
		}
	}()
}

// close ends all streams, and waits for the hub's goroutine.
func (h *hub) close() {
	h.once.Do(func() { close(h.quit) })
	<-h.stopped
}

func (h *hub) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.streams)
}

// subscribe adds a stream. The error is a *problem: there are too many, or the client has a quarter of the maximum
// already, so that it cannot keep out others.
func (h *hub) subscribe(client netip.Prefix) (*stream, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.streams) >= h.most {
		return nil, newProblem(http.StatusServiceUnavailable, "there are too many streams")
	}
	own := 0
	for s := range h.streams {
		if s.client == client {
			own++
		}
	}
	if own >= max(1, h.most/4) {
		return nil, newProblem(http.StatusTooManyRequests, "this client has too many streams")
	}
	s := &stream{client: client, events: make(chan []byte, streamBuffer)}
	h.streams[s] = struct{}{}
	h.last = nil
	return s, nil
}

// unsubscribe removes a stream: nothing more is put into its queue, and its count of lost events is final.
func (h *hub) unsubscribe(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.streams, s)
}

// sendSnapshot sends the state of the pool to all who have not seen it.
func (h *hub) sendSnapshot() {
	if h.size() == 0 {
		return
	}
	message := encode("snapshot", h.snapshot())
	h.mu.Lock()
	defer h.mu.Unlock()
	if !bytes.Equal(message, h.last) {
		h.last = message // before it is sent, since a stream may miss it
		h.sendLocked(message)
	}
}

// sendLocked hands a message to all clients that have room for it. Those that have not are counted
// behind, and told as soon as they have.
func (h *hub) sendLocked(message []byte) {
	for s := range h.streams {
		if s.lost > 0 {
			select {
			case s.events <- encodeLost(s.lost):
				s.lost = 0
			default:
			}
		}
		select {
		case s.events <- message:
		default:
			s.lost++
			h.last = nil // so that it is told by the next snapshot at the latest
		}
	}
}

// A poolEvent is an event of the pool as clients see it.
type poolEvent struct {
	Kind   string    `json:"kind"`
	Time   time.Time `json:"time"`
	Job    *jobView  `json:"job,omitempty"` // as it is by now
	Worker *int      `json:"worker,omitempty"`
	Lost   int       `json:"lost,omitempty"` // events before this one
}

// publish sends an event of the pool. It is called by the pool's observer.
func (h *hub) publish(e pool.Event, b *book) {
	if h.size() > 0 {
		h.send(e, b)
	}
}

// send encodes an event and hands it out.
func (h *hub) send(e pool.Event, b *book) {
	message := encodeEvent(e, b)
	if message == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sendLocked(message)
}

// encodeEvent returns what clients are sent of an event. Of one of a job that is forgotten already, that is how many
// events were lost before it, and nil if none.
func encodeEvent(e pool.Event, b *book) []byte {
	view := poolEvent{Kind: e.Kind.String(), Time: e.Time.UTC(), Lost: e.Lost}
	if e.Worker >= 0 {
		view.Worker = &e.Worker
	}
	if e.Job != 0 {
		rec := b.find(e.Job)
		switch {
		case rec != nil:
			view.Job = new(rec.view())
		case e.Lost > 0:
			return encodeLost(e.Lost)
		default:
			return nil
		}
	}
	return encode("pool", view)
}

// encode returns a server-sent event. JSON has no line breaks of its own, so it is one line of data.
func encode(event string, v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		data = []byte("null")
	}
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", event, data)
}

// encodeLost returns the event that says how many were missed.
func encodeLost(n int) []byte { return encode("lost", map[string]int{"lost": n}) }

// getEvents is /events: a snapshot, and from then on what happens, until the client goes, is too slow,
// or the server stops.
func (s *server) getEvents(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	if r.Method == http.MethodHead { // which has no stream
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		return nil
	}
	client, _ := s.client(r)
	stream, err := s.events.subscribe(client)
	if err != nil {
		w.Header().Set("Retry-After", "10")
		return err
	}
	defer s.events.unsubscribe(stream)

	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // proxies that would collect them
	w.WriteHeader(http.StatusOK)
	control := http.NewResponseController(w)
	_ = control.Flush() // reads the body, if there is one, while the deadline still applies
	_ = control.SetReadDeadline(time.Time{})
	send := func(message []byte) bool {
		_ = control.SetWriteDeadline(time.Now().Add(slowest))
		if _, err := w.Write(message); err != nil {
			return false
		}
		return len(stream.events) > 0 || control.Flush() == nil
	}
	heartbeat := time.NewTicker(heartbeatEvery)
	defer heartbeat.Stop()
	for ok := send(encode("snapshot", s.snapshot())); ok; {
		select {
		case message := <-stream.events:
			ok = send(message)
			heartbeat.Reset(heartbeatEvery)
		case <-heartbeat.C:
			ok = send([]byte(": still here\n\n"))
		case <-r.Context().Done():
			return nil
		case <-s.events.quit:
			s.events.unsubscribe(stream)
			for ok && len(stream.events) > 0 { // the last events of the drain
				ok = send(<-stream.events)
			}
			if ok && stream.lost > 0 {
				ok = send(encodeLost(stream.lost))
			}
			if ok {
				send(encode("end", s.snapshot()))
			}
			return nil
		}
	}
	return nil
}

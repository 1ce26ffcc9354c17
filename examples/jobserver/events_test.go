package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/pool"
	"github.com/millstream-go/millstream/result"
)

// follow follows /events until stop, which returns what came.
func follow(t *testing.T, s *server) (stop func() []message) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r := httptest.NewRequest(http.MethodGet, "/events", nil).WithContext(ctx)
		r.Host = "localhost"
		s.ServeHTTP(w, r)
	}()
	synctest.Wait()
	return func() []message {
		cancel()
		<-done
		assert.Equal(t, "text/event-stream", w.Header().Get("Content-Type"))
		return messages(t, w.Body.String())
	}
}

// A message is one server-sent event, or a comment.
type message struct{ event, data string }

func messages(t *testing.T, text string) []message {
	t.Helper()
	var all []message
	var m message
	for sc := bufio.NewScanner(strings.NewReader(text)); sc.Scan(); {
		switch line := sc.Text(); {
		case line == "":
			all = append(all, m)
			m = message{}
		case strings.HasPrefix(line, "event: "):
			m.event = line[len("event: "):]
		case strings.HasPrefix(line, "data: "):
			m.data = line[len("data: "):]
		default:
			m.event = line
		}
	}
	return all
}

func TestEventsTellTheLifeOfAJob(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		stop := follow(t, s)
		post(t, s, "name=a&delay=2s")
		time.Sleep(3 * time.Second)
		synctest.Wait()
		all := stop()
		require.Equal(t, "snapshot", all[0].event)
		var kinds []string
		var last poolEvent
		for _, m := range all {
			if m.event == "pool" {
				require.NoError(t, json.Unmarshal([]byte(m.data), &last))
				kinds = append(kinds, last.Kind)
			}
		}
		assert.ElementsMatch(t, []string{"job queued", "worker started", "job started", "job finished"}, kinds)
		assert.Equal(t, "job finished", last.Kind)
		assert.Equal(t, "a", last.Job.Name)
		assert.Equal(t, result.Succeeded, last.Job.Status)
		assert.InDelta(t, 2, last.Job.Run, 1e-9)
		assert.Zero(t, s.events.size(), "the client has gone")
	})
}

func TestSnapshotsComeWhenSomethingChanged(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		stop := follow(t, s)
		time.Sleep(10*time.Second + time.Millisecond)
		s.pool.Pause()
		time.Sleep(time.Second)
		var snaps []snapshotJSON
		for _, m := range stop() {
			require.Equal(t, "snapshot", m.event)
			var snap snapshotJSON
			require.NoError(t, json.Unmarshal([]byte(m.data), &snap))
			snaps = append(snaps, snap)
		}
		require.Len(t, snaps, 3, "at once, the first tick, and the pause")
		assert.False(t, snaps[1].Stats.Paused)
		assert.True(t, snaps[2].Stats.Paused)
		assert.Equal(t, 100, snaps[0].Stats.Capacity)
	})
}

// The state is back to the one that was sent last, but the second stream began with another one.
func TestAStreamThatBeginsDuringAChangeGetsTheNextSnapshot(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		first := follow(t, s)
		time.Sleep(time.Second + time.Millisecond)
		s.pool.Pause()
		second := follow(t, s)
		s.pool.Resume()
		time.Sleep(time.Second)
		first()
		var snap snapshotJSON
		all := second()
		require.NoError(t, json.Unmarshal([]byte(all[0].data), &snap))
		assert.True(t, snap.Stats.Paused)
		require.NoError(t, json.Unmarshal([]byte(all[len(all)-1].data), &snap))
		assert.False(t, snap.Stats.Paused)
	})
}

func TestAnIdleStreamHasHeartbeats(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		stop := follow(t, s)
		time.Sleep(time.Minute + 2*time.Second)
		beats := 0
		for _, m := range stop() {
			if m.event == ": still here" {
				beats++
			}
		}
		assert.Equal(t, 4, beats)
	})
}

func TestStreamsAreBoundedInNumber(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		stop := follow(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		w := call(t, s, http.MethodGet, "/events", "", inContext(ctx))
		assertProblem(t, w, http.StatusServiceUnavailable)
		assert.Equal(t, "10", w.Header().Get("Retry-After"))
		stop()
		follow(t, s)()
	}, "-streams", "1")
}

func TestOneClientHasAQuarterOfTheStreams(t *testing.T) {
	h := newHub(8, func() snapshot { return snapshot{} })
	one, other := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32")
	first, err := h.subscribe(one)
	require.NoError(t, err)
	_, err = h.subscribe(one)
	require.NoError(t, err)
	_, err = h.subscribe(one)
	p, ok := errors.AsType[*problem](err)
	require.True(t, ok)
	assert.Equal(t, http.StatusTooManyRequests, p.Status)
	_, err = h.subscribe(other)
	require.NoError(t, err)
	h.unsubscribe(first)
	_, err = h.subscribe(one)
	require.NoError(t, err)
}

func TestASnapshotNamesTheServerAndTheFirstWorkers(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		started := s.started
		time.Sleep(time.Hour)
		all := follow(t, s)()
		var snap snapshotJSON
		require.NoError(t, json.Unmarshal([]byte(all[0].data), &snap))
		assert.Equal(t, started, snap.Started)
		assert.Len(t, snap.Workers, snapshotWorkers)
		assert.Equal(t, snapshotWorkers+1, snap.Stats.Workers)
		w := call(t, s, http.MethodGet, "/workers", "")
		assert.Len(t, decode[snapshotJSON](t, w).Workers, snapshotWorkers+1, "the list has all")
	}, "-max_workers", strconv.Itoa(snapshotWorkers+1))
}

func TestASlowClientMissesEventsAndIsToldSo(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		h := newHub(2, func() snapshot { return snapshot{} })
		slow, _ := h.subscribe(netip.Prefix{})
		for i := range streamBuffer + 44 {
			h.mu.Lock()
			h.sendLocked(encode("pool", i))
			h.mu.Unlock()
		}
		assert.Len(t, slow.events, streamBuffer, "nobody has waited")
		for range 2 {
			<-slow.events
		}
		h.mu.Lock()
		h.sendLocked([]byte("next"))
		h.mu.Unlock()
		for range streamBuffer - 2 {
			<-slow.events
		}
		assert.Equal(t, "event: lost\ndata: {\"lost\":44}\n\n", string(<-slow.events))
		assert.Equal(t, "next", string(<-slow.events))
		assert.Empty(t, slow.events)

		h.mu.Lock()
		h.sendLocked([]byte("and on"))
		h.mu.Unlock()
		assert.Equal(t, "and on", string(<-slow.events), "it was told once")
	})
}

func TestEventsThatThePoolHasLostAreToldEvenBeforeOneOfAForgottenJob(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		stream, err := s.events.subscribe(netip.Prefix{})
		require.NoError(t, err)
		s.events.publish(pool.Event{Kind: pool.JobFinished, Job: 7}, s.book)
		assert.Empty(t, stream.events)
		s.events.publish(pool.Event{Kind: pool.JobFinished, Job: 7, Lost: 44}, s.book)
		require.Len(t, stream.events, 1)
		assert.Equal(t, "event: lost\ndata: {\"lost\":44}\n\n", string(<-stream.events))
	})
}

// A gatedWriter is a connection whose client reads nothing until open is closed.
type gatedWriter struct {
	*httptest.ResponseRecorder
	open chan struct{}
}

func (w *gatedWriter) Write(p []byte) (int, error) {
	<-w.open
	return w.ResponseRecorder.Write(p)
}

func TestAStreamEndsAfterTheEventsThatAreQueuedAndTheCountOfThoseThatAreLost(t *testing.T) {
	for events, lost := range map[int]int{1: 0, streamBuffer: 0, streamBuffer + 44: 44} {
		bubble(t, func(t *testing.T, s *server) {
			w := &gatedWriter{httptest.NewRecorder(), make(chan struct{})}
			done := make(chan struct{})
			go func() {
				defer close(done)
				r := httptest.NewRequest(http.MethodGet, "/events", nil).WithContext(t.Context())
				r.Host = "localhost"
				s.ServeHTTP(w, r)
			}()
			synctest.Wait()
			for range events {
				s.events.publish(pool.Event{Kind: pool.WorkerHalted}, s.book)
			}
			s.events.close()
			close(w.open)
			<-done
			count := make(map[string]int)
			all := messages(t, w.Body.String())
			for _, m := range all {
				count[m.event]++
			}
			assert.Equal(t, events-lost, count["pool"])
			if lost > 0 {
				assert.Equal(t, message{"lost", `{"lost":44}`}, all[len(all)-2])
			}
			assert.Equal(t, "end", all[len(all)-1].event)
			assert.True(t, w.Flushed)
			assert.Zero(t, s.events.size())
		})
	}
}

func TestAClientThatWasSlowIsToldSoEvenIfNothingMoreHappens(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		slow, err := s.events.subscribe(netip.Prefix{})
		require.NoError(t, err)
		for range streamBuffer + 44 {
			s.events.publish(pool.Event{Kind: pool.WorkerHalted}, s.book)
		}
		time.Sleep(time.Second) // in which it misses a snapshot as well
		for range streamBuffer {
			<-slow.events
		}
		time.Sleep(snapshotEvery)
		synctest.Wait()
		require.Len(t, slow.events, 2)
		assert.Contains(t, string(<-slow.events), "event: lost\n")
		assert.Contains(t, string(<-slow.events), "event: snapshot\n")
		time.Sleep(time.Second)
		assert.Empty(t, slow.events)
	})
}

// A stuckWriter is a connection whose client reads nothing: a write takes as long as the deadline says.
type stuckWriter struct {
	httptest.ResponseRecorder
	deadline time.Time
}

func (w *stuckWriter) SetWriteDeadline(d time.Time) error { w.deadline = d; return nil }

func (w *stuckWriter) Write([]byte) (int, error) {
	time.Sleep(time.Until(w.deadline))
	return 0, context.DeadlineExceeded
}

func TestAClientThatReadsNothingIsDropped(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		r := httptest.NewRequest(http.MethodGet, "/events", nil).WithContext(t.Context())
		r.Host = "localhost"
		start := time.Now()
		s.ServeHTTP(&stuckWriter{ResponseRecorder: *httptest.NewRecorder()}, r)
		assert.Equal(t, slowest, time.Since(start))
		assert.Zero(t, s.events.size())
	})
}

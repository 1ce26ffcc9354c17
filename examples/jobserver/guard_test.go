package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// logTo has the server log into the text that it returns.
func logTo(s *server, level slog.Level) *strings.Builder {
	text := new(strings.Builder)
	s.log = slog.New(slog.NewTextHandler(text, &slog.HandlerOptions{Level: level}))
	return text
}

func TestAPanicOfAHandlerIsLoggedCountedAndAnswered(t *testing.T) {
	s := newTestServer(t)
	log := logTo(s, slog.LevelInfo)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host = "localhost"

	w := httptest.NewRecorder()
	s.guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a bug") })).ServeHTTP(w, r)
	assert.Empty(t, assertProblem(t, w, http.StatusInternalServerError).Detail)
	assert.Contains(t, log.String(), `level=ERROR msg="handler panicked" method=GET`)
	assert.Contains(t, log.String(), `panic="a bug"`)
	assert.Contains(t, log.String(), "guard_test.go", "the stack")

	assert.PanicsWithValue(t, http.ErrAbortHandler, func() {
		s.guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusOK)
			panic("another bug")
		})).ServeHTTP(httptest.NewRecorder(), r)
	}, "an answer that was begun is broken off")
	assert.Contains(t, log.String(), "another bug")

	log.Reset()
	assert.PanicsWithValue(t, http.ErrAbortHandler, func() {
		s.guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })).
			ServeHTTP(httptest.NewRecorder(), r)
	})
	assert.Empty(t, log.String(), "that is not a bug")

	page := call(t, s, http.MethodGet, "/metrics", "").Body.String()
	assert.Contains(t, page, "jobserver_http_panics_total 2\n")
	assert.Contains(t, page, `jobserver_http_requests_total{route="none",status="500"} 1`+"\n")
}

func TestTheLogOfARequestNamesItsJob(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		log := logTo(s, slog.LevelDebug)
		post(t, s, "name=a&delay=1s")
		assert.Contains(t, log.String(), `route="POST /work" status=202`)
		assert.Contains(t, log.String(), " job=1\n")
		log.Reset()
		require.Equal(t, http.StatusOK, call(t, s, http.MethodGet, "/stats", "").Code)
		assert.NotContains(t, log.String(), "job=")
	})
}

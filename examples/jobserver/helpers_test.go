package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
)

// newTestServer makes a server as with the flags of args, and closes it with the test. In a bubble, time
// stands still while nothing waits for it.
func newTestServer(tb testing.TB, args ...string) *server {
	tb.Helper()
	opts, err := parseArgs(append([]string{"-rate", "0", "-admin-token", ""}, args...))
	require.NoError(tb, err)
	s := newServer(opts, slog.New(slog.NewTextHandler(io.Discard, nil)))
	tb.Cleanup(func() {
		_ = s.pool.Close()
		s.events.close()
	})
	return s
}

// bubble runs f in virtual time with a server.
func bubble(t *testing.T, f func(t *testing.T, s *server), args ...string) {
	t.Helper()
	testkit.Bubble(t, func(t *testing.T) {
		t.Helper()
		f(t, newTestServer(t, args...))
	})
}

// An edit changes a request before it is made.
type edit func(*http.Request)

func header(name string, values ...string) edit {
	return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = values }
}

func from(addr string) edit { return func(r *http.Request) { r.RemoteAddr = addr } }

func inContext(ctx context.Context) edit { return func(r *http.Request) { *r = *r.WithContext(ctx) } }

func host(name string) edit { return func(r *http.Request) { r.Host = name } }

// call makes a request as a client on this machine does.
func call(tb testing.TB, s *server, method, target, body string, edits ...edit) *httptest.ResponseRecorder {
	tb.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, reader).WithContext(tb.Context())
	r.Host, r.RemoteAddr = "127.0.0.1:8080", "127.0.0.1:50000"
	if method == http.MethodPost && body != "" {
		r.Header.Set("Content-Type", formType)
	}
	for _, e := range edits {
		e(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// decode reads the JSON of an answer.
func decode[T any](tb testing.TB, w *httptest.ResponseRecorder) T {
	tb.Helper()
	var v T
	require.NoError(tb, json.Unmarshal(w.Body.Bytes(), &v), "%s", w.Body)
	return v
}

// post adds a job and returns it.
func post(tb testing.TB, s *server, body string, edits ...edit) jobView {
	tb.Helper()
	w := call(tb, s, http.MethodPost, "/work", body, edits...)
	require.Equal(tb, http.StatusAccepted, w.Code, "%s", w.Body)
	return decode[jobView](tb, w)
}

// get returns a job.
func get(tb testing.TB, s *server, path string) jobView {
	tb.Helper()
	w := call(tb, s, http.MethodGet, path, "")
	require.Equal(tb, http.StatusOK, w.Code, "%s", w.Body)
	return decode[jobView](tb, w)
}

// assertProblem asserts that an answer is a problem with that status, and returns its text.
func assertProblem(tb testing.TB, w *httptest.ResponseRecorder, status int) problem {
	tb.Helper()
	assert.Equal(tb, status, w.Code, "%s", w.Body)
	assert.Equal(tb, "application/problem+json", w.Header().Get("Content-Type"))
	assert.Equal(tb, "nosniff", w.Header().Get("X-Content-Type-Options"))
	p := decode[problem](tb, w)
	assert.Equal(tb, status, p.Status)
	return p
}

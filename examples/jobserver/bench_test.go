package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

// A discard is an answer that goes nowhere.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkPost is what the server itself takes for a job, from the request that was read to its end,
// without the network and what package net/http does around a handler.
func BenchmarkPost(b *testing.B) {
	s := newTestServer(b, "-min-delay", "0s", "-max_queue_size", "1000000")
	const form = "name=load&delay=0s"
	body := strings.NewReader(form)
	r := httptest.NewRequest(http.MethodPost, "/work", nil)
	r.Host, r.RemoteAddr = "127.0.0.1:8080", "127.0.0.1:50000"
	r.Header["Content-Type"] = []string{formType}
	r.Body, r.ContentLength = io.NopCloser(body), int64(len(form))
	w := &discard{header: make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(form)
		clear(w.header)
		r.Pattern = ""
		s.ServeHTTP(w, r)
		if w.status != http.StatusAccepted {
			b.Fatal(w.status)
		}
	}
	for s.pool.Stats().Queued > 0 {
		runtime.Gosched()
	}
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const script = `<script>alert(1)</script>`

// hostile are requests that mean no good, or come from a client that is out of order, with the status
// of the answer.
var hostile = []struct {
	name, method, target, body string
	edit                       edit
	status                     int
	field                      string // that the answer names
}{
	// Names.
	{name: "no name", body: "delay=1s", status: 400, field: "name"},
	{name: "empty name", body: "name=&delay=1s", status: 400, field: "name"},
	{name: "blank name", body: "name=+++&delay=1s", status: 400, field: "name"},
	{name: "long name", body: "name=" + strings.Repeat("a", maxName+1) + "&delay=1s", status: 400, field: "name"},
	{name: "name that is not UTF-8", body: "name=%ff%fe&delay=1s", status: 400, field: "name"},
	{name: "name with NUL", body: "name=a%00b&delay=1s", status: 400, field: "name"},
	{name: "name with a line break, to forge a log", body: "name=a%0alevel%3DERROR&delay=1s", status: 400, field: "name"},
	{name: "name with an escape sequence for a terminal", body: "name=%1b[2J&delay=1s", status: 400, field: "name"},
	{name: "name that turns the text around", body: "name=%e2%80%aegpj.exe&delay=1s", status: 400, field: "name"},
	{name: "overlong UTF-8", body: "name=%c0%bcscript%c0%be&delay=1s", status: 400, field: "name"},
	{name: "name of a joiner alone", body: "name=%e2%80%8d&delay=1s", status: 400, field: "name"},
	{name: "name of a filler that is drawn as nothing", body: "name=%e3%85%a4&delay=1s", status: 400, field: "name"},
	{name: "name of marks alone", body: "name=+%cc%80%cc%80&delay=1s", status: 400, field: "name"},
	{name: "name that is drawn over other lines", body: "name=a" + strings.Repeat("%cc%80", maxMarks+1) + "&delay=1s", status: 400, field: "name"},
	{name: "name given twice", body: "name=a&name=b&delay=1s", status: 400},
	// Delays.
	{name: "no delay", body: "name=a", status: 400, field: "delay"},
	{name: "empty delay", body: "name=a&delay=", status: 400, field: "delay"},
	{name: "delay whose unit is unknown", body: "name=a&delay=5x", status: 400, field: "delay"},
	{name: "hexadecimal number", body: "name=a&delay=0x1p1", status: 400, field: "delay"},
	{name: "infinite number", body: "name=a&delay=Inf", status: 400, field: "delay"},
	{name: "negative delay", body: "name=a&delay=-5s", status: 400, field: "delay"},
	{name: "delay NaN", body: "name=a&delay=NaN", status: 400, field: "delay"},
	{name: "delay NaNs", body: "name=a&delay=NaNs", status: 400, field: "delay"},
	{name: "delay without end", body: "name=a&delay=Infs", status: 400, field: "delay"},
	{name: "delay that overflows", body: "name=a&delay=9999999999999999999h", status: 400, field: "delay"},
	{name: "delay that wraps to a small one", body: "name=a&delay=5124095h34m33.709551616s", status: 400, field: "delay"},
	{name: "delay too long", body: "name=a&delay=10.000000001s", status: 400, field: "delay"},
	{name: "delay too short", body: "name=a&delay=999.999999ms", status: 400, field: "delay"},
	{name: "delay of thousands of digits", body: "name=a&delay=" + strings.Repeat("1", 5000), status: 400, field: "delay"},
	{name: "delay in hexadecimal", body: "name=a&delay=0x5s", status: 400, field: "delay"},
	{name: "delay in other digits", body: "name=a&delay=٥s", status: 400, field: "delay"},
	{name: "delay with script", body: "name=a&delay=" + script, status: 400, field: "delay"},
	// Kinds and other fields.
	{name: "unknown kind", body: "name=a&delay=1s&kind=shell", status: 400, field: "kind"},
	{name: "kind in capitals", body: "name=a&delay=1s&kind=SLEEP", status: 400, field: "kind"},
	{name: "unknown field", body: "name=a&delay=1s&admin=1", status: 400},
	{name: "field whose name is script", body: "name=a&delay=1s&" + url.QueryEscape(script) + "=1", status: 400},
	{name: "fields in the query", target: "/work?name=a&delay=1s", status: 400},
	// Forms.
	{name: "no body", edit: header("Content-Type", formType), status: 400, field: "name"},
	{name: "bad escapes", body: "name=%zz&delay=1s", status: 400},
	{name: "semicolons", body: "name=a;delay=1s", status: 400},
	{name: "huge form", body: "name=" + strings.Repeat("a", 10<<20), status: 413},
	{name: "form that is one byte too large", body: "delay=1s&name=" + strings.Repeat("a", maxBody+1-14), status: 413},
	{name: "many fields", body: "name=a&delay=1s" + strings.Repeat("&x=", 5000), status: 400},
	// JSON.
	{name: "JSON that breaks off", body: `{"name":"a","delay":"1s"`, edit: asJSON, status: 400},
	{name: "JSON array", body: `[{"name":"a","delay":"1s"}]`, edit: asJSON, status: 400},
	{name: "JSON null", body: `null`, edit: asJSON, status: 400},
	{name: "two JSON objects", body: `{"name":"a","delay":"1s"}{}`, edit: asJSON, status: 400},
	{name: "field given twice in JSON", body: `{"name":"a","delay":"1s","delay":"9s"}`, edit: asJSON, status: 400},
	{name: "field in other case in JSON", body: `{"name":"a","delay":"1s","Kind":"panic"}`, edit: asJSON, status: 400},
	{name: "object for a name", body: `{"name":{"$gt":""},"delay":"1s"}`, edit: asJSON, status: 400, field: "name"},
	{name: "number for a name", body: `{"name":7,"delay":"1s"}`, edit: asJSON, status: 400, field: "name"},
	{name: "null for a name", body: `{"name":null,"delay":"1s"}`, edit: asJSON, status: 400, field: "name"},
	{name: "NaN in JSON", body: `{"name":"a","delay":NaN}`, edit: asJSON, status: 400},
	{name: "1e999 in JSON", body: `{"name":"a","delay":1e999}`, edit: asJSON, status: 400, field: "delay"},
	{name: "negative number in JSON", body: `{"name":"a","delay":-2}`, edit: asJSON, status: 400, field: "delay"},
	{name: "JSON that is not UTF-8", body: "{\"name\":\"\xff\",\"delay\":\"1s\"}", edit: asJSON, status: 400},
	{name: "half a surrogate pair", body: `{"name":"\ud800\u0000","delay":"1s"}`, edit: asJSON, status: 400, field: "name"},
	{name: "JSON with a byte order mark", body: "\ufeff{\"name\":\"a\",\"delay\":\"1s\"}", edit: asJSON, status: 400},
	{name: "deep JSON", body: strings.Repeat(`{"name":`, 2000), edit: asJSON, status: 400},
	{name: "huge JSON", body: `{"name":"` + strings.Repeat("a", 1<<20) + `"}`, edit: asJSON, status: 413},
	// Types and encodings.
	{name: "no content type", body: "name=a&delay=1s", edit: func(r *http.Request) { r.Header.Del("Content-Type") }, status: 415},
	{name: "two content types", body: "{}", edit: header("Content-Type", jsonType, formType), status: 415},
	{name: "plain text, as a form of another site can send", body: "name=a", edit: header("Content-Type", "text/plain"), status: 415},
	{name: "multipart", body: "--x", edit: header("Content-Type", "multipart/form-data; boundary=x"), status: 415},
	{name: "XML", body: `<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>`, edit: header("Content-Type", "text/xml"), status: 415},
	{name: "gzip", body: "\x1f\x8b", edit: header("Content-Encoding", "gzip"), status: 415},
	{name: "UTF-16", body: "n\x00", edit: header("Content-Type", jsonType+"; charset=utf-16"), status: 415},
	{name: "UTF-7", body: "+ADw-script+AD4-", edit: header("Content-Type", formType+"; charset=utf-7"), status: 415},
	{name: "malformed content type", body: "a", edit: header("Content-Type", "application/json; charset"), status: 415},
	// Waits and keys.
	{name: "endless wait", target: "/work?wait=24h", body: "name=a&delay=1s", status: 400, field: "wait"},
	{name: "wait that is too long", target: "/work?wait=30001ms", body: "name=a&delay=1s", status: 400, field: "wait"},
	{name: "negative wait", target: "/work?wait=-1s", body: "name=a&delay=1s", status: 400, field: "wait"},
	{name: "wait given twice", target: "/work?wait=1s&wait=2s", body: "name=a&delay=1s", status: 400},
	{name: "malformed query", target: "/work?wait=%zz", body: "name=a&delay=1s", status: 400},
	{name: "long key", body: "name=a&delay=1s", edit: header("Idempotency-Key", strings.Repeat("k", maxKey+1)), status: 400, field: "Idempotency-Key"},
	{name: "empty key", body: "name=a&delay=1s", edit: header("Idempotency-Key", `""`), status: 400, field: "Idempotency-Key"},
	{name: "two keys", body: "name=a&delay=1s", edit: header("Idempotency-Key", "a", "b"), status: 400, field: "Idempotency-Key"},
	{name: "key with control characters", body: "name=a&delay=1s", edit: header("Idempotency-Key", "a\x00b"), status: 400, field: "Idempotency-Key"},
	// Methods and paths.
	{name: "PUT", method: http.MethodPut, body: "name=a", status: 405},
	{name: "TRACE", method: http.MethodTrace, status: 405},
	{name: "unknown method", method: "PURGE", status: 405},
	{name: "GET of a control route", method: http.MethodGet, target: "/pool/pause", status: 405},
	{name: "path outside", method: http.MethodGet, target: "/../../etc/passwd", status: 404},
	{name: "escaped path outside", method: http.MethodGet, target: "/work/%2e%2e%2fetc%2fpasswd", status: 404},
	{name: "two slashes, for a redirect elsewhere", method: http.MethodGet, target: "//evil.example/..", status: 404},
	{name: "no path", target: "*", status: 404},
	{name: "nothing but slashes", target: "//", status: 404},
	{name: "path with script", method: http.MethodGet, target: "/" + url.PathEscape(script), status: 404},
	{name: "source of the page", method: http.MethodGet, target: "/page/app.js", status: 404},
	// Numbers.
	{name: "id 0x1", method: http.MethodGet, target: "/work/0x1", status: 400, field: "id"},
	{name: "id -1", method: http.MethodGet, target: "/work/-1", status: 400, field: "id"},
	{name: "id +1", method: http.MethodGet, target: "/work/+1", status: 400, field: "id"},
	{name: "id 01", method: http.MethodGet, target: "/work/01", status: 400, field: "id"},
	{name: "id 1_0", method: http.MethodGet, target: "/work/1_0", status: 400, field: "id"},
	{name: "id beyond 64 bits", method: http.MethodGet, target: "/work/18446744073709551617", status: 400, field: "id"},
	{name: "id with a blank", method: http.MethodGet, target: "/work/1%20", status: 400, field: "id"},
	{name: "id with NUL", method: http.MethodGet, target: "/work/1%00", status: 400, field: "id"},
	{name: "profiles without a slash", method: http.MethodGet, target: "/debug/pprof", edit: from("192.0.2.7:1"), status: 403},
	{name: "profile for an image of another site", method: http.MethodGet, target: "/debug/pprof/trace?seconds=1", edit: header("Sec-Fetch-Site", "cross-site"), status: 403},
	{name: "profile for a page of another port", method: http.MethodGet, target: "/debug/pprof/trace?seconds=1", edit: header("Sec-Fetch-Site", "same-site"), status: 403},
	{name: "profile for another origin", method: http.MethodGet, target: "/debug/pprof/trace?seconds=1", edit: header("Origin", "https://evil.example"), status: 403},
	{name: "id with script", method: http.MethodGet, target: "/work/" + url.PathEscape("<script>"), status: 400, field: "id"},
	{name: "id 0", method: http.MethodGet, target: "/work/0", status: 404},
	{name: "bad status", method: http.MethodGet, target: "/work?status=" + url.QueryEscape(script), status: 400},
	{name: "list without bound", method: http.MethodGet, target: "/work?limit=1001", status: 400, field: "limit"},
	{name: "list without end", method: http.MethodGet, target: "/work?limit=0", status: 400, field: "limit"},
	{name: "worker -1", target: "/workers/-1/halt", status: 400, field: "id"},
	{name: "worker that is none", target: "/workers/99/halt", status: 404},
	{name: "a million workers", target: "/pool/resize?workers=1000000", status: 400, field: "workers"},
	{name: "workers NaN", target: "/pool/resize?workers=NaN", status: 400, field: "workers"},
	{name: "no number of workers", target: "/pool/resize", status: 400, field: "workers"},
}

func asJSON(r *http.Request) { r.Header.Set("Content-Type", jsonType) }

func TestHostileRequests(t *testing.T) {
	require.GreaterOrEqual(t, len(hostile), 40)
	s := newTestServer(t)
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			method, target := h.method, h.target
			if method == "" {
				method = http.MethodPost
			}
			if target == "" {
				target = "/work"
			}
			e := h.edit
			if e == nil {
				e = func(*http.Request) {}
			}
			w := call(t, s, method, target, h.body, e)
			p := assertProblem(t, w, h.status)
			if h.field != "" {
				assert.Equal(t, h.field, p.Field)
				assert.True(t, strings.HasPrefix(p.Detail, h.field+": "), "the text names it: %s", p.Detail)
			}
			assert.Less(t, w.Body.Len(), 512)
			assert.NotContains(t, w.Body.String(), "<", "markup")
			if h.status == http.StatusMethodNotAllowed {
				assert.NotEmpty(t, w.Header().Get("Allow"))
			}
		})
	}
	assert.Zero(t, s.pool.Stats().Accepted)
	assert.Equal(t, 5, s.pool.Stats().Workers)
}

func TestMarkupInANameStaysText(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		stop := follow(t, s)
		v := post(t, s, "name="+url.QueryEscape(script+`"'&`)+"&delay=1s")
		assert.Equal(t, script+`"'&`, v.Name)
		for _, path := range []string{"/work/1", "/work", "/workers", "/metrics", "/debug/vars"} {
			w := call(t, s, http.MethodGet, path, "")
			assert.NotContains(t, w.Body.String(), "<script", path)
			assert.NotContains(t, w.Header().Get("Content-Type"), "html")
		}
		time.Sleep(2 * time.Second)
		for _, m := range stop() {
			assert.NotContains(t, m.data, "<")
		}
	})
}

// wire are requests that the server's own handlers never see, byte by byte.
var wire = []struct{ name, request, status string }{
	{"flood of header fields", "GET /stats HTTP/1.1\r\nHost: localhost\r\n" + strings.Repeat("X-A: b\r\n", 20_000) + "\r\n", "431"},
	{"huge header field", "GET /stats HTTP/1.1\r\nHost: localhost\r\nX-A: " + strings.Repeat("a", 1<<20) + "\r\n\r\n", "431"},
	{"no host", "GET /stats HTTP/1.1\r\n\r\n", "400"},
	{"two hosts", "GET /stats HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
	{"line break in a field", "GET /stats HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n", "400"},
	{"two lengths", "POST /work HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400"},
	{"negative length", "POST /work HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", "400"},
	{"not HTTP", "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "400"},
	{"unknown transfer encoding", "POST /work HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n", "501"},
	{"bad chunk", "POST /work HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400"},
	{"length of a huge body", "POST /work HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n" + strings.Repeat("a", maxBody+1), "413"},
}

func TestHostileBytes(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := start(ctx, t)
	for _, h := range wire {
		t.Run(h.name, func(t *testing.T) {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(p.base, "http://"))
			require.NoError(t, err)
			defer conn.Close()
			require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
			go func() { _, _ = io.WriteString(conn, h.request) }() // the server may not read all of it
			line, err := bufio.NewReader(conn).ReadString('\n')
			require.NoError(t, err)
			assert.Contains(t, line, "HTTP/1.1 "+h.status)
		})
	}
	cancel()
	assert.Equal(t, exitOK, <-p.status)
}

// FuzzPost has the server read what it will: it answers with a status that it has, in JSON, and
// takes nothing that it could not show.
func FuzzPost(f *testing.F) {
	f.Add("/work", formType, "", []byte("name=a&delay=1s"))
	f.Add("/work?wait=0s", jsonType, "k", []byte(`{"name":"a","delay":1.5,"kind":"sleep"}`))
	for _, h := range hostile {
		if len(h.body) < 1000 && strings.HasPrefix(h.target+"/work", "/work") {
			f.Add("/work", formType, "", []byte(h.body))
			f.Add("/work", jsonType, "", []byte(h.body))
		}
	}
	s := newTestServer(f, "-max_queue_size", "1000000", "-keep", "10", "-keys", "10")
	f.Fuzz(func(t *testing.T, target, contentType, key string, body []byte) {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Host != "" {
			t.Skip("no target of a request")
		}
		r := httptest.NewRequest(http.MethodPost, "/work", bytes.NewReader(body)).WithContext(t.Context())
		u.RawQuery = strings.ReplaceAll(u.RawQuery, "wait", "w") // which takes its time
		r.URL, r.Host, r.RemoteAddr = u, "localhost", "127.0.0.1:1"
		r.Header["Content-Type"] = []string{contentType}
		if key != "" {
			r.Header["Idempotency-Key"] = []string{key}
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		switch w.Code {
		case http.StatusAccepted:
			v := decode[jobView](t, w)
			assert.Equal(t, fmt.Sprintf("/work/%d", v.ID), w.Header().Get("Location"))
			assert.True(t, utf8.ValidString(v.Name) && v.Name != "" && len(v.Name) <= maxName)
			assert.True(t, v.Delay >= 1 && v.Delay <= 10)
			s.book.find(v.ID).job.Cancel(nil)
		case http.StatusOK, 400, 403, 404, 405, 409, 413, 415, 422:
		default:
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		assert.NotContains(t, w.Body.String(), "<")
	})
}

package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// guard is what every request passes before it is routed.
func (s *server) guard(next http.Handler) http.Handler {
	// A page of another site may have its visitor's browser send requests here: they change nothing.
	crossOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		start := time.Now()
		w := &responseWriter{ResponseWriter: out, request: r}
		defer func() { s.finish(w, r, start, recover()) }()
		h := out.Header()
		h["X-Content-Type-Options"] = noSniff
		if r.Method != http.MethodPost { // else nobody keeps the answer, nor does a browser go there
			h["Content-Security-Policy"] = nothingMayLoad
			h["Cache-Control"] = noStore
		}
		switch {
		case !s.knowsHost(r.Host) && !isProbe(r.URL.Path):
			newProblem(http.StatusMisdirectedRequest, "this server is not called so; see -hosts").write(w)
		case !isClean(r.URL.Path):
			newProblem(http.StatusNotFound, "").write(w)
		case crossOrigin.Check(r) != nil:
			newProblem(http.StatusForbidden, "another site's page may not do this").write(w)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// finish counts and logs a request. bug is the value that its handler panicked with, or nil. Package net/http
// would only report it to the ErrorLog, which logs at debug level here.
func (s *server) finish(w *responseWriter, r *http.Request, start time.Time, bug any) {
	if bug == http.ErrAbortHandler { //nolint:errorlint // as package net/http compares it
		panic(bug)
	}
	if bug != nil {
		s.metrics.panics.Inc()
		s.log.Error("handler panicked", "method", r.Method, "route", r.Pattern, "panic", bug, "stack", string(debug.Stack()))
		if w.status == 0 {
			newProblem(http.StatusInternalServerError, "").write(w)
		} else { // break off the connection, so that the client does not take half an answer for a whole one
			defer panic(http.ErrAbortHandler)
		}
	}
	took := time.Since(start)
	s.metrics.request(r.Pattern, w.status, took)
	if !s.log.Enabled(r.Context(), slog.LevelDebug) {
		return
	}
	args := []any{"method", r.Method, "route", r.Pattern, "status", w.status, "remote", r.RemoteAddr, "took", took}
	if job, ok := strings.CutPrefix(w.Header().Get("Location"), "/work/"); ok { // the one that it added
		args = append(args, "job", job)
	}
	s.log.Debug("request", args...)
}

// Fields of each answer, as slices, which no answer changes.
var (
	noSniff        = []string{"nosniff"}
	noStore        = []string{"no-store"}
	nothingMayLoad = []string{"default-src 'none'; frame-ancestors 'none'"}
)

// isClean refuses what ServeMux would answer with a redirect.
func isClean(p string) bool {
	c := path.Clean(p)
	return strings.HasPrefix(p, "/") && (p == c || p == c+"/" && c != "/")
}

// isProbe reports whether a path is one of those that load balancers ask, under any Host or, in HTTP/1.0, none.
func isProbe(p string) bool { return p == "/healthz" || p == "/readyz" }

// knowsHost reports whether the server is called by that name. One on loopback, and one that was told its names,
// is not called by others: else a site could give its name this address, and its pages would be of our origin.
func (s *server) knowsHost(hostport string) bool {
	host := hostOf(hostport)
	return isLocalName(host) || slices.Contains(s.opts.hosts, host) || strings.EqualFold(host, s.opts.addr) ||
		len(s.opts.hosts) == 0 && !isLocalName(s.opts.addr)
}

// hostOf returns the host in small letters, without its port and the brackets of an IPv6 address.
func hostOf(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	return strings.ToLower(host)
}

func isLocalName(host string) bool {
	if strings.EqualFold(host, "localhost") || host == "127.0.0.1" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// admin lets a request through to a control route if it has the token or, if there is none to have,
// comes from this machine and not from another site's page.
func (s *server) admin(h handler) handler {
	want := sha256.Sum256([]byte(s.opts.token))
	return func(w http.ResponseWriter, r *http.Request) error {
		if s.opts.token == "" {
			if !isLocal(r) {
				return newProblem(http.StatusForbidden, "control routes answer on loopback only; see -admin-token")
			}
			if isCrossOrigin(r) {
				return newProblem(http.StatusForbidden, "another site's page may not do this")
			}
			return h(w, r)
		}
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		// Of the hashes, so that the time does not depend on the length either.
		got := sha256.Sum256([]byte(token))
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="jobserver"`)
			return newProblem(http.StatusUnauthorized, "control routes want the admin token")
		}
		return h(w, r)
	}
}

// isLocal reports whether a request comes from this machine. What a proxy on it has passed on does not.
func isLocal(r *http.Request) bool {
	for _, field := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if _, ok := r.Header[field]; ok {
			return false
		}
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && from.Addr().IsLoopback() && isLocalName(hostOf(r.Host))
}

// isCrossOrigin reports whether another site's page has its visitor's browser make the request. The check in guard lets
// each GET pass, as it changes nothing, but that of a profile takes the machine's time.
func isCrossOrigin(r *http.Request) bool {
	post := *r
	post.Method = http.MethodPost
	return http.NewCrossOriginProtection().Check(&post) != nil
}

// A responseWriter knows the status that was sent, and gives the answers of ServeMux, which are text,
// the form of all others.
type responseWriter struct {
	http.ResponseWriter
	request *http.Request
	status  int
	mute    bool // the body is not ours
}

func (w *responseWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		if w.request.Pattern == "" && (status == http.StatusNotFound || status == http.StatusMethodNotAllowed) &&
			w.Header().Get("Content-Type") != "application/problem+json" {
			newProblem(status, "").write(w.ResponseWriter)
			w.mute = true
			return
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseWriter) Write(p []byte) (int, error) {
	if w.mute {
		return len(p), nil
	}
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

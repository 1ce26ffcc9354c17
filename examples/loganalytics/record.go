package main

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// A record is a line of the log that was understood.
type record struct {
	at      time.Time
	client  string
	request string // method and path, without what differs from one user to the next
	status  int
	bytes   int64
	latency time.Duration
}

// What can be wrong with a line.
var (
	errFields  = errors.New("not the fields of an access log")
	errTime    = errors.New("bad time")
	errRequest = errors.New("bad request")
	errStatus  = errors.New("bad status")
	errBytes   = errors.New("bad number of bytes")
	errLatency = errors.New("bad latency")
)

const timeLayout = "02/Jan/2006:15:04:05 -0700"

// parse reads a line in the common log format with the latency, in seconds, behind all
// other fields:
//
//	198.18.4.7 - - [02/Mar/2026:08:15:04 +0000] "GET /cart HTTP/1.1" 200 5123 0.013
//
// What stands between the bytes and the latency, such as the referer and user agent of
// the combined log format, is skipped. The record holds on to the line.
func parse(line string) (r record, err error) {
	client, rest, ok := strings.Cut(line, " ")
	_, rest, ok2 := strings.Cut(rest, " [")
	stamp, rest, ok3 := strings.Cut(rest, `] "`)
	request, rest, ok4 := strings.Cut(rest, `" `)
	status, rest, ok5 := strings.Cut(rest, " ")
	size, rest, ok6 := strings.Cut(rest, " ")
	if !ok || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 || client == "" {
		return r, errFields
	}
	r.client = client
	if r.at, err = time.Parse(timeLayout, stamp); err != nil || r.at.Unix() < 0 || r.at.Year() > 2199 {
		return r, errTime
	}
	if r.request, ok = route(request); !ok {
		return r, errRequest
	}
	if r.status, err = strconv.Atoi(status); err != nil || r.status < 100 || r.status > 599 {
		return r, errStatus
	}
	if size != "-" { // nothing was sent
		if r.bytes, err = strconv.ParseInt(size, 10, 64); err != nil || r.bytes < 0 {
			return r, errBytes
		}
	}
	seconds, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
	if err != nil || !(seconds >= 0 && seconds <= maxLatency.Seconds()) { // so that NaN is out, too
		return r, errLatency
	}
	r.latency = time.Duration(seconds*1e6+0.5) * time.Microsecond
	return r, nil
}

// maxLatency is beyond what a server waits.
const maxLatency = time.Hour

// route returns method and path of a request, without the query, and with :id for each
// number in the path: what is left is the code that has served it.
func route(request string) (string, bool) {
	method, rest, ok := strings.Cut(request, " ")
	path, version, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 || method == "" || path == "" || path[0] != '/' || !strings.HasPrefix(version, "HTTP/") {
		return "", false
	}
	for i := range len(method) {
		if method[i] < 'A' || method[i] > 'Z' {
			return "", false
		}
	}
	if query := strings.IndexByte(path, '?'); query >= 0 {
		path = path[:query]
	}
	plain := request[:len(method)+1+len(path)] // in most lines nothing is to be replaced, and so nothing to be copied
	return withoutNumbers(plain), true
}

// withoutNumbers replaces the segments of a path that are numbers.
func withoutNumbers(path string) string {
	var b strings.Builder
	done := 0
	for i := range len(path) {
		if path[i] != '/' {
			continue
		}
		end := i + 1
		for end < len(path) && '0' <= path[end] && path[end] <= '9' {
			end++
		}
		if end > i+1 && (end == len(path) || path[end] == '/') {
			b.WriteString(path[done : i+1])
			b.WriteString(":id")
			done = end
		}
	}
	if done == 0 {
		return path
	}
	b.WriteString(path[done:])
	return b.String()
}

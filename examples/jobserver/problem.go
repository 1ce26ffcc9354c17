package main

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// A problem is an answer that is an error, as RFC 9457 has it. Its texts are the server's own; what
// they quote of the client's is short and escaped, and the type is never one that a browser renders.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Field  string `json:"field,omitempty"` // the one that is wrong
}

// Error makes a problem an error, so that what reads a request can return it.
func (p *problem) Error() string { return p.Detail }

func newProblem(status int, detail string) *problem {
	return &problem{Title: http.StatusText(status), Status: status, Detail: detail}
}

// badField is a problem with a field of the request.
func badField(field, detail string) *problem {
	return badFieldStatus(http.StatusBadRequest, field, detail)
}

func badFieldStatus(status int, field, detail string) *problem {
	p := newProblem(status, field+": "+detail)
	p.Field = field
	return p
}

func (p *problem) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/problem+json")
	writeBody(w, p.Status, p)
}

// jsonContent is the type of an answer, as the header has it, and is not changed.
var jsonContent = []string{jsonType}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header()["Content-Type"] = jsonContent
	writeBody(w, status, v)
}

func writeBody(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v) // it escapes <, > and &
	if err != nil {
		http.Error(w, "the answer cannot be written", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that is gone needs no answer
}

// maxQuote is how much of what a client sent an answer repeats.
const maxQuote = 40

// quote returns s, or the beginning of it, as a Go string: printable and on one line.
func quote(s string) string {
	if len(s) > maxQuote {
		s = s[:maxQuote] + "…"
	}
	return strconv.QuoteToASCII(s)
}

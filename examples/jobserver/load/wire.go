package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"time"
)

// patience is how long a request may take before it counts as broken off. A server may wait for a job for 30 seconds.
const patience = 40 * time.Second

// A wire is one connection to the server. It speaks just the HTTP that posting takes: a client for all
// purposes would take more of the machine than the server that is to be measured on it.
type wire struct {
	conn    net.Conn
	in      *bufio.Reader
	request []byte
}

// dial connects to the host of a URL, to which the same form is then posted again and again.
func dial(ctx context.Context, target *url.URL, form string) (*wire, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", target.Host)
	if err != nil {
		return nil, err
	}
	request := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: load\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		target.RequestURI(), target.Host, len(form), form)
	return &wire{conn, bufio.NewReader(conn), request}, nil
}

// An answer is what the ledger needs of one.
type answer struct {
	status   int
	location string
	last     bool // the server closes the connection
}

// post makes one request.
func (w *wire) post() (answer, error) {
	_ = w.conn.SetDeadline(time.Now().Add(patience))
	if _, err := w.conn.Write(w.request); err != nil {
		return answer{}, err
	}
	return w.read()
}

var errAnswer = errors.New("that is no answer of HTTP/1.1 with a length")

// read reads one answer.
func (w *wire) read() (answer, error) {
	line, err := w.in.ReadSlice('\n')
	if err != nil {
		return answer{}, err
	}
	version, rest, _ := bytes.Cut(line, []byte(" "))
	code, _, _ := bytes.Cut(rest, []byte(" "))
	status, err := strconv.Atoi(string(bytes.TrimSpace(code)))
	if err != nil || string(version) != "HTTP/1.1" {
		return answer{}, errAnswer
	}
	a, length := answer{status: status}, -1
	for {
		if line, err = w.in.ReadSlice('\n'); err != nil {
			return answer{}, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": ")) // as servers in Go write them
		switch string(name) {
		case "Content-Length":
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 {
				return answer{}, errAnswer
			}
		case "Location":
			a.location = string(value)
		case "Connection":
			a.last = string(value) == "close"
		}
	}
	if length < 0 {
		return answer{}, errAnswer
	}
	if _, err := w.in.Discard(length); err != nil {
		return answer{}, errors.Join(err, io.ErrUnexpectedEOF)
	}
	return a, nil
}

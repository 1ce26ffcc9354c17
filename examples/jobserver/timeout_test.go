package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A pipeListener accepts connections within the process, which have deadlines in virtual time.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	close(l.closed)
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (l *pipeListener) dial() net.Conn {
	client, conn := net.Pipe()
	l.conns <- conn
	return client
}

// served runs f in virtual time with a server that listens.
func served(t *testing.T, f func(t *testing.T, dial func() net.Conn)) {
	t.Helper()
	bubble(t, func(t *testing.T, s *server) {
		t.Helper()
		l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := serve(ctx, s, l)
			done <- err
		}()
		f(t, l.dial)
		cancel()
		assert.NoError(t, <-done)
	})
}

func TestASlowClientIsCutOff(t *testing.T) {
	served(t, func(t *testing.T, dial func() net.Conn) {
		for _, request := range []string{
			"",
			"POST /work HTTP/1.1\r\nHost: localhost\r\nX-",
			"POST /work HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + formType + "\r\nContent-Length: 17\r\n\r\nname=a&",
			"POST /work HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + formType + "\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nname=a&",
		} {
			conn := dial()
			begin := time.Now()
			_, err := io.WriteString(conn, request)
			require.NoError(t, err)
			require.NoError(t, conn.SetReadDeadline(begin.Add(time.Hour)))
			answer, err := io.ReadAll(conn)
			require.NoError(t, err, "closed by the server")
			assert.NotContains(t, string(answer), " 202 ")
			assert.InDelta(t, readTimeout.Seconds(), time.Since(begin).Seconds(), 1, request)
			require.NoError(t, conn.Close())
		}
	})
}

// These two extend the server's timeouts, but not for a body that they do not want.
func TestABodyThatNeverComesHoldsNothing(t *testing.T) {
	served(t, func(t *testing.T, dial func() net.Conn) {
		ask := func(request, rest string) time.Duration {
			conn := dial()
			defer conn.Close()
			begin := time.Now()
			_, err := io.WriteString(conn, request+" HTTP/1.1\r\nHost: localhost\r\n"+rest)
			require.NoError(t, err)
			require.NoError(t, conn.SetReadDeadline(begin.Add(time.Hour)))
			line, err := bufio.NewReader(conn).ReadString('\n')
			require.NoError(t, err, request)
			assert.Contains(t, line, "HTTP/1.1 20", request)
			return time.Since(begin)
		}
		const body = "name=a&delay=10s"
		ask("POST /work", "Content-Type: "+formType+"\r\nContent-Length: 16\r\n\r\n"+body)
		assert.LessOrEqual(t, ask("GET /work/1?wait=1s", "Content-Length: 9\r\n\r\n"), time.Second+readTimeout)
		assert.LessOrEqual(t, ask("GET /events", "Content-Length: 9\r\n\r\n"), readTimeout)
	})
}

func TestABodyThatIsTooLargeIsAnsweredAtOnce(t *testing.T) {
	const head = "POST /work HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + formType + "\r\n"
	served(t, func(t *testing.T, dial func() net.Conn) {
		for name, request := range map[string]string{
			"length":           head + "Content-Length: 100000\r\n\r\nname=a&",
			"huge length":      head + "Content-Length: 100000000\r\n\r\nname=a&",
			"100 Continue":     head + "Content-Length: 100000\r\nExpect: 100-continue\r\n\r\n",
			"without a length": head + "Transfer-Encoding: chunked\r\n\r\n4001\r\n" + strings.Repeat("a", maxBody+1) + "\r\n",
		} {
			conn := dial()
			begin := time.Now()
			go func() { _, _ = io.WriteString(conn, request) }() // the server may not read all of it
			answer := bufio.NewReader(conn)
			line, err := answer.ReadString('\n')
			require.NoError(t, err)
			assert.Equal(t, "HTTP/1.1 413 Request Entity Too Large\r\n", line, name)
			assert.Zero(t, time.Since(begin), "%s: the answer does not wait for the rest", name)
			rest, err := io.ReadAll(answer)
			require.NoError(t, err, "closed by the server")
			assert.Contains(t, string(rest), "Connection: close\r\n", name)
			// Package net/http may keep a connection open for as long again, for the client to read the answer.
			assert.LessOrEqual(t, time.Since(begin), 2*linger, name)
			require.NoError(t, conn.Close())
		}
	})
}

func TestAnAnswerThatNobodyReadsIsGivenUp(t *testing.T) {
	served(t, func(t *testing.T, dial func() net.Conn) {
		const request = "GET /stats HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
		for wait, want := range map[time.Duration]bool{writeTimeout - time.Second: true, writeTimeout + time.Second: false} {
			conn := dial()
			_, err := io.WriteString(conn, request)
			require.NoError(t, err)
			time.Sleep(wait)
			answer, err := io.ReadAll(conn)
			require.NoError(t, err, "closed by the server")
			assert.Equal(t, want, strings.HasPrefix(string(answer), "HTTP/1.1 200"), "after %v: %q", wait, answer)
			require.NoError(t, conn.Close())
		}
	})
}

func TestAnIdleConnectionIsClosed(t *testing.T) {
	served(t, func(t *testing.T, dial func() net.Conn) {
		conn := dial()
		_, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		require.NoError(t, err)
		begin := time.Now()
		require.NoError(t, conn.SetReadDeadline(begin.Add(time.Hour)))
		answer, err := io.ReadAll(conn)
		require.NoError(t, err, "closed by the server")
		assert.Contains(t, string(answer), " 200 ")
		assert.Equal(t, idleTimeout, time.Since(begin))
		synctest.Wait()
		require.NoError(t, conn.Close())
	})
}

// A wait for a job outlasts both the time to read a request and the time to write an answer.
func TestAWaitingClientIsNotCutOff(t *testing.T) {
	served(t, func(t *testing.T, dial func() net.Conn) {
		conn := dial()
		const body = "name=a&delay=10s&kind=fail" // tried twice
		_, err := io.WriteString(conn, "POST /work?wait=30s HTTP/1.1\r\nHost: localhost\r\nContent-Type: "+formType+
			"\r\nContent-Length: 26\r\nConnection: close\r\n\r\n"+body)
		require.NoError(t, err)
		begin := time.Now()
		answer, err := io.ReadAll(conn)
		require.NoError(t, err)
		assert.Contains(t, string(answer), http.StatusText(http.StatusOK))
		assert.Contains(t, string(answer), errAskedFor.Error())
		assert.Greater(t, time.Since(begin), writeTimeout)
		require.NoError(t, conn.Close())
	})
}

func TestAListenerThatFailsEndsTheServerBehindItsJobs(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		post(t, s, "name=a&delay=2s")
		rep, err := serve(t.Context(), s, &brokenListener{})
		require.ErrorIs(t, err, errBroken)
		assert.Equal(t, uint64(1), rep.Stats.Succeeded)
	})
}

var errBroken = errors.New("broken")

// A brokenListener fails at once.
type brokenListener struct{ pipeListener }

func (*brokenListener) Accept() (net.Conn, error) { return nil, errBroken }
func (*brokenListener) Close() error              { return nil }

package pool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millstream-go/millstream/pool"
)

// conn stands for a connection that one call at a time may use.
type conn struct{ sent int }

func (c *conn) send(text string) string {
	c.sent++
	return fmt.Sprintf("%d: %s", c.sent, text)
}

func (c *conn) close() error {
	fmt.Println("closed after", c.sent)
	return nil
}

// Each worker has its own connection, from its first call until it stops.
func ExampleNewStateful() {
	dial := func(_ context.Context, worker int) (*conn, error) {
		fmt.Println("worker", worker, "connects")
		return &conn{}, nil
	}
	send := func(_ context.Context, c *conn, text string) (string, error) { return c.send(text), nil }

	p := pool.NewStateful(dial, send, (*conn).close, pool.Workers(1))
	answers, err := p.Map(context.Background(), []string{"a", "b", "c"})
	fmt.Println(answers, err)
	if err := p.Close(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// worker 0 connects
	// [1: a 2: b 3: c] <nil>
	// closed after 3
}

// A connection that was reset is of no more use, so the worker gets another one, here
// already for the second attempt.
func ExampleDiscard() {
	dialed := 0
	dial := func(context.Context, int) (*conn, error) {
		dialed++
		fmt.Println("connection", dialed)
		return &conn{}, nil
	}
	send := func(_ context.Context, c *conn, text string) (string, error) {
		if dialed == 1 {
			return "", pool.Discard(errors.New("connection reset"))
		}
		return c.send(text), nil
	}

	p := pool.NewStateful(dial, send, (*conn).close, pool.Workers(1),
		pool.Retry(pool.RetryPolicy{Attempts: 2, Base: time.Millisecond}))
	fmt.Println(p.Do(context.Background(), "a"))
	if err := p.Close(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// connection 1
	// closed after 0
	// connection 2
	// 1: a <nil>
	// closed after 1
}

// Each worker has a buffer, which its calls use in turn. There is nothing to close.
func ExampleNewStateful_buffer() {
	open := func(context.Context, int) (*bytes.Buffer, error) { return new(bytes.Buffer), nil }
	frame := func(_ context.Context, b *bytes.Buffer, text string) (string, error) {
		b.Reset() // drop what the previous call left
		fmt.Fprintf(b, "<%s>", text)
		return b.String(), nil
	}

	p := pool.NewStateful(open, frame, nil, pool.Workers(4))
	defer p.Close()
	fmt.Println(p.Map(context.Background(), []string{"a", "b", "c"}))
	// Output: [<a> <b> <c>] <nil>
}

// If a worker's state cannot be opened, the current input fails. The next one tries again.
func ExampleNewStateful_failure() {
	errDown, down := errors.New("server is down"), true
	dial := func(context.Context, int) (*conn, error) {
		if down {
			return nil, errDown
		}
		return &conn{}, nil
	}
	send := func(_ context.Context, c *conn, text string) (string, error) { return c.send(text), nil }

	p := pool.NewStateful(dial, send, nil, pool.Workers(1))
	defer p.Close()
	_, err := p.Do(context.Background(), "a")
	fmt.Println(errors.Is(err, errDown))
	down = false
	fmt.Println(p.Do(context.Background(), "b"))
	// Output:
	// true
	// 1: b <nil>
}

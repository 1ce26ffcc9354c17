package ratelimit_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
	"github.com/millstream-go/millstream/ratelimit"
)

// A copy takes the time that the bytes beyond the burst take, in parts of the burst.
func TestReaderAndWriterKeepTheRate(t *testing.T) {
	text := strings.Repeat("0123456789", 100)
	testkit.Bubble(t, func(t *testing.T) {
		begin := time.Now()
		l := ratelimit.NewLimiter(100, 200)
		all, err := io.ReadAll(ratelimit.Reader(t.Context(), strings.NewReader(text), l))
		require.NoError(t, err)
		assert.Equal(t, text, string(all))
		assert.GreaterOrEqual(t, time.Since(begin), 8*time.Second)
		assert.LessOrEqual(t, time.Since(begin), 9*time.Second, "the last Read waits for bytes that do not come")

		begin = time.Now()
		var out bytes.Buffer
		l = ratelimit.NewLimiter(100, 200)
		n, err := ratelimit.Writer(t.Context(), &out, l).Write([]byte(text))
		require.NoError(t, err)
		assert.Equal(t, len(text), n)
		assert.Equal(t, text, out.String())
		assert.Equal(t, 8*time.Second, time.Since(begin))
	})
}

// "A Read ... gives back the tokens that it did not use."
func TestShortReadsAreRefunded(t *testing.T) {
	l := ratelimit.NewLimiter(ratelimit.Every(time.Hour), 100)
	r := ratelimit.Reader(t.Context(), iotest.OneByteReader(strings.NewReader("abc")), l)
	buf := make([]byte, 1000)
	for range 3 {
		n, err := r.Read(buf)
		require.NoError(t, err)
		assert.Equal(t, 1, n)
	}
	assert.InDelta(t, 97, l.Tokens(), 0.1)
	n, err := r.Read(nil)
	require.NoError(t, err)
	assert.Zero(t, n)
	_, err = r.Read(buf)
	assert.Equal(t, io.EOF, err)
	assert.InDelta(t, 97, l.Tokens(), 0.1)
}

type shortWriter struct{ n int }

func (w *shortWriter) Write(p []byte) (int, error) {
	if len(p) <= w.n {
		w.n -= len(p)
		return len(p), nil
	}
	return w.n, io.ErrClosedPipe
}

func TestShortWritesAreRefunded(t *testing.T) {
	l := ratelimit.NewLimiter(ratelimit.Inf, 0)
	n, err := ratelimit.Writer(t.Context(), &shortWriter{25}, l).Write(make([]byte, 100))
	assert.Equal(t, io.ErrClosedPipe, err)
	assert.Equal(t, 25, n)
	l = ratelimit.NewLimiter(ratelimit.Every(time.Hour), 100)
	n, err = ratelimit.Writer(t.Context(), &shortWriter{25}, l).Write(make([]byte, 100))
	assert.Equal(t, io.ErrClosedPipe, err)
	assert.Equal(t, 25, n)
	assert.InDelta(t, 75, l.Tokens(), 0.1)
	n, err = ratelimit.Writer(t.Context(), &shortWriter{25}, l).Write(nil)
	require.NoError(t, err)
	assert.Zero(t, n)
}

// The end of ctx ends both, with what was done by then.
func TestReaderAndWriterEndWithTheContext(t *testing.T) {
	testkit.Bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := ratelimit.NewLimiter(1, 10)
		time.AfterFunc(5*time.Second, cancel)
		n, err := ratelimit.Writer(ctx, io.Discard, l).Write(make([]byte, 100))
		assert.Equal(t, context.Canceled, err)
		assert.Equal(t, 10, n)
		assert.InDelta(t, 5, l.Tokens(), 1e-9)
		n, err = ratelimit.Reader(ctx, strings.NewReader("a"), l).Read(make([]byte, 1))
		assert.Equal(t, context.Canceled, err)
		assert.Zero(t, n)
	})
	none := ratelimit.NewLimiter(1, 0)
	_, err := ratelimit.Reader(t.Context(), strings.NewReader("a"), none).Read(make([]byte, 5))
	assert.ErrorIs(t, err, ratelimit.ErrBurst)
	assert.Panics(t, func() { ratelimit.Reader(t.Context(), nil, none) })
	assert.Panics(t, func() { ratelimit.Writer(t.Context(), nil, none) })
}

// A read that panics or reports nonsense gives back what it has taken.
func TestReadThatPanics(t *testing.T) {
	l := ratelimit.NewLimiter(ratelimit.Every(time.Hour), 100)
	r := ratelimit.Reader(t.Context(), readFunc(func([]byte) (int, error) { panic("no") }), l)
	assert.Panics(t, func() { _, _ = r.Read(make([]byte, 50)) })
	assert.InDelta(t, 100, l.Tokens(), 0.1)
	r = ratelimit.Reader(t.Context(), readFunc(func([]byte) (int, error) { return -1, errors.New("broken") }), l)
	_, err := r.Read(make([]byte, 50))
	assert.EqualError(t, err, "broken")
	assert.InDelta(t, 100, l.Tokens(), 0.1)
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

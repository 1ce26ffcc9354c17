package ratelimit

import (
	"context"
	"errors"
	"io"
	"time"
)

// Reader returns a reader that reads from r at the rate of l, one token per byte. A Read
// takes tokens for as much as it may read, then reads, and gives back the tokens that it
// did not use. It takes as many tokens as are available and fit the buffer; if fewer than
// an eighth of the burst of l are available, it waits for that many. The burst should be
// at least some kilobytes. A Read returns 0 and the error of [Limiter.WaitN] if ctx ends
// or its deadline is too near; a Read of r that has begun is not interrupted.
//
// Several readers and writers may share l. A single one may be used by one goroutine at a
// time, like r.
func Reader(ctx context.Context, r io.Reader, l *Limiter) io.Reader {
	if ctx == nil || r == nil || l == nil {
		panic("ratelimit: Reader: nil argument")
	}
	return &reader{ctx, r, l}
}

// Writer returns a writer that writes to w at the rate of l, one token per byte. A Write
// longer than the burst of l is split, and each part waits for its tokens before it is
// written; tokens for bytes of a part that were not written are given back. A Write
// returns the number of bytes written so far and the error of [Limiter.WaitN] if ctx ends
// or its deadline is too near for the next part.
//
// Several readers and writers may share l. A single one may be used by one goroutine at a
// time, like w.
func Writer(ctx context.Context, w io.Writer, l *Limiter) io.Writer {
	if ctx == nil || w == nil || l == nil {
		panic("ratelimit: Writer: nil argument")
	}
	return &writer{ctx, w, l}
}

// errInvalidWrite is the error if w returns an impossible count, as in io.Copy.
var errInvalidWrite = errors.New("ratelimit: invalid write result")

type reader struct {
	ctx context.Context
	r   io.Reader
	l   *Limiter
}

func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return r.r.Read(p)
	}
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.some(len(p))
	if err != nil {
		return 0, err
	}
	got := 0
	defer func() { r.l.Refund(n - min(max(got, 0), n)) }() // also if Read panics
	got, err = r.r.Read(p[:n])
	return got, err
}

// some takes tokens for as many bytes as are available, but not for too few.
func (r *reader) some(n int) (int, error) {
	least := min(n, max(r.l.ready().most()/8, 1))
	if r.l.AllowN(time.Now(), n) {
		return n, nil
	}
	if there := min(r.l.Take(0).Remaining, n); there >= least && r.l.AllowN(time.Now(), there) {
		return there, nil
	}
	return grant(r.ctx, r.l, least)
}

type writer struct {
	ctx context.Context
	w   io.Writer
	l   *Limiter
}

func (w *writer) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return w.w.Write(p)
	}
	for written := 0; ; {
		n, err := grant(w.ctx, w.l, len(p)-written)
		if err != nil {
			return written, err
		}
		done, err := w.part(p[written : written+n])
		if done < 0 || done > n {
			return written, errInvalidWrite
		}
		written += done
		if err == nil && done < n {
			err = io.ErrShortWrite
		}
		if err != nil || written == len(p) {
			return written, err
		}
	}
}

func (w *writer) part(p []byte) (n int, err error) {
	defer func() { w.l.Refund(len(p) - min(max(n, 0), len(p))) }() // also if Write panics
	return w.w.Write(p)
}

// grant waits for n bytes, or for as many as one call can take.
func grant(ctx context.Context, l *Limiter, n int) (int, error) {
	for {
		part := max(min(n, l.ready().most()), 1)
		err := l.WaitN(ctx, part)
		if errors.Is(err, ErrBurst) && part > 1 {
			continue // the burst has shrunk
		}
		return part, err
	}
}

package pipeline

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
)

// FromFunc returns a flow of the values that next returns, until its error is [io.EOF]; the
// value beside that is ignored. Any other error ends the source as a failure, including one
// that wraps io.EOF, such as that of an HTTP request whose connection was cut. next is
// called by one goroutine at a time. Its context ends with the run, and also when the run
// drains (see [Drain]). A value that it then returns without an error is still passed on,
// and an error that is the context's error or cause is not a failure.
//
// A next that ignores its context cannot be interrupted, and the run waits for it. A panic
// of next is a failure of the source, too.
//
// Such a function usually has a position in what it reads. So the flow serves only one run:
// another one fails with [ErrSourceUsed]. The kind of the source is "from". A nil next
// panics.
func FromFunc[T any](next func(context.Context) (T, error)) Flow[T] {
	if next == nil {
		panic("pipeline: FromFunc: nil function")
	}
	return newSource("from", once(func(g *giver[T]) error {
		ctx, cancel := context.WithCancelCause(g.seg.Ctx)
		defer cancel(context.Canceled)
		if intake := g.seg.run.intake; intake != nil {
			told := make(chan struct{})
			stop := context.AfterFunc(intake, func() {
				cancel(context.Cause(intake))
				close(told)
			})
			defer func() {
				if !stop() {
					<-told // no goroutine outlives the run
				}
			}()
		}
		for g.open() {
			v, err := next(ctx)
			switch {
			case err == nil:
				if !g.give(v) {
					return nil
				}
			case err == io.EOF: //nolint:errorlint // one that wraps it is of a connection that was cut
				return nil
			case ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx))):
				g.open() // it records that the run is incomplete, unless it drains
				return nil
			default:
				return err
			}
		}
		return nil
	}))
}

// maxLine is the default limit of the length of a line, in bytes.
const maxLine = 1 << 20

// Lines returns a flow of the lines of r, without the "\n" or "\r\n" at their ends. The
// last line need not end in "\n"; a "\r" at its end is removed as well. The index of a line
// is its number, from 0. limit is the maximum length of a line in bytes, without its
// ending; the default is 1 MiB. A longer line is a failure that matches [bufio.ErrTooLong], and ends
// the source, as does an error of r. The failure carries the number of the line that could
// not be read; nothing of that line is passed on. r is read ahead of the lines by at most
// the limit and a few bytes, and is not closed. A Read that blocks cannot be interrupted,
// and the run waits for it. The flow serves only one run: another one fails with
// [ErrSourceUsed]. The kind of the source is "lines". A nil r panics, and so does a limit
// below 1.
func Lines(r io.Reader, limit ...int) Flow[string] {
	most := maxLine
	switch {
	case r == nil:
		panic("pipeline: Lines: nil reader")
	case len(limit) > 1:
		panic("pipeline: Lines: more than one limit")
	case len(limit) == 1:
		most = limit[0]
	}
	if most < 1 {
		panic(fmt.Sprintf("pipeline: Lines: limit %d: want at least 1", most))
	}
	return newSource("lines", once(func(g *giver[string]) error {
		from := &untilEOF{from: r}
		lines := bufio.NewScanner(from)
		lines.Buffer(nil, min(most, math.MaxInt-2)+2) // the scanner includes the line ending
		lines.Split(from.line)
		for g.open() {
			if !lines.Scan() {
				if err := lines.Err(); err != bufio.ErrTooLong { //nolint:errorlint // the scanner does not wrap it
					return err
				}
				return tooLongError(most)
			}
			if len(lines.Bytes()) > most {
				return tooLongError(most)
			}
			if !g.give(lines.Text()) {
				return nil
			}
		}
		return nil
	}))
}

// tooLongError is the error of a line that is longer than that.
type tooLongError int

func (most tooLongError) Error() string { return fmt.Sprintf("line longer than %d bytes", int(most)) }

// Is makes it match [bufio.ErrTooLong].
func (tooLongError) Is(target error) bool { return target == bufio.ErrTooLong }

// untilEOF is a reader that knows whether it was read to its end. A scanner takes any error
// for the end, and would return the incomplete line before an error as a line.
type untilEOF struct {
	from  io.Reader
	ended bool
}

func (r *untilEOF) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if err == io.EOF {
		r.ended = true
	}
	return n, err
}

// line is a [bufio.SplitFunc].
func (r *untilEOF) line(data []byte, _ bool) (advance int, token []byte, err error) {
	return bufio.ScanLines(data, r.ended)
}

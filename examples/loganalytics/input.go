package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/millstream-go/millstream/examples/internal/show"
)

// An input is the log. It can be read again unless it is standard input.
type input struct {
	file  *os.File  // nil: it is other
	other io.Reader // which may block
	size  int64     // in bytes; 0: not known
	read  atomic.Int64
	temp  string // a file to be removed at the end
	stop  context.CancelFunc
}

// openInput opens the log, which it draws if there is none.
func openInput(ctx context.Context, o options, stdin io.Reader, bar *progress) (*input, error) {
	switch o.file {
	case "-":
		return &input{other: stdin}, nil
	case "":
		return drawnInput(ctx, o, bar)
	}
	f, err := os.Open(o.file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.file, show.Reason(err))
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		err = show.Reason(err)
	case info.Mode().IsRegular():
		return &input{file: f, size: info.Size()}, nil
	case info.IsDir():
		err = errors.New("is a folder")
	case o.compare:
		err = errors.New("-compare reads the log several times, and this is no file")
	default:
		return &input{other: f}, nil
	}
	_ = f.Close()
	return nil, fmt.Errorf("%s: %w", o.file, err)
}

// drawnInput draws a log. Only one that nobody asked to keep is temporary.
func drawnInput(ctx context.Context, o options, bar *progress) (*input, error) {
	in := &input{}
	var err error
	if o.keep != "" {
		in.file, err = os.OpenFile(o.keep, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	} else if in.file, err = os.CreateTemp("", "loganalytics-*.log"); err == nil {
		in.temp = in.file.Name()
	}
	if err != nil {
		if o.keep != "" {
			err = fmt.Errorf("-keep %s: %w", o.keep, show.Reason(err))
		}
		return nil, err
	}
	if in.size, err = drawInto(ctx, in.file, o, bar.drawing(o)...); err != nil {
		if in.temp == "" {
			in.temp = o.keep // half a log is of no use
		}
		in.close()
		return nil, err
	}
	return in, nil
}

// open returns a reader of the log from its beginning. Once ctx ends, a read that blocks
// returns io.EOF.
func (in *input) open(ctx context.Context) io.Reader {
	in.read.Store(0)
	if in.file == nil {
		ctx, in.stop = context.WithCancel(ctx)
		return readWholeLines(ctx, in.other)
	}
	return counting{io.NewSectionReader(in.file, 0, in.size), &in.read}
}

func (in *input) close() {
	if in.stop != nil {
		in.stop()
	}
	if in.file != nil {
		_ = in.file.Close()
	}
	if in.temp != "" {
		_ = os.Remove(in.temp)
	}
}

// counting counts what is read.
type counting struct {
	io.Reader
	n *atomic.Int64
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// A lineReader reads what a goroutine has read before, in blocks of whole lines. So it
// can end between two lines while the goroutine is held up in a read, as by a terminal
// or a pipe; such a read cannot be interrupted.
type lineReader struct {
	ctx    context.Context //nolint:containedctx // a Read takes none
	blocks <-chan block
	now    block
}

type block struct {
	text []byte
	err  error // behind the text
}

// readWholeLines returns a reader of r that ends when ctx does. The goroutine that reads
// r then ends as well, if need be with the first read that returns.
func readWholeLines(ctx context.Context, r io.Reader) *lineReader {
	blocks := make(chan block)
	go func() {
		var held []byte // of a line that has no end yet
		for ctx.Err() == nil {
			buf := make([]byte, max(blockSize, 2*len(held)))
			n, err := r.Read(buf[copy(buf, held):])
			buf = buf[:len(held)+n]
			whole := bytes.LastIndexByte(buf, '\n') + 1
			if err != nil || len(buf) > maxLine {
				whole = len(buf) // the last line needs no end, and who reads one that is too long may complain
			}
			held = buf[whole:]
			select {
			case blocks <- block{buf[:whole], err}:
			case <-ctx.Done():
			}
			if err != nil {
				return
			}
		}
	}()
	return &lineReader{ctx: ctx, blocks: blocks}
}

const blockSize = 64 << 10

// Read gives what is left of a block, or the next one.
func (l *lineReader) Read(p []byte) (n int, err error) {
	for len(l.now.text) == 0 {
		if l.now.err != nil {
			return 0, l.now.err
		}
		if l.ctx.Err() != nil { // first of all, since select has no order
			return 0, io.EOF
		}
		select {
		case l.now = <-l.blocks:
		case <-l.ctx.Done():
		}
	}
	n = copy(p, l.now.text)
	l.now.text = l.now.text[n:]
	return n, nil
}

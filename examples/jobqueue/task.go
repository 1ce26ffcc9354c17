package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/millstream-go/millstream/examples/internal/show"
	"github.com/millstream-go/millstream/pool"
)

// A task is a line that says what to do.
type task struct {
	where string // it came from, such as "line 3"
	text  string // as it was given
	verb  string
	file  string        // of hash and count
	time  time.Duration // of sleep
}

// parseTask reads a task.
func parseTask(text string) (task, error) {
	verb, arg, _ := strings.Cut(text, " ")
	if i := strings.IndexByte(text, '\t'); i >= 0 && i < len(verb) {
		verb, arg = text[:i], text[i+1:]
	}
	t, arg := task{text: text, verb: verb}, strings.TrimSpace(arg)
	var err error
	switch verb {
	case "sleep":
		if t.time, err = time.ParseDuration(arg); err != nil || t.time < 0 {
			return t, fmt.Errorf("sleep: want a duration such as 2s, not %q", arg)
		}
	case "hash", "count":
		if t.file, err = unquote(arg); err != nil || t.file == "" {
			return t, fmt.Errorf("%s: want the name of a file, not %q", verb, arg)
		}
	default:
		return t, fmt.Errorf("no such task: %q; want sleep, hash or count", verb)
	}
	return t, nil
}

// unquote returns a name without the quotes around it, if there are any.
func unquote(name string) (string, error) {
	switch {
	case strings.HasPrefix(name, `"`):
		return strconv.Unquote(name)
	case strings.HasPrefix(name, `'`):
		inner, ok := strings.CutSuffix(name[1:], `'`)
		if !ok || strings.Contains(inner, `'`) {
			return "", strconv.ErrSyntax
		}
		return inner, nil
	}
	return name, nil
}

// splitTasks splits what -jobs says at newlines, and at semicolons that do not stand
// in a quoted name.
func splitTasks(text string) []string {
	var lines []string
	start, quote := 0, byte(0)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\n' || c == ';' && quote == 0:
			lines = append(lines, text[start:i])
			start, quote = i+1, 0
		case c == '\\' && quote == '"':
			i++
		case c == quote:
			quote = 0
		case (c == '"' || c == '\'') && quote == 0 && i > start && text[i-1] == ' ':
			quote = c
		}
	}
	return append(lines, text[start:])
}

// do does a task. It is the function of the pool.
func do(ctx context.Context, t task) (string, error) {
	switch t.verb {
	case "hash":
		sum := sha256.New()
		if err := copyFile(ctx, sum, t.file); err != nil {
			return "", err
		}
		return hex.EncodeToString(sum.Sum(nil)), nil
	case "count":
		var n counter
		if err := copyFile(ctx, &n, t.file); err != nil {
			return "", err
		}
		return fmt.Sprintf("lines %s, words %s, bytes %s", show.Commas(n.lines), show.Commas(n.words), show.Commas(n.bytes)), nil
	default:
		timer := time.NewTimer(t.time)
		defer timer.Stop()
		select {
		case <-timer.C:
			return "slept " + t.time.String(), nil
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

var errNotRegular = errors.New("not a regular file")

// copyFile writes a file to w, as long as ctx lasts.
func copyFile(ctx context.Context, w io.Writer, name string) error {
	// Before it is opened: a named pipe that nobody writes to would hang there.
	info, err := os.Stat(name)
	if err != nil {
		return once(err)
	}
	if !info.Mode().IsRegular() {
		return once(errNotRegular)
	}
	f, err := os.Open(name)
	if err != nil {
		return once(err)
	}
	defer f.Close()
	return copyAll(ctx, w, f)
}

// once marks what another call would not change either.
func once(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, errNotRegular) {
		return pool.Permanent(show.Reason(err))
	}
	return show.Reason(err)
}

// chunk is how much is read between two looks at the context.
const chunk = 256 << 10

// copyAll writes all of r to w, as long as ctx lasts.
func copyAll(ctx context.Context, w io.Writer, r io.Reader) error {
	buf := make([]byte, chunk)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := r.Read(buf)
		if _, failed := w.Write(buf[:n]); failed != nil {
			return failed
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return show.Reason(err)
		}
	}
}

// A counter counts what is written to it, as wc does: a line is a newline, and a word
// is what stands between white space of ASCII.
type counter struct {
	lines, words, bytes int
	inWord              bool
}

func (n *counter) Write(text []byte) (int, error) {
	for _, c := range text {
		switch c {
		case '\n':
			n.lines++
			n.inWord = false
		case ' ', '\t', '\r', '\v', '\f':
			n.inWord = false
		default:
			if !n.inWord {
				n.words++
			}
			n.inWord = true
		}
	}
	n.bytes += len(text)
	return len(text), nil
}

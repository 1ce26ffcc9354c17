package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/internal/testkit"
)

// A buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// A session that is under way, in a bubble.
type running struct {
	t              *testing.T
	stdin          *io.PipeWriter
	stdout, stderr buffer
	signals        chan os.Signal
	status         chan int
}

// begin runs the program, whose input is still to come.
func begin(t *testing.T, c console, args ...string) *running {
	t.Helper()
	in, stdin := io.Pipe()
	r := &running{t: t, stdin: stdin, signals: make(chan os.Signal), status: make(chan int, 1)}
	c.stdin, c.stdout, c.stderr, c.signals = in, &r.stdout, &r.stderr, r.signals
	go func() { r.status <- run(t.Context(), args, c) }()
	synctest.Wait()
	return r
}

// lines sends lines, and returns when all that follows at once has happened.
func (r *running) lines(lines ...string) {
	r.t.Helper()
	for _, line := range lines {
		_, err := io.WriteString(r.stdin, line+"\n")
		require.NoError(r.t, err)
		synctest.Wait()
	}
}

func (r *running) signal(sig os.Signal) {
	r.signals <- sig
	synctest.Wait()
}

// ended tells whether the program has.
func (r *running) ended() bool { return len(r.status) > 0 }

// outcome waits for the end, whether the input ends or not.
func (r *running) outcome() outcome {
	status := <-r.status
	_ = r.stdin.Close() // frees who still reads
	return outcome{status, r.stdout.String(), r.stderr.String()}
}

// close ends the input and waits for the end.
func (r *running) close() outcome {
	_ = r.stdin.Close()
	return r.outcome()
}

// An outcome is what a run of the program left behind.
type outcome struct {
	status         int
	stdout, stderr string
}

// command runs the program with all of its input at hand.
func command(t *testing.T, stdin string, args ...string) outcome {
	t.Helper()
	var stdout, stderr buffer
	status := run(t.Context(), args, console{stdin: strings.NewReader(stdin), stdout: &stdout, stderr: &stderr})
	return outcome{status, stdout.String(), stderr.String()}
}

// bubble runs f in virtual time, which also insists that no goroutine is left.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	testkit.Bubble(t, f)
}

// cwd is the folder of this package, wherever a test goes.
var cwd = func() string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	return dir
}()

// errPipe is what a write says when its reader has gone.
var errPipe error = &os.PathError{Op: "write", Path: "stdout", Err: syscall.EPIPE}

// inFolder goes to a folder with files of these texts.
func inFolder(t *testing.T, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	t.Chdir(dir)
}

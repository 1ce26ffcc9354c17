package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// good is a line, and bad are some that are none.
const good = `198.18.4.7 - - [02/Mar/2026:08:15:04 +0000] "GET /cart HTTP/1.1" 200 5123 0.013`

var bad = map[string]error{
	"":                                      errFields,
	"garbage":                               errFields,
	strings.TrimSuffix(good, " 5123 0.013"): errFields,
	strings.Replace(good, "198.18.4.7", "", 1):               errFields,
	strings.Replace(good, "02/Mar", "32/Mar", 1):             errTime,
	strings.Replace(good, "2026", "1969", 1):                 errTime,
	strings.Replace(good, "2026", "2200", 1):                 errTime,
	strings.Replace(good, "GET /cart HTTP/1.1", `\x16`, 1):   errRequest,
	strings.Replace(good, "GET", "get", 1):                   errRequest,
	strings.Replace(good, "/cart", "cart", 1):                errRequest,
	strings.Replace(good, "HTTP", "FTP", 1):                  errRequest,
	strings.Replace(good, "200", "600", 1):                   errStatus,
	strings.Replace(good, "200", "OK", 1):                    errStatus,
	strings.Replace(good, "5123", "-1", 1):                   errBytes,
	strings.Replace(good, "5123", "99999999999999999999", 1): errBytes,
	strings.Replace(good, "0.013", "-", 1):                   errLatency,
	strings.Replace(good, "0.013", "NaN", 1):                 errLatency,
	strings.Replace(good, "0.013", "-0.1", 1):                errLatency,
	strings.Replace(good, "0.013", "1e9", 1):                 errLatency,
}

// drawn returns a log.
func drawn(t *testing.T, seed uint64, lines int) string {
	t.Helper()
	var text bytes.Buffer
	size, err := drawInto(t.Context(), &text, options{seed: seed, lines: lines, workers: 3})
	require.NoError(t, err)
	require.EqualValues(t, text.Len(), size)
	return text.String()
}

// write puts a log on disk.
func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "access.log")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
	return name
}

// An outcome is what a run of the program left behind.
type outcome struct {
	status         int
	stdout, stderr string
}

// execute runs the program with a command line and a standard input.
func execute(ctx context.Context, stdin io.Reader, terminal bool, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	status := run(ctx, args, console{stdin, &stdout, &stderr, terminal})
	return outcome{status, stdout.String(), stderr.String()}
}

// command runs the program with a command line.
func command(t *testing.T, args ...string) outcome {
	t.Helper()
	return execute(t.Context(), strings.NewReader(""), false, args...)
}

// settings returns what the flags say.
func settings(t *testing.T, args ...string) options {
	t.Helper()
	o, err := parseArgs(args)
	require.NoError(t, err)
	return o
}

// analyzed returns what a way through a log finds.
func analyzed(o options, log io.Reader, way func(*analysis, *input)) *analysis {
	a := newAnalysis(o, io.Discard)
	in := &input{other: log}
	defer in.close()
	way(a, in)
	return a
}

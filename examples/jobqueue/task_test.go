package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseTask(t *testing.T) {
	for text, want := range map[string]task{
		"sleep 2s":         {verb: "sleep", time: 2 * time.Second},
		"sleep\t 1m30s":    {verb: "sleep", time: 90 * time.Second},
		"sleep 0":          {verb: "sleep"},
		"hash a.txt":       {verb: "hash", file: "a.txt"},
		"count  two words": {verb: "count", file: "two words"},
		`hash "a\tb c"`:    {verb: "hash", file: "a\tb c"},
		`hash 'a "b" \n'`:  {verb: "hash", file: `a "b" \n`},
		"hash it's; $HOME": {verb: "hash", file: "it's; $HOME"},
	} {
		got, err := parseTask(text)
		require.NoError(t, err, text)
		want.text = text
		assert.Equal(t, want, got)
	}
	for text, want := range map[string]string{
		"sleep":        `sleep: want a duration such as 2s, not ""`,
		"sleep 2":      `sleep: want a duration such as 2s, not "2"`,
		"sleep -1s":    `sleep: want a duration such as 2s, not "-1s"`,
		"hash":         `hash: want the name of a file, not ""`,
		`hash ""`:      `hash: want the name of a file, not "\"\""`,
		`hash "a`:      `hash: want the name of a file, not "\"a"`,
		`hash "a" b`:   `hash: want the name of a file, not "\"a\" b"`,
		`count 'a`:     `count: want the name of a file, not "'a"`,
		`count 'a' 'b`: `count: want the name of a file, not "'a' 'b"`,
		"rm -rf /":     `no such task: "rm"; want sleep, hash or count`,
	} {
		_, err := parseTask(text)
		assert.EqualError(t, err, want)
	}
}

func TestSplitTasks(t *testing.T) {
	for text, want := range map[string][]string{
		"":                           {""},
		"sleep 1s":                   {"sleep 1s"},
		"sleep 1s; hash a\ncount b;": {"sleep 1s", " hash a", "count b", ""},
		`hash 'a;b'; hash "c;\";d"`:  {`hash 'a;b'`, ` hash "c;\";d"`},
		"hash it's; hash don't":      {"hash it's", " hash don't"},
		"hash 'open;\nhash b; c":     {"hash 'open;", "hash b", " c"},
	} {
		assert.Equal(t, want, splitTasks(text), text)
	}
}

func TestHashAndCount(t *testing.T) {
	long := strings.Repeat("αβγ δ\r\n", chunk/4) // spans chunks
	inFolder(t, map[string]string{"empty": "", "a b": "one two\n\tthree", "long": long})

	for name, want := range map[string]string{
		"empty": "lines 0, words 0, bytes 0",
		"a b":   "lines 1, words 3, bytes 14",
		"long":  "lines 65,536, words 131,072, bytes 720,896",
	} {
		got, err := do(t.Context(), task{verb: "count", file: name})
		require.NoError(t, err)
		assert.Equal(t, want, got, name)
	}
	got, err := do(t.Context(), task{verb: "hash", file: "long"})
	require.NoError(t, err)
	sum := sha256.Sum256([]byte(long))
	assert.Equal(t, hex.EncodeToString(sum[:]), got)

	_, err = do(t.Context(), task{verb: "hash", file: "."})
	require.ErrorIs(t, err, errNotRegular)
	_, err = do(t.Context(), task{verb: "count", file: "none"})
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// A file of any size is left as soon as nobody wants it.
func TestTasksHeedTheContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	read := 0
	endless := readerFunc(func(p []byte) (int, error) {
		if read++; read == 3 {
			cancel(errDrain)
		}
		return len(p), nil
	})
	require.ErrorIs(t, copyAll(ctx, io.Discard, endless), errDrain)
	assert.Equal(t, 3, read)

	_, err := do(ctx, task{verb: "sleep", time: time.Hour})
	require.ErrorIs(t, err, errDrain)
	inFolder(t, map[string]string{"a": "text"})
	_, err = do(ctx, task{verb: "hash", file: "a"})
	require.ErrorIs(t, err, errDrain)
}

func TestCopyReportsErrors(t *testing.T) {
	errDisk := errors.New("the disk is on fire")
	var w bytes.Buffer
	require.ErrorIs(t, copyAll(t.Context(), &w, io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(errDisk))), errDisk)
	assert.Equal(t, "abc", w.String())
}

func TestReadLines(t *testing.T) {
	var got []string
	collect := func(line string, err error) bool {
		if err != nil {
			line = err.Error()
		}
		got = append(got, line)
		return line != "stop"
	}
	exactly := strings.Repeat("x", maxLine-1)
	input := "a\r\n\n" + exactly + "\n" + exactly + "xxx\nb\n" + strings.Repeat(exactly, 3)
	require.NoError(t, readLines(strings.NewReader(input), collect))
	assert.Equal(t, []string{"a", "", exactly, "longer than 64 KiB", "b", "longer than 64 KiB"}, got)

	got = nil
	require.NoError(t, readLines(strings.NewReader("a\nstop\nb\n"), collect))
	assert.Equal(t, []string{"a", "stop"}, got)

	got = nil
	broken := io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(iotest.ErrTimeout))
	require.ErrorIs(t, readLines(broken, collect), iotest.ErrTimeout)
	assert.Equal(t, []string{"a", "b"}, got)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
